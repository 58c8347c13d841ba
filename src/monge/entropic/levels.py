"""Coarse and fine versions of two clouds: groups of points near each other, each as one point of their weight.

The groups are the boxes of a k-d tree.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.entropic.iteration import ANNEAL
from monge.entropic.kernels.scale import Scale, cost_scale
from monge.entropic.kernels.threads import Threads
from monge.problem._ground import kd_order
from monge.problem.costs import PointCloud

__all__ = ["Level", "Side", "last_of", "sorted_sides"]

Array = NDArray[np.float64]

# Points of a group.
_GROUP = 4
# Mean square radius of the groups, in units that make it a cost, over the smallest eps they serve for.
_BLUR = 1.0


class Side(NamedTuple):
    """Points of one side, in the order of a k-d tree, with positive weights."""

    points: Array  # (n, d)
    weights: Array  # (n,)

    def grouped(self) -> Side:
        """Neighbours as one point."""
        starts = np.arange(0, len(self.points), _GROUP)
        weights = np.add.reduceat(self.weights, starts)
        moments = np.add.reduceat(self.points * self.weights[:, np.newaxis], starts)
        return Side(moments / weights[:, np.newaxis], weights)

    def of_groups(self, values: NDArray[Any]) -> NDArray[Any]:
        """What is known of groups, for each of their points."""
        return np.repeat(values, _GROUP, axis=0)[: len(self.points)]

    def spread(self, fine: Side, power: float) -> float:
        """The mean cost from a point to its group's."""
        square = ((fine.points - fine.of_groups(self.points)) ** 2).sum(axis=1)
        return float(fine.weights @ square ** (0.5 * power) / fine.weights.sum())


class Level:
    """Both clouds, as fine or coarse."""

    def __init__(self, x: Side, y: Side, ground: Any) -> None:
        self.x, self.y = x, y
        self.cost = PointCloud(x.points, y.points, ground)
        self.fewest, self.most = sorted(self.cost.shape)

    @cached_property
    def scale(self) -> Scale:
        return cost_scale(self.cost)

    def grouped(self) -> Level:
        return Level(self.x.grouped(), self.y.grouped(), self.cost.cost)


def sorted_sides(cost: PointCloud, a: Array, b: Array, threads: Threads) -> list[tuple[Side, NDArray[np.int64]]]:
    """Of both clouds the points with weight in their order, and which they are."""
    sides = (cost.x, a), (cost.y, b)

    def sort(points: NDArray[Any], weights: Array) -> tuple[Side, NDArray[np.int64]]:
        kept = np.flatnonzero(weights > 0.0)
        inside = np.ascontiguousarray(points[kept], dtype=np.float64)
        order = kd_order(inside)
        return Side(inside[order], weights[kept[order]]), kept[order]

    if cost.y is cost.x and np.array_equal(a, b):
        return [sort(*sides[0])] * 2
    return threads.share(2, lambda k: sort(*sides[k]), len(a) + len(b))


def last_of(coarse: Level, fine: Level, eps: float, first: float) -> float:
    """The last eps for which the groups are small enough: eps times a power of the factor between stages."""
    blur = max(large.spread(small, coarse.cost.power) for large, small in ((coarse.x, fine.x), (coarse.y, fine.y)))
    last = eps
    while last * _BLUR < blur and last * ANNEAL <= first:
        last *= ANNEAL
    return last
