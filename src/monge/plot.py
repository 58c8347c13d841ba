"""Pictures of plans, flows, training. The only file that imports matplotlib: ``pip install 'monge[demo]'`` brings it.

Functions draw into the axes or the figure that they are given, else into a new `matplotlib.figure.Figure`, without
pyplot: nothing is opened on a screen and nothing global changes. ``axes.figure.savefig(name)`` writes the picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from monge.entropic.semidual.result import SemiDual
from monge.flows.flow import Flow
from monge.maps.color import ColorTransfer
from monge.problem.arrays import real_array, sampled
from monge.problem.home import on_host
from monge.problem.transport import Transport

__all__ = [
    "color_transfer",
    "critic",
    "flow",
    "histograms_plan",
    "laguerre",
    "pictures",
    "plan",
    "samples",
    "training",
]

Array = NDArray[np.float64]

# Okabe and Ito's blue and orange, which the colour-blind tell apart too.
_SOURCE, _TARGET = "#0072B2", "#E69F00"

# Theirs as well: what a critic takes for high and for low.
_HIGH, _LOW = "#D55E00", "#0072B2"

_INK, _PAPER, _FAINT = "#22252b", "#f1efea", "#7d8087"

# More lines than this make a grey cloud and a slow file.
_MOST_LINES = 5000

# A line that changes colour on its way is drawn as so many short ones.
_PIECES = 16

# What the eye makes of red, green and blue (ITU-R BT.601), which is height in colour space.
_LUMA = np.array([0.299, 0.587, 0.114])


def plan(
    transport: Transport,
    x: Any,
    y: Any,
    ax: Any = None,
    *,
    lines: int = _MOST_LINES,
    colors: tuple[str, str] = (_SOURCE, _TARGET),
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
    sources, targets = _points(x, "x", transport.shape[0]), _points(y, "y", transport.shape[1])
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
    rows, cols, mass = _heaviest(transport, lines)
    segments = np.stack([sources[rows], targets[cols]], axis=1)  # (lines, 2, d)
    ink = {"colors": _INK, "alpha": np.clip(mass / mass.max(), 0.05, 1.0) * 0.6, "linewidths": 0.8, "zorder": 1}
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
    shades = LinearSegmentedColormap.from_list("ink", ["#ffffff", _INK])
    # Plans are sparse: a square root keeps light entries visible.
    middle.imshow(np.sqrt(image), cmap=shades, aspect="auto", extent=(0, m, n, 0), interpolation="nearest")
    left.stairs(image.sum(axis=1), np.linspace(0, n, rows + 1), orientation="horizontal", fill=True, color=_SOURCE)
    top.stairs(image.sum(axis=0), np.linspace(0, m, cols + 1), fill=True, color=_TARGET)
    left.invert_xaxis()
    for axes, name in ((left, "a"), (top, "b")):
        axes.set_axis_off()
        axes.set_title(name, loc="right" if name == "a" else "left", color=_INK)
    middle.tick_params(left=False, labelleft=False, right=True, labelright=True)
    return figure


def flow(
    flow: Flow,
    target: Any = None,
    ax: Any = None,
    *,
    lines: int = _MOST_LINES,
    colors: tuple[str, str] = (_SOURCE, _TARGET),
) -> Any:
    """Draw the paths of the particles of a gradient flow, where they start, and where they end.

    In one dimension time goes to the right, and the target stands where it ends.

    Parameters
    ----------
    flow : Flow
        What `monge.gradient_flow` returned, for particles with one or two coordinates. Paths go through what was
        recorded.
    target : array_like (m, d) or (m,), optional
        Points to draw beside them.
    ax : matplotlib axes, optional
        Where to draw; None for a new figure.
    lines : int
        Most paths that are drawn, evenly spread over the numbers of the particles.
    colors : (str, str)
        Of the particles and the target.

    Returns
    -------
    matplotlib axes
        Those that were drawn into; ``axes.figure`` is their figure.

    Raises
    ------
    ValueError
        If the particles, or the target, do not have one or two coordinates.

    Examples
    --------
    >>> import numpy as np, monge
    >>> from monge import plot
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(30, 2)), rng.normal(size=(40, 2)) + 3.0
    >>> flow = monge.gradient_flow(x, lambda x: monge.energy_distance(x, y), step=0.2, n_steps=20)
    >>> ax = plot.flow(flow, y)
    >>> len(ax.collections)  # the paths, the target, the starts, the ends
    4
    """
    ways = np.asarray(on_host(flow.trajectory), dtype=np.float64)  # (k, n, d)
    d = ways.shape[2]
    goals = None if target is None else _points(target, "target", None)
    if d > 2 or (goals is not None and goals.shape[1] != d):
        raise ValueError(
            f"the particles should have 1 or 2 coordinates, and the target as many; got {d}"
            f"{'' if goals is None else f' and {goals.shape[1]}'}. Draw two of them, or project the trajectory."
        )
    if d == 1:
        times = flow.times[flow.recorded]
        ways = np.stack([np.broadcast_to(times[:, np.newaxis], ways.shape[:2]), ways[:, :, 0]], axis=2)
        if goals is not None:
            goals = np.column_stack([np.full(len(goals), times[-1]), goals])
    if ax is None:
        ax = Figure(figsize=(6.0, 6.0 if d == 2 else 3.5), layout="constrained").add_subplot()
    drawn = ways[:, sampled(ways.shape[1], max(1, int(lines)))].swapaxes(0, 1)
    ax.add_collection(LineCollection(list(drawn), colors=_INK, alpha=0.25, linewidths=0.6, zorder=1))
    size = {"s": 14.0, "linewidths": 0.5, "zorder": 2}
    if goals is not None:
        ax.scatter(*goals.T, color=colors[1], edgecolors="white", label="target", **size)
    ax.scatter(*ways[0].T, facecolors="none", edgecolors=_FAINT, label="start", **size)
    ax.scatter(*ways[-1].T, color=colors[0], edgecolors="white", label="end", **size)
    if d == 1:
        ax.set_xlabel("time")
    else:
        ax.set_aspect("equal")
    ax.legend(frameon=False)
    return ax


def laguerre(found: SemiDual, ax: Any = None, *, limits: Any = None, cells: int = 400) -> Any:
    """Draw the Laguerre cells of a semi-discrete transport in the plane: which points go to which atom.

    Cells are found by asking for the atom of each pixel, so any ground cost will do, and with entropy they are those of
    the largest share. A line leads from an atom to the middle of its cell in the picture, since the two may be apart.

    Parameters
    ----------
    found : SemiDual
        What `semidual` returned, for atoms of two coordinates.
    ax : matplotlib axes, optional
        Where to draw; None for a new figure.
    limits : (float, float, float, float), optional
        Left, right, bottom and top; None for a box around the atoms.
    cells : int
        Pixels along the wider side.

    Returns
    -------
    matplotlib axes
        Those that were drawn into; ``axes.figure`` is their figure.

    Raises
    ------
    ValueError
        If atoms do not have two coordinates, or limits are no box.

    Examples
    --------
    >>> import numpy as np, monge
    >>> from monge import plot
    >>> y = np.random.default_rng(0).random((12, 2))
    >>> ax = plot.laguerre(monge.semidual(lambda rng, n: rng.random((n, 2)), y, rng=0), limits=(0, 1, 0, 1))
    >>> len(ax.images), len(ax.collections)  # the cells; the lines and the atoms
    (1, 2)
    """
    from matplotlib.colors import ListedColormap

    y, b = found.on_host["y"], found.on_host["b"]
    if y.shape[1] != 2:
        raise ValueError(f"Laguerre cells are drawn in the plane; got atoms of {y.shape[1]} coordinates.")
    box, at = _pixels(y, limits, cells)
    atoms = np.asarray(found.assign(at.reshape(-1, 2))).reshape(at.shape[:2])
    # Colours in an order that is far from that of the atoms: neighbours in the array are often neighbours in the plane.
    shades = np.array([0.35 + 0.6 * ((0.618 * k) % 1.0) for k in range(len(y))])
    tint = np.array([0x00, 0x72, 0xB2]) / 255.0  # of `_SOURCE`
    colors = ListedColormap(1.0 - (1.0 - shades[:, np.newaxis]) * (1.0 - tint))
    if ax is None:
        ax = Figure(figsize=(6.0, 6.0), layout="constrained").add_subplot()
    ends = {"vmin": -0.5, "vmax": len(y) - 0.5, "interpolation": "nearest"}
    ax.imshow(atoms, origin="lower", extent=box, cmap=colors, **ends)
    count = np.bincount(atoms.ravel(), minlength=len(y))
    seen = np.flatnonzero(count)
    sums = np.stack([np.bincount(atoms.ravel(), at[..., k].ravel(), len(y))[seen] for k in range(2)], axis=1)
    middles = sums / count[seen, np.newaxis]
    ax.add_collection(LineCollection(list(np.stack([y[seen], middles], axis=1)), colors=_INK, linewidths=0.7))
    area = 30.0 * b / b[b > 0.0].mean()
    ax.scatter(*y.T, s=area, color=_TARGET, edgecolors="white", linewidths=0.6, zorder=2)
    ax.set(xlim=box[:2], ylim=box[2:], aspect="equal")
    return ax


def critic(
    found: Any,
    x: Any,
    y: Any,
    ax: Any = None,
    *,
    limits: Any = None,
    cells: int = 200,
    levels: int = 12,
    colors: tuple[str, str] = (_HIGH, _LOW),
) -> Any:
    """Draw a function of the plane, such as a critic, as background colour with contour lines, and two clouds over it.

    A critic of x and y is high at x, where the background has the colour of x, and low at y; a point that goes where it
    falls steepest crosses the contour lines at right angles.

    Parameters
    ----------
    found : object with ``potential``, or callable
        What `monge.neural.critic` returned, or `semidual`; or a function from points (k, 2) to numbers (k,).
    x, y : array_like (n, 2), (m, 2)
        The two clouds.
    ax : matplotlib axes, optional
        Where to draw; None for a new figure.
    limits : (float, float, float, float), optional
        Left, right, bottom and top; None for a box around both clouds.
    cells : int
        Pixels along the wider side.
    levels : int
        About how many contour lines.
    colors : (str, str)
        Of x and of high values, of y and of low ones.

    Returns
    -------
    matplotlib axes
        Those that were drawn into; ``axes.figure`` is their figure.

    Raises
    ------
    TypeError
        If `found` is no function and has none.
    ValueError
        If points do not have two coordinates, limits are no box, or the function gives other than a finite number for
        each point.

    Examples
    --------
    >>> import numpy as np
    >>> from monge import plot
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(30, 2)), rng.normal(size=(40, 2)) + [3.0, 0.0]
    >>> ax = plot.critic(lambda points: -points[:, 0], x, y)  # the best one for a shift along the axis
    >>> len(ax.images)
    1
    """
    from matplotlib.colors import LinearSegmentedColormap

    function = getattr(found, "potential", found)
    if not callable(function):
        raise TypeError(f"found should be a function of points, or have a potential; got {type(found).__name__}.")
    high, low = _points(x, "x", None), _points(y, "y", None)
    if high.shape[1] != 2 or low.shape[1] != 2:
        raise ValueError(
            f"a critic is drawn in the plane; got points of {high.shape[1]} and {low.shape[1]} coordinates."
        )
    box, at = _pixels(np.concatenate([high, low]), limits, cells)
    values = np.asarray(on_host(function(at.reshape(-1, 2))), dtype=np.float64).squeeze()
    if values.shape != (at.shape[0] * at.shape[1],) or not np.isfinite(values).all():
        raise ValueError(
            f"the function should give a finite number for each of {at.shape[0] * at.shape[1]} points; got "
            f"{'NaN or infinite ones' if values.size == at.size // 2 else f'shape {values.shape}'}."
        )
    values = values.reshape(at.shape[:2])
    if ax is None:
        ax = Figure(figsize=(6.0, 6.0), layout="constrained").add_subplot()
    shades = LinearSegmentedColormap.from_list("critic", [colors[1], "#ffffff", colors[0]])
    ax.imshow(values, origin="lower", extent=box, cmap=shades, alpha=0.55, interpolation="bilinear")
    if float(np.ptp(values)) > 0.0:
        ax.contour(*at.transpose(2, 0, 1), values, levels=levels, colors=_INK, linewidths=0.6, alpha=0.6)
    for points, color, name in ((high, colors[0], "x"), (low, colors[1], "y")):
        ax.scatter(*points.T, s=14.0, color=color, edgecolors="white", linewidths=0.5, label=name, zorder=3)
    ax.set(xlim=box[:2], ylim=box[2:], aspect="equal")
    ax.legend(frameon=True, framealpha=0.8, edgecolor="none")
    return ax


def _pixels(points: Array, limits: Any, cells: int) -> tuple[tuple[float, float, float, float], Array]:
    """Left, right, bottom and top, of a box around points (n, 2) unless limits say it; and the middles of its pixels
    (rows, columns, 2), of which there are so many along its wider side."""
    if limits is None:
        low, high = points.min(axis=0), points.max(axis=0)
        room = 0.15 * max(float((high - low).max()), np.finfo(float).tiny)
        (left, bottom), (right, top) = (low - room).tolist(), (high + room).tolist()
    else:
        left, right, bottom, top = (float(end) for end in limits)
    if not (left < right and bottom < top):
        raise ValueError(f"limits should be left < right and bottom < top; got {limits}.")
    pixel = max(right - left, top - bottom) / cells
    across, up = (low + pixel * (np.arange(max(1, round((high - low) / pixel))) + 0.5) for low, high in
                  ((left, right), (bottom, top)))  # fmt: skip
    return (left, right, bottom, top), np.stack(np.meshgrid(across, up), axis=2)


def color_transfer(source: Any, target: Any, found: ColorTransfer, *, lines: int = 1500) -> Any:
    """Draw a colour transfer: the source, the target, the result, and the plan in colour space.

    Colour space is seen from the side: upwards is luminance, and across the direction, among those without luminance,
    in which the two palettes vary most. A dot's area is the number of pixels of its colour; the heaviest entries of the
    plan are lines that change from the colour they come from to the one they go to.

    Parameters
    ----------
    source, target : array_like (h, w, 3)
        The pictures, as `monge.color_transfer` takes them.
    found : ColorTransfer
        What `monge.maps.color.transfer_colors` returned for them.
    lines : int
        Most lines that are drawn.

    Returns
    -------
    matplotlib figure
        With the axes of the source, the target, the result and the plan, in this order.

    Examples
    --------
    >>> import numpy as np
    >>> from monge import plot
    >>> from monge.maps.color import transfer_colors
    >>> rng = np.random.default_rng(0)
    >>> source, target = rng.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    >>> figure = plot.color_transfer(source, target, transfer_colors(source, target, colors=20))
    >>> len(figure.axes)
    4
    """
    figure = Figure(figsize=(12.0, 8.4), facecolor=_PAPER)
    pictures = [_shown(picture) for picture in (source, target, found.image)]
    ratios = [picture.shape[1] / picture.shape[0] for picture in pictures]
    top = figure.add_gridspec(1, 3, left=0.03, right=0.97, top=0.95, bottom=0.62, wspace=0.04, width_ratios=ratios)
    for k, (picture, name) in enumerate(
        zip(pictures, ("source", "target", "the source in the target's colours"), strict=True)
    ):
        axes = figure.add_subplot(top[0, k])
        axes.imshow(picture, interpolation="lanczos", aspect="equal", interpolation_stage="rgba")
        axes.set_axis_off()
        axes.set_title(name, loc="left", color=_INK, fontsize=13, pad=7)
    _color_space(figure.add_axes((0.03, 0.05, 0.94, 0.51)), found, lines)
    return figure


def training(found: Any, figure: Any = None, *, share: float = 0.9) -> Any:
    """Draw how a model of ``monge.neural`` learned: its functional's value, and below it what was measured.

    The running mean is drawn over the values. Lines across mark where an outer step begins.

    Parameters
    ----------
    found : monge.neural.Model or monge.neural.History
        What was trained, or its history.
    figure : matplotlib figure, optional
        Where to draw; None for a new one.
    share : float
        Of what was before, in the running mean: see `monge.neural.History.smoothed`.

    Returns
    -------
    matplotlib figure
        With axes of the value, and of each metric, which are their labels.

    Raises
    ------
    TypeError
        If `found` has no history of training.

    Examples
    --------
    >>> import monge.neural  # doctest: +SKIP
    >>> from monge import plot
    >>> model = monge.neural.WGAN(n_steps=3, rng=0).fit([[0.0], [1.0]])  # doctest: +SKIP
    >>> [axes.get_label() for axes in plot.training(model).axes]  # doctest: +SKIP
    ['value']
    """
    history = getattr(found, "history", found)
    if not (hasattr(history, "smoothed") and hasattr(history, "metrics")):
        raise TypeError(
            f"found should be a model of monge.neural that was fitted, or its history; got {type(found).__name__}."
        )
    metrics = history.metrics
    if figure is None:
        figure = Figure(figsize=(7.0, 2.2 + 1.6 * (1 + len(metrics))), layout="constrained")
    grid = figure.add_gridspec(1 + len(metrics), 1, height_ratios=[1.6] + [1.0] * len(metrics))
    top = figure.add_subplot(grid[0], label="value")
    top.plot(history.step, history.value, color=_SOURCE, alpha=0.3, linewidth=0.7, label="value")
    top.plot(history.step, history.smoothed(share), color=_INK, linewidth=1.2, label="running mean")
    top.legend(frameon=False)
    rows = [top]
    for row, (name, (steps, values)) in enumerate(metrics.items(), 1):
        axes = figure.add_subplot(grid[row], sharex=top, label=name)
        axes.plot(steps, values, color=_TARGET, marker=".", linewidth=1.0)
        rows.append(axes)
    for axes in rows:
        axes.set_ylabel(axes.get_label())
        axes.label_outer()
        for begins in history.step[1:][np.diff(history.phase) > 0]:
            axes.axvline(begins - 0.5, color=_FAINT, linewidth=0.6, linestyle=":")
    rows[-1].set_xlabel("iteration")
    return figure


def samples(
    generated: Any, target: Any, ax: Any = None, *, points: int = 2000, colors: tuple[str, str] = (_SOURCE, _TARGET)
) -> Any:
    """Draw what a model makes in the plane over what it learned from.

    Parameters
    ----------
    generated, target : array_like (n, 2), (m, 2)
        Samples, as of ``model.sample(n)``, and of the target.
    ax : matplotlib axes, optional
        Where to draw; None for a new figure.
    points : int
        Most of each that are drawn, evenly spread over their numbers.
    colors : (str, str)
        Of what was generated and of the target.

    Returns
    -------
    matplotlib axes
        Those that were drawn into; ``axes.figure`` is their figure. Its limits are those of the target and a little
        more: a sample that is far off does not make all the others small.

    Raises
    ------
    ValueError
        If samples do not have two coordinates.

    Examples
    --------
    >>> import numpy as np
    >>> from monge import plot
    >>> rng = np.random.default_rng(0)
    >>> ax = plot.samples(rng.normal(size=(50, 2)), rng.normal(size=(80, 2)))
    >>> [len(drawn.get_offsets()) for drawn in ax.collections]  # the target below
    [80, 50]
    """
    made, goals = _points(generated, "generated", None), _points(target, "target", None)
    if made.shape[1] != 2 or goals.shape[1] != 2:
        raise ValueError(
            f"samples are drawn in the plane; got points of {made.shape[1]} and {goals.shape[1]} coordinates. Draw two "
            "of them; images are for plot.pictures."
        )
    if ax is None:
        ax = Figure(figsize=(5.0, 5.0), layout="constrained").add_subplot()
    for cloud, color, name in ((goals, colors[1], "target"), (made, colors[0], "generated")):
        drawn = cloud[sampled(len(cloud), max(1, int(points)))]
        ax.scatter(*drawn.T, s=5.0, color=color, alpha=0.5, linewidths=0.0, label=name)
    low, high = goals.min(axis=0), goals.max(axis=0)
    room = 0.15 * max(float((high - low).max()), float(np.finfo(np.float32).tiny))
    ax.set(xlim=(low[0] - room, high[0] + room), ylim=(low[1] - room, high[1] + room), aspect="equal")
    ax.legend(frameon=False, loc="upper right", markerscale=2.0)
    return ax


def pictures(
    images: Any, ax: Any = None, *, columns: int | None = None, limits: tuple[float, float] | None = None
) -> Any:
    """Draw a sheet of small images side by side, row by row.

    Parameters
    ----------
    images : array_like (n, h, w), (n, 1, h, w), (n, 3, h, w) or (n, h, w, 3)
        Grey or of red, green and blue.
    ax : matplotlib axes, optional
        Where to draw; None for a new figure.
    columns : int, optional
        Images in a row; None for a sheet that is as wide as it is high.
    limits : (float, float), optional
        What is black and what is white. None for 0 and 255 of bytes, for the least and the largest of others.

    Returns
    -------
    matplotlib axes
        Those that were drawn into, with one image, the sheet; ``axes.figure`` is their figure.

    Raises
    ------
    ValueError
        If the array is none of images, or limits are no interval.

    Examples
    --------
    >>> import numpy as np
    >>> from monge import plot
    >>> ax = plot.pictures(np.random.default_rng(0).random((10, 8, 8)), columns=5)
    >>> ax.images[0].get_array().shape  # two rows of five, and a line of one pixel around each
    (19, 46, 3)
    """
    expected = "an array of shape (n, h, w), (n, 3, h, w) or (n, h, w, 3)"
    array = real_array(images, "images", (3, 4), expected)
    bytes_ = np.asarray(on_host(images)).dtype == np.uint8
    if array.ndim == 3:
        array = array[:, np.newaxis]
    elif array.shape[1] not in (1, 3):
        array = np.moveaxis(array, -1, 1)
    if array.shape[1] not in (1, 3) or 0 in array.shape:
        raise ValueError(f"images should be {expected}; got shape {np.shape(images)}.")
    ends = limits if limits is not None else (0.0, 255.0) if bytes_ else (float(array.min()), float(array.max()))
    low, high = (float(end) for end in ends)
    if not (low <= high if limits is None else low < high):
        raise ValueError(f"limits should be low < high, and images finite; got {ends}.")
    array = np.clip((array.astype(np.float64) - low) / (high - low or 1.0), 0.0, 1.0)
    n, _, height, width = array.shape
    columns = min(n, int(np.ceil(np.sqrt(n))) if columns is None else max(1, int(columns)))
    rows = -(-n // columns)
    sheet = np.ones((rows * (height + 1) + 1, columns * (width + 1) + 1, 3))
    for k, image in enumerate(np.moveaxis(array, 1, -1)):
        top, left = k // columns * (height + 1) + 1, k % columns * (width + 1) + 1
        sheet[top : top + height, left : left + width] = image
    if ax is None:
        ax = Figure(figsize=(6.0, 6.0 * sheet.shape[0] / sheet.shape[1]), layout="constrained").add_subplot()
    ax.imshow(sheet, interpolation="nearest")
    ax.set_axis_off()
    return ax


def _shown(picture: Any) -> Any:
    """Colours as matplotlib draws them, which has no 16 bits."""
    colors = np.asarray(picture)[..., :3]
    return colors / 65535.0 if colors.dtype == np.uint16 else colors


def _color_space(axes: Any, found: ColorTransfer, lines: int) -> None:
    x, y = found.source_palette, found.target_palette
    across = _chroma_axis(np.concatenate([x, y]), np.concatenate([found.source_weights, found.target_weights]))
    if float((y.mean(axis=0) - x.mean(axis=0)) @ across) < 0.0:
        across = -across  # from left to right, as one reads

    def seen(colors: Array) -> Array:
        return np.stack([colors @ across, colors @ _LUMA], axis=-1)

    rows, cols, mass = _heaviest(found.transport, lines)
    steps = np.linspace(0.0, 1.0, _PIECES + 1)[:, np.newaxis, np.newaxis]
    way = (1.0 - steps) * x[rows] + steps * y[cols]  # (pieces + 1, lines, 3)
    ends = seen(way)
    segments = np.stack([ends[:-1], ends[1:]], axis=2).reshape(-1, 2, 2)
    shade = ((way[:-1] + way[1:]) / 2.0).reshape(-1, 3)
    alpha = np.tile(np.clip(np.sqrt(mass / mass.max()), 0.15, 1.0) * 0.55, _PIECES)
    axes.add_collection(
        LineCollection(list(segments), colors=np.column_stack([shade, alpha]), linewidths=0.9, zorder=1)
    )
    for colors, weights in ((x, found.source_weights), (y, found.target_weights)):
        area = np.clip(40000.0 * weights, 4.0, 400.0)
        # A darker rim shows white dots on paper, and dots on one another.
        axes.scatter(*seen(colors).T, s=area, c=colors, edgecolors=0.75 * colors, linewidths=0.25, zorder=2)
    axes.set_title("the plan in colour space", loc="left", color=_INK, fontsize=13, pad=7)
    n, m = found.transport.shape
    distance = np.sqrt(found.transport.value)
    axes.set_title(f"{n} × {m} colours,  W₂ = {distance:.4f}", loc="right", color=_FAINT, fontsize=11, pad=7)
    axes.set_facecolor(_PAPER)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.margins(0.04, 0.06)
    label = {"color": _FAINT, "fontsize": 11, "ha": "center", "transform": axes.transAxes}
    axes.text(0.01, 0.5, "dark  →  light", rotation=90, va="center", **label)
    axes.text(0.5, -0.03, "hue: the direction in which the two palettes vary most", va="top", **label)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _chroma_axis(colors: Array, weights: Array) -> Array:
    """The unit vector (3,) without luminance along which the colours (n, 3) vary most."""
    upwards = _LUMA / np.linalg.norm(_LUMA)
    centred = colors - np.average(colors, axis=0, weights=weights)
    flat = centred - (centred @ upwards)[:, np.newaxis] * upwards
    axis: Array = np.linalg.eigh(flat.T @ (weights[:, np.newaxis] * flat))[1][:, -1]
    return axis


def _heaviest(transport: Transport, lines: int) -> tuple[Any, Any, Any]:
    """Rows, columns and masses of the heaviest entries of the plan, the heaviest last, so that it lies on top."""
    entries = transport.plan
    order = np.argsort(entries.data, kind="stable")[-max(1, int(lines)) :]
    return entries.row[order], entries.col[order], entries.data[order]


def _points(values: Any, name: str, size: int | None) -> Array:
    points = real_array(values, name, (1, 2), f"points of shape ({'m' if size is None else size}, d)")
    points = points.reshape(len(points), -1).astype(np.float64)
    if size is not None and len(points) != size:
        raise ValueError(f"{name} should hold {size} points, as the plan does; got shape {np.shape(values)}.")
    return points
