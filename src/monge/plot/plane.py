"""Functions of the plane as background, with clouds over them: semidiscrete potentials and critics."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from monge.entropic.semidual.result import SemiDual
from monge.plot.style import HIGH, INK, LOW, TARGET, points_of
from monge.problem.home import on_host

__all__ = ["critic", "laguerre", "pixels_of"]

Array = NDArray[np.float64]


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
    box, at = pixels_of(y, limits, cells)
    atoms = np.asarray(found.assign(at.reshape(-1, 2))).reshape(at.shape[:2])
    # Colours in an order that is far from that of the atoms: neighbours in the array are often neighbours in the plane.
    shades = np.array([0.35 + 0.6 * ((0.618 * k) % 1.0) for k in range(len(y))])
    tint = np.array([0x00, 0x72, 0xB2]) / 255.0  # of `SOURCE`
    colors = ListedColormap(1.0 - (1.0 - shades[:, np.newaxis]) * (1.0 - tint))
    if ax is None:
        ax = Figure(figsize=(6.0, 6.0), layout="constrained").add_subplot()
    ends = {"vmin": -0.5, "vmax": len(y) - 0.5, "interpolation": "nearest"}
    ax.imshow(atoms, origin="lower", extent=box, cmap=colors, **ends)
    count = np.bincount(atoms.ravel(), minlength=len(y))
    seen = np.flatnonzero(count)
    sums = np.stack([np.bincount(atoms.ravel(), at[..., k].ravel(), len(y))[seen] for k in range(2)], axis=1)
    middles = sums / count[seen, np.newaxis]
    ax.add_collection(LineCollection(list(np.stack([y[seen], middles], axis=1)), colors=INK, linewidths=0.7))
    area = 30.0 * b / b[b > 0.0].mean()
    ax.scatter(*y.T, s=area, color=TARGET, edgecolors="white", linewidths=0.6, zorder=2)
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
    colors: tuple[str, str] = (HIGH, LOW),
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
    high, low = points_of(x, "x", None), points_of(y, "y", None)
    if high.shape[1] != 2 or low.shape[1] != 2:
        raise ValueError(
            f"a critic is drawn in the plane; got points of {high.shape[1]} and {low.shape[1]} coordinates."
        )
    box, at = pixels_of(np.concatenate([high, low]), limits, cells)
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
        ax.contour(*at.transpose(2, 0, 1), values, levels=levels, colors=INK, linewidths=0.6, alpha=0.6)
    for points, color, name in ((high, colors[0], "x"), (low, colors[1], "y")):
        ax.scatter(*points.T, s=14.0, color=color, edgecolors="white", linewidths=0.5, label=name, zorder=3)
    ax.set(xlim=box[:2], ylim=box[2:], aspect="equal")
    ax.legend(frameon=True, framealpha=0.8, edgecolor="none")
    return ax


def pixels_of(points: Array, limits: Any, cells: int) -> tuple[tuple[float, float, float, float], Array]:
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
