"""Kernels of matrices and point clouds: products with exp(-C / eps), which is kept, or made some rows at a time.

log sum_j exp(v_j - C_ij / eps)  =  log sum_j K_ij exp(v_j - s_j / eps) - r_i / eps

with K_ij = exp((r_i + s_j - C_ij) / eps), r_i = min_j C_ij and s_j = min_i C_ij - r_i, so that the largest entry of
each row and each column is one or near.

The exponentials of the k vectors are over the largest each, and their products with the rows are one product of
matrices. A sum that is lost, since the largest values are those of far places, is done again over its own largest term.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.threads import Threads
from monge.problem.costs import Cost
from monge.spread.blas import one_thread

__all__ = ["PairsKernel"]

Array = NDArray[np.float64]

# Pairs up to which the kernel is kept: 256 MB.
_KEPT = 2**25
# Pairs of the rows that are worked on at a time, and of a sum that is done again, which stay in the cache.
_CHUNK, _AGAIN = 2**18, 2**15
# The logarithm of the least factor, since numbers below the normal ones are slow: an entry below it is zero, and values
# are raised to it. Sums above the second number are right to rounding in spite of that.
_LEAST, _SAFE = -700.0, 1e-280


class PairsKernel:
    """Of any cost that gives its rows; see `reference` for what it offers.

    Always in double precision: products wait for the kernel to come from memory.
    """

    accuracy = accuracy_in_single = 1e-12

    def __init__(self, cost: Cost, eps: float, threads: Threads) -> None:
        self.cost, self.eps, self.threads = cost, eps, threads
        n, m = self.shape = cost.shape
        self._rows = max(1, min(_CHUNK // m, n))
        self._r, self._s = np.zeros(n), np.zeros(m)
        self._kept: Array | None = None
        if n * m <= _KEPT:
            self._keep()

    def _keep(self) -> None:
        n, m = self.shape
        kept = np.empty((n, m))

        def rows(chunk: slice) -> Array:
            kept[chunk] = self.cost.block(chunk)
            self._r[chunk] = _finite(kept[chunk].min(axis=1))
            return np.asarray((kept[chunk] - self._r[chunk, np.newaxis]).min(axis=0))

        self._s = _finite(np.min(self._over_rows(rows), axis=0))

        def exponentials(chunk: slice) -> None:
            _to_kernel(kept[chunk], self._r[chunk], self._s, self.eps)

        self._over_rows(exponentials)
        self._kept = kept

    @property
    def T(self) -> PairsKernel:
        back = PairsKernel.__new__(PairsKernel)  # which shares what is kept
        back.cost, back.eps, back.threads, back.shape = self.cost.T, self.eps, self.threads, self.shape[::-1]
        back._rows = max(1, min(_CHUNK // back.shape[1], back.shape[0]))
        back._r, back._s = self._s, self._r
        back._kept = None if self._kept is None else self._kept.T
        return back

    def log_sum(self, values: Array, single: bool = False) -> Array:
        """log sum_j exp(values_kj - C_ij / eps), (k, n)."""
        values = np.asarray(values, dtype=np.float64)
        scaled = values - self._s / self.eps
        largest = scaled.max(axis=1, keepdims=True)
        something = largest > -np.inf
        scaled -= np.where(something, largest, 0.0)
        np.maximum(scaled, _LEAST, out=scaled)
        np.exp(scaled, out=scaled)
        out = np.empty((len(values), self.shape[0]))

        def work(chunk: slice) -> None:
            costs, r = None, self._r[chunk]
            if self._kept is not None:
                kernel = self._kept[chunk]
            else:
                costs = self.cost.block(chunk)
                r = _finite(costs.min(axis=1))
                kernel = costs.copy()
                _to_kernel(kernel, r, self._s, self.eps)
            with np.errstate(divide="ignore", under="ignore"):
                sums = scaled @ kernel.T
                lost = (sums <= _SAFE) & something
                np.log(sums, out=sums)
            sums += largest - r / self.eps
            if lost.any():
                self._again(values, chunk, costs, lost, sums)
            out[:, chunk] = sums

        with one_thread:
            self._over_rows(work)
        return out

    def _again(self, values: Array, chunk: slice, costs: Array | None, lost: NDArray[np.bool_], out: Array) -> None:
        """Sums (k, rows of the chunk) that are lost, each over its own largest term."""
        logs = np.divide(self.cost.block(chunk) if costs is None else costs, -self.eps)
        step = max(1, _AGAIN // self.shape[1])
        for k in np.flatnonzero(lost.any(axis=1)):
            places = np.flatnonzero(lost[k])
            for some in range(0, len(places), step):
                rows = places[some : some + step]
                terms = logs[rows]
                terms += values[k]
                largest = terms.max(axis=1, keepdims=True)
                largest[largest == -np.inf] = 0.0
                terms -= largest
                with np.errstate(under="ignore", divide="ignore"):
                    np.exp(terms, out=terms)
                    out[k, rows] = np.log(terms.sum(axis=1)) + largest[:, 0]

    def transform(self, values: Array) -> Array:
        """min_j C_ij - values_kj, (k, n)."""
        out = np.empty((len(values), self.shape[0]))

        def work(chunk: slice) -> None:
            costs = self.cost.block(chunk)
            for k, row in enumerate(values):
                out[k, chunk] = (costs - row).min(axis=1)

        self._over_rows(work)
        return out

    def _over_rows(self, work: Callable[[slice], Any]) -> list[Any]:
        """work(rows) for all chunks of rows, cut by their number alone."""
        n, m = self.shape
        chunks = -(-n // self._rows)
        return self.threads.share(chunks, lambda k: work(slice(k * self._rows, min((k + 1) * self._rows, n))), n * m)


def _to_kernel(costs: Array, r: Array, s: Array, eps: float) -> None:
    """In place."""
    np.subtract(r[:, np.newaxis], costs, out=costs)
    costs += s
    costs /= eps
    lost = costs < _LEAST
    costs[lost] = 0.0
    np.exp(costs, out=costs)
    costs[lost] = 0.0


def _finite(least: Array) -> Array:
    """0 where all arcs are forbidden."""
    return np.where(least < np.inf, least, 0.0)
