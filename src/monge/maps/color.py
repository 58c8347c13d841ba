"""Colour transfer: the colours of one picture moved onto those of another by optimal transport.

Palettes stand for the pixels of each picture: boxes of colour space with equally many pixels. The exact plan between the
palettes moves each palette colour to the barycenter of where its mass goes (Ferradans, Papadakis, Peyre and Aujol 2014,
"Regularized discrete optimal transport", section 2.3), and each pixel moves with the palette colours around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.exact.emd import emd
from monge.problem.costs import PointCloud
from monge.problem.transport import Transport

__all__ = ["ColorTransfer", "color_transfer", "palette", "transfer_colors"]

Array = NDArray[np.float64]

# A pixel moves with the mean displacement of this many palette colours, weighted by closeness: one alone would show as
# bands in smooth skies.
_NEIGHBOURS = 8


@dataclass(frozen=True)
class ColorTransfer:
    """What `transfer_colors` found."""

    image: NDArray[np.uint8]  # (h, w, 3), the source in the target's colours
    source_palette: Array  # (n, 3), in [0, 1]
    target_palette: Array  # (m, 3)
    transport: Transport


def palette(pixels: Array, size: int) -> tuple[Array, Array, NDArray[np.int64]]:
    """Mean colours (k, 3), weights (k,) and the box of each pixel (n,), for at most `size` boxes of pixels (n, 3).

    Boxes are split at the median of their longest side until there are enough (Heckbert 1982, median cut).
    """
    boxes = [np.arange(len(pixels))]
    while len(boxes) < size:
        split: list[NDArray[np.int64]] = []
        for members in boxes:
            colors = pixels[members]
            extent = np.ptp(colors, axis=0)
            axis = int(extent.argmax())
            if extent[axis] == 0.0 or len(boxes) + len(split) >= 2 * size:
                split.append(members)
                continue
            half = len(members) // 2
            order = np.argpartition(colors[:, axis], half)
            split += [members[order[:half]], members[order[half:]]]
        if len(split) == len(boxes) or len(split) > size:
            break
        boxes = split
    label = np.empty(len(pixels), dtype=np.int64)
    for k, members in enumerate(boxes):
        label[members] = k
    counts = np.bincount(label)
    means = np.stack([np.bincount(label, pixels[:, c]) for c in range(3)], axis=1) / counts[:, np.newaxis]
    return means, counts / len(pixels), label


def transfer_colors(
    source: Any, target: Any, *, colors: int = 4096, threads: int | None = None, progress: bool = False
) -> ColorTransfer:
    """As `color_transfer`, with the palettes and the transport between them."""
    source_image, target_image = _rgb(source, "source"), _rgb(target, "target")
    if isinstance(colors, bool) or not isinstance(colors, int | np.integer) or colors < 1:
        raise ValueError(f"colors should be a positive integer, the size of the palettes; got {colors!r}.")
    pixels = source_image.reshape(-1, 3)
    x, a, _ = palette(pixels, int(colors))
    y, b, _ = palette(target_image.reshape(-1, 3), int(colors))
    transport = emd(PointCloud(x, y), a, b, threads=threads, progress=progress)
    shift = transport.map(y) - x
    moved = pixels + _interpolate(x, shift, pixels)
    image = (np.clip(moved, 0.0, 1.0) * 255.0).round().astype(np.uint8).reshape(source_image.shape)
    return ColorTransfer(image, x, y, transport)


def color_transfer(
    source: Any, target: Any, *, colors: int = 4096, threads: int | None = None, progress: bool = False
) -> NDArray[np.uint8]:
    """The picture `source` in the colours of the picture `target`.

    Minimises the squared Euclidean distance in RGB that the palette of the source travels to become that of the target,
    exactly, and moves every pixel by the barycentric map.

    Parameters
    ----------
    source, target : array_like (h, w, 3) or (h, w, 4)
        Pictures, of any two sizes; integers in 0..255 or reals in [0, 1]. An alpha channel is ignored.
    colors : int
        Size of the palettes. 4096 take under a second.
    threads : int, optional
        As in `emd`.
    progress : bool
        Show a progress bar (needs tqdm).

    Returns
    -------
    ndarray (h, w, 3), uint8
        With the shape of the source.

    Raises
    ------
    ValueError, TypeError
        If an argument is not such a picture.

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


def _interpolate(x: Array, shift: Array, pixels: Array) -> Array:
    """The displacement at each pixel: that of the nearest palette colours, weighted by inverse squared distance."""
    from scipy.spatial import cKDTree

    k = min(_NEIGHBOURS, len(x))
    # Pictures repeat their colours: each is looked up once.
    codes = (pixels * 255.0).round().astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    distance, nearest = cKDTree(x).query(pixels[first], k=range(1, k + 1), workers=-1)
    weight = 1.0 / (distance**2 + 1e-6)
    weight /= weight.sum(axis=1, keepdims=True)
    moved: Array = np.einsum("pk,pkc->pc", weight, shift[nearest])[inverse]
    return moved


def _rgb(image: Any, name: str) -> Array:
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[2] not in (3, 4) or 0 in array.shape:
        raise ValueError(
            f"{name} should be a colour picture of shape (h, w, 3) or (h, w, 4); got shape {array.shape}. "
            "A grey picture becomes one by numpy.stack([grey] * 3, axis=-1)."
        )
    if array.dtype.kind in "iu":
        values = array[..., :3].astype(np.float64) / 255.0
    elif array.dtype.kind == "f":
        values = array[..., :3].astype(np.float64)
    else:
        raise TypeError(f"{name} should hold integers in 0..255 or reals in [0, 1]; got dtype {array.dtype}.")
    if not ((values >= 0.0) & (values <= 1.0)).all():
        raise ValueError(
            f"{name} should hold integers in 0..255 or reals in [0, 1]; got values from {array[..., :3].min()} to {array[..., :3].max()}."
        )
    return values
