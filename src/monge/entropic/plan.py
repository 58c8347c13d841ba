"""The plan of an entropic problem, which is computed where it is looked at and never stored.

P_ij = a_i b_j exp((f_i + g_j - C_ij) / eps)
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.lazy import Lazy
from monge.problem.arrays import require_memory, shown

__all__ = ["LazyPlan"]

Array = NDArray[np.float64]


class LazyPlan(Lazy):
    """A plan P (n, m) that is given by potentials and never stored.

    Every use computes its entries anew, in double precision, on the threads of the solve that it comes from. A cost
    matrix is the caller's own, not a copy: entries are computed from it as it is then. Products and sums on a grid cost
    what a pass of `sinkhorn` does; those of a large cloud in few dimensions leave out entries that are next to nothing.

    It takes part in products (``P @ v``, ``v @ P``, vectors and matrices), has ``P.T``, ``P.sum(axis)``, rows
    (``P[i]``, ``P[2:5]``), the largest entries of each row (``P.top(k)``), and ``P.toarray()``.

    Attributes
    ----------
    shape : (int, int)
        Numbers of sources and targets, (n, m).
    T : LazyPlan (m, n)
        The transposed plan.

    Methods
    -------
    toarray()
        All entries.
    top(k)
        The largest entries of each row.
    sum(axis=None)
        The mass, or a marginal.

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

    def __init__(self, pairs: Any, f: Array, g: Array, eps: float) -> None:
        self._pairs, self._potentials = pairs, (f, g, eps)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        n, m = self._pairs.shape
        return n, m

    @property
    def T(self) -> LazyPlan:
        """The transposed plan (m, n)."""
        f, g, eps = self._potentials
        return LazyPlan(self._pairs.T, g, f, eps)

    def toarray(self) -> Array:
        """All entries, as an array.

        Returns
        -------
        ndarray (n, m)
            In double precision.

        Raises
        ------
        MemoryError
            If it would not fit.
        """
        n, m = self.shape
        require_memory(n * m * 8, f"the {n} x {m} plan as an array", "Use products, rows or top(k) instead.")
        out = np.empty(self.shape)
        self._pairs.over_rows(*self._potentials, lambda rows, entries: None, out)
        return out

    def __matmul__(self, values: Any) -> Array:
        values = self._operand(values, 1)
        if values.ndim == 1:
            return self._sums(None, values)[0]
        return np.asarray(self._pairs.product(*self._potentials, values))

    def __rmatmul__(self, values: Any) -> Array:
        values = self._operand(np.transpose(values), 0)
        if values.ndim == 1:
            return self._sums(values, None)[1]
        return np.asarray((self.T @ values).T)

    def top(self, k: int) -> Any:
        """The k largest entries of each row, as a sparse array.

        Parameters
        ----------
        k : int
            How many, from 1 to m.

        Returns
        -------
        scipy.sparse.coo_array (n, m)
            With k entries per row.

        Raises
        ------
        ValueError
            For another k.
        """
        from scipy.sparse import coo_array

        n, m = self.shape
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= m:
            raise ValueError(f"k should be an integer from 1 to {m}, the number of columns; got {shown(k)}.")
        columns, mass = np.empty((n, k), dtype=np.int64), np.empty((n, k))

        def choose(rows: slice, entries: Array) -> None:
            best = np.sort(np.argpartition(entries, m - k, axis=1)[:, m - k :], axis=1)
            columns[rows], mass[rows] = best, np.take_along_axis(entries, best, axis=1)

        self._pairs.over_rows(*self._potentials, choose)
        return coo_array((mass.ravel(), (np.repeat(np.arange(n), k), columns.ravel())), shape=self.shape)

    @cached_property
    def measured(self) -> tuple[Array, Array, float]:
        """Row sums (n,), column sums (m,) and the transport cost <P, C>, from one pass over the pairs."""
        return self._sums(np.ones(self.shape[0]), np.ones(self.shape[1]))

    def _sums(self, u: Array | None, v: Array | None) -> tuple[Array, Array, float]:
        sent, received, price = self._pairs.sums(*self._potentials, u, v)
        return sent, received, price

    def _rows_at(self, index: NDArray[np.intp]) -> Array:
        return np.asarray(self._pairs.entries(*self._potentials, index))

    def _marginal(self, axis: int) -> Array:
        sent, received, _ = self.measured
        return (sent if axis == 1 else received).copy()

    def __repr__(self) -> str:
        return f"LazyPlan(shape={self.shape}, eps={self._potentials[-1]:.6g})"
