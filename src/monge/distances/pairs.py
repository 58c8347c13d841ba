"""The distances of many pairs of measures at once: what `pairwise` does here, and each worker with its part.

A part is given by its measures, and for each of the first the range of the second that it is compared with. Numbers of
pairs do not depend on which other pairs are solved beside them.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.distances.wasserstein import smallest_mean, wasserstein
from monge.exact import _core
from monge.exact.result import check_solved
from monge.exact.univariate import in_order, mean_powers
from monge.problem._ground import cost_matrix
from monge.problem.arrays import require_memory
from monge.problem.batch import naming
from monge.problem.ground import Ground, scaled
from monge.problem.measures import Weights, check_value, total_mass

__all__ = ["Cloud", "Distance", "InSpace", "OnTheLine", "Run", "Written", "histogram_pairs", "triangle"]

# Numbers that may be held at a time for the pairs in work: their cost matrices, where they are computed, and their
# solutions. 64 MiB of float64, and at least thousands of small pairs, which keeps many threads busy.
_CHUNK = 1 << 23
# Pairs on the line that are solved in one call: some milliseconds at least, and their solutions take 10 MiB.
_PAIRS = 1 << 16
# Of the solution of a pair: what is there per row and column, and what is there in any case.
_PER_PLACE, _PER_PAIR = 5, 64

Array = NDArray[np.float64]
Show = Callable[[int], None]


class Cloud(NamedTuple):
    points: NDArray[Any]  # (n, d)
    weights: Weights | None  # (n,)


class Run(NamedTuple):
    """How pairs are solved, which makes no difference to their distances."""

    threads: int
    show: Show | None = None  # is told how many pairs are done
    deadline: float = math.inf  # of time.monotonic; the distances of pairs that were not begun by then are NaN
    first: tuple[int, int] = (0, 0)  # the place of the first pair in the whole matrix, for errors

    def over(self) -> bool:
        return time.monotonic() >= self.deadline

    def done(self, count: int) -> None:
        if self.show is not None:
            self.show(count)

    def naming(self, at: tuple[int, int]) -> naming:
        return naming("pair", (self.first[0] + at[0], self.first[1] + at[1]))


class _Pair(NamedTuple):
    at: tuple[int, int]  # place in the matrix of distances
    C: NDArray[Any]  # (n, m)
    a: Weights | None  # (n,)
    b: Weights | None  # (m,)
    computed: bool  # whether C exists for this pair alone
    mass: float  # by which <P, C> is divided
    rounding: float  # of the numbers that a and b were made from


class Distance(ABC):
    """A distance between point clouds, with what all pairs share."""

    @abstractmethod
    def between(
        self, sources: Sequence[Cloud], targets: Sequence[Cloud], wanted: Sequence[range], run: Run
    ) -> tuple[Array, int]:
        """D (s, t) of the pairs of source s and each target in wanted[s], NaN elsewhere; how many are inexact."""


@dataclass(frozen=True)
class InSpace(Distance):
    """W_p of points with two coordinates or more, taken over 2**scale and as numbers of `dtype`.

    On points rescaled, as in `wasserstein`, powers of distances neither overflow nor vanish.
    """

    ground: Ground
    scale: int
    dtype: np.dtype[Any]

    def between(
        self, sources: Sequence[Cloud], targets: Sequence[Cloud], wanted: Sequence[range], run: Run
    ) -> tuple[Array, int]:
        p, least, inexact = self.ground.power, smallest_mean(self.ground.power, self.dtype), 0
        D = np.full((len(sources), len(targets)), np.nan)
        if least < math.inf:
            inexact = _solve(self._pairs(sources, targets, wanted, run), 1.0 / p, D, run)
        lost = [
            (s, t) for s in range(len(sources)) for t in wanted[s] if least == math.inf or D[s, t] <= least ** (1.0 / p)
        ]
        D = np.ldexp(D, self.scale)
        for done, (s, t) in enumerate(lost, start=1):
            if run.over():
                D[tuple(np.transpose(lost[done - 1 :]))] = np.nan
                break
            (own, a), (to, b) = sources[s], targets[t]
            with run.naming((s, t)):
                D[s, t] = wasserstein(own, to, a, b, p=p, ground=self.ground.name, threads=run.threads)
            if least == math.inf:
                run.done(done)
        return D, inexact

    def _pairs(
        self, sources: Sequence[Cloud], targets: Sequence[Cloud], wanted: Sequence[range], run: Run
    ) -> Iterator[_Pair]:
        x = self._laid_out(sources)
        y = x if targets is sources else self._laid_out(targets)
        begins, ends = ([0, *np.cumsum([len(cloud.points) for cloud in side]).tolist()] for side in (sources, targets))
        for s, source in enumerate(sources):
            own = x[begins[s] : begins[s + 1]]
            for group in _groups(wanted[s], ends, _CHUNK // len(own)):
                # One call for many small matrices, side by side, so that it is worth the threads' while.
                start, end = ends[group.start], ends[group.stop]
                entries = len(own) * (end - start)
                if entries > _CHUNK:
                    require_memory(
                        entries * self.dtype.itemsize, "one cost matrix", "Subsample or aggregate the points."
                    )
                block = cost_matrix(own, y[start:end], self.ground.code, self.ground.exponent, 1.0, run.threads)
                for t in group:
                    C = block[:, ends[t] - start : ends[t + 1] - start]
                    a, b = source.weights, targets[t].weights
                    mass = total_mass(a if a is not None else b)
                    yield _Pair((s, t), C, a, b, True, mass, 0.0)  # no arc is forbidden

    def _laid_out(self, clouds: Sequence[Cloud]) -> NDArray[Any]:
        points = np.concatenate([cloud.points for cloud in clouds], dtype=self.dtype)
        return np.ascontiguousarray(scaled(points, self.scale))


@dataclass(frozen=True)
class OnTheLine(Distance):
    """W_p of points with one coordinate, each set of which is sorted once."""

    p: float

    def between(
        self, sources: Sequence[Cloud], targets: Sequence[Cloud], wanted: Sequence[range], run: Run
    ) -> tuple[Array, int]:
        D = np.full((len(sources), len(targets)), np.nan)
        x = [in_order(cloud.points[:, 0], cloud.weights) for cloud in sources]
        y = x if sources is targets else [in_order(cloud.points[:, 0], cloud.weights) for cloud in targets]
        places = [(s, t) for s in range(len(x)) for t in wanted[s]]
        for first in range(0, len(places), _PAIRS):
            if run.over():
                break
            some = places[first : first + _PAIRS]
            report = None if run.show is None else (lambda done, first=first: run.done(first + done))
            means = mean_powers([(x[s], y[t]) for s, t in some], self.p, run.threads, report)
            for at, (mean, unit) in zip(some, means, strict=True):
                D[at] = unit * mean ** (1.0 / self.p)
            run.done(first + len(some))
        return D, 0


@dataclass(frozen=True)
class Written(Distance):
    """W_p over a distance that the caller wrote."""

    ground: Any
    p: float

    def between(
        self, sources: Sequence[Cloud], targets: Sequence[Cloud], wanted: Sequence[range], run: Run
    ) -> tuple[Array, int]:
        D = np.full((len(sources), len(targets)), np.nan)
        places = ((s, t) for s in range(len(sources)) for t in wanted[s])
        for done, (s, t) in enumerate(places, start=1):
            if run.over():
                break
            (own, a), (to, b) = sources[s], targets[t]
            with run.naming((s, t)):
                D[s, t] = wasserstein(own, to, a, b, p=self.p, ground=self.ground, threads=run.threads)
            run.done(done)
        return D, 0


def histogram_pairs(
    a: Sequence[Weights],
    b: Sequence[Weights],
    roundings: tuple[Sequence[float], Sequence[float]],
    C: NDArray[Any],
    wanted: Sequence[range],
    run: Run,
) -> tuple[Array, int]:
    """<P, C> between histograms, likewise: D (s, t), and how many are inexact."""
    D = np.full((len(a), len(b)), np.nan)
    pairs = (
        _Pair((s, t), C, a[s], b[t], False, 1.0, max(roundings[0][s], roundings[1][t]))
        for s in range(len(a))
        for t in wanted[s]
    )
    return D, _solve(pairs, 1.0, D, run)


def triangle(rows: range, columns: range, after: int | None) -> list[range]:
    """For each row of a part, its columns, counted from the first of the part: all, or those from row + after on."""
    begins = [columns.start if after is None else max(columns.start, s + after) for s in rows]
    return [range(min(begin, columns.stop) - columns.start, len(columns)) for begin in begins]


def _groups(targets: range, ends: list[int], most: int) -> Iterator[range]:
    """Runs of targets with at most so many points together, but at least one target each."""
    start = targets.start
    for t in targets:
        if t > start and ends[t + 1] - ends[start] > most:
            yield range(start, t)
            start = t
    if start < targets.stop:
        yield range(start, targets.stop)


def _solve(pairs: Iterable[_Pair], root: float, D: Array, run: Run) -> int:
    """Writes (<P, C> / mass)^root of each pair into D (s, t), a chunk of pairs at a time; returns how many are inexact.

    Modifies D in place.
    """
    done = inexact = 0
    for chunk in _chunks(pairs, run):
        costs, a, b = [pair.C for pair in chunk], [pair.a for pair in chunk], [pair.b for pair in chunk]
        roundings = [pair.rounding for pair in chunk]
        solved = _core.emd_values(costs, a, b, roundings, run.threads, _report(run.show, done))
        for pair, (code, value) in zip(chunk, solved, strict=True):
            with run.naming(pair.at):
                check_solved(code, pair.C, (pair.a, pair.b))
                check_value(value, pair.a, pair.b)
            inexact += code == _core.INEXACT
            # On Python's floats, as `wasserstein` does: NumPy's power of an array may round another way.
            D[pair.at] = (value / pair.mass) ** root
        done += len(chunk)
        run.done(done)
    return inexact


def _report(show: Show | None, before: int) -> Callable[[int, int, float], None] | None:
    return None if show is None else lambda done, _sweeps, _violation: show(before + done)


def _chunks(pairs: Iterable[_Pair], run: Run) -> Iterator[list[_Pair]]:
    chunk: list[_Pair] = []
    held = 0
    timed = run.deadline < math.inf  # then what is done before the next look at the clock counts, held or not
    for pair in pairs:
        if run.over():
            return
        chunk.append(pair)
        held += _PER_PAIR + _PER_PLACE * sum(pair.C.shape) + (pair.C.size if pair.computed or timed else 0)
        if held >= _CHUNK:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk
