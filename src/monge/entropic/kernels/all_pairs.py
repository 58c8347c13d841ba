"""Uses of a plan that go over all pairs, in double precision: what `reference` calls the uses of potentials.

P_ij = a_i b_j exp((f_i + g_j - C_ij) / eps)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from monge.entropic._pairs import (
    cloud_gradient,
    panel_size,
    plan_entries,
    plan_entropy,
    plan_gradient,
    plan_product,
    plan_sums,
    transform,
)
from monge.entropic.kernels.layout import in_panels, packed_points
from monge.entropic.kernels.threads import CHUNKS, Threads
from monge.entropic.marginals import Marginal

__all__ = ["BLOCK", "AllPairs", "Mixture", "cut", "log_weights"]

Array = NDArray[np.float64]
Result = TypeVar("Result")

# Entries at a time, which stay in cache between the few operations on them; and those where memory alone matters.
BLOCK, _LARGE_BLOCK = 2**16, 2**19

# Pairs below which a chunk of rows takes longer to call for than to work on.
_PAIRS_OF_CHUNK = 2**13
# Pairs up to which a gradient is one call.
_AT_ONCE = 2**14

_LN2 = math.log(2.0)


class Mixture(NamedTuple):
    """What is known of G = diag(x) P diag(y) + u v'."""

    price: float  # <G, C>
    divergence: float  # sum_ij G_ij log(G_ij / (a_i b_j)), or a bound of it from above
    sent: Array  # (n,): row sums
    received: Array  # (m,): column sums


def log_weights(weights: Array, potential: Array, eps: float) -> Array:
    """What belongs to a row or a column in the logarithm of a plan. The weights and the exponentials may be beyond what
    their product is."""
    with np.errstate(divide="ignore"):
        return np.asarray(potential / eps + np.log(weights))


class AllPairs:
    """A cost, the weights of a problem, and the threads that all of its work is done on."""

    def __init__(
        self,
        cost: Any,
        a: Array,
        b: Array,
        marginals: tuple[Marginal, Marginal],
        threads: Threads,
    ) -> None:
        self.cost, self.a, self.b, self.marginals, self.threads = cost, a, b, marginals, threads

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        return len(self.a), len(self.b)

    @property
    def T(self) -> Any:
        """The pairs from the columns to the rows."""
        return type(self)(self.cost.T, self.b, self.a, self.marginals[::-1], self.threads)

    def sums(self, f: Array, g: Array, eps: float, u: Array | None, v: Array | None) -> tuple[Array, Array, float]:
        """P v (n,), P' u (m,) and the cost of diag(u) P diag(v)."""
        n, m = self.shape
        u, v = self._factors(u, v)
        plan = self._plan(self.a, self.b, f, g, eps)
        u, weights = np.ascontiguousarray(u, dtype=np.float64), in_panels(v.astype(np.float64))
        sent = np.empty(n)

        def work(chunk: slice) -> tuple[Array, float]:
            received, part, price = np.zeros(len(weights)), np.empty(len(weights)), 0.0
            for rows, first, last, at in self._parts(plan, chunk):
                price += plan_sums(rows, m, first, last, u[at], weights, sent[at], part)
                received += part
            return received[:m], price

        parts, prices = zip(*self._over_chunks(work), strict=True)
        return sent, np.sum(parts, axis=0), sum(prices) * self._per_unit

    def _factors(self, u: Array | None, v: Array | None) -> tuple[Array, Array]:
        """In place of those that are not given, any."""
        n, m = self.shape
        return np.ones(n) if u is None else u, np.ones(m) if v is None else v

    def product(self, f: Array, g: Array, eps: float, values: Array) -> Array:
        """P V (n, k) for V (m, k)."""
        n, m = self.shape
        plan = self._plan(self.a, self.b, f, g, eps)
        size = panel_size(np.dtype(np.float64))
        V = np.zeros((m, -(-values.shape[1] // size) * size))
        V[:, : values.shape[1]] = values
        out = np.empty((n, V.shape[1]))

        def work(chunk: slice) -> None:
            for rows, first, last, at in self._parts(plan, chunk):
                plan_product(rows, m, first, last, V, out[at])

        self._over_chunks(work)
        return out[:, : values.shape[1]]

    def mixture(self, f: Array, g: Array, eps: float, x: Array, y: Array, u: Array, v: Array) -> Mixture:
        """Of G = diag(x) P diag(y) + u v'."""
        n, m = self.shape
        plan = self._plan(self.a * x, self.b * y, f, g, eps)
        sent, more = np.empty(n), in_panels(v)

        def work(chunk: slice) -> tuple[float, float, Array]:
            price, entropy, received, part = 0.0, 0.0, np.zeros(len(more)), np.empty(len(more))
            for rows, first, last, at in self._parts(plan, chunk):
                sums = plan_entropy(rows, m, first, last, u[at], more, sent[at], part)
                price, entropy = price + sums[0], entropy + sums[1]
                received += part
            return price, entropy, received[:m]

        prices, entropies, parts = zip(*self._over_chunks(work), strict=True)
        received = np.sum(parts, axis=0)
        divergence = _LN2 * sum(entropies) - self._log_product(sent, received)
        return Mixture(sum(prices) * self._per_unit, divergence, sent, received)

    def _log_product(self, sent: Array, received: Array) -> float:
        """sum_ij G_ij log(a_i b_j), from the row and column sums of G."""
        with np.errstate(divide="ignore"):
            log_a, log_b = (np.where(weights > 0.0, np.log(weights), 0.0) for weights in (self.a, self.b))
        return float(sent @ log_a) + float(received @ log_b)

    def entries(self, f: Array, g: Array, eps: float, rows: Any) -> Array:
        """The rows (k, m) of the plan, for an index or a slice."""
        index = np.arange(self.shape[0])[rows]
        exponents = self.cost.block(index) * (-1.0 / eps)
        # First what cancels most: potentials and costs, then weights.
        exponents += log_weights(self.b, g, eps)
        exponents += log_weights(self.a[index], f[index], eps)[:, np.newaxis]
        return np.asarray(np.exp(exponents, out=exponents))

    def over_rows(
        self, f: Array, g: Array, eps: float, use: Callable[[slice, Array], None], out: Array | None = None
    ) -> None:
        """use(rows, entries) for blocks of rows, several at a time; entries are in `out` (n, m), or soon forgotten."""
        n, m = self.shape
        plan = self._plan(self.a, self.b, f, g, eps)
        tall = max(1, BLOCK // m)

        def work(chunk: slice) -> None:
            room = np.empty((min(tall, n), m)) if out is None else out
            for rows in cut(chunk, tall):
                block = room[: rows.stop - rows.start] if out is None else out[rows]
                for part, first, last, at in self._parts(plan, rows):
                    plan_entries(part, first, last, block if at == slice(None) else block[at.start - rows.start :])
                use(rows, block)

        self._over_chunks(work)

    def softmins(self, f: Array, eps: float, columns: NDArray[np.intp]) -> Array:
        """-eps log sum_i a_i exp((f_i - C_ij) / eps) of some columns j, whatever the numbers; +inf for an empty sum."""
        weights = np.full(len(f), -np.inf)
        filled = self.a > 0.0
        weights[filled] = f[filled] / eps + np.log(self.a[filled])
        across, out = self.cost.T, np.empty(len(columns))
        for block in cut(slice(0, len(columns)), max(1, _LARGE_BLOCK // len(weights))):
            exponents = weights - across.block(columns[block]) / eps
            top = exponents.max(axis=1, keepdims=True)
            top[~(top > -np.inf)] = 0.0
            with np.errstate(divide="ignore", under="ignore"):
                out[block] = -eps * (top[:, 0] + np.log(np.exp(exponents - top).sum(axis=1)))
        return out

    def gradient(self, f: Array, g: Array, eps: float) -> tuple[Array, Array]:
        """sum_j P_ij dC_ij / dx_i (n, d) and sum_i P_ij dC_ij / dy_j (m, d), for points."""
        if self.cost.formed is None:
            return self._gradient_of_function(f, g, eps)
        (n, m), d = self.shape, self.cost.x.shape[1]
        if n * m <= _AT_ONCE:
            grad_x, grad_y = np.empty((n, d)), np.empty((m, d))
            cloud_gradient(self.cost.form(np.float64), self.a, self.b, f, g, eps, grad_x, grad_y)
            few: tuple[Array, Array] = self.cost.from_formed(grad_x, grad_y)
            return few
        points, factor = self._differences
        plan = points, factor / (eps * _LN2), *self._plan(self.a, self.b, f, g, eps)[1:]
        sent, grad_x = np.empty(n), np.empty((n, d))

        def work(chunk: slice) -> Array:
            received, grad_y = np.empty(len(plan[-1])), np.empty((m, d))
            plan_gradient(plan, m, chunk.start, chunk.stop, sent, received, grad_x, grad_y)
            return grad_y

        grad_y = np.sum(self._over_chunks(work), axis=0)
        at_points: tuple[Array, Array] = self.cost.from_centred(grad_x * factor, grad_y * factor)
        return at_points

    def _gradient_of_function(self, f: Array, g: Array, eps: float) -> tuple[Array, Array]:
        """The same for a user's cost, whose derivatives are a user's too."""
        (n, m), d, costs = self.shape, self.cost.x.shape[1], self.cost.in_double
        plan, grad_x = self._plan(self.a, self.b, f, g, eps), np.zeros((n, d))

        def work(chunk: slice) -> Array:
            grad_y = np.zeros((m, d))
            for rows, first, last, at in self._parts(plan, chunk):
                entries = np.empty((last - first, m))
                plan_entries(rows, first, last, entries)
                some = np.flatnonzero(entries)
                costs.pull(at.start + some // m, some % m, entries.ravel()[some], grad_x, grad_y)
            return grad_y

        return grad_x, np.sum(self._over_chunks(work), axis=0)

    def transforms(self, g: Array) -> tuple[Array, Array]:
        """f_i = min_j C_ij - g_j, and then g_j = min_i C_ij - f_i; -inf in g stands for a column that is left out.

        Zero where no arc is allowed, or only to columns that are left out.
        """
        (n, m), (points, factor) = self.shape, self._differences
        scaled, f = g / factor, np.empty(n)

        def work(chunk: slice) -> Array:
            low = np.empty(m)
            if points is not None:
                transform(points, scaled, chunk.start, chunk.stop, f, low)
                return low
            lowest = np.full(m, np.inf)
            for rows in cut(chunk, max(1, BLOCK // m)):
                block = self.cost.stripe(rows)
                transform((block,), scaled, 0, len(block), f[rows], low)
                np.minimum(lowest, low, out=lowest)
            return lowest

        lowest = np.min(self._over_chunks(work), axis=0)
        for potential in (f, lowest):
            potential[potential == np.inf] = 0.0
            potential *= factor
        return f, lowest

    @cached_property
    def _differences(self) -> tuple[Any, float]:
        """Points whose costs come from differences of coordinates alone, or None for costs that are stored or a user's,
        and the factor from the core's costs to cost units."""
        if self.cost.formed is None:
            return None, 1.0
        x, y, base, exponent, factor = self.cost.centred()
        return (x, in_panels(y).ravel(), base, False, exponent), factor

    @cached_property
    def _form(self) -> tuple[Any, float]:
        return packed_points(self.cost, np.float64) if self.cost.formed is not None else (None, 1.0)

    @property
    def _points(self) -> Any:
        """The points as the core takes them; None for costs that are stored or a user's."""
        return self._form[0]

    @property
    def _per_unit(self) -> float:
        """The factor from the core's costs to cost units."""
        return self._form[1]

    def _plan(self, a: Array, b: Array, f: Array, g: Array, eps: float) -> tuple[float, Array, Array]:
        """The factor from costs to exponents of two, and what belongs to rows and to columns, in panels."""
        rows, columns = log_weights(a, f, eps), log_weights(b, g, eps)
        return self._per_unit / (eps * _LN2), rows / _LN2, in_panels(columns / _LN2, -np.inf)

    def _parts(self, plan: tuple[float, Array, Array], chunk: slice) -> Iterator[tuple[Any, int, int, slice]]:
        """A chunk of rows as the core takes it: a plan, the first and last of its rows, and where all of them are."""
        inverse, log_rows, log_columns = plan
        if self._points is not None:
            yield (self._points, inverse, log_rows, log_columns), chunk.start, chunk.stop, slice(None)
            return
        for rows in cut(chunk, max(1, BLOCK // self.shape[1])):
            block = self.cost.stripe(rows)
            yield ((block,), inverse, log_rows[rows], log_columns), 0, len(block), rows

    def _over_chunks(self, work: Callable[[slice], Result]) -> list[Result]:
        """work(rows) for all chunks of rows, on the threads of these pairs; in their order."""
        n, m = self.shape
        chunks = max(1, min(CHUNKS, n, n * m // _PAIRS_OF_CHUNK))
        return self.threads.share(chunks, lambda k: work(slice(k * n // chunks, (k + 1) * n // chunks)), n * m)


def cut(rows: slice, tall: int) -> Iterator[slice]:
    """Blocks of so many rows."""
    for first in range(rows.start, rows.stop, tall):
        yield slice(first, min(first + tall, rows.stop))
