"""The plan of an entropic problem, which is computed where it is looked at and never stored.

P_ij = a_i b_j exp((f_i + g_j - C_ij) / eps)
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from monge.entropic.blocks import cost_block, row_blocks
from monge.problem.arrays import real_array, require_memory
from monge.problem.costs import Cost, CostMatrix, PointCloud

__all__ = ["LazyPlan"]

Array = NDArray[np.float64]


class LazyPlan:
    """A plan P (n, m) given by potentials. Every use computes its entries anew, in double precision, block by block.

    It takes part in products (``P @ v``, ``v @ P``, vectors and matrices), has ``P.T``, ``P.sum(axis)``, rows
    (``P[i]``, ``P[2:5]``), the largest entries of each row (``P.top(k)``), and ``P.toarray()``.

    Examples
    --------
    >>> import numpy as np, monge
    >>> P = monge.sinkhorn(np.array([[0.0, 1.0], [1.0, 0.0]]), eps=0.5).plan
    >>> P.toarray().round(3)
    array([[0.44, 0.06],
           [0.06, 0.44]])
    >>> (P @ [1.0, 0.0]).round(3), P[0].round(3)
    (array([0.44, 0.06]), array([0.44, 0.06]))
    """

    ndim = 2
    dtype = np.dtype(np.float64)
    __array_ufunc__ = None  # v @ P is for __rmatmul__

    def __init__(self, cost: Cost, a: Array, b: Array, f: Array, g: Array, eps: float) -> None:
        self.shape = cost.shape
        self._cost, self._eps = cost, eps
        self._weights, self._potentials = (a, b), (f, g)
        # Logarithms, since the weights and the exponentials may be beyond what their product is.
        with np.errstate(divide="ignore"):
            self._rows, self._columns = f / eps + np.log(a), g / eps + np.log(b)

    @property
    def T(self) -> LazyPlan:
        """The transposed plan (m, n)."""
        turned = self._cost
        if isinstance(turned, CostMatrix):
            turned = CostMatrix(turned.C.T)
        elif isinstance(turned, PointCloud):
            turned = PointCloud(turned.y, turned.x, turned.cost)
        return LazyPlan(turned, *self._weights[::-1], *self._potentials[::-1], self._eps)

    def toarray(self) -> Array:
        """All entries, as an array (n, m)."""
        n, m = self.shape
        require_memory(n * m * 8, f"the {n} x {m} plan as an array", "Use products, rows or top(k) instead.")
        out = np.empty(self.shape)
        for rows, entries, _ in self.blocks():
            out[rows] = entries
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a lazy plan is computed when it becomes an array; copy=False is not possible.")
        return self.toarray() if dtype is None else self.toarray().astype(dtype)

    def __getitem__(self, rows: Any) -> Array:
        """Rows, as an array: (m,) for an integer, (k, m) for a slice, a mask or a list of integers."""
        if isinstance(rows, tuple):
            raise TypeError("a lazy plan gives whole rows, plan[i] or plan[2:5]; take columns of those, or of plan.T.")
        index = np.arange(self.shape[0])[rows]
        entries = self._entries(np.atleast_1d(index), cost_block(self._cost, np.atleast_1d(index)))
        return entries if index.ndim else entries[0]

    def __matmul__(self, values: Any) -> Array:
        values = self._operand(values, 1)
        out = np.empty((self.shape[0], *values.shape[1:]))
        for rows, entries, _ in self.blocks():
            out[rows] = entries @ values
        return out

    def __rmatmul__(self, values: Any) -> Array:
        values = self._operand(np.transpose(values), 0)
        out = np.zeros((self.shape[1], *values.shape[1:]))
        for rows, entries, _ in self.blocks():
            out += entries.T @ values[rows]
        return out.T

    def sum(self, axis: int | None = None) -> Any:
        """The total mass, or the marginal: (m,) for axis 0, (n,) for axis 1."""
        if axis not in (None, 0, 1, -1, -2):
            raise ValueError(f"axis should be None, 0 or 1; got {axis!r}.")
        sent, received, _ = self.measured
        if axis is None:
            return float(sent.sum())
        return (received if axis in (0, -2) else sent).copy()

    def top(self, k: int) -> Any:
        """The k largest entries of each row, as a scipy.sparse.coo_array (n, m)."""
        from scipy.sparse import coo_array

        n, m = self.shape
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= m:
            raise ValueError(f"k should be an integer from 1 to {m}, the number of columns; got {k!r}.")
        columns, mass = np.empty((n, k), dtype=np.int64), np.empty((n, k))
        for rows, entries, _ in self.blocks():
            best = np.sort(np.argpartition(entries, m - k, axis=1)[:, m - k :], axis=1)
            columns[rows], mass[rows] = best, np.take_along_axis(entries, best, axis=1)
        return coo_array((mass.ravel(), (np.repeat(np.arange(n), k), columns.ravel())), shape=self.shape)

    @cached_property
    def measured(self) -> tuple[Array, Array, float]:
        """Row sums (n,), column sums (m,) and the transport cost <P, C>, from one pass over all pairs."""
        sent, received, price = np.empty(self.shape[0]), np.zeros(self.shape[1]), 0.0
        for rows, entries, C in self.blocks():
            sent[rows] = entries.sum(axis=1)
            received += entries.sum(axis=0)
            price += float((entries * np.where(entries > 0.0, C, 0.0)).sum())
        return sent, received, price

    def objective(self, x: Array, y: Array, u: Array, v: Array) -> tuple[float, Array, Array]:
        """<G, C> + eps sum_ij G_ij log(G_ij / (a_i b_j)) for G = diag(x) P diag(y) + u v', and the row and column sums
        of G."""
        a, b = self._weights
        objective, sent, received = 0.0, np.empty(self.shape[0]), np.zeros(self.shape[1])
        for rows, entries, C in self.blocks():
            entries *= x[rows, np.newaxis] * y
            entries += u[rows, np.newaxis] * v
            with np.errstate(invalid="ignore"):
                objective += float(np.where(entries > 0.0, entries * C, 0.0).sum())
            objective += self._eps * float(rel_entr(entries, a[rows, np.newaxis] * b).sum())
            sent[rows] = entries.sum(axis=1)
            received += entries.sum(axis=0)
        return objective, sent, received

    def blocks(self) -> Iterator[tuple[slice, Array, Array]]:
        """(rows, their entries (k, m), their costs (k, m)), from the first row to the last."""
        for rows in row_blocks(*self.shape):
            C = cost_block(self._cost, rows)
            yield rows, self._entries(rows, C), C

    def _entries(self, rows: Any, C: Array) -> Array:
        exponents = C * (-1.0 / self._eps)
        # First what cancels most: potentials and costs, then weights.
        exponents += self._columns
        exponents += self._rows[rows, np.newaxis]
        return np.asarray(np.exp(exponents, out=exponents))

    def _operand(self, values: Any, side: int) -> NDArray[Any]:
        array = real_array(values, "the operand of @", (1, 2), "a vector or a matrix")
        if len(array) != self.shape[side]:
            raise ValueError(
                f"@ should get {self.shape[side]} rows for a plan of shape {self.shape}; got shape {array.shape}."
            )
        return array

    def __repr__(self) -> str:
        return f"LazyPlan(shape={self.shape}, eps={self._eps:.6g})"
