"""Transport on the line by `monge.emd_1d`, as POT's `emd_1d`, `emd2_1d` and `wasserstein_1d` return it."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.compat.pot.arrays import (
    MarginalError,
    back_home,
    needs_gradient,
    on_host,
    places_home,
    real_type,
    reference_of,
    with_gradients,
)
from monge.compat.pot.lp.line import sparse, weights_of_points
from monge.compat.pot.missing import missing_from
from monge.exact.univariate import emd_1d as exact_1d
from monge.exact.univariate import mean_power
from monge.problem.arrays import real_array, shown
from monge.problem.measures import total_mass
from monge.problem.transport import Transport

__all__ = ["emd2_1d", "emd_1d", "wasserstein_1d"]

__getattr__ = missing_from(__name__)

Array = NDArray[Any]

# The metrics of the line, as powers of the distance; None for the p that is given.
_POWERS = {"sqeuclidean": 2.0, "euclidean": 1.0, "cityblock": 1.0, "minkowski": None}

PlanTuple = namedtuple("PlanTuple", ["data", "rows", "cols"])


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
    rows, cols = t.plan.row.astype(np.int64), t.plan.col.astype(np.int64)
    G = _plan(t, dtype, reference, dense)
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
    x_a, x_b, a, b, metric, p : see `emd_1d`
        As there.
    dense : bool
        Whether the plan of the dictionary is an ndarray; else it is a scipy.sparse.coo_array.
    log : bool
        Whether to return a dictionary, too.

    Returns
    -------
    float, or with `log` (float, dict)
        The cost; its root is the Wasserstein distance. The dictionary holds the plan as ``G``. For tensors a scalar
        tensor with derivatives, as of `wasserstein_1d`.

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
    t, dtype, reference = _line(x_a, x_b, a, b, metric, p, True)
    cost = back_home(float(t.value), reference)
    given = x_a, x_b, a, b
    if needs_gradient(*given):
        slopes = t.grad_x, t.grad_y, t.grad_a, t.grad_b
        cost = with_gradients(cost, zip(given, map(_along, slopes), strict=True))
    if not log:
        return cost
    return cost, {"G": _plan(t, dtype, reference, dense)}


def _plan(t: Transport, dtype: np.dtype[Any], reference: Any, dense: bool) -> Any:
    if not dense and reference is None:
        return sparse(t, dtype)
    G = np.zeros(t.shape, dtype)
    G[t.plan.row, t.plan.col] = t.plan.data
    return back_home(G, reference)


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
    weights_a, weights_b = weights_of_points(a, b, len(points[0]), len(points[1]), check)
    power = _POWERS[metric]
    t = exact_1d(points[0], points[1], weights_a, weights_b, p=p if power is None else power)
    return t, real_type(getattr(on_host(x, "x_a"), "dtype", np.float64)), reference


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
        a, b = weights_of_points(a, b, len(u), len(v), True)
        if return_plans or differentiable:
            t = exact_1d(u[:, k], v[:, k], a, b, p=p)
            values[k] = t.value
            slopes.append((t.grad_x[:, 0], t.grad_y[:, 0], t.grad_a, t.grad_b) if differentiable else None)
            plan = sparse(t, dtype)
            plans.append(PlanTuple(plan.data, plan.row, plan.col) if return_plans == "coo_tuple" else plan)
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


def _along(slopes: Array) -> Callable[[Any], Any]:
    """The function of a tensor that has these slopes."""
    return lambda tensor: (tensor * back_home(slopes, tensor).reshape(tensor.shape)).sum()


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
