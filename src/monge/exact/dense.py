"""Costs as a matrix that the C++ core can walk."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem._ground import cost_matrix
from monge.problem.arrays import require_memory
from monge.problem.costs import Cost, CostMatrix, Grid
from monge.problem.user_cost import GroundCost

__all__ = ["check_places", "dense"]

# The tour of the solver's tree numbers three entries per place in 32 bits.
_MOST_PLACES = 2**31 // 3 - 1

# Problems with fewer places than this are not worth a look at the free memory.
_LARGE = 100_000


def dense(cost: Cost, threads: int) -> NDArray[Any]:
    """The costs as an (n, m) array: the caller's own where there is one, else computed on `threads` threads.

    A point cloud's is float32 if both sets of points are, else float64.
    """
    n, m = cost.shape
    check_places(n, m, max(n, m) * (min(n, m, 96) * 12 + 64))
    if isinstance(cost, CostMatrix):
        return _walkable(cost.C)
    dtype = cost.dtype
    what, remedy = (
        ("grid", "Take a coarser grid, or monge.sinkhorn, which needs no matrix.")
        if isinstance(cost, Grid)
        else ("point cloud", "Subsample or aggregate the points, or pass float32 points to halve it.")
    )
    require_memory(n * m * dtype.itemsize, f"the {n} x {m} cost matrix of this {what}", remedy)
    if isinstance(cost, Grid):
        return _grid_costs(cost)
    if isinstance(cost.ground, GroundCost):
        return cost.ground.matrix(cost.x, cost.y, dtype, threads)
    return cost_matrix(*cost.form(dtype), threads)


def _grid_costs(grid: Grid) -> NDArray[np.float64]:
    costs = np.zeros(grid.sides + grid.sides)
    for axis, moves in enumerate(grid.axis_costs()):
        cells = np.arange(len(moves))
        shape = np.ones(costs.ndim, dtype=int)
        shape[[axis, axis + len(grid.sides)]] = len(moves)
        costs += moves[np.abs(cells[:, np.newaxis] - cells)].reshape(shape)
    return costs.reshape(grid.shape)


def _walkable(C: NDArray[Any]) -> NDArray[Any]:
    """C itself if one of its strides is one item and the other a whole number of them, else a copy."""
    if C.flags.c_contiguous and C.flags.aligned:
        return C
    whole = C.flags.aligned and all(stride % C.itemsize == 0 for stride in C.strides)
    return C if whole and (C.itemsize in C.strides or 1 in C.shape) else np.ascontiguousarray(C)


def check_places(n: int, m: int, lists: int) -> None:
    """Whether the solver can number n + m places, and has room for them and for lists of arcs of so many bytes."""
    if n + m >= _MOST_PLACES:
        raise ValueError(
            f"the solver numbers at most {_MOST_PLACES} places; got {n} + {m}. Aggregate points, or solve in parts."
        )
    if n + m > _LARGE:
        what = f"the solver's lists for {n} x {m}"
        require_memory(lists + (n + m) * 128, what, "Aggregate points, or solve in parts.")
