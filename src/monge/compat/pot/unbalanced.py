"""POT's `ot.unbalanced`: entropic transport whose marginals may differ from the weights, by the solver of
`monge.sinkhorn` with `monge.KL`.

    argmin  <P, M> + reg KL(P | c) + reg_m1 KL(P 1 | a) + reg_m2 KL(P' 1 | b)  over  P >= 0

with c = a b' unless it is given, or 1 for the entropy. Another c than a b' is a change of costs, by -reg log(c / a b').
Plans are P_ij = u_i exp(-M_ij / reg) c_ij v_j.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.compat.pot.arrays import Measures, back_home, capped, has_never, matched, measures, needs_gradient, on_host
from monge.compat.pot.missing import missing_from
from monge.compat.pot.plans import FINEST, MANY, loss
from monge.entropic.kernels.room import require_room
from monge.entropic.marginals import KL, as_marginals
from monge.entropic.problem import Problem
from monge.entropic.result import EntropicTransport
from monge.entropic.solving import solve_one
from monge.problem.arrays import available_threads, positive, real_array, real_number, require_memory, shown
from monge.problem.costs import CostMatrix, is_sparse

__all__ = ["sinkhorn_knopp_unbalanced", "sinkhorn_unbalanced", "sinkhorn_unbalanced2"]

__getattr__ = missing_from(__name__)

Array = NDArray[Any]

_METHODS = ("sinkhorn", "sinkhorn_stabilized", "sinkhorn_translation_invariant", "sinkhorn_reg_scaling")


def sinkhorn_unbalanced(
    a: Any,
    b: Any,
    M: Any,
    reg: float,
    reg_m: Any,
    method: str = "sinkhorn",
    reg_type: str = "kl",
    c: Any = None,
    warmstart: Any = None,
    numItermax: int = 1000,
    stopThr: float = 1e-6,
    verbose: bool = False,
    log: bool = False,
    **kwargs: Any,
) -> Any:
    """The entropic plan whose marginals may differ from the weights, at a price.

    argmin <P, M> + reg KL(P | c) + reg_m1 KL(P 1 | a) + reg_m2 KL(P' 1 | b), with KL(p | q) = sum p log(p/q) - p + q.

    Parameters
    ----------
    a, b : array_like (n,), (m,)
        Weights, of any totals; [] or None for uniform ones. Columns are not taken.
    M : array_like (n, m)
        Costs.
    reg : float
        Positive, in the units of M.
    reg_m : float or pair of floats
        Of both sides, or of the rows and the columns, in the same units; infinity must be met.
    method : str
        "sinkhorn", "sinkhorn_stabilized", "sinkhorn_translation_invariant" or "sinkhorn_reg_scaling": one solver.
    reg_type : str
        "kl", or "entropy", which stands for c = 1, here without a warning.
    c : array_like (n, m), optional
        What the plan is compared with, positive where it may have mass; None for a b'.
    warmstart : pair of arrays, optional
        Logarithms of u and v.
    numItermax : int
        Half of the largest number of passes over M.
    stopThr : float
        Largest marginal error of the plan, as `monge.Transport` measures it; POT's is the relative change of u and v.
    verbose : bool
        Whether to print a line at the end.
    log : bool
        Whether to return a dictionary, too.
    **kwargs
        Options of POT's methods; not used.

    Returns
    -------
    ndarray (n, m), or with `log` (ndarray, dict)
        The plan. The dictionary holds ``err``, marginal errors; ``logu`` and ``logv``; ``cost``, which is <P, M>, and
        ``total_cost``, the objective without the masses - p + q of the divergences, as in POT. That with them is the
        ``value`` of `monge.sinkhorn`.

    Raises
    ------
    ValueError
        An unknown method or type, a `reg` or `reg_m` that is not positive, columns of weights.
    TypeError
        Tensors that carry derivatives.

    Warns
    -----
    UserWarning
        If `stopThr` was not reached.

    Examples
    --------
    >>> from monge.compat.pot.unbalanced import sinkhorn_unbalanced
    >>> sinkhorn_unbalanced([0.5, 0.5], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]], 1.0, 1.0).round(3)
    array([[0.322, 0.118],
           [0.118, 0.322]])
    """
    plan, dictionary = _solved(
        a, b, M, reg, reg_m, method, reg_type, c, warmstart, numItermax, stopThr, verbose, "sinkhorn_unbalanced"
    )
    return (plan, dictionary) if log else plan


def sinkhorn_unbalanced2(
    a: Any,
    b: Any,
    M: Any,
    reg: float,
    reg_m: Any,
    method: str = "sinkhorn",
    reg_type: str = "kl",
    c: Any = None,
    warmstart: Any = None,
    returnCost: str = "linear",
    numItermax: int = 1000,
    stopThr: float = 1e-6,
    verbose: bool = False,
    log: bool = False,
    **kwargs: Any,
) -> Any:
    """The loss of the plan of `sinkhorn_unbalanced`: <P, M>, or with the divergences.

    Parameters
    ----------
    a, b, M, reg, reg_m, method, reg_type, c, warmstart : see `sinkhorn_unbalanced`
        As there.
    returnCost : str
        "linear" for <P, M>, "total" for ``total_cost``.
    numItermax, stopThr, verbose, log, **kwargs : see `sinkhorn_unbalanced`
        As there.

    Returns
    -------
    numpy.float64, or with `log` (numpy.float64, dict)
        The dictionary is that of `sinkhorn_unbalanced`.

    Raises
    ------
    ValueError, TypeError
        As `sinkhorn_unbalanced`.

    Examples
    --------
    >>> from monge.compat.pot.unbalanced import sinkhorn_unbalanced2
    >>> round(float(sinkhorn_unbalanced2([0.5, 0.5], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]], 1.0, 1.0)), 3)
    0.237
    """
    if returnCost not in ("linear", "total"):
        raise ValueError(f'returnCost should be "linear" or "total"; got {shown(returnCost)}.')
    _, dictionary = _solved(
        a, b, M, reg, reg_m, method, reg_type, c, warmstart, numItermax, stopThr, verbose, "sinkhorn_unbalanced2"
    )
    value = dictionary["cost" if returnCost == "linear" else "total_cost"]
    return (value, dictionary) if log else value


def sinkhorn_knopp_unbalanced(
    a: Any,
    b: Any,
    M: Any,
    reg: float,
    reg_m: Any,
    reg_type: str = "kl",
    c: Any = None,
    warmstart: Any = None,
    numItermax: int = 1000,
    stopThr: float = 1e-6,
    verbose: bool = False,
    log: bool = False,
    **kwargs: Any,
) -> Any:
    """`sinkhorn_unbalanced` with the method "sinkhorn".

    Parameters
    ----------
    a, b, M, reg, reg_m, reg_type, c, warmstart : see `sinkhorn_unbalanced`
        As there.
    numItermax, stopThr, verbose, log, **kwargs : see `sinkhorn_unbalanced`
        As there.

    Returns
    -------
    ndarray (n, m), or with `log` (ndarray, dict)
        As of `sinkhorn_unbalanced`.
    """
    return sinkhorn_unbalanced(
        a, b, M, reg, reg_m, "sinkhorn", reg_type, c, warmstart, numItermax, stopThr, verbose, log, **kwargs
    )


def _solved(
    a: Any, b: Any, M: Any, reg: float, reg_m: Any, method: str, reg_type: str, c: Any, warmstart: Any, most: int,
    threshold: float, verbose: bool, name: str,
) -> tuple[Any, dict[str, Any]]:  # fmt: skip
    if method.lower() not in _METHODS:
        raise ValueError(f"Unknown method {shown(method)}; those known are {', '.join(map(repr, _METHODS))}.")
    if reg_type.lower() not in ("kl", "entropy"):
        raise ValueError(f'reg_type should be "kl" or "entropy"; got {shown(reg_type)}.')
    if needs_gradient(a, b, M):
        raise TypeError(f"{name} has no derivatives here; use monge.torch, or detach the tensors.")
    if is_sparse(M):
        raise TypeError("M should be a full matrix for entropic transport; +inf forbids an arc.")
    eps, prices = positive(reg, "reg"), _prices(reg_m)
    given = measures(a, b, M, check=False, columns=True, match=False)
    if has_never(given.M):
        given = given._replace(M=capped(given.M, np.inf))
    if given.b.ndim == 2:
        raise ValueError(f"{name} takes one b, not columns; call it once for each.")
    shape = given.M.shape
    if shape[0] * shape[1] > MANY:
        require_memory(
            shape[0] * shape[1] * 16, f"a {shape[0]} x {shape[1]} plan", "Use monge.sinkhorn with marginals=."
        )
    product = np.outer(given.a.astype(np.float64), given.b)
    base, costs = _base(c, reg_type, product)
    costs = given.M if costs is None else np.where(product > 0.0, given.M - eps * costs, given.M)
    if all(map(math.isinf, prices)):
        given = given._replace(b=matched(given.a, given.b, check=False))
    starts = None
    if warmstart is not None:
        logs = (real_array(on_host(each, "warmstart"), "warmstart", 1, "an array") for each in warmstart)
        starts = tuple(np.where(np.isfinite(each), eps * each, 0.0) for each in logs)
    cost, threads = CostMatrix(costs), available_threads(None)
    tol = max(real_number(threshold, "stopThr", "a number"), FINEST)
    require_room([cost], eps, tol, threads)
    both = as_marginals(tuple(None if math.isinf(price) else KL(price) for price in prices))
    rounds = max(int(most), 1)
    t = solve_one(Problem(cost, given.a, given.b, both, eps, tol, 2 * rounds, starts, None, threads), threads)
    error = float(t.stats["error"])
    if verbose:
        print(f"{name}: marginal error {error:.3e} after {t.iterations} passes")
    if not t.converged:
        warnings.warn(f"{name}: the marginal error is {error:.3g}; raise numItermax or reg.", UserWarning, stacklevel=3)
    return _results(t, given, eps, prices, base)


def _prices(reg_m: Any) -> tuple[float, float]:
    values = [float(each) for each in np.ravel(on_host(reg_m, "reg_m"))]
    if len(values) not in (1, 2) or not all(value > 0.0 for value in values):
        raise ValueError(f"reg_m should be a positive number or a pair of them; got {shown(reg_m)}.")
    return values[0], values[-1]


def _base(c: Any, reg_type: str, product: Array) -> tuple[Array, Array | None]:
    """What the plan is compared with, and the logarithm of what that is over a b', or None."""
    if c is None and reg_type.lower() == "kl":
        return product, None
    base = np.ones_like(product)
    if reg_type.lower() == "kl":
        base = real_array(on_host(c, "c"), "c", 2, "an (n, m) matrix").astype(np.float64)
        if base.shape != product.shape or not (base >= 0.0).all():
            raise ValueError(f"c should hold numbers that are not negative, of the shape of M; got shape {base.shape}.")
    with np.errstate(divide="ignore", invalid="ignore"):
        return base, np.log(base) - np.log(product)


def _results(
    t: EntropicTransport, given: Measures, eps: float, prices: tuple[float, float], base: Array
) -> tuple[Any, dict[str, Any]]:
    plan = t.plan.toarray()
    linear = loss(plan, given.M)
    total = linear + eps * _divergence(plan, base)
    for sums, wanted, price in ((plan.sum(axis=1), given.a, prices[0]), (plan.sum(axis=0), given.b, prices[1])):
        if price < math.inf:
            total += price * _divergence(sums, wanted.astype(np.float64))
    numbers = {name: given.common.type(value) for name, value in (("cost", linear), ("total_cost", total))}
    potentials = {"logu": t.f / t.eps, "logv": t.g / t.eps}
    found = {name: back_home(values.astype(given.common), given.reference) for name, values in potentials.items()}
    errors = [back_home(given.common.type(error), given.reference) for error in t.stats["errors"]]
    found |= {name: back_home(value, given.reference) for name, value in numbers.items()}
    return back_home(plan.astype(given.common, copy=False), given.reference), {"err": errors, **found}


def _divergence(p: Array, q: Array) -> float:
    """sum p log(p / q), without the masses."""
    from scipy.special import rel_entr

    return float(rel_entr(p, q).sum())
