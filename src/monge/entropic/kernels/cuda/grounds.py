"""Ground costs as device functions.

A row's point is in `X`, coordinate k at `r + k * R`, a column's in `Y`, at `q + k`. A `Rule` says what becomes of them:

- `cost(X, r, Y, q)`, to be taken times the factor of the problem, or
- for squared distances, nothing: |x - y|^2 = |x|^2 + |y|^2 - 2 <x, y>, and the squares can be put where each point's
  own number is, so that d products and no difference are left for a pair.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import uint32

from monge.entropic.kernels.cuda.device import device_function, power, root

__all__ = ["REGISTERS", "Rule", "combination_of", "rule_of"]

# Coordinates up to which a row's point is kept in registers.
REGISTERS = 8


class Rule(NamedTuple):
    """How the cost of a pair comes from its points."""

    lifted: bool  # whether it is |x - y|^2, made of squares and of products
    cost: Any  # cost(X, r, Y, q)
    slope: Any  # slope(X, r, Y, q, k): its derivative in x_k


def rule_of(ground: Any, d: int, real: Any, stride: int) -> Rule:
    """That of a ground cost between points of d coordinates, in this precision; `stride` is the R of the rows' points."""
    if not hasattr(ground, "base"):
        return _users(ground, d, real, stride)
    base, exponent = _BASES[ground.base](d, real, stride), _raised(float(ground.exponent), real)
    cost = device_function(lambda X, r, Y, q: exponent(base(X, r, Y, q)))
    slope = _slope(ground.base, float(ground.exponent), d, real, stride, base)
    return Rule(ground.base == "squares" and ground.exponent == 1.0, cost, slope)


def combination_of(ground: Any, real: Any) -> tuple[bool, Any, Any]:
    """For a built-in cost: whether it is lifted, combine(sum, x_k, y_k) over coordinates, and the cost of that sum."""
    lifted = ground.base == "squares" and ground.exponent == 1.0
    if lifted:
        return True, device_function(lambda total, x, y: total + x * y), None
    combine = {
        "squares": lambda total, x, y: total + (x - y) * (x - y),
        "absolutes": lambda total, x, y: total + abs(x - y),
        "largest": lambda total, x, y: max(total, abs(x - y)),
    }[ground.base]
    return False, device_function(combine), _raised(float(ground.exponent), real)


def _squares(d: int, real: Any, stride: int) -> Any:
    @device_function
    def squares(X: Any, r: Any, Y: Any, q: Any) -> Any:
        total = real(0.0)
        for k in range(d):
            z = X[r + k * stride] - Y[q + uint32(k)]
            total += z * z
        return total

    return squares


def _absolutes(d: int, real: Any, stride: int) -> Any:
    @device_function
    def absolutes(X: Any, r: Any, Y: Any, q: Any) -> Any:
        total = real(0.0)
        for k in range(d):
            total += abs(X[r + k * stride] - Y[q + uint32(k)])
        return total

    return absolutes


def _largest(d: int, real: Any, stride: int) -> Any:
    @device_function
    def largest(X: Any, r: Any, Y: Any, q: Any) -> Any:
        most = real(0.0)
        for k in range(d):
            most = max(most, abs(X[r + k * stride] - Y[q + uint32(k)]))
        return most

    return largest


_BASES = {"squares": _squares, "absolutes": _absolutes, "largest": _largest}


def _raised(exponent: float, real: Any) -> Any:
    """Of a base: whole and half powers by roots, others by logarithms."""
    if exponent == 1.0:
        return device_function(lambda t: t)
    if exponent == 0.5:
        return root
    if exponent == 1.5:
        return device_function(lambda t: t * root(t))
    if exponent == 2.0:
        return device_function(lambda t: t * t)
    if exponent == 0.25:
        return device_function(lambda t: root(root(t)))
    if exponent == 0.75:
        return device_function(lambda t: root(t) * root(root(t)))
    to = real(exponent)
    return device_function(lambda t: power(t, to))


def _slope(base: str, exponent: float, d: int, real: Any, stride: int, total: Any) -> Any:
    """Zero where the base is, and in a coordinate in which it has no derivative."""
    to, times, twice = real(exponent - 1.0), real(exponent), real(2.0)
    zero, one = real(0.0), real(1.0)

    @device_function
    def sign(z: Any) -> Any:
        return one if z > zero else (-one if z < zero else zero)

    @device_function
    def outer(t: Any) -> Any:
        return times * power(t, to) if t > zero else zero

    if base == "squares":

        @device_function
        def inner(X: Any, r: Any, Y: Any, q: Any, k: Any, t: Any) -> Any:
            return twice * (X[r + k * stride] - Y[q + uint32(k)])

    elif base == "absolutes":

        @device_function
        def inner(X: Any, r: Any, Y: Any, q: Any, k: Any, t: Any) -> Any:
            return sign(X[r + k * stride] - Y[q + uint32(k)])

    else:

        @device_function
        def inner(X: Any, r: Any, Y: Any, q: Any, k: Any, t: Any) -> Any:
            for before in range(k):  # the first of several that attain it moves it
                if abs(X[r + before * stride] - Y[q + uint32(before)]) == t:
                    return zero
            z = X[r + k * stride] - Y[q + uint32(k)]
            return sign(z) if abs(z) == t else zero

    @device_function
    def slope(X: Any, r: Any, Y: Any, q: Any, k: Any) -> Any:
        t = total(X, r, Y, q)
        return outer(t) * inner(X, r, Y, q, k, t)

    return slope


def _users(ground: Any, d: int, real: Any, stride: int) -> Rule:
    """A function of two points, which are tuples of few coordinates or arrays of many."""
    raise NotImplementedError
