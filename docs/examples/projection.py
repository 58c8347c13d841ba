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


def draw(axis, image):
    side = round(len(image) ** 0.5)
    axis.imshow(image.reshape(side, side), cmap="Blues", vmin=0.0, interpolation="bicubic")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_color("0.8")


images = {"first": shapes[0], "second": shapes[1], "third": shapes[2], "the target": target}
images |= {"nearest in squares": linear @ shapes, "nearest by transport": found.projection}
fig, axes = plt.subplots(2, 3, figsize=(7.0, 5.0), layout="constrained")
for axis, (title, image) in zip(axes.flat, images.items(), strict=True):
    draw(axis, image)
    axis.set_title(title)
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

fig = plt.figure(figsize=(10.0, 4.4), layout="constrained")
left, right = fig.subfigures(1, 2, width_ratios=(1.0, 3.6))
for k, (axis, atom) in enumerate(zip(left.subplots(2, 1), book.atoms, strict=True), start=1):
    draw(axis, atom)
    axis.set_title(f"atom {k}")
rows = {"data": family, "mixed\natoms": book.reconstructions, "rank two": flat}
for line, (name, images) in zip(right.subplots(3, 6), rows.items(), strict=True):
    for axis, image in zip(line, images, strict=True):
        draw(axis, image)
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %%
# The weight of one atom along the way, and what is left of the squares:

size = (family**2).sum()
print("weights", *(f"{w:.2f}" for w in book.weights[:, 0]))
print(f"left: two atoms {book.value / size:.4f}, rank two {((flat - family) ** 2).sum() / size:.4f}")
