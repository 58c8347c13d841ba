"""Pairs of points in up to three dimensions, of which those too far apart to matter are left out."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from monge.entropic._near import BLOCK, Plan, Transform
from monge.entropic._pairs import panel_size, spread_price
from monge.entropic.kernels.all_pairs import AllPairs, Mixture, log_weights
from monge.entropic.kernels.layout import in_panels, packed_points
from monge.entropic.kernels.near_passes import NearPasses, form
from monge.entropic.kernels.threads import CHUNKS
from monge.problem._ground import kd_order
from monge.problem.costs import PointCloud

__all__ = ["NearPairs"]

Array = NDArray[np.float64]

# The marginal error that passes leave out unless told otherwise; the share of what a row or a column of a plan should
# hold that sums leave out; and that of gradients, which with it have fifteen digits, from three fifths of the pairs.
_SKIPPED, _NEGLIGIBLE, _NEGLIGIBLE_SLOPE = 1e-9, 1e-20, 1e-12

_LN2 = math.log(2.0)


class NearPairs(AllPairs):
    """Points in up to three dimensions and the weights of a problem; see `reference` for what pairs offer.

    Sums over a plan leave out entries that are next to nothing, of which a row or a column loses less than 1e-20 of
    what it should hold.
    """

    skipped, patience = _SKIPPED, NearPasses.patience

    @cached_property
    def _cloud(self) -> PointCloud:
        cloud: PointCloud = self.cost.straight
        return cloud

    @cached_property
    def _passes(self) -> _Passes:
        """Passes over the places with weight, in the order of a k-d tree."""
        rows, columns = (
            (places := np.flatnonzero(weights > 0.0))[kd_order(np.ascontiguousarray(points[places], dtype=np.float64))]
            for points, weights in ((self._cloud.x, self.a), (self._cloud.y, self.b))
        )
        cost = PointCloud(self._cloud.x[rows], self._cloud.y[columns], self._cloud.cost)
        a, b = self.a[rows], self.b[columns]
        passes = NearPasses(cost, a, b, self.marginals, self.threads, self.skipped, np.zeros(len(a)))
        return _Passes(passes, rows, columns)

    @property
    def size(self) -> float:
        """The size of the costs."""
        return self._passes.of.size

    @property
    def exact_below(self) -> float:
        """The eps below which exact potentials are the better start."""
        return self._passes.of.exact_below

    @property
    def noise(self) -> float:
        """What single precision adds to the marginal error, times eps."""
        return self._passes.of.noise

    def run(self, steps: Any, eps: float, single: bool, complete: bool) -> bool:
        """One pass."""
        passes, rows, columns = self._passes
        inner = _Potentials(steps.f[rows], steps.g[columns], steps.s[columns])
        was_complete = passes.run(inner, eps, single, complete)
        steps.f[rows], steps.s[columns] = inner.f, inner.s
        empty = np.flatnonzero(self.a == 0.0)
        if empty.size:
            steps.f[empty] = self.marginals[0].potential(self.T.softmins(steps.g, eps, empty), eps)
        return was_complete

    def sums(self, f: Array, g: Array, eps: float, u: Array | None, v: Array | None) -> tuple[Array, Array, float]:
        rows, columns = self._order
        u, v = self._factors(u, v)
        plan = self._near_plan(self.a, self.b, f, g, eps)
        u, v = np.ascontiguousarray(u[rows], dtype=np.float64), np.ascontiguousarray(v[columns], dtype=np.float64)
        sent = np.empty(len(u))

        def work(first: int, last: int) -> tuple[Array, float]:
            received = np.empty(len(v))
            return received, plan.sums(first, last, u, v, sent, received)[0]

        parts, prices = zip(*self._over_blocks(work), strict=True)
        return _scattered(sent, rows), _scattered(np.sum(parts, axis=0), columns), sum(prices) * self._factor

    def product(self, f: Array, g: Array, eps: float, values: Array) -> Array:
        rows, columns = self._order
        plan = self._near_plan(self.a, self.b, f, g, eps)
        size = panel_size(np.dtype(np.float64))
        V = np.zeros((len(columns), -(-values.shape[1] // size) * size))
        V[:, : values.shape[1]] = values[columns]
        out = np.empty((len(rows), V.shape[1]))
        self._over_blocks(lambda first, last: plan.product(first, last, V, out))
        return _scattered(out[:, : values.shape[1]], rows)

    def mixture(self, f: Array, g: Array, eps: float, x: Array, y: Array, u: Array, v: Array) -> Mixture:
        rows, columns = self._order
        plan = self._near_plan(self.a * x, self.b * y, f, g, eps)
        more, less = np.ascontiguousarray(u[rows]), np.ascontiguousarray(v[columns])
        sums = np.empty(len(more))

        def work(first: int, last: int) -> tuple[Array, float, float]:
            part = np.empty(len(less))
            return part, *plan.entropy(first, last, more, less, sums, part)[:2]

        parts, prices, entropies = zip(*self._over_blocks(work), strict=True)
        total_u, total_v = float(u.sum()), float(v.sum())
        sent = _scattered(sums, rows) + u * total_v
        received = _scattered(np.sum(parts, axis=0), columns) + v * total_u
        # What the product has without the plan: sum_ij u_i v_j log(u_i v_j).
        product = float(xlogy(u, u).sum()) * total_v + float(xlogy(v, v).sum()) * total_u
        divergence = _LN2 * sum(entropies) + product - self._log_product(sent, received)
        return Mixture(sum(prices) * self._factor + self._spread_price(u, v), divergence, sent, received)

    def gradient(self, f: Array, g: Array, eps: float) -> tuple[Array, Array]:
        rows, columns = self._order
        d = self._cloud.x.shape[1]
        plan = self._near_plan(self.a, self.b, f, g, eps, _NEGLIGIBLE_SLOPE)
        sent, grad_x = np.empty(len(rows)), np.empty((len(rows), d))

        def work(first: int, last: int) -> Array:
            grad_y = np.empty((len(columns), d))
            plan.gradient(first, last, sent, np.empty(len(columns)), grad_x, grad_y)
            return grad_y

        grad_y = np.sum(self._over_blocks(work), axis=0)
        found = _scattered(grad_x, rows) * self._factor, _scattered(grad_y, columns) * self._factor
        straight: tuple[Array, Array] = self.cost.from_straight(*self._cloud.from_centred(*found))
        return straight

    def transforms(self, g: Array) -> tuple[Array, Array]:
        rows, columns = self._order
        x, y, metric, _, factor = self._sorted
        f, back = np.empty(len(rows)), np.empty(len(columns))
        for points, others, potential, out in ((x, y, g[columns], f), (y, x, f, back)):
            find = Transform(points, others, self._cloud.x.shape[1], metric, potential / factor)
            self._over_blocks(lambda first, last, find=find, out=out: find.rows(first, last, out), len(out))
            out[out == np.inf] = 0.0
            out *= factor
        return _scattered(f, rows), _scattered(back, columns)

    @cached_property
    def _order(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The rows and the columns in the order of a k-d tree."""
        x, y = self._cloud.x, self._cloud.y
        rows = kd_order(np.ascontiguousarray(x, dtype=np.float64))
        return rows, rows if y is x else kd_order(np.ascontiguousarray(y, dtype=np.float64))

    @cached_property
    def _sorted(self) -> tuple[Array, Array, tuple[int, float, bool], float, float]:
        rows, columns = self._order
        x, y, metric, power, per_unit = form(self._cloud)
        return np.ascontiguousarray(x[:, rows]), np.ascontiguousarray(y[:, columns]), metric, power, per_unit

    @property
    def _factor(self) -> float:
        return self._sorted[-1]

    def _near_plan(self, a: Array, b: Array, f: Array, g: Array, eps: float, negligible: float = _NEGLIGIBLE) -> Plan:
        x, y, metric, _, factor = self._sorted
        (rows, columns), (kl_a, kl_b) = self._order, (side.kl for side in self.marginals)
        logs = log_weights(a, f, eps)[rows] / _LN2, log_weights(b, g, eps)[columns] / _LN2
        # What rows and columns should hold, by which entries are measured. Those without weight have no entries.
        mass_a, mass_b = (
            np.where(weights > 0.0, log_weights(weights, -potential, kl) / _LN2, np.inf)[order]
            for weights, potential, kl, order in ((self.a, f, kl_a, rows), (self.b, g, kl_b, columns))
        )
        inverse = factor / (eps * _LN2)
        return Plan(x, y, self._cloud.x.shape[1], metric, inverse, *logs, mass_a, mass_b, math.log2(negligible))

    def _over_blocks(self, work: Any, n: int | None = None) -> list[Any]:
        """work(first, last) for all chunks of rows, on the threads of these pairs; in their order."""
        n = self.shape[0] if n is None else n
        chunks = max(1, min(CHUNKS, n // (4 * BLOCK)))
        cuts = [k * (n // BLOCK) // chunks * BLOCK for k in range(chunks)] + [n]
        return self.threads.share(chunks, lambda k: work(cuts[k], cuts[k + 1]), self.shape[0] * self.shape[1])

    def _spread_price(self, u: Array, v: Array) -> float:
        """u' C v."""
        if not u.any() or not v.any():
            return 0.0
        if self._cloud.squared:  # from moments about the middle
            x, y, _, _, factor = self._cloud.centred()
            x_square, y_square = np.einsum("ij,ij->i", x, x), np.einsum("ij,ij->i", y, y)
            total = float(u @ x_square) * float(v.sum()) + float(v @ y_square) * float(u.sum())
            return factor * (total - 2.0 * float((u @ x) @ (v @ y)))
        points, per_unit = packed_points(self._cloud, np.float64)
        weights = in_panels(v)
        prices = self._over_chunks(lambda chunk: spread_price(points, len(v), chunk.start, chunk.stop, u, weights))
        return sum(prices) * per_unit


class _Passes(NamedTuple):
    of: NearPasses
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


class _Potentials(NamedTuple):
    f: Array
    g: Array
    s: Array


def _scattered(values: Array, places: NDArray[np.int64]) -> Array:
    """What belongs to places, at these."""
    out = np.empty_like(values)
    out[places] = values
    return out
