"""Exact transport between many pairs of small clouds, with uniform weights: values, and plans as entries."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.exact import _core
from monge.exact.dense import dense
from monge.exact.result import check_solved
from monge.problem.arrays import require_memory
from monge.problem.batch import naming
from monge.problem.costs import PointCloud
from monge.problem.measures import check_value
from monge.problem.products import pair_costs, product_costs

__all__ = ["Matched", "matched"]

# Beyond so many coordinates squared distances come from a product of matrices: at 64 in half the time.
_FEW_COORDINATES = 16
# Costs that are there at a time, where it takes matrices of them.
_AT_ONCE = 1 << 20


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
    inexact : int
        How many of them have costs of such different sizes that rounding hides what the plan may lack.
    """

    values: NDArray[np.float64]
    starts: NDArray[np.int64]
    left: NDArray[Any]
    right: NDArray[Any]
    mass: NDArray[np.float64]
    inexact: int = 0

    @property
    def pair(self) -> NDArray[np.int64]:
        """To which pair each entry belongs (e,)."""
        return np.repeat(np.arange(len(self.values)), np.diff(self.starts))


def matched(x: NDArray[Any], y: NDArray[Any], cost: Any = "sqeuclidean") -> Matched:
    """Exact transport between x[q] (m, d) and y[q] (l, d) for every q < k, on one thread.

    `x` (k, m, d) and `y` (k, l, d) are the clouds, `cost` what `PointCloud` takes. Costs are computed in single
    precision where both are float32; in many dimensions those that make up a value once more, in double precision.
    Raises what `PointCloud` and `emd` do, and MemoryError where a matrix of costs would not fit.
    """
    m, d = x.shape[1:]
    first = PointCloud(x[0, :1], y[0, :1], cost)
    what = f"the {m} x {y.shape[1]} cost matrix of a pair of batches"
    require_memory(m * y.shape[1] * first.dtype.itemsize, what, "Take smaller batches.")
    if first.squared and d > _FEW_COORDINATES:
        found = _by_products(*(points.astype(first.dtype, copy=False) for points in (x, y)))
    elif first.formed is None:
        found = _of_matrices(dense(PointCloud(*pair, first.cost), 1) for pair in zip(x, y, strict=True))
    else:
        found = _by_points(x, y, cost, first.dtype)
    check_value(float(found.values.sum()), None, None)
    return found


def _by_points(x: NDArray[Any], y: NDArray[Any], cost: Any, dtype: Any) -> Matched:
    """The same for costs that the core knows: it makes them as it goes."""
    k, m, d = x.shape
    form = PointCloud(x.reshape(-1, d), y.reshape(-1, d), cost).form(dtype)
    xs, ys = form.x.reshape(k, m, -1), form.y.reshape(k, y.shape[1], -1)
    code, values, starts, left, right, mass, inexact = _core.emd_pairs(xs, ys, *form[2:])
    with naming("pair", len(values)):
        check_solved(code, np.broadcast_to(0.0, (m, y.shape[1])), (None, None))
    return Matched(values, starts, left, right, mass, inexact)


def _by_products(x: NDArray[Any], y: NDArray[Any]) -> Matched:
    """The same for squared distances in many dimensions."""
    found = _of_matrices(product_costs(*pair) for pair in zip(x, y, strict=True))
    d = x.shape[2]
    at = found.pair * x.shape[1] + found.left, found.pair * y.shape[1] + found.right
    each = pair_costs(x.reshape(-1, d), y.reshape(-1, d), *at)
    return replace(found, values=np.add.reduceat(each * found.mass, found.starts[:-1]))


def _of_matrices(costs: Iterator[NDArray[Any]]) -> Matched:
    """The same for matrices of costs (m, l), of which a few are there at a time."""
    solutions: list[Any] = []
    for first in costs:
        some = [first, *islice(costs, _AT_ONCE // first.size)]
        uniform: list[Any] = [None] * len(some)
        found = _core.emd_all(some, uniform, uniform, [0.0] * len(some), 1, math.inf, None)
        with naming("pair", 0) as at:
            for k, (C, solution) in enumerate(zip(some, found, strict=True)):
                at.index = len(solutions) + k
                check_solved(solution[0], C, (None, None))
        solutions += found
    starts = np.cumsum([0, *(len(solution[5]) for solution in solutions)])
    left, right, mass = (np.concatenate([solution[part] for solution in solutions]) for part in (5, 6, 7))
    inexact = sum(solution[0] == _core.INEXACT for solution in solutions)
    return Matched(np.array([solution[1] for solution in solutions]), starts, left, right, mass, inexact)
