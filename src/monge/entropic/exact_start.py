"""Potentials of the problem without entropy, which those of a small eps are near.

Where eps is a small share of the costs, and parts of the problem exchange little mass on its scale, passes take long to
tell how far the potentials of these parts are apart. The exact solver finds that at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.exact.emd import emd
from monge.problem.costs import Cost, CostMatrix
from monge.problem.transport import InfeasibleError

__all__ = ["exact_columns"]

Array = NDArray[np.float64]

# Pairs up to which the whole problem is solved, for stored costs and for those that are stored for this alone; and the
# places of a sample that is solved in place of a larger one.
_WHOLE, _WHOLE_COMPUTED, _SAMPLE = 10**8, 2**24, 4096


def exact_columns(pairs: Any) -> Array | None:
    """Potentials g (m,) of an optimal plan, or of one for a sample of the mass if the problem is large; None if the
    forbidden arcs leave none. Weights have the same total."""
    cost, a, b, threads = pairs.cost, pairs.a, pairs.b, pairs.threads.number
    rows, columns = _chosen(cost, a, b)
    try:
        if rows is None or columns is None:
            return _centred(emd(cost, a, b * (a.sum() / b.sum()), threads=threads).g)
        # As many places each, for equal parts of the mass.
        places, counts_a = np.unique(rows, return_counts=True)
        targets, counts_b = np.unique(columns, return_counts=True)
        t = emd(CostMatrix(cost.between(places, targets)), counts_a, counts_b, threads=threads)
    except InfeasibleError:
        return None
    g = np.full(len(b), -np.inf)
    g[targets] = t.g
    return _centred(pairs.transforms(g)[1])


def _centred(g: Array) -> Array:
    """About zero: a constant that f and g share says nothing, and takes their digits."""
    return g - np.median(g)


def _chosen(cost: Cost, a: Array, b: Array) -> tuple[NDArray[np.intp] | None, NDArray[np.intp] | None]:
    """Rows and columns that stand for all, drawn at even steps along the mass; None for all of them."""
    n, m = cost.shape
    if n * m <= (_WHOLE if cost.stored else _WHOLE_COMPUTED):
        return None, None
    steps = (np.arange(_SAMPLE) + 0.5) / _SAMPLE

    def along(weights: Array) -> NDArray[np.intp]:
        mass = np.cumsum(weights)
        return np.asarray(np.searchsorted(mass, steps * mass[-1]))

    return along(a), along(b)
