"""Columns drawn from the rows of entropic plans.

P(j | i)  proportional to  exp((g_j - C_ij) / eps)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.sinkhorn import sinkhorn

__all__ = ["draws"]

# Entries of a plan that are looked at at a time.
_IN_CACHE = 2**16


def draws(
    costs: list[NDArray[Any]], uniforms: list[NDArray[np.float64]], eps: float, **options: Any
) -> list[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """For every matrix one column for each row, drawn from the row of its plan, and the entropies of these rows.

    `uniforms` has a number in [0, 1) for each row; where it lies in the row's cumulated law is what is drawn. Rows have
    exactly their mass, since the law of each is normalised: what a plan's marginals lack is in the columns.
    """
    solved = sinkhorn(costs, eps=eps, **options) if len(costs) > 1 else [sinkhorn(costs[0], eps=eps, **options)]
    return [_drawn(C, t.g, t.eps, u) for C, t, u in zip(costs, solved, uniforms, strict=True)]


def _drawn(
    C: NDArray[Any], g: NDArray[np.float64], eps: float, uniforms: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    n, m = C.shape
    columns, entropies = np.empty(n, np.intp), np.empty(n)
    step = max(_IN_CACHE // m, 1)
    for k in range(0, n, step):
        some = slice(k, k + step)
        exponents = (g - C[some]) / eps
        exponents -= exponents.max(axis=1, keepdims=True)
        masses = np.exp(exponents)
        cumulated = np.cumsum(masses, axis=1)
        total = cumulated[:, -1]
        entropies[some] = np.log(total) - np.einsum("ij,ij->i", masses, exponents) / total
        columns[some] = (cumulated <= (uniforms[some] * total)[:, np.newaxis]).sum(axis=1)
    return np.minimum(columns, m - 1), entropies
