"""A transfer of colours: the pictures, and the plan between their palettes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from monge.maps.color import ColorTransfer
from monge.plot.style import FAINT, INK, PAPER, PIECES, heaviest, shown_colors

__all__ = ["color_transfer"]

Array = NDArray[np.float64]

# What the eye makes of red, green and blue (ITU-R BT.601), which is height in colour space.
_LUMA = np.array([0.299, 0.587, 0.114])


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
    figure = Figure(figsize=(12.0, 8.4), facecolor=PAPER)
    pictures = [shown_colors(picture) for picture in (source, target, found.image)]
    ratios = [picture.shape[1] / picture.shape[0] for picture in pictures]
    top = figure.add_gridspec(1, 3, left=0.03, right=0.97, top=0.95, bottom=0.62, wspace=0.04, width_ratios=ratios)
    for k, (picture, name) in enumerate(
        zip(pictures, ("source", "target", "the source in the target's colours"), strict=True)
    ):
        axes = figure.add_subplot(top[0, k])
        axes.imshow(picture, interpolation="lanczos", aspect="equal", interpolation_stage="rgba")
        axes.set_axis_off()
        axes.set_title(name, loc="left", color=INK, fontsize=13, pad=7)
    _color_space(figure.add_axes((0.03, 0.05, 0.94, 0.51)), found, lines)
    return figure


def _color_space(axes: Any, found: ColorTransfer, lines: int) -> None:
    x, y = found.source_palette, found.target_palette
    across = _chroma_axis(np.concatenate([x, y]), np.concatenate([found.source_weights, found.target_weights]))
    if float((y.mean(axis=0) - x.mean(axis=0)) @ across) < 0.0:
        across = -across  # from left to right, as one reads

    def seen(colors: Array) -> Array:
        return np.stack([colors @ across, colors @ _LUMA], axis=-1)

    rows, cols, mass = heaviest(found.transport, lines)
    steps = np.linspace(0.0, 1.0, PIECES + 1)[:, np.newaxis, np.newaxis]
    way = (1.0 - steps) * x[rows] + steps * y[cols]  # (pieces + 1, lines, 3)
    ends = seen(way)
    segments = np.stack([ends[:-1], ends[1:]], axis=2).reshape(-1, 2, 2)
    shade = ((way[:-1] + way[1:]) / 2.0).reshape(-1, 3)
    alpha = np.tile(np.clip(np.sqrt(mass / mass.max()), 0.15, 1.0) * 0.55, PIECES)
    axes.add_collection(
        LineCollection(list(segments), colors=np.column_stack([shade, alpha]), linewidths=0.9, zorder=1)
    )
    for colors, weights in ((x, found.source_weights), (y, found.target_weights)):
        area = np.clip(40000.0 * weights, 4.0, 400.0)
        # A darker rim shows white dots on paper, and dots on one another.
        axes.scatter(*seen(colors).T, s=area, c=colors, edgecolors=0.75 * colors, linewidths=0.25, zorder=2)
    axes.set_title("the plan in colour space", loc="left", color=INK, fontsize=13, pad=7)
    n, m = found.transport.shape
    distance = np.sqrt(found.transport.value)
    axes.set_title(f"{n} × {m} colours,  W₂ = {distance:.4f}", loc="right", color=FAINT, fontsize=11, pad=7)
    axes.set_facecolor(PAPER)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.margins(0.04, 0.06)
    label = {"color": FAINT, "fontsize": 11, "ha": "center", "transform": axes.transAxes}
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
