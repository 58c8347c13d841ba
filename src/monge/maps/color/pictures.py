"""What a picture is: pixels of three channels, of 8 or 16 bits or real, with or without alpha and a mask.

All are seen on one scale, the 65536 levels of 16 bits, on which those of 8 bits are every 257th; so the same picture
has the same colours whatever type it comes in. What comes out is of the type that came in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.home import on_host

__all__ = ["LEVELS", "Distinct", "Picture"]

Array = NDArray[np.float64]

# The largest level.
LEVELS = 65535

# Of 8 bits, in those of 16.
_STEP = LEVELS // 255


@dataclass(frozen=True)
class Distinct:
    """The different colours of a picture.

    Attributes
    ----------
    levels : ndarray (k, 3), uint16
        The colours, in the order of red, then green, then blue.
    count : ndarray (k,)
        How many pixels have each.
    where : ndarray (n,)
        The colour of each pixel.
    """

    levels: NDArray[np.uint16]
    count: Array
    where: NDArray[np.intp]


@dataclass(frozen=True)
class Picture:
    """A picture as the caller has it, and the levels of those of its pixels that count and move.

    Attributes
    ----------
    given : ndarray (h, w, 3) or (h, w, 4)
        What came in, alpha included.
    mask : ndarray (h, w), bool, or None
        The pixels that count; None for all of them.
    levels : ndarray (n, 3), uint16
        Their colours, row by row.
    """

    given: NDArray[Any]
    mask: NDArray[np.bool_] | None
    levels: NDArray[np.uint16]

    @classmethod
    def read(cls, image: Any, name: str, mask: Any = None) -> Picture:
        """Of whatever NumPy reads as one. ValueError or TypeError, with the remedy, for what is no picture or mask."""
        given = _as_picture(image, name)
        chosen = None if mask is None else _as_mask(mask, name, (given.shape[0], given.shape[1]))
        colors = given[..., :3]
        return cls(given, chosen, _levels(colors.reshape(-1, 3) if chosen is None else colors[chosen], name))

    @cached_property
    def distinct(self) -> Distinct:
        """The different colours of the pixels that count."""
        red, green, blue = self.levels.T.astype(np.int64)
        codes, where, count = np.unique(red << 32 | green << 16 | blue, return_inverse=True, return_counts=True)
        levels = np.stack([codes >> 32, codes >> 16 & LEVELS, codes & LEVELS], axis=1).astype(np.uint16)
        return Distinct(levels, count.astype(np.float64), where.reshape(-1))

    def painted(self, colors: Array) -> NDArray[Any]:
        """The picture with the colours (n, 3), in [0, 1], at the pixels that count; all else is as it came.

        Integers that are neither of 8 nor of 16 bits hold 0..255 and come back as uint8.
        """
        dtype = self.given.dtype
        if dtype.kind == "f":
            values = colors.astype(dtype.newbyteorder("="))
        elif _of_16_bits(dtype):
            values = (colors * LEVELS).round().astype(np.uint16)
        else:
            values = (colors * 255.0).round().astype(np.uint8)
        out = np.array(self.given, dtype=values.dtype, order="C")
        if self.mask is None:
            out[..., :3] = values.reshape(*out.shape[:2], 3)
        else:
            out[self.mask, :3] = values
        return out


def _as_picture(image: Any, name: str) -> NDArray[Any]:
    array: NDArray[Any] = np.asarray(on_host(image))
    if array.ndim != 3 or array.shape[2] not in (3, 4) or 0 in array.shape:
        raise ValueError(
            f"{name} should be a colour picture of shape (h, w, 3) or (h, w, 4); got shape {array.shape}. "
            "A grey picture becomes one by numpy.stack([grey] * 3, axis=-1)."
        )
    if array.dtype.kind not in "iuf":
        raise TypeError(
            f"{name} should hold integers in 0..255 or reals in [0, 1], or levels of 16 bits as uint16; got dtype "
            f"{array.dtype}."
        )
    if np.ma.is_masked(image):
        raise TypeError(
            f"{name} is masked: what should its masked pixels count for? Say so with .filled(value), or leave pixels "
            "out by source_mask= and target_mask=."
        )
    if array.dtype.kind in "iu" and not _of_16_bits(array.dtype):
        _check_range(array, name, 1.0)  # also of what stays as it is, which uint8 has to hold
    return array


def _as_mask(mask: Any, name: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    array: NDArray[Any] = np.asarray(on_host(mask))
    if array.shape != shape:
        raise ValueError(
            f"the mask of {name} should have the shape {shape} of its pixels, True where they count; got shape "
            f"{array.shape}."
        )
    if array.dtype.kind != "b":
        raise TypeError(
            f"the mask of {name} should hold booleans, True for the pixels that count; got dtype {array.dtype}. "
            "A grey mask becomes one by mask > 0."
        )
    if not array.any():
        raise ValueError(f"the mask of {name} leaves no pixel. It should be True for the pixels that count.")
    return array


def _levels(colors: NDArray[Any], name: str) -> NDArray[np.uint16]:
    """The levels (n, 3) of colours (n, 3). Reals beyond [0, 1] by less than half a level of 8 bits count as 0 or 1."""
    if colors.dtype.kind == "f":
        _check_range(colors, name, 255.0)
        return (np.clip(colors.astype(np.float64), 0.0, 1.0) * LEVELS).round().astype(np.uint16)
    return colors.astype(np.uint16) * np.uint16(1 if _of_16_bits(colors.dtype) else _STEP)


def _of_16_bits(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "u" and dtype.itemsize == 2


def _check_range(values: NDArray[Any], name: str, unit: float) -> None:
    low, high = values.min(), values.max()
    if not (np.round(float(low) * unit) >= 0.0 and np.round(float(high) * unit) <= 255.0):  # also for NaN
        raise ValueError(
            f"{name} should hold integers in 0..255 or reals in [0, 1]; got {low} to {high}. Divide reals "
            "by their largest level, such as 255; levels of 16 bits should come as uint16."
        )
