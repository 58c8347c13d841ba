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

from monge.entropic.kernels.forms import compiled_cost, cost_scale
from monge.entropic.kernels.loop import iterate
from monge.entropic.kernels.passes import prepare, reduce_columns, rows
from monge.entropic.marginals import Marginal
from monge.problem.costs import CostMatrix, PointCloud

__all__ = ["CpuKernel"]

Array = NDArray[np.float64]

# Chunks of rows, each with column sums of its own; a cut finer than the number of threads evens out their speeds.
CHUNKS = 16
# Pairs from which threads pay for their start.
_PARALLEL = 2**17

_LN2 = math.log(2.0)


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
