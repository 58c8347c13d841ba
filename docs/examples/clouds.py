"""
Two clouds of points
====================

Which point goes where? The plan of least cost between two clouds, drawn as lines.
"""

# %%
# Forty points here and forty there, each with a fortieth of the mass. The cost of a pair is its distance, and
# `monge.emd` finds the plan whose total cost is least.

import matplotlib.pyplot as plt
import numpy as np

import monge
from monge import plot

rng = np.random.default_rng(3)
x = rng.normal(size=(40, 2))
angle = rng.uniform(0.0, 2.0 * np.pi, 40)
y = np.column_stack([3.5 + 1.5 * np.cos(angle), 1.0 + 1.5 * np.sin(angle)])

t = monge.emd(monge.PointCloud(x, y, "euclidean"))
fig, ax = plt.subplots(figsize=(7.0, 4.6), layout="constrained")
plot.plan(t, x, y, ax)
plt.show()

# %%
# With equal weights and as many points on both sides every source has exactly one target: the plan is a matching. Not
# two lines cross. If two did, they could exchange their ends, two sides of a quadrangle in place of its diagonals, and
# two sides are shorter. (With squared distances lines may cross, but no exchange makes the sum of squares smaller.)

print(f"{t.plan.nnz} lines, mean length {t.value:.4f}, certified to within {t.gap:.0e}")

# %%
# Weights that differ
# -------------------
#
# Now every source has a mass of its own, which is the area of its dot, and there are only seven targets. Sources are
# split where a target is full, but seldom: a plan of least cost needs at most :math:`n + m - 1` lines. From here on the
# cost is the squared distance, which is what `PointCloud` takes if nothing else is said.

a = rng.uniform(0.2, 1.0, 40)
a /= a.sum()
y = rng.normal(size=(7, 2)) * 1.2 + [4.0, 0.0]
t = monge.emd(monge.PointCloud(x, y), a)
fig, ax = plt.subplots(figsize=(7.0, 4.6), layout="constrained")
plot.plan(t, x, y, ax)
plt.show()
print(t.plan.nnz, "lines of at most", 40 + 7 - 1)

# %%
# Where things go on average
# --------------------------
#
# ``t.map(y)`` is the mean of a source's targets, weighted by what it sends to each. Moving all points a part of that
# way turns one cloud into the other, along straight lines.

images = t.map(y)
fig, axes = plt.subplots(2, 2, figsize=(9.0, 6.4), sharex=True, sharey=True, layout="constrained")
for ax, part in zip(axes.flat, (0.0, 1 / 3, 2 / 3, 1.0), strict=True):
    now = (1.0 - part) * x + part * images
    ax.scatter(*now.T, s=1500.0 * a, color="#0072B2", alpha=0.6, linewidths=0.0)
    ax.scatter(*y.T, s=12, color="#E69F00")
    ax.set_title(f"{part:.0%} of the way")
    ax.set_aspect("equal")
plt.show()
