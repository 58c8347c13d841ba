"""The pairs of `pairwise`, spread over the workers of joblib: each block is a tile of the matrix of distances.

The measures are written to files, once, and a block reads those of its tile. Distances do not depend on the tiles, and
tiles do not depend on the workers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.distances.pairs import Cloud, Distance, OnTheLine, Run, histogram_pairs, triangle
from monge.problem.measures import Weights
from monge.spread.blocks import run_blocks, seed_of
from monge.spread.memory import ArraySource
from monge.spread.sources import Source

__all__ = ["Where", "spread_clouds", "spread_histograms"]

# Of a block, about: long enough to be worth sending, short enough to be lost. Seconds.
_BLOCK = 0.5
# Of a pair: in any case, for each entry of its cost matrix, and for each of its points on the line. Seconds.
_PAIR, _ENTRY, _POINT = 2e-5, 5e-8, 2e-8

Array = NDArray[np.float64]
Found = tuple[Array, int]  # D (s, t), and of how many pairs the distance is inexact


class Where(NamedTuple):
    """Where pairs are solved, and for how long."""

    elsewhere: bool  # in other processes
    n_jobs: int | None
    threads: int  # of this process, or of each of them
    progress: bool
    limit: float  # seconds


@dataclass(frozen=True)
class Tiles:
    """Squares of a matrix (k, l), or of its part from the diagonal on, row by row."""

    shape: tuple[int, int]
    after: int | None  # as `triangle` has it
    edge: int

    def __len__(self) -> int:
        return sum(1 for _ in self.every())

    def __getitem__(self, block: int) -> tuple[range, range]:
        return next(tile for number, tile in enumerate(self.every()) if number == block)

    def every(self) -> Iterator[tuple[range, range]]:
        rows, columns = self.shape
        for s in range(0, rows, self.edge):
            for t in range(s if self.after is not None else 0, columns, self.edge):
                yield range(s, min(s + self.edge, rows)), range(t, min(t + self.edge, columns))


@dataclass(frozen=True)
class _CloudTile:
    """Distances of the clouds of a tile: the task of a block."""

    distance: Distance
    tiles: Tiles
    threads: int

    def __call__(self, block: int, rng: Any, points: Source, weights: Source, bounds: Source) -> Found:
        rows, columns = self.tiles[block]

        def clouds(of: range) -> list[Cloud]:
            told = bounds.take(range(of.start, of.stop + 1))
            ends, single = told[:, 0].astype(int).tolist(), told[:, 1] > 0.0
            within = range(ends[0], ends[-1])
            x, w = points.take(within), weights.take(within)[:, 0]
            found = []
            for (begin, end), narrow in zip(itertools.pairwise(ends), single, strict=False):
                own, masses = x[begin - ends[0] : end - ends[0]], w[begin - ends[0] : end - ends[0]]
                found.append(Cloud(own.astype(np.float32) if narrow else own, None if masses[0] < 0.0 else masses))
            return found

        # The targets come after the sources, unless they are the same.
        first = 0 if self.tiles.after is not None else self.tiles.shape[0]
        targets = range(first + columns.start, first + columns.stop)
        wanted = triangle(rows, columns, self.tiles.after)
        return self.distance.between(clouds(rows), clouds(targets), wanted, _run(self.threads, rows, columns))


@dataclass(frozen=True)
class _HistogramTile:
    """Transport costs between the histograms of a tile: the task of a block."""

    tiles: Tiles
    threads: int

    def __call__(self, block: int, rng: Any, costs: Source, a: Source, b: Source) -> Found:
        rows, columns = self.tiles[block]
        assert costs.rows is not None
        C = costs.take(range(costs.rows))
        sides = a.take(rows), b.take(columns)  # each row with its rounding at the end
        own, to = ([np.ascontiguousarray(row) for row in side[:, :-1]] for side in sides)
        roundings = sides[0][:, -1].tolist(), sides[1][:, -1].tolist()
        wanted = triangle(rows, columns, self.tiles.after)
        return histogram_pairs(own, to, roundings, C, wanted, _run(self.threads, rows, columns))


def spread_clouds(
    distance: Distance,
    sources: Sequence[Cloud],
    targets: Sequence[Cloud],
    after: int | None,
    where: Where,
) -> Found:
    """The distances between clouds, as of `Distance.between`; those that time did not suffice for are NaN."""
    every = [*sources] if after is not None else [*sources, *targets]
    sizes = [len(cloud.points) for cloud in every]
    n, m = (float(np.mean([len(cloud.points) for cloud in side])) for side in (sources, targets))
    work = _POINT * (n + m) if isinstance(distance, OnTheLine) else _ENTRY * n * m
    tiles = _tiles((len(sources), len(targets)), after, work)
    weights = [np.full(len(x), -1.0) if w is None else w for x, w in every]  # no weight is negative
    single = [x.dtype == np.float32 for x, _ in every]
    held = (
        np.concatenate([cloud.points for cloud in every]),
        np.concatenate(weights)[:, np.newaxis],
        np.column_stack([np.cumsum([0, *sizes], dtype=np.float64), [*single, False]]),
    )
    return _spread(_CloudTile(distance, tiles, where.threads), held, where)


def spread_histograms(
    a: Sequence[Weights],
    b: Sequence[Weights],
    roundings: tuple[Sequence[float], Sequence[float]],
    C: NDArray[Any],
    after: int | None,
    where: Where,
) -> Found:
    """<P, C> between histograms, likewise."""
    tiles = _tiles((len(a), len(b)), after, _ENTRY * C.size)
    held = [np.column_stack([np.stack(side), rounding]) for side, rounding in zip((a, b), roundings, strict=True)]
    return _spread(_HistogramTile(tiles, where.threads), (C, *held), where)


def _tiles(shape: tuple[int, int], after: int | None, work: float) -> Tiles:
    return Tiles(shape, after, max(1, math.isqrt(int(_BLOCK / (_PAIR + work)))))


def _spread(task: _CloudTile | _HistogramTile, held: Sequence[NDArray[Any]], where: Where) -> Found:
    D, inexact = np.full(task.tiles.shape, np.nan), 0
    found = run_blocks(
        task,
        len(task.tiles),
        seed=seed_of(0),
        sources=[ArraySource(array, "pairwise") for array in held],
        n_jobs=where.n_jobs,
        what="pairwise",
        progress=where.progress,
        time_limit=where.limit,
    )
    for (rows, columns), (part, count) in zip(task.tiles.every(), found, strict=False):
        D[rows.start : rows.stop, columns.start : columns.stop] = part
        inexact += count
    return D, inexact


def _run(threads: int, rows: range, columns: range) -> Run:
    return Run(threads, first=(rows.start, columns.start))
