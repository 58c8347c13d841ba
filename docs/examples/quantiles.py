"""
On the line and on the circle
=============================

In one dimension the cheapest plan keeps the order: the lowest goes to the lowest. Everything follows from sorting.
"""

# %%
# Two samples, and the plan between them. For every cost that is a convex function of the difference, lines never cross.

import matplotlib.pyplot as plt
import numpy as np

import monge
from monge import plot

rng = np.random.default_rng(0)
x = rng.normal(0.0, 1.0, 24)
y = np.concatenate([rng.normal(2.0, 0.4, 14), rng.normal(5.0, 0.4, 10)])

t = monge.emd_1d(x, y, p=2)
fig, ax = plt.subplots(figsize=(8.0, 2.6), layout="constrained")
plot.plan(t, x, y, ax)
plt.show()

# %%
# The same as a picture of areas. On the left are the distribution functions, and :math:`W_1` is the area between them.
# On the right they are turned: quantile functions, level by level, whose distance in :math:`L_p` is :math:`W_p`.

levels = (np.arange(24) + 0.5) / 24
fig, axes = plt.subplots(1, 2, figsize=(9.0, 3.2), layout="constrained")
grid = np.linspace(-3.0, 6.5, 800)
below = [(sample[:, None] <= grid).mean(axis=0) for sample in (x, y)]
axes[0].plot(grid, below[0], color="#0072B2", label="x")
axes[0].plot(grid, below[1], color="#E69F00", label="y")
axes[0].fill_between(grid, *below, color="0.85")
axes[0].set_title(f"area: W1 = {monge.wasserstein_1d(x, y):.3f}")
axes[0].legend(frameon=False)
axes[1].plot(levels, np.sort(x), color="#0072B2")
axes[1].plot(levels, np.sort(y), color="#E69F00")
axes[1].vlines(levels, np.sort(x), np.sort(y), color="0.8", zorder=0)
axes[1].set_title(f"root mean square of the lines: W2 = {monge.wasserstein_1d(x, y, p=2):.3f}")
axes[1].set_xlabel("level")
plt.show()

# %%
# On a circle
# -----------
#
# Hours of the day have no first and no last. Where the circle is cut matters, and ``period=`` finds the best cut:
# people who go to bed around midnight move a little, not a day.

before = rng.normal(23.3, 0.7, 60) % 24.0
after = rng.normal(0.4, 0.6, 60) % 24.0
print("as numbers, W1 =", round(monge.wasserstein_1d(before, after), 2), "hours")
print("on the clock, W1 =", round(monge.wasserstein_1d(before, after, period=24.0), 2), "hours")

fig, ax = plt.subplots(figsize=(3.6, 3.6), subplot_kw={"projection": "polar"}, layout="constrained")
ax.set_theta_zero_location("N")
ax.set_theta_direction(-1)
plan = monge.emd_1d(before, after, period=24.0).plan
turn = 2.0 * np.pi / 24.0
for i, j in zip(plan.row, plan.col, strict=True):
    ax.plot([before[i] * turn, after[j] * turn], [0.8, 1.0], color="0.6", linewidth=0.6)
ax.scatter(before * turn, np.full(60, 0.8), s=14, color="#0072B2", label="before")
ax.scatter(after * turn, np.full(60, 1.0), s=14, color="#E69F00", label="after")
ax.set_xticks(np.arange(0, 24, 3) * turn, [f"{h} h" for h in range(0, 24, 3)])
ax.set_yticks([])
ax.legend(frameon=False, loc="center")
plt.show()
# sphinx_gallery_thumbnail_number = 2
