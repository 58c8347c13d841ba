"""Products of matrices, full or sparse, with the same digits for any number of threads."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.costs import is_sparse
from monge.spread.blas import one_thread
from monge.spread.threads import in_threads

__all__ = ["priced", "sums_of", "times"]

# Rows of a product at a time, and products with fewer multiplications than this that are made at once.
_ROWS, _AT_ONCE = 128, 1 << 22


def times(left: Any, right: Any, threads: int = 1) -> Any:
    """left @ right, of full or sparse matrices; sparse only if both are."""
    if is_sparse(left):
        return left @ right
    if is_sparse(right):
        return (right.T @ left.T).T
    if left.size * right.shape[1] <= _AT_ONCE:
        return left @ right
    out = np.empty((len(left), right.shape[1]), dtype=np.result_type(left, right))

    def block(index: int) -> None:
        some = slice(index * _ROWS, (index + 1) * _ROWS)
        np.matmul(left[some], right, out=out[some])

    with one_thread:
        for _ in in_threads(block, -(-len(left) // _ROWS), threads, math.inf):
            pass
    return out


def priced(plan: Any, costs: NDArray[Any]) -> float:
    """<P, C> of a plan, an array or sparse, and a full matrix."""
    if is_sparse(plan):
        entries = plan.tocoo()
        return float(entries.data @ costs[entries.row, entries.col])
    return float(np.einsum("ij,ij->", plan, costs))  # BLAS would start threads for so little


def sums_of(plan: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """P 1 (n,) and P' 1 (m,) of a plan: an array, sparse, or lazy."""
    return np.asarray(plan.sum(axis=1)).reshape(-1), np.asarray(plan.sum(axis=0)).reshape(-1)
