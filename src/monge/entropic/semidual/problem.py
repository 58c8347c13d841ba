"""One problem: the source, the atoms, the points that are looked at, and the way from a start to an end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.entropic.semidual import ascent
from monge.entropic.semidual.atoms import Atoms
from monge.entropic.semidual.correction import gap_of
from monge.entropic.semidual.draws import Draws, own_seed
from monge.entropic.semidual.measure import Measured, blocks_of, measure
from monge.entropic.semidual.result import Stop
from monge.entropic.semidual.start import centred, sample_size, solved, width_of
from monge.problem.costs import PointCloud
from monge.spread.sources import Source

__all__ = ["Answer", "Problem"]

Array = NDArray[np.float64]

# What the random numbers are for, each with a seed of its own.
_PROBE, _START, _LOOK, _FINAL, _ASCENT = range(5)
# Fresh points that the value is measured on, unless these are more pairs.
_SAMPLES, _PAIRS = 100_000, 2**27
# Points on which an ascent looks whether it is done: for each atom, and at least.
_CHECK, _LEAST_CHECK = 20, 2000
# Points that the cost is tried on.
_TRIED = 64

CLIMBS = {"sgd": ascent.averaged, "sag": ascent.remembered}


class Answer(NamedTuple):
    """Potentials of the atoms, what was measured of them, and how they came about."""

    g: Array
    measured: Measured
    gap: float
    status: Stop
    iterations: int
    start: int  # points that were solved for at first


@dataclass(frozen=True)
class Problem:
    """A source with a way to draw from it, the atoms with mass, and seeds; `samples` as in `semidual`."""

    source: Source
    draws: Draws
    atoms: Atoms
    samples: int | None
    seed: np.random.SeedSequence
    n_jobs: int | None

    @classmethod
    def of(
        cls, source: Source, draws: Draws, y: Array, b: Array, eps: float, cost: Any, samples: int | None,
        seed: np.random.SeedSequence, n_jobs: int | None,
    ) -> Problem:  # fmt: skip
        """Errors for a cost that does not take such points."""
        probe = PointCloud(draws.draw(source, np.random.default_rng(own_seed(seed, _PROBE)), _TRIED), y, cost)
        return cls(source, draws, Atoms(probe, b, eps), samples, seed, n_jobs)

    def solve(
        self, method: str, init: Array | None, start: int | None, tol: float, most: int, deadline: float,
        report: Callable[[int], None] | None, before: int,
    ) -> Answer:  # fmt: skip
        """From an exact start or `init`, by steps until chi2 is within tol, there are `most`, or time is over."""
        size = sample_size(self.atoms.cloud, self.atoms.eps) if start is None else start
        whole = self.source.rows is not None and self.source.rows <= size and method == "sgd" and init is None
        if whole:
            return self._at_once()
        x = self.draws.draw(self.source, np.random.default_rng(own_seed(self.seed, _START)), size)
        g = centred(solved(x, None, self.atoms).g if init is None else init, self.atoms.b)
        batch = ascent.batch_of(self.atoms.size)
        rng = np.random.default_rng(own_seed(self.seed, _ASCENT))
        stretches = CLIMBS[method](
            g, width_of(x, self.atoms, g), self.atoms, self.draws, self.source, rng, batch, most, deadline, before
        )
        found, done = self._looked(g, 0, tol), 0
        while found is None and done < most and time.monotonic() < deadline:
            g, done = next(stretches)
            found = self._looked(g, done, tol)
            if report is not None:
                report(done)
        status = Stop.CONVERGED if found is not None else Stop.MAX_ITER if done >= most else Stop.TIME_LIMIT
        return self._ended(g, found or self._measured(g), status, done, 0 if init is not None else size)

    def _at_once(self) -> Answer:
        assert self.source.rows is not None
        x, a = self.draws.range(self.source, 0, self.source.rows)
        found = solved(x, a, self.atoms, exactly=True)
        g = centred(found.g, self.atoms.b)
        measured = self._measured(g)
        if self.atoms.eps == 0.0:
            return Answer(g, measured, found.gap, Stop.OPTIMAL, 0, len(x))
        return self._ended(g, measured, Stop.OPTIMAL if found.converged else Stop.MAX_ITER, 0, len(x))

    def _ended(self, g: Array, measured: Measured, status: Stop, done: int, start: int) -> Answer:
        plan = blocks_of(self.draws, *self._final, self.atoms)
        gap = gap_of(g, measured.masses, self.atoms, self.source, plan, own_seed(self.seed, _FINAL), self.n_jobs)
        return Answer(g, measured, gap, status, done, start)

    def _looked(self, g: Array, done: int, tol: float) -> Measured | None:
        """What is measured where it is within tol: on few fresh points first, then on those for the value."""
        count = max(_CHECK * self.atoms.size, _LEAST_CHECK)
        if count < self._final[0]:
            plan = blocks_of(self.draws, count, False, self.atoms)
            seed = own_seed(self.seed, _LOOK, done)
            if not measure(g, self.atoms, self.source, plan, seed, self.n_jobs).chi2 <= tol:
                return None
        found = self._measured(g)
        return found if found.chi2 <= tol else None

    def _measured(self, g: Array) -> Measured:
        plan = blocks_of(self.draws, *self._final, self.atoms)
        return measure(g, self.atoms, self.source, plan, own_seed(self.seed, _FINAL), self.n_jobs)

    @property
    def _final(self) -> tuple[int, bool]:
        """The number of points for the value, and whether they are all of the source."""
        count = self.samples or min(_SAMPLES, max(_PAIRS // self.atoms.size, _LEAST_CHECK))
        rows = self.source.rows
        return (rows, True) if rows is not None and rows <= count else (count, False)
