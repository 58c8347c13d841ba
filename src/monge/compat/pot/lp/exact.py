"""Transport by the network simplex of `monge.emd`, as POT's `emd`, `emd2` and `emd2_lazy` return it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.compat.pot.arrays import (
    NEVER,
    Measures,
    back_home,
    capped,
    has_never,
    measures,
    needs_gradient,
    on_host,
    places_home,
    real_type,
    reference_of,
    with_gradients,
)
from monge.compat.pot.lp.line import sparse, weights_of_points
from monge.exact.emd import emd as exact
from monge.problem.arrays import shown
from monge.problem.costs import PointCloud, is_sparse
from monge.problem.transport import InfeasibleError, Transport

__all__ = ["emd", "emd2", "emd2_lazy"]

Array = NDArray[Any]

# POT's codes: the optimum, and a plan that is not shown to be one.
_OPTIMAL, _STOPPED = 1, 3


def emd(
    a: Any,
    b: Any,
    M: Any,
    numItermax: int = 100000,
    log: bool = False,
    center_dual: bool = True,
    numThreads: int | str = 1,
    check_marginals: bool = True,
    potentials_init: tuple[Any, Any] | None = None,
) -> Any:
    """The plan of least cost: argmin <P, M> over P >= 0 with P 1 = a and P' 1 = b, as `monge.emd` finds it.

    Parameters
    ----------
    a, b : array_like (n,), (m,)
        Weights; [] or None for uniform ones. b is scaled to the total of a.
    M : array_like (n, m), or a scipy.sparse matrix or array
        Costs; of a sparse one only stored entries are arcs.
    numItermax : int
        Not used: the solver always goes on to the optimum.
    log : bool
        Whether to return a dictionary, too.
    center_dual : bool
        Whether the potentials are shifted so that <u, a> = <v, b>.
    numThreads : int or "max"
        Threads; 1, which is POT's default, and "max" are all processors. The plan does not depend on it.
    check_marginals : bool
        Whether totals that differ by more than 1e-6 are an error.
    potentials_init : (u, v), optional
        Potentials to start from.

    Returns
    -------
    ndarray (n, m), or with `log` (ndarray, dict)
        The plan, in the type of a (else of b, else of M), and writable; entries off its support are exact zeros. For a
        sparse M a scipy.sparse.coo_array. The dictionary holds ``cost`` (float), ``u`` and ``v``, ``warning`` (None)
        and ``result_code`` (1).

    Raises
    ------
    MarginalError
        An AssertionError and a ValueError: totals that differ, or weights that do not fit M.
    ValueError, TypeError, InfeasibleError, MemoryError
        As `monge.emd`: among others for NaN costs and negative weights, for which POT returns a plan or zeros.

    Notes
    -----
    Beside those errors the results differ from POT's in this: the plan of integer weights is not cut to integers, it is
    float64; the optimum is reached whatever `numItermax` says; where several plans are optimal it may be another one.
    Costs of 1e290 and more are only used where no other plan exists. Tensors are solved on the CPU and come back as
    tensors; the plan carries no derivatives, as in POT.

    Examples
    --------
    >>> import monge.compat.pot as ot
    >>> ot.emd([0.5, 0.5], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]])
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    problem = measures(a, b, M, check_marginals)
    t, value, text = _solve(problem, problem.b, potentials_init, _threads(numThreads))
    plan = _plan(t, problem)
    return (plan, _dictionary(t, value, text, problem.dtype, problem.reference, center_dual)) if log else plan


def emd2(
    a: Any,
    b: Any,
    M: Any,
    processes: int = 1,
    numItermax: int = 100000,
    log: bool = False,
    return_matrix: bool = False,
    center_dual: bool = True,
    numThreads: int | str = 1,
    check_marginals: bool = True,
    potentials_init: tuple[Any, Any] | None = None,
) -> Any:
    """The least cost: min <P, M> over P >= 0 with P 1 = a and P' 1 = b, as `monge.emd` finds it.

    Parameters
    ----------
    a : array_like (n,)
        Weights; [] or None for uniform ones.
    b : array_like (m,) or (m, k)
        Weights likewise, or k of them as columns, each of which is a problem of its own.
    M : array_like (n, m), or a scipy.sparse matrix or array
        Costs.
    processes : int
        Not used.
    numItermax : int
        Not used, as in `emd`.
    log : bool
        Whether to return a dictionary, too.
    return_matrix : bool
        Whether to return it with the plan, as ``G``.
    center_dual, numThreads, check_marginals, potentials_init : see `emd`
        As there.

    Returns
    -------
    float, or with `log` or `return_matrix` [float, dict]
        A list of two, not a tuple, as in POT. The dictionary is that of `emd`. For columns a list of k of these.
        For tensors a scalar tensor with derivatives: u, v, each less its mean, and the plan.

    Raises
    ------
    MarginalError, ValueError, TypeError, InfeasibleError, MemoryError
        As `emd`.

    Examples
    --------
    >>> import monge.compat.pot as ot
    >>> M = [[0.0, 1.0], [1.0, 0.0]]
    >>> ot.emd2([0.5, 0.5], [0.25, 0.75], M)
    0.25
    >>> value, log = ot.emd2([], [], M, log=True)
    >>> value, sorted(log)
    (0.0, ['cost', 'result_code', 'u', 'v', 'warning'])
    """
    problem = measures(a, b, M, check_marginals, columns=True)
    threads = _threads(numThreads)
    found = []
    for k, weights in enumerate(problem.b.T if problem.b.ndim == 2 else [problem.b]):
        t, value, text = _solve(problem, weights, potentials_init, threads)
        cost = back_home(value, problem.reference)
        if needs_gradient(a, b, M):
            cost = _differentiable(cost, t, (a, b, M), k)
        if not (log or return_matrix):
            found.append(cost)
            continue
        dictionary = _dictionary(t, cost, text, problem.dtype, problem.reference, center_dual)
        if return_matrix:
            dictionary["G"] = _plan(t, problem)
        found.append([cost, dictionary])
    return found if problem.b.ndim == 2 else found[0]


def emd2_lazy(
    X_a: Any,
    X_b: Any,
    a: Any = None,
    b: Any = None,
    metric: str = "sqeuclidean",
    numItermax: int = 100000,
    log: bool = False,
    return_matrix: bool = True,
    center_dual: bool = True,
    check_marginals: bool = True,
    potentials_init: tuple[Any, Any] | None = None,
) -> Any:
    """The least cost between points, as `monge.emd` finds it for a `monge.PointCloud`.

    Parameters
    ----------
    X_a, X_b : array_like (n, d), (m, d)
        Points.
    a, b : array_like (n,), (m,), optional
        Weights; None or [] for uniform ones.
    metric : str
        One of the costs that `monge.PointCloud` knows; of POT's, "sqeuclidean", "euclidean" and "cityblock".
    numItermax : int
        Not used, as in `emd`.
    log : bool
        Whether to return a dictionary, too.
    return_matrix : bool
        Whether to return it with the plan, as ``G``, a scipy.sparse.coo_array; for tensors too.
    center_dual, check_marginals, potentials_init : see `emd`
        As there.

    Returns
    -------
    (float, dict), or without `log` and `return_matrix` float
        As of `emd2`, but a tuple. For tensors with derivatives with respect to points, too, which POT's has not.

    Raises
    ------
    MarginalError, ValueError, TypeError, MemoryError
        As `emd`.

    Examples
    --------
    >>> from monge.compat.pot.lp import emd2_lazy
    >>> value, log = emd2_lazy([[0.0], [1.0]], [[1.0], [3.0]])
    >>> value, log["G"].toarray()
    (2.5, array([[0.5, 0. ],
           [0. , 0.5]]))
    """
    reference = reference_of(a, b, X_a, X_b)
    points = [on_host(X_a, "X_a"), on_host(X_b, "X_b")]
    cloud = PointCloud(points[0], points[1], metric)
    weights_a, weights_b = weights_of_points(a, b, *cloud.shape, check_marginals)
    init = None if potentials_init is None else tuple(on_host(each, "potentials_init") for each in potentials_init)
    t = exact(cloud, weights_a, weights_b, init=init)
    text = None if t.converged else t.status.value
    kinds = (on_host(values, "weights") for values in (a, b) if values is not None and len(values))
    dtype = real_type(getattr(next(kinds, points[0]), "dtype", np.float64))
    cost = back_home(float(t.value), reference)
    if needs_gradient(a, b, X_a, X_b):
        slopes = (t.f - t.f.mean(), t.g - t.g.mean(), t.grad_x, t.grad_y)
        pairs = zip((a, b, X_a, X_b), (_total(each) for each in slopes), strict=True)
        cost = with_gradients(cost, pairs)
    if not (log or return_matrix):
        return cost
    dictionary = _dictionary(t, cost, text, dtype, reference, center_dual)
    if return_matrix:
        dictionary["G"] = sparse(t, dtype)
    return cost, dictionary


def _total(slopes: Array) -> Callable[[Any], Any]:
    """The function of a tensor that has these slopes."""
    return lambda tensor: (tensor * back_home(slopes, tensor).reshape(tensor.shape)).sum()


def _solve(problem: Measures, b: Array, init: Any, threads: int | None) -> tuple[Transport, float, str | None]:
    """The transport between a and b, what it costs, and a warning in words."""
    M, a = problem.M, problem.a
    if init is not None:
        init = tuple(on_host(each, "potentials_init") for each in init)
    try:
        t = exact(M, a, b, init=init, threads=threads)
    except InfeasibleError:
        raise
    except ValueError:
        if not has_never(M):
            raise
        try:
            t = exact(capped(M, np.inf), a, b, init=init, threads=threads)
        except InfeasibleError:
            t = exact(capped(M, NEVER), a, b, init=init, threads=threads)
            rows, cols, mass = t.plan.row, t.plan.col, t.plan.data
            used = np.asarray((M.tocsr() if is_sparse(M) else M)[rows, cols], dtype=np.float64).ravel()
            with np.errstate(over="ignore"):
                return t, float(mass @ used), None
    return t, float(t.value), None if t.converged else t.status.value


def _differentiable(cost: Any, t: Transport, tensors: tuple[Any, Any, Any], column: int) -> Any:
    """The cost with its derivatives with respect to weights a, a column of weights b, and costs M."""

    def by_a(a: Any) -> Any:
        return a @ back_home(t.f - t.f.mean(), a)

    def by_b(b: Any) -> Any:
        return (b if b.ndim == 1 else b[:, column]) @ back_home(t.g - t.g.mean(), b)

    def by_costs(M: Any) -> Any:  # forbidden arcs are not touched
        return M[places_home(t.plan.row, M), places_home(t.plan.col, M)] @ back_home(t.plan.data, M)

    return with_gradients(cost, zip(tensors, (by_a, by_b, by_costs), strict=True))


def _plan(t: Transport, problem: Measures) -> Any:
    plan = t.plan
    if is_sparse(problem.M):
        return sparse(t, problem.dtype)
    G = np.zeros(plan.shape, problem.dtype)
    G[plan.row, plan.col] = plan.data
    return back_home(G, problem.reference)


def _dictionary(
    t: Transport, cost: Any, text: str | None, dtype: np.dtype[Any], reference: Any, centred: bool
) -> dict[str, Any]:
    potentials = (t.grad_a, t.grad_b) if centred else (t.f, t.g)
    u, v = (back_home(each.astype(dtype), reference) for each in potentials)
    return {"cost": cost, "u": u, "v": v, "warning": text, "result_code": _STOPPED if text else _OPTIMAL}


def _threads(number: int | str) -> int | None:
    """POT's default is one thread, and it makes no use of the number; None, all processors, for that and for "max"."""
    if number == "max":
        return None
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1:
        raise ValueError(f'numThreads should be a positive integer, or "max"; got {shown(number)}.')
    return None if number == 1 else int(number)
