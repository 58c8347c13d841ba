"""Ground costs: what it takes to move a unit of mass from a point x to a point y.

    c(x, y) = factor * base(x - y) ** exponent

A base, such as the sum of squares, is a functor of csrc/common/ground.hpp, and all numbers are computed there. Here it
gets its name. A new distance is a functor there and a line of `DISTANCES` here.

Squares of large and of small numbers are out of range. So points are taken over a power of two, which rounds nothing,
and the factor makes up for it: `form` and `scaled`.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.problem import _ground
from monge.problem.arrays import positive, shown

__all__ = [
    "DISTANCES",
    "GROUND_COSTS",
    "Form",
    "Ground",
    "as_ground",
    "explained",
    "on_sphere",
    "power_of",
    "scale_of",
    "scaled",
]

# A distance -> its base in the core, and what it is.
DISTANCES = {
    "euclidean": ("squares", "|x - y|"),
    "cityblock": ("absolutes", "sum_k |x_k - y_k|"),
    "chebyshev": ("largest", "max_k |x_k - y_k|"),
}
# More names: a power of a distance.
_POWERS = {"sqeuclidean": ("euclidean", 2.0, "|x - y|^2")}
# 1 - <x, y> / (|x| |y|) = |u - v|^2 / 2 for the directions u and v.
_COSINE = "cosine"

# All names.
GROUND_COSTS = (*_POWERS, *DISTANCES, _COSINE)

# The number by which the core knows a base, and its degree: base(t z) = t**degree base(z).
_BASES = _ground.bases()


class Form(NamedTuple):
    """C_ij = factor * base(x_i - y_j) ** exponent, as the core takes it."""

    x: NDArray[Any]  # (n, d)
    y: NDArray[Any]  # (m, d)
    base: int
    exponent: float
    factor: float


@dataclass(frozen=True)
class Ground:
    """A built-in ground cost: a power of a distance, or the cosine cost.

    Attributes
    ----------
    base : str
        The name of the base in the core.
    exponent : float
        To which the base is raised.
    factor : float
        By which that is multiplied.
    directions : bool
        Whether points are first moved to the unit sphere: x stands for x / |x|.
    """

    base: str
    exponent: float
    factor: float = 1.0
    directions: bool = False

    @property
    def code(self) -> int:
        """The number by which the core knows the base."""
        return _BASES[self.base][0]

    @property
    def power(self) -> float:
        """The power of the distance: costs between points that are t times as far apart are t**power as high."""
        return self.exponent * _BASES[self.base][1]

    @property
    def name(self) -> str:
        """That of the distance, or "cosine"."""
        return _COSINE if self.directions else next(name for name, (base, _) in DISTANCES.items() if base == self.base)

    @property
    def squared(self) -> bool:
        """Whether the cost is |x - y|^2."""
        return self == Ground("squares", 1.0)

    def placed(self, points: NDArray[Any]) -> NDArray[Any]:
        """The points (n, d) whose differences make up the cost: these, or their directions as float64."""
        return on_sphere(points) if self.directions else points

    def form(self, x: NDArray[Any], y: NDArray[Any], scale: int) -> Form:
        """The cost between placed points x (n, d) and y (m, d), which are taken over 2**scale."""
        factor = self.factor * 2.0 ** (scale * self.power)
        return Form(scaled(x, scale), scaled(y, scale), self.code, self.exponent, factor)

    def of_distance(self, distance: float) -> float:
        """The cost of a distance; infinite where it overflows."""
        try:
            return float(self.factor * distance**self.power)
        except OverflowError:
            return math.inf

    def length(self, z: NDArray[np.float64]) -> float:
        """The distance between points that differ by z (d,), whatever its size."""
        if not np.isfinite(z).all():
            return math.inf
        points = np.ascontiguousarray(z, dtype=np.float64)[np.newaxis]
        exponent = self.exponent / self.power
        return float(_ground.pair_costs(points, np.zeros_like(points), self.code, exponent, 1.0)[0])

    def pairs(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
        """The costs (k,) between points x_k and y_k (k, d), whatever their size."""
        x, y = self._float64(x), self._float64(y)
        return _ground.pair_costs(x, y, self.code, self.exponent, self.factor)

    def slopes(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
        """The derivatives dc/dx (k, d) at the same pairs.

        They are zero where the distance is, and in a coordinate in which the distance has none.
        """
        slopes = _ground.pair_slopes(self._float64(x), self._float64(y), self.code, self.exponent, self.factor)
        return self.turned(x, slopes)

    def derivatives(self, x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """dc/dx and dc/dy (k, d) at the same pairs."""
        return self.slopes(x, y), self.slopes(y, x)

    def turned(self, x: NDArray[Any], slopes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derivatives with respect to points x (k, d), from those with respect to placed ones."""
        if not self.directions:
            return slopes
        # u = x / |x| moves by the part of a step across itself, over |x|.
        u, longest = on_sphere(x), np.abs(x.astype(np.float64)).max(axis=1, keepdims=True)
        slopes -= u * np.einsum("kd,kd->k", u, slopes)[:, np.newaxis]
        slopes /= np.linalg.norm(x / longest, axis=1, keepdims=True)
        return np.asarray(slopes / longest)

    def _float64(self, points: NDArray[Any]) -> NDArray[np.float64]:
        return np.ascontiguousarray(self.placed(points), dtype=np.float64)


def as_ground(cost: Any) -> Ground:
    """The ground cost that was named: by a string, or by a pair of a distance and its power."""
    if isinstance(cost, Ground):
        return cost
    return _named(cost) if isinstance(cost, str) else _of(cost)


@cache
def _named(name: str) -> Ground:
    return _of(name)


def _of(cost: Any) -> Ground:
    powered = isinstance(cost, tuple) and len(cost) == 2
    name = cost[0] if powered else cost
    if not isinstance(name, str) or name not in GROUND_COSTS:
        known = ", ".join(map(repr, GROUND_COSTS))
        raise ValueError(
            f"cost should be one of {known}, or ('euclidean', p), or a function c(x, y) of two points; "
            f"got {shown(cost)}."
        )
    if powered and name not in DISTANCES:
        raise ValueError(f"only {' and '.join(map(repr, DISTANCES))} take a power; got {shown(cost)}.")
    if name == _COSINE:
        return Ground("squares", 1.0, 0.5, directions=True)
    distance, power, _ = _POWERS.get(name, (name, 1.0, ""))
    if powered:
        power = positive(cost[1], "the power of a ground cost")
    base, _ = DISTANCES[distance]
    return Ground(base, power / _BASES[base][1])


def power_of(distance: Any, p: float) -> Ground:
    """The p-th power of the distance that was named."""
    if not isinstance(distance, str) or distance not in DISTANCES:
        known = ", ".join(map(repr, DISTANCES))
        raise ValueError(f"ground should be the name of a distance, one of {known}; got {shown(distance)}.")
    return as_ground((distance, p))


def explained() -> str:
    """What ground costs there are, for the documentation of what takes them."""
    named = [(name, what) for name, (_, _, what) in _POWERS.items()]
    named += [(name, what) for name, (_, what) in DISTANCES.items()]
    named += [(_COSINE, "1 - <x, y> / (|x| |y|)")]
    costs = ", ".join(f'"{name}" {what}' for name, what in named)
    first, *others = (f'("{name}", p)' for name in DISTANCES)
    text = f"{costs}; {first} stands for |x - y|^p, and {', '.join(others)} likewise, p > 0."
    return textwrap.fill(text, 112, subsequent_indent=8 * " ")


def scale_of(reach: float) -> int:
    """The exponent of a power of two that is above the distance `reach`."""
    return math.frexp(reach)[1]


def scaled(points: NDArray[Any], scale: int) -> NDArray[Any]:
    """Points (n, d) over 2**scale, in their type. Nothing is rounded."""
    return np.asarray(np.ldexp(points, -scale)) if scale != 0 else points


def on_sphere(points: NDArray[Any]) -> NDArray[np.float64]:
    """Points (n, d) off the origin, each over its length; in double precision, whatever they are stored in."""
    points = points.astype(np.float64)
    points /= np.abs(points).max(axis=1, keepdims=True)  # squares of large and small ones are out of range
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True))
