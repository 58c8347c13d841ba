"""The plan of an entropic problem, which is computed where it is looked at and never stored.

P_ij = a_i b_j exp((f_i + g_j - C_ij) / eps)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from monge.entropic._rows import panel_size, plan_entries, plan_entropy, plan_product, plan_sums
from monge.entropic.blocks import cost_block, row_blocks, turned
from monge.entropic.kernels.packed import in_panels, packed_points
from monge.entropic.kernels.threads import CHUNKS, Threads
from monge.entropic.lazy import Lazy
from monge.problem.arrays import available_threads, require_memory, shown
from monge.problem.costs import Cost, CostMatrix, Grid, PointCloud

__all__ = ["LazyPlan", "over_chunks"]

Array = NDArray[np.float64]
Result = TypeVar("Result")

# Pairs from which threads pay for their start.
_PARALLEL = 2**19
# Entries at a time, which stay in cache between the few operations on them.
_BLOCK = 2**16

_LN2 = math.log(2.0)


def over_chunks(n: int, m: int, work: Callable[[slice], Result]) -> list[Result]:
    """work(rows) for all chunks of n rows of m numbers, on all processors; in their order."""
    chunks = min(CHUNKS, n)
    results: list[Any] = [None] * chunks

    def one(k: int) -> None:
        results[k] = work(slice(k * n // chunks, (k + 1) * n // chunks))

    with Threads(available_threads(None) if n * m > _PARALLEL else 1) as threads:
        threads.share(chunks, one)
    return results


class LazyPlan(Lazy):
    """A plan P (n, m) given by potentials. Every use computes its entries anew, in double precision, on all processors.

    A cost matrix is the caller's own, not a copy: entries are computed from it as it is then.

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

    def __init__(self, cost: Cost, a: Array, b: Array, f: Array, g: Array, eps: float) -> None:
        self._cost, self._eps = cost, eps
        self._weights, self._potentials = (a, b), (f, g)
        # Logarithms, since the weights and the exponentials may be beyond what their product is.
        with np.errstate(divide="ignore"):
            self._rows, self._columns = f / eps + np.log(a), g / eps + np.log(b)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        return self._cost.shape

    @property
    def T(self) -> LazyPlan:
        """The transposed plan (m, n)."""
        return LazyPlan(turned(self._cost), *self._weights[::-1], *self._potentials[::-1], self._eps)

    def toarray(self) -> Array:
        """All entries, as an array (n, m)."""
        n, m = self.shape
        require_memory(n * m * 8, f"the {n} x {m} plan as an array", "Use products, rows or top(k) instead.")
        out = np.empty(self.shape)

        def work(chunk: slice) -> None:
            for rows in self._blocks(chunk):
                self._block(rows, out[rows])

        over_chunks(*self.shape, work)
        return out

    def __matmul__(self, values: Any) -> Array:
        values = self._operand(values, 1)
        if values.ndim == 1:
            return self._products(np.ones(self.shape[0]), values)[0]
        n, m = self.shape
        size = panel_size(np.dtype(np.float64))
        V = np.zeros((m, -(-values.shape[1] // size) * size))
        V[:, : values.shape[1]] = values
        out = np.empty((n, V.shape[1]))

        def work(chunk: slice) -> None:
            for plan, first, last, at in self._parts(chunk):
                plan_product(plan, m, first, last, V, out[at])

        over_chunks(*self.shape, work)
        return out[:, : values.shape[1]]

    def __rmatmul__(self, values: Any) -> Array:
        values = self._operand(np.transpose(values), 0)
        if values.ndim == 1:
            return self._products(values, np.ones(self.shape[1]))[1]
        return np.asarray((self.T @ values).T)

    def top(self, k: int) -> Any:
        """The k largest entries of each row, as a scipy.sparse.coo_array (n, m)."""
        from scipy.sparse import coo_array

        n, m = self.shape
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= m:
            raise ValueError(f"k should be an integer from 1 to {m}, the number of columns; got {shown(k)}.")
        columns, mass = np.empty((n, k), dtype=np.int64), np.empty((n, k))

        def work(chunk: slice) -> None:
            room = self._room()
            for rows in self._blocks(chunk):
                entries = self._block(rows, room)
                best = np.sort(np.argpartition(entries, m - k, axis=1)[:, m - k :], axis=1)
                columns[rows], mass[rows] = best, np.take_along_axis(entries, best, axis=1)

        over_chunks(*self.shape, work)
        return coo_array((mass.ravel(), (np.repeat(np.arange(n), k), columns.ravel())), shape=self.shape)

    @cached_property
    def measured(self) -> tuple[Array, Array, float]:
        """Row sums (n,), column sums (m,) and the transport cost <P, C>, from one pass over all pairs."""
        return self._products(np.ones(self.shape[0]), np.ones(self.shape[1]))

    def objective(self, x: Array, y: Array, u: Array, v: Array) -> tuple[float, Array, Array]:
        """<G, C> + eps sum_ij G_ij log(G_ij / (a_i b_j)) for G = diag(x) P diag(y) + u v', and the row and column sums
        of G."""
        price, entropy, sent, received = self.priced(x, y, u, v)
        with np.errstate(divide="ignore"):
            log_a, log_b = (np.where(weights > 0.0, np.log(weights), 0.0) for weights in self._weights)
        return price + self._eps * (entropy - float(sent @ log_a) - float(received @ log_b)), sent, received

    def priced(self, x: Array, y: Array, u: Array, v: Array) -> tuple[float, float, Array, Array]:
        """<G, C>, sum_ij G_ij log G_ij, and the row and column sums of G = diag(x) P diag(y) + u v'."""
        scaled = LazyPlan(self._cost, self._weights[0] * x, self._weights[1] * y, *self._potentials, self._eps)
        n, m = self.shape
        sent, more = np.empty(n), in_panels(v)

        def work(chunk: slice) -> tuple[float, float, Array]:
            price, entropy, received, part = 0.0, 0.0, np.zeros(len(more)), np.empty(len(more))
            for plan, first, last, at in scaled._parts(chunk):
                sums = plan_entropy(plan, m, first, last, u[at], more, sent[at], part)
                price, entropy = price + sums[0], entropy + sums[1]
                received += part
            return price, entropy, received[:m]

        prices, entropies, parts = zip(*over_chunks(*self.shape, work), strict=True)
        received = np.sum(parts, axis=0)
        return sum(prices) * scaled._packed[-1], _LN2 * sum(entropies), sent, received

    @cached_property
    def _packed(self) -> tuple[Any, Array, Array, float]:
        """The costs, the logarithms to base 2 of what belongs to rows and columns, and the factor to cost units."""
        costs, per_unit = packed_points(self._cost, np.float64) if isinstance(self._cost, PointCloud) else (None, 1.0)
        return costs, self._rows / _LN2, in_panels(self._columns / _LN2, -np.inf), per_unit

    def _rows_at(self, index: NDArray[np.intp]) -> Array:
        return self._entries(index, cost_block(self._cost, index))

    def _marginal(self, axis: int) -> Array:
        sent, received, _ = self.measured
        return (sent if axis == 1 else received).copy()

    @property
    def _matrix(self) -> NDArray[Any]:
        assert isinstance(self._cost, CostMatrix)
        return self._cost.C

    def _parts(self, chunk: slice) -> Iterator[tuple[Any, int, int, slice]]:
        """A chunk of rows as the core takes it: a plan, the first and last of its rows, and where all of them are."""
        costs, log_rows, log_columns, per_unit = self._packed
        inverse = per_unit / (self._eps * _LN2)
        if costs is not None:
            yield (costs, inverse, log_rows, log_columns), chunk.start, chunk.stop, slice(None)
            return
        for rows in self._blocks(chunk):  # a matrix in any order
            block = np.ascontiguousarray(self._matrix[rows])
            yield ((block,), inverse, log_rows[rows], log_columns), 0, len(block), rows

    def _block(self, rows: slice, room: Array) -> Array:
        """The entries of some rows, in the first rows of `room`."""
        entries = room[: rows.stop - rows.start]
        if isinstance(self._cost, Grid):
            entries[:] = self._entries(rows, cost_block(self._cost, rows))
            return entries
        for plan, first, last, at in self._parts(rows):
            out = entries if at == slice(None) else entries[at.start - rows.start : at.stop - rows.start]
            plan_entries(plan, first, last, out)
        return entries

    def _room(self) -> Array:
        """For the entries of a block."""
        n, m = self.shape
        return np.empty((next(row_blocks(n, m, _BLOCK)).stop, m))

    def _products(self, u: Array, v: Array) -> tuple[Array, Array, float]:
        """P v, P' u and the cost of diag(u) P diag(v)."""
        n, m = self.shape
        u, weights = np.ascontiguousarray(u, dtype=np.float64), in_panels(v.astype(np.float64))
        sent = np.empty(n)

        def work(chunk: slice) -> tuple[Array, float]:
            received, part, price = np.zeros(len(weights)), np.empty(len(weights)), 0.0
            for plan, first, last, at in self._parts(chunk):
                price += plan_sums(plan, m, first, last, u[at], weights, sent[at], part)
                received += part
            return received[:m], price

        parts, prices = zip(*over_chunks(*self.shape, work), strict=True)
        return sent, np.sum(parts, axis=0), sum(prices) * self._packed[-1]

    def _blocks(self, chunk: slice) -> Iterator[slice]:
        """The rows of a chunk, as many at a time as stay in cache with their entries."""
        for rows in row_blocks(chunk.stop - chunk.start, self.shape[1], _BLOCK):
            yield slice(chunk.start + rows.start, chunk.start + rows.stop)

    def _entries(self, rows: Any, C: Array) -> Array:
        exponents = C * (-1.0 / self._eps)
        # First what cancels most: potentials and costs, then weights.
        exponents += self._columns
        exponents += self._rows[rows, np.newaxis]
        return np.asarray(np.exp(exponents, out=exponents))

    def __repr__(self) -> str:
        return f"LazyPlan(shape={self.shape}, eps={self._eps:.6g})"
