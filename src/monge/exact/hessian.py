"""Products of the second derivative of an exact optimum with a direction.

The optimum is piecewise linear in the costs and in the weights. Where its plan is the only one, it stays as the costs
change, so that a derivative with respect to points changes with the costs' derivatives alone:

    d(dV/dx_i) = sum_j P_ij d(dc(x_i, y_j) / dx_i).

As weights change, masses on the plan's arcs do, and as costs change the potentials do. Both follow from the arcs where
these are a spanning tree, n + m - 1 of them with mass: f_i + g_j = C_ij along the tree, and masses that add up to a
and b. With fewer, the potentials are not the only ones, and the optimum has a corner there as a function of weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu

from monge.problem.hessian import Direction, MovedCloud, off_totals, with_equal_totals

__all__ = ["hessian_product"]

Array = NDArray[np.float64]


def hessian_product(
    entries: tuple[NDArray[np.int64], NDArray[np.int64], Array],
    weights: tuple[Array, Array],
    gradients: tuple[Array, Array],
    cloud: Any,
    along: Direction,
    wanted: Direction,
) -> Direction:
    """How derivatives of the optimum change along a direction: those that `wanted` has, whatever it has there.

    `entries` are the rows, columns and masses of the plan, `gradients` the derivatives with respect to the weights, and
    `cloud` is the PointCloud of the costs, if they come from one.

    Raises
    ------
    RuntimeError
        For derivatives with respect to weights where the plan's arcs are no spanning tree, and for a ground cost that
        is a function.
    """
    a, b = weights
    n, m = len(a), len(b)
    rows, columns, mass = entries
    moved_a, moved_b = (np.zeros_like(w) if u is None else u for u, w in ((along.a, a), (along.b, b)))
    moves, of_weights = bool(moved_a.any() or moved_b.any()), wanted.a is not None or wanted.b is not None
    of_points = wanted.x is not None or wanted.y is not None
    pairs = moved = None
    if of_points or along.x is not None or along.y is not None:
        moved = MovedCloud(cloud, along.x, along.y)
        pairs = moved.pairs(rows, columns)
    slope = pairs.slope if pairs is not None else np.zeros(len(mass)) if along.C is None else along.C[rows, columns]
    more = np.zeros_like(mass)
    found: dict[str, Array] = {}
    if moves or (of_weights and slope.any()):
        tree = _Tree(rows, columns, n, m)
        if moves:
            more = tree.masses(*with_equal_totals(moved_a, moved_b, a, b))
        changes = tree.potentials(slope)
    else:
        changes = np.zeros(n), np.zeros(m)
    if of_weights:
        found["a"], found["b"] = off_totals(changes, (moved_a, moved_b), gradients, weights)
    if pairs is not None and moved is not None:
        forces = list(pairs.forces(mass)) or [np.zeros_like(mass)] * moved.d
        changes_at = list(pairs.changes(mass, more))
        found["x"], found["y"] = moved.turned(
            (_by_place(forces, rows, n), _by_place(forces, columns, m)),
            (_by_place(changes_at, rows, n), _by_place(changes_at, columns, m)),
        )
    elif wanted.C is not None:
        found["C"] = np.zeros((n, m))
        found["C"][rows, columns] = more
    return Direction(**{k: v for k, v in found.items() if getattr(wanted, k) is not None})


def _by_place(parts: Iterable[Array], places: NDArray[np.int64], size: int) -> Array:
    """Sums (size, d) of what arcs contribute to their places, from one array of them per coordinate."""
    return np.stack([np.bincount(places, part, size).astype(np.float64) for part in parts], axis=1)


class _Tree:
    """The arcs of a plan that are a spanning tree. RuntimeError if they are none."""

    def __init__(self, rows: NDArray[np.int64], columns: NDArray[np.int64], n: int, m: int) -> None:
        count = len(rows)
        if count < n + m - 1:
            raise RuntimeError(
                f"the optimum has no second derivative with respect to weights here: its plan has {count} arcs, fewer "
                f"than the {n + m - 1} that determine the potentials, as for uniform weights. Detach the weights, move "
                "them off the corner, or use the entropic value, which is smooth."
            )
        places = np.concatenate([rows, columns + n])
        meet = coo_array((np.ones(2 * count), (places, np.tile(np.arange(count), 2))), shape=(n + m, count))
        self._n, self._factors = n, splu(meet.tocsc()[:-1])  # the last equation follows from the others

    def potentials(self, costs: Array) -> tuple[Array, Array]:
        """f and g with f_i + g_j = C_ij along the tree."""
        both = np.append(self._factors.solve(costs, trans="T"), 0.0)
        return both[: self._n], both[self._n :]

    def masses(self, a: Array, b: Array) -> Array:
        """What flows along the tree from weights a to weights b."""
        return np.asarray(self._factors.solve(np.concatenate([a, b])[:-1]))
