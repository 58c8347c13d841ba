"""The arguments that POT takes, as NumPy arrays, and results as what POT would return for them.

Weights may be arrays, lists, or nothing ([] or None) for uniform ones. Tensors of torch and arrays of JAX are read, and
results go back to the library, the device and the type of the first one; neither library is imported for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import real_array
from monge.problem.costs import is_sparse

__all__ = [
    "NEVER",
    "MarginalError",
    "Measures",
    "back_home",
    "capped",
    "has_never",
    "matched",
    "measures",
    "needs_gradient",
    "on_host",
    "places_home",
    "real_type",
    "reference_of",
    "with_gradients",
]

Array = NDArray[Any]

# The solvers take no larger costs; POT's programs write the largest number of all for "never".
NEVER = 1e290

# How far totals may be apart: what POT allows.
_SAME_TOTAL = 1.5e-6


class MarginalError(AssertionError, ValueError):
    """Weights that do not fit each other or the cost; POT raises an AssertionError, the rest of monge a ValueError."""


class Measures(NamedTuple):
    """A problem as the solvers take it.

    Attributes
    ----------
    a, b : ndarray (n,), (m,) or (m, k)
        Weights, in single or double precision, b with the total of a.
    given_b : ndarray
        b before its total was changed.
    M : ndarray (n, m), or sparse
    reference : object
        The tensor or array of another library where results belong, or None.
    dtype : numpy.dtype
        Of what POT returns: that of a, or else of b.
    common : numpy.dtype
        That in which all three can be held.
    costs : numpy.dtype
        That of M.
    """

    a: Array
    b: Array
    given_b: Array
    M: Any
    reference: Any
    dtype: np.dtype[Any]
    common: np.dtype[Any]
    costs: np.dtype[Any]


def _is_tensor(values: Any) -> bool:
    """Whether it is a tensor of torch."""
    return hasattr(values, "requires_grad") and hasattr(values, "detach")


def _is_foreign(values: Any) -> bool:
    return _is_tensor(values) or (hasattr(values, "__array_namespace__") and not isinstance(values, np.ndarray))


def reference_of(*values: Any) -> Any:
    """The first that is an array of another library than NumPy, or None."""
    return next((each for each in values if _is_foreign(each)), None)


def needs_gradient(*values: Any) -> bool:
    """Whether any is a tensor through which derivatives flow."""
    return any(_is_tensor(each) and each.requires_grad for each in values)


def on_host(values: Any, name: str) -> Any:
    """`values` as NumPy can read them: tensors leave their device and their graph."""
    if _is_tensor(values):
        if values.is_sparse:
            raise TypeError(f"{name} is a sparse tensor; pass a dense one, or a matrix of scipy.sparse.")
        values = values.detach().cpu()
        try:
            return values.numpy()
        except TypeError:  # bfloat16, which NumPy does not have
            return values.double().numpy()
    if "Tracer" in type(values).__name__:
        raise TypeError(
            f"{name} is traced by jax.jit, grad or vmap, and POT's names work on numbers; use monge.jax in its place."
        )
    return values


def back_home(values: Any, reference: Any) -> Any:
    """An array or a number of real numbers where `reference` is, in its type; as it is if that is None."""
    if reference is None:
        return values
    if _is_tensor(reference):
        like = reference.detach() if reference.is_floating_point() else reference.double()
        return like.new_tensor(values)
    library = reference.__array_namespace__()
    real = np.dtype(reference.dtype).kind == "f"
    return library.asarray(values, dtype=reference.dtype) if real else library.asarray(values)


def places_home(values: Any, reference: Any) -> Any:
    """Integers, such as places in a plan, where `reference` is."""
    if reference is None:
        return values
    if _is_tensor(reference):
        return reference.detach().long().new_tensor(values)
    return reference.__array_namespace__().asarray(values)


def with_gradients(value: Any, pairs: Iterable[tuple[Any, Callable[[Any], Any]]]) -> Any:
    """A number of torch's that has, beside its value, the derivatives that are given.

    Each pair is a tensor and a function that is linear in it, with the wanted derivative; only what it makes of the
    tensor minus itself is added.
    """
    for tensor, linear in pairs:
        if needs_gradient(tensor):
            value = value + (linear(tensor) - linear(tensor.detach())).to(value)
    return value


def measures(a: Any, b: Any, M: Any, check: bool, columns: bool = False, match: bool = True) -> Measures:
    """The problem of POT's arguments; b may have columns, each a problem, where `columns`.

    `check` is whether totals that differ by more than POT allows are an error, `match` whether they are made equal.
    """
    reference = reference_of(a, b, M)
    raw_a, raw_b, raw_M = on_host(a, "a"), on_host(b, "b"), on_host(M, "M")
    matrix: Any = raw_M if is_sparse(raw_M) else real_array(raw_M, "M", 2, "an (n, m) matrix")
    n, m = matrix.shape
    # Lists have the type of the first array that is not empty.
    kinds = [getattr(each, "dtype", None) for each in (raw_a, raw_b, raw_M) if _length(each) != 0]
    of_lists = next((real_type(kind) for kind in kinds if kind is not None), np.dtype(np.float64))
    types = [real_type(getattr(each, "dtype", of_lists)) for each in (raw_a, raw_b, raw_M)]
    dtype = types[1] if _length(raw_a) == 0 and _length(raw_b) != 0 else types[0]
    weights_a = _weights(raw_a, n, "a", 1)
    weights_b = _weights(raw_b, m, "b", (1, 2) if columns else 1)
    return Measures(
        a=weights_a,
        b=matched(weights_a, weights_b, check) if match else weights_b,
        given_b=weights_b,
        M=matrix,
        reference=reference,
        dtype=dtype,
        common=np.result_type(*types),
        costs=types[2],
    )


def has_never(M: Any) -> bool:
    """Whether finite costs are larger than the solvers take."""
    costs = M.data if is_sparse(M) else M
    if costs.dtype != np.float64 or not costs.size or not costs.max() > NEVER:  # if that is NaN, the solver says so
        return False
    return bool((np.isfinite(costs) & (costs > NEVER)).any())


def capped(M: Any, cap: float) -> Any:
    """M with `cap` in place of finite costs that are larger than the solvers take."""
    if is_sparse(M):
        M = M.tocoo(copy=True)
        M.sum_duplicates()
        M.data = capped(M.data.astype(np.float64), cap)
        return M
    return np.where(np.isfinite(M) & (M > NEVER), cap, M)


def _length(values: Any) -> int:
    if values is None:
        return 0
    shape = getattr(values, "shape", ())
    return shape[0] if shape else len(values) if hasattr(values, "__len__") and not hasattr(values, "shape") else 1


def real_type(dtype: Any) -> np.dtype[Any]:
    """Of the results for arguments of this type; counts have real plans."""
    return np.dtype(dtype) if np.dtype(dtype).kind == "f" else np.dtype(np.float64)


def _weights(values: Any, size: int, name: str, ndim: int | tuple[int, ...]) -> Array:
    if _length(values) == 0:
        return np.full(size, 1.0 / size) if size else np.empty(0)
    array = real_array(values, name, ndim, f"weights of shape ({size},)")
    if array.shape[0] != size:
        raise MarginalError(
            f"Dimension mismatch: {name} should have {size} weights, as M has places on that side; got {array.shape}."
        )
    return array


def matched(a: Array, b: Array, check: bool = True) -> Array:
    """b, or each of its columns, with the total of a."""
    total_a = math.fsum(a)
    totals = np.asarray(b.sum(axis=0, dtype=np.float64))
    apart = np.abs(totals - total_a)
    if check and np.isfinite(apart).all() and not (apart < _SAME_TOTAL).all():  # else the solver names the bad weight
        raise MarginalError(
            f"a and b vector must have the same sum: a.sum() = {total_a!r}, b.sum() = {totals.tolist()!r}. "
            "Normalise them if only shapes matter; monge.partial moves a part of the mass, and monge.sinkhorn "
            "with marginals= lets masses differ."
        )
    if not (totals > 0.0).all() or not total_a > 0.0 or (totals == total_a).all():
        return b
    return np.asarray((b * (total_a / totals)).astype(b.dtype, copy=False))
