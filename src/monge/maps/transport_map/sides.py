"""The two samples that a map is fitted to, as measures: equal rows are one point, rows without weight none.

A map sends equal points to the same place, so a point that is given twice counts as one of twice the weight: weights
and repetition mean the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.distances.directions import check_rng

__all__ = ["DEFAULT_SIZE", "UNKNOWN", "Side", "normal_sample", "side_of"]

Array = NDArray[np.float64]

# Points of the target that stands in where none is given: the same for any number of rows, else weights would not mean
# the same as repetition.
DEFAULT_SIZE = 200

# The class of a point of which none is known.
UNKNOWN = -1


@dataclass(frozen=True)
class Side:
    """Points (n, d), no two of which are the same, with weights (n,) of sum one and, where they count, classes (n,), in
    whose order the points then are."""

    points: NDArray[Any]
    weights: Array
    classes: NDArray[np.intp] | None = None

    @property
    def exact(self) -> Array:
        """The points in double precision."""
        return np.asarray(self.points, dtype=np.float64)

    def from_(self, middle: Array) -> Side:
        """The same, with another origin."""
        return replace(self, points=self.exact - middle)

    @property
    def mean(self) -> Array:
        """Their mean (d,)."""
        return np.asarray(self.weights @ self.exact)

    @property
    def covariance(self) -> Array:
        """Their covariance (d, d), with the weights as they are: no n - 1."""
        spread = np.sqrt(self.weights)[:, np.newaxis] * (self.exact - self.mean)
        return np.asarray(spread.T @ spread)


def side_of(points: NDArray[Any], weights: Array | None, classes: NDArray[np.intp] | None) -> Side:
    """Rows of points, their weights, None for uniform ones, and their classes, if they count, as a measure."""
    weights = np.ones(len(points)) if weights is None else weights
    some = weights > 0.0
    points, weights = points[some], weights[some] / weights[some].max()
    if classes is None:
        rows, where = _distinct(points)
        return Side(rows, _summed(weights, where))
    classes = classes[some]
    rows, where = _distinct(np.column_stack([classes.astype(points.dtype), points]))
    of = np.empty(len(rows), np.intp)
    of[where] = classes
    return Side(np.ascontiguousarray(rows[:, 1:]), _summed(weights, where), of)


def _distinct(rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Rows that differ, in an order of their own, and which of them each row is."""
    order = np.lexsort(rows.T[::-1])
    ordered = rows[order]
    new = np.ones(len(rows), dtype=bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    where = np.empty(len(rows), np.intp)
    where[order] = np.cumsum(new) - 1
    return ordered[new], where


def _summed(weights: Array, where: NDArray[np.intp]) -> Array:
    sums = np.bincount(where, weights)
    return np.asarray(sums / sums.sum())


def normal_sample(d: int, rng: Any) -> Array:
    """The target that stands in: points (k, d) of the standard normal law."""
    return check_rng(rng).standard_normal((DEFAULT_SIZE, d))
