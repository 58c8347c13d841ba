"""
The mean of shapes
==================

The average of thirty pairs of nested ellipses is a pair of nested ellipses, if it is taken in the right space. And one
shape that does not belong need not spoil it.
"""

# %%
# Each shape is a cloud of points along two ellipses, one inside the other, of random sizes, places and angles. All of
# them are clouds; nobody says which point of one belongs to which of another.

import matplotlib.pyplot as plt
import numpy as np

import monge

BLUE, ORANGE, GREY = "#0072B2", "#E69F00", "0.75"
rng = np.random.default_rng(7)


def ellipse(n, radii, angle, middle):
    t = 2.0 * np.pi * (np.arange(n) + rng.random()) / n
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (np.column_stack((np.cos(t), np.sin(t))) * radii) @ turn.T + middle


def nested():
    outer = ellipse(84, rng.uniform(0.55, 1.0, 2), rng.uniform(0.0, np.pi), np.zeros(2))
    inner = ellipse(36, rng.uniform(0.12, 0.35, 2), rng.uniform(0.0, np.pi), rng.uniform(-0.12, 0.12, 2))
    return np.concatenate((outer, inner))


shapes = [nested() for _ in range(30)]
mean = monge.free_barycenter(shapes)


def frame(ax, title):
    ax.set(xlim=(-1.15, 1.15), ylim=(-1.15, 1.15), aspect="equal", title=title)
    ax.set_axis_off()


fig, axes = plt.subplots(1, 3, figsize=(11.0, 3.9), layout="constrained")
for shape in shapes[:3]:
    axes[0].scatter(*shape.T, s=7)
frame(axes[0], "three of thirty")
axes[1].scatter(*np.concatenate(shapes).T, s=3, color=GREY, linewidths=0.0)
frame(axes[1], "all at once: their mean as densities")
axes[2].scatter(*mean.points.T, s=9, color=BLUE)
frame(axes[2], "their mean as masses that move")
plt.show()

print(f"value {mean.value:.4f}, at most {mean.gap / mean.value:.1%} above the least one, {mean.iterations} steps")

# %%
# How good is it? No measure at all can have a value below ``mean.lower_bound``, which comes from the distances between
# the shapes; ``gap`` is what is left above.
#
# Now one shape in six is a stray: a small ring to the side. In the mean, each point is drawn a sixth of the way to
# it. With ``cost="euclidean"`` the points go to *medians*, which do not care how far a stray is, only that it is one
# among six.

some = [*shapes[:5], ellipse(120, [0.3, 0.3], 0.0, [3.0, 0.0])]
averages = {
    "mean of the five": monge.free_barycenter(some[:5], n_points=120, rng=0),
    "mean with a stray": monge.free_barycenter(some, n_points=120, rng=0),
    "median with a stray": monge.free_barycenter(some, n_points=120, rng=0, cost="euclidean"),
}
fig, axes = plt.subplots(1, 3, figsize=(11.0, 2.3), layout="constrained", sharey=True)
for ax, (title, found) in zip(axes, averages.items(), strict=True):
    for shape in some if "stray" in title else some[:5]:
        ax.scatter(*shape.T, s=2, color=GREY, linewidths=0.0)
    ax.scatter(*found.points.T, s=8, color=ORANGE if "median" in title else BLUE)
    ax.set(xlim=(-1.15, 3.45), ylim=(-1.15, 1.15), aspect="equal", title=title)
    ax.set_axis_off()
plt.show()

for title, found in averages.items():
    print(f"{title:20}: middle at {found.points[:, 0].mean():5.2f}")
