"""Ground costs as device functions.

A row's point is in `X`, coordinate k at `r + k * R`, a column's in `Y`, at `q + k`. A `Rule` says what becomes of them:

- `cost(X, r, Y, q)`, to be taken times the factor of the problem, or
- for squared distances, nothing: |x - y|^2 = |x|^2 + |y|^2 - 2 <x, y>, and the squares can be put where each point's
  own number is, so that d products and no difference are left for a pair.
"""

from __future__ import annotations

import functools
import math
from collections import OrderedDict
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numba import types, uint32

from monge.entropic.kernels.cuda.device import SIMULATED, cuda, device_function, power, root
from monge.problem.kept import digest
from monge.problem.narrow import Functions, narrow
from monge.problem.user_cost import MOST_TUPLE, GroundCost

__all__ = ["REGISTERS", "Rule", "built_in", "combination_of", "described", "from_other_side", "rule_of", "the_same"]

long: Any = types.int64  # of which nothing is declared as a function

# Costs of users, the last ones that were met, by what tells them from others.
_met: OrderedDict[str, Any] = OrderedDict()
_meeting, _MOST_MET = Lock(), 64
# Coordinates up to which a row's point is kept in registers.
REGISTERS = 8


class Rule(NamedTuple):
    """How the cost of a pair comes from its points."""

    lifted: bool  # whether it is |x - y|^2, made of squares and of products
    cost: Any  # cost(X, r, Y, q)
    slope: Any  # slope(X, r, Y, q, k): its derivative in x_k


def built_in(ground: Any) -> bool:
    """Whether a cost is one of the house, and no function of its user."""
    return not isinstance(ground, GroundCost)


def described(ground: Any) -> str:
    """What tells a cost from others; of a user's, its functions with all they refer to."""
    if built_in(ground):
        return repr(ground)
    return "-".join(digest(function) for function in (ground.function, *(ground.gradients or ())))


def the_same(ground: Any) -> Any:
    """The first cost that was met of those that are the same as this one: of a bare function there is a new one each
    time, and kernels and solvers are kept for one."""
    if built_in(ground):
        return ground
    key = described(ground)
    with _meeting:
        met = _met.setdefault(key, ground)
        _met.move_to_end(key)
        if len(_met) > _MOST_MET:
            _met.popitem(last=False)
    return met


def from_other_side(ground: Any) -> Any:
    """The cost of the same pairs, called with the points of the columns first; built-in ones are symmetric."""
    return ground if built_in(ground) else ground.T


def rule_of(ground: Any, d: int, real: Any, stride: int) -> Rule:
    """That of a ground cost between points of d coordinates, in this precision; `stride` is the R of rows' points."""
    if not built_in(ground):
        return _users(ground, d, real, stride)
    base, exponent = _base(ground.base, d, real, stride), _raised(float(ground.exponent), real)
    cost = device_function(lambda X, r, Y, q: exponent(base(X, r, Y, q)))
    slope = _slope(ground.base, float(ground.exponent), d, real, stride, base)
    return Rule(ground.base == "squares" and ground.exponent == 1.0, cost, slope)


def combination_of(ground: Any, real: Any) -> tuple[bool, Any, Any]:
    """For a built-in cost: whether it is lifted, combine(sum, x_k, y_k) over coordinates, and the cost of that sum."""
    lifted = ground.base == "squares" and ground.exponent == 1.0
    if lifted:
        return True, device_function(lambda total, x, y: total + x * y), None
    return False, device_function(_COMBINATIONS[ground.base]), _raised(float(ground.exponent), real)


# How a base is made up, coordinate by coordinate.
_COMBINATIONS = {
    "squares": lambda total, x, y: total + (x - y) * (x - y),
    "absolutes": lambda total, x, y: total + abs(x - y),
    "largest": lambda total, x, y: max(total, abs(x - y)),
}


def _base(name: str, d: int, real: Any, stride: int) -> Any:
    combine = device_function(_COMBINATIONS[name])

    @device_function
    def base(X: Any, r: Any, Y: Any, q: Any) -> Any:
        total = real(0.0)
        for k in range(d):
            total = combine(total, X[r + k * stride], Y[q + uint32(k)])
        return total

    return base


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


def _users(ground: GroundCost, d: int, real: Any, stride: int) -> Rule:
    """A function of two points, which are tuples of few coordinates or arrays of many."""
    slope = None
    if SIMULATED:  # which knows no precision
        function = ground.function
        gradient = None if ground.gradients is None else ground.gradients[0]
    else:
        functions = _Functions(real)
        inlined = functools.partial(device_function, fast=real is np.float32)
        function = inlined(narrow(ground.function, functions, inlined))
        gradient = None
        if ground.gradients is not None:
            gradient = inlined(narrow(ground.gradients[0], functions, inlined))

    def slopes(call: Any) -> Any:
        """slope, from what writes all of the derivatives."""

        @device_function
        def slope(X: Any, r: Any, Y: Any, q: Any, k: Any) -> Any:
            out = cuda.local.array(d, real)
            call(X, r, Y, q, out)
            return out[k] if out[k] == out[k] else real(0.0)

        return slope

    if d <= MOST_TUPLE:
        here, there = _coordinates(d, stride, False), _coordinates(d, 1, True)
        cost = device_function(lambda X, r, Y, q: real(function(here(X, r), there(Y, q))))
        if gradient is not None:
            slope = slopes(device_function(lambda X, r, Y, q, out: gradient(here(X, r), there(Y, q), out)))
    else:  # rows of arrays, which no function can return
        cost = device_function(lambda X, r, Y, q: real(function(X[r : r + d], Y[long(q) : long(q) + d])))
        if gradient is not None:
            slope = slopes(
                device_function(lambda X, r, Y, q, out: gradient(X[r : r + d], Y[long(q) : long(q) + d], out))
            )
    return Rule(False, cost, slope)


def _coordinates(d: int, stride: int, unsigned: bool) -> Any:
    """coordinates(X, r): those of a point as a tuple."""
    offset = uint32((d - 1) * stride) if unsigned else (d - 1) * stride
    if d == 1:
        return device_function(lambda X, r: (X[r],))
    before = _coordinates(d - 1, stride, unsigned)
    # Numba adds tuples, and unpacks none.
    return device_function(lambda X, r: before(X, r) + (X[r + offset],))  # noqa: RUF005


class _Functions(Functions):
    """What a cost finds in place of `math` and `numpy`: a device has `math`'s functions, and `numpy`'s by that name."""

    def __init__(self, real: Any) -> None:
        super().__init__(
            real, power=math.pow, abs=abs, absolute=abs, maximum=max, minimum=min, fmax=max, fmin=min,
            arcsin=math.asin, arccos=math.acos, arctan=math.atan, arctan2=math.atan2,
            square=device_function(lambda x: x * x),
        )  # fmt: skip
