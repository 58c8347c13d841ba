"""POT's `ot.utils`: costs between points, and the small things that its examples use."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from monge.compat.pot.arrays import back_home, needs_gradient, on_host, real_type, reference_of
from monge.compat.pot.missing import missing_from
from monge.exact.dense import dense
from monge.problem.arrays import available_threads, real_array, shown
from monge.problem.costs import PointCloud

__all__ = ["clean_zeros", "dist", "dist0", "euclidean_distances", "kernel", "proj_simplex", "tic", "toc", "toq", "unif"]

__getattr__ = missing_from(__name__)

# The costs that the core computes.
_OURS = ("sqeuclidean", "euclidean", "cityblock", "chebyshev", "cosine")
# Those that POT computes in the type of the points; others in double precision.
_IN_THEIR_TYPE = ("sqeuclidean", "euclidean", "cityblock", "minkowski", "cosine", "correlation")
# Those between tensors that carry derivatives.
_OF_TENSORS = ("sqeuclidean", "euclidean", "cityblock", "minkowski")


def dist(
    x1: Any,
    x2: Any = None,
    metric: str | Callable[[Any, Any], float] = "sqeuclidean",
    p: float = 2,
    w: Any = None,
    backend: str = "auto",
    nx: Any = None,
    use_tensor: bool = False,
) -> Any:
    """The costs between all pairs of points.

    Parameters
    ----------
    x1 : array_like (n, d)
        Points.
    x2 : array_like (m, d), optional
        Points; None for x1.
    metric : str or callable
        "sqeuclidean", "euclidean", "cityblock", "chebyshev" or "cosine", which the core computes on all threads; or
        another one that `scipy.spatial.distance.cdist` knows, or a function of two points that it takes.
    p : float
        The power of "minkowski".
    w : array_like (d,), optional
        Weights of the coordinates, for "minkowski", or with ``backend="scipy"`` for what SciPy takes them for.
    backend : str
        "auto", or "scipy" for SciPy's functions and float64 throughout.
    nx, use_tensor : object
        Not used.

    Returns
    -------
    ndarray (n, m)
        In single precision if both sets of points are and POT's is, else in double, also for integers. They come from
        differences of coordinates, where POT expands the square: those between near points keep their digits. For
        tensors that carry derivatives a tensor that does.

    Raises
    ------
    ValueError, TypeError
        Points that are not finite or do not fit each other, an unknown metric, a `w` that would not be used, and a
        metric of tensors that has no derivatives here.

    Examples
    --------
    >>> import numpy as np
    >>> import monge.compat.pot as ot
    >>> ot.dist(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 1.0]]))
    array([[25.,  1.]])
    """
    x2 = x1 if x2 is None else x2
    reference = reference_of(x1, x2)
    if needs_gradient(x1, x2):
        return _of_tensors(x1, x2, metric, p, w)
    x, y = (
        real_array(on_host(values, name), name, (1, 2), "points of shape (n, d)")
        for values, name in ((x1, "x1"), (x2, "x2"))
    )
    if backend == "scipy" or metric not in _IN_THEIR_TYPE:
        x, y = x.astype(np.float64), y.astype(np.float64)
    if backend != "scipy" and w is None and isinstance(metric, str) and metric in _OURS:
        return back_home(dense(PointCloud(x, y, metric), available_threads(None)), reference)
    if w is not None and backend != "scipy" and metric not in ("minkowski", "wminkowski"):
        raise ValueError(
            f'w is for metric="minkowski"; got {shown(metric)}. Leave it out, scale the coordinates, or use '
            'backend="scipy" for SciPy\'s weighted metrics.'
        )
    from scipy.spatial.distance import cdist

    x, y = (points[:, np.newaxis] if points.ndim == 1 else points for points in (x, y))
    more = {"p": p} if isinstance(metric, str) and metric.endswith("minkowski") else {}
    scales = None if w is None else real_array(on_host(w, "w"), "w", 1, f"weights ({x.shape[1]},) of the coordinates")
    costs = cdist(x, y, metric=metric, **more, **({} if scales is None else {"w": scales}))
    own = np.result_type(x, y) if scales is None else np.result_type(x, y, scales)
    return back_home(np.asarray(costs, dtype=own), reference)


def _of_tensors(x1: Any, x2: Any, metric: Any, p: float, w: Any) -> Any:
    """The costs between tensors, one coordinate after the other, by operations of theirs."""
    if metric not in _OF_TENSORS or (w is not None and metric != "minkowski"):
        raise TypeError(
            f"metric {shown(metric)} has no derivatives here{'' if w is None else ' with w'}; those with are "
            f"{', '.join(_OF_TENSORS)}. Detach the tensors, or use the functions of monge.torch, which take points."
        )
    power = {"sqeuclidean": 2.0, "euclidean": 2.0, "cityblock": 1.0}.get(metric, p)
    costs: Any = 0.0
    for k in range(x1.shape[1]):
        apart = x1[:, k, None] - x2[None, :, k]
        part = apart * apart if power == 2.0 else apart.abs() if power == 1.0 else apart.abs() ** power
        costs = costs + (part if w is None else w[k] * part)
    if metric in ("sqeuclidean", "cityblock") or power == 1.0:
        return costs
    some = costs > 0.0  # at equal points the root has no derivative: zero is one of those it might have
    return costs.where(some, costs.detach() * 0.0 + 1.0) ** (1.0 / power) * some


def euclidean_distances(X: Any, Y: Any, squared: bool = False, nx: Any = None) -> Any:
    """The distances between all pairs of points, or their squares; see `dist`.

    Parameters
    ----------
    X, Y : array_like (n, d), (m, d)
        Points.
    squared : bool
        Whether to return squares.
    nx : object
        Not used.

    Returns
    -------
    ndarray (n, m)
        The distances, in the type that `dist` has.

    Examples
    --------
    >>> import numpy as np
    >>> from monge.compat.pot.utils import euclidean_distances
    >>> euclidean_distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]]))
    array([[5.]])
    """
    return dist(X, Y, "sqeuclidean" if squared else "euclidean")


def unif(n: int, type_as: Any = None) -> Any:
    """Uniform weights (n,), each 1 / n.

    Parameters
    ----------
    n : int
        How many.
    type_as : array, optional
        One of the type, library and device of the result; None for float64.

    Returns
    -------
    ndarray (n,)
        The weights.

    Examples
    --------
    >>> import monge.compat.pot as ot
    >>> ot.unif(4)
    array([0.25, 0.25, 0.25, 0.25])
    """
    dtype = np.float64 if type_as is None else real_type(getattr(on_host(type_as, "type_as"), "dtype", np.float64))
    return back_home(np.ones(n, dtype) / np.dtype(dtype).type(n), reference_of(type_as))


def dist0(n: int, method: str = "lin_square") -> Any:
    """The squared distances (n, n) between 0, 1, ..., n - 1.

    Parameters
    ----------
    n : int
        How many places.
    method : str
        "lin_square", the only one.

    Returns
    -------
    ndarray (n, n)
        In float64.

    Examples
    --------
    >>> from monge.compat.pot.utils import dist0
    >>> dist0(3)
    array([[0., 1., 4.],
           [1., 0., 1.],
           [4., 1., 0.]])
    """
    if method != "lin_square":
        raise ValueError(f'method should be "lin_square"; got {shown(method)}.')
    return dist(np.arange(n, dtype=np.float64)[:, np.newaxis])


def kernel(x1: Any, x2: Any, method: str = "gaussian", sigma: float = 1, **kwargs: Any) -> Any:
    """The Gaussian kernel exp(-|x - y|^2 / (2 sigma^2)) between all pairs of points.

    Parameters
    ----------
    x1, x2 : array_like (n, d), (m, d)
        Points.
    method : str
        "gaussian", "gauss" or "rbf".
    sigma : float
        Its width.
    **kwargs
        Not used.

    Returns
    -------
    ndarray (n, m)
        Between zero and one.

    Examples
    --------
    >>> import numpy as np
    >>> from monge.compat.pot.utils import kernel
    >>> kernel(np.array([[0.0]]), np.array([[0.0], [2.0]])).round(3)
    array([[1.   , 0.135]])
    """
    if method.lower() not in ("gaussian", "gauss", "rbf"):
        raise ValueError(f'method should be "gaussian", "gauss" or "rbf"; got {shown(method)}.')
    exponents = dist(x1, x2) / (-2.0 * sigma * sigma)
    return exponents.exp() if hasattr(exponents, "exp") else np.exp(exponents)


def clean_zeros(a: Any, b: Any, M: Any) -> tuple[Any, Any, Any]:
    """The problem without the places that have no weight.

    Parameters
    ----------
    a, b : ndarray (n,), (m,)
        Weights.
    M : ndarray (n, m)
        Costs.

    Returns
    -------
    a, b, M
        Copies of what is left.

    Examples
    --------
    >>> import numpy as np
    >>> from monge.compat.pot.utils import clean_zeros
    >>> clean_zeros(np.array([1.0, 0.0]), np.array([0.5, 0.5]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    (array([1.]), array([0.5, 0.5]), array([[1., 2.]]))
    """
    rows, columns = a > 0, b > 0
    return a[rows], b[columns], M[rows][:, columns]


def proj_simplex(v: Any, z: float = 1) -> Any:
    """The nearest point of the simplex {w >= 0, sum w = z}; of each column of a matrix.

    w = max(v - t, 0) for the t that gives the sum, found by sorting (Duchi, Shalev-Shwartz, Singer and Chandra 2008,
    "Efficient projections onto the l1-ball", section 3).

    Parameters
    ----------
    v : array_like (n,) or (n, k)
        Points, as columns.
    z : float
        The sum, positive.

    Returns
    -------
    ndarray (n,) or (n, k)
        Of the shape and the type of v.

    Examples
    --------
    >>> import numpy as np
    >>> from monge.compat.pot.utils import proj_simplex
    >>> proj_simplex(np.array([0.5, 1.0, -3.0]))
    array([0.25, 0.75, 0.  ])
    """
    reference = reference_of(v)
    points = real_array(on_host(v, "v"), "v", (1, 2), "points of shape (n,) or (n, k)")
    columns = points.reshape(len(points), -1)
    falling = -np.sort(-columns, axis=0)
    counts = np.arange(1, len(points) + 1)[:, np.newaxis]
    levels = (np.cumsum(falling, axis=0) - z) / counts  # the t with so many positive coordinates
    kept = (falling > levels).sum(axis=0)
    t = levels[kept - 1, np.arange(columns.shape[1])]
    return back_home(np.maximum(columns - t, 0.0).astype(points.dtype).reshape(points.shape), reference)


_began = 0.0


def tic() -> None:
    """Start the clock that `toc` and `toq` read; there is one for the whole program.

    Examples
    --------
    >>> import monge.compat.pot as ot
    >>> ot.tic()
    >>> ot.toq() >= 0.0
    True
    """
    global _began
    _began = time.perf_counter()


def toc(message: str = "Elapsed time : {} s") -> float:
    """The seconds since `tic`, which are printed, too.

    Parameters
    ----------
    message : str
        With {} where the seconds go.

    Returns
    -------
    float
        Seconds.
    """
    passed = toq()
    print(message.format(passed))
    return passed


def toq() -> float:
    """The seconds since `tic`.

    Returns
    -------
    float
        Seconds.
    """
    return time.perf_counter() - _began
