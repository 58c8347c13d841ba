"""Costs as a matrix that the C++ core can walk."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.exact import _core
from monge.problem.arrays import require_memory
from monge.problem.costs import CostMatrix, PointCloud

__all__ = ["dense"]

# The kinds of GroundCost in csrc/emd.hpp.
_KINDS = {"euclidean": 0, "cityblock": 1, "cosine": 2}


def dense(cost: CostMatrix | PointCloud, threads: int) -> NDArray[Any]:
    """The costs as an (n, m) array: the caller's own where there is one, else computed on `threads` threads.

    A point cloud's is float32 if both sets of points are, else float64.
    """
    if isinstance(cost, CostMatrix):
        return _walkable(cost.C)
    dtype = np.result_type(cost.x, cost.y)
    n, m = cost.shape
    require_memory(
        n * m * dtype.itemsize,
        f"the {n} x {m} cost matrix of this point cloud",
        "Subsample or aggregate the points, or pass float32 points to halve it.",
    )
    x, y = (np.ascontiguousarray(points, dtype=dtype) for points in (cost.x, cost.y))
    return _core.ground_costs(x, y, _KINDS[cost.distance], cost.power, threads)


def _walkable(C: NDArray[Any]) -> NDArray[Any]:
    """C itself if one of its strides is one item and the other a whole number of them, else a copy."""
    whole = C.flags.aligned and all(stride % C.itemsize == 0 for stride in C.strides)
    return C if whole and (C.itemsize in C.strides or 1 in C.shape) else np.ascontiguousarray(C)
