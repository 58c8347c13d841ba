"""Costs as a matrix that the C++ core can walk."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.exact import _core
from monge.problem.arrays import require_memory
from monge.problem.costs import Cost, CostMatrix, Grid

__all__ = ["EUCLIDEAN", "check_places", "dense"]

# Distances beyond two to this power, up or down, are computed on rescaled points: the squares of 1e-30, or of 1e30,
# are no float32 numbers.
_SAFE_EXPONENT = 32

# The kinds of GroundCost in csrc/exact/emd.hpp.
EUCLIDEAN = 0
_KINDS = {"euclidean": EUCLIDEAN, "cityblock": 1, "cosine": 2}


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
    x, y = (np.ascontiguousarray(points, dtype=dtype) for points in (cost.x, cost.y))
    kind = _KINDS[cost.distance]
    if cost.distance == "cosine":
        return _core.ground_costs(_rescaled(x), _rescaled(y), kind, cost.power, threads)
    exponent = math.frexp(cost.reach)[1]
    if abs(exponent) <= _SAFE_EXPONENT:
        return _core.ground_costs(x, y, kind, cost.power, threads)
    matrix = _core.ground_costs(np.ldexp(x, -exponent), np.ldexp(y, -exponent), kind, cost.power, threads)
    matrix *= dtype.type(2.0 ** (exponent * cost.power))
    return matrix


def _grid_costs(grid: Grid) -> NDArray[np.float64]:
    costs = np.zeros(grid.sides + grid.sides)
    for axis, moves in enumerate(grid.axis_costs()):
        cells = np.arange(len(moves))
        shape = np.ones(costs.ndim, dtype=int)
        shape[[axis, axis + len(grid.sides)]] = len(moves)
        costs += moves[np.abs(cells[:, np.newaxis] - cells)].reshape(shape)
    return costs.reshape(grid.shape)


def _rescaled(points: NDArray[Any]) -> NDArray[Any]:
    """Each point times a power of two that brings its largest coordinate near one: its direction, to the last bit."""
    rescaled: NDArray[Any] = np.ldexp(points, -np.frexp(np.abs(points).max(axis=1, keepdims=True))[1])
    return rescaled


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
