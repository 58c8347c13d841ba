"""Costs of some arcs alone: the others are forbidden."""

from __future__ import annotations

from typing import Any

import numpy as np

from monge.problem._ground import LARGEST_COST
from monge.problem.arrays import real_array

__all__ = ["SparseCost", "is_sparse"]


class SparseCost:
    """The stored entries of a scipy.sparse matrix or array, row by row; all other arcs are forbidden.

    An explicit zero is an arc that costs nothing. Entries at the same place are summed, as everywhere in SciPy. A
    stored +inf forbids its arc.

    Attributes
    ----------
    begin : ndarray (n + 1,) of int64
        Entries begin[i], ..., begin[i + 1] - 1 are those of row i, by increasing column.
    col : ndarray (entries,) of int32
    cost : ndarray (entries,) of float64
    """

    home = None  # scipy.sparse is NumPy's

    def __init__(self, matrix: Any) -> None:
        if len(matrix.shape) != 2:
            raise ValueError(f"cost should be a sparse (n, m) matrix; got shape {matrix.shape}.")
        self.shape: tuple[int, int] = (int(matrix.shape[0]), int(matrix.shape[1]))
        if 0 in self.shape:
            raise ValueError(f"cost should have at least one row and one column; got shape {self.shape}.")
        csr = matrix.tocsr()
        if not csr.has_canonical_format:
            csr = csr.copy() if csr is matrix else csr
            csr.sum_duplicates()
        cost = np.ascontiguousarray(real_array(csr.data, "cost", 1, "a sparse (n, m) matrix"), dtype=np.float64)
        begin, col = csr.indptr, csr.indices
        if col.size > 0 and not 0 <= col.min() <= col.max() < self.shape[1]:  # SciPy does not look
            raise ValueError(
                f"cost should have column indices from 0 to {self.shape[1] - 1}; got {col.min()} to {col.max()}."
            )
        usable = np.abs(cost) <= LARGEST_COST
        if not usable.all():
            bad = ~usable & (cost != np.inf)
            if bad.any():
                at = int(np.argmax(bad))
                row = int(np.searchsorted(begin, at, side="right")) - 1
                raise ValueError(
                    "cost should hold numbers up to 1e290, or +inf for a forbidden arc, but not NaN or -inf; "
                    f"cost[{row}, {col[at]}] = {cost[at]}."
                )
            begin = np.concatenate([[0], np.cumsum(usable)])[begin]
            cost, col = cost[usable], col[usable]
        self.cost = cost
        self.begin = np.ascontiguousarray(begin, dtype=np.int64)
        self.col = np.ascontiguousarray(col, dtype=np.int32)

    def __repr__(self) -> str:
        return f"SparseCost(shape={self.shape}, entries={len(self.cost)})"


def is_sparse(cost: Any) -> bool:
    """Whether `cost` is a matrix or array of scipy.sparse, in any format. Does not import it."""
    return hasattr(cost, "tocsr") and hasattr(cost, "nnz")
