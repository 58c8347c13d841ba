"""Two weighted point clouds, or a batch of such pairs, as distances of probabilities take them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.threads import Threads
from monge.problem.arrays import items
from monge.problem.batch import is_batch, naming, one_each
from monge.problem.costs import as_points
from monge.problem.home import Home, home_of_any
from monge.problem.measures import check_weights

__all__ = ["Clouds", "both_clouds", "each_pair", "pairs_of_batch"]

Array = NDArray[np.float64]


class _Settings(Protocol):
    threads: int  # for what it does later
    home: Home | None


Result = TypeVar("Result", bound=_Settings)

# Next to one, what is left of the weight of all pairs without those of a point and itself is rounding below this.
_LEAST_REST = 1e-12


def both_clouds(x: Any, y: Any) -> tuple[Array, Array]:
    """Points (n, d) and (m, d) of as many coordinates, as float64 arrays that are not the caller's."""
    points_x, points_y = (
        np.array(as_points(values, name), np.float64, order="C") for values, name in ((x, "x"), (y, "y"))
    )
    if points_x.shape[1] != points_y.shape[1]:
        raise ValueError(
            f"x and y should have points of the same dimension; got shapes {points_x.shape} and {points_y.shape}."
        )
    return points_x, points_y


@dataclass(frozen=True)
class Clouds:
    """Two clouds, the points of both in one array."""

    points: Array  # (n + m, d)
    n: int
    a: Array  # (n,), which add up to one
    b: Array  # (m,)
    totals: tuple[float, float]  # of the weights as they were given
    home: Home | None

    @classmethod
    def of(cls, x: Any, y: Any, a: Any, b: Any) -> Clouds:
        """Checked. Raises ValueError and TypeError as `PointCloud` and `emd` do."""
        home = home_of_any(x, y, a, b)
        points_x, points_y = both_clouds(x, y)
        n, m = len(points_x), len(points_y)
        weights_a, weights_b = check_weights(a, b, n, m)
        (total_a, a), (total_b, b) = _probabilities(weights_a, n), _probabilities(weights_b, m)
        points = np.concatenate([points_x, points_y])
        return cls(points, n, a, b, (total_a, total_b), home)

    @cached_property
    def z(self) -> Array:
        """The points over a power of two near their size (n + m, d): nothing is rounded, and no square overflows."""
        return np.asarray(np.ldexp(self.points, -self._scale))

    @property
    def unit(self) -> float:
        """The power of two by which z is to be multiplied."""
        return math.ldexp(1.0, self._scale)

    @property
    def _scale(self) -> int:
        return min(max(math.frexp(float(np.abs(self.points).max()))[1], -1000), 1000)

    @property
    def rest(self) -> tuple[float, float]:
        """1 - sum_i a_i^2, the weight of all pairs of two points of x, and the same of y. ValueError for none."""
        found = []
        for weights, name in ((self.a, "x"), (self.b, "y")):
            rest = float(weights @ (1.0 - weights))
            if rest < _LEAST_REST:
                raise ValueError(
                    f"without bias there should be pairs of two points within each cloud; {name} has all its weight at "
                    "one. Pass more points, or biased=True."
                )
            found.append(rest)
        return found[0], found[1]

    @property
    def sides(self) -> Array:
        """The weights of x in the first column (n + m, 2), and of y in the second, each with zeros for the others."""
        V = np.zeros((len(self.z), 2))
        V[: self.n, 0], V[self.n :, 1] = self.a, self.b
        return V

    def of_weights(self, slopes: Array) -> tuple[Array, Array]:
        """Derivatives with respect to the weights as they were given.

        From those (n + m,) with respect to probabilities: normalising takes out what scales all weights of a side.
        """
        slopes_a, slopes_b = slopes[: self.n], slopes[self.n :]
        return (
            np.asarray((slopes_a - float(self.a @ slopes_a)) / self.totals[0]),
            np.asarray((slopes_b - float(self.b @ slopes_b)) / self.totals[1]),
        )


def _probabilities(weights: Array | None, size: int) -> tuple[float, Array]:
    """The total of the weights, and what they are of it; None stands for uniform ones."""
    if weights is None:
        return 1.0, np.full(size, 1.0 / size)
    total = float(weights.sum())
    return total, weights / total


def each_pair(
    x: Any, y: Any, a: Any, b: Any, workers: int, one: Callable[[Any, Any, Any, Any, int], Result]
) -> Result | list[Result]:
    """one(x, y, a, b, threads) of two clouds; or of each pair of a batch, `workers` of them at a time."""
    batch = pairs_of_batch(x, y)
    if batch is None:
        return one(x, y, a, b, workers)
    xs, ys = batch
    count = len(xs)
    weights_a, weights_b = one_each(a, "a", count), one_each(b, "b", count)

    def work(k: int, threads: int) -> Result:
        with naming("pair", k):
            return one(xs[k], ys[k], weights_a[k], weights_b[k], threads)

    home = home_of_any(x, y, a, b)
    if workers == 1 or count == 1:
        found = [work(k, workers) for k in range(count)]
    else:
        pairs = sum((_length(xs[k]) + _length(ys[k])) ** 2 for k in range(count))
        found = Threads(workers).share(count, lambda k: work(k, 1), pairs)
    for one_of_many in found:
        one_of_many.threads, one_of_many.home = workers, home
    return found


def pairs_of_batch(x: Any, y: Any) -> tuple[Any, Any] | None:
    """The clouds of x and those of y, as many; None for two clouds.

    A batch is a 3-D array or a list of clouds, for x, y or both; one cloud on the other side stands for all.
    """
    batches = [is_batch(values) for values in (x, y)]
    if not any(batches):
        return None
    expected = "a batch (B, n, d), or a list of clouds (n, d)"
    clouds = [
        items(values, name, expected) if many else None
        for values, name, many in zip((x, y), "xy", batches, strict=True)
    ]
    counts = [len(each) for each in clouds if each is not None]
    if 0 in counts or len(set(counts)) > 1:
        raise ValueError(
            f"x and y should be batches of as many clouds, at least one, or one cloud for all; got {counts} clouds."
        )
    count = counts[0]
    each_x, each_y = ([given] * count if each is None else each for each, given in zip(clouds, (x, y), strict=True))
    return each_x, each_y


def _length(values: Any) -> int:
    return len(values) if hasattr(values, "__len__") else 1
