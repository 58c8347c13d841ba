"""Exact optimal transport over the stored entries of a sparse matrix; all other arcs are forbidden.

minimise  sum P_ij C_ij over stored (i, j)  subject to  P >= 0,  P 1 = a,  P' 1 = b
maximise  a.f + b.g  subject to  f_i + g_j <= C_ij  for stored (i, j)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.exact import _core
from monge.exact.dense import check_places
from monge.exact.result import transport
from monge.problem.costs import SparseCost
from monge.problem.measures import Weights
from monge.problem.transport import InfeasibleError, Transport

__all__ = ["solve_sparse"]

# Working memory: keys, order and place of each arc at the start, and what a short list costs.
_BYTES_PER_ARC = 48

_INFEASIBLE = (
    "no plan moves all mass over the entries of this sparse cost. Add entries, at a large cost if need be, or remove "
    "mass that cannot be delivered."
)


def solve_sparse(
    cost: SparseCost,
    weights: tuple[Weights | None, Weights | None],
    rounding: float,
    g: NDArray[np.float64] | None,
    time_limit: float,
    report: Callable[[int, int, float], None] | None,
) -> Transport:
    """The optimal plan on the stored entries, from column potentials g if given. InfeasibleError if there is none.

    `rounding` is that of the numbers the weights were made from.
    """
    n, m = cost.shape
    check_places(n, m, len(cost.cost) * _BYTES_PER_ARC)
    solution = _core.sparse(m, cost.begin, cost.col, cost.cost, *weights, rounding, g, time_limit, report)
    try:
        return transport(solution, cost, weights, infeasible=_INFEASIBLE)
    except InfeasibleError:
        _check_reach(np.diff(cost.begin), weights[0], "row", "a")
        _check_reach(np.bincount(cost.col, minlength=m), weights[1], "column", "b")
        raise


def _check_reach(entries: NDArray[Any], weights: Weights | None, place: str, name: str) -> None:
    """Raises InfeasibleError for a row or column that has mass but no entry."""
    stranded = entries == 0 if weights is None else (entries == 0) & (weights > 0.0)
    if stranded.any():
        at = int(np.argmax(stranded))
        raise InfeasibleError(
            f"{place} {at} has mass but no entry in this sparse cost. Add entries, or set {name}[{at}] = 0."
        )
