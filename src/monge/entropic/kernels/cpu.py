"""Sinkhorn passes on the CPU over matrices and points, on any number of threads.

One exponential per pair serves both half steps: a row is exponentiated with the softmin of the pass before as its
shift, so that no pass for the maximum is needed; its sum gives the row's potential, and the same numbers, rescaled, are
added to the column sums (Gauss-Seidel by rows). All is in the log2 domain, in single precision where that will do.
Where the old shift is so far off that a sum is not safe, or a column gets less than single precision can hold, the
softmin is computed again with its own maximum. So no potentials lead to NaN.

Rows are cut into chunks by their number alone, and column sums added up in the order of the chunks: any number of
threads gives the same bits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic._rows import cost_rows, sinkhorn_rows
from monge.entropic.blocks import column_softmins
from monge.entropic.kernels.loop import iterate
from monge.entropic.kernels.packed import in_panels, packed_cost, worth_keeping
from monge.entropic.kernels.scale import NOISE, cost_scale
from monge.entropic.kernels.threads import CHUNKS, PARALLEL, Threads
from monge.entropic.marginals import Marginal
from monge.problem.costs import CostMatrix, PointCloud

__all__ = ["CpuKernel"]

Array = NDArray[np.float64]

# Passes that compute the costs of points anew before these are kept: by then they have cost what keeping them does.
_RENT = 6
# Column sums, relative to the largest weight, below which too much may have been cut off.
_LOST = 1e-22
# The ratio of the largest possible cost of a cloud to that of a sample from which there must be outliers, beside which
# the coordinates of the others have few digits: boxes around hundreds of dimensions have up to thirty.
_OUTLYING = 1e3

_LN2 = math.log(2.0)


class CpuKernel:
    """The passes of one problem on `threads` threads; see `reference` for what a kernel offers."""

    iterate = staticmethod(iterate)
    skipped, patience = 0.0, 30

    def __init__(self, cost: CostMatrix | PointCloud, a: Array, b: Array, rows: Marginal, threads: int) -> None:
        self.cost, self.a, self.b, self.rows = cost, a, b, rows
        scale = cost_scale(cost)
        self.scale, self.noise, self.exact_below = scale.size, scale.noise, scale.exact_below
        if isinstance(cost, PointCloud) and cost.distance != "cosine":
            widest = cost.reach**cost.power
            if NOISE * widest > _OUTLYING * scale.noise:
                self.noise = NOISE * widest
        self._packed: tuple[bool, Any, float] | None = None
        self._uses = 0
        with np.errstate(divide="ignore"):
            self._log_a, self._log_b = np.log2(a), np.log2(b)
        n, m = cost.shape
        self._shift = np.zeros(n)
        self._chunks = max(1, min(CHUNKS, n // 64))
        self._sums = np.empty((self._chunks, m))
        self._threads = Threads(min(threads, self._chunks) if n * m > PARALLEL else 1)

    def __enter__(self) -> CpuKernel:
        self._threads.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.__exit__()

    def sweep(self, g: Array, eps: float, single: bool, sure: bool, f: Array, s: Array) -> bool:
        """One pass."""
        dtype: Any = np.float32 if single else np.float64
        costs, per_unit = self._costs(single, dtype)
        unit = eps * _LN2
        f /= unit
        self._shift /= unit
        weights = self._log_b + g / unit
        reference = -weights.max()
        beta = in_panels((weights + reference).astype(dtype), -np.inf)
        lift = float((self._log_a + (f - self._shift)).max())
        damp, cap = 1.0 / (1.0 + eps / self.rows.kl), self.rows.cap / unit

        def work(k: int) -> None:
            sinkhorn_rows(
                costs, beta, per_unit / unit, reference, self._log_a, damp, cap, lift, *self._rows(k), self._shift, f,
                self._sums[k],
            )  # fmt: skip

        self._threads.share(self._chunks, work)
        total = self._sums.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            s[:] = unit * (self._log_b - np.log2(total) - lift) + g
        weighty = self._log_b > -np.inf
        s[~weighty] = g[~weighty]
        lost = np.flatnonzero(weighty & ~((total > _LOST) & (total < np.inf)))
        if lost.size:
            s[lost] = column_softmins(self.cost, _LN2 * (self._log_a + f), lost, eps)
        f *= unit
        self._shift *= unit
        return True

    def _rows(self, chunk: int) -> tuple[int, int]:
        n = len(self._shift)
        return chunk * n // self._chunks, (chunk + 1) * n // self._chunks

    def _costs(self, single: bool, dtype: Any) -> tuple[Any, float]:
        """The costs as the core takes them, in this precision alone: they may be large."""
        if self._packed is None or self._packed[0] is not single:
            self._packed, self._uses = None, 0
            self._packed = single, *packed_cost(self.cost, dtype)
        _, costs, per_unit = self._packed
        if self._uses == _RENT and worth_keeping(self.cost, dtype):
            matrix = np.empty(self.cost.shape, dtype=dtype)

            def work(k: int) -> None:
                first, last = self._rows(k)
                cost_rows(costs, first, last, matrix[first:last])

            self._threads.share(self._chunks, work)
            self._packed = single, (matrix,), per_unit
        self._uses += 1
        return self._packed[1:]
