"""
Following the gradient of a loss
================================

A cloud walks downhill on the Sinkhorn divergence to another one, until it lies on it. That is how shapes are
registered, and how generators of samples learn.
"""

# %%
# The source is a disc, the target a ring and a bar. `monge.sinkhorn_divergence` is a float with gradients.

import matplotlib.pyplot as plt
import numpy as np

import monge

rng = np.random.default_rng(0)


def disc(n):
    radius, angle = np.sqrt(rng.random(n)), rng.uniform(0.0, 2.0 * np.pi, n)
    return 0.3 * np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]) + [0.2, 0.2]


angle = rng.uniform(0.0, 2.0 * np.pi, 200)
ring = np.column_stack([np.cos(angle), np.sin(angle)]) * rng.uniform(0.30, 0.36, (200, 1)) + [0.9, 0.8]
bar = np.column_stack([rng.uniform(0.5, 1.3, 100), rng.uniform(0.15, 0.22, 100)])
x, y = disc(300), np.concatenate([ring, bar])

loss = monge.sinkhorn_divergence(x, y, eps=0.01)
print(f"divergence {loss:.4f}, known to within {loss.error_bound:.1e}; gradient of shape {loss.grad_x.shape}")

# %%
# Every point has a mass of :math:`1/n`, so its velocity is :math:`-n` times its part of the gradient. For the squared
# distance the gradient of a point is twice the way to its goal: with a step of one half it would go all the way at
# once, as far as the plan is right. Smaller steps show the way.

moments, values, now = {0: x}, [], x
for k in range(1, 31):
    loss = monge.sinkhorn_divergence(now, y, eps=0.01)
    values.append(loss)
    now = now - 0.08 * len(now) * loss.grad_x
    moments[k] = now

fig, axes = plt.subplots(1, 4, figsize=(12.0, 3.2), sharex=True, sharey=True, layout="constrained")
for ax, k in zip(axes, (0, 4, 10, 30), strict=True):
    ax.scatter(*y.T, s=6, color="#E69F00")
    ax.scatter(*moments[k].T, s=6, color="#0072B2")
    ax.set_title(f"after {k} steps")
    ax.set_aspect("equal")
plt.show()

# %%
# The same with the entropic cost itself, without the terms that take its bias out. It goes down as well, but not to the
# target: the cheapest place is nearer to the middle, and the cloud comes out too thin.

eps = 0.05
ways = {"sinkhorn_divergence": x, "sinkhorn alone": x}
for _ in range(40):
    one, other = ways.values()
    divergence = monge.sinkhorn_divergence(one, y, eps=eps)
    alone = monge.sinkhorn(monge.PointCloud(other, y), eps=eps)
    ways = {
        "sinkhorn_divergence": one - 0.2 * len(x) * divergence.grad_x,
        "sinkhorn alone": other - 0.2 * len(x) * alone.grad_x,
    }

fig, axes = plt.subplots(1, 2, figsize=(8.0, 3.6), sharex=True, sharey=True, layout="constrained")
for ax, (name, points) in zip(axes, ways.items(), strict=True):
    ax.scatter(*y.T, s=6, color="#E69F00")
    ax.scatter(*points.T, s=6, color="#0072B2")
    ax.set_title(f"{name}: W2 = {monge.wasserstein(points, y):.3f}")
    ax.set_aspect("equal")
plt.show()
# sphinx_gallery_thumbnail_number = 1
