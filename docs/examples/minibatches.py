"""
What a batch sees of a plan
===========================

Transport between small random batches, averaged over many of them: fast at any number of points, and blurred.
"""

# %%
# Twenty points of a line, and twenty others. Each picture is the mean plan over all pairs of batches of m points,
# which on the line has a closed form. Batches of one point know nothing of the others, and all pairs are as good; all
# points together give the optimal plan. The value above is that of the mean plan, and never below the optimum.

import matplotlib.pyplot as plt
import numpy as np

import monge

rng = np.random.default_rng(0)
x, y = np.sort(rng.normal(size=20)), np.sort(0.6 * rng.normal(size=20) + 2.0)
sizes = (1, 2, 5, 10, 20)

fig, axes = plt.subplots(1, 5, figsize=(12.0, 2.8), layout="constrained")
for ax, m in zip(axes, sizes, strict=True):
    found = monge.minibatch(x, y, batch_size=m, n_batches="all")
    ax.imshow(found.plan.toarray(), cmap="Greys", vmin=0.0, vmax=0.025)
    ax.set_title(f"m = {m}: {found:.2f}")
    ax.set_xticks([])
    ax.set_yticks([])
plt.show()

# %%
# In the plane batches are drawn. Arrows show where the mean plan takes each point of the left cloud: what a gradient
# flow of this loss would go to. Small batches pull everything towards the middle of the right cloud, a ring.

n = 300
x = rng.normal(size=(n, 2)) * 0.4
angle = rng.uniform(0.0, 2.0 * np.pi, n)
y = np.stack([4.0 + 1.2 * np.cos(angle), 1.2 * np.sin(angle)], axis=1)

fig, axes = plt.subplots(1, 4, figsize=(12.0, 3.2), layout="constrained", sharex=True, sharey=True)
for ax, m in zip(axes, (3, 10, 30, 100), strict=True):
    loss = monge.minibatch(x, y, batch_size=m, epochs=40, rng=0)
    images = n * (loss.plan @ y)
    ax.scatter(*x.T, s=4, color="#0072B2")
    ax.scatter(*y.T, s=4, color="#E69F00")
    ax.plot([x[:, 0], images[:, 0]], [x[:, 1], images[:, 1]], color="0.7", linewidth=0.3, zorder=0)
    ax.scatter(*images.T, s=4, color="black")
    ax.set_title(f"m = {m}: {loss:.2f}, debiased {loss.debiased:.2f}")
    ax.set_aspect("equal")
    ax.set_axis_off()
plt.show()

# %%
# ``.debiased`` takes out what two batches of one cloud cost, U(x, x) and U(y, y). It depends less on m, and here it is
# below the exact cost, between all points:

print(f"{monge.emd(monge.PointCloud(x, y)).value:.2f}")
