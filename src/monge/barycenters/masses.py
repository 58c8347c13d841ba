"""The best masses for given places: min_a sum_k w_k OT(a, mu_k) over all a.

For one measure each of its points goes to the nearest place. For more it is a linear programme, of which only those
arcs are put before the solver that may be in use: its potentials tell which others would lower the value, and these are
added until there are none (column generation; Dantzig and Wolfe 1960).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.exact import programme, transformed
from monge.problem.arrays import require_memory

__all__ = ["best_masses"]

Array = NDArray[np.float64]
Arcs = tuple[NDArray[np.int64], NDArray[np.int64]]

# Arcs of a point to its nearest places to begin with, and those added for a point at a time.
_NEAREST, _ADDED = 4, 4
# Beside the costs: what an arc would save, if it is not rounding.
_VISIBLE = 1e-10


def best_masses(
    costs: Sequence[Array], masses: Sequence[Array], weights: Array, plans: Sequence[Arcs], time_limit: float = math.inf
) -> Array:
    """The masses a (n,), for costs (n, n_k) between places and points, whose masses sum to one.

    `plans` are the rows and columns of plans from some a, with which the search begins.
    """
    n = costs[0].shape[0]
    if len(costs) == 1:
        return np.bincount(costs[0].argmin(axis=0), masses[0], n)
    size = sum(C.size for C in costs)
    require_memory(9 * size, f"{size} costs between places and points", "Take fewer points, or leave free_masses out.")
    across = [np.ascontiguousarray(C.T) for C in costs]  # the points send
    unit = max(float(np.abs(C).max()) for C in costs) or 1.0
    listed = []
    for C, (rows, columns) in zip(across, plans, strict=True):
        arcs = np.zeros(C.shape, dtype=bool)
        arcs[columns, rows] = True
        near = np.argpartition(C, min(_NEAREST, n) - 1, axis=1)[:, :_NEAREST]
        np.put_along_axis(arcs, near, True, axis=1)
        listed.append(arcs)
    while True:
        some = [np.where(arcs, C, np.inf) for C, arcs in zip(across, listed, strict=True)]
        a, g = programme(masses, some, weights, time_limit=time_limit)
        g -= weights @ g
        added = 0
        for C, part, arcs, potential in zip(across, some, listed, g, strict=True):
            saved = transformed(part, potential)[:, np.newaxis] + potential - C
            saved[arcs] = 0.0
            best = np.argpartition(saved, -min(_ADDED, n), axis=1)[:, -_ADDED:]
            new = np.take_along_axis(saved, best, axis=1) > _VISIBLE * unit
            added += int(new.sum())
            np.put_along_axis(arcs, best, np.take_along_axis(arcs, best, axis=1) | new, axis=1)
        if added == 0:
            return a
