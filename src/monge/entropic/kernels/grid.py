"""Pairs of cells of a grid: passes and sums go along one axis at a time, and never over all pairs."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from monge.entropic.kernels.all_pairs import BLOCK, AllPairs, Mixture, cut, log_weights
from monge.entropic.kernels.grid_sums import GridSums, grid_transform

__all__ = ["GridPairs"]

Array = NDArray[np.float64]


class GridPairs(AllPairs):
    """A grid and two histograms on it; see `reference` for what pairs offer. Always in double precision.

    Entries of a plan, of which there are as many as pairs of cells, are computed only where they are looked at.
    """

    noise, skipped = math.inf, 0.0
    patience = 1000  # a pass over 64 x 64 cells takes a thousandth of the exact solution
    exact_below = 0.0  # passes are cheap, the exact problem is not

    @cached_property
    def _logs(self) -> tuple[Array, Array]:
        """The logarithms of the weights."""
        with np.errstate(divide="ignore"):
            return np.log(self.a), np.log(self.b)

    @cached_property
    def size(self) -> float:
        """The size of the costs. On an axis of h cells, h - |d| pairs are d cells apart, on either side."""
        return sum(
            float(2.0 * np.dot(np.arange(len(c), 0, -1), c) - len(c) * c[0]) / len(c) ** 2
            for c in self.cost.axis_costs()
        )

    def run(self, steps: Any, eps: float, single: bool, complete: bool) -> bool:
        """One pass."""
        sums, (log_a, log_b) = self._sums(eps), self._logs
        softmin = -eps * sums.log_sum(log_b + steps.g / eps)
        steps.f[:] = self.marginals[0].potential(softmin, eps)
        steps.s[:] = -eps * sums.log_sum(log_a + steps.f / eps)
        return True

    def sums(self, f: Array, g: Array, eps: float, u: Array | None, v: Array | None) -> tuple[Array, Array, float]:
        rows, columns, nothing = log_weights(self.a, f, eps), log_weights(self.b, g, eps), np.empty(0)
        sent = nothing if v is None else self._times(rows, columns, eps, v)
        received = nothing if u is None else self._times(columns, rows, eps, u)
        price = 0.0 if u is None or v is None else self._price(rows, columns, eps, u, v)
        return sent, received, price

    def product(self, f: Array, g: Array, eps: float, values: Array) -> Array:
        rows, columns = log_weights(self.a, f, eps), log_weights(self.b, g, eps)
        return np.stack([self._times(rows, columns, eps, column) for column in values.T], axis=1)

    def mixture(self, f: Array, g: Array, eps: float, x: Array, y: Array, u: Array, v: Array) -> Mixture:
        """The logarithm of a sum goes along no axis. So the two parts of G are taken apart by the log sum inequality,
        which costs less than their entropy: next to nothing where the second is small.
        """
        rows, columns = log_weights(self.a, f, eps), log_weights(self.b, g, eps)
        sent, received = x * self._times(rows, columns, eps, y), y * self._times(columns, rows, eps, x)
        price = self._price(rows, columns, eps, x, y)
        # sum p log(p / ab) for p = x a b exp((f + g - C) / eps) y
        divergence = float((xlogy(sent, x) + sent * f / eps).sum())
        divergence += float((xlogy(received, y) + received * g / eps).sum()) - price / eps
        mass, rest = float(sent.sum()), float(u.sum()) * float(v.sum())
        if rest > 0.0:
            with np.errstate(divide="ignore", invalid="ignore"):
                price += self._spread_price(u, v)
                divergence += float(xlogy(u, np.where(u > 0.0, u / self.a, 1.0)).sum()) * float(v.sum())
                divergence += float(xlogy(v, np.where(v > 0.0, v / self.b, 1.0)).sum()) * float(u.sum())
            divergence -= float(xlogy(mass, mass / (mass + rest)) + xlogy(rest, rest / (mass + rest)))
        return Mixture(price, divergence, sent + u * v.sum(), received + v * u.sum())

    def softmins(self, f: Array, eps: float, columns: NDArray[np.intp]) -> Array:
        return -eps * self._sums(eps).log_sum(log_weights(self.a, np.where(self.a > 0.0, f, 0.0), eps))[columns]

    def over_rows(
        self, f: Array, g: Array, eps: float, use: Callable[[slice, Array], None], out: Array | None = None
    ) -> None:
        def work(chunk: slice) -> None:
            for rows in cut(chunk, max(1, BLOCK // self.shape[1])):
                entries = self.entries(f, g, eps, rows)
                if out is not None:
                    out[rows] = entries
                use(rows, entries)

        self._over_chunks(work)

    def transforms(self, g: Array) -> tuple[Array, Array]:
        f = grid_transform(self.cost, g)
        return f, grid_transform(self.cost, f)

    def _sums(self, eps: float) -> GridSums:
        return GridSums(self.cost, eps, self.threads)

    def _times(self, rows: Array, columns: Array, eps: float, values: Array) -> Array:
        """P @ values for a vector, its positive and its negative part apart, in the log domain."""
        product, sums = np.zeros(self.shape[0]), self._sums(eps)
        with np.errstate(divide="ignore", under="ignore"):
            for sign in (1.0, -1.0):
                part = np.maximum(sign * values, 0.0)
                if part.any():
                    product += sign * np.exp(rows + sums.log_sum(columns + np.log(part)))
        return product

    def _price(self, rows: Array, columns: Array, eps: float, x: Array, y: Array) -> float:
        """<diag(x) P diag(y), C>."""
        price, sums = 0.0, self._sums(eps)
        with np.errstate(divide="ignore", under="ignore"):
            for sign in (1.0, -1.0):
                part = np.maximum(sign * y, 0.0)
                if part.any():
                    price += sign * float((x * np.exp(rows + sums.log_cost_sum(columns + np.log(part)))).sum())
        return price

    def _spread_price(self, u: Array, v: Array) -> float:
        """u' C v."""
        with np.errstate(divide="ignore", under="ignore"):
            return float((u * np.exp(self._sums(math.inf).log_cost_sum(np.log(v)))).sum())
