"""The same as in `single`, in double precision: functions without branches and calls, as vector instructions need them.

Their errors are a few units in the last place; those of powers grow with the logarithm of the result, and those of
sines and cosines with arguments beyond some thousands. Zero, infinite and negative arguments have the values that
`math` gives them, or NaN where it raises an error; numbers below the smallest normal one count as zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from monge.problem.narrow import Functions

__all__ = ["DOUBLE", "FLAGS", "exact"]

# Products may be fused into sums, and sums keep their order.
FLAGS = {"contract"}


def exact(function: Callable[..., Any]) -> Any:
    """Compiles a function into those that call it."""
    return njit(fastmath=FLAGS, error_model="numpy", forceinline=True)(function)


_i = np.int64
# Added to a number, it leaves the nearest whole one in the last bits.
_WHOLE = 1.5 * 2.0**52
_MANTISSA, _SIGN = _i(52), _i(63)
_INFINITE, _NAN = math.inf, math.nan

# Logarithm of two in two parts, the first of few bits.
_LN2_HIGH, _LN2_LOW = 0.6931471806019545, -4.2009150726810846e-11
_LN2, _LOG2_E = math.log(2.0), 1.0 / math.log(2.0)
# Beyond these e^x, and 2^x, is zero or infinite.
_LEAST, _MOST, _LEAST2, _MOST2 = -708.3, 709.4, -1022.0, 1023.4
# e^r on [-log(2) / 2, log(2) / 2].
_F2, _F3, _F4, _F5, _F6, _F7, _F8, _F9, _F10, _F11, _F12, _F13 = (1.0 / math.factorial(k) for k in range(2, 14))


@exact
def _scaled(r: Any, bits: Any) -> Any:
    """2^n e^r, for a whole number n that stands in the last of `bits`."""
    p = _F8 + r * (_F9 + r * (_F10 + r * (_F11 + r * (_F12 + r * _F13))))
    p = 1.0 + (r + r * r * (_F2 + r * (_F3 + r * (_F4 + r * (_F5 + r * (_F6 + r * (_F7 + r * p)))))))
    return np.int64(np.float64(p).view(np.int64) + (bits << _MANTISSA)).view(np.float64)


@exact
def exp(x: Any) -> Any:
    x = float(x)
    inside = min(max(x, _LEAST), _MOST)
    u = inside * _LOG2_E + _WHOLE
    n = u - _WHOLE
    y = _scaled((inside - n * _LN2_HIGH) - n * _LN2_LOW, np.float64(u).view(np.int64))
    y = _INFINITE if x > _MOST else y
    y = 0.0 if x < _LEAST else y
    return y if x == x else x


@exact
def exp2(x: Any) -> Any:
    x = float(x)
    inside = min(max(x, _LEAST2), _MOST2)
    u = inside + _WHOLE
    y = _scaled((inside - (u - _WHOLE)) * _LN2, np.float64(u).view(np.int64))
    y = _INFINITE if x > _MOST2 else y
    y = 0.0 if x < _LEAST2 else y
    return y if x == x else x


# log m for m in [2/3, 4/3), odd in s = (m - 1) / (m + 1).
_G1, _G2, _G3, _G4, _G5, _G6, _G7, _G8, _G9, _G10, _G11 = (2.0 / (2 * k + 1) for k in range(1, 12))
_TWO_THIRDS, _FRACTION = _i(0x3FE5555555555555), _i(0x000FFFFFFFFFFFFF)  # as bits
_TINY = 2.0**-1022
# A number whose last bits are a whole one, from the bits of that, which is above -2^10.
_COUNTED, _COUNT_BITS, _ABOVE = 2.0**52 + 1024.0, _i(0x4330000000000000), _i(1024)


@exact
def log(x: Any) -> Any:
    x = float(x)
    bits = np.float64(max(x, _TINY)).view(np.int64) - _TWO_THIRDS
    m = np.int64((bits & _FRACTION) + _TWO_THIRDS).view(np.float64)
    e = np.int64(((bits >> _MANTISSA) + _ABOVE) | _COUNT_BITS).view(np.float64) - _COUNTED
    s = (m - 1.0) / (m + 1.0)
    q = s * s
    p = _G6 + q * (_G7 + q * (_G8 + q * (_G9 + q * (_G10 + q * _G11))))
    p = q * (_G1 + q * (_G2 + q * (_G3 + q * (_G4 + q * (_G5 + q * p)))))
    # log m = f - s (f - p) for f = m - 1, of which the first is exact.
    f = m - 1.0
    y: Any = e * _LN2_HIGH + (f - (s * (f - p) - e * _LN2_LOW))
    y = -_INFINITE if x < _TINY else y
    y = _NAN if x < 0.0 else y
    return y if x < _INFINITE else x


@exact
def log2(x: Any) -> Any:
    return log(x) * _LOG2_E


_LOG10_E = 1.0 / math.log(10.0)


@exact
def log10(x: Any) -> Any:
    return log(x) * _LOG10_E


@exact
def pow(x: Any, p: Any) -> Any:
    x, p = float(x), float(p)
    y = exp(p * log(abs(x)))
    whole = math.floor(p) == p
    odd = math.floor(0.5 * p) != 0.5 * p
    negative = (-y if odd else y) if whole else _NAN
    y = negative if x < 0.0 else y
    return 1.0 if p == 0.0 else y


# sin on [-pi/2, pi/2], and pi in three parts, the first two of few bits.
_S3, _S5, _S7, _S9, _S11, _S13, _S15, _S17, _S19, _S21 = ((-1.0) ** k / math.factorial(2 * k + 1) for k in range(1, 11))
_PER_PI, _PI1, _PI2, _PI3 = 1.0 / math.pi, 3.1415926534682512, 1.2154201018028943e-10, -5.016557612668332e-20
_PI, _HALF_PI = math.pi, 0.5 * math.pi


@exact
def _sin(x: Any, n: Any, shift: Any, bits: Any) -> Any:
    """sin(x + shift pi), for the whole number n that is nearest to x / pi + shift and stands in the last of `bits`."""
    n = n - shift
    r = ((x - n * _PI1) - n * _PI2) - n * _PI3
    q = r * r
    s = _S11 + q * (_S13 + q * (_S15 + q * (_S17 + q * (_S19 + q * _S21))))
    s = r + r * (q * (_S3 + q * (_S5 + q * (_S7 + q * (_S9 + q * s)))))
    return np.int64(np.float64(s).view(np.int64) ^ (bits << _SIGN)).view(np.float64)


@exact
def sin(x: Any) -> Any:
    x = float(x)
    u = x * _PER_PI + _WHOLE
    return _sin(x, u - _WHOLE, 0.0, np.float64(u).view(np.int64))


@exact
def cos(x: Any) -> Any:
    x = float(x)
    u = (x * _PER_PI + 0.5) + _WHOLE
    return _sin(x, u - _WHOLE, 0.5, np.float64(u).view(np.int64))


@exact
def tan(x: Any) -> Any:
    return sin(x) / cos(x)


# (asin(sqrt z) / sqrt z - 1) / z on [0, 1/4], interpolated at Chebyshev's points.
_A0, _A1, _A2, _A3, _A4 = (
    0.16666666666666666, 0.07499999999999997, 0.044642857142856145, 0.030381944444703497, 0.02237215908514044,
)  # fmt: skip
_A5, _A6, _A7, _A8, _A9 = (
    0.017352764001348456, 0.01396487119249817, 0.011551063436854747, 0.009773294733410392, 0.008269879532357057,
)  # fmt: skip
_A10, _A11, _A12, _A13, _A14 = (
    0.008149986093242963, 0.0025046825408935546, 0.01799290974934896, -0.018265787760416666, 0.027482096354166666,
)  # fmt: skip


@exact
def _arc(x: Any) -> Any:
    """asin |x| where |x| is at most 1/2; else half of acos |x|, and that it is."""
    a = abs(x)
    big = a > 0.5
    z = (1.0 - a) * 0.5 if big else a * a
    root = math.sqrt(z)
    s = root if big else a
    p = _A7 + z * (_A8 + z * (_A9 + z * (_A10 + z * (_A11 + z * (_A12 + z * (_A13 + z * _A14))))))
    p = z * (_A0 + z * (_A1 + z * (_A2 + z * (_A3 + z * (_A4 + z * (_A5 + z * (_A6 + z * p)))))))
    return s + s * p, big


@exact
def asin(x: Any) -> Any:
    x = float(x)
    r, big = _arc(x)
    r = _HALF_PI - 2.0 * r if big else r
    return r if x >= 0.0 else -r


@exact
def acos(x: Any) -> Any:
    x = float(x)
    r, big = _arc(x)
    far = 2.0 * r if x > 0.0 else _PI - 2.0 * r
    return far if big else _HALF_PI - (r if x > 0.0 else -r)


# In place of `math` and `numpy`.
DOUBLE = Functions(
    np.float64,
    exp2=exp2, exp=exp, log2=log2, log=log, log10=log10, pow=pow, power=pow, sin=sin, cos=cos, tan=tan,
    asin=asin, arcsin=asin, acos=acos, arccos=acos,
)  # fmt: skip
