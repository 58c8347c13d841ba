"""Whether an entropic problem fits into memory, asked before anything is allocated for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monge.entropic.kernels.select import Route, route
from monge.entropic.kernels.threads import CHUNKS
from monge.problem.arrays import require_memory
from monge.problem.costs import Cost, CostMatrix, Grid

__all__ = ["bytes_beside", "require_room"]

# Vectors of float64 per row and column, beside those of the acceleration: weights, their logarithms, potentials, and
# what goes along the axes of a grid; for points in few dimensions, coarser levels and lists of neighbours. Measured.
_VECTORS, _VECTORS_LOW = 20, 40
# Vectors per cell along an axis of a grid: costs, kernels, logarithms.
_ALONG = 12
# Vectors per column that the acceleration in `iteration` keeps, and those for a tolerance below the last of these.
_KEPT, _KEPT_LONG, _PRECISE = 19, 43, 1e-5
# A problem of so few pairs, between so few places, takes less than that without being asked.
_FEW_PAIRS, _FEW_PLACES = 2**20, 2**14
# Problems that take fewer bytes are not worth a look at the free memory.
_LARGE = 2**27


def require_room(costs: Sequence[Cost], tol: float) -> None:
    """MemoryError, with the remedy, if what is allocated to solve these problems would not fit."""
    if not costs:
        return
    n, m = costs[0].shape
    if len(costs) == 1 and n * m <= _FEW_PAIRS and n + m <= _FEW_PLACES:
        return
    wanted = sum(bytes_beside(cost, tol) for cost in costs)
    if wanted > _LARGE:
        what = f"entropic transport for {n} x {m} places" if len(costs) == 1 else f"{len(costs)} entropic problems"
        require_memory(wanted, f"{what}, beside the cost that was given,", _remedy(costs))


def bytes_beside(cost: Cost, tol: float) -> int:
    """What a solve allocates, beside the arrays that it was given."""
    n, m = cost.shape
    way = route(cost, tol)
    vectors = (_VECTORS_LOW if way is Route.MULTISCALE else _VECTORS) * (n + m) // 2
    vectors += (_KEPT_LONG if tol < _PRECISE else _KEPT) * m
    if isinstance(cost, Grid):
        return 8 * (vectors + _ALONG * sum(cost.sides))
    copied = 0
    if isinstance(cost, CostMatrix):
        small = way is Route.STORED
        as_it_is = cost.C.flags.c_contiguous and (cost.C.dtype == np.float64 or not small)
        copied = 0 if as_it_is else n * m * (8 if small else cost.C.itemsize)
    return 8 * (vectors + CHUNKS * m) + copied


def _remedy(costs: Sequence[Cost]) -> str:
    if len(costs) > 1:
        return "Solve fewer at once."
    if isinstance(costs[0], Grid):
        return "Take a coarser grid, or a tol of at least 1e-5, which keeps fewer vectors."
    if isinstance(costs[0], CostMatrix):
        return "Pass the matrix in C order, which is not copied, or aggregate places."
    return "Subsample or aggregate the points."
