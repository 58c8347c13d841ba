"""Where the mass of a point goes on average, in the sense of the cost.

T(x_i) = argmin_z  sum_j P_ij c(z, y_j)

For |x - y|^2 that is the mean, for |x - y| a median, for the cityblock distance a median in each coordinate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.costs import PointCloud

__all__ = ["means_of"]

Array = NDArray[np.float64]

# Steps of the descent, and what is left of the slope.
_STEPS, _FLAT = 500, 1e-9


def means_of(cloud: PointCloud, plan: Any) -> Array:
    """The images (n, d) of the sources under a sparse plan."""
    from scipy.sparse import csr_array

    P = csr_array(plan)
    P.data /= np.repeat(P.sum(axis=1), np.diff(P.indptr))
    y = cloud.y.astype(np.float64)
    means = np.asarray(P @ y)
    if cloud.squared:
        return means
    rows = np.repeat(np.arange(len(means)), np.diff(P.indptr))
    return _Search(cloud.ground, rows, P.data, y[P.indices], len(means)).best(means)


class _Search:
    """Of the least weighted cost of each row, over all rows at once: a mean, a median or one of the places that mass
    goes to is where a descent begins, and the best of all that was seen is the answer, since a descent may end beside a
    corner of the cost."""

    def __init__(self, ground: Any, rows: NDArray[np.intp], mass: Array, to: Array, n: int) -> None:
        self.ground, self.rows, self.mass, self.to, self.n = ground, rows, mass, to, n

    def best(self, means: Array) -> Array:
        from scipy.optimize import minimize

        self.least, self.at = self._costs(means), means.copy()
        self._consider(self._medians())
        first = np.flatnonzero(np.diff(self.rows, prepend=-1))
        for k in range(int(np.diff(first, append=len(self.rows)).max())):
            last = np.append(first[1:], len(self.rows)) - 1
            self._consider(self.to[np.minimum(first + k, last)])
        settings = {"maxiter": _STEPS, "maxfun": 2 * _STEPS, "gtol": _FLAT, "ftol": 1e-15}
        minimize(self._value, self.at.ravel(), jac=True, method="L-BFGS-B", options=settings)
        return self.at

    def _value(self, flat: Array) -> tuple[float, Array]:
        z = flat.reshape(self.n, -1)
        costs = self._consider(z)
        slopes = self.mass[:, np.newaxis] * self.ground.derivatives(z[self.rows], self.to)[0]
        sums = np.stack([np.bincount(self.rows, part, self.n) for part in slopes.T], axis=1)
        return float(costs.sum()), np.asarray(sums.ravel(), dtype=np.float64)

    def _costs(self, z: Array) -> Array:
        paid = np.bincount(self.rows, self.mass * self.ground.pairs(z[self.rows], self.to), self.n)
        return np.asarray(paid, dtype=np.float64)

    def _consider(self, z: Array) -> Array:
        costs = self._costs(z)
        better = costs < self.least
        self.least[better], self.at[better] = costs[better], z[better]
        return costs

    def _medians(self) -> Array:
        """In each coordinate."""
        out = np.empty((self.n, self.to.shape[1]))
        for column, values in zip(out.T, self.to.T, strict=True):
            order = np.lexsort((values, self.rows))
            until = np.cumsum(self.mass[order])
            until -= self.rows[order]  # each row has mass one
            at = np.flatnonzero(until >= 0.5 - 1e-12)
            met, first = np.unique(self.rows[order][at], return_index=True)
            column[met] = values[order][at[first]]
        return out
