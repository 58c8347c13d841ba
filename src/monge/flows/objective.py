"""A loss as a flow sees it: at points, a number and a gradient, checked, in NumPy.

What the caller's function returns is read here and nowhere else.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import real_array, real_number
from monge.problem.home import Home, home_of_any

__all__ = ["Objective", "Place", "all_finite"]

Array = NDArray[Any]

_REMEDY = (
    "Return what monge's losses return, such as monge.emd(monge.PointCloud(x, y)) or monge.energy_distance(x, y); any "
    "object with .value and .grad_x; or a pair (value, gradient), as jax.value_and_grad does."
)


class Place(NamedTuple):
    """Points, and the loss there."""

    x: Array  # (n, d)
    value: float
    found: Any  # what the loss returned


class Objective:
    """The caller's loss, as a function of points and of the place before.

    A loss with a parameter of the name `init` gets what it returned at that place, so that a solver can start there.
    """

    def __init__(self, loss: Callable[..., Any], home: Home | None) -> None:
        if not callable(loss):
            raise TypeError(
                f"loss should be a function of the points x; got {type(loss).__name__}. For example "
                "lambda x: monge.emd(monge.PointCloud(x, y))."
            )
        self._loss, self._home, self._continues = loss, home, _takes_init(loss)

    def __call__(self, x: Array, before: Place | None = None) -> Place:
        seen = x if self._home is None else self._home(x)
        start = {"init": None if before is None else before.found} if self._continues else {}
        found = self._loss(seen, **start)
        return Place(x, _value(found), found)

    def gradient(self, place: Place) -> Array:
        """The derivative of the loss with respect to the points there, (n, d); it may hold infinities and NaN."""
        gradient = _gradient(place.found)
        home_of_any(self._home, gradient)  # an error for arrays of two libraries, or on two devices
        array = real_array(gradient, "the loss's grad_x", None, f"an array of shape {place.x.shape}")
        if array.shape != place.x.shape:
            raise ValueError(
                f"the loss's grad_x should have the shape of the points, {place.x.shape}; got {array.shape}. It is the "
                "derivative with respect to the argument of loss."
            )
        return array


def _takes_init(loss: Callable[..., Any]) -> bool:
    try:
        return "init" in inspect.signature(loss).parameters
    except (TypeError, ValueError):  # some functions written in C do not say
        return False


def _value(found: Any) -> float:
    value = found[0] if _is_pair(found) else getattr(found, "value", None)
    if value is None:
        raise TypeError(f"loss should return something with .value and .grad_x; got {type(found).__name__}. {_REMEDY}")
    return real_number(value, "the loss's value", "a real number")


def _gradient(found: Any) -> Any:
    if _is_pair(found):
        return found[1]
    try:
        return found.grad_x
    except (AttributeError, TypeError) as error:
        raise TypeError(f"loss should return something with .grad_x to go along; {error} {_REMEDY}") from error


def _is_pair(found: Any) -> bool:
    return type(found) in (tuple, list) and len(found) == 2


def all_finite(array: Array) -> bool:
    """Whether all entries are finite; the sum is, if they are and it does not overflow, and takes no memory."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(float(array.sum())) or bool(np.isfinite(array).all())
