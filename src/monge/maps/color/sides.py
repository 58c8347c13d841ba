"""One of the two pictures of a transfer, as the methods see it: points in a space of colours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.maps.color.pictures import LEVELS, Picture
from monge.maps.color.spaces import Space
from monge.problem._ground import kd_order

__all__ = ["Side"]

Array = NDArray[np.float64]

# Points nearer than this are one: colours of the same chroma come out of arithmetic 2^-52 apart, others, of 16 bits, at
# least 2^-27.
_SAME = 2.0**-30


@dataclass(frozen=True)
class Side:
    """A picture, and the space in which its colours move."""

    picture: Picture
    space: type[Space]

    @cached_property
    def _merged(self) -> tuple[Array, Array, NDArray[np.intp]]:
        seen = self.picture.distinct
        points = self.space.points(seen.levels / LEVELS)
        if points.shape[1] == 3:
            return points, seen.count, seen.where
        blue, red = np.round(points / _SAME).astype(np.int64).T
        _, first, place = np.unique(blue * 2**32 + red, return_index=True, return_inverse=True)
        place = place.reshape(-1)
        count: Array = np.bincount(place, seen.count).astype(np.float64)
        return points[first], count, place[seen.where]

    @property
    def points(self) -> Array:
        """The different points (k, d)."""
        return self._merged[0]

    @property
    def count(self) -> Array:
        """How many pixels are at each (k,)."""
        return self._merged[1]

    @property
    def where(self) -> NDArray[np.intp]:
        """The point of each pixel (n,)."""
        return self._merged[2]

    @cached_property
    def pixels(self) -> NDArray[np.float32]:
        """The points (n, d) of all pixels, in single precision, which tells levels apart."""
        return np.ascontiguousarray(self.points.astype(np.float32)[self.where])

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """An order (n,) of the pixels in which neighbours have like colours."""
        rank = np.empty(len(self.points), dtype=np.intp)
        rank[kd_order(np.ascontiguousarray(self.points))] = np.arange(len(rank))
        return np.argsort(rank[self.where], kind="stable")

    def painted(self, points: Array) -> NDArray[Any]:
        """The picture with its pixels at the points (n, d)."""
        before = self.picture.levels / LEVELS
        return self.picture.painted(self.space.colors(points, before))
