"""The complete estimator on the line, in closed form.

Batches of points on the line are matched in order, for any convex cost of the difference. So with p_ij the probability
that the j-th smallest point is the i-th smallest of its batch of m, and q likewise for the other side, the mean plan of
all pairs of batches is

    P_jk = 1/m sum_i p_ij q_ik

Without replacement p_ij = C(j - 1, i - 1) C(n - j, m - i) / C(n, m). With replacement, and weights that add up to F_j
over the j smallest points, p_ij = P(Bin(m, F_j) >= i) - P(Bin(m, F_(j-1)) >= i): the i-th order statistic of m draws.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, gammaln

from monge.distances.minibatch.complete import number_of_batches
from monge.distances.minibatch.sampled import slopes_of_plan
from monge.problem.arrays import require_memory
from monge.problem.costs import PointCloud
from monge.problem.ground import DISTANCES
from monge.spread.base import Source

__all__ = ["OnLine", "matches_in_order", "mean_plan", "ranks"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class OnLine:
    """The complete estimator between points on the line."""

    x: Source
    y: Source
    a: Array | None
    b: Array | None
    size: int
    replacing: bool
    cost: Any

    drawn, whole, late = False, True, 0
    units = np.empty(0)

    @cached_property
    def cloud(self) -> PointCloud:
        """The cost between all points."""
        return whole_cloud(self.x, self.y, self.cost)

    @cached_property
    def plan(self) -> Array:
        """The mean plan (n, m)."""
        return mean_plan(self.cloud, self.a, self.b, self.size, self.replacing)

    @cached_property
    def value(self) -> float:
        """The mean."""
        return float((self.plan * self.cloud.block(slice(None))).sum())

    @property
    def shape(self) -> tuple[int, int]:
        """Points of x and of y."""
        return self.cloud.shape

    @property
    def count(self) -> int:
        """Pairs of batches."""
        n, m = self.shape
        return number_of_batches(n, self.size, self.replacing) * number_of_batches(m, self.size, self.replacing)

    def within(self, side: int) -> OnLine:
        """The same between one side and itself."""
        source, weights = ((self.x, self.a), (self.y, self.b))[side]
        return replace(self, x=source, y=source, a=weights, b=weights)

    @property
    def entries(self) -> tuple[NDArray[Any], NDArray[Any], Array]:
        """Rows, columns and masses of the mean plan."""
        rows, columns = np.nonzero(self.plan)
        return rows, columns, self.plan[rows, columns]

    def slopes(self, side: int) -> Array:
        """The derivatives (n, 1) with respect to x or y."""
        return slopes_of_plan(self.x, self.y, self.cost, self.entries, side)


def whole_cloud(x: Source, y: Source, cost: Any) -> PointCloud:
    """The cost between all points of two sources."""
    points_x, points_y = (source.take(np.arange(source.rows or 0)) for source in (x, y))
    return PointCloud(points_x, points_y, cost)


def matches_in_order(cloud: PointCloud) -> bool:
    """Whether the points lie on a line, and the cost is a convex function of their differences."""
    on_line = cloud.x.shape[1] == 1 and cloud.formed is not None
    return on_line and cloud.distance in DISTANCES and cloud.power >= 1.0


def mean_plan(cloud: PointCloud, a: Array | None, b: Array | None, m: int, replace: bool) -> Array:
    """The mean (n, n') of the plans of all pairs of batches of m points."""
    n, other = cloud.shape
    require_memory(8 * (2 * n * other + m * (n + other)), f"the {n} x {other} mean plan", "Pass n_batches=, a number.")
    sides = []
    for points, weights in ((cloud.x, a), (cloud.y, b)):
        order = np.argsort(points[:, 0], kind="stable")
        probabilities = np.empty((m, len(points)))
        probabilities[:, order] = ranks(len(points), m, replace, None if weights is None else weights[order])
        sides.append(probabilities)
    return np.asarray(sides[0].T @ sides[1] / m)


def ranks(n: int, m: int, replace: bool, weights: Any = None) -> Array:
    """p (m, n): the probabilities that the j-th smallest of n points is the i-th smallest of a batch of m."""
    i, j = np.arange(1, m + 1)[:, np.newaxis], np.arange(1, n + 1)
    if replace:
        sums = np.arange(n + 1) / n if weights is None else np.append(0.0, np.cumsum(weights))
        reached = betainc(i, m - i + 1, sums / sums[-1])  # (m, n + 1)
        return np.asarray(np.diff(reached, axis=1))
    possible = (j >= i) & (n - j >= m - i)
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = _choose(j - 1, i - 1) + _choose(n - j, m - i)
    p = np.where(possible, np.exp(np.where(possible, logs - logs[possible].max(), 0.0)), 0.0)
    return np.asarray(p / p.sum(axis=1, keepdims=True))  # over C(n, m), which is every row's sum


def _choose(n: Any, k: Any) -> Any:
    """The logarithm of the number of ways to choose k of n; of no meaning where k is not from 0 to n."""
    return gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
