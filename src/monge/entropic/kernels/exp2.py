"""2 ** t for vector loops, which neither Numba nor LLVM has without a vendor's library.

t = k + r with k whole and |r| <= 1/2; a polynomial for 2 ** r, and k added to the exponent's bits. Rounding adds a
constant so large that the sum has no fractional bits: then k stands in its last bits. The argument must lie
within `LOW` and `HIGH`, where the result is a normal number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from monge.entropic.kernels.jit import EXACT, jit

__all__ = ["HIGH", "LOW", "exp2"]

# The arguments that are allowed, in single and in double precision.
LOW, HIGH = (-126.0, -1022.0), (120.0, 1000.0)

# 1.5 * 2**23 and 1.5 * 2**52: sums of t with these have unit spacing.
_ROUND32, _ROUND64 = np.float32(12582912.0), 6755399441055744.0

# Interpolation of 2 ** r in Chebyshev nodes; relative error 1.0e-7 and 5e-18 (before rounding).
_P32 = tuple(
    np.float32(c)
    for c in (1.0000000754548972, 0.6931471880262288, 0.2402210748530834, 0.05550357114219078,
              0.00967603191832205, 0.00133908633646712)
)  # fmt: skip
_P64 = (
    1.0, 0.6931471805599453, 0.24022650695910158, 0.055504108664821604, 0.00961812910758734, 0.001333355814641074,
    0.00015403530463664982, 1.5252733838008908e-05, 1.321543255347277e-06, 1.0178058437521037e-07,
    7.074192559576437e-09, 4.45562673806549e-10,
)  # fmt: skip


@jit(EXACT)
def _exp2_single(t):  # type: ignore[no-untyped-def]
    shifted = t + _ROUND32
    r = t - (shifted - _ROUND32)
    p = _P32[4] + r * _P32[5]
    p = _P32[3] + r * p
    p = _P32[2] + r * p
    p = _P32[1] + r * p
    p = _P32[0] + r * p
    return np.int32(np.float32(p).view(np.int32) + (np.float32(shifted).view(np.int32) << np.int32(23))).view(
        np.float32
    )


@jit(EXACT)
def _exp2_double(t):  # type: ignore[no-untyped-def]
    shifted = t + _ROUND64
    r = t - (shifted - _ROUND64)
    p = _P64[10] + r * _P64[11]
    p = _P64[9] + r * p
    p = _P64[8] + r * p
    p = _P64[7] + r * p
    p = _P64[6] + r * p
    p = _P64[5] + r * p
    p = _P64[4] + r * p
    p = _P64[3] + r * p
    p = _P64[2] + r * p
    p = _P64[1] + r * p
    p = _P64[0] + r * p
    return np.int64(np.float64(p).view(np.int64) + (np.float64(shifted).view(np.int64) << np.int64(52))).view(
        np.float64
    )


def exp2(t: Any) -> Any:
    """2 ** t of one float32 or float64 number, for compiled callers."""
    raise NotImplementedError("exp2 is for compiled code; use numpy.exp2")


@overload(exp2)
def _exp2(t):  # type: ignore[no-untyped-def]
    if t == types.float32:
        return lambda t: _exp2_single(t)
    return lambda t: _exp2_double(t)
