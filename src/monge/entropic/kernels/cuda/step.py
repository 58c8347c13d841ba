"""What happens between passes, on the device: `iteration.iterate` and `reference.ReferenceSteps`, for one problem and
by one block of threads.

The plan's columns are measured, one thread decides, and all take the step that it chose: Anderson's combination
(Walker and Ni 2011, section 2), that step shortened or taken back, a lower eps, double precision, or the end.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from numba import float32, float64

from monge.entropic.iteration import ANNEAL, SHORTEN
from monge.entropic.kernels.cuda import layout
from monge.entropic.kernels.cuda.block import (
    DEPTH,
    FOUND,
    GRAM,
    SMALL,
    STEP,
    SUMS,
    folder,
    room_for_sums,
    solve,
)
from monge.entropic.kernels.cuda.decision import ACCELERATE, ADVANCE, SHORTEN_IT, TAKE_BACK, decide, enter
from monge.entropic.kernels.cuda.device import SIMULATED, cuda, exact, exp2, kernel
from monge.entropic.kernels.reference import LONGEST_STEP, SAME_MASS, TRUSTED_RESIDUAL

__all__ = ["THREADS", "step_function", "step_kernel"]

# Threads of the block.
THREADS = 4 if SIMULATED else 512

L = layout


@exact
def _worth(f: Any, kl: Any, cap: Any) -> Any:
    """What a potential adds to the dual value, per unit of weight."""
    return -kl * math.expm1(-f / kl) if kl < math.inf else min(f, cap)


@functools.lru_cache(maxsize=32)
def step_function(T: int, d: int, lifted: bool) -> Any:
    """step(ctl, A, B, Y, Y64, memory, gram, errors, n, m, red, small, t), for a block of T threads.

    A and B are the vectors of both sides, Y and Y64 the packed points of the columns, memory (memory_rows, m) and gram
    (DEPTH^2,) what acceleration looks back on; `red` and `small` are shared, of room_for_sums(T) and SMALL numbers, and
    so is ctl, best.
    """
    two, four, many, least = folder(T, 2, False), folder(T, 4, False), folder(T, SUMS, False), folder(T, 2, True)
    D1 = layout.width(d)
    LN2 = math.log(2.0)

    @exact
    def translation(ctl: Any, A: Any, f: Any, n: Any, B: Any, g: Any, m: Any, red: Any, t: Any) -> Any:
        """The t for which f + t, g - t have the largest dual value: sum a exp(-f / kl_a) = sum b exp(-g / kl_b)."""
        kl_a, kl_b = ctl[L.KL_A], ctl[L.KL_B]
        low_f, low_g = math.inf, math.inf
        for i in range(t, n, T):
            if A[L.WEIGHT, i] > 0.0:
                low_f = min(low_f, A[f, i])
        for j in range(t, m, T):
            if B[L.WEIGHT, j] > 0.0:
                low_g = min(low_g, B[g, j])
        mine = cuda.local.array(2, float64)
        mine[0], mine[1] = low_f, low_g
        least(red, mine, t)
        low_f, low_g = red[0], red[1]
        sum_a, sum_b = 0.0, 0.0
        for i in range(t, n, T):
            if A[L.WEIGHT, i] > 0.0:
                sum_a += A[L.WEIGHT, i] * math.exp((low_f - A[f, i]) / kl_a)
        for j in range(t, m, T):
            if B[L.WEIGHT, j] > 0.0:
                sum_b += B[L.WEIGHT, j] * math.exp((low_g - B[g, j]) / kl_b)
        mine[0], mine[1] = sum_a, sum_b
        two(red, mine, t)
        difference = math.log(red[0] / red[1]) - low_f / kl_a + low_g / kl_b
        return difference / (1.0 / kl_a + 1.0 / kl_b) if abs(difference) > SAME_MASS else 0.0

    @exact
    def plain_steps(ctl: Any, A: Any, B: Any, n: Any, m: Any, red: Any, t: Any) -> Any:
        """Brings the plain step within reach of `plain`: by which constants it differs from that of each softmin."""
        kl_a, kl_b = ctl[L.KL_A], ctl[L.KL_B]
        finite = kl_a < math.inf or kl_b < math.inf
        if ctl[L.SYMMETRIC] != 0.0 or not (finite and ctl[L.CAP_A] == math.inf and ctl[L.CAP_B] == math.inf):
            return 0.0, 0.0
        shift = translation(ctl, A, L.POTENTIAL, n, B, L.POTENTIAL, m, red, t)
        for i in range(t, n, T):
            A[L.POTENTIAL, i] += shift
        # Where the next softmins will be is seen in place of these.
        damp = 1.0 / (1.0 + ctl[L.EPS] / kl_b)
        for j in range(t, m, T):
            B[L.ROOM, j] = damp * (B[L.SOFTMIN, j] - shift)
        cuda.syncthreads()
        return shift, translation(ctl, A, L.POTENTIAL, n, B, L.ROOM, m, red, t)

    @exact
    def plain(ctl: Any, A: Any, B: Any, j: Any, shift: Any, rest: Any) -> Any:
        """The best potential of column j for those of the rows; see csrc/entropic/steps.hpp for symmetric problems."""
        if not B[L.WEIGHT, j] > 0.0:
            return 0.0
        g = (B[L.SOFTMIN, j] - shift) / (1.0 + ctl[L.EPS] / ctl[L.KL_B])
        g = min(max(g, -ctl[L.CAP_B]), ctl[L.CAP_B]) - rest
        if ctl[L.SYMMETRIC] != 0.0:
            return (B[L.POTENTIAL, j] + 8.0 * (A[L.POTENTIAL, j] + g)) / 17.0
        return g

    @exact
    def step(
        ctl: Any, A: Any, B: Any, Y: Any, Y64: Any, memory: Any, gram: Any, errors: Any, n: Any, m: Any,
        red: Any, small: Any, t: Any,
    ) -> None:  # fmt: skip
        eps = ctl[L.EPS]
        unit, single = eps * LN2, ctl[L.SINGLE] != 0.0
        kl_a, cap_a, kl_b, cap_b = ctl[L.KL_A], ctl[L.CAP_A], ctl[L.KL_B], ctl[L.CAP_B]
        # What the plan is like.
        missed, mass, value_a, value_b = 0.0, 0.0, 0.0, 0.0
        for j in range(t, m, T):
            b = B[L.WEIGHT, j]
            if b > 0.0:
                g = B[L.POTENTIAL, j]
                if single:
                    column = b * float64(exp2(float32((g - B[L.SOFTMIN, j]) / unit)))
                else:
                    column = b * math.exp((g - B[L.SOFTMIN, j]) / eps)
                wanted = b * math.exp(-g / kl_b) if kl_b < math.inf else b
                mass += column
                value_b += b * _worth(g, kl_b, cap_b)
                if not ((g >= cap_b and column <= wanted) or (g <= -cap_b and column >= wanted)):
                    missed += abs(column - wanted)
        for i in range(t, n, T):
            a = A[L.WEIGHT, i]
            if a > 0.0:
                value_a += a * _worth(A[L.POTENTIAL, i], kl_a, cap_a)
        measured = cuda.local.array(4, float64)
        measured[0], measured[1], measured[2], measured[3] = missed, mass, value_a, value_b
        four(red, measured, t)
        if t == 0:
            missed, mass = red[0], red[1]
            error = missed / mass if mass > 0.0 else (1.0 if missed > 0.0 else 0.0)
            small[STEP] = decide(ctl, errors, error, mass, red[2], red[3])
        cuda.syncthreads()
        what = int(small[STEP])

        if what == SHORTEN_IT:
            for j in range(t, m, T):
                safe = B[L.SAFE, j]
                B[L.POTENTIAL, j] = safe + SHORTEN * (B[L.POTENTIAL, j] - safe)
        elif what == TAKE_BACK:
            for j in range(t, m, T):
                B[L.POTENTIAL, j] = B[L.SAFE, j]
        elif what == ADVANCE:
            shift, rest = plain_steps(ctl, A, B, n, m, red, t)
            for j in range(t, m, T):
                B[L.POTENTIAL, j] = plain(ctl, A, B, j, shift, rest)
            cuda.syncthreads()
            if t == 0:
                ctl[L.EPS] = max(eps / ANNEAL, ctl[L.LAST])
                enter(ctl)
        elif what == ACCELERATE:
            shift, rest = plain_steps(ctl, A, B, n, m, red, t)
            taken = int(ctl[L.TAKEN])
            known = min(taken, DEPTH)
            newest = (taken + DEPTH - 1) % DEPTH
            products = cuda.local.array(SUMS, float64)  # with the residual, then with the newest change
            for q in range(SUMS):
                products[q] = 0.0
            for j in range(t, m, T):
                g = plain(ctl, A, B, j, shift, rest)
                b = B[L.WEIGHT, j]
                residual = 0.0
                if b > 0.0:
                    residual = (g - B[L.POTENTIAL, j]) / eps
                    residual = min(max(residual, -TRUSTED_RESIDUAL), TRUSTED_RESIDUAL)
                change = 0.0
                if known > 0:
                    change = float64(float32(residual - memory[2 * DEPTH, j]))
                    memory[newest, j] = float32(change)
                    memory[DEPTH + newest, j] = float32((g - B[L.SAFE, j]) / eps)
                memory[2 * DEPTH, j] = float32(residual)
                B[L.SAFE, j] = g
                B[L.POTENTIAL, j] = g
                for q in range(DEPTH):
                    other = float64(memory[q, j])
                    products[q] += b * residual * other
                    products[DEPTH + q] += b * change * other
            further = False
            if known > 0:
                many(red, products, t)
                for q in range(t, DEPTH * DEPTH, T):
                    small[GRAM + q] = gram[q]
                for q in range(t, SUMS, T):
                    small[q] = red[q]
                cuda.syncthreads()
                if t == 0:
                    small[FOUND] = 1.0 if solve(gram, small, known, newest) else 0.0
                cuda.syncthreads()
                further = small[FOUND] != 0.0
            if further:
                for j in range(t, m, T):
                    away = 0.0
                    for q in range(known):
                        away += small[q] * float64(memory[DEPTH + q, j])
                    away = min(max(away, -LONGEST_STEP), LONGEST_STEP)
                    B[L.POTENTIAL, j] = min(max(B[L.SAFE, j] + away * eps, -cap_b), cap_b)
            cuda.syncthreads()
            if t == 0:
                ctl[L.TAKEN] += 1.0
                ctl[L.ACCELERATED] = 1.0 if further else 0.0
        cuda.syncthreads()
        pack(ctl, B, Y, Y64, m, t)

    @exact
    def pack(ctl: Any, B: Any, Y: Any, Y64: Any, m: Any, t: Any) -> None:
        """What belongs to each column in the exponent, for the next pass."""
        unit = ctl[L.EPS] * LN2
        factor = ctl[L.FACTOR] / unit
        for j in range(t, m, T):
            beta = B[L.LOG, j] + B[L.POTENTIAL, j] / unit
            if beta > layout.FAR:
                square, square64 = 0.0, 0.0
                if lifted:
                    square, square64 = factor * B[L.SQUARE, j], factor * B[L.SQUARE64, j]
                Y[j * D1 + d] = float32(beta - square)
                Y64[j * D1 + d] = beta - square64
            else:
                Y[j * D1 + d] = float32(layout.FAR)
                Y64[j * D1 + d] = layout.FAR

    @exact
    def begin(ctl: Any, B: Any, Y: Any, Y64: Any, m: Any, t: Any) -> None:
        """Before the first pass."""
        if t == 0:
            enter(ctl)
        cuda.syncthreads()
        pack(ctl, B, Y, Y64, m, t)

    return step, begin


@functools.lru_cache(maxsize=32)
def step_kernel(d: int, lifted: bool) -> tuple[Any, Any]:
    """The kernels after a pass, and before the first one: after(ctl, A, B, Y, Y64, memory, gram, errors, n, m, single)
    and first(ctl, B, Y, Y64, m), of one block."""
    T = THREADS
    step, begin = step_function(T, d, lifted)
    size, small_size, known = room_for_sums(T), SMALL, L.CTL

    def after(ctl, A, B, Y, Y64, memory, gram, errors, n, m, single):  # type: ignore[no-untyped-def]
        red = cuda.shared.array(size, float64)
        small = cuda.shared.array(small_size, float64)
        state = cuda.shared.array(known, float64)  # near at hand: one thread has much to ask of it
        t = cuda.threadIdx.x
        if ctl[L.DONE] != 0.0 or ctl[L.SINGLE] != single:
            return
        for q in range(t, known, T):
            state[q] = ctl[q]
        cuda.syncthreads()
        step(state, A, B, Y, Y64, memory, gram, errors, n, m, red, small, t)
        cuda.syncthreads()
        for q in range(t, known, T):
            ctl[q] = state[q]

    def first(ctl, B, Y, Y64, m):  # type: ignore[no-untyped-def]
        begin(ctl, B, Y, Y64, m, cuda.threadIdx.x)

    return kernel(after, False, d, lifted), kernel(first, False, d, lifted)
