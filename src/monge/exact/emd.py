"""Exact optimal transport by the network simplex.

minimise  <P, C>  subject to  P >= 0,  P 1 = a,  P' 1 = b          (Kantorovich 1942)
maximise  a.f + b.g  subject to  f_i + g_j <= C_ij                  (its dual)
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.exact import _core
from monge.exact.dense import dense
from monge.problem.arrays import available_threads, real_array, real_number, require_memory
from monge.problem.costs import LARGEST_COST, as_cost
from monge.problem.measures import check_weights
from monge.problem.progress import pivot_bar
from monge.problem.transport import ConvergenceWarning, InfeasibleError, Status, Transport

__all__ = ["emd"]

# The statuses of csrc/emd.hpp.
_OPTIMAL, _TIME_LIMIT, _INTERRUPTED, _INFEASIBLE, _NO_PLAN_YET, _INVALID_COST, _OUT_OF_MEMORY = range(7)

# The tour of the solver's tree numbers three entries per place in 32 bits.
_MOST_PLACES = 2**31 // 3 - 1

# Problems with fewer places than this are not worth a look at the free memory.
_LARGE = 100_000


def emd(
    cost: Any,
    a: Any = None,
    b: Any = None,
    *,
    init: Transport | tuple[Any, Any] | None = None,
    threads: int | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> Transport:
    """Exact optimal transport (earth mover's distance).

    Solves ``min <P, C>`` over plans P >= 0 with P 1 = a and P' 1 = b, and its dual, by a primal network simplex on
    integer flows. The answer comes with a certificate: ``gap`` bounds its distance from the optimum.

    Parameters
    ----------
    cost : array_like (n, m), CostMatrix or PointCloud
        Cost per unit of mass from i to j. float32 and float64 matrices are read in place. +inf forbids an arc.
    a : array_like (n,), optional
        Weights of the sources, not negative. None for uniform ones.
    b : array_like (m,), optional
        Weights of the targets, of the same total.
    init : Transport or (f, g), optional
        A start: the result of a similar problem, or potentials (n,) and (m,). It changes the time, not the answer.
    threads : int, optional
        Threads for the passes over all arcs; None for all processors. The answer has the same bits for any number.
    time_limit : float, optional
        Seconds. When they are over, the best plan so far is returned with its gap and a ConvergenceWarning.
    progress : bool
        Show a progress bar (needs tqdm).

    Returns
    -------
    Transport
        ``value``, the ``plan`` as a sparse (n, m) array with at most n + m - 1 entries, feasible potentials ``f`` and
        ``g``, ``gap``, ``status``, and counters in ``stats``.

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN or -inf costs, negative, NaN or all-zero weights, totals that differ.
    TypeError
        Costs or weights that are not real numbers.
    InfeasibleError
        If the forbidden arcs leave no plan.
    MemoryError
        If a PointCloud's matrix, or the solver's lists, would not fit.

    Notes
    -----
    Dantzig 1951, "Application of the simplex method to a transportation problem"; strongly feasible bases after
    Cunningham 1976, "A network simplex method". Weights are scaled to integers of at most 2**60 in all, so the plan's
    marginals agree with a and b to rounding.

    Examples
    --------
    Three bakeries, two cafes:

    >>> import monge
    >>> t = monge.emd([[4.0, 1.0], [2.0, 3.0], [5.0, 2.0]], a=[0.3, 0.4, 0.3], b=[0.5, 0.5])
    >>> round(t.value, 12)
    2.0
    >>> t.plan.toarray().round(12)
    array([[0. , 0.3],
           [0.4, 0. ],
           [0.1, 0.2]])
    >>> t.converged, t.gap < 1e-12
    (True, True)
    """
    problem = as_cost(cost)
    n, m = problem.shape
    weights_a, weights_b = check_weights(a, b, n, m)
    f, g = _potentials(init, n, m)
    plan_rows, plan_cols, _ = init._entries() if isinstance(init, Transport) else (None, None, None)
    workers = available_threads(threads)
    limit = np.inf if time_limit is None else real_number(time_limit, "time_limit", "a number of seconds >= 0, or None")
    if not limit >= 0.0:
        raise ValueError(f"time_limit should be a number of seconds >= 0, or None; got {time_limit!r}.")
    _check_size(n, m)
    matrix = dense(problem, workers)
    with pivot_bar(progress) as report:
        code, value, gap, f, g, rows, cols, mass, counters = _core.emd(
            matrix, weights_a, weights_b, f, g, plan_rows, plan_cols, workers, limit, report
        )
        if report is not None:
            report(counters["pivots"] + counters["coarse_pivots"], counters["sweeps"], 0.0)
    if code not in (_OPTIMAL, _TIME_LIMIT):
        _fail(code, matrix)
    status = Status.OPTIMAL if code == _OPTIMAL else Status.TIME_LIMIT
    if status is not Status.OPTIMAL:
        warnings.warn(f"emd: {status.value} (gap {gap:.3g}).", ConvergenceWarning, stacklevel=2)
    return Transport(
        value=value,
        cost=value,
        f=f,
        g=g,
        gap=gap,
        status=status,
        iterations=counters["pivots"],
        stats=counters,
        weights=(weights_a, weights_b),
        entries=lambda: (rows, cols, mass),
    )


def _check_size(n: int, m: int) -> None:
    if n + m >= _MOST_PLACES:
        raise ValueError(
            f"the solver numbers at most {_MOST_PLACES} places; got {n} + {m}. Aggregate points, or solve in parts."
        )
    if n + m > _LARGE:
        lists = max(n, m) * (min(n, m, 96) * 12 + 64) + (n + m) * 128
        require_memory(lists, f"the solver's lists for {n} x {m}", "Aggregate points, or solve in parts.")


def _potentials(init: Any, n: int, m: int) -> tuple[Any, Any]:
    if init is None:
        return None, None
    pair = (init.f, init.g) if isinstance(init, Transport) else init
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"init should be a Transport or a pair of potentials (f, g); got {type(init).__name__}.")
    out = []
    for values, name, size in ((pair[0], "f", n), (pair[1], "g", m)):
        array = real_array(values, f"init's {name}", None, f"potentials of shape ({size},)")
        if array.shape != (size,):
            raise ValueError(f"init's {name} should have shape ({size},); got {array.shape}.")
        potential = np.ascontiguousarray(array, dtype=np.float64)
        if not np.isfinite(potential).all():
            raise ValueError(f"init's {name} should be finite; drop init= to start afresh.")
        out.append(potential)
    return out[0], out[1]


def _bad_costs(C: NDArray[Any]) -> Iterator[str]:
    for i, row in enumerate(C):
        values = row.astype(np.float64)
        bad = ~(values > -np.inf) | (np.isfinite(values) & (np.abs(values) > LARGEST_COST))
        yield from (f"cost[{i}, {j}] = {values[j]}." for j in np.flatnonzero(bad))


def _fail(code: int, C: NDArray[Any]) -> None:
    if code == _INVALID_COST:
        raise ValueError(
            "cost should hold numbers up to 1e290, or +inf for a forbidden arc, but not NaN or -inf; "
            + next(_bad_costs(C))
        )
    if code == _INFEASIBLE:
        raise InfeasibleError(
            "no plan avoids the forbidden arcs (cost +inf). Give them a large finite cost, remove mass that cannot be "
            "delivered, or use monge.partial to transport only a part."
        )
    if code == _NO_PLAN_YET:
        raise TimeoutError(
            "time_limit ran out before a plan was found that avoids the forbidden arcs. Raise time_limit."
        )
    if code == _OUT_OF_MEMORY:
        raise MemoryError(
            f"the solver ran out of memory on a {C.shape[0]} x {C.shape[1]} problem, beyond the cost it was given. "
            "Aggregate points, or free memory."
        )
    raise RuntimeError(f"the solver stopped with the unexpected status {code}; please report this problem.")
