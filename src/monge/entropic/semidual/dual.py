"""The dual of entropic transport between two measures, for potentials that are a start and a sum of features.

E u(x) + E v(y) - eps E (p(x, y) - 1),   p(x, y) = exp((u(x) + v(y) - c(x, y)) / eps)

Its derivative at u is 1 - E[p(x, y) | x], and at v the same the other way round.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.semidual.atoms import Atoms, Transform, parts
from monge.entropic.semidual.features import Features, Fit
from monge.entropic.sinkhorn import sinkhorn
from monge.problem.costs import PointCloud
from monge.problem.transport import ConvergenceWarning
from monge.spread.sources import Source

__all__ = ["Dual", "Look", "averaged", "mean"]

Array = NDArray[np.float64]

# Points of each side that a step pairs, and those of a block that is looked at.
_BATCH, _BLOCK = 128, 500
# The part of a sample whose nearest neighbours are as near as usual.
_USUAL = 0.98
# Logarithms of densities beyond this do not push harder.
_CAP = 12.0


@dataclass(frozen=True)
class Dual:
    """Functions u and v: transforms of the potentials of a sample, and features of these coefficients beside them.

    A pair of far points with a density of e^100, once in a million, would be all that counts. So potentials are lowered
    beyond the sample, by what the way to its nearest point costs where that is more than usual, and what features add
    is bent to at most eps. Any functions will do for a lower bound.
    """

    cost: Any
    eps: float
    starts: tuple[Transform, ...]
    near: tuple[Transform, ...]  # x -> the cost to the nearest point of the own sample, and what of it is usual
    usual: tuple[float, ...]
    features: tuple[Features, ...]
    coefficients: tuple[Array, ...]

    @classmethod
    def of(cls, cloud: PointCloud, eps: float, features: tuple[Features, ...], tol: float) -> Dual:
        """From the entropic transport of a sample, the rows of `cloud`, onto that of the other side, its columns."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is a start
            sample = sinkhorn(cloud, eps=eps, tol=tol)
        starts, near, usual = [], [], []
        for one, potential in ((cloud, sample.g), (cloud.T, sample.f)):
            n, m = one.shape
            starts.append(Atoms(one, np.full(m, 1.0 / m), eps).transform(np.asarray(potential, dtype=np.float64)))
            own = PointCloud(one.x, one.x, cloud.cost)
            near.append(Atoms(own, np.full(n, 1.0 / n), 0.0).transform(np.zeros(n)))
            usual.append(float(np.quantile(near[-1].two_least(own.x)[:, 1], _USUAL)) if n > 1 else 0.0)
        zeros = tuple(np.zeros(each.size) for each in features)
        return cls(cloud.cost, eps, tuple(starts), tuple(near), tuple(usual), features, zeros)

    def potential(self, side: int, points: Array) -> Array:
        """u (side 0) or v (side 1) at points (n, d)."""
        start = []
        for some in parts(len(points), self.starts[side].atoms.size):
            beyond = np.maximum(self.near[side](points[some]).f - self.usual[side], 0.0)
            start.append(self.starts[side](points[some]).f - beyond)
        beside = self.features[side](points) @ self.coefficients[side]
        return np.asarray(np.concatenate(start) + self.eps * np.tanh(beside / self.eps))

    def log_density(self, x: Array, y: Array) -> Array:
        """(u(x_i) + v(y_j) - c(x_i, y_j)) / eps, (n, m)."""
        costs = PointCloud(x, y, self.cost).block(slice(None))
        return (self.potential(0, x)[:, np.newaxis] + self.potential(1, y) - costs) / self.eps


def averaged(
    dual: Dual, fits: Sequence[Fit], sides: Sequence[Source], rng: np.random.Generator, steps: int, length: float,
    deadline: float,
) -> tuple[Dual, int]:  # fmt: skip
    """The average over so many stochastic gradient steps, or fewer where the time is over, and their number.

    A step changes u by a part `length` of eps (1 - E[p | x]), as nearly as features can, which is what Sinkhorn's
    algorithm does to the first order; and v likewise.
    """
    total, taken = [np.zeros_like(each) for each in dual.coefficients], 0
    while taken < steps and (taken == 0 or time.monotonic() < deadline):
        points = [side.draw(rng, _BATCH).astype(np.float64, copy=False) for side in sides]
        density = np.exp(np.minimum(dual.log_density(points[0], points[1]), _CAP))
        moved = []
        for k in range(2):
            gradient = dual.features[k](points[k]).T @ (1.0 - density.mean(axis=1 - k)) / _BATCH
            moved.append(dual.coefficients[k] + length * dual.eps * fits[k].along(gradient))
            total[k] += moved[k]
        dual = replace(dual, coefficients=tuple(moved))
        taken += 1
    return replace(dual, coefficients=tuple(each / taken for each in total)), taken


@dataclass(frozen=True)
class Look:
    """A block of fresh points: the dual value over all their pairs, and chi-squared of both marginals without bias."""

    dual: Dual

    def __call__(self, block: int, rng: np.random.Generator, *sides: Source) -> tuple[float, float]:
        x, y = (side.draw(rng, _BLOCK).astype(np.float64, copy=False) for side in sides)
        dual = self.dual
        with np.errstate(over="ignore"):
            density = np.exp(dual.log_density(x, y))
            value = dual.potential(0, x).mean() + dual.potential(1, y).mean() - dual.eps * (density.mean() - 1.0)
            chi2 = 0.0
            for axis in range(2):
                # E[p | x]^2 by pairs of different y.
                sums, squares = density.sum(axis=axis), (density * density).sum(axis=axis)
                pairs = (sums * sums - squares) / (_BLOCK * (_BLOCK - 1.0))
                chi2 += float((pairs - 2.0 * sums / _BLOCK + 1.0).mean())
        return float(value), chi2


def mean(looked: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Of the values and of the chi-squared of some blocks."""
    values, chi2 = zip(*looked, strict=True)
    return float(np.mean(values)), float(np.mean(chi2))
