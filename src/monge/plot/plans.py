"""Plans between clouds of points and between histograms."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from monge.plot.style import INK, MOST_LINES, SOURCE, TARGET, heaviest, points_of
from monge.problem.transport import Transport

__all__ = ["histograms_plan", "plan"]


def plan(
    transport: Transport,
    x: Any,
    y: Any,
    ax: Any = None,
    *,
    lines: int = MOST_LINES,
    colors: tuple[str, str] = (SOURCE, TARGET),
) -> Any:
    """Draw both point clouds and a line from x_i to y_j wherever P_ij > 0, the darker the more mass it carries.

    Points have areas in proportion to their mass. In one dimension the sources stand above the targets.

    Parameters
    ----------
    transport : Transport
        What a solver returned for the two clouds.
    x : array_like (n, d) or (n,)
        Source points, d = 1, 2 or 3.
    y : array_like (m, d) or (m,)
        Target points.
    ax : matplotlib axes, optional
        Where to draw, for d = 3 axes with ``projection="3d"``; None for a new figure.
    lines : int
        Most lines that are drawn, the heaviest first.
    colors : (str, str)
        Of the sources and the targets.

    Returns
    -------
    matplotlib axes
        Those that were drawn into; ``axes.figure`` is their figure.

    Raises
    ------
    ValueError
        If the points do not fit the plan, or have more than three coordinates.

    Examples
    --------
    >>> import numpy as np, monge
    >>> from monge import plot
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(30, 2)), rng.normal(size=(40, 2)) + 3.0
    >>> ax = plot.plan(monge.emd(monge.PointCloud(x, y)), x, y)
    >>> len(ax.collections)  # the lines, the sources, the targets
    3
    """
    transport = getattr(transport, "on_host", transport)  # a result whose arrays are on a GPU
    sources, targets = points_of(x, "x", transport.shape[0]), points_of(y, "y", transport.shape[1])
    d = sources.shape[1]
    if targets.shape[1] != d or d > 3:
        raise ValueError(
            f"x and y should both have 1, 2 or 3 coordinates; got {d} and {targets.shape[1]}. "
            "Project them, for example on their first principal components."
        )
    if d == 1:
        sources, targets = (np.column_stack([p, np.full(len(p), h)]) for p, h in ((sources, 1.0), (targets, 0.0)))
    if ax is None:
        ax = Figure(figsize=(6.0, 6.0 if d > 1 else 3.0), layout="constrained").add_subplot(
            projection="3d" if d == 3 else None
        )
    rows, cols, mass = heaviest(transport, lines)
    segments = np.stack([sources[rows], targets[cols]], axis=1)  # (lines, 2, d)
    ink = {"colors": INK, "alpha": np.clip(mass / mass.max(), 0.05, 1.0) * 0.6, "linewidths": 0.8, "zorder": 1}
    if d == 3:
        from mpl_toolkits.mplot3d.art3d import Line3DCollection

        ax.add_collection3d(Line3DCollection(segments, **ink))
    else:
        ax.add_collection(LineCollection(list(segments), **ink))
    for points, weights, color, name in (
        (sources, transport.plan.sum(axis=1), colors[0], "source"),
        (targets, transport.plan.sum(axis=0), colors[1], "target"),
    ):
        area = 24.0 * weights / weights[weights > 0.0].mean()
        ax.scatter(*points.T, s=area, color=color, edgecolors="white", linewidths=0.5, label=name, zorder=2)
    if d == 1:
        ax.set_yticks([0.0, 1.0], ["target", "source"])
    else:
        ax.set_aspect("equal")
        ax.legend(frameon=False)
    return ax


def histograms_plan(transport: Transport, figure: Any = None, *, cells: int = 400) -> Any:
    """Draw the plan as a matrix, with the marginals a on its left and b above it.

    Parameters
    ----------
    transport : Transport
        Of n sources and m targets in an order that means something, as the bins of two histograms.
    figure : matplotlib figure, optional
        Where to draw; None for a new one.
    cells : int
        Larger plans are summed over blocks to at most this many rows and columns.

    Returns
    -------
    matplotlib figure
        With the axes of the plan, of a and of b, in this order.

    Examples
    --------
    >>> import numpy as np, monge
    >>> from monge import plot
    >>> bins = np.arange(50.0)
    >>> a, b = np.exp(-((bins - 15.0) ** 2) / 50.0), np.exp(-((bins - 30.0) ** 2) / 100.0)
    >>> t = monge.emd(monge.PointCloud(bins, bins), a / a.sum(), b / b.sum())
    >>> [axes.get_label() for axes in plot.histograms_plan(t).axes]
    ['plan', 'a', 'b']
    """
    from matplotlib.colors import LinearSegmentedColormap

    figure = Figure(figsize=(6.0, 6.0), layout="constrained") if figure is None else figure
    n, m = transport.shape
    rows, cols = min(n, cells), min(m, cells)
    entries = transport.plan
    image = np.zeros((rows, cols))
    np.add.at(image, (entries.row * rows // n, entries.col * cols // m), entries.data)
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 5), height_ratios=(1, 5))
    middle = figure.add_subplot(grid[1, 1], label="plan")
    left = figure.add_subplot(grid[1, 0], sharey=middle, label="a")
    top = figure.add_subplot(grid[0, 1], sharex=middle, label="b")
    shades = LinearSegmentedColormap.from_list("ink", ["#ffffff", INK])
    # Plans are sparse: a square root keeps light entries visible.
    middle.imshow(np.sqrt(image), cmap=shades, aspect="auto", extent=(0, m, n, 0), interpolation="nearest")
    left.stairs(image.sum(axis=1), np.linspace(0, n, rows + 1), orientation="horizontal", fill=True, color=SOURCE)
    top.stairs(image.sum(axis=0), np.linspace(0, m, cols + 1), fill=True, color=TARGET)
    left.invert_xaxis()
    for axes, name in ((left, "a"), (top, "b")):
        axes.set_axis_off()
        axes.set_title(name, loc="right" if name == "a" else "left", color=INK)
    middle.tick_params(left=False, labelleft=False, right=True, labelright=True)
    return figure
