"""The half step for a cost matrix, which lies on the device row by row.

For rows, a block has some of them and its threads go along; for columns, each thread has one, and blocks share the rows
of the matrix among them. Either way neighbours read neighbours, and every number is read once.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import uint64

from monge.entropic.kernels.cuda import layout
from monge.entropic.kernels.cuda.device import SIMULATED, cuda, exp2, kernel

__all__ = ["ROWS", "THREADS", "matrix_columns", "matrix_rows"]

# Threads of a block, rows that it goes along at once, and entries that a thread of the columns' kernel reads at once.
THREADS, ROWS, _AT_ONCE = (4, 2, 2) if SIMULATED else (128, 4, 4)


@functools.lru_cache(maxsize=8)
def matrix_rows(real: Any) -> Any:
    """kernel(ctl, V, X, Y, C, part, n, m, per), as in `half_step`; X and Y hold exponents alone."""
    T, R = THREADS, ROWS
    RT = R * T
    EPS, DONE, SINGLE, FACTOR, SOFTMIN = layout.EPS, layout.DONE, layout.SINGLE, layout.FACTOR, layout.SOFTMIN
    mine = 1.0 if real is np.float32 else 0.0
    zero = real(0.0)
    LN2 = float(np.log(2.0))

    def rows(ctl, V, X, Y, C, part, n, m, per):  # type: ignore[no-untyped-def]
        red = cuda.shared.array(RT, real)
        t = cuda.threadIdx.x
        if ctl[DONE] != 0.0 or ctl[SINGLE] != mine:
            return
        first = cuda.blockIdx.x * R
        unit = ctl[EPS] * LN2
        k = real(ctl[FACTOR] / unit)
        shift = cuda.local.array(R, real)
        total = cuda.local.array(R, real)
        for r in range(R):
            shift[r] = real(V[SOFTMIN, min(first + r, n - 1)] / unit)
            total[r] = zero
        begin = cuda.blockIdx.y * per
        end = min(begin + per, m)
        for j in range(begin + t, end, T):
            beta = Y[j]
            for r in range(R):
                total[r] += exp2((beta + shift[r]) - k * real(C[min(first + r, n - 1) * m + j]))
        for r in range(R):
            red[r * T + t] = total[r]
        half = T // 2
        while half > 0:
            cuda.syncthreads()
            if t < half:
                for r in range(R):
                    red[r * T + t] += red[r * T + t + half]
            half //= 2
        cuda.syncthreads()
        if t < R and first + t < n:
            part[cuda.blockIdx.y * n + first + t] = red[t * T]

    return kernel(rows, real is np.float32, real)


@functools.lru_cache(maxsize=8)
def matrix_columns(real: Any) -> Any:
    """The same for the m columns of C (n, m), which have the vectors V: kernel(ctl, V, Y, X, C, part, m, n, per)."""
    T, U = THREADS, _AT_ONCE
    EPS, DONE, SINGLE, FACTOR, SOFTMIN = layout.EPS, layout.DONE, layout.SINGLE, layout.FACTOR, layout.SOFTMIN
    mine = 1.0 if real is np.float32 else 0.0
    zero, ONE = real(0.0), uint64(1)
    LN2 = float(np.log(2.0))

    def columns(ctl, V, Y, X, C, part, m, n, per):  # type: ignore[no-untyped-def]
        t = cuda.threadIdx.x
        if ctl[DONE] != 0.0 or ctl[SINGLE] != mine:
            return
        j = cuda.blockIdx.x * T + t
        here = min(j, m - 1)
        unit = ctl[EPS] * LN2
        k = real(ctl[FACTOR] / unit)
        shift = real(V[SOFTMIN, here] / unit)
        total = cuda.local.array(U, real)
        for u in range(U):
            total[u] = zero
        begin = cuda.blockIdx.y * per
        end = min(begin + per, n)
        # Unsigned indices that are counted up: others are tested for their sign.
        row, at, wide = uint64(begin), uint64(begin * m + here), uint64(m)
        for _ in range((end - begin) // U):
            for u in range(U):
                total[u] += exp2((X[row] + shift) - k * real(C[at]))
                row, at = row + ONE, at + wide
        for _ in range((end - begin) % U):
            total[0] += exp2((X[row] + shift) - k * real(C[at]))
            row, at = row + ONE, at + wide
        whole = 0.0
        for u in range(U):
            whole += total[u]
        if j < m:
            part[cuda.blockIdx.y * m + j] = real(whole)

    return kernel(columns, real is np.float32, real)
