"""Rows of the cost matrix, a block at a time, in double precision."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.costs import Cost, CostMatrix, Grid, PointCloud

__all__ = [
    "column_softmins",
    "cost_block",
    "cost_bound",
    "costs_at",
    "costs_between",
    "finest_eps",
    "largest_cost",
    "row_blocks",
    "sampled_costs",
    "squares_out_of_range",
    "turned",
]

# Numbers in a block: 4 MiB, which stays in cache between the few operations on it.
_BLOCK = 2**19

# Rows and columns of a sample that tells the scale of the costs.
_SAMPLE = 64

# A few units in the last place of sums of three numbers.
_DIGITS = 1e-14

# The share of costs of which some carry mass, whatever the size of the others.
_IN_USE = 0.05


def cost_block(cost: Cost, rows: slice | NDArray[np.intp]) -> NDArray[np.float64]:
    """The costs (k, m) of some rows, from differences of coordinates: no digits cancel."""
    if isinstance(cost, CostMatrix):
        return cost.C[rows].astype(np.float64)
    if isinstance(cost, Grid):
        return _grid_block(cost, rows)
    return _distances(cost, cost.x[rows], cost.y)


def costs_between(cost: Cost, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
    """The costs (k, l) between some rows and some columns."""
    if isinstance(cost, CostMatrix):
        return cost.C[np.ix_(rows, columns)].astype(np.float64)
    if isinstance(cost, Grid):  # of which a row alone may not fit into memory
        return _grid_moves(cost, rows[:, np.newaxis], columns)
    return _distances(cost, cost.x[rows], cost.y[columns])


def costs_at(cost: Cost, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
    """The costs (k,) of some pairs."""
    if isinstance(cost, CostMatrix):
        return cost.C[rows, columns].astype(np.float64)
    if isinstance(cost, Grid):
        return _grid_moves(cost, rows, columns)
    x, y = cost.x[rows].astype(np.float64), cost.y[columns].astype(np.float64)
    if cost.distance == "cosine":
        x, y = (points / np.abs(points).max(axis=1, keepdims=True) for points in (x, y))
        return np.asarray(1.0 - (x * y).sum(axis=1) / (np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)))
    apart = np.abs(x - y)
    if cost.distance == "cityblock":
        return np.asarray(apart.sum(axis=1) ** cost.power)
    longest = apart.max(axis=1, keepdims=True)
    apart /= np.where(longest > 0.0, longest, 1.0)  # squares of large and small ones are out of range
    with np.errstate(under="ignore"):
        return np.asarray((longest[:, 0] * np.linalg.norm(apart, axis=1)) ** cost.power)


def _grid_moves(grid: Grid, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
    """The costs between cells, for index arrays of any shapes that go together."""
    places = zip(np.unravel_index(rows, grid.sides), np.unravel_index(columns, grid.sides), strict=True)
    moves = [np.abs(here - there) for here, there in places]
    return np.asarray(sum(costs[move] for costs, move in zip(grid.axis_costs(), moves, strict=True)))


def _grid_block(grid: Grid, rows: slice | NDArray[np.intp]) -> NDArray[np.float64]:
    cells = np.unravel_index(np.arange(grid.shape[0])[rows], grid.sides)
    block = np.zeros((len(cells[0]), *grid.sides))
    for axis, (places, moves) in enumerate(zip(cells, grid.axis_costs(), strict=True)):
        along = moves[np.abs(places[:, np.newaxis] - np.arange(len(moves)))]  # (k, side)
        block += along.reshape(len(along), *(len(moves) if other == axis else 1 for other in range(len(grid.sides))))
    return block.reshape(len(block), -1)


def turned(cost: Cost) -> Cost:
    """The cost from the columns to the rows."""
    if isinstance(cost, CostMatrix):
        return CostMatrix(cost.C.T)
    return PointCloud(cost.y, cost.x, cost.cost) if isinstance(cost, PointCloud) else cost


def column_softmins(
    cost: CostMatrix | PointCloud, weights: NDArray[np.float64], columns: NDArray[np.intp], eps: float
) -> NDArray[np.float64]:
    """-eps log sum_i exp(weights_i - C_ij / eps) for some columns j, whatever the numbers; +inf for an empty sum."""
    across, out = turned(cost), np.empty(len(columns))
    for block in row_blocks(len(columns), len(weights)):
        exponents = weights - cost_block(across, columns[block]) / eps
        top = exponents.max(axis=1, keepdims=True)
        top[~(top > -np.inf)] = 0.0
        with np.errstate(divide="ignore", under="ignore"):
            out[block] = -eps * (top[:, 0] + np.log(np.exp(exponents - top).sum(axis=1)))
    return out


def row_blocks(n: int, m: int, numbers: int = _BLOCK) -> Iterator[slice]:
    """Slices that cut n rows of m numbers into blocks of so many."""
    size = max(1, numbers // m)
    for first in range(0, n, size):
        yield slice(first, min(first + size, n))


def cost_bound(cost: Cost) -> float:
    """What no finite |cost| exceeds."""
    if isinstance(cost, Grid):
        return float(sum(moves[-1] for moves in cost.axis_costs()))
    if isinstance(cost, PointCloud):
        return _quick_bound(cost)
    finite = cost.C[np.isfinite(cost.C)]
    return float(np.abs(finite).max(initial=0.0))


def largest_cost(cost: Cost, negligible: float) -> float:
    """About the largest |cost|, or a quick bound on it where that is below what is negligible."""
    if isinstance(cost, PointCloud):
        bound = _quick_bound(cost)
        return bound if bound < negligible or cost.distance == "cosine" else float(cost.reach**cost.power)
    some = np.abs(sampled_costs(cost))
    return float(some[np.isfinite(some)].max(initial=0.0))


def _quick_bound(cost: PointCloud) -> float:
    try:
        return float(cost.bound**cost.power)
    except OverflowError:
        return math.inf


def finest_eps(cost: Cost) -> float:
    """The smallest eps for which exponents (f + g - C) / eps mean something, because costs in use have so many digits.

    Few costs may be of any size and not be in use. So the measure is one of the smaller ones, zero left out.
    """
    some = np.abs(sampled_costs(cost))
    some = some[np.isfinite(some) & (some > 0.0)]
    return _DIGITS * float(np.quantile(some, _IN_USE)) if some.size else 0.0


def sampled_costs(cost: Cost) -> NDArray[np.float64]:
    """Costs between some of the rows and some of the columns, evenly spread."""
    n, m = cost.shape
    step, stride = -(-n // _SAMPLE), -(-m // _SAMPLE)
    if isinstance(cost, CostMatrix):  # a view, where an index would gather
        return cost.C[::step, ::stride].astype(np.float64)
    return costs_between(cost, np.arange(0, n, step), np.arange(0, m, stride))


def squares_out_of_range(cost: PointCloud) -> bool:
    """Whether coordinates have to be scaled before they are squared."""
    return not 1e-140 < cost.bound < 1e140 and cost.reach > 0.0


def _distances(cost: PointCloud, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """The costs (k, l) between points (k, d) and (l, d)."""
    from scipy.spatial.distance import cdist

    x, y = x.astype(np.float64), y.astype(np.float64)
    if squares_out_of_range(cost):
        exponent, origin = math.frexp(cost.reach)[1], cost.x[0].astype(np.float64)
        near = PointCloud(np.ldexp(x - origin, -exponent), np.ldexp(y - origin, -exponent), cost.cost)
        with np.errstate(under="ignore"):
            return np.asarray(_distances(near, near.x, near.y) * 2.0 ** (exponent * cost.power))
    if cost.distance == "euclidean" and cost.power == 2.0:
        return np.asarray(cdist(x, y, "sqeuclidean"))
    block = np.asarray(cdist(x, y, cost.distance))
    return block if cost.power == 1.0 else block**cost.power
