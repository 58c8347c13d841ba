"""Exact optimal transport by the network simplex.

minimise  <P, C>  subject to  P >= 0,  P 1 = a,  P' 1 = b          (Kantorovich 1942)
maximise  a.f + b.g  subject to  f_i + g_j <= C_ij                  (its dual)
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from monge.exact import _core
from monge.exact.batch import emd_batch
from monge.exact.dense import dense
from monge.exact.result import transport
from monge.exact.sparse import solve_sparse
from monge.problem.arrays import available_threads, seconds
from monge.problem.at_home import at_home
from monge.problem.batch import is_batch
from monge.problem.costs import Cost, SparseCost, as_cost, is_sparse
from monge.problem.home import home_of_any
from monge.problem.measures import Weights, as_weights, check_weights, rounding_of
from monge.problem.progress import pivot_bar
from monge.problem.start import start_potentials
from monge.problem.transport import ConvergenceWarning, Transport

__all__ = ["emd", "emd_of_rest", "emd_within"]

Batch = np.ndarray[tuple[int, int, int], Any] | Sequence[np.ndarray[tuple[int, int], Any] | Cost]


@overload
def emd(
    cost: Cost,
    a: Any = None,
    b: Any = None,
    *,
    init: Transport | tuple[Any, Any] | None = None,
    threads: int | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> Transport: ...
@overload
def emd(
    cost: Batch,
    a: Any = None,
    b: Any = None,
    *,
    init: None = None,
    threads: int | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> list[Transport]: ...
@overload
def emd(
    cost: Any,
    a: Any = None,
    b: Any = None,
    *,
    init: Transport | tuple[Any, Any] | None = None,
    threads: int | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> Transport: ...
def emd(
    cost: Any,
    a: Any = None,
    b: Any = None,
    *,
    init: Transport | tuple[Any, Any] | None = None,
    threads: int | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> Transport | list[Transport]:
    """Exact optimal transport (earth mover's distance).

    Solves ``min <P, C>`` over plans P >= 0 with P 1 = a and P' 1 = b, and its dual, by a primal network simplex on
    integer flows. The answer comes with a certificate: ``gap`` bounds its distance from the optimum.

    Many problems at once, as an array (B, n, m) or a list of costs of any sizes, are spread over the threads.

    Parameters
    ----------
    cost : array_like (n, m), CostMatrix, PointCloud or Grid, or a scipy.sparse matrix or array (n, m)
        Cost per unit of mass from i to j. float32 and float64 matrices are read in place. +inf forbids an arc.
        Of a sparse one, of any format, only stored entries are arcs, and explicit zeros cost nothing; entries at the
        same place are summed. It takes memory in proportion to the entries, and runs on one thread.
        An array (B, n, m), or a list of (n, m) arrays and cost objects of any sizes, is a batch of problems; an empty
        one has no answers, [].
    a : array_like (n,), optional
        Weights of the sources, not negative. None for uniform ones. For a batch also (B, n), or a list of one array or
        None per problem; a vector is shared by all problems.
    b : array_like (m,), optional
        Weights of the targets, of the same total; for a batch likewise.
    init : Transport or (f, g), optional
        A start: the result of a similar problem, or potentials (n,) and (m,). It changes the time, not the answer.
        Not for a batch.
    threads : int, optional
        Threads for the passes over all arcs, or for the problems of a batch; None for all processors. The answer has
        the same bits for any number.
    time_limit : float, optional
        Seconds, for all problems together. When they are over, the best plan so far is returned with its gap and a
        ConvergenceWarning.
    progress : bool
        Show a progress bar (needs tqdm); for a batch, over its problems.

    Returns
    -------
    Transport, or list of Transport for a batch
        ``value``, the ``plan`` as a sparse (n, m) array with at most n + m - 1 entries, feasible potentials ``f`` and
        ``g``, ``gap``, ``status``, and counters in ``stats``. Of arrays of another library than NumPy it holds and
        gives such arrays, see the notes.

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN or -inf costs, negative, NaN or all-zero weights, totals that differ, masses so
        large that times their costs they overflow; arrays on several devices. In a batch, the text of this and of the
        other errors begins with the index of the problem.
    TypeError
        Costs or weights that are not real numbers, or are arrays of two libraries beside NumPy.
    InfeasibleError
        If the forbidden arcs leave no plan, those without an entry in a sparse cost included. Mass that finds no way
        over allowed arcs because weights are rounded, and for no other reason, is left out: ``stats["dropped"]``.
    TimeoutError
        If `time_limit` ran out before a plan was found that avoids the forbidden arcs.
    MemoryError
        If the matrix of a PointCloud or of a Grid, or the solver's lists, would not fit.

    Notes
    -----
    Dantzig 1951, "Application of the simplex method to a transportation problem"; strongly feasible bases after
    Cunningham 1976, "A network simplex method". Weights are scaled to integers of at most 2**60 in all, so the plan's
    marginals agree with a and b to rounding. Where costs differ so much in size that rounding could hide what a plan
    lacks, the problem is solved again for what the potentials leave of the costs (iterative refinement; Gleixner,
    Steffy and Wolter 2016, section 2); ``stats["refinements"]`` counts how often.

    Costs, points and weights may be arrays of any library that follows the array API standard, such as torch, JAX or
    CuPy, beside arrays of NumPy. Potentials, gradients, images and what the plan gives are then arrays of that library,
    on the same device, of the widest floating type among the arrays given, or of integers the library's default. From
    float16 and bfloat16 everything is computed in single precision or better, and results are rounded to them. Values
    stay floats of Python, the plan takes part in products, and ``t.on_host`` is the same result for NumPy, in double
    precision. Nothing is recorded for automatic differentiation.

    Examples
    --------
    Three bakeries, two cafes:

    >>> import numpy as np, monge
    >>> t = monge.emd([[4.0, 1.0], [2.0, 3.0], [5.0, 2.0]], a=[0.3, 0.4, 0.3], b=[0.5, 0.5])
    >>> round(t.value, 12)
    2.0
    >>> t.plan.toarray().round(12)
    array([[0. , 0.3],
           [0.4, 0. ],
           [0.1, 0.2]])
    >>> t.converged, t.gap < 1e-12
    (True, True)

    Two problems at once:

    >>> [t.value for t in monge.emd(np.array([[[0.0, 1.0], [1.0, 0.0]], [[3.0, 1.0], [1.0, 3.0]]]))]
    [0.0, 1.0]

    Only some arcs exist:

    >>> from scipy.sparse import coo_array
    >>> monge.emd(coo_array(([1.0, 4.0, 2.0], ([0, 0, 1], [0, 1, 0])))).value
    3.0
    """
    if is_batch(cost):
        return emd_batch(cost, a, b, init=init, threads=threads, time_limit=time_limit, progress=progress)
    problem = SparseCost(cost) if is_sparse(cost) else as_cost(cost)
    n, m = problem.shape
    home = home_of_any(problem.home, a, b)
    init = getattr(init, "on_host", init)
    f, g = start_potentials(init, n, m) or (None, None)
    plan_arcs: tuple[Any, Any] = (None, None)
    if isinstance(init, Transport) and init._entries is not None:
        plan_arcs = init._entries[:2]
    listed: tuple[Any, Any] = (init._listed if isinstance(init, Transport) else None) or (None, None)
    workers = available_threads(threads)
    limit = seconds(time_limit)
    with pivot_bar(progress) as report:
        if isinstance(problem, SparseCost):
            answer = solve_sparse(problem, check_weights(a, b, n, m), rounding_of(a, b), g, limit, report)
        else:
            if not problem.stored:
                check_weights(a, b, n, m)  # the core does, but the matrix takes longer
            weights_a, rounding_a = as_weights(a, n, "a", "row")
            weights_b, rounding_b = as_weights(b, m, "b", "column")
            rounding = max(rounding_a, rounding_b)
            matrix = dense(problem, workers)
            raw = _core.emd(matrix, weights_a, weights_b, rounding, (f, g, *plan_arcs, *listed), workers, limit, report)
            answer = transport(raw, matrix, (weights_a, weights_b), cloud=problem.cloud)
        if report is not None:
            c = answer.stats
            report(c["pivots"] + c["coarse_pivots"], c["sweeps"] + c["coarse_sweeps"], 0.0)
    if not answer.converged:
        warnings.warn(f"emd: {answer.status.value} (gap {answer.gap:.3g}).", ConvergenceWarning, stacklevel=2)
    return at_home(answer, home)


def emd_of_rest(cost: Cost, a: Weights, b: Weights, noise: float, threads: int) -> Transport:
    """`emd` for what is left of larger weights; `noise` is the mass by which that leaves them rounded."""
    matrix = dense(cost, threads)
    raw = _core.emd(matrix, a, b, noise / float(a.sum()), None, threads, math.inf, None)
    return transport(raw, matrix, (a, b))


def emd_within(
    cost: Cost, a: Weights | None, b: Weights | None, last: Transport | None, threads: int, limit: float = math.inf
) -> Transport:
    """`emd` as a part of another solver, from the result of a similar problem: nothing is checked, and nobody is warned
    where costs in use are next to nothing beside others, or `limit`, in seconds, ran out: the status says so."""
    start = None
    if last is not None and last._entries is not None:
        start = (last.f, last.g, *last._entries[:2], *(last._listed or (None, None)))
    matrix = dense(cost, threads)
    raw = _core.emd(matrix, a, b, rounding_of(None), start, threads, limit, None)
    return transport(raw, matrix, (a, b), cloud=cost.cloud)
