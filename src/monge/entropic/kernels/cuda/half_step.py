"""Sums over all pairs: one half of Sinkhorn's iteration.

    r_i = -eps log sum_j b_j exp((g_j - C_ij) / eps)

in units of log 2, as lse_i = log2 sum_j 2^(beta_j - C_ij / unit) with beta_j = log2 b_j + g_j / unit, unit = eps log 2.

A thread has R rows, whose points stay in its registers; a block goes through columns by tiles in shared memory.
Rows are exponentiated with their softmin of the pass before as shift, so there is no pass for the maximum. Columns are
split among blocks, each of which leaves its part of the sums: `finish` adds them up.

Where costs are squared distances, |x - y|^2 = |x|^2 + |y|^2 - 2 <x, y>, squares are part of the shift and of beta, and
a pair takes d products, one sum and one exponential.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import int32, uint32

from monge.entropic.kernels.cuda import layout
from monge.entropic.kernels.cuda.device import SIMULATED, cuda, exp2, kernel
from monge.entropic.kernels.cuda.exponents import exponents
from monge.entropic.kernels.cuda.grounds import REGISTERS
from monge.entropic.kernels.cuda.screen import in_reach

__all__ = ["Shape", "half_step", "shape_of"]

# Bytes of a tile of columns, and the pairs up to which blocks are small.
_TILE, _FEW, _SOME = 8192, 2**22, 2**30


class Shape(NamedTuple):
    """How a half step is cut up."""

    threads: int  # of a block
    rows: int  # of a thread
    columns: int  # of a tile


def shape_of(d: int, real: Any, pairs: int) -> Shape:
    """For so many pairs. Few rows a thread make more blocks, many need fewer loads a pair."""
    if SIMULATED:
        return Shape(4, 2 if d <= REGISTERS else 1, 8)
    threads, rows, columns = (64, 1, 64) if pairs <= _FEW else (128, 4, 128) if pairs <= _SOME else (256, 4, 256)
    if real is np.float64:
        rows = min(rows, 2)
    while columns > 2 and columns * layout.width(d) * np.dtype(real).itemsize > _TILE:
        columns //= 2
    return Shape(threads, rows if d <= REGISTERS else 1, columns)


@functools.lru_cache(maxsize=64)
def half_step(ground: Any, d: int, real: Any, shape: Shape, screened: bool = False) -> Any:
    """The kernel, for a ground cost between points of d coordinates, in single or double precision.

    kernel(ctl, V, X, Y, part, bounds, n, m, per, limit): rows of X (n points) against the columns of Y (m points), of
    which each block has `per`, a multiple of the tile; V (layout.ROWS, n) are the rows' vectors, and part (splits, n)
    is what comes out. If `screened`, tiles whose exponents `bounds` keeps below the limit are left out; points of few
    coordinates alone.
    """
    T, R, TJ = shape
    in_registers = d <= REGISTERS
    stride = R if in_registers else 1
    lifted, exponent, _ = exponents(ground, d, real, stride)
    D1, RD = layout.width(d), R * d if in_registers else 1
    D4 = TJ * D1
    U = 2 if TJ % 2 == 0 else 1
    turns = TJ // U
    EPS, DONE, SINGLE, FACTOR, SOFTMIN = layout.EPS, layout.DONE, layout.SINGLE, layout.FACTOR, layout.SOFTMIN
    square = layout.SQUARE if real is np.float32 else layout.SQUARE64
    mine = 1.0 if real is np.float32 else 0.0
    zero, two, far = real(0.0), real(2.0), real(layout.FAR)
    LN2 = float(np.log(2.0))
    WIDE = uint32(D1)
    reached: Any = in_reach(ground, d, real, stride) if screened else None
    own, one = R if screened else 1, real(1.0)

    def rows(ctl, V, X, Y, part, bounds, n, m, per, limit):  # type: ignore[no-untyped-def]
        tile = cuda.shared.array(D4, real)
        t = cuda.threadIdx.x
        if ctl[DONE] != 0.0 or ctl[SINGLE] != mine:
            return
        first = (cuda.blockIdx.x * T + t) * R
        unit = ctl[EPS] * LN2
        k64 = ctl[FACTOR] / unit
        k = real(k64)
        point = cuda.local.array(RD, real)
        shift = cuda.local.array(R, real)
        total = cuda.local.array(R, real)
        alone = cuda.local.array(own, real)  # the shifts, without what is lifted
        for r in range(R):
            i = min(first + r, n - 1)
            s = V[SOFTMIN, i] / unit
            if screened:
                alone[r] = real(s)
            if lifted:
                s -= k64 * V[square, i]
            shift[r] = real(s)
            total[r] = zero
            if in_registers:
                for c in range(d):
                    coordinate = X[i * D1 + c]
                    if lifted:
                        coordinate = real(two * k * coordinate)
                    point[c * R + r] = coordinate
        begin = cuda.blockIdx.y * per
        end = min(begin + per, m)
        for j0 in range(begin, end, TJ):
            need = int32(1)
            if screened:
                need = int32(0)
                scale = one / (two * k) if lifted else one
                for r in range(R):
                    if reached(bounds, j0 // TJ, point, r, scale, alone[r], k, real(limit)):
                        need = int32(1)
                if cuda.syncthreads_or(need) == 0:
                    continue
            else:
                cuda.syncthreads()
            for q0 in range(t, D4, T):
                column = j0 + q0 // D1
                slot = q0 % D1
                value = Y[min(column, m - 1) * D1 + slot]
                tile[q0] = far if slot == d and column >= end else value
            cuda.syncthreads()
            if need != 0:
                q = uint32(0)
                for _ in range(turns):
                    for _u in range(U):
                        for r in range(R):
                            if in_registers:
                                total[r] += exp2(exponent(point, r, tile, q, shift[r], k))
                            else:
                                total[r] += exp2(exponent(X, min(first + r, n - 1) * D1, tile, q, shift[r], k))
                        q = q + WIDE
        for r in range(R):
            if first + r < n:
                part[cuda.blockIdx.y * n + first + r] = total[r]

    return kernel(rows, real is np.float32, ground, d, real, shape, screened)
