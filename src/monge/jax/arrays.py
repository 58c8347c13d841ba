"""Checks of the arrays that a loss is given, of which shapes and types alone are known where a function is traced."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["OWN", "Measures", "checked", "of_costs", "of_points"]

# How many dimensions of each array of `Measures` are its own; those before are a batch's.
OWN = (2, 2, 2, 1, 1)

_EXPECTED = ("points (..., n, d)", "points (..., m, d)", "costs (..., n, m)", "weights (..., n)", "weights (..., m)")


class Measures(NamedTuple):
    """The arrays of a call, or of one problem: points x and y, or costs C, and weights; None for what is not there."""

    x: Any = None
    y: Any = None
    C: Any = None
    a: Any = None
    b: Any = None


def of_points(x: Any, y: Any) -> bool:
    """Whether both clouds are there. TypeError for one alone."""
    if (x is None) != (y is None):
        raise TypeError(f"x and y should both be arrays of points; got {'y' if x is None else 'x'} alone.")
    return x is not None


def of_costs(cost: Any) -> bool:
    """Whether the cost is an array, in the place of the name of a ground cost, a function, or a Grid."""
    return isinstance(cost, jax.Array | np.ndarray)


def checked(x: Any, y: Any, C: Any, a: Any, b: Any, shape: tuple[int, int] | None = None) -> Measures:
    """The arrays in floating types, with as many leading dimensions each; uniform weights where those of one side are
    given alone.

    `shape` is that of a cost which is no array. TypeError for what is no array of real numbers, ValueError for shapes
    that do not fit.
    """
    arrays: list[Any] = [
        None if values is None else _floating(values, name, expected, own)
        for values, name, expected, own in zip(
            (x, y, C, a, b), ("x", "y", "cost", "a", "b"), _EXPECTED, OWN, strict=True
        )
    ]
    X, Y, C, a, b = arrays
    if X is not None and X.shape[-1] != Y.shape[-1]:
        raise ValueError(f"x and y should have points of the same dimension; got shapes {X.shape} and {Y.shape}.")
    n, m = shape or (C.shape[-2:] if C is not None else (X.shape[-2], Y.shape[-2]))
    for weights, size, name, place in ((a, n, "a", "row"), (b, m, "b", "column")):
        if weights is not None and weights.shape[-1] != size:
            raise ValueError(
                f"{name} should have shape (..., {size}), one weight per {place} of the cost; got {weights.shape}."
            )
    if a is None and b is None and X is None and C is None:
        raise TypeError("a loss between the cells of a Grid needs weights a and b; got neither.")
    if a is None and b is not None:  # uniform weights have the total of the other side, also in derivatives
        a = _uniform(b, n)
    elif b is None and a is not None:
        b = _uniform(a, m)
    return _aligned(Measures(X, Y, C, a, b))


def _floating(values: Any, name: str, expected: str, own: int) -> Any:
    try:
        array = jnp.asarray(values)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} should be {expected}; got {type(values).__name__}: {error}") from error
    if not (jnp.isdtype(array.dtype, ("real floating", "integral", "bool"))):
        raise TypeError(f"{name} should be {expected}, of real numbers; got {array.dtype}.")
    if array.ndim < own:
        more = f" Points on the line are {name}[:, None]." if name in ("x", "y") else ""
        raise ValueError(f"{name} should be {expected}; got shape {array.shape}.{more}")
    if 0 in array.shape:
        raise ValueError(
            f"{name} should hold at least one problem, of at least one place; got shape {array.shape}. Leave empty "
            "batches out."
        )
    return array if jnp.isdtype(array.dtype, "real floating") else array.astype(float)


def _uniform(weights: Any, size: int) -> Any:
    return jnp.broadcast_to(weights.sum(axis=-1, keepdims=True) / size, (*weights.shape[:-1], size))


def _aligned(measures: Measures) -> Measures:
    """With ones for leading dimensions that an array lacks, so that a dimension more in front of all is one of all."""
    leads = [v.shape[: v.ndim - own] for v, own in zip(measures, OWN, strict=True) if v is not None]
    try:
        most = len(np.broadcast_shapes(*leads))
    except ValueError:
        raise ValueError(
            "leading dimensions, those of a batch, should be the same for all arrays, or broadcast; got "
            f"{', '.join(map(str, leads))}."
        ) from None
    return Measures(
        *(
            v if v is None or v.ndim == most + own else v.reshape((1,) * (most + own - v.ndim) + v.shape)
            for v, own in zip(measures, OWN, strict=True)
        )
    )
