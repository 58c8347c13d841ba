"""What a barycenter with points that move is to minimise, and where each of its points would rather be.

sum_k w_k OT(nu, mu_k), exact or entropic, or the same of Sinkhorn divergences. With the plans held, the best places of
the points are known; for the first two, going there never raises the value.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.free.centres import Groups
from monge.barycenters.free.measures import Measures
from monge.entropic.marginals import as_marginals
from monge.entropic.problem import Problem
from monge.entropic.solving import solve_one
from monge.exact.dense import dense
from monge.problem.costs import PointCloud
from monge.problem.transport import Status, Transport

__all__ = ["Debiased", "Entropic", "Exact", "Objective", "Place"]

Array = NDArray[np.float64]

# The marginal error of entropic transports, and passes for it. The value is off by the square of the error.
_MARGINAL_ERROR, _PASSES = 1e-5, 100_000
# Steps of the masses that are tried at a time, and the first of them where none has gone down.
_HALVINGS, _AFRESH = 8, 0.25


class Place:
    """A measure nu, the value there, and the transports to the known measures."""

    def __init__(
        self, x: Array, a: Array, value: float, transports: list[Transport], better: Callable[[], Array]
    ) -> None:
        self.x, self.a, self.value, self.transports = x, a, value, transports
        self.own: Any = None  # the transport to itself, where that counts
        self._better = better

    @cached_property
    def better(self) -> Array:
        """Where the points would rather be, (n, d)."""
        return self._better()


class Objective(ABC):
    """Of measures, as a function of nu."""

    # Shares of the way to `better` that are tried, until one goes down.
    shares: tuple[float, ...] = (1.0,)

    def __init__(self, measures: Measures) -> None:
        self.measures = measures

    @abstractmethod
    def at(self, x: Array, a: Array, before: Place | None, deadline: float) -> Place | None:
        """The place at points x (n, d) with masses a (n,), from one nearby; None if the time was over before."""

    def refined(self, place: Place, deadline: float) -> Place:
        """The place with better masses, where these are free and such are found."""
        return place

    def bound(self) -> float:
        """What no measure goes below."""
        return self.measures.bound()

    def all(self, x: Array, a: Array, solved: list[Transport] | None) -> list[Transport]:
        """The transports to all measures; those to the known ones may be there."""
        measures = self.measures
        if solved is None:
            solved = measures.to_each(x, a, [None] * len(measures.known))
        found = dict(zip(measures.known, solved, strict=True))
        return [found[k] if k in found else self.to(x, a, k, None) for k in range(len(measures.points))]

    def to(self, x: Array, a: Array, k: int, start: Any) -> Any:
        """The transport to one of the measures, from that of a place nearby."""
        return self.measures.solve(x, a, k, start)


class Exact(Objective):
    """sum_k w_k OT(nu, mu_k), over the points and, if `free_masses`, over the masses, too."""

    def __init__(self, measures: Measures, free_masses: bool) -> None:
        super().__init__(measures)
        self.free_masses = free_masses
        self._step = 1.0
        self._slope: Array | None = None

    def at(self, x: Array, a: Array, before: Place | None, deadline: float) -> Place | None:
        measures = self.measures
        if self.free_masses and len(measures.known) == 1:
            return self.of(x, *self._nearest(x))
        starts = [None] * len(measures.known) if before is None else before.transports
        transports = measures.to_each(x, a, starts, deadline)
        late = any(t.status is Status.TIME_LIMIT for t in transports)
        return None if late and before is not None else self.of(x, a, transports)

    def refined(self, place: Place, deadline: float) -> Place:
        """A step of mirror descent on the masses, at most by a factor of e, halved until it goes down: against
        sum_k w_k f_k, which is a subgradient of the value (Cuturi and Doucet 2014, section 4.1)."""
        if not self.free_masses or len(self.measures.known) == 1:
            return place
        weights = self.measures.weights[self.measures.known]
        slope = sum(w * t.f for w, t in zip(weights, place.transports, strict=True))
        slope = np.where(place.a > 0.0, slope - slope @ place.a, 0.0)
        if self._slope is not None:
            slope = 0.5 * (slope + self._slope)  # of one alone, steps go to and fro between two sides of a kink
        self._slope = slope
        steepest = float(np.abs(slope).max())
        if steepest == 0.0:
            return place
        for _ in range(_HALVINGS):
            a = place.a * np.exp(-self._step / steepest * slope)
            after = self.at(place.x, a / a.sum(), place, deadline)
            if after is None:
                return place
            if after.value < place.value:
                self._step = min(2.0 * self._step, 1.0)
                return after
            self._step *= 0.5
        self._step = _AFRESH  # at a kink; elsewhere long steps may go down again
        return place

    def of(self, x: Array, a: Array, transports: list[Transport]) -> Place:
        """A place whose transports are known."""
        weights = self.measures.weights[self.measures.known]
        value = math.fsum(w * t.value for w, t in zip(weights, transports, strict=True))
        return Place(x, a, value, transports, lambda: self._better(x, transports))

    def _better(self, x: Array, transports: list[Transport]) -> Array:
        """The best places, with the plans held. Points without mass stay."""
        measures = self.measures
        rows, points, masses = [], [], []
        for k, t in zip(measures.known, transports, strict=True):
            assert t._entries is not None
            rows.append(t._entries[0])
            points.append(measures.points[k][t._entries[1]])
            masses.append(measures.weights[k] * t._entries[2])
        owner, mass = np.concatenate(rows), np.concatenate(masses)
        order = np.argsort(owner, kind="stable")
        order = order[mass[order] > 0.0]
        owner = owner[order]
        begin = np.flatnonzero(np.append(True, np.diff(owner) > 0))
        out, some = x.copy(), owner[begin]
        out[some] = measures.centre(x[some], Groups(begin, np.concatenate(points)[order], mass[order]))
        return out

    def _nearest(self, x: Array) -> tuple[Array, list[Transport]]:
        """For one measure: the masses of the cells of the points, and the plan to them, whose proof is that each mass
        goes to the nearest point."""
        measures, k = self.measures, self.measures.known[0]
        cloud = PointCloud(x, measures.points[k], measures.cost)
        costs, b = dense(cloud, measures.workers), measures.masses[k]
        nearest, least = costs.argmin(axis=0), costs.min(axis=0).astype(np.float64)
        a = np.bincount(nearest, b, len(x)).astype(np.float64)
        order = np.argsort(nearest, kind="stable")
        order = order[b[order] > 0.0]
        value = float(least @ b)
        t = Transport(
            value=value, cost=value, f=np.zeros(len(x)), g=least, gap=0.0, status=Status.OPTIMAL, iterations=0,
            stats={}, weights=(a, b), entries=(nearest[order], order, b[order]), cloud=cloud,
        )  # fmt: skip
        return a, [t]


class Entropic(Objective):
    """sum_k w_k OT_eps(nu, mu_k) for |x - y|^2, over the points."""

    def __init__(self, measures: Measures, eps: float) -> None:
        super().__init__(measures)
        self.eps = eps

    def at(self, x: Array, a: Array, before: Place | None, deadline: float) -> Place | None:
        measures, transports = self.measures, []
        value, towards = 0.0, np.zeros_like(x)
        for q, k in enumerate(measures.known):
            if before is not None and time.monotonic() >= deadline:
                return None
            w = float(measures.weights[k])
            t = self.to(x, a, k, None if before is None else before.transports[q])
            value += w * t.value
            towards += w * t.map(measures.points[k])
            transports.append(t)
        return Place(x, a, value, transports, lambda: np.where(np.isnan(towards), x, towards))

    def solve(self, x: Array, y: Array, a: Array, b: Array, start: Any, symmetric: bool = False) -> Any:
        """The entropic transport; `symmetric` for that of a measure to itself."""
        cost, workers = PointCloud(x, y, self.measures.cost), self.measures.workers
        problem = Problem(
            cost, a, b, as_marginals(None), self.eps, _MARGINAL_ERROR, _PASSES, start, None, workers,
            symmetric=symmetric,
        )  # fmt: skip
        return solve_one(problem, workers, None)

    def to(self, x: Array, a: Array, k: int, start: Any) -> Any:
        return self.solve(x, self.measures.points[k], a, self.measures.masses[k], start)


class Debiased(Entropic):
    """sum_k w_k S_eps(nu, mu_k), the Sinkhorn divergences, over the points.

    What nu pays for being spread out is given back, -OT_eps(nu, nu) / 2, by which the value is no longer convex in the
    points with the plans held: steps are halved until they go down.
    """

    shares = tuple(0.5**q for q in range(8))

    def at(self, x: Array, a: Array, before: Place | None, deadline: float) -> Place | None:
        plain = super().at(x, a, before, deadline)
        if plain is None:
            return None
        own = self.solve(x, x, a, a, None if before is None else before.own, symmetric=True)
        back = own.map(x)
        value = plain.value - 0.5 * own.value - self._of_measures
        place = Place(x, a, value, plain.transports, lambda: plain.better + np.where(np.isnan(back), 0.0, x - back))
        place.own = own
        return place

    @cached_property
    def _of_measures(self) -> float:
        """sum_k w_k OT_eps(mu_k, mu_k) / 2."""
        measures, total = self.measures, 0.0
        for k in measures.known:
            y, b = measures.points[k], measures.masses[k]
            total += 0.5 * float(measures.weights[k]) * self.solve(y, y, b, b, None, symmetric=True).value
        return total

    def bound(self) -> float:
        """Divergences are not negative."""
        return 0.0
