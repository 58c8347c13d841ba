"""The half step between points of many coordinates, as a product of matrices is computed.

A block has a square of pairs at a time, of which each thread keeps M x N sums over coordinates in registers;
coordinates pass through shared memory, a few at a time. Where costs are squared distances the sums are those of products, as in
`half_step`, whose contract this kernel has.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import uint32

from monge.entropic.kernels.cuda import layout
from monge.entropic.kernels.cuda.device import SIMULATED, cuda, device_function, exp2, kernel
from monge.entropic.kernels.cuda.grounds import combination_of

__all__ = ["square_of", "tiled_half_step"]


# Registers of a thread, of which a multiprocessor has enough for two blocks then: one loads while the other computes.
_REGISTERS = 128


class Square(NamedTuple):
    """How a block is cut up."""

    side: int  # threads along each side of it
    rows: int  # of a thread
    columns: int  # of a thread
    coordinates: int  # at a time


def square_of(real: Any) -> Square:
    """As many sums a thread as leave a multiprocessor two blocks: one loads while the other computes."""
    if SIMULATED:
        return Square(2, 2, 2, 2)
    return Square(16, 8, 8, 32) if real is np.float32 else Square(16, 4, 4, 8)


@functools.lru_cache(maxsize=64)
def tiled_half_step(ground: Any, d: int, real: Any) -> Any:
    """The kernel, with the arguments of `half_step`, for a built-in ground cost; `per` is a multiple of a block's
    columns."""
    TX, M, N, KC = square_of(real)
    T, BM, BN = TX * TX, TX * M, TX * N
    lifted, combine, cost = combination_of(ground, real)
    D1, V = layout.width(d), min(4, N)
    MN, PAD, PADN = M * N, BM + 4, BN + 4
    ROOM, ROOMN = KC * PAD, KC * PADN
    SUMS = BM * TX
    EACH, GROUP, STEP, STEPN, WIDE = uint32(M), uint32(V), uint32(PAD), uint32(PADN), uint32(D1)
    GO = min(8, KC)
    EVERY = T // GO
    LOADS, LOADSN = BM // EVERY, BN // EVERY
    EPS, DONE, SINGLE, FACTOR, SOFTMIN = layout.EPS, layout.DONE, layout.SINGLE, layout.FACTOR, layout.SOFTMIN
    square = layout.SQUARE if real is np.float32 else layout.SQUARE64
    mine = 1.0 if real is np.float32 else 0.0
    zero, two, far = real(0.0), real(2.0), real(layout.FAR)
    LN2 = float(np.log(2.0))

    @device_function
    def exponent(sum_: Any, beta: Any, shift: Any, k: Any) -> Any:
        if lifted:
            return (beta + shift) + two * k * sum_
        return (beta + shift) - k * cost(sum_)

    def rows(ctl, V_, X, Y, part, n, m, per):  # type: ignore[no-untyped-def]
        left = cuda.shared.array(ROOM, real)
        right = cuda.shared.array(ROOMN, real)
        sums = cuda.shared.array(SUMS, real)
        t = cuda.threadIdx.x
        if ctl[DONE] != 0.0 or ctl[SINGLE] != mine:
            return
        tx, ty = t % TX, t // TX
        row0 = cuda.blockIdx.x * BM
        unit = ctl[EPS] * LN2
        k64 = ctl[FACTOR] / unit
        k = real(k64)
        acc = cuda.local.array(MN, real)
        a = cuda.local.array(M, real)
        b = cuda.local.array(N, real)
        shift = cuda.local.array(M, real)
        total = cuda.local.array(M, real)
        for r in range(M):
            i = min(row0 + ty * M + r, n - 1)
            s = V_[SOFTMIN, i] / unit
            if lifted:
                s -= k64 * V_[square, i]
            shift[r] = real(s)
            total[r] = zero
        begin = cuda.blockIdx.y * per
        end = min(begin + per, m)
        for j0 in range(begin, end, BN):
            for q in range(MN):
                acc[q] = zero
            for c0 in range(uint32(0), uint32(d), uint32(KC)):
                cuda.syncthreads()
                # Eight neighbours have eight coordinates of a point: whole sectors are read, and no bank is met twice.
                for first in range(0, KC, GO):
                    c = c0 + uint32(first + t % GO)
                    here, there = uint32(first + t % GO) * STEP, uint32(first + t % GO) * STEPN
                    for q in range(LOADS):
                        place = t // GO + q * EVERY
                        row = uint32(min(row0 + place, n - 1)) * WIDE
                        left[here + uint32(place)] = X[row + c] if c < d else zero
                    for q in range(LOADSN):
                        place = t // GO + q * EVERY
                        column = uint32(min(j0 + place, m - 1)) * WIDE
                        right[there + uint32(place)] = Y[column + c] if c < d else zero
                cuda.syncthreads()
                # Unsigned indices that are counted up: others are tested for their sign, and loaded one at a time.
                at, beside = uint32(ty) * EACH, uint32(tx) * GROUP
                for _ in range(KC):
                    for r in range(M):
                        a[r] = left[at + uint32(r)]
                    for q in range(N):
                        b[q] = right[beside + uint32((q // V) * (TX * V) + q % V)]
                    at, beside = at + STEP, beside + STEPN
                    for r in range(M):
                        for q in range(N):
                            acc[r * N + q] = combine(acc[r * N + q], a[r], b[q])
            for q in range(N):
                j = j0 + (q // V) * (TX * V) + tx * V + q % V
                beta = Y[min(j, m - 1) * D1 + d] if j < end else far
                for r in range(M):
                    total[r] += exp2(exponent(acc[r * N + q], beta, shift[r], k))
        cuda.syncthreads()
        for r in range(M):
            sums[(ty * M + r) * TX + tx] = total[r]
        cuda.syncthreads()
        for row in range(t, BM, T):
            if row0 + row < n:
                whole32 = zero
                for q in range(TX):
                    whole32 += sums[row * TX + q]
                part[cuda.blockIdx.y * n + row0 + row] = whole32

    return kernel(rows, real is np.float32, ground, d, real, square_of(real), registers=_REGISTERS)
