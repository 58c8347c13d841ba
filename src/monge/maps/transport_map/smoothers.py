"""Ridge regression of displacements on places: an affine function, or a constant and a Gaussian kernel.

minimise over D   sum_i a_i |D(x_i) - U_i|^2 + ridge R(D)

The best D is linear in U. A constant displacement costs nothing, so that translations are fitted exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from monge.maps.transport_map.gaussian import Affine
from monge.maps.transport_map.problem import Map
from monge.maps.transport_map.sides import Side
from monge.problem.arrays import require_memory

__all__ = ["AffineSmoother", "Kernel", "KernelSmoother", "Smoother", "median_distance"]

Array = NDArray[np.float64]

# Rows of the kernel matrix of new points that are looked at at a time, in entries.
_AT_ONCE = 1 << 22
# The median distance is that between so many points at most.
_SOME = 1000


class Smoother(Protocol):
    """Of displacements of the points that it is made with."""

    def smooth(self, U: Array) -> Array:
        """D(x_i) (n, d) for the displacements U (n, d)."""

    def fit(self, U: Array) -> Map:
        """The map x -> x + D(x)."""


class AffineSmoother:
    """D(x) = t + (x - mean) B, with R(D) = |B|^2 times the mean variance of a coordinate of x."""

    def __init__(self, x: Array, a: Array, ridge: float) -> None:
        self.a, self.mean = a[:, np.newaxis], a @ x
        self.centred = x - self.mean
        gram = self.centred.T @ (self.a * self.centred)
        # Rounding is added where there is nothing else: points on a line say nothing of what is beside it.
        least = np.finfo(np.float64).eps * len(gram)
        variance = float(np.trace(gram)) / len(gram)
        self.gram = gram + (ridge + least) * (variance or 1.0) * np.eye(len(gram))

    def smooth(self, U: Array) -> Array:
        constant, B = self._solve(U)
        return np.asarray(constant + self.centred @ B)

    def fit(self, U: Array) -> Map:
        constant, B = self._solve(U)
        return Affine(self.mean, self.mean + constant, np.eye(len(B)) + B)

    def _solve(self, U: Array) -> tuple[Array, Array]:
        constant = np.asarray((self.a * U).sum(axis=0))
        return constant, np.asarray(np.linalg.solve(self.gram, self.centred.T @ (self.a * U)))


class KernelSmoother:
    """D(x) = t + sum_k w_k k(x, x_k), with R(D) = sum_kl <w_k, w_l> k(x_k, x_l), in the space of the kernel k."""

    def __init__(self, x: Array, a: Array, ridge: float, bandwidth: float) -> None:
        from scipy.linalg import cho_factor

        n = len(x)
        require_memory(3 * 8 * n * n, f"the kernel matrix of {n} points", "Subsample them, or use method='affine'.")
        self.x, self.bandwidth = x, bandwidth
        # (K + ridge diag(1 / a)) w = U - t, 1'w = 0.
        self.shift = (ridge + n * np.finfo(np.float64).eps) / a[:, np.newaxis]
        K = Kernel(x, bandwidth).at(x)
        K.flat[:: n + 1] += self.shift[:, 0]
        self.factor = cho_factor(K, overwrite_a=True, check_finite=False)
        ones = self._inverse(np.ones((n, 1)))
        self.constant = ones / ones.sum()

    def smooth(self, U: Array) -> Array:
        return np.asarray(U - self.shift * self._solve(U)[1])

    def fit(self, U: Array) -> Map:
        return KernelMap(Kernel(self.x, self.bandwidth), *self._solve(U))

    def _solve(self, U: Array) -> tuple[Array, Array]:
        t = (self.constant * U).sum(axis=0)
        return t, self._inverse(U - t)

    def _inverse(self, values: Array) -> Array:
        from scipy.linalg import cho_solve

        return np.asarray(cho_solve(self.factor, values, check_finite=False))


@dataclass(frozen=True)
class Kernel:
    """k(x, x_k) = exp(-|x - x_k|^2 / (2 bandwidth^2)) of points x_k (n, d)."""

    points: Array
    bandwidth: float

    def at(self, x: Array) -> Array:
        """Between points x (k, d) and these, (k, n)."""
        from scipy.spatial.distance import cdist

        C = cdist(x, self.points, "sqeuclidean")
        C *= -0.5 / self.bandwidth**2
        return np.asarray(np.exp(C, out=C))


@dataclass(frozen=True)
class KernelMap:
    """x -> x + t + sum_k w_k k(x, x_k)."""

    kernel: Kernel
    t: Array
    w: Array

    def __call__(self, points: Array, threads: int) -> Array:
        """The images (n, d) of points (n, d), some of them at a time."""
        out, step = points + self.t, max(1, _AT_ONCE // len(self.w))
        for first in range(0, len(points), step):
            some = slice(first, first + step)
            out[some] += self.kernel.at(points[some]) @ self.w
        return np.asarray(out)


def median_distance(side: Side) -> float:
    """Of the distances of two points, evenly chosen; one where there is but one point."""
    from scipy.spatial.distance import pdist

    distances: Any = pdist(side.exact[:: -(-len(side.points) // _SOME)])
    return float(np.median(distances)) if len(distances) else 1.0
