"""Rows of the cost matrix, a block at a time, in double precision."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from monge.problem.costs import Cost, CostMatrix, PointCloud

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
    "turned",
]

# Numbers in a block: 4 MiB, which stays in cache between the few operations on it.
_BLOCK = 2**19

# A few units in the last place of sums of three numbers.
_DIGITS = 1e-14

# The share of costs of which some carry mass, whatever the size of the others.
_IN_USE = 0.05


def cost_block(cost: Cost, rows: slice | NDArray[np.intp]) -> NDArray[np.float64]:
    """The costs (k, m) of some rows."""
    return cost.block(rows)


def costs_between(cost: Cost, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
    """The costs (k, l) between some rows and some columns."""
    return cost.between(rows, columns)


def costs_at(cost: Cost, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
    """The costs (k,) of some pairs."""
    return cost.at(rows, columns)


def turned(cost: Cost) -> Cost:
    """The cost from the columns to the rows."""
    return cost.T


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
    return cost.bound


def largest_cost(cost: Cost, negligible: float) -> float:
    """About the largest |cost|, or a quick bound on it where that is below what is negligible."""
    return cost.largest(negligible)


def finest_eps(cost: Cost) -> float:
    """The smallest eps for which exponents (f + g - C) / eps mean something, because costs in use have so many digits.

    Few costs may be of any size and not be in use. So the measure is one of the smaller ones, zero left out.
    """
    some = np.abs(sampled_costs(cost))
    some = some[np.isfinite(some) & (some > 0.0)]
    return _DIGITS * float(np.quantile(some, _IN_USE)) if some.size else 0.0


def sampled_costs(cost: Cost) -> NDArray[np.float64]:
    """Costs between some of the rows and some of the columns, evenly spread."""
    return cost.sample()
