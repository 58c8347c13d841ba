"""Pairs of rows and columns of least total cost: each of the longer side once, the shorter side as evenly as it goes.

minimise  sum_i C[i, j(i)]  over j with  floor(n / m) <= #{i : j(i) = j} <= ceil(n / m)  for every j,  n >= m
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.exact.emd import emd

__all__ = ["Pairs", "matchings", "needs_terms"]

Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]


def needs_terms(n: int, m: int) -> tuple[bool, bool]:
    """Whether terms of rows, and terms of columns, have a say: those of a side that takes part unevenly do."""
    return m > n and m % n > 0, n > m and n % m > 0


def matchings(costs: list[NDArray[Any]], **options: Any) -> list[Pairs]:
    """For every matrix the rows and the columns of its pairs, by rows; `options` are those of `emd`.

    With m columns and n = q m + r rows, every column takes q rows and r of the columns one more. Which ones is part of
    the problem: each column gets a twin that takes one row, and one source more fills the twins that stay without. A
    transport problem with whole masses has whole optimal plans, and the simplex ends at one.
    """
    timed = options.get("time_limit") is not None
    problems = [_problem(C if C.shape[0] >= C.shape[1] else C.T, timed) for C in costs]
    matrices, a, b = (list(each) for each in zip(*problems, strict=True))
    plans = emd(matrices, a, b, **options) if len(costs) > 1 else [emd(matrices[0], a[0], b[0], **options)]
    return [_pairs(t.plan, C.shape) for t, C in zip(plans, costs, strict=True)]


def _problem(
    C: NDArray[Any], timed: bool
) -> tuple[NDArray[Any], NDArray[np.float64] | None, NDArray[np.float64] | None]:
    n, m = C.shape
    if n == m:
        return C, None, None
    each, more = divmod(n, m)
    if more == 0:
        return C, np.ones(n), np.full(m, float(each))
    twins = np.empty((n + 1, 2 * m), dtype=C.dtype)
    twins[:n, :m] = twins[:n, m:] = C
    twins[n, :m], twins[n, m:] = np.inf, 0.0
    if timed:  # Nothing is forbidden, so that there is a plan at any time: what no optimal plan does costs more than
        low, high = C.min(), C.max()  # any row saves that goes from a column to a twin.
        twins[n, :m], twins[n, m:] = high + (high - low), low
    return twins, np.append(np.ones(n), float(m - more)), np.append(np.full(m, float(each)), np.ones(m))


def _pairs(plan: Any, shape: tuple[int, ...]) -> Pairs:
    """Of the entries of an optimal plan."""
    n, m = max(shape), min(shape)
    unit = 1.0 / n if shape[0] == shape[1] else 1.0
    used = (plan.data > 0.5 * unit) & (plan.row < n)
    longer, shorter = plan.row[used].astype(np.intp), plan.col[used].astype(np.intp)
    # Where time ran out, the source that fills twins may fill columns, too: rows of twins go there in its place.
    filled = (plan.row == n) & (plan.col < m)
    filler = np.repeat(plan.col[filled], np.rint(plan.data[filled]).astype(np.intp))
    shorter[np.flatnonzero(shorter >= m)[: len(filler)]] = filler
    shorter %= m
    if len(longer) != n:
        raise RuntimeError(f"a plan of {n} rows has {len(longer)} whole entries; please report this problem.")
    rows, columns = (longer, shorter) if shape[0] >= shape[1] else (shorter, longer)
    order = np.lexsort((columns, rows))
    return rows[order], columns[order]
