"""POT's `ot.lp`: exact transport by `monge.emd` and `monge.emd_1d`, in POT's order and with its results."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.compat.pot.arrays import (
    NEVER,
    MarginalError,
    Measures,
    back_home,
    capped,
    has_never,
    matched,
    measures,
    needs_gradient,
    on_host,
    places_home,
    real_type,
    reference_of,
    with_gradients,
)
from monge.compat.pot.missing import missing_from
from monge.exact.emd import emd as exact
from monge.exact.univariate import emd_1d as exact_1d
from monge.exact.univariate import mean_power
from monge.problem.arrays import real_array, shown
from monge.problem.costs import PointCloud, is_sparse
from monge.problem.measures import total_mass
from monge.problem.transport import InfeasibleError, Transport

__all__ = ["emd", "emd2", "emd2_1d", "emd2_lazy", "emd_1d", "wasserstein_1d"]

__getattr__ = missing_from(__name__)

Array = NDArray[Any]

# POT's codes: the optimum, and a plan that is not shown to be one.
_OPTIMAL, _STOPPED = 1, 3
# The metrics of the line, as powers of the distance; None for the p that is given.
_POWERS = {"sqeuclidean": 2.0, "euclidean": 1.0, "cityblock": 1.0, "minkowski": None}

PlanTuple = namedtuple("PlanTuple", ["data", "rows", "cols"])


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
    numItermax, center_dual, numThreads, check_marginals, potentials_init
        As in `emd`.
    log : bool
        Whether to return a dictionary, too.
    return_matrix : bool
        Whether to return it with the plan, as ``G``.

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
    numItermax, center_dual, check_marginals, potentials_init
        As in `emd`.
    log : bool
        Whether to return a dictionary, too.
    return_matrix : bool
        Whether to return it with the plan, as ``G``, a scipy.sparse.coo_array; for tensors too.

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
    weights_a, weights_b = _weights_of_points(a, b, *cloud.shape, check_marginals)
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
        dictionary["G"] = _parts(t, dtype, False)
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
        from scipy.sparse import coo_array

        entries = plan.data.astype(problem.dtype), (plan.row.copy(), plan.col.copy())
        return coo_array(entries, shape=plan.shape)
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


def emd_1d(
    x_a: Any,
    x_b: Any,
    a: Any = None,
    b: Any = None,
    metric: str = "sqeuclidean",
    p: float = 1.0,
    dense: bool = True,
    log: bool = False,
    check_marginals: bool = True,
) -> Any:
    """The plan of least cost between points on the line, as `monge.emd_1d` finds it.

    Parameters
    ----------
    x_a, x_b : array_like (n,) or (n, 1), (m,) or (m, 1)
        Points, in any order.
    a, b : array_like (n,), (m,), optional
        Weights; None or [] for uniform ones.
    metric : str
        "sqeuclidean" |x - y|^2, "euclidean" and "cityblock" |x - y|, "minkowski" |x - y|^p.
    p : float
        At least 1; for "minkowski" alone.
    dense : bool
        Whether the plan is an ndarray; else it is a scipy.sparse.coo_array.
    log : bool
        Whether to return a dictionary, too.
    check_marginals : bool
        Whether totals that differ by more than 1e-6 are an error.

    Returns
    -------
    ndarray (n, m) or coo_array, or with `log` (plan, dict)
        The plan in the type of x_a, float64 for integers, where POT's is cut to integers. The dictionary holds
        ``cost`` (float) and the places of the plan's entries, ``perms_x_a`` and ``perms_x_b``; POT lists some with
        mass zero, too.

    Raises
    ------
    MarginalError
        Points of more than one coordinate, totals that differ, weights that do not fit the points.
    ValueError, TypeError
        As `monge.emd_1d`, among others for p < 1, where the plan that keeps the order is not optimal. POT returns it.

    Examples
    --------
    >>> import monge.compat.pot as ot
    >>> ot.emd_1d([2.0, 0.0], [0.0, 3.0])
    array([[0. , 0.5],
           [0.5, 0. ]])
    """
    t, dtype, reference = _line(x_a, x_b, a, b, metric, p, check_marginals)
    rows, cols, plan = t.plan.row.astype(np.int64), t.plan.col.astype(np.int64), t.plan.data.astype(dtype)
    G: Any
    if dense or reference is not None:
        G = np.zeros(t.shape, dtype)
        G[rows, cols] = plan
        G = back_home(G, reference)
    else:
        from scipy.sparse import coo_array

        G = coo_array((plan, (rows, cols)), shape=t.shape)
    if not log:
        return G
    places = {name: places_home(each, reference) for name, each in (("perms_x_a", rows), ("perms_x_b", cols))}
    return G, {"cost": back_home(float(t.value), reference), **places}


def emd2_1d(
    x_a: Any,
    x_b: Any,
    a: Any = None,
    b: Any = None,
    metric: str = "sqeuclidean",
    p: float = 1.0,
    dense: bool = True,
    log: bool = False,
) -> Any:
    """The least cost between points on the line, as `monge.emd_1d` finds it.

    Parameters
    ----------
    x_a, x_b, a, b, metric, p
        As in `emd_1d`.
    dense : bool
        Whether the plan of the dictionary is an ndarray; else it is a scipy.sparse.coo_array.
    log : bool
        Whether to return a dictionary, too.

    Returns
    -------
    float, or with `log` (float, dict)
        The cost; its root is the Wasserstein distance. The dictionary holds the plan as ``G``.

    Raises
    ------
    MarginalError, ValueError, TypeError
        As `emd_1d`.

    Examples
    --------
    >>> import monge.compat.pot as ot
    >>> ot.emd2_1d([2.0, 0.0], [0.0, 3.0])
    0.5
    """
    if not log:
        t, _, reference = _line(x_a, x_b, a, b, metric, p, True)
        return back_home(float(t.value), reference)
    G, dictionary = emd_1d(x_a, x_b, a, b, metric, p, dense, log=True)
    return dictionary["cost"], {"G": G}


def _line(x: Any, y: Any, a: Any, b: Any, metric: str, p: float, check: bool) -> tuple[Transport, np.dtype[Any], Any]:
    """The transport on the line, the type of its plan, and the tensor where results belong."""
    if metric not in _POWERS:
        raise ValueError(f"metric should be one of {', '.join(map(repr, _POWERS))} on the line; got {shown(metric)}.")
    reference = reference_of(x, y)
    points = []
    for values, name in ((x, "x_a"), (y, "x_b")):
        array = real_array(on_host(values, name), name, None, "points of shape (n,) or (n, 1)")
        if array.ndim != 1 and not (array.ndim == 2 and array.shape[1] == 1):
            raise MarginalError(
                f"{name} should hold points of one coordinate, of shape (n,) or (n, 1); got shape {array.shape}. For "
                "more coordinates use emd(a, b, dist(x_a, x_b))."
            )
        points.append(array.reshape(-1))
    weights_a, weights_b = _weights_of_points(a, b, len(points[0]), len(points[1]), check)
    power = _POWERS[metric]
    t = exact_1d(points[0], points[1], weights_a, weights_b, p=p if power is None else power)
    return t, real_type(getattr(on_host(x, "x_a"), "dtype", np.float64)), reference


def _weights_of_points(a: Any, b: Any, n: int, m: int, check: bool) -> tuple[Array | None, Array | None]:
    """The weights of n and of m points on the line, with equal totals; None for uniform ones on both sides."""
    found: list[Array | None] = []
    for values, size, name in ((a, n, "a"), (b, m, "b")):
        values = on_host(values, name)
        if values is None or np.size(values) == 0:
            found.append(None)
            continue
        array = real_array(values, name, 1, f"weights of shape ({size},)")
        if len(array) != size:
            raise MarginalError(
                f"Dimension mismatch: {name} should have {size} weights, one per point; got {len(array)}."
            )
        found.append(array)
    if found[0] is None and found[1] is None:
        return None, None
    each = zip(found, (n, m), strict=True)
    weights_a, weights_b = (np.full(size, 1.0 / size) if weights is None else weights for weights, size in each)
    return weights_a, matched(weights_a, weights_b, check)


def wasserstein_1d(
    u_values: Any,
    v_values: Any,
    u_weights: Any = None,
    v_weights: Any = None,
    p: float = 1,
    require_sort: bool = True,
    return_plans: bool | str = False,
) -> Any:
    """W_p^p, the p-th power of the Wasserstein distance, on the line; of each pair of columns, if there are many.

    The integral over q of |F_u^-1(q) - F_v^-1(q)|^p, where q goes up to the total of the weights. The distance itself
    is `monge.wasserstein_1d`.

    Parameters
    ----------
    u_values : array_like (n,) or (n, k)
        Points; k columns are k problems.
    v_values : array_like (m,) or (m, k)
        Points likewise.
    u_weights : array_like (n,) or (n, k), optional
        Weights; None for uniform ones.
    v_weights : array_like (m,) or (m, k), optional
        Weights likewise.
    p : float
        At least 1.
    require_sort : bool
        Not used: points are sorted in any case, which takes little time where they are already.
    return_plans : bool or "coo_tuple"
        Whether to return plans, too: a list with a scipy.sparse.coo_array, or for "coo_tuple" with a named tuple
        ``(data, rows, cols)``, for each column.

    Returns
    -------
    number or ndarray (k,), or with `return_plans` (that, list)
        In the type of the values, float64 for integers. For tensors a tensor with derivatives with respect to values
        and weights; the latter are potentials, defined up to a constant, chosen as in `monge.Transport.grad_a`.

    Raises
    ------
    MarginalError
        For p < 1, and for totals that differ by more than 1e-6, for which POT returns a number.
    ValueError, TypeError
        As `monge.emd_1d`.

    Examples
    --------
    >>> import numpy as np
    >>> import monge.compat.pot as ot
    >>> float(ot.wasserstein_1d(np.array([0.0]), np.array([3.0]), p=2))
    9.0
    >>> ot.wasserstein_1d(np.zeros((4, 2)), np.ones((3, 2)))
    array([1., 1.])
    """
    if not p >= 1:
        raise MarginalError(f"p should be at least 1; got {shown(p)}.")
    given = (u_values, v_values, u_weights, v_weights)
    reference = reference_of(*given)
    names = ("u_values", "v_values", "u_weights", "v_weights")
    raw = [on_host(values, name) for values, name in zip(given, names, strict=True)]
    points = [real_array(each, name, None, "points (n,) or (n, k)") for each, name in zip(raw[:2], names, strict=False)]
    if points[0].ndim == 0 or points[0].ndim != points[1].ndim or points[0].shape[1:] != points[1].shape[1:]:
        raise ValueError(
            f"u_values and v_values should have the same number of columns; got {points[0].shape}, {points[1].shape}."
        )
    beyond = points[0].shape[1:]
    u, v = (each.reshape(len(each), -1) for each in points)
    weights = [
        None if each is None else real_array(each, name, None, "weights (n,) or (n, k)")
        for each, name in zip(raw[2:], names[2:], strict=True)
    ]
    dtype = real_type(np.result_type(*(getattr(each, "dtype", np.float64) for each in raw[:2])))
    differentiable = needs_gradient(*given)
    values, plans, slopes = np.empty(u.shape[1]), [], []
    for k in range(u.shape[1]):
        a, b = (None if w is None else w if w.ndim == 1 else w.reshape(len(w), -1)[:, k] for w in weights)
        a, b = _weights_of_points(a, b, len(u), len(v), True)
        if return_plans or differentiable:
            t = exact_1d(u[:, k], v[:, k], a, b, p=p)
            values[k] = t.value
            slopes.append((t.grad_x[:, 0], t.grad_y[:, 0], t.grad_a, t.grad_b) if differentiable else None)
            plans.append(_parts(t, dtype, return_plans == "coo_tuple"))
        else:
            mean, unit = mean_power(u[:, k], v[:, k], a, b, float(p), None, None)
            values[k] = total_mass(a) * mean * unit ** float(p)
    result: Any = values.astype(dtype).reshape(beyond) if beyond else dtype.type(values[0])
    result = back_home(result, reference)
    if differentiable:
        pairs = []
        for place, tensor in enumerate(given):
            columns = np.stack([each[place] for each in slopes], axis=1)  # type: ignore[index]
            pairs.append((tensor, _product(back_home(columns, reference), beyond)))
        result = with_gradients(result, pairs)
    return (result, plans) if return_plans else result


def _product(slopes: Any, beyond: tuple[int, ...]) -> Any:
    """The function of a tensor (n,) or (n, ...) that has the slopes (n, k) in each column."""

    def product(tensor: Any) -> Any:
        each = slopes.to(tensor)
        if not beyond:
            return tensor @ each[:, 0]
        if tensor.ndim == 1:
            return (tensor @ each).reshape(beyond)
        return (tensor.reshape(each.shape) * each).sum(0).reshape(beyond)

    return product


def _parts(t: Transport, dtype: np.dtype[Any], as_tuple: bool) -> Any:
    rows, cols, mass = t.plan.row.astype(np.int64), t.plan.col.astype(np.int64), t.plan.data.astype(dtype)
    if as_tuple:
        return PlanTuple(mass, rows, cols)
    from scipy.sparse import coo_array

    return coo_array((mass, (rows, cols)), shape=t.shape)
