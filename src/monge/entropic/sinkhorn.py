"""Entropic optimal transport.

minimise  <P, C> + eps KL(P | a x b)  subject to  P 1 = a,  P' 1 = b          (Cuturi 2013)

or with penalties in place of the constraints. The algorithm is in `iteration`, the passes in `kernels`; here are the
checks, the scales, and the way from potentials to a `Transport`.
"""

from __future__ import annotations

import math
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic import iteration
from monge.entropic.answer import EntropicTransport
from monge.entropic.blocks import cost_block, finest_eps, row_blocks
from monge.entropic.kernels.select import check_device, choose
from monge.entropic.marginals import Marginal, as_marginals
from monge.exact.batch import is_batch, naming, one_each
from monge.exact.emd import emd
from monge.problem.arrays import available_threads, real_array, real_number
from monge.problem.costs import Cost, CostMatrix, Grid, PointCloud, as_cost
from monge.problem.measures import Weights, check_weights, total_mass
from monge.problem.progress import count_bar, pass_bar
from monge.problem.transport import ConvergenceWarning, InfeasibleError, Status, Transport

__all__ = ["sinkhorn"]

Array = NDArray[np.float64]

# Pairs up to which the whole solve is one compiled call.
_SMALL = 2**16
# Passes whose error is kept.
_HISTORY = 10_000
# The ratio of costs to eps beyond which their quotients overflow.
_LARGEST_RATIO = 1e300


def sinkhorn(
    cost: Any,
    a: Any = None,
    b: Any = None,
    *,
    eps: float,
    marginals: Any = None,
    tol: float = 1e-3,
    max_iter: int = 10_000,
    init: Transport | tuple[Any, Any] | None = None,
    device: str | None = None,
    threads: int | None = None,
    progress: bool = False,
) -> Any:
    """Entropic optimal transport (Sinkhorn's algorithm), balanced or unbalanced.

    Minimises ``<P, C> + eps KL(P | a x b)`` over plans P with P 1 = a and P' 1 = b, or with penalties on how far the
    marginals are from a and b. Always in the log domain: any eps is safe, though a small one takes more passes. For the
    plan of least cost itself use `emd`.

    Parameters
    ----------
    cost : array_like (n, m), CostMatrix, PointCloud or Grid
        Cost per unit of mass from i to j; +inf forbids it. The costs of a Grid are never stored, those of a PointCloud
        in 16 dimensions or more only where they fit into 128 MiB.
        An array (B, n, m), or a list of (n, m) arrays and cost objects of any sizes, is a batch of problems.
    a : array_like (n,), optional
        Weights of the sources, not negative. None for uniform ones. For a batch also (B, n), or a list of one array or
        None per problem; a vector is shared by all problems.
    b : array_like (m,), optional
        Weights of the targets, of the same total unless `marginals` lets it differ; for a batch likewise.
    eps : float
        Strength of the entropy, positive, in the units of the cost. A few percent of the mean cost blurs visibly; below
        a thousandth, `emd` is often faster. One below the rounding of the costs, 1e-14 of their size, is taken as that.
    marginals : monge.KL, monge.TV, or a pair, optional
        Penalties in place of the constraints, for both sides or for the rows and the columns; None in a pair is a
        constraint.
    tol : float
        Largest marginal error, |P 1 - a|_1 + |P' 1 - b|_1 over the total mass. 1e-9 is reachable.
    max_iter : int
        Largest number of passes over all pairs.
    init : Transport or (f, g), optional
        A start: the result of a similar problem, or potentials (n,) and (m,). Not for a batch.
    device : str, optional
        "cpu", which is also what None chooses.
    threads : int, optional
        Threads for the passes, or for the problems of a batch; None for all processors. The answer has the same bits
        for any number.
    progress : bool
        Show passes, eps and marginal error (needs tqdm); for a batch, its problems.

    Returns
    -------
    Transport, or list of Transport for a batch
        ``value``, the dual value of the potentials ``f`` and ``g``; the lazy ``plan``, with
        P_ij = a_i b_j exp((f_i + g_j - C_ij) / eps); ``cost``, ``marginal_error`` and ``gap``, measured when asked for;
        ``status``; and in ``stats`` passes, pairs, seconds and the errors of all passes.

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN or -inf costs, negative, NaN or all-zero weights, totals that differ, an eps or tol
        that is not positive. In a batch, the text of this and of the other errors begins with the index of the problem.
    TypeError
        Costs or weights that are not real numbers.
    InfeasibleError
        If the forbidden arcs leave no plan.

    Notes
    -----
    Cuturi 2013, "Sinkhorn distances"; Chizat, Peyre, Schmitzer and Vialard 2018 for penalties. The first call compiles,
    for some seconds; what is compiled is kept on disk.

    Examples
    --------
    >>> import numpy as np, monge
    >>> t = monge.sinkhorn(np.array([[0.0, 1.0], [1.0, 0.0]]), eps=0.5)
    >>> round(t.value, 4), round(t.cost, 4), t.converged
    (0.2831, 0.1192, True)
    >>> t.plan.toarray().round(3)
    array([[0.44, 0.06],
           [0.06, 0.44]])

    Mass that is too far away is left where it is:

    >>> t = monge.sinkhorn([[0.0, 9.0], [9.0, 9.0]], eps=0.1, marginals=monge.TV(1.0))
    >>> t.plan.sum(axis=1).round(3)
    array([0.5, 0. ])
    """
    eps, tol, max_iter = _positive(eps, "eps"), _positive(tol, "tol"), _count(max_iter)
    demands = as_marginals(marginals)
    check_device(device)
    workers = available_threads(threads)
    if is_batch(cost):
        if init is not None:
            raise ValueError("init= is for a single problem; got a batch. Leave it out, or solve them one by one.")
        answers = _solve_all(cost, a, b, demands, eps, tol, max_iter, workers, progress)
    else:
        answers = [_solve(as_cost(cost), a, b, demands, eps, tol, max_iter, init, workers, progress)]
    late = [t for t in answers if not t.converged]
    if late:
        worst = max(t.stats["error"] for t in late)
        which = f"{len(late)} of {len(answers)} problems: " if is_batch(cost) else ""
        warnings.warn(
            f"sinkhorn: {which}{late[0].status.value} (marginal error {worst:.3g}).", ConvergenceWarning, stacklevel=2
        )
    return answers if is_batch(cost) else answers[0]


def _solve_all(
    cost: Any, a: Any, b: Any, demands: tuple[Marginal, Marginal], eps: float, tol: float, max_iter: int, workers: int,
    progress: bool,
) -> list[EntropicTransport]:  # fmt: skip
    """Every problem on one thread, `workers` of them at a time."""
    weights_a, weights_b = one_each(a, "a", len(cost)), one_each(b, "b", len(cost))

    def one(k: int) -> EntropicTransport:
        with naming("problem", k):
            return _solve(as_cost(cost[k]), weights_a[k], weights_b[k], demands, eps, tol, max_iter, None, 1, False)

    answers = []
    with count_bar(progress, len(cost), "sinkhorn", "problems") as show, ThreadPoolExecutor(workers) as pool:
        for answer in map(one, range(len(cost))) if workers == 1 else pool.map(one, range(len(cost))):
            answers.append(answer)
            if show is not None:
                show(len(answers))
    return answers


def _solve(
    problem: Cost, a: Any, b: Any, demands: tuple[Marginal, Marginal], eps: float, tol: float, max_iter: int, init: Any,
    workers: int, progress: bool, kernel: Any = choose,
) -> EntropicTransport:  # fmt: skip
    """One problem, its weights normalised, solved and turned into a Transport."""
    began = time.perf_counter()
    n, m = problem.shape
    a, b = _weights(a, b, n, m, demands)
    forbidden = _check_costs(problem, eps)
    eps = max(eps, finest_eps(problem))
    inner_a, inner_b = a, b
    if forbidden is not None:
        inner_a, inner_b = _reachable(forbidden, a, b, demands)
    # P / M has weights a / M and b / M, and potentials that add up to eps log M more.
    balanced = demands[0].fixed and demands[1].fixed
    M = total_mass(a) if balanced else 1.0
    inner_a, inner_b = inner_a / M, inner_b / M

    f, g, s = np.zeros(n), _start(init, n, m), np.empty(m)
    history, outcome = np.empty(min(max_iter, _HISTORY)), np.zeros(5)
    start_eps = eps if init is not None else None
    prepared = time.perf_counter()
    if n * m <= _SMALL and not isinstance(problem, Grid) and not progress and kernel is choose:
        from monge.entropic.kernels.small import solve_small

        solve_small(problem, inner_a, inner_b, demands, eps, start_eps, tol, max_iter, f, g, s, history, outcome)
    else:
        with kernel(problem, inner_a, inner_b, demands[0], workers) as passes, pass_bar(progress) as report:
            rows, columns = demands
            first = passes.scale if start_eps is None else start_eps
            for now, single in passes.iterate(
                inner_a, inner_b, rows.kl, rows.cap, columns.kl, columns.cap, eps, first,
                tol, max_iter, passes.noise, f, g, s, history, outcome,
            ):  # fmt: skip
                passes.sweep(g, now, single, f, s)
                if report is not None:
                    report(int(outcome[iteration.PASSES]), now, float(outcome[iteration.ERROR]))
    solved = time.perf_counter()

    count = int(outcome[iteration.PASSES])
    status = Status.CONVERGED if outcome[iteration.STATUS] == iteration.CONVERGED else Status.MAX_ITER
    if forbidden is not None:
        if status is Status.MAX_ITER and balanced:
            emd(np.where(forbidden, np.inf, 0.0), a, b)  # says so if there is no plan
        _leave_out(f, inner_a, a, demands[0])
        _leave_out(g, inner_b, b, demands[1])
    f -= eps * math.log(M)
    _fill_in(problem, a, b, f, g, demands[1], eps)
    value = M * float(outcome[iteration.DUAL]) + eps * (float(a.sum()) * float(b.sum()) - M * math.log(M))
    for weights, kept, side in ((a, inner_a, demands[0]), (b, inner_b, demands[1])):
        if forbidden is not None and not side.fixed:
            value += min(side.kl, side.cap) * float(weights[kept == 0.0].sum())
    finished = time.perf_counter()
    return EntropicTransport(
        problem,
        (a, b),
        demands,
        eps,
        f,
        g,
        value=value,
        status=status,
        iterations=count,
        stats={
            "passes": count,
            "pairs": count * n * m,
            "error": float(outcome[iteration.ERROR]),
            "errors": history[: min(count, len(history))].copy(),
            "seconds_setup": prepared - began,
            "seconds_passes": solved - prepared,
            "seconds_total": finished - began,
        },
    )


def _weights(a: Any, b: Any, n: int, m: int, demands: tuple[Marginal, Marginal]) -> tuple[Array, Array]:
    """Both weights as arrays: uniform ones with the total of the other side, one total where both sides are fixed."""
    weights_a: Weights | None
    weights_b: Weights | None
    balanced = demands[0].fixed and demands[1].fixed
    if balanced:
        weights_a, weights_b = check_weights(a, b, n, m)
    else:
        weights_a, weights_b = check_weights(a, None, n, m)[0], check_weights(None, b, n, m)[1]
    total_a = total_mass(weights_a if weights_a is not None else weights_b)
    total_b = total_mass(weights_b) if weights_b is not None else total_a
    if weights_a is None:
        weights_a = np.full(n, total_a / n)
    if weights_b is None:
        weights_b = np.full(m, total_b / m)
    elif balanced and total_a != total_b:
        weights_b *= total_a / total_b
    return weights_a, weights_b


def _check_costs(problem: Cost, eps: float) -> NDArray[np.bool_] | None:
    """Which arcs are forbidden; None for none of them."""
    if not isinstance(problem, CostMatrix):
        return None
    C = problem.C
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(C.sum())
    forbidden = None
    if not math.isfinite(total):
        forbidden = np.isposinf(C)
        bad = ~(np.isfinite(C) | forbidden)
        if bad.any():
            i, j = (int(k) for k in np.argwhere(bad)[0])
            raise ValueError(
                "cost should hold numbers, or +inf for a forbidden arc, but not NaN or -inf; "
                f"cost[{i}, {j}] = {C[i, j]}."
            )
        if not forbidden.any():
            forbidden = None
    largest = abs(total) / C.size if forbidden is None else float(np.abs(C[~forbidden]).max(initial=0.0))
    if largest / _LARGEST_RATIO >= eps:
        raise ValueError(f"eps = {eps!r} is too small for costs of {largest:.3g}; use monge.emd, which is its limit.")
    return forbidden


def _reachable(
    forbidden: NDArray[np.bool_], a: Array, b: Array, demands: tuple[Marginal, Marginal]
) -> tuple[Array, Array]:
    """The weights without those that no arc leads away from; InfeasibleError if they must be moved."""
    out = []
    for weights, reach, side, place in (
        (a, ~forbidden[:, b > 0.0].all(axis=1), demands[0], "row"),
        (b, ~forbidden[a > 0.0].all(axis=0), demands[1], "column"),
    ):
        stuck = (weights > 0.0) & ~reach
        if side.fixed and stuck.any():
            raise InfeasibleError(
                f"no plan avoids the forbidden arcs (cost +inf): all those of {place} {int(np.argmax(stuck))} are "
                "forbidden, and it has mass. Give them a large finite cost, or let masses differ with marginals=."
            )
        out.append(np.where(reach, weights, 0.0))
    return out[0], out[1]


def _leave_out(potential: Array, kept: Array, weights: Array, side: Marginal) -> None:
    """Potentials of places whose mass stays: the bound of TV, and for KL where exp(-f / rho) is nothing."""
    potential[(kept == 0.0) & (weights > 0.0)] = min(side.cap, 750.0 * side.kl)


def _fill_in(problem: Cost, a: Array, b: Array, f: Array, g: Array, columns: Marginal, eps: float) -> None:
    """Potentials of columns without weight, which the passes leave out."""
    empty = np.flatnonzero(b == 0.0)
    if not empty.size:
        return
    if isinstance(problem, Grid):
        from monge.entropic.kernels.grid import GridSums

        with np.errstate(divide="ignore"):
            softmin = -eps * GridSums(problem, eps).log_sum(f / eps + np.log(a))
        g[empty] = columns.potential(softmin, eps)[empty]
        return
    rows = np.flatnonzero(a > 0.0)
    turned: Cost
    if isinstance(problem, CostMatrix):
        turned = CostMatrix(problem.C[np.ix_(rows, empty)].T)
    else:
        turned = PointCloud(problem.y[empty], problem.x[rows], problem.cost)
    weights = f[rows] / eps + np.log(a[rows])
    for block in row_blocks(len(empty), len(rows)):
        exponents = weights - cost_block(turned, block) / eps
        top = exponents.max(axis=1)
        reached = np.isfinite(top)
        top = np.where(reached, top, 0.0)
        with np.errstate(divide="ignore"):
            softmin = -eps * (top + np.log(np.exp(exponents - top[:, np.newaxis]).sum(axis=1)))
        g[empty[block]] = np.where(reached, columns.potential(softmin, eps), 0.0)


def _start(init: Any, n: int, m: int) -> Array:
    """The first g."""
    if init is None:
        return np.zeros(m)
    pair = (init.f, init.g) if isinstance(init, Transport) else init
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"init should be a Transport or a pair of potentials (f, g); got {type(init).__name__}.")
    for values, name, size in ((pair[0], "f", n), (pair[1], "g", m)):
        array = real_array(values, f"init's {name}", None, f"potentials of shape ({size},)")
        if array.shape != (size,):
            raise ValueError(f"init's {name} should have shape ({size},); got {array.shape}.")
        if not np.isfinite(array).all():
            raise ValueError(f"init's {name} should be finite; drop init= to start afresh.")
    return np.array(pair[1], dtype=np.float64)


def _positive(value: Any, name: str) -> float:
    number = real_number(value, name, "a positive number")
    if not 0.0 < number < math.inf:
        raise ValueError(f"{name} should be positive and finite; got {value!r}.")
    return number


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"max_iter should be a positive integer; got {value!r}.")
    return int(value)
