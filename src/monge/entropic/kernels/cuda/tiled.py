"""The half step between points of many coordinates, as a product of matrices is computed.

A block has a square of pairs at a time, of which each thread keeps M x M sums over coordinates in registers; coordinates
pass through shared memory, a few at a time. Where costs are squared distances the sums are those of products, as in
`half_step`, whose contract this kernel has.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import int32, uint32

from monge.entropic.kernels.cuda import layout
from monge.entropic.kernels.cuda.device import SIMULATED, cuda, device_function, exp2, kernel, log2
from monge.entropic.kernels.cuda.grounds import combination_of
from monge.entropic.kernels.cuda.half_step import SAFE_HIGH, SAFE_LOW, finisher

__all__ = ["square_of", "tiled_half_step"]


def square_of(real: Any) -> tuple[int, int, int]:
    """Threads along each side of a block, rows and columns of a thread, coordinates at a time."""
    if SIMULATED:
        return 2, 2, 4
    return (16, 8, 16) if real is np.float32 else (16, 4, 8)


@functools.lru_cache(maxsize=64)
def tiled_half_step(ground: Any, d: int, real: Any) -> Any:
    """The kernel, with the arguments of `half_step`, for a built-in ground cost; `per` is a multiple of TX M."""
    TX, M, KC = square_of(real)
    T, BM = TX * TX, TX * M
    lifted, combine, cost = combination_of(ground, real)
    D1, V = layout.width(d), min(4, M)
    MM, PAD = M * M, BM + 4
    ROOM = KC * PAD
    SUMS = BM * TX
    EACH, GROUP, STEP = uint32(M), uint32(V), uint32(PAD)
    EPS, DONE, SINGLE, FACTOR, UNSAFE = layout.EPS, layout.DONE, layout.SINGLE, layout.FACTOR, layout.UNSAFE
    SOFTMIN = layout.SOFTMIN
    square = layout.SQUARE if real is np.float32 else layout.SQUARE64
    mine = 1.0 if real is np.float32 else 0.0
    zero, two, far, lowest = real(0.0), real(2.0), real(layout.FAR), real(-3e38)
    LN2 = float(np.log(2.0))
    finish = finisher(real, lifted, d)

    @device_function
    def exponent(sum_: Any, beta: Any, shift: Any, k: Any) -> Any:
        if lifted:
            return (beta + shift) + two * k * sum_
        return (beta + shift) - k * cost(sum_)

    @device_function
    def again(X: Any, i: Any, Y: Any, j: Any, k: Any) -> Any:
        sum_ = zero
        for c in range(d):
            sum_ = combine(sum_, X[i * D1 + c], Y[j * D1 + c])
        return exponent(sum_, Y[j * D1 + d], zero, k)

    def rows(ctl, V_, X, Y, part, arrived, n, m, per, side):  # type: ignore[no-untyped-def]
        left = cuda.shared.array(ROOM, real)
        right = cuda.shared.array(ROOM, real)
        sums = cuda.shared.array(SUMS, real)
        last = cuda.shared.array(1, int32)
        t = cuda.threadIdx.x
        if ctl[DONE] != 0.0 or ctl[SINGLE] != mine:
            return
        tx, ty = t % TX, t // TX
        row0 = cuda.blockIdx.x * BM
        unit = ctl[EPS] * LN2
        k64 = ctl[FACTOR] / unit
        k = real(k64)
        acc = cuda.local.array(MM, real)
        a = cuda.local.array(M, real)
        b = cuda.local.array(M, real)
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
        for j0 in range(begin, end, BM):
            for q in range(MM):
                acc[q] = zero
            for c0 in range(0, d, KC):
                cuda.syncthreads()
                for q0 in range(t, BM * KC, T):
                    c, place = q0 % KC, q0 // KC
                    inside = c0 + c < d
                    left[c * PAD + place] = X[min(row0 + place, n - 1) * D1 + c0 + c] if inside else zero
                    right[c * PAD + place] = Y[min(j0 + place, m - 1) * D1 + c0 + c] if inside else zero
                cuda.syncthreads()
                # Unsigned indices that are counted up: others are tested for their sign, and loaded one at a time.
                at, beside = uint32(ty) * EACH, uint32(tx) * GROUP
                for _ in range(KC):
                    for r in range(M):
                        a[r] = left[at + uint32(r)]
                        b[r] = right[beside + uint32((r // V) * (TX * V) + r % V)]
                    at, beside = at + STEP, beside + STEP
                    for r in range(M):
                        for q in range(M):
                            acc[r * M + q] = combine(acc[r * M + q], a[r], b[q])
            for q in range(M):
                j = j0 + (q // V) * (TX * V) + tx * V + q % V
                beta = Y[min(j, m - 1) * D1 + d] if j < end else far
                for r in range(M):
                    total[r] += exp2(exponent(acc[r * M + q], beta, shift[r], k))
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
        cuda.threadfence()
        cuda.syncthreads()
        if t == 0:
            last[0] = cuda.atomic.add(arrived, cuda.blockIdx.x, 1)
        cuda.syncthreads()
        if last[0] != cuda.gridDim.y - 1:
            return
        cuda.threadfence()
        for row in range(t, BM, T):
            i = row0 + row
            if i < n:
                whole = 0.0
                for p in range(cuda.gridDim.y):
                    whole += part[p * n + i]
                base = 0.0
                if lifted:
                    base = k64 * V_[square, i]
                used = real(V_[SOFTMIN, i] / unit - base)
                if whole > SAFE_LOW and whole < SAFE_HIGH:
                    lse = log2(whole) - used - base
                else:  # again, about its own largest term
                    cuda.atomic.add(ctl, UNSAFE, 1.0)
                    top = lowest
                    for j in range(m):
                        top = max(top, again(X, i, Y, j, k))
                    whole = 0.0
                    for j in range(m):
                        whole += exp2(again(X, i, Y, j, k) - top)
                    lse = log2(whole) + top - base
                finish(ctl, V_, X, i, lse, side)
        if t == 0:
            arrived[cuda.blockIdx.x] = 0

    return kernel(rows, real is np.float32, ground, d, real)
