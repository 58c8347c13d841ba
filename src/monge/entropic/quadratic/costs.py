"""Costs as the solver of L2-regularised transport looks at them: a matrix, or the stored entries of a sparse one.

Both start from exact potentials, list the arcs of a step, say what arcs cost, and can leave out places without weight.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.arcs import ROUNDED, Arcs, Steps, listed
from monge.entropic.kernels.threads import Threads
from monge.exact import _core
from monge.exact.dense import dense
from monge.exact.result import transport
from monge.exact.sparse import solve_sparse
from monge.problem.arrays import require_memory
from monge.problem.costs import Cost, SparseCost
from monge.problem.transport import Transport

__all__ = ["EntryCosts", "MatrixCosts", "Start", "costs_of"]

Array = NDArray[np.float64]
Weights = tuple[Array, Array]
Start = tuple[Any, Any, Any, Any]  # f (n,), g (m,), and rows and columns of arcs; None for what is not known


class MatrixCosts:
    """All n * m costs."""

    def __init__(self, C: NDArray[Any]) -> None:
        self.C = C

    def exact(self, weights: Weights, rounding: float, start: Start, threads: int, limit: float) -> Transport:
        """The exact plan and its potentials; `rounding` is that of the numbers the weights were made from."""
        raw = _core.emd(self.C, *weights, rounding, (*start, None, None), threads, limit, None)
        return transport(raw, self.C, weights)

    def among(self, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> MatrixCosts:
        """Those between some of the rows and some of the columns, in order."""
        whole = len(rows) == self.C.shape[0] and len(cols) == self.C.shape[1]
        if whole:
            return self
        size, what = len(rows) * len(cols) * self.C.itemsize, f"a copy of the {len(rows)} x {len(cols)} costs"
        require_memory(size, f"{what} between places with weight", "Leave out places without weight.")
        return MatrixCosts(self.C[np.ix_(rows, cols)])

    def listed(self, base: Steps, unit: float, here: Steps, there: Steps, most: int, threads: Threads) -> Arcs:
        """As `arcs.listed`."""
        return listed(self.C, base, unit, here, there, most, threads)

    def at(self, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> Array:
        """The costs of some arcs."""
        return self.C[rows, cols].astype(np.float64)

    def transform(self, g: Array, rows: NDArray[np.intp]) -> Array:
        """min_j C_ij - g_j for some rows i; a column with g_j = -inf does not count."""
        return np.array([float((self.C[i] - g).min()) for i in rows])

    @property
    def T(self) -> MatrixCosts:
        return MatrixCosts(self.C.T)


class EntryCosts:
    """The stored entries of a sparse matrix."""

    def __init__(self, entries: Any) -> None:
        self.entries = entries  # a scipy.sparse.csr_array

    def exact(self, weights: Weights, rounding: float, start: Start, threads: int, limit: float) -> Transport:
        return solve_sparse(SparseCost(self.entries), weights, rounding, start[1], limit, None)

    def among(self, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> EntryCosts:
        whole = (len(rows), len(cols)) == self.entries.shape
        return self if whole else EntryCosts(self.entries[rows][:, cols])

    def listed(self, base: Steps, unit: float, here: Steps, there: Steps, most: int, threads: Threads) -> Arcs:
        """All of them: they are few, or they would not be stored so."""
        C = self.entries
        rows, taken = _rows(C), base[1][C.indices]
        reduced = C.data - taken - base[0][rows]
        reduced[np.abs(reduced) <= ROUNDED * (np.abs(taken) + np.abs(base[0][rows]))] = 0.0
        with np.errstate(over="ignore"):  # far from any use
            return Arcs(C.indptr.astype(np.int64), C.indices.astype(np.int32), reduced / unit)

    def at(self, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> Array:
        C = self.entries  # sorted by rows, and within them by columns
        keys = _rows(C) * C.shape[1] + C.indices
        return np.asarray(C.data[np.searchsorted(keys, rows * C.shape[1] + cols)])

    def transform(self, g: Array, rows: NDArray[np.intp]) -> Array:
        C = self.entries
        each = (slice(C.indptr[i], C.indptr[i + 1]) for i in rows)
        return np.array([float((C.data[row] - g[C.indices[row]]).min(initial=math.inf)) for row in each])

    @property
    def T(self) -> EntryCosts:
        from scipy.sparse import csr_array

        return EntryCosts(csr_array(self.entries.T))


def costs_of(cost: Cost | SparseCost, threads: int) -> MatrixCosts | EntryCosts:
    """MemoryError if the matrix of a point cloud or of a grid would not fit."""
    if not isinstance(cost, SparseCost):
        return MatrixCosts(dense(cost, threads))
    from scipy.sparse import csr_array

    return EntryCosts(csr_array((cost.cost, cost.col, cost.begin), shape=cost.shape))


def _rows(C: Any) -> NDArray[np.int64]:
    """The row of each entry."""
    return np.repeat(np.arange(C.shape[0], dtype=np.int64), np.diff(C.indptr))
