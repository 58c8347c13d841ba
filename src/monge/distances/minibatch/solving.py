"""Exact transport between many pairs of small clouds, with uniform weights: values, and plans as entries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.exact import _core
from monge.exact.result import check_solved
from monge.problem.costs import PointCloud

__all__ = ["Matched", "matched"]


@dataclass(frozen=True)
class Matched:
    """The optimal plans of k pairs of clouds, each of total mass one.

    Attributes
    ----------
    values : ndarray (k,)
        <P, C> of each pair.
    starts : ndarray (k + 1,)
        The entries of pair q are those from starts[q] up to starts[q + 1].
    left, right : ndarray (e,)
        Where they stand in the two clouds of their pair.
    mass : ndarray (e,)
        What is moved. Between clouds of m points each there are m entries in all of 1 / m, up to rounding.
    """

    values: NDArray[np.float64]
    starts: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    mass: NDArray[np.float64]

    @property
    def pair(self) -> NDArray[np.int64]:
        """To which pair each entry belongs (e,)."""
        return np.repeat(np.arange(len(self.values)), np.diff(self.starts))


def matched(x: NDArray[Any], y: NDArray[Any], cost: Any = "sqeuclidean") -> Matched:
    """Exact transport between x[q] (m, d) and y[q] (l, d) for every q < k, on one thread.

    `x` (k, m, d) and `y` (k, l, d) are the clouds, `cost` what `PointCloud` takes. Costs are computed in single
    precision where both are float32. Raises what `PointCloud` and `emd` do.
    """
    k, m, d = x.shape
    cloud = PointCloud(x.reshape(-1, d), y.reshape(-1, d), cost)
    xs, ys = cloud.x.reshape(k, m, d), cloud.y.reshape(k, -1, d)
    costs = [
        np.ascontiguousarray(PointCloud(a, b, cloud.cost).block(slice(None)), cloud.dtype)
        for a, b in zip(xs, ys, strict=True)
    ]
    uniform: list[Any] = [None] * k
    solutions = _core.emd_all(costs, uniform, uniform, [0.0] * k, 1, math.inf, None)
    for C, solution in zip(costs, solutions, strict=True):
        check_solved(solution[0], C, (None, None))
    starts = np.zeros(k + 1, np.int64)
    np.cumsum([len(solution[5]) for solution in solutions], out=starts[1:])
    left, right, mass = (np.concatenate([solution[part] for solution in solutions]) for part in (5, 6, 7))
    return Matched(np.array([solution[1] for solution in solutions]), starts, left, right, mass)
