"""What the C++ core returns, as a Transport or as an exception with the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from monge.exact import _core
from monge.problem._ground import LARGEST_COST
from monge.problem.measures import Weights, check_value, weights_error
from monge.problem.transport import InfeasibleError, Status, Transport

if TYPE_CHECKING:
    from monge.exact._core import Solution

__all__ = ["check_solved", "transport"]

Pair: TypeAlias = tuple[Weights | None, Weights | None]

# Those that come with a plan.
_STATUSES = {
    _core.OPTIMAL: Status.OPTIMAL,
    _core.TIME_LIMIT: Status.TIME_LIMIT,
    _core.INEXACT: Status.INEXACT,
}

_WITHOUT_FORBIDDEN = (
    "no plan avoids the forbidden arcs (cost +inf). Give them a large finite cost, remove mass that cannot be "
    "delivered, or use monge.partial to transport only a part."
)


def transport(
    solution: Solution,
    C: Any,
    weights: Pair,
    *,
    mass: float | None = None,
    cloud: Any = None,
    infeasible: str = _WITHOUT_FORBIDDEN,
) -> Transport:
    """The Transport between `weights`, of a part `mass` of them if given, at the costs C, that a solution of the core
    stands for. The costs may be those of a `cloud`; `infeasible` is what to say if there is no plan."""
    code, value, gap, f, g, rows, cols, flow, listed, counters = solution
    if code not in _STATUSES:
        check_solved(code, C, weights, infeasible)
    else:
        check_value(value, *weights)
    return Transport(
        value=value,
        cost=value,
        f=f,
        g=g,
        gap=gap,
        status=_STATUSES[code],
        iterations=counters["pivots"],
        stats=counters,
        weights=weights,
        entries=(rows, cols, flow),
        listed=listed,
        mass=mass,
        cloud=cloud,
    )


def check_solved(code: int, C: Any, weights: Pair, infeasible: str = _WITHOUT_FORBIDDEN) -> None:
    """Raises what a status of the core means, unless it is one that comes with a plan."""
    if code in _STATUSES:
        return
    if code == _core.INVALID_WEIGHTS:
        raise weights_error(*weights)
    if code == _core.INVALID_COST:
        raise ValueError(
            "cost should hold numbers up to 1e290, or +inf for a forbidden arc, but not NaN or -inf; "
            + next(_bad_costs(C))
        )
    if code == _core.INFEASIBLE:
        raise InfeasibleError(infeasible)
    if code == _core.NO_PLAN_YET:
        raise TimeoutError(
            "time_limit ran out before a plan was found that avoids the forbidden arcs. Raise time_limit."
        )
    if code == _core.OUT_OF_MEMORY:
        raise MemoryError(
            f"the solver ran out of memory on a {C.shape[0]} x {C.shape[1]} problem, beyond the cost it was given. "
            "Aggregate points, or free memory."
        )
    raise RuntimeError(f"the solver stopped with the unexpected status {code}; please report this problem.")


def _bad_costs(C: NDArray[Any]) -> Iterator[str]:
    for i, row in enumerate(C):
        values = row.astype(np.float64)
        bad = ~(values > -np.inf) | (np.isfinite(values) & (np.abs(values) > LARGEST_COST))
        yield from (f"cost[{i}, {j}] = {values[j]}." for j in np.flatnonzero(bad))
