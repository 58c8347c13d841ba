"""Functions in single precision without branches and calls, of which a compiler makes vector instructions.

Relative errors are below 5e-7, but for exponentials and powers, where they grow with the logarithm of the result, and
for sines and cosines, whose error is below 2e-7 in all for arguments up to some hundreds, and grows with them. What
becomes too large for single precision stays just below that; what becomes too small, just above zero.

They are for the costs of points, in which a compiled copy of a user's function calls them in place of those of `math`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from monge.problem.narrow import Functions

__all__ = ["FLAGS", "SINGLE", "fast"]

_f, _i = np.float32, np.int32

# What may be done to sums and products; costs may be infinite and weights minus infinity.
FLAGS = {"reassoc", "contract", "nsz", "arcp", "afn"}
# Where the order of operations is the point of them.
_ORDERED = {"contract", "nsz"}


def fast(function: Callable[..., Any]) -> Any:
    """Compiles a function into those that call it, with all that vector instructions need."""
    return njit(fastmath=FLAGS, error_model="numpy", forceinline=True)(function)


def _ordered(function: Callable[..., Any]) -> Any:
    return njit(fastmath=_ORDERED, error_model="numpy", forceinline=True)(function)


# Added to a number, it leaves the nearest whole one in the last bits.
_WHOLE = _f(1.5 * 2**23)
_ZERO, _HALF, _ONE, _TWO = _f(0.0), _f(0.5), _f(1.0), _f(2.0)
_NAN = _f(np.nan)


@_ordered
def _nearest(t: Any) -> Any:
    return (t + _WHOLE) - _WHOLE


@_ordered
def _split(t: Any) -> Any:
    """What t is beyond the nearest whole number, and that."""
    u = t + _WHOLE
    return t - (u - _WHOLE), np.float32(u).view(np.int32)


# 2^r on [-1/2, 1/2].
_E1, _E2, _E3 = _f(0.6931470036506653), _f(0.24022242426872253), _f(0.05550733581185341)
_E4, _E5 = _f(0.009671512991189957), _f(0.0013264723820611835)
_LOW, _HIGH = _f(-126.0), _f(127.0)
_MANTISSA = _i(23)


@fast
def exp2(t: Any) -> Any:
    r, n = _split(min(max(_f(t), _LOW), _HIGH))
    p = _ONE + r * (_E1 + r * (_E2 + r * (_E3 + r * (_E4 + r * _E5))))
    return np.int32(np.float32(p).view(np.int32) + (n << _MANTISSA)).view(np.float32)


# log2 of m in [2/3, 4/3), odd in s = (m - 1) / (m + 1).
_L1, _L3, _L5, _L7 = _f(2.885390043258667), _f(0.961807131767273), _f(0.576147735118866), _f(0.44262251257896423)
_TWO_THIRDS, _FRACTION = _i(0x3F2AAAAB), _i(0x007FFFFF)  # as bits
_TINY = _f(2.0**-126)


@fast
def log2(x: Any) -> Any:
    x = _f(x)
    bits = np.float32(max(x, _TINY)).view(np.int32) - _TWO_THIRDS
    m = np.int32((bits & _FRACTION) + _TWO_THIRDS).view(np.float32)
    s = (m - _ONE) / (m + _ONE)
    q = s * s
    y = _f(bits >> _MANTISSA) + s * (_L1 + q * (_L3 + q * (_L5 + q * _L7)))
    return y if x >= _ZERO else _NAN


@fast
def pow(x: Any, p: Any) -> Any:
    return exp2(_f(p) * log2(x))


_LN2, _LOG2_E, _LOG10_2 = _f(math.log(2.0)), _f(1.0 / math.log(2.0)), _f(math.log10(2.0))


@fast
def exp(x: Any) -> Any:
    return exp2(x * _LOG2_E)


@fast
def log(x: Any) -> Any:
    return _LN2 * log2(x)


@fast
def log10(x: Any) -> Any:
    return _LOG10_2 * log2(x)


@fast
def sqrt(x: Any) -> Any:
    return math.sqrt(_f(x))


# sin on [-pi/2, pi/2], and pi in three parts, the first two of few bits.
_S3, _S5 = _f(-0.16666656732559204), _f(0.008333017118275166)
_S7, _S9 = _f(-0.00019806614727713168), _f(2.600054131107754e-06)
_PER_PI, _PI1, _PI2, _PI3 = _f(1.0 / math.pi), _f(3.140625), _f(0.0009670257568359375), _f(6.2771141529083251953e-7)
_HALF_PI, _SIGN = _f(0.5 * math.pi), _i(31)


@_ordered
def _reduced(x: Any, n: Any, shift: Any) -> Any:
    """x - (n - shift) pi."""
    n = n - shift
    return ((x - n * _PI1) - n * _PI2) - n * _PI3


@fast
def _sin(r: Any, n: Any) -> Any:
    """sin(r + n pi) for r in [-pi/2, pi/2]."""
    q = r * r
    s = r + r * q * (_S3 + q * (_S5 + q * (_S7 + q * _S9)))
    return np.int32(np.float32(s).view(np.int32) ^ (np.int32(n) << _SIGN)).view(np.float32)


@fast
def sin(x: Any) -> Any:
    n = _nearest(_f(x) * _PER_PI)
    return _sin(_reduced(_f(x), n, _ZERO), n)


@fast
def cos(x: Any) -> Any:
    n = _nearest(_f(x) * _PER_PI + _HALF)
    return _sin(_reduced(_f(x), n, _HALF), n)


@fast
def tan(x: Any) -> Any:
    return sin(x) / cos(x)


# asin on [0, 1/2].
_A1, _A2, _A3 = _f(1.6666752422e-1), _f(7.4953002686e-2), _f(4.5470025998e-2)
_A4, _A5 = _f(2.4181311049e-2), _f(4.2163199048e-2)


@fast
def asin(x: Any) -> Any:
    x = _f(x)
    a = abs(x)
    big = a > _HALF  # then by asin a = pi/2 - 2 asin sqrt((1 - a) / 2)
    z = (_ONE - a) * _HALF if big else a * a
    root = math.sqrt(z)
    s = root if big else a
    p = s + s * z * (_A1 + z * (_A2 + z * (_A3 + z * (_A4 + z * _A5))))
    r = _HALF_PI - _TWO * p if big else p
    return r if x >= _ZERO else -r


@fast
def acos(x: Any) -> Any:
    return _HALF_PI - asin(x)


@fast
def hypot(x: Any, y: Any) -> Any:
    return math.sqrt(_f(x) * _f(x) + _f(y) * _f(y))


@fast
def square(x: Any) -> Any:
    return x * x


@fast
def maximum(x: Any, y: Any) -> Any:
    return max(x, y)


@fast
def minimum(x: Any, y: Any) -> Any:
    return min(x, y)


@fast
def fabs(x: Any) -> Any:
    return abs(x)


# In place of `math` and `numpy`.
SINGLE = Functions(
    np.float32,
    exp2=exp2, exp=exp, log2=log2, log=log, log10=log10, pow=pow, power=pow, sqrt=sqrt, sin=sin, cos=cos, tan=tan,
    asin=asin, arcsin=asin, acos=acos, arccos=acos, hypot=hypot, square=square, maximum=maximum, minimum=minimum,
    fmax=maximum, fmin=minimum, fabs=fabs, abs=fabs, absolute=fabs, float64=np.float32,
)  # fmt: skip
