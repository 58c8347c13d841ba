"""Batches on the device: one block a problem, which goes through the passes by itself until its own error is met.

Problems of a batch have one kind of cost, one eps and places of the same number, filled up by places without weight.
What a problem needs beyond points and weights, the scale of its costs among it, is found on the device.
"""

from __future__ import annotations

import functools
import math
import time
from typing import Any, NamedTuple

import numpy as np
from numba import float32, float64, uint32
from numpy.typing import NDArray

from monge.entropic.iteration import ANNEAL, START
from monge.entropic.kernels.cuda import layout
from monge.entropic.kernels.cuda.block import DEPTH, SMALL, memory_rows, room_for_sums
from monge.entropic.kernels.cuda.device import SIMULATED, cuda, device_function, exact, exp2, kernel, launch, log2
from monge.entropic.kernels.cuda.exponents import exponents
from monge.entropic.kernels.cuda.finish import SAFE_HIGH, SAFE_LOW, again_matrix, finisher
from monge.entropic.kernels.cuda.grounds import REGISTERS, built_in, rule_of
from monge.entropic.kernels.cuda.load import placed
from monge.entropic.kernels.cuda.step import step_function
from monge.entropic.marginals import Marginal

__all__ = ["MOST_PLACES", "BatchAnswer", "batch_kernel", "solve_batch"]

Array = NDArray[np.float64]

# Places of a problem up to which one block is enough for it.
MOST_PLACES = 1024
# Errors of so many passes are kept; pairs a thread looks at for the scale.
_KEPT, _SAMPLE = 256, 16

# Registers of a thread, so that a multiprocessor has two blocks at a time: the passes need fewer than the steps.
REGISTERS_EACH = 128

L = layout


class BatchAnswer(NamedTuple):
    """Of every problem."""

    f: Array  # (problems, n)
    g: Array  # (problems, m)
    s: Array  # (problems, m): softmins of the columns
    known: Array  # (problems, layout.CTL)
    errors: Array  # (problems, _KEPT)
    seconds: float  # of the kernels


def _threads(n: int, m: int) -> int:
    """Of a block."""
    if SIMULATED:
        return 4
    return 64 if max(n, m) <= 64 else 128 if max(n, m) <= 128 else 256


def _sides(ground: Any, d: int, real: Any, T: int) -> tuple[bool, Any]:
    """half(ctl, V, X, Y, C, n, m, side, tile, t): a half step by one block; C are the costs, a row for each column."""
    if ground is None:
        return False, _matrix_side(real, T)
    lifted, exponent, again = exponents(ground, d, real, 1)
    in_registers, D1 = d <= REGISTERS, L.width(d)
    held, TJ = d if in_registers else 1, _tile(d)
    D4 = TJ * D1
    square = L.SQUARE if real is np.float32 else L.SQUARE64
    zero, two, far = real(0.0), real(2.0), real(L.FAR)
    LN2, WIDE = math.log(2.0), uint32(D1)
    finish = finisher(real, lifted, d)

    @device_function
    def half(ctl: Any, V: Any, X: Any, Y: Any, C: Any, n: Any, m: Any, side: Any, tile: Any, t: Any) -> None:
        unit = ctl[L.EPS] * LN2
        k64 = ctl[L.FACTOR] / unit
        k = real(k64)
        point = cuda.local.array(held, real)
        for first in range(0, n, T):
            here = min(first + t, n - 1)
            base = k64 * V[square, here] if lifted else 0.0
            shift = real(V[L.SOFTMIN, here] / unit - base)
            if in_registers:
                for c in range(d):
                    point[c] = real(two * k * X[here * D1 + c]) if lifted else X[here * D1 + c]
            whole = 0.0
            for j0 in range(0, m, TJ):
                cuda.syncthreads()
                for q0 in range(t, D4, T):
                    value = Y[min(j0 + q0 // D1, m - 1) * D1 + q0 % D1]
                    tile[q0] = far if q0 % D1 == d and j0 + q0 // D1 >= m else value
                cuda.syncthreads()
                q = uint32(0)
                total, other = zero, zero
                for _ in range(TJ // 2):
                    if in_registers:
                        total += exp2(exponent(point, 0, tile, q, shift, k))
                        other += exp2(exponent(point, 0, tile, q + WIDE, shift, k))
                    else:
                        total += exp2(exponent(X, here * D1, tile, q, shift, k))
                        other += exp2(exponent(X, here * D1, tile, q + WIDE, shift, k))
                    q = q + WIDE + WIDE
                whole += total + other
            if first + t < n:
                if whole > SAFE_LOW and whole < SAFE_HIGH:
                    lse = log2(whole) - shift - base
                else:
                    lse = again(ctl, X, here, Y, m, k) - base
                finish(ctl, V, X, here, lse, side)
        cuda.syncthreads()

    return lifted, half


def _matrix_side(real: Any, T: int) -> Any:
    zero, LN2 = real(0.0), math.log(2.0)
    finish, again = finisher(real, False, 0), again_matrix(real)

    @device_function
    def half(ctl: Any, V: Any, X: Any, Y: Any, C: Any, n: Any, m: Any, side: Any, tile: Any, t: Any) -> None:
        unit = ctl[L.EPS] * LN2
        k = real(ctl[L.FACTOR] / unit)
        for i in range(t, n, T):
            shift = real(V[L.SOFTMIN, i] / unit)
            total = zero
            for j in range(m):
                total += exp2((Y[j] + shift) - k * real(C[j * n + i]))
            whole = float64(total)
            safe = whole > SAFE_LOW and whole < SAFE_HIGH
            lse = log2(whole) - shift if safe else again(ctl, X, i, Y, C, 1, n, m, k)
            finish(ctl, V, X, i, lse, side)
        cuda.syncthreads()

    return half


def _tile(d: int) -> int:
    columns = 4 if SIMULATED else 128
    while columns > 2 and columns * L.width(d) * 8 > 8192:
        columns //= 2
    return columns


@functools.lru_cache(maxsize=32)
def batch_kernel(ground: Any, d: int, real: Any, T: int) -> Any:
    """kernel(x, y, a, b, C, ctl, A, B, X, X64, Y, Y64, memory, gram, errors, f, g, s, n, m, begin): solves problem p
    with block p, as far as this precision goes. C (problems, 2, n m) are costs, by columns and by rows, of ground None;
    points are in x and y (problems, n, d). All else is room, for a problem each; `begin` is 1 in the first call."""
    single = real is np.float32
    lifted, half = _sides(ground, d, real, T)
    across = half if ground is None or built_in(ground) else _sides(ground.T, d, real, T)[1]
    step, first = step_function(T, d, lifted)
    if ground is None:
        of_pair = exact(lambda x, i, y, j, C, n: float64(C[0, j * n + i]))
    else:
        cost = rule_of(ground, d, np.float64, 1).cost
        of_pair = exact(lambda x, i, y, j, C, n: cost(x, i * d, y, uint32(j * d)))
    mine = 1.0 if single else 0.0
    RED, SHARED, KNOWN = max(room_for_sums(T), 3 * T), SMALL, L.CTL
    TILE = _tile(d) * L.width(d) if ground is not None else 1
    huge, FIRST, place = math.inf, START, placed(d)

    @exact
    def look(x: Any, y: Any, C: Any, n: Any, m: Any, red: Any, t: Any) -> None:
        """red[0] and red[1] = the mean and the least of some costs."""
        total, low, count = 0.0, huge, 0.0
        for q in range(_SAMPLE):
            pair = (t * _SAMPLE + q) * 7919  # which has no factor in common with many sizes
            i, j = pair % n, (pair // n + q * (m // _SAMPLE + 1)) % m
            c = of_pair(x, i, y, j, C, n)
            if c < huge:
                total, count = total + c, count + 1.0
                low = min(low, c)
        red[t], red[T + t], red[2 * T + t] = total, low, count
        cuda.syncthreads()
        if t == 0:
            for q in range(1, T):
                total, count = total + red[q], count + red[2 * T + q]
                low = min(low, red[T + q])
            red[0], red[1] = total / max(count, 1.0), low if low < huge else 0.0
        cuda.syncthreads()

    def solve(  # type: ignore[no-untyped-def]
        x, y, a, b, C, ctl, A, B, X, X64, Y, Y64, memory, gram, errors, f, g, s, n, m, begin
    ):
        red = cuda.shared.array(RED, float64)
        small = cuda.shared.array(SHARED, float64)
        tile = cuda.shared.array(TILE, real)
        k = cuda.shared.array(KNOWN, float64)
        t, p = cuda.threadIdx.x, cuda.blockIdx.x
        for q in range(t, KNOWN, T):
            k[q] = ctl[p, q]
        cuda.syncthreads()
        if begin != 0:
            for i in range(t, n, T):
                place(x[p], a[p, i], 0.0, 0.0, i, A[p], X[p], X64[p])
            for j in range(t, m, T):
                place(y[p], b[p, j], 0.0, 0.0, j, B[p], Y[p], Y64[p])
            for q in range(t, memory_rows * m, T):
                memory[p, q // m, q % m] = float32(0.0)
            look(x[p], y[p], C[p], n, m, red, t)
            if t == 0:
                size = k[L.FACTOR] * (red[0] - red[1])
                eps = k[L.LAST]
                while eps * ANNEAL <= FIRST * size and k[L.SYMMETRIC] == 0.0:
                    eps *= ANNEAL
                k[L.EPS] = eps
            cuda.syncthreads()
            first(k, B[p], Y[p], Y64[p], m, t)
            cuda.syncthreads()
        while k[L.DONE] == 0.0 and k[L.SINGLE] == mine:
            if single:
                half(k, A[p], X[p], Y[p], C[p, 0], n, m, 0, tile, t)
                across(k, B[p], Y[p], X[p], C[p, 1], m, n, 1, tile, t)
            else:
                half(k, A[p], X64[p], Y64[p], C[p, 0], n, m, 0, tile, t)
                across(k, B[p], Y64[p], X64[p], C[p, 1], m, n, 1, tile, t)
            step(k, A[p], B[p], Y[p], Y64[p], memory[p], gram[p], errors[p], n, m, red, small, t)
            cuda.syncthreads()
        for q in range(t, KNOWN, T):
            ctl[p, q] = k[q]
        for i in range(t, n, T):
            f[p, i] = A[p, L.POTENTIAL, i]
        for j in range(t, m, T):
            g[p, j], s[p, j] = B[p, L.POTENTIAL, j], B[p, L.SOFTMIN, j]

    return kernel(solve, single, ground, d, real, T, registers=REGISTERS_EACH)


def solve_batch(
    ground: Any, x: Array, y: Array, a: Array, b: Array, C: NDArray[Any] | None, factors: Array,
    marginals: tuple[Marginal, Marginal], eps: float, tol: float, max_iter: int, noises: Array,
    symmetric: bool,
) -> BatchAnswer:  # fmt: skip
    """Problems of points x (problems, n, d), y (problems, m, d) or of matrices C (problems, n, m), and weights a, b.

    `factors` (problems,) are those to cost units; `noises` what single precision adds to the error, times eps.
    """
    count, n, d = x.shape
    m = y.shape[1]
    T = _threads(n, m)
    rows, columns = marginals
    ctl = np.zeros((count, L.CTL))
    ctl[:, [L.LAST, L.TOL, L.MAX_ITER, L.KEPT]] = eps, tol, max_iter, _KEPT
    ctl[:, L.NOISE] = noises
    ctl[:, [L.KL_A, L.CAP_A, L.KL_B, L.CAP_B]] = rows.kl, rows.cap, columns.kl, columns.cap
    ctl[:, L.FACTOR], ctl[:, L.SYMMETRIC] = factors, symmetric
    stream, D1, f32, f64 = cuda.stream(), L.width(d), np.float32, np.float64
    both = np.zeros((count, 2, 1), dtype=f32)
    if C is not None:
        both = np.stack([C.transpose(0, 2, 1).reshape(count, -1), C.reshape(count, -1)], axis=1)
    given = x.reshape(count, -1), y.reshape(count, -1), a, b, both, ctl
    sent = [cuda.to_device(np.ascontiguousarray(part), stream=stream) for part in given]

    def room(*shape: int, kind: Any = f64) -> Any:
        return cuda.device_array((count, *shape), kind)

    known, f, g, s = sent[5], room(n), room(m), room(m)
    rest = [
        room(L.ROWS, n), room(L.ROWS, m), room(n * D1, kind=f32), room(n * D1), room(m * D1, kind=f32), room(m * D1),
        room(memory_rows, m, kind=f32), room(DEPTH * DEPTH), room(_KEPT),
    ]  # fmt: skip
    begin = 1
    stream.synchronize()
    began = time.perf_counter()
    while True:
        for real in (f32, f64):
            go = batch_kernel(ground, d, real, T)
            launch(go, count, T, stream, *sent, *rest, f, g, s, n, m, begin)
            begin = 0
            found = known.copy_to_host(stream=stream)
            stream.synchronize()
            if (found[:, L.DONE] != 0.0).all():
                seconds = time.perf_counter() - began
                potentials = [part.copy_to_host(stream=stream) for part in (f, g, s)]
                errors = rest[-1].copy_to_host(stream=stream)
                stream.synchronize()
                return BatchAnswer(potentials[0], potentials[1], potentials[2], found, errors, seconds)
