"""Whether an entropic problem fits into memory, asked before anything is allocated for it."""

from __future__ import annotations

from collections.abc import Sequence

from monge.entropic._stored import COSTLY_COORDINATES, MOST_KEPT, MOST_NEWTON_COLUMNS, worth_turning
from monge.entropic.kernels.select import Route, route
from monge.entropic.kernels.threads import CHUNKS
from monge.problem.arrays import require_memory
from monge.problem.costs import Cost, CostMatrix, Grid, PointCloud

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
# Of a stored kernel matrix: bytes per pair in single and in double precision, and the tolerance that calls for the
# latter.
_SINGLE, _DOUBLE, _FINE = 4, 8, 1e-6


def require_room(costs: Sequence[Cost], eps: float, tol: float, threads: int) -> None:
    """MemoryError, with the remedy, if what is allocated to solve these problems would not fit. So many of a batch are
    solved at a time."""
    if not costs:
        return
    n, m = costs[0].shape
    if len(costs) == 1 and n * m <= _FEW_PAIRS and n + m <= _FEW_PLACES:
        return
    kept, working = zip(*(bytes_beside(cost, eps, tol) for cost in costs), strict=True)
    wanted = sum(kept) + sum(sorted(working)[-threads:])
    if wanted > _LARGE:
        what = f"entropic transport for {n} x {m} places" if len(costs) == 1 else f"{len(costs)} entropic problems"
        require_memory(wanted, f"{what}, beside the cost that was given,", _remedy(costs))


def bytes_beside(cost: Cost, eps: float, tol: float) -> tuple[int, int]:
    """What a solve allocates, beside the arrays that it was given: all along, and only while it works."""
    n, m = cost.shape
    way = route(cost, eps)
    vectors = (_VECTORS_LOW if way is Route.MULTISCALE else _VECTORS) * (n + m) // 2
    vectors += (_KEPT_LONG if tol < _PRECISE else _KEPT) * m
    if isinstance(cost, Grid):
        return 8 * (vectors + _ALONG * sum(cost.sides)), 0
    copied = 0
    if isinstance(cost, CostMatrix):
        turned = way is Route.STORED and n < m and worth_turning(n, m)
        copied = n * m * cost.C.itemsize * (int(not cost.C.flags.c_contiguous) + int(turned))
    elif cost.formed is None and way is Route.STORED:
        copied = n * m * _DOUBLE
    return 8 * (vectors + 2 * CHUNKS * m) + copied, _matrices(cost, tol) if way is Route.STORED else 0


def _matrices(cost: CostMatrix | PointCloud, tol: float) -> int:
    """Bytes of a stored kernel matrix and of what goes with it."""
    n, m = cost.shape
    kept = cost.formed is not None and cost.formed.x.shape[1] >= COSTLY_COORDINATES

    def of(size: int) -> int:
        return n * m * size * (2 if kept and n * m * size <= MOST_KEPT else 1)

    fewest = min(n, m)
    newton = 2 * _DOUBLE * fewest * fewest if tol < _PRECISE and fewest <= MOST_NEWTON_COLUMNS else 0
    return max(of(_SINGLE), of(_DOUBLE) if tol < _FINE else 0) + newton


def _remedy(costs: Sequence[Cost]) -> str:
    if len(costs) > 1:
        return "Solve fewer at once."
    if isinstance(costs[0], Grid):
        return "Take a coarser grid, or a tol of at least 1e-5, which keeps fewer vectors."
    if isinstance(costs[0], CostMatrix):
        return "Pass the matrix in C order, which is not copied, or aggregate places."
    return "Subsample or aggregate the points."
