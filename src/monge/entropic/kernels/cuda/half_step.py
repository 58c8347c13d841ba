"""Sums over all pairs: one half of Sinkhorn's iteration.

    r_i = -eps log sum_j b_j exp((g_j - C_ij) / eps)

in units of log 2, as lse_i = log2 sum_j 2^(beta_j - C_ij / unit) with beta_j = log2 b_j + g_j / unit, unit = eps log 2.

A thread has R rows, whose points stay in its registers, and a block goes through columns by tiles in shared memory.
Rows are exponentiated with their softmin of the pass before as shift, so there is no pass for the maximum; a sum that is
out of the safe range is made again about its own maximum. Columns are split among blocks; the one that comes last adds
up what all of them found, in a fixed order and in double precision: the bits do not depend on which one that is.

Where costs are squared distances, |x - y|^2 = |x|^2 + |y|^2 - 2 <x, y>, squares are part of the shift and of beta, and
a pair takes d products, one sum and one exponential.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import int32, uint32

from monge.entropic.kernels.cuda import layout
from monge.entropic.kernels.cuda.device import SIMULATED, cuda, device_function, exp2, kernel, log2
from monge.entropic.kernels.cuda.grounds import REGISTERS, rule_of

__all__ = ["SAFE_HIGH", "SAFE_LOW", "exponents", "finisher", "half_step", "shape_of"]

# Sums outside this range may have lost what counts.
SAFE_LOW, SAFE_HIGH = 2.0**-60, 2.0**100

# Bytes of a tile of columns, and the pairs up to which blocks are small.
_TILE, _FEW, _SOME = 8192, 2**22, 2**26


class Shape(NamedTuple):
    """How a half step is cut up."""

    threads: int  # of a block
    rows: int  # of a thread
    columns: int  # of a tile


def shape_of(d: int, real: Any, pairs: int) -> Shape:
    """For so many pairs. Few rows a thread make more blocks, many need fewer loads a pair."""
    if SIMULATED:
        return Shape(4, 2 if d <= REGISTERS else 1, 8)
    threads, rows, columns = (64, 2, 64) if pairs <= _FEW else (128, 4, 128) if pairs <= _SOME else (128, 8, 256)
    if real is np.float64:
        rows = 2
    elif d > 3:
        rows = min(rows, 4)
    while columns > 2 and columns * layout.width(d) * np.dtype(real).itemsize > _TILE:
        columns //= 2
    return Shape(threads, rows if d <= REGISTERS else 1, columns)


def finisher(real: Any, lifted: bool, d: int) -> Any:
    """finish(ctl, V, X, i, lse, side): what follows from a row's log-sum-exp, in units of log 2."""
    D1, far, single = layout.width(d), real(layout.FAR), real is np.float32
    square = layout.SQUARE if single else layout.SQUARE64
    LOG, SOFTMIN, POTENTIAL = layout.LOG, layout.SOFTMIN, layout.POTENTIAL
    EPS, FACTOR, KL_A, CAP_A = layout.EPS, layout.FACTOR, layout.KL_A, layout.CAP_A
    LN2 = float(np.log(2.0))

    @functools.partial(device_function, fast=False)
    def finish(ctl: Any, V: Any, X: Any, i: Any, lse: Any, side: Any) -> None:
        eps = ctl[EPS]
        unit = eps * LN2
        softmin = -unit * lse if lse > nothing else 0.0  # of no columns with weight: such a row has none itself
        V[SOFTMIN, i] = softmin
        if side == 0:  # the rows' potentials are what is best for those of the columns
            f = softmin / (1.0 + eps / ctl[KL_A])
            f = min(max(f, -ctl[CAP_A]), ctl[CAP_A])
            V[POTENTIAL, i] = f
            alpha = V[LOG, i] + f / unit
            if lifted:
                alpha -= ctl[FACTOR] / unit * V[square, i]
            X[i * D1 + d] = real(alpha) if alpha > layout_far else far

    layout_far, nothing = layout.FAR, 0.1 * layout.FAR
    return finish


def exponents(ground: Any, d: int, real: Any, stride: int) -> tuple[bool, Any, Any]:
    """Whether costs are lifted; exponent(X, at, Y, q, shift, k) of a pair, (beta_j + shift_i) - k C_ij, with the
    coordinates of the row's point at `at + c * stride`; and again(ctl, X, i, Y, m, k), the log-sum-exp of a row about its
    own largest term. Lifted exponents leave out the square of the row's point."""
    rule, D1, in_registers = rule_of(ground, d, real, stride), layout.width(d), d <= REGISTERS
    lifted, cost, loose = rule.lifted, rule.cost, rule_of(ground, d, real, 1).cost
    zero, two, lowest = real(0.0), real(2.0), real(-3e38)
    SLOT, UNSAFE = uint32(d), layout.UNSAFE

    @device_function
    def exponent(X: Any, at: Any, Y: Any, q: Any, shift: Any, k: Any) -> Any:
        e = Y[q + SLOT] + shift
        if lifted and in_registers:  # where 2 k is part of the coordinates
            for c in range(d):
                e += X[at + c * stride] * Y[q + uint32(c)]
            return e
        if lifted:
            product = zero
            for c in range(d):
                product += X[at + c] * Y[q + uint32(c)]
            return e + two * k * product
        return e - k * cost(X, at, Y, q)

    # From the packed points, so that the array that holds a thread's points is never indexed by a variable.
    @device_function
    def single(X: Any, at: Any, Y: Any, q: Any, k: Any) -> Any:
        if lifted:
            product = zero
            for c in range(d):
                product += real(two * k * X[at + c]) * Y[q + c]
            return Y[q + d] + product
        return Y[q + d] - k * loose(X, at, Y, uint32(q))

    @device_function
    def again(ctl: Any, X: Any, i: Any, Y: Any, m: Any, k: Any) -> Any:
        cuda.atomic.add(ctl, UNSAFE, 1.0)
        top = lowest
        for j in range(m):
            top = max(top, single(X, i * D1, Y, j * D1, k))
        whole = 0.0
        for j in range(m):
            whole += exp2(single(X, i * D1, Y, j * D1, k) - top)
        return log2(whole) + top

    return lifted, exponent, again


@functools.lru_cache(maxsize=64)
def half_step(ground: Any, d: int, real: Any, shape: Shape) -> Any:
    """The kernel, for a ground cost between points of d coordinates, in single or double precision.

    kernel(ctl, V, X, Y, part, arrived, n, m, per, side): rows of X (n points) against the columns of Y (m points), of
    which each block has `per`, a multiple of the tile; V (layout.ROWS, n) are the rows' vectors, `part` has room for n
    numbers of each split, `arrived` (blocks,) is zero and will be again. `side` is 0 where X are the problem's rows,
    whose potentials are found as well.
    """
    T, R, TJ = shape
    in_registers = d <= REGISTERS
    stride = R if in_registers else 1
    lifted, exponent, again = exponents(ground, d, real, stride)
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
    finish = finisher(real, lifted, d)

    def rows(ctl, V, X, Y, part, arrived, n, m, per, side):  # type: ignore[no-untyped-def]
        tile = cuda.shared.array(D4, real)
        last = cuda.shared.array(1, int32)
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
        for r in range(R):
            i = min(first + r, n - 1)
            s = V[SOFTMIN, i] / unit
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
            cuda.syncthreads()
            for q0 in range(t, D4, T):
                column = j0 + q0 // D1
                slot = q0 % D1
                value = Y[min(column, m - 1) * D1 + slot]
                tile[q0] = far if slot == d and column >= end else value
            cuda.syncthreads()
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
        cuda.threadfence()
        cuda.syncthreads()
        if t == 0:
            last[0] = cuda.atomic.add(arrived, cuda.blockIdx.x, 1)
        cuda.syncthreads()
        if last[0] != cuda.gridDim.y - 1:
            return
        cuda.threadfence()
        for r in range(R):
            i = first + r
            if i < n:
                whole = 0.0
                for p in range(cuda.gridDim.y):
                    whole += part[p * n + i]
                s = V[SOFTMIN, i] / unit
                base = 0.0
                if lifted:
                    base = k64 * V[square, i]
                used = real(s - base)
                if whole > SAFE_LOW and whole < SAFE_HIGH:
                    lse = log2(whole) - used - base
                else:
                    lse = again(ctl, X, i, Y, m, k) - base
                finish(ctl, V, X, i, lse, side)
        if t == 0:
            arrived[cuda.blockIdx.x] = 0

    return kernel(rows, real is np.float32, ground, d, real, shape)
