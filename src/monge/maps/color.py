"""Colour transfer: the colours of one picture moved onto those of another by optimal transport.

    minimise  sum_ij P_ij |x_i - y_j|^2   over plans P between the palettes,      T(x_i) = sum_j P_ij y_j / sum_j P_ij

A palette stands for the pixels of a picture: boxes of colour space, with the mean colour and the number of their
pixels. The exact plan moves each colour of the source's palette to the barycenter of where its mass goes (Ferradans,
Papadakis, Peyre and Aujol 2014, "Regularized discrete optimal transport", section 2.3), and each pixel moves as the
palette colours around it do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.exact.emd import emd
from monge.problem.arrays import available_threads, shown
from monge.problem.costs import PointCloud
from monge.problem.home import on_host
from monge.problem.transport import Transport

__all__ = ["ColorTransfer", "color_transfer", "palette", "transfer_colors"]

Array = NDArray[np.float64]

# Size of the palettes: beyond it the eye sees no difference, and the time is no longer short.
_COLORS = 2048

# A palette colour moves with the mean of this many around it, a pixel with that of so many palette colours, the nearer
# the more: neighbours that go different ways show as contours in smooth skies. Fewer leave some, more dull the colours.
_PALETTE_NEIGHBOURS, _PIXEL_NEIGHBOURS = 32, 8

# Colours farther apart than this (in [0, 1]^3) have nothing to do with each other, as in drawings of few colours.
_REACH = 0.1

# Channels are whole numbers here, so the squared deviations of a box of two colours add up to at least one half.
_ONE_COLOUR = 0.25


@dataclass(frozen=True)
class ColorTransfer:
    """What `transfer_colors` found: the picture, and the problem that was solved for it.

    Attributes
    ----------
    image : ndarray (h, w, 3), uint8
        The source in the target's colours.
    source_palette, target_palette : ndarray (n, 3), (m, 3)
        Colours, in [0, 1].
    source_weights, target_weights : ndarray (n,), (m,)
        The parts of the pixels that the colours stand for; they add up to 1.
    transport : Transport
        The exact plan between the palettes, for squared Euclidean costs.
    """

    image: NDArray[np.uint8]
    source_palette: Array
    target_palette: Array
    source_weights: Array
    target_weights: Array
    transport: Transport


def palette(image: NDArray[np.uint8], size: int) -> tuple[Array, Array]:
    """The colours (k, 3), in [0, 1], and their weights (k,) that stand for a picture (h, w, 3), with k <= size.

    Boxes of colour space are cut at their mean, across the channel that varies most, the worst boxes first (Wan, Wong
    and Prusinkiewicz 1988, "An algorithm for multidimensional data clustering"). Pixels of one colour stay together.
    """
    colors, count = np.unique(_codes(image), return_counts=True)
    channels = _channels(colors)
    weight = count.astype(np.float64)
    box = np.zeros(len(colors), dtype=np.intp)
    boxes = 1
    while True:
        mass = np.bincount(box, weight)
        total = np.stack([np.bincount(box, weight * c) for c in channels])  # (3, boxes)
        squares = np.stack([np.bincount(box, weight * c**2) for c in channels])
        deviation = squares - total**2 / mass
        widest, error = deviation.argmax(axis=0), deviation.max(axis=0)
        # Half of the boxes in a round: near enough to one after the other, in a dozen and a half of rounds.
        cuts = min(size - boxes, (boxes + 1) // 2, int((error > _ONE_COLOUR).sum()))
        if cuts == 0:
            return (total / mass).T / 255.0, mass / mass.sum()
        worst = np.argsort(-error, kind="stable")[:cuts]
        upper = np.full(boxes, -1)  # the new box of what lies above the cut
        upper[worst] = boxes + np.arange(cuts)
        cut = total[widest, np.arange(boxes)] / mass
        above = (upper[box] >= 0) & (channels[widest[box], np.arange(len(box))] > cut[box])
        box[above] = upper[box[above]]
        boxes += cuts


def transfer_colors(
    source: Any, target: Any, *, colors: int = _COLORS, threads: int | None = None, progress: bool = False
) -> ColorTransfer:
    """The picture of `color_transfer`, with the palettes and the transport between them.

    Parameters
    ----------
    source, target : array_like (h, w, 3) or (h, w, 4)
        As for `color_transfer`, which also says what is raised.
    colors : int
        Most colours of a palette.
    threads : int, optional
        As in `emd`.
    progress : bool
        Show a progress bar (needs tqdm).

    Returns
    -------
    ColorTransfer
        The picture and the problem that was solved for it.

    Examples
    --------
    >>> import numpy as np
    >>> from monge.maps.color import transfer_colors
    >>> dark, light = np.full((4, 4, 3), 0, np.uint8), np.full((2, 2, 3), 255, np.uint8)
    >>> found = transfer_colors(dark, light)
    >>> found.source_palette, found.target_weights, found.transport.value
    (array([[0., 0., 0.]]), array([1.]), 3.0)
    """
    source_image, target_image = _rgb(source, "source"), _rgb(target, "target")
    if isinstance(colors, bool) or not isinstance(colors, int | np.integer) or colors < 1:
        raise ValueError(f"colors should be a positive integer, the size of the palettes; got {shown(colors)}.")
    workers = available_threads(threads)
    x, a = palette(source_image, int(colors))
    y, b = palette(target_image, int(colors))
    transport = emd(PointCloud(x, y), a, b, threads=workers, progress=progress)
    image = _move(source_image, x, transport.map(y))
    return ColorTransfer(image, x, y, a, b, transport)


def color_transfer(
    source: Any, target: Any, *, colors: int = _COLORS, threads: int | None = None, progress: bool = False
) -> NDArray[np.uint8]:
    """The picture `source` in the colours of the picture `target`.

    Minimises, exactly, the squared Euclidean distance in RGB that the palette of the source travels to become that of
    the target, and moves every pixel by the barycentric map.

    Parameters
    ----------
    source, target : array_like (h, w, 3) or (h, w, 4)
        Pictures, of any two sizes; integers in 0..255 or reals in [0, 1], which are rounded to 8 bits a channel. Reals
        beyond by less than that rounding, 1/510, count as 0 or 1. An alpha channel is ignored.
    colors : int
        Most colours of a palette.
    threads : int, optional
        As in `emd`.
    progress : bool
        Show a progress bar (needs tqdm).

    Returns
    -------
    ndarray (h, w, 3), uint8
        With the height and width of the source: of NumPy, whatever the pictures were given as.

    Raises
    ------
    ValueError
        If an argument has another shape or values outside its range; for colors < 1.
    TypeError
        If a picture does not hold numbers, or is masked.

    Notes
    -----
    Ferradans, Papadakis, Peyre and Aujol 2014, "Regularized discrete optimal transport", section 2.3.

    Examples
    --------
    >>> import numpy as np, monge
    >>> dark, light = np.full((4, 4, 3), 20, np.uint8), np.full((2, 2, 3), 200, np.uint8)
    >>> monge.color_transfer(dark, light)[0, 0]
    array([200, 200, 200], dtype=uint8)
    """
    return transfer_colors(source, target, colors=colors, threads=threads, progress=progress).image


def _move(image: NDArray[np.uint8], x: Array, mapped: Array) -> NDArray[np.uint8]:
    """Every pixel moved as the palette colours x (n, 3) near it are, which go to `mapped` (n, 3).

    Around each palette colour the map is fitted by p -> mean(mapped) + slope (p - mean(x)), and a pixel takes the mean
    of the fits near it. The map is the gradient of a convex function, so no slope is negative; more than one would
    amplify the noise within a box.
    """
    weight, nearest = _neighbourhood(x, x, _PALETTE_NEIGHBOURS)
    center, image_center = _mean(weight, x[nearest]), _mean(weight, mapped[nearest])
    spread = x[nearest] - center[:, np.newaxis]  # (n, neighbours, 3)
    variance = np.einsum("pk,pkc,pkc->p", weight, spread, spread)
    covariance = np.einsum("pk,pkc,pkc->p", weight, spread, mapped[nearest])
    slope = np.clip(covariance / np.maximum(variance, 1e-12), 0.0, 1.0)[:, np.newaxis]

    # Pictures repeat their colours: each is looked up once.
    codes, where = np.unique(_codes(image), return_inverse=True)
    colors = _channels(codes).T / 255.0
    weight, nearest = _neighbourhood(x, colors, _PIXEL_NEIGHBOURS)
    moved = _mean(weight, (image_center - slope * center)[nearest]) + _mean(weight, slope[nearest]) * colors
    out: NDArray[np.uint8] = (np.clip(moved, 0.0, 1.0) * 255.0).round().astype(np.uint8)
    return out[where.reshape(image.shape[:2])]


def _neighbourhood(x: Array, at: Array, neighbours: int) -> tuple[Array, NDArray[np.intp]]:
    """Weights (k, neighbours), of sum 1, and indices of the points x (n, 3) nearest to each point of `at` (k, 3)."""
    from scipy.spatial import cKDTree

    distance, nearest = cKDTree(x).query(at, k=range(1, min(neighbours, len(x)) + 1))
    # Weights fall to zero at the farthest neighbour, so that none enters or leaves with a jump.
    reach = np.minimum(distance[:, -1:], np.maximum(_REACH, 2.0 * distance[:, :1])) + 1e-9
    weight = np.maximum(1.0 - (distance / reach) ** 2, 0.0) ** 2 + 1e-12
    return weight / weight.sum(axis=1, keepdims=True), nearest


def _mean(weight: Array, values: Array) -> Array:
    mean: Array = np.einsum("pk,pkc->pc", weight, values)
    return mean


def _codes(image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """One number per pixel (h * w,), the same for the same colour."""
    red, green, blue = np.moveaxis(image.reshape(-1, 3).astype(np.int64), 1, 0)
    return red << 16 | green << 8 | blue


def _channels(codes: NDArray[np.int64]) -> Array:
    """The channels (3, n), whole numbers in 0..255, of what `_codes` made."""
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255]).astype(np.float64)


def _rgb(image: Any, name: str) -> NDArray[np.uint8]:
    array = np.asarray(on_host(image))
    if array.ndim != 3 or array.shape[2] not in (3, 4) or 0 in array.shape:
        raise ValueError(
            f"{name} should be a colour picture of shape (h, w, 3) or (h, w, 4); got shape {array.shape}. "
            "A grey picture becomes one by numpy.stack([grey] * 3, axis=-1)."
        )
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} should hold integers in 0..255 or reals in [0, 1]; got dtype {array.dtype}.")
    if np.ma.is_masked(image):
        raise TypeError(f"{name} is masked: what should its masked pixels count for? Say so with .filled(value).")
    array = array[..., :3]
    low, high = array.min(), array.max()
    if array.dtype.kind == "f":
        array = (array.astype(np.float64) * 255.0).round()
    if not (array.min() >= 0 and array.max() <= 255):  # also for NaN
        raise ValueError(f"{name} should hold integers in 0..255 or reals in [0, 1]; got {low} to {high}.")
    return array.astype(np.uint8)
