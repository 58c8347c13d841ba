"""What potentials and interactions do to n points of equal mass: n times their energy, and its gradient.

n F(x) = sum_i V(x_i) + 1/(2n) sum_ij W(x_i - x_j)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.flows.jko.energies import Parts

__all__ = ["Pulls", "evaluated", "require_even"]

Array = NDArray[np.float64]

# Differences that a function is given at once.
_BLOCK = 2**18
# The step of a difference of gradients, per spread of the points, and at least per size of their coordinates. Curvature
# only speeds Newton's steps up.
_STEP, _FINEST = 1e-5, 1e-8
# What rounding may add to W(z) - W(-z), relative to the largest W.
_ODD = 1e-6


class Pulls:
    """The potentials and interactions of an energy, whose functions expect points of the shape of those given here."""

    def __init__(self, parts: Parts, points: Array) -> None:
        self.potential, self.interaction, self.tail = parts.potential, parts.interaction, points.shape[1:]
        z = points - points[:1]
        for _, W in self.interaction:
            require_even(*(evaluated(W.function, side, len(z), "the interaction") for side in (z, -z)))

    def value(self, x: Array) -> float:
        """n F(x)."""
        x = x.reshape(-1, *self.tail)
        total = sum(w * float(evaluated(V.function, x, len(x), "the potential").sum()) for w, V in self.potential)
        for weight, W in self.interaction:
            for _, z in _differences(x):
                total += weight * float(evaluated(W.function, z, len(z), "the interaction").sum()) / (2.0 * len(x))
        return total

    def gradient(self, x: Array) -> Array:
        """The derivative of n F, of the shape of x."""
        points = x.reshape(-1, *self.tail)
        total = np.zeros(points.shape)
        for weight, V in self.potential:
            total += weight * evaluated(V.gradient, points, points.shape, "the gradient of the potential")
        for weight, W in self.interaction:
            for rows, z in _differences(points):
                slopes = evaluated(W.gradient, z, z.shape, "the gradient of the interaction")
                total[rows] += weight * slopes.reshape(-1, *points.shape).sum(axis=1) / len(x)
        return total.reshape(x.shape)

    def curvature(self, x: Array) -> Array:
        """The diagonal of the Hessian of n F for points (n,) on the line, about: a difference of gradients."""
        step = max(_STEP * float(np.ptp(x)), _FINEST * float(np.abs(x).max()), 1e-300)
        points = x.reshape(-1, *self.tail)
        total = np.zeros(points.shape)
        for weight, V in self.potential:
            total += weight * _slope(V.gradient, points, step)
        for weight, W in self.interaction:
            for rows, z in _differences(points):
                slopes = _slope(W.gradient, z, step).reshape(-1, len(x))
                own = np.arange(rows.start, rows.stop)
                slopes[own - rows.start, own] = 0.0  # of a point to itself, which stays where it is
                total[rows] += weight * slopes.sum(axis=1).reshape(-1, *points.shape[1:]) / len(x)
        return total.reshape(x.shape)


def evaluated(function: Any, at: Array, shape: int | tuple[int, ...], name: str) -> Array:
    """What a user's function returns, if it is finite numbers of that shape."""
    expected = (shape,) if isinstance(shape, int) else shape
    values = np.asarray(function(at), dtype=np.float64)
    if values.shape != expected:
        raise ValueError(f"{name} should return shape {expected} for an array {at.shape}; got {values.shape}.")
    if not np.isfinite(values).all():
        where = at[tuple(np.argwhere(~np.isfinite(values))[0][:1])]
        raise ValueError(f"{name} should be finite; at {where} it is not. Smooth it there, or lower step.")
    return values


def require_even(values: Array, of_negatives: Array) -> None:
    """ValueError unless W(z) and W(-z) are the same for some z."""
    if float(np.abs(values - of_negatives).max()) > _ODD * float(np.abs(values).max()):
        raise ValueError(
            "an interaction should be even, W(-z) = W(z): it is between pairs. Pass (W(z) + W(-z)) / 2, which has the "
            "same energy."
        )


def _slope(gradient: Callable[[Any], Any] | None, x: Array, step: float) -> Array:
    name = "the gradient"
    return (evaluated(gradient, x + step, x.shape, name) - evaluated(gradient, x - step, x.shape, name)) / (2.0 * step)


def _differences(x: Array) -> Iterator[tuple[slice, Array]]:
    """Some rows, and x_i - x_j for all j and these i, (rows n, ...)."""
    n = len(x)
    for first in range(0, n, max(1, _BLOCK // n)):
        rows = slice(first, min(n, first + max(1, _BLOCK // n)))
        yield rows, (x[rows, np.newaxis] - x[np.newaxis]).reshape(-1, *x.shape[1:])
