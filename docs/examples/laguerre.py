"""
Bakeries and their districts
============================

A city is a density, bakeries are points. Which one does each house belong to?
"""

# %%
# People live around two centres, more densely near the first. A function that draws some of them is all that is needed
# to say so. There are thirty bakeries of equal capacity, spread without much thought.

import matplotlib.pyplot as plt
import numpy as np

import monge
import monge.plot


def people(rng, n):
    near = rng.random(n) < 0.7
    centre = np.where(near[:, None], [-1.0, 0.0], [1.5, 0.8])
    spread = np.where(near, 0.5, 0.8)[:, None]
    return centre + spread * rng.normal(size=(n, 2))


rng = np.random.default_rng(3)
bakeries = rng.uniform([-2.5, -1.5], [3.0, 2.5], (30, 2))

# %%
# If everybody takes the nearest one, some are overrun and others are idle. `monge.semidual` finds prices, one per
# bakery, such that with distance and price together everybody still does what is best for them, and each bakery gets
# its thirtieth.

nearest = monge.PointCloud(people(rng, 20_000), bakeries).block(slice(None)).argmin(axis=1)
crowd = np.bincount(nearest, minlength=30) / 20_000
found = monge.semidual(people, bakeries, rng=0)
print(f"nearest: between {crowd.min():.4f} and {crowd.max():.3f} of all; with prices: ", end="")
print(f"between {found.masses.min():.4f} and {found.masses.max():.4f}")
print(f"mean squared distance {found.value:.4f} (standard error {found.standard_error:.4f})")

fig, axes = plt.subplots(1, 2, figsize=(11.0, 4.6), layout="constrained")
limits = (-3.0, 3.5, -2.0, 3.0)
free = monge.semidual(people, bakeries, b=crowd, rng=0)
for ax, one, title in ((axes[0], free, "the nearest"), (axes[1], found, "equal shares")):
    monge.plot.laguerre(one, ax, limits=limits)
    ax.scatter(*people(np.random.default_rng(1), 1500).T, s=1.0, color="white", alpha=0.6, linewidths=0.0)
    ax.set_title(title)
    ax.set_axis_off()
plt.show()

# %%
# On the right a district need not contain its bakery: a line leads from there to its middle. Borders are straight in
# both pictures. These are *Laguerre cells*: the points for which :math:`|x - y_j|^2 - g_j` is least at :math:`j`.
#
# With entropy, borders blur. People near one go to either side, and the answer is a smooth map. An arrow leads
# from a house to the mean place that its bread comes from.

blurred = monge.semidual(people, bakeries, eps=0.1, rng=0)
houses = people(np.random.default_rng(1), 4000)
moved = blurred.map(houses)
fig, ax = plt.subplots(figsize=(5.5, 4.6), layout="constrained")
some, steps = houses[:250], (moved - houses)[:250]
ax.quiver(*some.T, *steps.T, angles="xy", scale_units="xy", scale=1.0, width=0.002, color="0.4")
ax.scatter(*bakeries.T, color="#E69F00", zorder=2)
ax.set_title("eps = 0.1: where bread comes from, on average")
ax.set(xlim=limits[:2], ylim=limits[2:], aspect="equal")
ax.set_axis_off()
plt.show()
