"""The specification of a kernel, exp(-C / eps), to be summed against in logarithms: others are compared with it.

    log_sum(values, single) log sum_j exp(values_kj - C_ij / eps), (k, n) of (k, m): a sum for each of k vectors. -inf
                            is a value, and what comes where all are; +inf is not. With `single`, which is False if left
                            out, in single precision where that is sooner done
    T                       the kernel from the columns to the rows
    transform(values)       min_j C_ij - values_kj, (k, n): what -eps log_sum(values / eps) tends to for small eps; -inf
                            leaves a column out
    shape                   (n, m)
    accuracy                of log_sum, in units of logarithms, or relative to larger ones: a tolerance below this is
                            out of reach
    accuracy_in_single      the same of what may be in single precision; equal to it if none is

The same bits come from any number of threads.

Values are not modified. What comes may be written to by the caller, and is float64 and contiguous.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

__all__ = ["ReferenceKernel"]

Array = NDArray[np.float64]


class ReferenceKernel:
    """Of a whole matrix of costs, in plain NumPy."""

    accuracy = accuracy_in_single = 1e-14

    def __init__(self, cost: Any, eps: float, threads: Any = None) -> None:
        self.cost, self.eps, self.threads = cost, eps, threads
        self.shape: tuple[int, int] = cost.shape
        self._costs: Array = cost.block(slice(None))

    @property
    def T(self) -> ReferenceKernel:
        return ReferenceKernel(self.cost.T, self.eps, self.threads)

    def log_sum(self, values: Array, single: bool = False) -> Array:
        with np.errstate(divide="ignore"):
            sums = [logsumexp(row - self._costs / self.eps, axis=1) for row in values]
        return np.array(sums).reshape(len(values), self.shape[0])

    def transform(self, values: Array) -> Array:
        least = [(self._costs - row).min(axis=1) for row in values]
        return np.array(least).reshape(len(values), self.shape[0])
