"""The plan between two histograms on a grid: products go along one axis at a time, and never over all pairs."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from monge.entropic.plan import LazyPlan
from monge.problem.costs import Grid

__all__ = ["GridPlan"]

Array = NDArray[np.float64]


class GridPlan(LazyPlan):
    """A `LazyPlan` whose products and sums cost what a pass of `sinkhorn` does.

    Rows, ``top(k)`` and ``toarray()`` compute entries, of which there are as many as pairs of cells.
    """

    _cost: Grid

    @property
    def T(self) -> GridPlan:
        """The transposed plan (n, n)."""
        return GridPlan(self._cost, *self._weights[::-1], *self._potentials[::-1], self._eps)

    def __matmul__(self, values: Any) -> Array:
        values = self._operand(values, 1).astype(np.float64, copy=False)
        columns = [self._times(column) for column in np.atleast_2d(values.T)]
        return columns[0] if values.ndim == 1 else np.stack(columns, axis=1)

    def __rmatmul__(self, values: Any) -> Array:
        return np.asarray((self.T @ self._operand(np.transpose(values), 0)).T)

    @cached_property
    def measured(self) -> tuple[Array, Array, float]:
        """Row sums (n,), column sums (n,) and the transport cost <P, C>."""
        ones = np.ones(self.shape[0])
        return self._times(ones), self.T._times(ones), self._price(ones, ones)

    def objective(self, x: Array, y: Array, u: Array, v: Array) -> tuple[float, Array, Array]:
        """A bound of <G, C> + eps sum_ij G_ij log(G_ij / (a_i b_j)) from above for G = diag(x) P diag(y) + u v', and
        the row and column sums of G.

        The logarithm of a sum goes along no axis. So the two parts of G are taken apart by the log sum inequality,
        which costs less than eps times their entropy: next to nothing where the second is small.
        """
        (f, g), (a, b) = self._potentials, self._weights
        sent, received = x * self._times(y), y * self.T._times(x)
        price = self._price(x, y)
        # sum p log(p / ab) for p = x a b exp((f + g - C) / eps) y
        entropy = float((xlogy(sent, x) + sent * f / self._eps).sum())
        entropy += float((xlogy(received, y) + received * g / self._eps).sum()) - price / self._eps
        mass, rest = float(sent.sum()), float(u.sum()) * float(v.sum())
        if rest > 0.0:
            with np.errstate(divide="ignore", invalid="ignore"):
                price += self._spread_price(u, v)
                entropy += float(xlogy(u, np.where(u > 0.0, u / a, 1.0)).sum()) * float(v.sum())
                entropy += float(xlogy(v, np.where(v > 0.0, v / b, 1.0)).sum()) * float(u.sum())
            entropy -= float(xlogy(mass, mass / (mass + rest)) + xlogy(rest, rest / (mass + rest)))
        return price + self._eps * entropy, sent + u * v.sum(), received + v * u.sum()

    @cached_property
    def _sums(self) -> Any:
        from monge.entropic.kernels.grid import GridSums  # which imports the compiler

        return GridSums(self._cost, self._eps)

    def _times(self, values: Array) -> Array:
        """P @ values for a vector, its positive and its negative part apart, in the log domain."""
        product = np.zeros(self.shape[0])
        with np.errstate(divide="ignore", under="ignore"):
            for sign in (1.0, -1.0):
                part = np.maximum(sign * values, 0.0)
                if part.any():
                    product += sign * np.exp(self._rows + self._sums.log_sum(self._columns + np.log(part)))
        return product

    def _price(self, x: Array, y: Array) -> float:
        """<diag(x) P diag(y), C>."""
        with np.errstate(divide="ignore", under="ignore"):
            logs = self._rows + self._sums.log_cost_sum(self._columns + np.log(y))
            return float((x * np.exp(logs)).sum())

    def _spread_price(self, u: Array, v: Array) -> float:
        """u' C v."""
        from monge.entropic.kernels.grid import GridSums

        with np.errstate(divide="ignore", under="ignore"):
            return float((u * np.exp(GridSums(self._cost, np.inf).log_cost_sum(np.log(v)))).sum())
