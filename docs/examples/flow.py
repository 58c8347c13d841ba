"""
Following the gradient of a loss
================================

A cloud walks downhill on the Sinkhorn divergence to another one, until it lies on it. That is how shapes are
registered, and how generators of samples learn.
"""

# %%
# The source is a disc, the target a ring and a bar. `monge.gradient_flow` takes the points and any loss of points that
# has a gradient, such as `monge.sinkhorn_divergence`. Since the loss has a parameter called ``init``, it gets what it
# returned at the step before, and its solver starts from there.

import matplotlib.pyplot as plt
import numpy as np

import monge
from monge import plot

rng = np.random.default_rng(0)


def disc(n):
    radius, angle = np.sqrt(rng.random(n)), rng.uniform(0.0, 2.0 * np.pi, n)
    return 0.3 * np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]) + [0.2, 0.2]


angle = rng.uniform(0.0, 2.0 * np.pi, 200)
ring = np.column_stack([np.cos(angle), np.sin(angle)]) * rng.uniform(0.30, 0.36, (200, 1)) + [0.9, 0.8]
bar = np.column_stack([rng.uniform(0.5, 1.3, 100), rng.uniform(0.15, 0.22, 100)])
x, y = disc(300), np.concatenate([ring, bar])


def divergence(x, init):
    return monge.sinkhorn_divergence(x, y, eps=0.01, init=init)


flow = monge.gradient_flow(x, divergence, step=0.08, n_steps=30)
print(flow)

# %%
# Every point has a mass of :math:`1/n`, and moves by the step times :math:`-n` times its part of the gradient. For the
# squared distance that is twice the way to its goal: with a step of one half it would go all the way at once, as far as
# the plan is right. Smaller steps show the way.

fig, axes = plt.subplots(1, 4, figsize=(12.0, 3.2), sharex=True, sharey=True, layout="constrained")
for ax, k in zip(axes, (0, 4, 10, 30), strict=True):
    ax.scatter(*y.T, s=6, color="#E69F00")
    ax.scatter(*flow.trajectory[k].T, s=6, color="#0072B2")
    ax.set_title(f"after {k} steps")
    ax.set_aspect("equal")
plt.show()

# %%
# The same with the entropic cost itself, without the terms that take its bias out. It goes down as well, but not to the
# target: the cheapest place is nearer to the middle, and the cloud comes out too thin.

eps = 0.05
losses = {
    "sinkhorn_divergence": lambda x, init: monge.sinkhorn_divergence(x, y, eps=eps, init=init),
    "sinkhorn alone": lambda x, init: monge.sinkhorn(monge.PointCloud(x, y), eps=eps, init=init),
}
fig, axes = plt.subplots(1, 2, figsize=(8.0, 3.6), sharex=True, sharey=True, layout="constrained")
for ax, (name, loss) in zip(axes, losses.items(), strict=True):
    points = monge.gradient_flow(x, loss, step=0.2, n_steps=40).points
    ax.scatter(*y.T, s=6, color="#E69F00")
    ax.scatter(*points.T, s=6, color="#0072B2")
    ax.set_title(f"{name}: W2 = {monge.wasserstein(points, y):.3f}")
    ax.set_aspect("equal")
plt.show()

# %%
# Each loss has its own way. The exact cost pulls every point straight to one goal; slices pull along each direction by
# itself; the energy distance pulls with a force that does not grow with the distance, and pushes points of the cloud
# apart. The gradients of the last two do not shrink on the way, so that the right step is hard to guess;
# ``line_search=True`` finds it.

losses = {
    "exact": lambda x, init: monge.emd(monge.PointCloud(x, y), init=init),
    "sinkhorn_divergence": lambda x, init: monge.sinkhorn_divergence(x, y, eps=eps, init=init),
    "sliced_wasserstein": lambda x: monge.sliced_wasserstein(x, y, rng=0),
    "energy_distance": lambda x: monge.energy_distance(x, y),
}
fig, axes = plt.subplots(1, 4, figsize=(12.0, 3.4), sharex=True, sharey=True, layout="constrained")
for ax, (name, loss) in zip(axes, losses.items(), strict=True):
    flow = monge.gradient_flow(x, loss, step=0.1, n_steps=40, line_search=True)
    plot.flow(flow, y, ax).get_legend().remove()
    ax.set_title(f"{name}: W2 = {monge.wasserstein(flow.points, y):.3f}", fontsize=10)
plt.show()
# sphinx_gallery_thumbnail_number = 1
