"""
A horse, registered
===================

Two pictures of the same shape, of which one was turned, squeezed, sheared and moved. No point of one is matched with a
point of the other: the derivative of a Sinkhorn divergence finds the map between them.
"""

# %%
# The silhouette is that of scikit-image's horse. The second picture is made from the first one, pixel by pixel, by an
# affine map :math:`z \mapsto M z + t` of coordinates. What we keep of each picture are points of the shape, on grids of
# different width: the clouds have different sizes and no points in common.

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize
from skimage import data, transform

import monge

horse = ~data.horse()
middle = np.array([200.0, 164.0])
angle = np.deg2rad(35.0)
turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
M = turn @ np.array([[0.7, 0.15], [0.0, 0.55]])
t = middle + np.array([30.0, -20.0]) - M @ middle

matrix = np.eye(3)
matrix[:2, :2], matrix[:2, 2] = M, t
moved = transform.warp(horse.astype(float), transform.AffineTransform(matrix).inverse) > 0.5


def cloud(picture, width):
    """Coordinates (x, y) of every so many pixels of the shape."""
    rows, columns = np.nonzero(picture[::width, ::width])
    return width * np.column_stack([columns, rows]).astype(float)


source, target = cloud(horse, 9), cloud(moved, 6)
origin, unit = source.mean(axis=0), source.std()
x, y = (source - origin) / unit, (target - origin) / unit
print(len(x), "points and", len(y))

# %%
# The unknowns are the six numbers of the map. The chain rule takes ``grad_x``, the derivative with respect to the moved
# points, to them, and L-BFGS does the rest. A large eps first, since it smooths the loss and sees far, then a smaller
# one, from where the first one ended.


def loss(numbers, eps):
    """The divergence between the moved source and the target, and its derivative."""
    L, shift = numbers[:4].reshape(2, 2), numbers[4:]
    divergence = monge.sinkhorn_divergence(x @ L.T + shift, y, eps=eps, tol=1e-4)
    slope = divergence.grad_x
    return divergence.value, np.concatenate([(slope.T @ x).ravel(), slope.sum(axis=0)])


numbers = np.array([1.0, 0.0, 0.0, 1.0, 0.0, 0.0])  # the map that moves nothing
path, values = [numbers], []
for eps in (0.3, 0.03):
    found = minimize(
        loss, numbers, (eps,), jac=True, method="L-BFGS-B", callback=lambda numbers: path.append(numbers.copy())
    )
    numbers = found.x


def placed(numbers, points):
    """Where the map with these numbers puts points, in pixels."""
    return ((points - origin) / unit @ numbers[:4].reshape(2, 2).T + numbers[4:]) * unit + origin


truth = source @ M.T + t
errors = [np.sqrt(((placed(one, source) - truth) ** 2).sum(axis=1).mean()) for one in path]
print(f"root mean square error in pixels: {errors[0]:.1f} at first, {errors[-1]:.2f} after {len(path) - 1} steps")
print("M found:", numbers[:4].round(3), " true:", M.ravel().round(3))

# %%
# The picture follows the source on its way to the target, in grey. What error remains, a pixel or so, is that of the
# coarse grids.

fig, axes = plt.subplots(1, 5, figsize=(14.0, 2.9), layout="constrained")
shown = [0, 1, 3, 5, len(path) - 1]
for ax, k in zip(axes, shown, strict=True):
    ax.imshow(moved, cmap="Greys", alpha=0.35)
    ax.scatter(*placed(path[k], source).T, s=3, color="#0072B2", linewidths=0.0)
    ax.set_title(f"step {k}: {errors[k]:.1f} pixels off")
    ax.set_xlim(0, 400)
    ax.set_ylim(328, 0)
    ax.set_axis_off()
plt.show()

# %%
# Mass has to agree for that: both clouds are uniform on shapes that an affine map takes to each other. And the loss has
# other valleys. From a map that turns the horse upside down, descent would end at a horse that lies on its back.
