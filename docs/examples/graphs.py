"""
Graphs without common nodes
===========================

Two graphs, or twenty, that share neither nodes nor a number of them: which nodes play the same part, and what is their
average?
"""

# %%
# A graph is a structure: for each pair of its nodes, the number of edges on the way from one to the other. Here are
# rings with a chord or two too many, and with a feature on each node, its color: a wave that runs once around the ring,
# and noise.

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse.csgraph import shortest_path

import monge

rng = np.random.default_rng(3)


def ring(n):
    edges = np.eye(n, k=1) + np.eye(n, k=n - 1)
    for _ in range(rng.integers(0, 3)):  # a chord between near nodes
        i = rng.integers(n)
        edges[i, (i + 2) % n] = 1.0
    order = rng.permutation(n)  # in which nodes are listed means nothing
    edges = np.maximum(edges, edges.T)[np.ix_(order, order)]
    wave = np.sin(2.0 * np.pi * order / n) + 0.2 * rng.normal(size=n)
    return edges, wave[:, np.newaxis]


def draw(ax, edges, wave, points, title):
    for i, j in np.argwhere(np.triu(edges)):
        ax.plot(*points[[i, j]].T, color="0.6", linewidth=0.8, zorder=0)
    ax.scatter(*points.T, c=wave[:, 0], cmap="coolwarm", vmin=-1.3, vmax=1.3, s=28)
    ax.set_title(title, fontsize="medium")
    ax.set_aspect("equal")
    ax.set_axis_off()


def laid_out(steps):
    """Points in the plane, about as far apart as the graph says: classical scaling."""
    return monge.gromov_barycenter([monge.CostMatrix(steps)]).points(2, power=1.0)


# %%
# Two of them are matched by :func:`monge.gromov_wasserstein`. By their structures alone, a ring fits another in any
# turn. Features tell which turn is meant: with a share of them, nodes of one color go together.

(edges_x, wave_x), (edges_y, wave_y) = ring(16), ring(20)
steps_x, steps_y = shortest_path(edges_x), shortest_path(edges_y)
x, y = laid_out(steps_x), laid_out(steps_y) + np.array([14.0, 0.0])
fig, axes = plt.subplots(1, 2, figsize=(10.0, 3.2), layout="constrained")
for ax, alpha in zip(axes, (1.0, 0.3), strict=True):
    t = monge.gromov_wasserstein(
        monge.CostMatrix(steps_x), monge.CostMatrix(steps_y), features=(wave_x, wave_y), alpha=alpha, n_starts=4, rng=0
    )
    apart = np.sum(t.plan.data * (wave_x[t.plan.row, 0] - wave_y[t.plan.col, 0]) ** 2)
    for i, j, mass in zip(t.plan.row, t.plan.col, t.plan.data, strict=True):
        ax.plot(*np.stack([x[i], y[j]]).T, color="#009E73", linewidth=16.0 * mass, alpha=0.6, zorder=-1)
    draw(ax, edges_x, wave_x, x, "")
    draw(ax, edges_y, wave_y, y, f"alpha = {alpha:g}: features {apart:.2f} apart")
plt.show()

# %%
# :func:`monge.gromov_barycenter` averages all of them, structures and features at once. Its structure is a mean of
# numbers of steps over nodes that go together; to draw it, each node is joined to those that are nearest to it. What
# was a chord here or there is gone, and of the noise of the waves little is left.

graphs = [ring(n) for n in (14, 16, 17, 18, 20, 22)]
structures = [monge.CostMatrix(shortest_path(edges)) for edges, _ in graphs]
average = monge.gromov_barycenter(
    structures, features=[wave for _, wave in graphs], alpha=0.3, n_points=16, n_starts=3, rng=0
)
print(average)
near = average.structure <= np.sort(average.structure + np.diag(np.full(16, np.inf)), axis=1)[:, 1:2]
# sphinx_gallery_thumbnail_number = 2
fig, axes = plt.subplots(1, 5, figsize=(12.0, 2.8), layout="constrained")
for ax, (edges, wave), C in zip(axes[:4], graphs, structures, strict=False):
    draw(ax, edges, wave, laid_out(C.C), f"{len(edges)} nodes")
joined = (near | near.T) & ~np.eye(16, dtype=bool)
draw(axes[-1], joined, average.features, average.points(2, power=1.0), "the average of six")
plt.show()
