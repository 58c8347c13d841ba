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

from monge.entropic.iteration import ANNEAL
from monge.entropic.kernels.cuda import layout
from monge.entropic.kernels.cuda.device import SIMULATED, cuda, device_function, exp2, kernel

__all__ = ["DEPTH", "SMALL", "THREADS", "memory_rows", "room_for_sums", "step_function", "step_kernel"]

# Steps that acceleration looks back on.
DEPTH = 8
# Threads of the block.
THREADS = 4 if SIMULATED else 512
# Sums that are made at once.
SUMS = 2 * DEPTH
# Rows of the memory: changes of the residual, changes of the plain step, the last residual.
memory_rows = 2 * DEPTH + 1
# What the threads share, in this order: weights of the changes, which are products with the residual first; products
# with the newest change, and later scales; the Gram matrix; its factor; and what a thread tells the others.
_SCALE, _GRAM, _FACTOR = DEPTH, 2 * DEPTH, 2 * DEPTH + DEPTH * DEPTH
_FOUND = 2 * DEPTH + 2 * DEPTH * DEPTH
_STEP = _FOUND + 1
SMALL = _FOUND + 2
_WARP = 32

# As in `iteration` and `reference`.
_STAGE_ERROR, _NOISY, _SINGLE_MASS, _PATIENCE = 0.03, 0.01, 1.5e-9, 15.0
_SHORTEN, _SHORTER, _LONGEST_PAUSE = 0.25, 1.0, 5.0
_TRUSTED_RESIDUAL, _LONGEST_STEP, _RIDGE, _SAME_MASS = 10.0, 40.0, 1e-13, 1e-14
# Single precision knows of no errors below.
_FLOOR = 3e-7

# What a step can be.
_NOTHING, _ADVANCE, _ACCELERATE, _SHORTEN_IT, _TAKE_BACK = range(5)

L = layout
_exact = functools.partial(device_function, fast=False)


@_exact
def _enter(ctl: Any) -> None:
    """A new eps has begun: what is asked for, and of which precision."""
    eps = ctl[L.EPS]
    final = 1.0 if eps <= ctl[L.LAST] or ctl[L.PASSES] + 1.0 >= ctl[L.MAX_ITER] else 0.0
    if final != 0.0:
        eps = ctl[L.LAST]
        ctl[L.EPS] = eps
    ctl[L.FINAL] = final
    goal = ctl[L.TOL] if final != 0.0 else max(_STAGE_ERROR, ctl[L.TOL])
    floor = _FLOOR + ctl[L.NOISE] / eps
    enough = goal > 2.0 * floor
    single = (enough or floor < _NOISY) and _SINGLE_MASS * eps < ctl[L.NOISE]
    enough = enough and single
    ctl[L.GOAL], ctl[L.FLOOR] = goal, floor
    ctl[L.ENOUGH] = 1.0 if enough else 0.0
    ctl[L.SINGLE] = 1.0 if single else 0.0
    ctl[L.STOP] = goal - floor if enough else max(0.9 * goal, floor)
    ctl[L.TAKEN], ctl[L.REFUSED], ctl[L.PAUSE] = 0.0, 0.0, 0.0
    _anew(ctl)


@_exact
def _anew(ctl: Any) -> None:
    """Nothing is known of the potentials."""
    ctl[L.ACCELERATED], ctl[L.SHORTER], ctl[L.WAITING] = 0.0, 0.0, 0.0
    ctl[L.SAFE_DUAL], ctl[L.SAFE_ERROR], ctl[L.BEST] = -math.inf, math.inf, math.inf


@_exact
def _decide(ctl: Any, errors: Any, error: Any, mass: Any, value_a: Any, value_b: Any) -> Any:
    """The step that is to follow a pass."""
    eps = ctl[L.EPS]
    final, single, enough = ctl[L.FINAL] != 0.0, ctl[L.SINGLE] != 0.0, ctl[L.ENOUGH] != 0.0
    passes = ctl[L.PASSES]
    if passes < ctl[L.KEPT]:
        errors[int(passes)] = error
    passes += 1.0
    dual = value_a + value_b + eps * (1.0 - mass)
    ctl[L.PASSES], ctl[L.ERROR], ctl[L.DUAL] = passes, error, dual
    done = error <= (ctl[L.STOP] if single else ctl[L.GOAL]) and (enough or not single)
    if final and done:
        ctl[L.DONE], ctl[L.CONVERGED] = 1.0, 1.0
        return _NOTHING
    if passes >= ctl[L.MAX_ITER]:
        ctl[L.DONE] = 1.0
        return _NOTHING
    if done or (not final and passes + 1.0 >= ctl[L.MAX_ITER]):
        return _ADVANCE
    ctl[L.WAITING] = ctl[L.WAITING] + 1.0 if error > 0.9 * ctl[L.BEST] else 0.0
    ctl[L.BEST] = min(ctl[L.BEST], error)
    if single and (error <= ctl[L.STOP] or (ctl[L.WAITING] > _PATIENCE and error < 0.1)):
        ctl[L.SINGLE], ctl[L.TAKEN] = 0.0, 0.0
        _anew(ctl)
        return _NOTHING  # the same potentials again, in double precision
    slack = eps * mass * (ctl[L.FLOOR] + 1e-6) if single else 1e-12 * (abs(value_a) + abs(value_b) + eps * mass)
    accelerated = ctl[L.ACCELERATED] != 0.0
    if accelerated and not (dual >= ctl[L.SAFE_DUAL] - slack or error <= 0.5 * ctl[L.SAFE_ERROR]):
        ctl[L.SHORTER] += 1.0
        if ctl[L.SHORTER] <= _SHORTER:
            return _SHORTEN_IT
        ctl[L.ACCELERATED], ctl[L.SHORTER], ctl[L.TAKEN] = 0.0, 0.0, 1.0
        pause = 1.0
        for _ in range(int(min(ctl[L.REFUSED], _LONGEST_PAUSE))):
            pause *= 2.0
        ctl[L.PAUSE] = pause - 1.0
        ctl[L.REFUSED] += 1.0
        return _TAKE_BACK
    if accelerated:
        ctl[L.REFUSED] = 0.0
    ctl[L.SHORTER] = 0.0
    ctl[L.SAFE_DUAL], ctl[L.SAFE_ERROR] = dual, error
    if ctl[L.PAUSE] > 0.0:
        ctl[L.TAKEN] = 0.0
        ctl[L.PAUSE] -= 1.0
    return _ACCELERATE


@_exact
def _worth(f: Any, kl: Any, cap: Any) -> Any:
    """What a potential adds to the dual value, per unit of weight."""
    return -kl * math.expm1(-f / kl) if kl < math.inf else min(f, cap)


@_exact
def _solve(gram: Any, small: Any, known: Any, newest: Any) -> Any:
    """Makes the weights of the changes, by Cholesky's factorisation of the normal equations scaled to a unit diagonal;
    False if there is nothing to go by."""
    for q in range(known):
        product = small[_SCALE + q]
        small[_GRAM + newest * DEPTH + q], small[_GRAM + q * DEPTH + newest] = product, product
        gram[newest * DEPTH + q], gram[q * DEPTH + newest] = product, product
    for q in range(known):
        if not small[_GRAM + q * DEPTH + q] > 0.0:
            return False
    for q in range(known):
        small[_SCALE + q] = 1.0 / math.sqrt(small[_GRAM + q * DEPTH + q])
    for q in range(known):
        weight = small[q] * small[_SCALE + q]
        for r in range(q + 1):
            entry = 1.0 + _RIDGE
            if r < q:
                entry = small[_GRAM + q * DEPTH + r] * small[_SCALE + q] * small[_SCALE + r]
            for k in range(r):
                entry -= small[_FACTOR + q * DEPTH + k] * small[_FACTOR + r * DEPTH + k]
            if r < q:
                entry *= small[_FACTOR + r * DEPTH + r]
                weight -= entry * small[r]
            else:
                entry = 1.0 / math.sqrt(max(entry, _RIDGE))
                weight *= entry
            small[_FACTOR + q * DEPTH + r] = entry
        small[q] = weight
    for back in range(known):
        q = known - 1 - back
        weight = small[q]
        for r in range(q + 1, known):
            weight -= small[_FACTOR + r * DEPTH + q] * small[r]
        small[q] = weight * small[_FACTOR + q * DEPTH + q]
    for q in range(known):
        small[q] *= -small[_SCALE + q]
    return True


def room_for_sums(T: int) -> int:
    """Numbers that the sums of T threads take."""
    return SUMS + SUMS * (T if SIMULATED else max(1, T // _WARP))


def _folder(T: int, count: int, least: bool) -> Any:
    """fold(red, mine, t): red[q], q < count, becomes the sum, or the least, of what the T threads have in mine[q]."""
    both = device_function((lambda u, v: min(u, v)) if least else (lambda u, v: u + v), fast=False)
    if SIMULATED:  # where warps are not known
        W = T

        @_exact
        def gathered(red: Any, mine: Any, t: Any) -> None:
            for q in range(count):
                red[SUMS + q * T + t] = mine[q]

    else:
        W = T // _WARP

        @_exact
        def gathered(red: Any, mine: Any, t: Any) -> None:
            for q in range(count):
                v = mine[q]
                v = both(v, cuda.shfl_xor_sync(0xFFFFFFFF, v, 16))
                v = both(v, cuda.shfl_xor_sync(0xFFFFFFFF, v, 8))
                v = both(v, cuda.shfl_xor_sync(0xFFFFFFFF, v, 4))
                v = both(v, cuda.shfl_xor_sync(0xFFFFFFFF, v, 2))
                v = both(v, cuda.shfl_xor_sync(0xFFFFFFFF, v, 1))
                if t % _WARP == 0:
                    red[SUMS + q * W + t // _WARP] = v

    @_exact
    def fold(red: Any, mine: Any, t: Any) -> None:
        cuda.syncthreads()  # others may still read what was found before
        gathered(red, mine, t)
        cuda.syncthreads()
        for q in range(t, count, T):
            v = red[SUMS + q * W]
            for w in range(1, W):
                v = both(v, red[SUMS + q * W + w])
            red[q] = v
        cuda.syncthreads()

    return fold


@functools.lru_cache(maxsize=32)
def step_function(T: int, d: int, lifted: bool) -> Any:
    """step(ctl, A, B, Y, Y64, memory, gram, errors, n, m, red, small, t), for a block of T threads.

    A and B are the vectors of both sides, Y and Y64 the packed points of the columns, memory (memory_rows, m) and gram
    (DEPTH^2,) what acceleration looks back on; `red` and `small` are shared, of room_for_sums(T) and SMALL numbers, and
    so is ctl, best.
    """
    two, four, many, least = _folder(T, 2, False), _folder(T, 4, False), _folder(T, SUMS, False), _folder(T, 2, True)
    D1 = layout.width(d)
    LN2 = math.log(2.0)

    @_exact
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
        return difference / (1.0 / kl_a + 1.0 / kl_b) if abs(difference) > _SAME_MASS else 0.0

    @_exact
    def plain_steps(ctl: Any, A: Any, B: Any, n: Any, m: Any, red: Any, t: Any) -> Any:
        """Brings the plain step within reach of `plain`: by which constants it differs from that of each softmin."""
        kl_a, kl_b = ctl[L.KL_A], ctl[L.KL_B]
        finite = kl_a < math.inf or kl_b < math.inf
        if not (finite and ctl[L.CAP_A] == math.inf and ctl[L.CAP_B] == math.inf):
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

    @_exact
    def plain(ctl: Any, B: Any, j: Any, shift: Any, rest: Any) -> Any:
        """The best potential of column j for those of the rows."""
        if not B[L.WEIGHT, j] > 0.0:
            return 0.0
        g = (B[L.SOFTMIN, j] - shift) / (1.0 + ctl[L.EPS] / ctl[L.KL_B])
        return min(max(g, -ctl[L.CAP_B]), ctl[L.CAP_B]) - rest

    @_exact
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
            small[_STEP] = _decide(ctl, errors, error, mass, red[2], red[3])
        cuda.syncthreads()
        what = int(small[_STEP])

        if what == _SHORTEN_IT:
            for j in range(t, m, T):
                safe = B[L.SAFE, j]
                B[L.POTENTIAL, j] = safe + _SHORTEN * (B[L.POTENTIAL, j] - safe)
        elif what == _TAKE_BACK:
            for j in range(t, m, T):
                B[L.POTENTIAL, j] = B[L.SAFE, j]
        elif what == _ADVANCE:
            shift, rest = plain_steps(ctl, A, B, n, m, red, t)
            for j in range(t, m, T):
                B[L.POTENTIAL, j] = plain(ctl, B, j, shift, rest)
            cuda.syncthreads()
            if t == 0:
                ctl[L.EPS] = max(eps / ANNEAL, ctl[L.LAST])
                _enter(ctl)
        elif what == _ACCELERATE:
            shift, rest = plain_steps(ctl, A, B, n, m, red, t)
            taken = int(ctl[L.TAKEN])
            known = min(taken, DEPTH)
            newest = (taken + DEPTH - 1) % DEPTH
            products = cuda.local.array(SUMS, float64)  # with the residual, then with the newest change
            for q in range(SUMS):
                products[q] = 0.0
            for j in range(t, m, T):
                g = plain(ctl, B, j, shift, rest)
                b = B[L.WEIGHT, j]
                residual = 0.0
                if b > 0.0:
                    residual = (g - B[L.POTENTIAL, j]) / eps
                    residual = min(max(residual, -_TRUSTED_RESIDUAL), _TRUSTED_RESIDUAL)
                change = 0.0
                if known > 0:
                    change = float64(float32(residual - memory[2 * DEPTH, j]))
                    memory[newest, j] = float32(change)
                    memory[DEPTH + newest, j] = float32(g - B[L.SAFE, j])
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
                    small[_GRAM + q] = gram[q]
                for q in range(t, SUMS, T):
                    small[q] = red[q]
                cuda.syncthreads()
                if t == 0:
                    small[_FOUND] = 1.0 if _solve(gram, small, known, newest) else 0.0
                cuda.syncthreads()
                further = small[_FOUND] != 0.0
            if further:
                for j in range(t, m, T):
                    away = 0.0
                    for q in range(known):
                        away += small[q] * float64(memory[DEPTH + q, j])
                    away = min(max(away, -_LONGEST_STEP * eps), _LONGEST_STEP * eps)
                    B[L.POTENTIAL, j] = min(max(B[L.SAFE, j] + away, -cap_b), cap_b)
            cuda.syncthreads()
            if t == 0:
                ctl[L.TAKEN] += 1.0
                ctl[L.ACCELERATED] = 1.0 if further else 0.0
        cuda.syncthreads()
        pack(ctl, B, Y, Y64, m, t)

    @_exact
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

    @_exact
    def begin(ctl: Any, B: Any, Y: Any, Y64: Any, m: Any, t: Any) -> None:
        """Before the first pass."""
        if t == 0:
            _enter(ctl)
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
