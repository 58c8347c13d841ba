"""Pairs of a matrix or of points on a CPU: passes in the C++ core, on any number of threads.

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
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.all_pairs import AllPairs
from monge.entropic.kernels.layout import in_panels, rows_of
from monge.entropic.kernels.scale import NOISE, Scale, cost_scale
from monge.entropic.kernels.threads import CHUNKS

__all__ = ["NativePairs"]

Array = NDArray[np.float64]

# Column sums, relative to the largest weight, below which too much may have been cut off.
_LOST = 1e-22
# The ratio of the largest possible cost of a cloud to that of a sample from which there must be outliers, beside which
# the coordinates of the others have few digits: boxes around hundreds of dimensions have up to thirty.
_OUTLYING = 1e3

_LN2 = math.log(2.0)


class NativePairs(AllPairs):
    """A matrix or points and the weights of a problem; see `reference` for what pairs offer."""

    skipped, patience = 0.0, 30

    # The costs in use: in which precision, how to pass over some of their rows, and the factor to cost units.
    _packed: tuple[bool, Any, float] | None = None

    @cached_property
    def _logs(self) -> tuple[Array, Array]:
        """The logarithms of the weights, to base two."""
        with np.errstate(divide="ignore"):
            return np.log2(self.a), np.log2(self.b)

    @cached_property
    def _shift(self) -> Array:
        """The softmins of the rows in the last pass (n,), in cost units."""
        return np.zeros(len(self.a))

    @property
    def _chunks(self) -> int:
        return max(1, min(CHUNKS, len(self.a) // 64))

    @cached_property
    def _scale(self) -> Scale:
        return cost_scale(self.cost)

    @property
    def size(self) -> float:
        """The size of the costs."""
        return self._scale.size

    @property
    def exact_below(self) -> float:
        """The eps below which exact potentials are the better start."""
        return self._scale.exact_below

    @cached_property
    def noise(self) -> float:
        """What single precision adds to the marginal error, times eps."""
        points = self.cost.formed
        if points is not None and points.distance != "cosine":
            widest = points.reach**points.power
            if NOISE * widest > _OUTLYING * self._scale.noise:
                return float(NOISE * widest)
        return self._scale.noise

    def run(self, steps: Any, eps: float, single: bool, complete: bool) -> bool:
        """One pass."""
        f, g, s = steps.f, steps.g, steps.s
        dtype: Any = np.float32 if single else np.float64
        some_rows, per_unit = self._costs(single, dtype)
        unit = eps * _LN2
        log_a, log_b = self._logs
        rows, shift = f / unit, self._shift / unit  # in the core's units
        weights = log_b + g / unit
        reference = -weights.max()
        beta = in_panels((weights + reference).astype(dtype), -np.inf)
        lift = float((log_a + (rows - shift)).max())
        marginal = self.marginals[0]
        damp, cap = 1.0 / (1.0 + eps / marginal.kl), marginal.cap / unit

        def work(k: int) -> None:
            some_rows(
                beta, per_unit / unit, reference, log_a, damp, cap, lift, *self._rows(k), shift, rows, self._sums[k]
            )

        self.threads.share(self._chunks, work, len(f) * len(g))
        total = self._sums.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            s[:] = unit * (log_b - np.log2(total) - lift) + g
        weighty = log_b > -np.inf
        s[~weighty] = g[~weighty]
        np.multiply(rows, unit, out=f)
        np.multiply(shift, unit, out=self._shift)
        lost = np.flatnonzero(weighty & ~((total > _LOST) & (total < np.inf)))
        if lost.size:
            s[lost] = self.softmins(f, eps, lost)
        return True

    @cached_property
    def _sums(self) -> Array:
        return np.empty((self._chunks, self.shape[1]))

    def _rows(self, chunk: int) -> tuple[int, int]:
        n = self.shape[0]
        return chunk * n // self._chunks, (chunk + 1) * n // self._chunks

    def _costs(self, single: bool, dtype: Any) -> tuple[Any, float]:
        """A pass over some rows with the costs in this precision alone, since they may be large."""
        if self._packed is None or self._packed[0] is not single:
            self._packed = None
            self._packed = single, *rows_of(self.cost, dtype)
        return self._packed[1:]
