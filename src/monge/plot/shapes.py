"""Shapes on grids, of which densities are high inside and low outside: flat ones, and solids in light."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.plot.style import SOURCE
from monge.plot.training import pictures
from monge.problem.arrays import real_array

__all__ = ["shapes"]

Array = NDArray[np.float64]

# Where the surface of a solid is, as a share of the density that its mass has on the average.
_SURFACE = 0.4
# From where it is looked at and from where light comes: first right, then down, then away from the eye.
_TURN, _TILT = 0.6, 0.5
_LIGHT = np.array([-0.45, -0.55, -0.7])
# Pixels of the picture of a solid to a cell, and how much larger than the grid the picture is, since cubes are turned.
_FINER, _WIDER = 3.0, 1.3
# Pixels around solids.
_MARGIN = 4
# Light that comes from everywhere.
_AMBIENT = 0.3


def shapes(densities: Any, ax: Any = None, *, columns: int | None = None, colors: Any = None) -> Any:
    """Draw a sheet of shapes that are given as densities on a grid: images or, in light and shade, solids.

    An image has the more ink the larger its density is, and all of it where that is no less than on the average over
    its mass. A solid is seen from above at an angle, and ends where its density is two fifths of that average.

    Parameters
    ----------
    densities : array_like (n, h, w) or (n, h, w, d)
        Not negative; each with some mass. The first axis of a solid points up, from high to low.
    ax : matplotlib axes, optional
        Where to draw; None for a new figure.
    columns : int, optional
        Shapes in a row; None for a sheet that is as wide as it is high.
    colors : array_like (n, 3) or (3,), optional
        Red, green and blue, from 0 to 1, for each or for all.

    Returns
    -------
    matplotlib axes
        Those that were drawn into; ``axes.figure`` is their figure.

    Raises
    ------
    ValueError
        If the densities are none, or the colours do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from monge import plot
    >>> x = np.linspace(-1.0, 1.0, 20)
    >>> disks = [np.hypot(x[:, None], x) < radius for radius in (0.3, 0.6)]
    >>> plot.shapes(disks).images[0].get_array().shape  # side by side, and a line around each
    (22, 43, 3)
    """
    array = real_array(densities, "densities", (3, 4), "an array of shape (n, h, w) or (n, h, w, d)")
    array = np.array(array, dtype=np.float64, order="C")
    if 0 in array.shape or not (array >= 0.0).all() or not np.isfinite(array).all():
        raise ValueError(f"densities should be finite and not negative, at least one; got shape {array.shape}.")
    flat = array.reshape(len(array), -1)
    most = flat.max(axis=1)
    if not most.all():
        raise ValueError(f"each shape should have some mass; densities[{int(np.argmin(most))}] is zero.")
    flat /= most[:, np.newaxis]
    flat *= (flat.sum(axis=1) / (flat * flat).sum(axis=1))[:, np.newaxis]  # a view: the array, over its average
    if colors is None:
        from matplotlib.colors import to_rgb

        colors = to_rgb(SOURCE)
    inks = real_array(colors, "colors", (1, 2), "colours of shape (n, 3) or (3,)").astype(np.float64)
    if inks.shape not in ((3,), (len(array), 3)) or not ((inks >= 0.0) & (inks <= 1.0)).all():
        raise ValueError(
            f"colors should be numbers from 0 to 1 of shape (3,) or ({len(array)}, 3); got shape {inks.shape}."
        )
    draw = _inked if array.ndim == 3 else _lit
    sheet = np.stack(
        [draw(shape, ink) for shape, ink in zip(array, np.broadcast_to(inks, (len(array), 3)), strict=True)]
    )
    if array.ndim == 4:
        sheet = _cut(sheet)
    return pictures(sheet, ax, columns=columns, limits=(0.0, 1.0))


def _inked(density: Array, ink: Array) -> Array:
    """An image (h, w, 3) on white."""
    return np.asarray(1.0 - np.minimum(density, 1.0)[..., np.newaxis] * (1.0 - ink))


def _cut(sheet: Array) -> Array:
    """The pictures without the rows and columns that are white in all of them, but for a margin."""
    drawn: NDArray[np.bool_] = np.asarray((sheet < 1.0).any(axis=(0, 3)))
    rows, columns = (
        slice(max(int(places[0]) - _MARGIN, 0), int(places[-1]) + _MARGIN + 1)
        for places in (np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0)))
    )
    return sheet[:, rows, columns]


def _lit(density: Array, ink: Array) -> Array:
    """The picture (p, p, 3) of a solid."""
    from scipy.ndimage import affine_transform

    turn = np.array([[1, 0, 0], [0, np.cos(_TURN), -np.sin(_TURN)], [0, np.sin(_TURN), np.cos(_TURN)]])
    tilt = np.array([[np.cos(_TILT), 0, -np.sin(_TILT)], [0, 1, 0], [np.sin(_TILT), 0, np.cos(_TILT)]])
    pixels = int(_FINER * _WIDER * max(density.shape))
    # From down, right and away in the picture to the cells.
    back = (tilt @ turn).T / _FINER
    middle = (np.array(density.shape) - 1.0) / 2.0
    field = affine_transform(density, back, middle - back @ np.full(3, (pixels - 1) / 2.0), (pixels,) * 3, order=1)
    inside = field > _SURFACE
    # Beside the solid, where its edge may still cover a part of the pixel: where it is nearest.
    first = np.where(inside.any(axis=2), inside.argmax(axis=2), field.argmax(axis=2))[..., np.newaxis]
    slopes = np.stack([np.take_along_axis(np.gradient(field, axis=k), first, 2)[..., 0] for k in range(3)], axis=-1)
    normals = -slopes / np.maximum(np.linalg.norm(slopes, axis=-1, keepdims=True), 1e-12)  # they point out
    # The share of each pixel that is covered: half of it where the outline passes through its middle.
    most = field.max(axis=2)
    steepness = np.maximum(np.hypot(*np.gradient(most)), 1e-12)
    covered = np.clip(0.5 + (most - _SURFACE) / steepness, 0.0, 1.0)[..., np.newaxis]
    light = _LIGHT[[1, 0, 2]] / np.linalg.norm(_LIGHT)
    shade = _AMBIENT + (1.0 - _AMBIENT) * np.maximum(normals @ light, 0.0)
    return np.asarray(1.0 - covered * (1.0 - shade[..., np.newaxis] * (0.25 + 0.75 * ink)))
