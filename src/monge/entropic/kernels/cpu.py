"""Sinkhorn passes on the CPU, on any number of threads.

Rows are cut into chunks by their number alone, and column sums added up in the order of the chunks: any number of
threads gives the same bits. The threads are Python's: compiled code lets go of the interpreter, and nothing of Numba's
threading layers is used, so any number of solves may run side by side, and after a fork.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic._rows import sinkhorn_rows
from monge.entropic.blocks import cost_block, row_blocks, turned
from monge.entropic.kernels.forms import cost_scale
from monge.entropic.kernels.loop import iterate
from monge.entropic.kernels.packed import in_panels, packed_cost
from monge.entropic.marginals import Marginal
from monge.problem.costs import CostMatrix, PointCloud

__all__ = ["CpuKernel"]

Array = NDArray[np.float64]

# Chunks of rows, each with column sums of its own; a cut finer than the number of threads evens out their speeds.
CHUNKS = 16
# Pairs from which threads pay for their start.
_PARALLEL = 2**17
# Column sums, relative to the largest weight, below which too much may have been cut off.
_LOST = 1e-22

_LN2 = math.log(2.0)


class CpuKernel:
    """The passes of one problem on `threads` threads; see `reference` for what a kernel offers."""

    iterate = staticmethod(iterate)

    def __init__(self, cost: CostMatrix | PointCloud, a: Array, b: Array, rows: Marginal, threads: int) -> None:
        self.cost, self.a, self.b, self.rows = cost, a, b, rows
        self.scale, self.noise = cost_scale(cost)
        self._packed: tuple[bool, Any, float] | None = None
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
        dtype: Any = np.float32 if single else np.float64
        if self._packed is None or self._packed[0] is not single:
            self._packed = None  # one at a time, since they may be large
            self._packed = single, *packed_cost(self.cost, dtype)
        _, costs, per_unit = self._packed
        unit = eps * _LN2
        f /= unit
        self._shift /= unit
        weights = self._log_b + g / unit
        reference = -weights.max()
        beta = in_panels((weights + reference).astype(dtype), -np.inf)
        lift = float((self._log_a + (f - self._shift)).max())
        damp, cap = 1.0 / (1.0 + eps / self.rows.kl), self.rows.cap / unit
        n, left = len(f), count()

        def work() -> None:
            while (k := next(left)) < self._chunks:
                first, last = k * n // self._chunks, (k + 1) * n // self._chunks
                sinkhorn_rows(
                    costs, beta, per_unit / unit, reference, self._log_a, damp, cap, lift, first, last, self._shift, f,
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
        total = self._sums.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            s[:] = unit * (self._log_b - np.log2(total) - lift) + g
        weighty = self._log_b > -np.inf
        s[~weighty] = g[~weighty]
        lost = np.flatnonzero(weighty & ~((total > _LOST) & (total < np.inf)))
        if lost.size:
            s[lost] = unit * self._softmin(lost, self._log_a + f, unit)
        f *= unit
        self._shift *= unit

    def _softmin(self, columns: NDArray[np.intp], weights: Array, unit: float) -> Array:
        """-log2 sum_i 2^(weights_i - C_ij / unit) for some columns, whatever the numbers."""
        cost, out = turned(self.cost), np.empty(len(columns))
        for block in row_blocks(len(columns), len(weights)):
            exponents = weights - cost_block(cost, columns[block]) / unit
            top = exponents.max(axis=1, keepdims=True)
            top[~(top > -np.inf)] = 0.0
            with np.errstate(divide="ignore", under="ignore"):
                out[block] = -top[:, 0] - np.log2(np.exp2(exponents - top).sum(axis=1))
        return out
