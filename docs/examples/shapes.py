"""
Shapes between shapes
=====================

A weighted average of four shapes under optimal transport is a shape, not four shadows on top of each other (Solomon et
al. 2015, "Convolutional Wasserstein distances").
"""

# %%
# A shape is a histogram on a grid: its mass is spread evenly over what is inside, with an edge that is a pixel or two
# wide.

import matplotlib.pyplot as plt
import numpy as np

import monge
from monge import plot


def soft(distance, width):
    """1 inside, where the distance to the edge is negative, and 0 outside."""
    return np.clip(0.5 - distance / width, 0.0, 1.0)


side = 64
x = (2.0 * np.arange(side) + 1.0) / side - 1.0
down, right = np.meshgrid(x, x, indexing="ij")
radius, angle = np.hypot(down, right), np.arctan2(down, right)
bars = [np.maximum(np.abs(u) - 0.65, np.abs(v) - 0.17) for u, v in ((down, right), (right, down))]
corners = np.array(
    [
        soft(radius - 0.55, 2.0 / side),
        soft(radius - 0.42 - 0.2 * np.cos(5.0 * angle), 2.0 / side),
        soft(np.abs(radius - 0.5) - 0.13, 2.0 / side),
        soft(np.minimum(*bars), 2.0 / side),
    ]
)
histograms = corners.reshape(4, -1) / corners.sum(axis=(1, 2))[:, np.newaxis]

# %%
# `monge.barycenter` averages them. Entropy blurs by about the square root of eps, and ``debias=True`` takes the blur
# away again: here is the mean of all four, pixel by pixel, with the blur and without it.

cost = monge.Grid((side, side), spacing=2.0 / side)
blurred = monge.barycenter(histograms, cost, eps=4e-3, tol=1e-3)
sharp = monge.barycenter(histograms, cost, eps=4e-3, debias=True, tol=1e-2)
fig, axes = plt.subplots(1, 3, figsize=(9.0, 3.3), layout="constrained")
averages = {"mean of the pixels": histograms.mean(axis=0), "eps = 0.004": blurred.weights, "debiased": sharp.weights}
for ax, (title, average) in zip(axes, averages.items(), strict=True):
    plot.shapes(average.reshape(1, side, side), ax)
    ax.set_title(title)
plt.show()

# %%
# On a sheet between the four, the weights are bilinear. The smaller eps, the less there is to take away: here the
# kernel is less than a pixel wide.

steps = np.linspace(0.0, 1.0, 5)
mixtures = [[(1 - s) * (1 - t), (1 - s) * t, s * (1 - t), s * t] for s in steps for t in steps]
inks = np.array([[0.0, 0.45, 0.7], [0.84, 0.37, 0.0], [0.0, 0.62, 0.45], [0.8, 0.47, 0.65]])
sheet = []
for weights in mixtures:
    average = monge.barycenter(histograms, cost, weights, eps=1e-3, debias=True, tol=1e-2)
    sheet.append(average.weights.reshape(side, side))
# sphinx_gallery_thumbnail_number = 2
plt.figure(figsize=(7.0, 7.0), layout="constrained")
plot.shapes(sheet, plt.gca(), columns=5, colors=np.array(mixtures) @ inks)
plt.show()

# %%
# Grids have up to three axes. Between a torus and a cube, and between a ball and a jack:

side = 28
x = (2.0 * np.arange(side) + 1.0) / side - 1.0
up, y, z = np.meshgrid(x, x, x, indexing="ij")
sizes = np.abs([up, y, z])
rods = [np.maximum(np.delete(sizes, axis, axis=0).max(axis=0) - 0.14, sizes[axis] - 0.75) for axis in range(3)]
solids = np.array(
    [
        soft(np.hypot(np.hypot(y, z) - 0.55, up) - 0.2, 3.0 / side),
        soft(sizes.max(axis=0) - 0.45, 3.0 / side),
        soft(np.sqrt(up**2 + y**2 + z**2) - 0.55, 3.0 / side),
        soft(np.min(rods, axis=0), 3.0 / side),
    ]
)
volumes = solids.reshape(4, -1) / solids.sum(axis=(1, 2, 3))[:, np.newaxis]
cost = monge.Grid((side, side, side), spacing=2.0 / side)
row = []
for pair, ends in ((slice(0, 2), solids[:2]), (slice(2, 4), solids[2:])):
    middles = []
    for share in (0.25, 0.5, 0.75):
        average = monge.barycenter(volumes[pair], cost, [1.0 - share, share], eps=5e-3, debias=True, tol=2e-2)
        middles.append(average.weights.reshape(side, side, side))
    row += [ends[0], *middles, ends[1]]
plt.figure(figsize=(9.0, 4.0), layout="constrained")
plot.shapes(row, plt.gca(), columns=5)
plt.show()
