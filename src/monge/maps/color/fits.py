"""A map of colours that is known at some of them, at all others: means of affine fits nearby.

Around each known point x_k the map is fitted by p -> mean(T x) + slope (p - mean(x)), the means over the points around
it, and a point p takes the mean of the fits near it. The map is the gradient of a convex function, so no slope is
negative; more than one would amplify the noise within a box of a palette.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["AffineFits", "KnownPoints"]

Array = NDArray[np.float64]

# A known point moves with the mean of this many around it, another with that of so many known ones, the nearer the
# more: neighbours that go different ways show as contours in smooth skies. Fewer leave some, more dull the colours.
_AROUND_KNOWN, _AROUND_OTHERS = 32, 8

# Colours farther apart than this (in [0, 1]^3) have nothing to do with each other, as in drawings of few colours.
_REACH = 0.1

# Points at a time, so that what is known about their neighbours needs no more than some megabytes.
_BLOCK = 2**16

# Nearer than this a point is the known one.
_SAME = 1e-8


@dataclass(frozen=True)
class AffineFits:
    """The map whose values at the points `known` (k, d) are near `images` (k, d)."""

    known: Array
    images: Array

    def __call__(self, points: Array, threads: int) -> Array:
        """The images (n, d) of points (n, d)."""
        return self._in_blocks(self._near, points, threads)

    def _in_blocks(self, at: Any, points: Array, threads: int) -> Array:
        out = np.empty_like(points)
        for first in range(0, len(points), _BLOCK):
            block = slice(first, first + _BLOCK)
            out[block] = at(points[block], threads)
        return out

    def _near(self, points: Array, threads: int) -> Array:
        slope, intercept = self._fits
        weight, nearest = _weighed(*self._nearest(points, _AROUND_OTHERS, threads))
        return _mean(weight, intercept[nearest]) + _mean(weight, slope[nearest]) * points

    def _nearest(self, points: Array, neighbours: int, threads: int) -> tuple[Array, NDArray[np.intp]]:
        """The distances and indices (n, neighbours) of the known points nearest to each point."""
        few = range(1, min(neighbours, len(self.known)) + 1)
        distance, nearest = self._tree.query(points, k=few, workers=threads)
        return distance, nearest

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        return cKDTree(self.known)

    @cached_property
    def _fits(self) -> tuple[Array, Array]:
        """The slopes (k, 1) and intercepts (k, d) of the fits."""
        weight, nearest = _weighed(*self._nearest(self.known, _AROUND_KNOWN, 1))
        center, image = _mean(weight, self.known[nearest]), _mean(weight, self.images[nearest])
        spread = self.known[nearest] - center[:, np.newaxis]  # (k, neighbours, d)
        variance = np.einsum("pk,pkc,pkc->p", weight, spread, spread)
        covariance = np.einsum("pk,pkc,pkc->p", weight, spread, self.images[nearest])
        slope = np.clip(covariance / np.maximum(variance, 1e-12), 0.0, 1.0)[:, np.newaxis]
        return slope, image - slope * center

    def __getstate__(self) -> dict[str, Any]:
        """What follows from the points is computed anew where the map is loaded."""
        return {"known": self.known, "images": self.images}


@dataclass(frozen=True)
class KnownPoints(AffineFits):
    """The same, but with exactly the images that are given at the known points."""

    def _near(self, points: Array, threads: int) -> Array:
        distance, nearest = (column[:, 0] for column in self._nearest(points, 1, threads))
        out, new = self.images[nearest], distance > _SAME
        if new.any():
            out[new] = super()._near(points[new], threads)
        return out


def _weighed(distance: Array, nearest: NDArray[np.intp]) -> tuple[Array, NDArray[np.intp]]:
    """Weights (n, neighbours), of sum 1, of the points that are `nearest`."""
    # Weights fall to zero at the farthest neighbour, so that none enters or leaves with a jump.
    reach = np.minimum(distance[:, -1:], np.maximum(_REACH, 2.0 * distance[:, :1])) + 1e-9
    weight = np.maximum(1.0 - (distance / reach) ** 2, 0.0) ** 2 + 1e-12
    return weight / weight.sum(axis=1, keepdims=True), nearest


def _mean(weight: Array, values: Array) -> Array:
    mean: Array = np.einsum("pk,pkc->pc", weight, values)
    return mean
