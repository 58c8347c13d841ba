"""Where the mass of a point goes on average, in the sense of the cost.

T(x_i) = argmin_z  sum_j P_ij c(z, y_j)

For |x - y|^2 that is the mean, for |x - y| the geometric median (Weiszfeld 1937, "Sur le point pour lequel la somme des
distances de n points donnes est minimum"), for the cityblock distance a median in each coordinate, and for other powers
of |x - y| what a descent finds, since the sum is smooth and convex. For a mean with other costs it would be wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.costs import PointCloud

__all__ = ["check_mean", "means_of"]

Array = NDArray[np.float64]

# Steps of Weiszfeld's to the neighbourhood of a median; steps of the descent, and what is left of the slope.
_APPROACH, _STEPS, _FLAT = 100, 1000, 1e-10


def check_mean(cloud: PointCloud) -> None:
    """ValueError for a cost whose means are not known."""
    if cloud.formed is None or cloud.distance not in ("euclidean", "cityblock") or cloud.power < 1.0:
        known = False
    else:
        known = cloud.distance == "euclidean" or cloud.power == 1.0
    if not known:
        raise ValueError(
            "an image is the place with the least cost to where the mass goes, which is known for the costs "
            f"'sqeuclidean', 'euclidean', ('euclidean', p) with p >= 1, and 'cityblock'; got {cloud.cost!r}. "
            "Use one of these, or the plan of monge.emd."
        )


def means_of(cloud: PointCloud, plan: Any) -> Array:
    """The images (n, d) of the sources under a sparse plan."""
    from scipy.sparse import csr_array

    P = csr_array(plan)
    counts = np.diff(P.indptr)
    P.data /= np.repeat(P.sum(axis=1), counts)
    y = cloud.y.astype(np.float64)
    means = np.asarray(P @ y)
    if cloud.squared:
        return means
    rows, to = np.repeat(np.arange(len(means)), counts), y[P.indices]
    if cloud.distance == "cityblock":
        return _medians(rows, P.data, to, len(means))
    search = _Search(cloud.ground, rows, P.data, to, P.indptr)
    return search.median(means) if cloud.power == 1.0 else search.descent(means)


def _medians(rows: NDArray[np.intp], mass: Array, to: Array, n: int) -> Array:
    """In each coordinate the first place up to which there is half of the mass of a row, which is one."""
    out = np.empty((n, to.shape[1]))
    for column, values in zip(out.T, to.T, strict=True):
        order = np.lexsort((values, rows))
        half = np.flatnonzero(np.cumsum(mass[order]) - rows[order] >= 0.5 - 1e-9)
        met, first = np.unique(rows[order][half], return_index=True)
        column[met] = values[order][half[first]]
    return out


class _Search:
    """Over all rows at once: entries of a plan, their rows, masses (of sum one in each row) and places."""

    def __init__(self, ground: Any, rows: NDArray[np.intp], mass: Array, to: Array, starts: NDArray[Any]) -> None:
        self.ground, self.rows, self.mass, self.to, self.starts = ground, rows, mass, to, starts
        self.n = len(starts) - 1

    def median(self, z: Array) -> Array:
        """One of the places, where the others pull no harder than its own mass; else between them."""
        found, settled = z.copy(), np.zeros(self.n, dtype=bool)
        last = self.starts[1:] - 1
        for k in range(int(np.diff(self.starts).max())):
            entry = np.minimum(self.starts[:-1] + k, last)
            pull = np.linalg.norm(self._slopes(self.to[entry]), axis=1)
            here = (pull <= self.mass[entry] + 1e-12) & ~settled
            found[here], settled = self.to[entry[here]], settled | here
        for _ in range(_APPROACH if not settled.all() else 0):
            apart = np.linalg.norm(found[self.rows] - self.to, axis=1)
            weight = np.divide(self.mass, apart, out=np.zeros_like(apart), where=apart > 0.0)
            total = np.bincount(self.rows, weight, self.n)
            move = ~settled & (total > 0.0)
            found[move] -= self._slopes(found)[move] / total[move, np.newaxis]
        return found if settled.all() else np.where(settled[:, np.newaxis], found, self.descent(found, ~settled))

    def descent(self, z: Array, some: NDArray[np.bool_] | None = None) -> Array:
        from scipy.optimize import minimize

        moves = np.ones(self.n, dtype=bool) if some is None else some

        def value(flat: Array) -> tuple[float, Array]:
            at = z.copy()
            at[moves] = flat.reshape(-1, z.shape[1])
            costs = np.bincount(self.rows, self.mass * self.ground.pairs(at[self.rows], self.to), self.n)
            return float(costs[moves].sum()), self._slopes(at)[moves].ravel()

        settings = {"maxiter": _STEPS, "maxfun": 2 * _STEPS, "gtol": _FLAT, "ftol": 0.0, "maxcor": 20}
        out = z.copy()
        found = minimize(value, z[moves].ravel(), jac=True, method="L-BFGS-B", options=settings)
        out[moves] = found.x.reshape(-1, z.shape[1])
        return out

    def _slopes(self, z: Array) -> Array:
        slopes = self.mass[:, np.newaxis] * self.ground.derivatives(z[self.rows], self.to)[0]
        return np.stack([np.bincount(self.rows, part, self.n) for part in slopes.T], axis=1)
