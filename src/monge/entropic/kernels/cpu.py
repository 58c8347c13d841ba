"""Sinkhorn passes on the CPU: one exponential per pair for both half steps.

A row is exponentiated with the softmin of the pass before as its shift, so that no pass for the maximum is needed; its
sum gives the row's potential, and the same numbers, rescaled, are added to the column sums (Gauss-Seidel by rows). All
is in the log2 domain, in single precision where that will do; column sums are passed to double precision every
`_FLUSH` rows. Where the old shift is so far off that a sum leaves `_SAFE`, or a column gets less than single precision
can hold, the softmin is computed again with its own maximum. So no potentials lead to NaN.

Rows are cut into chunks by their number alone, and column sums added up in the order of the chunks: any number of
threads gives the same bits. The threads are Python's: compiled code lets go of the interpreter, and nothing of Numba's
threading layers is used, so any number of solves may run side by side, and after a fork.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from types import FunctionType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic import iteration
from monge.entropic.blocks import multiplied_costs, sampled_costs
from monge.entropic.kernels.exp2 import HIGH, LOW, exp2
from monge.entropic.kernels.jit import EXACT, jit
from monge.entropic.marginals import Marginal
from monge.problem.costs import CostMatrix, PointCloud

__all__ = ["CpuKernel", "solve_small"]

Array = NDArray[np.float64]

# How costs come: a matrix; or coordinates, whose Euclidean or cityblock distance is raised to a power.
STORED, EUCLIDEAN, CITYBLOCK = range(3)

# Chunks of rows, each with column sums of its own; a cut finer than the number of threads evens out their speeds.
CHUNKS = 16
# Columns whose costs are computed before they are exponentiated: they stay in the first cache.
_TILE = 1024
# Rows whose column sums are added up in single precision.
_FLUSH = 256
# Sums of a row, with the shift of the pass before, that need no better shift.
_SAFE_LOW, _SAFE_HIGH = 1e-8, 1e30
# The logarithm of a row's factor beyond which the lift has not done its work.
_LARGEST_SCALE = 20.0
# Column sums, relative to the largest weight, below which too much may have been cut off.
_LOST = 1e-22

# Pairs from which threads pay for their start.
_PARALLEL = 2**17
# Coordinates from which the costs of points are kept, in a matrix of up to so many bytes.
_WIDE, _KEPT = 8, 2**28
# Numbers in a cost matrix that is converted to the type of the computation.
_CONVERTED = 2**16
# Error in the marginals that single precision makes, per largest cost over eps.
_NOISE = 2e-8
# Costs from here to its inverse keep clear of the ends of single precision's range.
_HELD = 1e-25

_LN2 = math.log(2.0)


@jit()
def costs(cost, i, start, stop, out):  # type: ignore[no-untyped-def]
    """out[:] = the costs of row i to the columns from start to stop, before the factor that `inverse` carries."""
    C, x, y, kind, power = cost
    size = stop - start
    if kind == STORED:
        row = C[i, start:stop]
        for j in range(size):
            out[j] = row[j]
        return
    for k in range(x.shape[1]):
        at, coordinates = x[i, k], y[k, start:stop]
        if kind == EUCLIDEAN:
            if k == 0:
                for j in range(size):
                    out[j] = (coordinates[j] - at) * (coordinates[j] - at)
            else:
                for j in range(size):
                    out[j] += (coordinates[j] - at) * (coordinates[j] - at)
        elif k == 0:
            for j in range(size):
                out[j] = abs(coordinates[j] - at)
        else:
            for j in range(size):
                out[j] += abs(coordinates[j] - at)
    exponent = power * 0.5 if kind == EUCLIDEAN else power
    if exponent == 0.5:
        for j in range(size):
            out[j] = np.sqrt(out[j])
    elif exponent != 1.0:
        for j in range(size):
            out[j] = out[j] ** exponent


@jit()
def exponentiate(cost, i, inverse, beta, shift, out):  # type: ignore[no-untyped-def]
    """out_j = 2^(beta_j + shift - inverse C_ij), within the limits of the type; returns its sum."""
    real = out.dtype.type
    low, high = real(LOW[out.itemsize // 8]), real(HIGH[out.itemsize // 8])
    total = 0.0
    for start in range(0, len(out), _TILE):
        stop = min(start + _TILE, len(out))
        part, weight = out[start:stop], beta[start:stop]
        costs(cost, i, start, stop, part)
        some = real(0.0)
        for j in range(stop - start):
            t = (weight[j] + shift) - inverse * part[j]
            t = low if t < low else t
            t = high if t > high else t
            power = exp2(t)
            part[j] = power
            some += power
        total += some
    return total


@jit()
def peak(cost, i, inverse, beta, out):  # type: ignore[no-untyped-def]
    """max_j beta_j - inverse C_ij; `out` is scratch."""
    highest = out.dtype.type(-np.inf)
    for start in range(0, len(out), _TILE):
        stop = min(start + _TILE, len(out))
        part, weight = out[start:stop], beta[start:stop]
        costs(cost, i, start, stop, part)
        for j in range(stop - start):
            t = weight[j] - inverse * part[j]
            highest = t if t > highest else highest
    return highest


@jit()
def explicit(cost, i, inverse, beta, out):  # type: ignore[no-untyped-def]
    """-log2 sum_j 2^(beta_j - inverse C_ij), whatever the numbers; +inf for an empty sum."""
    highest = peak(cost, i, inverse, beta, out)
    if not highest > -np.inf:
        return np.inf
    return -highest - np.log2(exponentiate(cost, i, inverse, beta, -highest, out))


@jit()
def rows(cost, inverse, beta, reference, log_a, damp, cap, lift, first, last, shift, f, sums):  # type: ignore[no-untyped-def]
    """The rows from first to last of a sweep, in log2 units.

    f_i = clip(damp r_i, -cap, cap) with r_i = reference - log2 sum_j 2^(beta_j - inverse C_ij), and sums_j = the sum
    over i of 2^(log_a_i + f_i + beta_j - reference - inverse C_ij - lift). shift holds a guess of r (n,), and gets r.
    """
    real = beta.dtype.type
    m = len(beta)
    powers = np.zeros((4, m), dtype=beta.dtype)
    scale = np.zeros(4, dtype=beta.dtype)
    partial = np.zeros(m, dtype=beta.dtype)
    for j in range(m):
        sums[j] = 0.0
    factor = real(inverse)
    for block in range(first, last, 4):
        for k in range(4):
            i = block + k
            scale[k] = real(0.0)
            if i >= last:
                continue
            guess = real(shift[i] - reference)
            total = exponentiate(cost, i, factor, beta, guess, powers[k])
            if not _SAFE_LOW < total < _SAFE_HIGH:
                guess = -peak(cost, i, factor, beta, powers[k])
                if not guess < np.inf:  # no column in reach
                    f[i], shift[i] = min(cap, 0.0), 0.0
                    continue
                total = exponentiate(cost, i, factor, beta, guess, powers[k])
            r = guess - np.log2(total) + reference
            shift[i] = r
            f[i] = min(max(damp * r, -cap), cap)
            # With a lift that is far too low, what was cut off would count: then all columns are to be computed again.
            power = log_a[i] + (f[i] - r) - np.log2(total) - lift
            scale[k] = real(exp2(max(power, -1000.0)) if power < _LARGEST_SCALE else np.inf)
        w0, w1, w2, w3 = scale[0], scale[1], scale[2], scale[3]
        p0, p1, p2, p3 = powers[0], powers[1], powers[2], powers[3]
        for j in range(m):
            partial[j] += (w0 * p0[j] + w1 * p1[j]) + (w2 * p2[j] + w3 * p3[j])
        if (block - first) % _FLUSH == _FLUSH - 4 or block + 4 >= last:
            for j in range(m):
                sums[j] += partial[j]
                partial[j] = real(0.0)


@jit(EXACT)
def reduce_columns(cost, inverse, unit, beta, reference, log_a, log_b, lift, f, g, chunk_sums, like, s):  # type: ignore[no-untyped-def]
    """Column sums of all chunks, in their order, to softmins s (m,) in cost units, those that were lost computed again.

    s_j = unit (g_j / unit + log2 b_j - log2 of the sum); g and s are in cost units, f is in log2 units.
    """
    chunks, m = chunk_sums.shape
    lost = np.empty(m, dtype=np.int64)
    found = 0
    for j in range(m):
        total = 0.0
        for chunk in range(chunks):
            total += chunk_sums[chunk, j]
        if not log_b[j] > -np.inf:
            s[j] = g[j]
        elif _LOST < total < np.inf:
            s[j] = unit * (log_b[j] - np.log2(total) - lift) + g[j]
        else:
            lost[found] = j
            found += 1
    if found == 0:
        return
    C, x, y, kind, power = cost
    n, d = len(f), x.shape[1]
    alpha, scratch = np.empty(n, dtype=like.dtype), np.empty(n, dtype=like.dtype)
    top = -np.inf
    for i in range(n):
        top = max(top, log_a[i] + f[i])
    for i in range(n):
        alpha[i] = log_a[i] + f[i] - top
    # A column is the one row of another problem; Numba would compile `explicit` again for a literal 0.
    row = np.int64(0)
    C_j, y_j, x_j = np.empty((1, n), dtype=C.dtype), np.empty((1, d), dtype=x.dtype), np.empty((d, n), dtype=x.dtype)
    for k in range(d):
        for i in range(n):
            x_j[k, i] = x[i, k]
    for at in range(found):
        j = lost[at]
        if kind == STORED:
            for i in range(n):
                C_j[0, i] = C[i, j]
        for k in range(d):
            y_j[0, k] = y[k, j]
        s[j] = unit * (explicit((C_j, y_j, x_j, kind, power), row, like.dtype.type(inverse), alpha, scratch) - top)


@jit(EXACT)
def prepare(unit, log_a, log_b, g, shift, f, like):  # type: ignore[no-untyped-def]
    """(beta, its reference, lift) of a sweep; see `rows`."""
    m = len(g)
    exact = np.empty(m)
    reference = -np.inf
    for j in range(m):
        exact[j] = log_b[j] + g[j] / unit
        reference = max(reference, exact[j])
    beta = np.empty(m, dtype=like.dtype)
    for j in range(m):
        beta[j] = exact[j] - reference
    lift = -np.inf
    for i in range(len(f)):
        lift = max(lift, log_a[i] + (f[i] - shift[i]))
    return beta, -reference, lift


def _compiled(names: tuple[str, ...], using: dict[str, Any], keep: bool = True) -> dict[str, Any]:
    """The functions of `iteration`, compiled; each may call those in `using`."""
    namespace = {**vars(iteration), **using}
    return {name: jit(keep=keep)(FunctionType(getattr(iteration, name).__code__, namespace, name)) for name in names}


_steps = _compiled(("measure", "noise_floor", "translation", "extrapolate"), {})
_steps |= _compiled(("plain_step",), _steps)
iterate = _compiled(("iterate",), _steps)["iterate"]
# Numba cannot compile a caller of a generator that was loaded from the disk; `solve` is kept with this one in it.
_inlined = _compiled(("iterate",), _steps, keep=False)["iterate"]


@jit()
def solve(form, like, per_unit, a, b, log_a, log_b, demands, steps, f, g, s, history, outcome):  # type: ignore[no-untyped-def]
    """A whole solve of a small problem in the precision of `like`, compiled: `iterate` over one chunk of rows."""
    kl_a, cap_a, kl_b, cap_b = demands
    eps_last, eps_first, tol, max_iter, noise = steps
    n = len(a)
    shift, sums, first = np.zeros(n), np.empty((1, len(b))), n - n
    for eps, _ in _inlined(
        a, b, kl_a, cap_a, kl_b, cap_b, eps_last, eps_first, tol, max_iter, noise, f, g, s, history, outcome
    ):
        unit = eps * _LN2
        for i in range(n):
            f[i] /= unit
            shift[i] /= unit
        beta, reference, lift = prepare(unit, log_a, log_b, g, shift, f, like)
        damp, factor = 1.0 / (1.0 + eps / kl_a), per_unit / unit
        rows(form, factor, beta, reference, log_a, damp, cap_a / unit, lift, first, n, shift, f, sums[first])
        reduce_columns(form, factor, unit, beta, reference, log_a, log_b, lift, f, g, sums, like, s)
        for i in range(n):
            f[i] *= unit
            shift[i] *= unit


class CpuKernel:
    """The passes of one problem on `threads` threads; see `reference` for what a kernel offers."""

    iterate = staticmethod(iterate)

    def __init__(self, cost: CostMatrix | PointCloud, a: Array, b: Array, rows: Marginal, threads: int) -> None:
        self.cost, self.a, self.b, self.rows = cost, a, b, rows
        self.scale, self.noise = cost_scale(cost)
        self._forms: dict[bool, tuple[Any, float]] = {}
        with np.errstate(divide="ignore"):
            self._log_a, self._log_b = np.log2(a), np.log2(b)
        n, m = cost.shape
        self._shift = np.zeros(n)
        self._chunks = max(1, min(CHUNKS, n // 64))
        self._sums = np.empty((self._chunks, m))
        self._threads = min(threads, self._chunks) if n * m > _PARALLEL else 1
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> CpuKernel:
        # Threads of this solve alone: a pool that outlived it would be lost in a fork.
        if self._threads > 1:
            self._pool = ThreadPoolExecutor(self._threads - 1)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def sweep(self, g: Array, eps: float, single: bool, f: Array, s: Array) -> None:
        """One pass."""
        if single not in self._forms:
            self._forms[single] = compiled_cost(self.cost, np.float32 if single else np.float64)
        form, per_unit = self._forms[single]
        like = np.empty(0, dtype=np.float32 if single else np.float64)
        unit = eps * _LN2
        f /= unit
        self._shift /= unit
        beta, reference, lift = prepare(unit, self._log_a, self._log_b, g, self._shift, f, like)
        damp, cap = 1.0 / (1.0 + eps / self.rows.kl), self.rows.cap / unit
        n, left = len(f), count()

        def work() -> None:
            while (k := next(left)) < self._chunks:
                first, last = k * n // self._chunks, (k + 1) * n // self._chunks
                rows(
                    form, per_unit / unit, beta, reference, self._log_a, damp, cap, lift, first, last, self._shift, f,
                    self._sums[k],
                )  # fmt: skip

        helpers = [self._pool.submit(work) for _ in range(self._threads - 1)] if self._pool is not None else []
        try:
            work()
        finally:
            for _ in range(self._chunks):  # after an interrupt the others stop at their next chunk
                next(left)
            for helper in helpers:
                helper.result()
        reduce_columns(
            form, per_unit / unit, unit, beta, reference, self._log_a, self._log_b, lift, f, g, self._sums, like, s
        )
        f *= unit
        self._shift *= unit


def compiled_cost(cost: CostMatrix | PointCloud, dtype: Any) -> tuple[Any, float]:
    """The cost as compiled code takes it, and the factor from its numbers to cost units.

    Points of many coordinates become a matrix where that is not too large: their distances would take longest. Others
    are moved to their middle and scaled by a power of two, so that their differences suit single precision.
    """
    if isinstance(cost, CostMatrix):
        none = np.empty((0, 0), dtype=dtype)
        # A small matrix is converted, which takes less than compiling for its type; a large one is read in place.
        C = np.ascontiguousarray(cost.C, dtype=dtype if cost.C.size <= _CONVERTED else None)
        return (C, none, none, STORED, 1.0), 1.0
    none = np.empty((0, 0), dtype=dtype)
    n, m = cost.shape
    if cost.x.shape[1] > _WIDE and n * m * np.dtype(dtype).itemsize <= _KEPT:
        return (multiplied_costs(cost, dtype), none, none, STORED, 1.0), 1.0
    x, y = cost.x.astype(np.float64), cost.y.astype(np.float64)
    kind, power, per_unit = (CITYBLOCK if cost.distance == "cityblock" else EUCLIDEAN), cost.power, 1.0
    if cost.distance == "cosine":  # 1 - <x, y> = |x - y|^2 / 2 on the sphere
        x, y = (points / np.abs(points).max(axis=1, keepdims=True) for points in (x, y))
        x, y = (points / np.linalg.norm(points, axis=1, keepdims=True) for points in (x, y))
        power, per_unit = 2.0, 0.5
    else:
        middle = x.mean(axis=0)
        exponent = math.frexp(cost.reach)[1]
        x, y = np.ldexp(x - middle, -exponent), np.ldexp(y - middle, -exponent)
        per_unit = 2.0 ** (exponent * power)
    return (none, np.ascontiguousarray(x, dtype=dtype), np.ascontiguousarray(y.T, dtype=dtype), kind, power), per_unit


def cost_scale(cost: CostMatrix | PointCloud) -> tuple[float, float]:
    """The mean cost above the least one, roughly; and what single precision adds to the marginal error, times eps."""
    some = sampled_costs(cost)
    some = some[np.isfinite(some)]
    if not some.size:
        return 0.0, np.inf
    low, mean = float(some.min()), float(some.mean())
    size = float(np.abs(some).max())
    held = _HELD < size < 1.0 / _HELD or isinstance(cost, PointCloud)
    return mean - low, _NOISE * size if held else np.inf


def solve_small(
    cost: CostMatrix | PointCloud, a: Array, b: Array, demands: tuple[Marginal, Marginal], eps: float,
    eps_first: float | None, tol: float, max_iter: int, f: Array, g: Array, s: Array, history: Array, outcome: Array,
) -> None:  # fmt: skip
    """`iterate` for a problem that is over before a thread would start, in one precision throughout."""
    scale, noise = cost_scale(cost)
    single = tol > iteration.noise_floor(noise, eps) * 2.0
    dtype: Any = np.float32 if single else np.float64
    form, per_unit = compiled_cost(cost, dtype)
    with np.errstate(divide="ignore"):
        log_a, log_b = np.log2(a), np.log2(b)
    rows, columns = demands
    solve(
        form, np.empty(0, dtype=dtype), per_unit, a, b, log_a, log_b, (rows.kl, rows.cap, columns.kl, columns.cap),
        (eps, scale if eps_first is None else eps_first, tol, max_iter, noise if single else np.inf), f, g, s, history,
        outcome,
    )  # fmt: skip
