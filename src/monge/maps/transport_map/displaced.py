"""A map that is known at some points, at all others: what is not known moves as the nearest known point does.

T(x) = x + T(x_k) - x_k,  x_k the nearest to x             (Ferradans, Papadakis, Peyre and Aujol 2014, section 2.3)

Shifts keep their meaning where the images alone would not: a translation is recovered everywhere, to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

__all__ = ["Displaced"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Displaced:
    """The map that sends the points `known` (k, d) to `images` (k, d)."""

    known: Array
    images: Array

    def __call__(self, points: Array, threads: int) -> Array:
        """The images (n, d) of points (n, d)."""
        nearest = self._search.kneighbors(points - self._middle, return_distance=False)[:, 0]
        return np.asarray(self.images[nearest] + (points - self.known[nearest]))

    @cached_property
    def _middle(self) -> Array:
        """Coordinates are taken from here: in many dimensions distances come from inner products, whose digits
        cancel far from the origin."""
        return np.asarray(self.known.mean(axis=0))

    @cached_property
    def _search(self) -> Any:
        return NearestNeighbors(n_neighbors=1).fit(self.known - self._middle)

    def __getstate__(self) -> dict[str, Any]:
        """What follows from the points is computed anew where the map is loaded."""
        return {"known": self.known, "images": self.images}
