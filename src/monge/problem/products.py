"""Squared distances between two clouds by one product of matrices, on the library and the device of the points.

|x_i - y_j|^2  =  |x_i|^2  -  2 <x_i, y_j>  +  |y_j|^2

Of the three terms, the first is the same along a row and the last along a column: where both marginals are fixed they
change the cost of every plan alike, and the product is all that matters. A cloud far from the origin is centred first,
at its own mean, which also changes rows and columns as wholes only: so that single precision loses nothing there.

Points stay where they are, and as wide as they are. What crosses to the host are n x m numbers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import real_array
from monge.problem.home import Home, home_of, home_of_any, on_host

__all__ = ["clouds_together", "mean_cost", "pair_costs", "product_costs"]

# Coordinates of the pairs whose distances are computed at a time: what the caches hold, and what a GPU has to spare.
_IN_CACHE, _ON_GPU = 2**16, 2**26

# Points by which the squares of a cloud are judged.
_SOME = 32


def clouds_together(x: Any, y: Any, names: tuple[str, str] = ("x", "y")) -> tuple[Any, Any, Home | None]:
    """Two clouds (n, d) and (m, d) of one library, one device and one floating type, and their home.

    All axes but the first are coordinates, as of images; a vector holds points on the line. Arrays of NumPy go to where
    the other cloud is. Half precision becomes single; tensors of torch are taken without their history.
    """
    home = home_of_any(x, y)
    clouds = [_cloud(values, name, home) for values, name in zip((x, y), names, strict=True)]
    (n, d), (m, e) = (cloud.shape for cloud in clouds)
    if 0 in (n, m, d, e):
        raise ValueError(
            f"{names[0]} and {names[1]} should hold at least one point of at least one coordinate each; got {n} points "
            f"of {d} coordinates and {m} of {e}."
        )
    if d != e:
        raise ValueError(
            f"the points of {names[0]} and {names[1]} should have as many coordinates; got {d} and {e}, counted over "
            "all axes but the first."
        )
    if home is None and clouds[0].dtype != clouds[1].dtype:
        clouds = [cloud.astype(np.float64, copy=False) for cloud in clouds]
    return clouds[0], clouds[1], home


def product_costs(
    x: Any,
    y: Any,
    *,
    rows: bool = False,
    columns: bool = False,
    aligned: bool = False,
    names: tuple[str, str] = ("x", "y"),
) -> NDArray[Any]:
    """The squared distances |x_i - y_j|^2 as a new (n, m) array of NumPy, in the floating type of the points.

    Up to a term for each row unless `rows`, and up to one for each column unless `columns`; exactly, within rounding,
    with both. With `aligned` up to those terms of rows and columns that vanish where both clouds have one mean: costs
    that look like distances, however far the clouds are from each other. x and y are as `clouds_together` gives them.
    ValueError for points that are not finite.
    """
    home = home_of(x)
    library = np if home is None else home.library
    with np.errstate(all="ignore"):  # what is not finite is found in the end
        (x0, from_x), (y0, from_y) = _centred(library, x), _centred(library, y)
        C = _own(on_host(_product(library, x0, y0)))
        C *= -2.0
        shift = 0.0 * from_x if aligned else from_x - from_y  # |x - y|^2 = |x0 - y0 + shift|^2
        rows, columns = rows or aligned, columns or aligned
        if rows:
            C += np.asarray(on_host(library.sum(x0 * (x0 + 2.0 * shift), axis=1)))[:, np.newaxis]
        if columns:
            C += np.asarray(on_host(library.sum(y0 * (y0 - 2.0 * shift), axis=1)))
        if rows and columns:
            C += np.asarray(on_host(library.sum(shift * shift)))
            np.maximum(C, 0.0, out=C)
        finite = -math.inf < C.min() and C.max() < math.inf
    if not finite:
        raise _not_finite((x, y), names)
    return C


def pair_costs(x: Any, y: Any, i: NDArray[np.intp], j: NDArray[np.intp]) -> NDArray[np.float64]:
    """The squared distances |x_i - y_j|^2 of some pairs (k,), of differences, so that nothing cancels.

    In double precision on a CPU, in the type of the points on a GPU. x and y are as `clouds_together` gives them.
    """
    home = home_of(x)
    on_gpu = home is not None and home.on_gpu
    if not on_gpu:
        x, y = np.asarray(on_host(x)), np.asarray(on_host(y))
    step = max((_ON_GPU if on_gpu else _IN_CACHE) // x.shape[1], 1)
    costs = np.empty(len(i))
    for k in range(0, len(i), step):
        some = slice(k, k + step)
        if home is not None and on_gpu:
            difference = x[home(i[some])] - y[home(j[some])]
            costs[some] = on_host(home.library.sum(difference * difference, axis=1))
        else:
            difference = np.subtract(x[i[some]], y[j[some]], dtype=np.float64)
            costs[some] = np.einsum("kd,kd->k", difference, difference)
    return costs


def mean_cost(x: Any, y: Any) -> float:
    """The mean of |x_i - y_j|^2 over all pairs, in O((n + m) d): what lies around the mean of y, of both clouds."""
    home = home_of(x)
    if home is not None and home.on_gpu:
        centre = home.library.mean(y, axis=0)[None, :]
    else:
        x, y = np.asarray(on_host(x)), np.asarray(on_host(y))
        centre = np.mean(y, axis=0, keepdims=True, dtype=np.float64)
    return sum(float(pair_costs(z, centre, np.arange(len(z)), np.zeros(len(z), np.intp)).mean()) for z in (x, y))


def _cloud(values: Any, name: str, home: Home | None) -> Any:
    """`values` as (n, d), at home."""
    if home_of(values) is None:
        values = real_array(values, name, None, "points of shape (n, d), or an array of n items such as images")
        if home is not None:
            values = home.library.asarray(np.array(values), device=home.device)
    if values.ndim == 0:
        raise ValueError(
            f"{name} should be points of shape (n, d), or an array of n items such as images; got one number."
        )
    if "complex" in str(values.dtype):
        raise TypeError(f"{name} should be points of real numbers; got dtype {values.dtype}.")
    width = math.prod(values.shape[1:])
    if home is None:
        return values.reshape(len(values), width)
    values = values.detach() if hasattr(values, "detach") else values
    library, double = home.library, str(home.dtype).endswith("float64")
    dtype = library.float64 if double else library.float32
    if values.dtype != dtype:
        values = values.to(dtype) if hasattr(values, "detach") else library.astype(values, dtype)
    return library.reshape(values, (values.shape[0], width))


def _centred(library: Any, x: Any) -> tuple[Any, Any]:
    """The points around their mean, and the mean; or around the origin, without a copy, if that is near enough.

    It is where the mean has at most half the squares of the points, here of some: then products are at most twice as
    large as those around the mean would be.
    """
    centre, some = library.mean(x, axis=0), x[: min(x.shape[0], _SOME), :]
    if library.sum(centre * centre) > 0.5 * library.sum(some * some) / some.shape[0]:
        return x - centre, centre
    return x, library.zeros_like(centre)


def _product(library: Any, x: Any, y: Any) -> Any:
    if library.__name__ == "jax.numpy":  # whose default on GPUs rounds single precision to ten bits
        return library.matmul(x, y.T, precision="highest")
    return x @ y.T


def _own(matrix: Any) -> NDArray[Any]:
    array = np.asarray(matrix)
    return array if array.flags.writeable else array.copy()


def _not_finite(clouds: tuple[Any, Any], names: tuple[str, str]) -> ValueError:
    for values, name in zip(clouds, names, strict=True):
        points = np.asarray(on_host(values))
        if not np.isfinite(points).all():
            at = tuple(int(k) for k in np.argwhere(~np.isfinite(points))[0])
            return ValueError(f"{name} should hold finite numbers; point {at[0]} has {float(points[at])} at {at[1]}.")
    return ValueError(
        f"squared distances between {names[0]} and {names[1]} overflow {np.asarray(on_host(clouds[0])).dtype}. "
        "Rescale the points, or convert them to float64."
    )
