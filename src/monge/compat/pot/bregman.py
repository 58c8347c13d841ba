"""POT's `ot.bregman`: entropic transport by the solver of `monge.sinkhorn`, in POT's order and with its results.

    argmin  <P, M> + reg sum_ij P_ij log P_ij  over  P >= 0,  P 1 = a,  P' 1 = b

which has the plan of `monge.sinkhorn` with eps = reg: the objectives differ by a constant. POT's methods are all solved
by it, in the log domain, and differ in the names of what they log:

    u_i = a_i exp(f_i / reg),  v_j = b_j exp(g_j / reg),  P_ij = u_i exp(-M_ij / reg) v_j

up to one factor, which is chosen so that the largest u is the largest v. alpha and beta are reg log u and reg log v.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.compat.pot.arrays import Measures, back_home, capped, has_never, measures, needs_gradient, on_host
from monge.compat.pot.missing import missing_from
from monge.compat.pot.plans import FINEST, MANY, loss
from monge.entropic.kernels.room import require_room
from monge.entropic.marginals import as_marginals
from monge.entropic.problem import Problem
from monge.entropic.result import EntropicTransport
from monge.entropic.solving import solve_all, solve_one
from monge.problem.arrays import available_threads, positive, real_array, real_number, require_memory, shown
from monge.problem.costs import CostMatrix, is_sparse

__all__ = [
    "greenkhorn",
    "sinkhorn",
    "sinkhorn2",
    "sinkhorn_epsilon_scaling",
    "sinkhorn_knopp",
    "sinkhorn_log",
    "sinkhorn_stabilized",
]

__getattr__ = missing_from(__name__)

Array = NDArray[Any]

# POT measures its error at every tenth iteration.
_EVERY = 10
# What POT's methods take beside the arguments of all; nothing here depends on it but the number of iterations.
_OPTIONS = ("tau", "print_period", "epsilon0", "numInnerItermax")


_PAIR = "a pair of arrays, one for the rows and one for the columns of M, as b with a column per problem"


class _Result(NamedTuple):
    """One problem's answer."""

    answer: Any  # the plan (n, m), or its loss
    log_u: Array
    log_v: Array
    errors: list[Any]
    passes: int
    eps: float


def sinkhorn(
    a: Any,
    b: Any,
    M: Any,
    reg: float,
    method: str = "sinkhorn",
    numItermax: int = 1000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: Any = None,
    **kwargs: Any,
) -> Any:
    """The entropic plan, argmin <P, M> + reg sum P log P over P >= 0 with P 1 = a and P' 1 = b.

    Parameters
    ----------
    a : array_like (n,)
        Weights; [] or None for uniform ones.
    b : array_like (m,) or (m, k)
        Weights likewise, or k of them as columns, each of which is a problem of its own. They are scaled to the total
        of a, as they are in effect by POT.
    M : array_like (n, m)
        Costs; +inf, and numbers of 1e290 and more, forbid an arc.
    reg : float
        Positive, in the units of M.
    method : str
        "sinkhorn", "sinkhorn_log", "sinkhorn_stabilized", "sinkhorn_epsilon_scaling" or "greenkhorn": one solver, and
        the names in the dictionary.
    numItermax : int
        Half of the largest number of passes over M; of POT's iterations each takes two.
    stopThr : float
        The plan's row sums are a to rounding, and the Euclidean norm of P' 1 - b is at most `stopThr`, else there is a
        warning. The solver aims at the larger norm |P 1 - a|_1 + |P' 1 - b|_1, so errors are mostly well below;
        it stops at 1e-14 of the mass.
    verbose : bool
        Whether to print a line at the end.
    log : bool
        Whether to return a dictionary, too.
    warn : bool
        Whether to warn if `stopThr` was not reached.
    warmstart : pair of arrays, optional
        Logarithms of u and v; for "sinkhorn_stabilized" and "sinkhorn_epsilon_scaling" alpha and beta. Of k columns a
        pair of arrays (n, k) and (m, k), or a list of pairs.
    **kwargs
        ``tau``, ``print_period``, ``epsilon0``, ``numInnerItermax``: not used, but for the last, which multiplies
        `numItermax` for "sinkhorn_epsilon_scaling". Other names are errors, where POT does not look at them.

    Returns
    -------
    ndarray (n, m), or with `log` (ndarray, dict)
        The plan. For columns an ndarray (k,) of losses <P, M> in its place, as in POT. The dictionary holds:

        - "sinkhorn": ``err``, ``niter``, ``u``, ``v``
        - "sinkhorn_log": ``err``, ``niter``, ``log_u``, ``log_v``, ``u``, ``v``; of columns neither of the first two
        - "sinkhorn_stabilized": ``err``, ``n_iter``, ``logu``, ``logv``, ``alpha``, ``beta``, ``warmstart``
        - "sinkhorn_epsilon_scaling": ``err``, ``alpha``, ``beta``, ``warmstart``, ``niter``
        - "greenkhorn": ``u``, ``v``, ``n_iter``

        The last entry of ``err`` is the norm of P' 1 - b, measured; those before it are bounds of it, from every
        tenth pass. Iterations are passes.

    Raises
    ------
    ValueError
        An unknown method, a `reg` that is not positive, NaN costs, negative weights.
    TypeError
        Unknown keywords; tensors that carry derivatives, for which there is `monge.torch.sinkhorn`.
    InfeasibleError
        If the forbidden arcs leave no plan.

    Notes
    -----
    Where POT's scalings over- or underflow, with a warning of numerical errors, the plan is right here; ``u`` and ``v``
    may then be infinite or zero, and their logarithms are not.

    Examples
    --------
    >>> import monge.compat.pot as ot
    >>> ot.sinkhorn([0.5, 0.5], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]], 1).round(6)
    array([[0.365529, 0.134471],
           [0.134471, 0.365529]])
    """
    named = _method(method)
    given, found = _solved(
        a, b, M, reg, named, numItermax, stopThr, verbose, warn, warmstart, kwargs, "sinkhorn", plans=True
    )
    dtype = {"sinkhorn_epsilon_scaling": np.dtype(np.float64), "greenkhorn": given.costs}.get(named, given.common)
    columns = given.b.ndim == 2
    if columns:
        answer: Any = np.array([each.answer for each in found], dtype=dtype)
    else:
        answer = found[0].answer.astype(dtype, copy=False)
    answer = back_home(answer, given.reference)
    return (answer, _dictionary(named, found, given, dtype, columns)) if log else answer


def sinkhorn2(
    a: Any,
    b: Any,
    M: Any,
    reg: float,
    method: str = "sinkhorn",
    numItermax: int = 1000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = False,
    warmstart: Any = None,
    **kwargs: Any,
) -> Any:
    """The loss <P, M> of the plan P of `sinkhorn`, without the entropy.

    Parameters
    ----------
    a, b, M, reg, method, numItermax, stopThr, verbose, log : see `sinkhorn`
        As there.
    warn : bool
        Whether to warn if `stopThr` was not reached; here POT does not, unless it is asked to.
    warmstart, **kwargs : see `sinkhorn`
        As there.

    Returns
    -------
    numpy.float64, or with `log` (numpy.float64, dict)
        In single precision if all arguments are; for columns of b an ndarray (k,). The dictionary is that of
        `sinkhorn`. The objective with the entropy is `monge.sinkhorn(M, a, b, eps=reg).value`.

    Raises
    ------
    ValueError, TypeError, InfeasibleError
        As `sinkhorn`.

    Examples
    --------
    >>> import monge.compat.pot as ot
    >>> round(float(ot.sinkhorn2([0.5, 0.5], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]], 1)), 9)
    0.268941421
    """
    named = _method(method)
    given, found = _solved(a, b, M, reg, named, numItermax, stopThr, verbose, warn, warmstart, kwargs, "sinkhorn2")
    columns = given.b.ndim == 2
    losses = np.array([each.answer for each in found], dtype=given.common)
    value = back_home(losses if columns else losses[0], given.reference)
    return (value, _dictionary(named, found, given, given.common, columns)) if log else value


def sinkhorn_knopp(
    a: Any,
    b: Any,
    M: Any,
    reg: float,
    numItermax: int = 1000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: Any = None,
    **kwargs: Any,
) -> Any:
    """`sinkhorn` with the method "sinkhorn".

    Parameters
    ----------
    a, b, M, reg, numItermax, stopThr, verbose, log, warn, warmstart, **kwargs : see `sinkhorn`
        As there.

    Returns
    -------
    ndarray (n, m), or with `log` (ndarray, dict)
        As of `sinkhorn`.
    """
    return sinkhorn(a, b, M, reg, "sinkhorn", numItermax, stopThr, verbose, log, warn, warmstart, **kwargs)


def sinkhorn_log(
    a: Any,
    b: Any,
    M: Any,
    reg: float,
    numItermax: int = 1000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: Any = None,
    **kwargs: Any,
) -> Any:
    """`sinkhorn` with the method "sinkhorn_log".

    Parameters
    ----------
    a, b, M, reg, numItermax, stopThr, verbose, log, warn, warmstart, **kwargs : see `sinkhorn`
        As there.

    Returns
    -------
    ndarray (n, m), or with `log` (ndarray, dict)
        As of `sinkhorn`.
    """
    return sinkhorn(a, b, M, reg, "sinkhorn_log", numItermax, stopThr, verbose, log, warn, warmstart, **kwargs)


def greenkhorn(
    a: Any,
    b: Any,
    M: Any,
    reg: float,
    numItermax: int = 10000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: Any = None,
) -> Any:
    """`sinkhorn` with the method "greenkhorn".

    Parameters
    ----------
    a, b, M, reg, numItermax, stopThr, verbose, log, warn, warmstart : see `sinkhorn`
        As there.

    Returns
    -------
    ndarray (n, m), or with `log` (ndarray, dict)
        As of `sinkhorn`.
    """
    return sinkhorn(a, b, M, reg, "greenkhorn", numItermax, stopThr, verbose, log, warn, warmstart)


def sinkhorn_stabilized(
    a: Any,
    b: Any,
    M: Any,
    reg: float,
    numItermax: int = 1000,
    tau: float = 1e3,
    stopThr: float = 1e-9,
    warmstart: Any = None,
    verbose: bool = False,
    print_period: int = 20,
    log: bool = False,
    warn: bool = True,
    **kwargs: Any,
) -> Any:
    """`sinkhorn` with the method "sinkhorn_stabilized".

    Parameters
    ----------
    a, b, M, reg, numItermax, tau, stopThr, warmstart, verbose, print_period, log, warn, **kwargs : see `sinkhorn`
        As there.

    Returns
    -------
    ndarray (n, m), or with `log` (ndarray, dict)
        As of `sinkhorn`.
    """
    return sinkhorn(a, b, M, reg, "sinkhorn_stabilized", numItermax, stopThr, verbose, log, warn, warmstart, **kwargs)


def sinkhorn_epsilon_scaling(
    a: Any,
    b: Any,
    M: Any,
    reg: float,
    numItermax: int = 100,
    epsilon0: float = 1e4,
    numInnerItermax: int = 100,
    tau: float = 1e3,
    stopThr: float = 1e-9,
    warmstart: Any = None,
    verbose: bool = False,
    print_period: int = 10,
    log: bool = False,
    warn: bool = True,
    **kwargs: Any,
) -> Any:
    """`sinkhorn` with the method "sinkhorn_epsilon_scaling".

    Parameters
    ----------
    a, b, M, reg : see `sinkhorn`
        As there.
    numItermax : int
        Half of the largest number of passes over M, divided by `numInnerItermax`.
    epsilon0 : float
        Not used.
    numInnerItermax : int
        Multiplies `numItermax`.
    tau, stopThr, warmstart, verbose, print_period, log, warn, **kwargs : see `sinkhorn`
        As there.

    Returns
    -------
    ndarray (n, m), or with `log` (ndarray, dict)
        As of `sinkhorn`.
    """
    kwargs["numInnerItermax"] = numInnerItermax
    return sinkhorn(
        a, b, M, reg, "sinkhorn_epsilon_scaling", numItermax, stopThr, verbose, log, warn, warmstart, **kwargs
    )


def _method(method: str) -> str:
    named = method.lower()
    if named not in _DICTIONARIES:
        raise ValueError(f"Unknown method {shown(method)}; those known are {', '.join(map(repr, _DICTIONARIES))}.")
    return named


def _solved(
    a: Any, b: Any, M: Any, reg: float, method: str, most: int, threshold: float, verbose: bool, warn: bool,
    warmstart: Any, options: dict[str, Any], name: str, plans: bool = False,
) -> tuple[Measures, list[_Result]]:  # fmt: skip
    """The problem of the arguments, and the answer for each column of b: a plan, for a single one if `plans`, or else a
    loss."""
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise TypeError(
            f"{name} got the unknown keyword {unknown[0]!r}; beside its own it takes {', '.join(_OPTIONS)}."
        )
    if needs_gradient(a, b, M):
        raise TypeError(
            f"{name} has no derivatives here; use monge.torch.sinkhorn, whose loss has, or detach the tensors."
        )
    if is_sparse(M):
        raise TypeError(
            "M should be a full matrix for entropic transport; +inf forbids an arc. emd takes a sparse one."
        )
    eps, asked = positive(reg, "reg"), real_number(threshold, "stopThr", "a number")
    rounds = int(real_number(most, "numItermax", "a positive number"))
    if math.isnan(asked):
        raise ValueError("stopThr should be a number; got nan.")
    if rounds < 1:
        raise ValueError(f"numItermax should be positive; got {shown(most)}.")
    given = measures(a, b, M, check=False, columns=True)
    if has_never(given.M):
        given = given._replace(M=capped(given.M, np.inf))
    (n, m), mass = given.M.shape, math.fsum(given.a)
    if n * m > MANY:
        require_memory(n * m * 8, f"the {n} x {m} plan as an array", "Use monge.sinkhorn, whose plan is lazy.")
    columns = given.b.T if given.b.ndim == 2 else given.b[np.newaxis]
    wanted = given.given_b.T if given.b.ndim == 2 else given.given_b[np.newaxis]
    if not len(columns):
        raise ValueError(f"b should have at least one column; got shape {given.b.shape}.")
    tol = max(asked / mass, FINEST) if mass > 0.0 else 1.0
    inner = options.get("numInnerItermax", 100) if method == "sinkhorn_epsilon_scaling" else 1
    starts = _starts(warmstart, given, eps, method, len(columns))
    cost, threads, both = CostMatrix(given.M), available_threads(None), as_marginals(None)
    require_room([cost] * min(len(columns), threads), eps, tol, threads)
    problems = [
        Problem(cost, given.a, column, both, eps, tol, 2 * rounds * inner, start, None, threads)
        for column, start in zip(columns, starts, strict=True)
    ]
    answers = [solve_one(problems[0], threads)] if len(problems) == 1 else solve_all(problems, threads)
    costs = None if plans and given.b.ndim == 1 else given.M
    found = [_result(t, column, mass, costs) for t, column in zip(answers, wanted, strict=True)]
    if found[0].eps != eps:
        warnings.warn(
            f"{name}: reg = {eps!r} is below the digits of M; solved with {found[0].eps:.3g} in its place. The "
            "limit of a small reg is emd.",
            UserWarning,
            stacklevel=3,
        )
    worst = max(float(each.errors[-1]) for each in found)
    if verbose:
        print(f"{name}: |P'1 - b| = {worst:.3e} after {max(each.passes for each in found)} passes")
    if warn and not worst <= asked:
        warnings.warn(
            f"{name}: |P'1 - b| = {worst:.3g} stays above stopThr = {asked:.3g}. Raise numItermax, stopThr or reg"
            f"{'' if abs(math.fsum(wanted[0]) - mass) <= asked else ', or make the totals of a and b equal'}.",
            UserWarning,
            stacklevel=3,
        )
    return given, found


def _result(t: EntropicTransport, wanted: Array, mass: float, costs: Array | None) -> _Result:
    """The plan, or if there are `costs` its loss.

    POT ends with the update of u: so the plan's rows are made to have the weights a.
    """
    a, b = t.weights
    plan = t.plan.toarray()
    sent = plan.sum(axis=1)
    factors = np.divide(a, sent, out=np.ones_like(a), where=(sent > 0.0) & (a > 0.0))
    plan *= factors[:, np.newaxis]
    with np.errstate(divide="ignore"):
        log_u = t.f / t.eps + np.log(a) + np.log(factors)
        log_v = t.g / t.eps + np.log(b)
    shift = 0.5 * (log_v.max() - log_u.max())
    measured = np.linalg.norm(plan.sum(axis=0) - wanted)
    errors = [*(np.asarray(t.stats["errors"])[:-1:_EVERY] * mass), measured]
    answer = plan if costs is None else loss(plan, costs)
    return _Result(answer, log_u + shift, log_v - shift, errors, t.iterations, t.eps)


def _starts(warmstart: Any, given: Measures, eps: float, method: str, count: int) -> list[Any]:
    """For each problem the potentials to start from, or None."""
    if warmstart is None:
        return [None] * count
    scaled = method not in ("sinkhorn_stabilized", "sinkhorn_epsilon_scaling")
    pairs: Sequence[Any] = [warmstart]
    if given.b.ndim == 2:
        pairs = warmstart
        if not all(isinstance(each, tuple | list) for each in warmstart):  # of two arrays, with a column per problem
            by_rows, by_columns = (real_array(on_host(each, "warmstart"), "warmstart", 2, _PAIR) for each in warmstart)
            pairs = list(zip(by_rows.T, by_columns.T, strict=True))
    if len(pairs) != count:
        raise ValueError(f"warmstart should be {_PAIR}, or a list of pairs; got {len(pairs)} for {count} columns of b.")
    starts = []
    columns = given.b.T if given.b.ndim == 2 else given.b[np.newaxis]
    for pair, column in zip(pairs, columns, strict=True):
        if len(pair) != 2:
            raise ValueError("warmstart should be a pair of arrays, one for the rows and one for the columns of M.")
        found = []
        for values, weights, side in zip(pair, (given.a, column), "uv", strict=True):
            logs = real_array(on_host(values, "warmstart"), f"warmstart's {side}", 1, f"an array ({len(weights)},)")
            if logs.shape != weights.shape:
                raise ValueError(f"warmstart's {side} should have shape ({len(weights)},); got {logs.shape}.")
            with np.errstate(divide="ignore", invalid="ignore"):
                potential = (eps * logs if scaled else logs) - eps * np.log(weights.astype(np.float64))
            found.append(np.where(np.isfinite(potential), potential, 0.0))  # of places without weight
        starts.append(tuple(found))
    return starts


def _dictionary(
    method: str, found: list[_Result], given: Measures, dtype: np.dtype[Any], columns: bool
) -> dict[str, Any]:
    """What POT logs for the method."""

    def together(values: list[Array]) -> Array:
        return np.stack(values, axis=1) if columns else values[0]

    log_u, log_v = together([each.log_u for each in found]), together([each.log_v for each in found])
    with np.errstate(over="ignore", under="ignore"):
        every: dict[str, Any] = {
            "u": np.exp(log_u),
            "v": np.exp(log_v),
            "log_u": log_u,
            "log_v": log_v,
            "logu": log_u,
            "logv": log_v,
            "alpha": found[0].eps * log_u,
            "beta": found[0].eps * log_v,
        }
        every = {name: back_home(values.astype(dtype), given.reference) for name, values in every.items()}
    every["warmstart"] = every["alpha"], every["beta"]
    # Of many problems those of the one that took longest.
    longest = max(found, key=lambda each: len(each.errors))
    every["err"] = [back_home(dtype.type(error), given.reference) for error in longest.errors]
    every["niter"] = every["n_iter"] = max(each.passes for each in found)
    names = _DICTIONARIES[method]
    if columns and method == "sinkhorn_log":
        names = tuple(name for name in names if name not in ("err", "niter"))
    return {name: every[name] for name in names}


_DICTIONARIES: dict[str, tuple[str, ...]] = {
    "sinkhorn": ("err", "niter", "u", "v"),
    "sinkhorn_log": ("err", "niter", "log_u", "log_v", "u", "v"),
    "sinkhorn_stabilized": ("err", "n_iter", "logu", "logv", "alpha", "beta", "warmstart"),
    "sinkhorn_epsilon_scaling": ("err", "alpha", "beta", "warmstart", "niter"),
    "greenkhorn": ("u", "v", "n_iter"),
}
