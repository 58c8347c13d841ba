"""Where colours are points: in RGB, or in the plane of their chroma, in which luma has no part.

    Y = .299 R + .587 G + .114 B,      Cb = (B - Y) / 1.772,      Cr = (R - Y) / 1.402          (ITU-R BT.601)

A colour that takes another chroma keeps its luma Y; where that leaves the cube of colours, the new chroma is scaled
towards grey, along which neither luma nor hue change, until it does not.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["RGB", "Chroma", "Space", "space_of"]

Array = NDArray[np.float64]

_LUMA = np.array([0.299, 0.587, 0.114])
_BLUE, _RED = 1.772, 1.402

# What Cb and Cr add to the channels of a grey: no luma.
_SHIFT = np.array([[0.0, -_BLUE * _LUMA[2] / _LUMA[1], _BLUE], [_RED, -_RED * _LUMA[0] / _LUMA[1], 0.0]])


class Space(Protocol):
    """Points of colours, and colours that have moved."""

    @staticmethod
    def points(colors: Array) -> Array:
        """The points (n, d) of the colours (n, 3), in [0, 1]."""

    @staticmethod
    def colors(points: Array, before: Array) -> Array:
        """The colours (n, 3), in [0, 1], that `before` (n, 3) become when they move to the points (n, d)."""


class RGB:
    """All three channels are coordinates."""

    @staticmethod
    def points(colors: Array) -> Array:
        """The colours themselves."""
        return colors

    @staticmethod
    def colors(points: Array, before: Array) -> Array:
        """The nearest colours."""
        return np.clip(points, 0.0, 1.0)


class Chroma:
    """The coordinates are (Cb, Cr)."""

    @staticmethod
    def points(colors: Array) -> Array:
        """(Cb, Cr) of the colours; of all greys the same bits."""
        red, green, blue = colors.T
        blue_less_green, red_less_green = blue - green, red - green  # Y - G, by differences that greys do not have
        above = _LUMA[0] * red_less_green + _LUMA[2] * blue_less_green
        return np.stack([(blue_less_green - above) / _BLUE, (red_less_green - above) / _RED], axis=1)

    @staticmethod
    def colors(points: Array, before: Array) -> Array:
        """The luma of `before` with the chroma of the points, or as much of it as the cube holds."""
        luma = before @ _LUMA
        shift = points @ _SHIFT  # (n, 3)
        room = np.where(shift > 0.0, 1.0 - luma[:, np.newaxis], luma[:, np.newaxis])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            share = np.where(shift == 0.0, 1.0, room / np.abs(shift)).min(axis=1).clip(0.0, 1.0)
        colors: Array = np.clip(luma[:, np.newaxis] + share[:, np.newaxis] * shift, 0.0, 1.0)
        return colors


def space_of(chroma: bool) -> type[Space]:
    """The space in which colours move."""
    return Chroma if chroma else RGB
