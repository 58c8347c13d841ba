"""What follows from the sums of a half step: they are added up, in their order and in double precision, and become
softmins, for the rows potentials as well.

A sum that is out of the safe range, because the shift was too far off, is made again about its own largest term. So no
potentials lead to NaN, and there is no pass for the maximum.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from monge.entropic.kernels.cuda import layout
from monge.entropic.kernels.cuda.device import SIMULATED, cuda, device_function, exact, exp2, kernel, log2
from monge.entropic.kernels.cuda.exponents import exponents

__all__ = ["SAFE_HIGH", "SAFE_LOW", "THREADS", "again_matrix", "finish_matrix", "finish_points", "finisher"]

# Sums outside this range may have lost what counts.
SAFE_LOW, SAFE_HIGH = 2.0**-60, 2.0**100
# Threads of a block.
THREADS = 4 if SIMULATED else 64


def finisher(real: Any, lifted: bool, d: int) -> Any:
    """finish(ctl, V, X, i, lse, side): what follows from a row's log-sum-exp, in units of log 2."""
    D1, far, single = layout.width(d), real(layout.FAR), real is np.float32
    square = layout.SQUARE if single else layout.SQUARE64
    LOG, SOFTMIN, POTENTIAL = layout.LOG, layout.SOFTMIN, layout.POTENTIAL
    EPS, FACTOR, KL_A, CAP_A = layout.EPS, layout.FACTOR, layout.KL_A, layout.CAP_A
    LN2, layout_far, nothing = float(np.log(2.0)), layout.FAR, 0.1 * layout.FAR

    @exact
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

    return finish


def _kernel_around(real: Any, lifted: bool, d: int, again: Any, *made_with: Any) -> Any:
    EPS, DONE, SINGLE, FACTOR, SOFTMIN = layout.EPS, layout.DONE, layout.SINGLE, layout.FACTOR, layout.SOFTMIN
    square = layout.SQUARE if real is np.float32 else layout.SQUARE64
    mine = 1.0 if real is np.float32 else 0.0
    LN2 = float(np.log(2.0))
    finish = finisher(real, lifted, d)

    def sums(ctl, V, X, Y, C, part, parts, n, m, row, column, side):  # type: ignore[no-untyped-def]
        i = cuda.grid(1)
        if i >= n or ctl[DONE] != 0.0 or ctl[SINGLE] != mine:
            return
        unit = ctl[EPS] * LN2
        k64 = ctl[FACTOR] / unit
        base = 0.0
        if lifted:
            base = k64 * V[square, i]
        used = real(V[SOFTMIN, i] / unit - base)
        whole = 0.0
        for p in range(parts):
            whole += part[p * n + i]
        if whole > SAFE_LOW and whole < SAFE_HIGH:
            lse = log2(whole) - used - base
        else:
            lse = again(ctl, X, i, Y, C, row, column, m, real(k64)) - base
        finish(ctl, V, X, i, lse, side)

    return kernel(sums, real is np.float32, real, lifted, d, *made_with)


@functools.lru_cache(maxsize=64)
def finish_points(ground: Any, d: int, real: Any) -> Any:
    """kernel(ctl, V, X, Y, C, part, parts, n, m, row, column, side): a thread for each of the n rows of X, which have
    the vectors V. `side` is 0 where they are the problem's rows, whose potentials are found as well."""
    lifted, _, alone = exponents(ground, d, real, 1)

    @device_function
    def again(ctl: Any, X: Any, i: Any, Y: Any, C: Any, row: Any, column: Any, m: Any, k: Any) -> Any:
        return alone(ctl, X, i, Y, m, k)

    return _kernel_around(real, lifted, d, again, "points", ground)


def again_matrix(real: Any) -> Any:
    """again(ctl, X, i, Y, C, row, column, m, k): the log-sum-exp of a row about its own largest term, with the costs
    C[i * row + j * column]."""
    lowest = real(-3e38)

    @device_function
    def again(ctl: Any, X: Any, i: Any, Y: Any, C: Any, row: Any, column: Any, m: Any, k: Any) -> Any:
        cuda.atomic.add(ctl, layout.UNSAFE, 1.0)
        top = lowest
        for j in range(m):
            top = max(top, Y[j] - k * real(C[i * row + j * column]))
        whole = 0.0
        for j in range(m):
            whole += exp2((Y[j] - k * real(C[i * row + j * column])) - top)
        return log2(whole) + top if whole > 0.0 else 2.0 * layout.FAR

    return again


@functools.lru_cache(maxsize=8)
def finish_matrix(real: Any) -> Any:
    """The same for a matrix, of which entry (i, j) is C[i * row + j * column]."""
    return _kernel_around(real, False, 0, again_matrix(real), "matrix")
