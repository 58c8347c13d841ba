"""
Looking from many sides
=======================

On the line transport is sorting. A sliced distance looks at two clouds from many directions, sorts each view and takes
the mean: of a hundred thousand points in seconds. Which directions these are matters more than how many.
"""

# %%
# Two clouds in space, a ball and a knot. A direction sees their shadows on a line. On the right are the distribution
# functions of these, and :math:`W_2` of the shadows: the mean of how far apart they are, level by level.

import matplotlib.pyplot as plt
import numpy as np

import monge

rng = np.random.default_rng(0)


def ball(n):
    points = rng.normal(size=(n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True) * rng.random((n, 1)) ** (1.0 / 3.0)


def knot(n):
    """A trefoil with some thickness."""
    s = rng.uniform(0.0, 2.0 * np.pi, n)
    curve = np.stack([np.sin(s) + 2.0 * np.sin(2.0 * s), np.cos(s) - 2.0 * np.cos(2.0 * s), -np.sin(3.0 * s)], axis=1)
    return 0.5 * curve + 0.06 * rng.normal(size=(n, 3))


def show(ax, cloud, color):
    ax.scatter(*cloud.T, s=2, color=color, linewidths=0.0)
    ax.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), zlim=(-1.2, 1.2))
    ax.set_box_aspect((4, 4, 3), zoom=1.5)
    ax.view_init(elev=60.0)
    ax.set_axis_off()


x, y = ball(3000), knot(4000)
most = monge.max_sliced_wasserstein(x, y, rng=0)
print(f"sliced W2 {monge.sliced_wasserstein(x, y, rng=0):.3f}, along the direction that sees most {most:.3f}")

fig = plt.figure(figsize=(11.0, 3.6), layout="constrained")
ax = fig.add_subplot(1, 3, 1, projection="3d")
show(ax, x, "#0072B2")
show(ax, y, "#E69F00")
for k, (direction, title) in enumerate(((most.direction, "sees most"), (np.array([1.0, 0.0, 0.0]), "another one")), 2):
    ax = fig.add_subplot(1, 3, k)
    for cloud, color in ((x, "#0072B2"), (y, "#E69F00")):
        shadow = np.sort(cloud @ direction)
        ax.plot(shadow, np.linspace(0.0, 1.0, len(shadow)), color=color)
    ax.set_title(f"{title}: {monge.wasserstein_1d(x @ direction, y @ direction, p=2):.3f}")
plt.show()

# %%
# The sliced distance is a mean over *all* directions, and some have to do. Random ones leave gaps and clusters. The
# library takes a spiral from pole to pole, turned at random, whose error falls much faster. (In the plane it takes
# equal angles, beyond three dimensions blocks of orthogonal directions.)


def mean_over(directions):
    """The sliced distance over directions of one's own."""
    return np.sqrt(np.mean([monge.wasserstein_1d(x[::5] @ u, y[::5] @ u, p=2) ** 2 for u in directions]))


def random_directions(n):
    points = rng.normal(size=(n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


truth = monge.sliced_wasserstein(x[::5], y[::5], n_projections=20_000, rng=0)
counts, draws = np.array([8, 16, 32, 64, 128]), 12
errors = {
    "random directions": lambda n: mean_over(random_directions(n)),
    "a spiral, turned at random": lambda n: monge.sliced_wasserstein(x[::5], y[::5], n_projections=n, rng=rng),
}
fig, ax = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
for (name, distance), color in zip(errors.items(), ("#999999", "#0072B2"), strict=True):
    found = np.array([[distance(int(n)) for _ in range(draws)] for n in counts])
    ax.loglog(counts, np.sqrt(np.mean((found / truth - 1.0) ** 2, axis=1)), "o-", color=color, label=name)
ax.set_xlabel("directions")
ax.set_ylabel("relative error")
ax.legend()
plt.show()

# %%
# It is a loss with derivatives, so a cloud can walk downhill on it. A few new directions in every step will do, since
# together they are many. A step of length d, here three, would go all the way if all that is wanted were a shift: a
# direction sees a d-th of a squared distance on average.

cloud, moments = x, [x]
for k in range(1, 61):
    loss = monge.sliced_wasserstein(cloud, y, n_projections=20, rng=k)
    cloud = cloud - 2.0 * len(cloud) * loss * loss.grad_x
    if k in (10, 60):
        moments.append(cloud)

fig, axes = plt.subplots(1, 4, figsize=(12.0, 3.2), subplot_kw={"projection": "3d"}, layout="constrained")
for ax, points, title in zip(axes, (*moments, y), ("at first", "10 steps", "60 steps", "the goal"), strict=True):
    show(ax, points, "#E69F00" if points is y else "#0072B2")
    ax.set_title(title)
plt.show()
# sphinx_gallery_thumbnail_number = 3
