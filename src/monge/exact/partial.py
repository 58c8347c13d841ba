"""Partial optimal transport: the cheapest way to move a given part of the mass.

minimise  <P, C>  subject to  P >= 0,  P 1 <= a,  P' 1 <= b,  sum P = mass
maximise  a.f + b.g - (sum a - mass) max f - (sum b - mass) max g  subject to  f_i + g_j <= C_ij
"""

from __future__ import annotations

import warnings
from typing import Any

from monge.exact import _core
from monge.exact.dense import dense
from monge.exact.result import transport
from monge.problem.arrays import available_threads, seconds
from monge.problem.at_home import at_home
from monge.problem.costs import as_cost
from monge.problem.home import home_of_any
from monge.problem.measures import check_partial, rounding_of
from monge.problem.progress import pivot_bar
from monge.problem.transport import ConvergenceWarning, Transport

__all__ = ["partial"]


def partial(
    cost: Any,
    a: Any = None,
    b: Any = None,
    *,
    mass: float,
    threads: int | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> Transport:
    """Partial optimal transport: moves the given mass, from wherever and to wherever it costs least.

    Solves ``min <P, C>`` over plans P >= 0 with P 1 <= a, P' 1 <= b and sum P = mass, exactly. Outliers stay where they
    are, and the totals of a and b may differ.

    Parameters
    ----------
    cost : array_like (n, m), CostMatrix or PointCloud
        Cost per unit of mass from i to j, of any sign. +inf forbids an arc.
    a : array_like (n,), optional
        What each source has, not negative. None for 1 / n each.
    b : array_like (m,), optional
        What each target can take. None for 1 / m each.
    mass : float
        How much to move: positive, at most the total of a and that of b.
    threads : int, optional
        Threads for the passes over all arcs; None for all processors. The answer has the same bits for any number.
    time_limit : float, optional
        Seconds. When they are over, the best plan so far is returned with its gap and a ConvergenceWarning.
    progress : bool
        Show a progress bar (needs tqdm).

    Returns
    -------
    Transport
        ``value``, the ``plan`` as a sparse (n, m) array with at most n + m - 1 entries, potentials ``f`` (n,) and ``g``
        (m,) with f_i + g_j <= C_ij as for `emd`, and ``gap`` = value - (a.f + b.g - (a.sum() - mass) * max(f) -
        (b.sum() - mass) * max(g)). max(f) + max(g) is what one more unit of mass would cost; sources with f_i < max(f)
        send all they have, targets with g_j < max(g) take all they can. Of arrays of another library it has such
        arrays, as `emd` says.

    Raises
    ------
    ValueError
        A mass that is not positive or exceeds a total; shapes that do not fit, NaN or -inf costs, negative, NaN or
        all-zero weights.
    TypeError
        Costs, weights or a mass that are not real numbers.
    InfeasibleError
        If the forbidden arcs leave no plan of this mass.
    TimeoutError
        If `time_limit` ran out before a plan was found that avoids the forbidden arcs.
    MemoryError
        If a PointCloud's matrix, or the solver's lists, would not fit.

    Notes
    -----
    Caffarelli & McCann 2010, "Free boundaries in optimal transport and Monge-Ampere obstacle problems"; solved as a
    transport problem with one more row and column for what stays (Chapel, Alaya & Gasso 2020, "Partial optimal
    transport with applications on positive-unlabeled learning", section 3). The cost is not copied.

    Examples
    --------
    Two of three bakers' loaves are wanted, and the far one keeps its own:

    >>> import numpy as np, monge
    >>> t = monge.partial(monge.PointCloud([0.0, 1.0, 50.0], [1.0, 3.0]), a=[1, 1, 1], b=[1, 1], mass=2)
    >>> t.value
    5.0
    >>> t.plan.toarray()
    array([[1., 0.],
           [0., 1.],
           [0., 0.]])
    """
    problem = as_cost(cost)
    n, m = problem.shape
    home = home_of_any(problem.home, a, b)
    weights_a, weights_b, moved, sends_all, fills_all = check_partial(a, b, n, m, mass)
    workers, limit = available_threads(threads), seconds(time_limit)
    matrix = dense(problem, workers)
    with pivot_bar(progress) as report:
        raw = _core.partial(
            matrix, weights_a, weights_b, rounding_of(a, b), moved, sends_all, fills_all, workers, limit, report
        )
        if report is not None:
            c = raw[-1]
            report(c["pivots"] + c["coarse_pivots"], c["sweeps"] + c["coarse_sweeps"], 0.0)
    infeasible = f"no plan of mass {moved!r} avoids the forbidden arcs (cost +inf). Lower mass, or allow more arcs."
    answer = transport(raw, matrix, (weights_a, weights_b), mass=moved, cloud=problem.cloud, infeasible=infeasible)
    if not answer.converged:
        warnings.warn(f"partial: {answer.status.value} (gap {answer.gap:.3g}).", ConvergenceWarning, stacklevel=2)
    return at_home(answer, home)
