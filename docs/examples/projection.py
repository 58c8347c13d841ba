"""
The nearest of all that lies between
====================================

Barycentric coordinates: an image as a mixture of others, in the sense of squares and in that of transport. And a
family of moving shapes from a dictionary of two.
"""

# %%
# A shape is to be explained by three others. The linear projection takes the mixture of images that is nearest in the
# squares. The Wasserstein projection takes the barycenter that is nearest (Bonneel, Peyré and Cuturi 2016): shapes
# that lie between the three, not on top of each other.

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import nnls

import monge

side = 32
y, x = np.mgrid[:side, :side]


def blob(row, column, height, width):
    image = np.exp(-0.5 * (((y - row) / height) ** 2 + ((x - column) / width) ** 2)).ravel()
    return image / image.sum()


shapes = np.array([blob(9, 8, 2.0, 4.5), blob(9, 24, 4.5, 2.0), blob(24, 16, 2.5, 2.5)])
target = blob(13, 14, 2.6, 3.4)
grid = monge.Grid((side, side))


def in_squares(target, shapes):
    """The nearest mixture in the squares, nonnegative; that weights sum to one is an equation with a large factor."""
    large = 1e3 * np.abs(shapes).max()
    weights = nnls(np.vstack([shapes.T, large * np.ones(len(shapes))]), np.append(target, large))[0]
    return weights / weights.sum()


linear = in_squares(target, shapes)
found = monge.barycentric_coordinates(target, shapes, grid, eps=4.0, loss="wasserstein", tol=1e-3)

fig, axes = plt.subplots(2, 3, figsize=(7.0, 5.0), layout="constrained")
titles = ["three shapes", "", ""]
for axis, image, title in zip(axes[0], shapes, titles, strict=True):
    axis.imshow(image.reshape(side, side), cmap="magma_r")
    axis.set_title(title)
bottom = [("target", target), ("in squares", linear @ shapes), ("by transport", found.projection)]
for axis, (title, image) in zip(axes[1], bottom, strict=True):
    axis.imshow(image.reshape(side, side), cmap="magma_r")
    axis.set_title(title)
for axis in axes.ravel():
    axis.set_axis_off()
plt.show()

# %%
# The weights say how much of each: by transport, they are those of a point in the triangle that the shapes span.

for name, weights in (("in squares", linear), ("by transport", found.weights)):
    print(f"{name:13s}", *(f"{w:.3f}" for w in weights))

# %%
# A dictionary
# ------------
#
# Six shapes on their way, wide at first and tall at the end. Two atoms, found from these alone, and mixed by transport,
# give all of them back (Schmitz et al. 2018); of the two components of a linear factorisation only ghosts are left.

side = 20
y, x = np.mgrid[:side, :side]
family = np.array([blob(6 + 8 * t, 5 + 9 * t, 1.8 + 0.9 * t, 2.7 - 0.9 * t) for t in np.linspace(0.0, 1.0, 6)])
book = monge.dictionary(family, monge.Grid((side, side)), 2, eps=1.5, rng=0, tol=0.05, max_iter=12)
u, s, v = np.linalg.svd(family, full_matrices=False)
flat = (u[:, :2] * s[:2]) @ v[:2]

fig, axes = plt.subplots(3, 8, figsize=(10.0, 4.0), layout="constrained")
for line, (images, name) in enumerate(((family, "data"), (book.reconstructions, "two atoms"), (flat, "rank two"))):
    for axis, image in zip(axes[line, 2:], images, strict=True):
        axis.imshow(image.reshape(side, side), cmap="magma_r", vmin=0.0)
    axes[line, 2].set_title(name, loc="left")
for axis, atom in zip(axes[1, :2], book.atoms, strict=True):
    axis.imshow(atom.reshape(side, side), cmap="magma_r")
axes[1, 0].set_title("atoms", loc="left")
for axis in axes.ravel():
    axis.set_axis_off()
plt.show()

# %%
# The weight of one atom along the way, and what is left of the squares:

size = (family**2).sum()
print("weights", *(f"{w:.2f}" for w in book.weights[:, 0]))
print(f"left: two atoms {book.value / size:.4f}, rank two {((flat - family) ** 2).sum() / size:.4f}")
