"""Measures between which a barycenter is looked for: checks, transports between them, and what follows from these.

No nu is closer to all of them than they are to each other. For |x - y|^2, with w_i the weights of the measures,

sum_k w_k W_2^2(nu, mu_k) >= sum_{i<j} w_i w_j W_2^2(mu_i, mu_j)

since along any plan between nu and all of them both sides differ by |z - sum_k w_k x_k|^2. For the p-th power of a
distance with p >= 1, each w_i shared out among the pairs (i, j) by w_j / (1 - w_i), by the triangle inequality,

sum_k w_k W_p^p(nu, mu_k) >= sum_{i<j} w_i w_j min_{r + s = 1} (r^p / (1 - w_i) + s^p / (1 - w_j)) W_p^p(mu_i, mu_j)
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.free.centres import centre_of
from monge.barycenters.free.line import quantile_barycenter
from monge.exact.emd import emd_within
from monge.exact.univariate import emd_1d
from monge.problem.arrays import items, real_array
from monge.problem.batch import naming, one_each
from monge.problem.costs import PointCloud, as_points
from monge.problem.measures import as_mixture
from monge.problem.transport import Status, Transport
from monge.spread.threads import in_threads

__all__ = ["Measures", "as_measures", "shares", "to_itself", "turned"]

Array = NDArray[np.float64]


class Measures:
    """Weighted clouds of points, the weights with which they are mixed, and the ground cost.

    Attributes
    ----------
    points : list of ndarray (n_k, d)
    masses : list of ndarray (n_k,)
        Which sum to one.
    weights : ndarray (k,)
        Which sum to one.
    known : list of int
        Those of positive weight.
    """

    def __init__(self, points: list[Array], masses: list[Array], weights: Array, cost: Any, workers: int) -> None:
        self.points, self.masses, self.weights, self.cost, self.workers = points, masses, weights, cost, workers
        self.d = points[0].shape[1]
        self.ground, self.centre = centre_of(cost, self.d)
        self.known = [int(k) for k in np.flatnonzero(weights > 0.0)]
        self._pairs: dict[tuple[int, int], Transport] = {}

    @property
    def reference(self) -> int:
        """That of the largest weight; of several the one with most points."""
        return max(self.known, key=lambda k: (self.weights[k], len(self.points[k])))

    def solve(
        self, x: Array, a: Array, k: int, start: Transport | None = None, threads: int = 1, deadline: float = math.inf
    ) -> Transport:
        """From masses a (n,) at x (n, d) to the measure k. Where the time is over its status says so."""
        y, b = self.points[k], self.masses[k]
        if self.d == 1:
            return emd_1d(x, y, a, b, p=self.ground.power, threads=threads)
        limit = math.inf if deadline == math.inf else max(deadline - time.monotonic(), 0.0)
        return emd_within(PointCloud(x, y, self.cost), a, b, start, threads, limit)

    def to_each(
        self, x: Array, a: Array, starts: Sequence[Transport | None], deadline: float = math.inf
    ) -> list[Transport]:
        """From masses a (n,) at x (n, d) to each of the known measures; `starts` are those of similar masses."""
        threads = max(1, self.workers // len(self.known))

        def one(q: int) -> Transport:
            return self.solve(x, a, self.known[q], starts[q], threads, deadline)

        return list(in_threads(one, len(self.known), self.workers, math.inf))

    def pairs(self, deadline: float = math.inf) -> dict[tuple[int, int], Transport]:
        """The transports between all pairs i < j of known measures."""
        wanted = [(i, j) for i in self.known for j in self.known if i < j and (i, j) not in self._pairs]
        threads = max(1, self.workers // max(len(wanted), 1))

        def one(q: int) -> Transport:
            i, j = wanted[q]
            return self.solve(self.points[i], self.masses[i], j, None, threads, deadline)

        self._pairs.update(zip(wanted, in_threads(one, len(wanted), self.workers, math.inf), strict=True))
        return self._pairs

    def bound(self) -> float:
        """What no measure goes below; see above. On the line the value of the barycenter itself."""
        if len(self.known) == 1:
            return 0.0
        if self.d == 1:
            return self.on_line()[2]
        bound = 0.0
        for (i, j), t in self.pairs().items():
            bound += self._factor(float(self.weights[i]), float(self.weights[j])) * max(t.value - t.gap, 0.0)
        return bound

    def _factor(self, v: float, w: float) -> float:
        power = self.ground.power
        if self.ground.squared:
            return v * w
        if power == 1.0:
            return v * w / max(1.0 - v, 1.0 - w)
        return float(v * w / ((1.0 - v) ** (1.0 / (power - 1.0)) + (1.0 - w) ** (1.0 / (power - 1.0))) ** (power - 1.0))

    def on_line(self) -> tuple[Array, Array, float]:
        """The places (n,) and masses of the barycenter of points of one coordinate, and its value."""
        some = self.known
        points, masses = [self.points[k][:, 0] for k in some], [self.masses[k] for k in some]
        return quantile_barycenter(points, masses, self.weights[some], self.ground, self.centre)


def as_measures(points: Any, masses: Any, weights: Any, cost: Any, workers: int) -> Measures:
    """From what `free_barycenter` was given. ValueError and TypeError for what are no measures, with the remedy."""
    expected = "a list of clouds, each of shape (n_k, d)"
    given = items(points, "points", expected)
    if len(given) == 0 or (isinstance(given, np.ndarray) and given.ndim < 2):
        raise ValueError(f"points should be {expected}, at least one; got {np.shape(points)}.")
    if isinstance(given, np.ndarray) and given.ndim == 2:
        raise ValueError(
            f"points should be {expected}; got an array of shape {given.shape}. For the clusters of a single "
            "cloud pass [points], for measures on the line list(points)."
        )
    clouds: list[Array] = []
    each = one_each(masses, "masses", len(given))
    with naming("measure", 0) as at:
        for at.index, cloud in enumerate(given):
            own = np.array(as_points(cloud, "points"), dtype=np.float64)
            if clouds and own.shape[1] != clouds[0].shape[1]:
                raise ValueError(
                    "points should have as many coordinates in all measures; got shapes "
                    f"{clouds[0].shape} and {own.shape}."
                )
            clouds.append(own)
            each[at.index] = shares(each[at.index], len(own), "masses")
    return Measures(clouds, each, as_mixture(weights, len(clouds)), cost, workers)  # type: ignore[arg-type]


def shares(values: Any, n: int, name: str) -> Array:
    """Masses (n,) that sum to one, a copy; None for equal ones. ValueError for what are no masses."""
    if values is None:
        return np.full(n, 1.0 / n)
    given = real_array(values, name, 1, f"masses of shape ({n},), one for each point")
    if given.shape != (n,):
        raise ValueError(f"{name} should have shape ({n},), one for each point; got {given.shape}.")
    masses = np.array(given, dtype=np.float64)
    bad = ~((masses >= 0.0) & (masses < np.inf))
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(f"{name} should hold finite weights that are not negative; {name}[{at}] = {masses[at]}.")
    largest = float(masses.max())
    if largest == 0.0:
        raise ValueError(f"{name} should have some mass; all {n} are zero.")
    masses /= largest  # so that no sum overflows
    return masses / math.fsum(masses)


def turned(t: Transport) -> Transport:
    """The same from the columns to the rows, as a start for a similar problem."""
    assert t._entries is not None
    rows, columns, mass = t._entries
    order = np.lexsort((rows, columns))
    return Transport(
        value=t.value, cost=t.cost, f=t.g, g=t.f, gap=t.gap, status=t.status, iterations=t.iterations, stats=t.stats,
        weights=t._weights[::-1], entries=(columns[order], rows[order], mass[order]),
        listed=None if t._listed is None else t._listed[::-1],
    )  # fmt: skip


def to_itself(masses: Array) -> Transport:
    """The transport of a measure to itself."""
    zero, places = np.zeros(len(masses)), np.flatnonzero(masses > 0.0)
    return Transport(
        value=0.0, cost=0.0, f=zero, g=zero, gap=0.0, status=Status.OPTIMAL, iterations=0, stats={},
        weights=(masses, masses), entries=(places, places, masses[places]),
    )  # fmt: skip
