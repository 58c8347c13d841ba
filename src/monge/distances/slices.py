"""Two clouds as they are seen along directions: what the sliced distances are made of.

F(theta) = min_P  sum_ij P_ij |<x_i - y_j, theta>|^p          P 1 = a,  P' 1 = b,  of total mass one

Points are taken over a power of two, about the middle of the box that holds them, so that no power of a distance
overflows and none loses digits because the clouds are far from the origin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.distances.clouds import both_clouds
from monge.distances.loss import Loss
from monge.exact import _sliced
from monge.exact.univariate import smaller_unit
from monge.problem.arrays import require_memory
from monge.problem.ground import scale_of
from monge.problem.home import Home, home_of_any
from monge.problem.measures import Weights, check_weights, total_mass

__all__ = ["SlicedLoss", "Slices", "tangent"]

Array = NDArray[np.float64]

# Beyond this power its root of any mean is the largest distance that mass moves over.
_LARGEST_POWER = 1e18
# The power of two over which points are taken, at least: the inverse of a smaller one is out of range.
_SMALLEST_SCALE = -1000
# From how many points on to ask whether there is room; and for how many directions projections are held, at least.
_MANY, _AT_LEAST = 10**7, 8


@dataclass
class Slices:
    """Two clouds with their weights, and the power of the distance."""

    x: Array  # (n, d)
    y: Array  # (m, d)
    a: Weights | None  # (n,)
    b: Weights | None  # (m,)
    p: float
    threads: int  # for what is asked of it later, too
    home: Home | None

    @classmethod
    def of(cls, x: Any, y: Any, a: Any, b: Any, p: float, threads: int) -> Slices:
        """From what the caller gave; p and threads are checked already."""
        points_x, points_y = both_clouds(x, y)
        weights = check_weights(a, b, len(points_x), len(points_y))
        slices = cls(points_x, points_y, *weights, min(p, _LARGEST_POWER), threads, home_of_any(x, y, a, b))
        n, d = len(points_x) + len(points_y), points_x.shape[1]
        if n > _MANY:
            wanted = 8 * n * (2 * d + 4 * threads + max(_AT_LEAST, 2 * threads))
            require_memory(wanted, f"slices of {n} points", "Pass fewer points, or ask for fewer threads.")
        if not math.isfinite(slices.reach):
            raise ValueError(
                "x and y should span a finite box; theirs is none. Choose a larger unit for the coordinates."
            )
        return slices

    @cached_property
    def _box(self) -> tuple[Array, Array]:
        low = np.minimum(self.x.min(axis=0), self.y.min(axis=0))
        high = np.maximum(self.x.max(axis=0), self.y.max(axis=0))
        return low, high

    @cached_property
    def reach(self) -> float:
        """The length of the diagonal of the box that holds all points."""
        with np.errstate(over="ignore"):
            sides = np.subtract(*self._box[::-1])
        return math.hypot(*sides.tolist())

    @cached_property
    def scale(self) -> int:
        """The exponent of a power of two that no distance exceeds."""
        return max(scale_of(self.reach), _SMALLEST_SCALE) if self.reach > 0.0 else 0

    @cached_property
    def _middle(self) -> Array:
        """Of the box."""
        low, high = self._box
        return np.asarray(low + 0.5 * (high - low))

    def placed(self, points: Array) -> Array:
        """Points (k, d) as distances are computed from: none exceeds one."""
        return np.asarray(np.ldexp(points - self._middle, -self.scale))

    def sums(self, directions: Array, unit: float = 1.0, **wanted: bool) -> _sliced.Sums:
        """F of placed points over unit^p along directions (k, d), and what is wanted; see csrc/exact/sliced.hpp."""
        directions = np.ascontiguousarray(directions)
        factor = math.ldexp(1.0, -self.scale)
        return _sliced.sums(
            self.x, self.y, self.a, self.b, factor, self._middle, directions, self.p, unit, self.threads, **wanted
        )

    def loss(self, directions: Array, kind: type[SlicedLoss] | None = None) -> SlicedLoss:
        """The root of the mean of F over directions (k, d)."""
        unit = 1.0
        while True:
            found = self.sums(directions, unit)
            mean, reach = math.fsum(found["means"]) / len(directions), float(found["reaches"].max())
            smaller = smaller_unit(mean, reach, unit)
            if smaller is None:
                break
            unit = smaller
        value = math.ldexp(unit * mean ** (1.0 / self.p), self.scale)
        each = np.ldexp(unit * found["means"] ** (1.0 / self.p), self.scale)
        return (kind or SlicedLoss)(value, self, directions, np.asarray(each), mean, unit)


class SlicedLoss(Loss):
    """The root of the mean over directions of the p-th power of the distance along each; see `sliced_wasserstein`.

    Attributes
    ----------
    directions : ndarray (k, d)
        Unit vectors along which points were projected.
    distances : ndarray (k,)
        W_p of the projections along each, in the unit of the coordinates.
    """

    def __init__(
        self, value: float, slices: Slices, directions: Array, distances: Array, mean: float, unit: float
    ) -> None:
        self.directions, self.distances = directions, distances
        self.home = slices.home
        self._slices, self._mean, self._unit = slices, mean, unit

    @property
    def threads(self) -> int:
        """On how many derivatives are computed."""
        return self._slices.threads

    @threads.setter
    def threads(self, threads: int) -> None:
        self._slices.threads = threads

    def _slope(self) -> float:
        """That of the root, times p: a change of the mean, in its unit, changes the loss by so much of that unit."""
        return float(self._mean ** (1.0 / self._slices.p - 1.0)) / len(self.directions)

    @cached_property
    def _point_gradients(self) -> tuple[Array, Array]:
        if self._mean == 0.0:
            return np.zeros_like(self._slices.x), np.zeros_like(self._slices.y)
        found = self._slices.sums(self.directions, self._unit, points=True)
        slope = self._slope()
        return slope * found["points_x"], slope * found["points_y"]

    @cached_property
    def _weight_gradients(self) -> tuple[Array, Array]:
        slices = self._slices
        if self._mean == 0.0:
            return np.zeros(len(slices.x)), np.zeros(len(slices.y))
        found = slices.sums(self.directions, self._unit, weights=True)
        slope = self._slope() * self._unit / slices.p
        of_a, of_b = (
            tangent(slope * found["weights_a"], slices.a),
            tangent(slope * found["weights_b"], slices.b),
        )
        return np.ldexp(of_a, slices.scale), np.ldexp(of_b, slices.scale)  # last: on the way it may be out of range


def tangent(slopes: Array, weights: Weights | None) -> Array:
    """Derivatives with respect to weights that are divided by their total, from those for a total of one."""
    mean = float(slopes.mean()) if weights is None else float(slopes @ weights / weights.sum())
    return (slopes - mean) / total_mass(weights)
