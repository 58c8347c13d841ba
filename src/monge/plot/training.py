"""What generative models learn: losses by step, samples, pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from monge.plot.style import FAINT, INK, SOURCE, TARGET, points_of
from monge.problem.arrays import real_array, sampled
from monge.problem.home import on_host

__all__ = ["pictures", "samples", "training"]


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
    top.plot(history.step, history.value, color=SOURCE, alpha=0.3, linewidth=0.7, label="value")
    top.plot(history.step, history.smoothed(share), color=INK, linewidth=1.2, label="running mean")
    top.legend(frameon=False)
    rows = [top]
    for row, (name, (steps, values)) in enumerate(metrics.items(), 1):
        axes = figure.add_subplot(grid[row], sharex=top, label=name)
        axes.plot(steps, values, color=TARGET, marker=".", linewidth=1.0)
        rows.append(axes)
    for axes in rows:
        axes.set_ylabel(axes.get_label())
        axes.label_outer()
        for begins in history.step[1:][np.diff(history.phase) > 0]:
            axes.axvline(begins - 0.5, color=FAINT, linewidth=0.6, linestyle=":")
    rows[-1].set_xlabel("iteration")
    return figure


def samples(
    generated: Any, target: Any, ax: Any = None, *, points: int = 2000, colors: tuple[str, str] = (SOURCE, TARGET)
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
    made, goals = points_of(generated, "generated", None), points_of(target, "target", None)
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
