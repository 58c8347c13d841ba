"""What a block of pairs is: drawn, and solved, wherever that happens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.distances.minibatch.draws import Draws, Group, points_of
from monge.distances.minibatch.solvers import Asked, Solved, Solver
from monge.spread.base import Source
from monge.spread.blocks import run_blocks

__all__ = ["Part", "Run", "Slopes"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Slopes:
    """Derivatives (e, d) with respect to the points at these places (e,); a place may stand there many times."""

    places: NDArray[np.int64]
    rows: Array


@dataclass(frozen=True)
class Part:
    """What was found for the pairs of a block.

    Attributes
    ----------
    values, weights : ndarray (k,)
        Of each pair.
    epochs : ndarray (k,) or None
        To which epoch it belongs, if to any.
    entries : (ndarray (e,), ndarray (e,), ndarray (e,)) or None
        Rows, columns and masses of the plans, times the weights.
    slopes : (Slopes or None, Slopes or None)
        With respect to x and y, times the weights.
    reason : str
        Why there are none where some were asked for.
    late : int
        How many pairs are less precise than they should be.
    """

    values: Array
    weights: Array
    epochs: NDArray[np.int64] | None
    entries: tuple[NDArray[Any], NDArray[Any], Array] | None
    slopes: tuple[Slopes | None, Slopes | None]
    reason: str
    late: int


@dataclass(frozen=True)
class _Task:
    """Draws the pairs of a block and solves them."""

    draws: Draws
    solver: Solver
    asked: Asked

    def __call__(self, block: int, rng: np.random.Generator, x: Source, y: Source) -> list[Part]:
        return [self._part(group, rng, x, y) for group in self.draws.groups(block, rng)]

    def _part(self, group: Group, rng: np.random.Generator, x: Source, y: Source) -> Part:
        points_x = points_of(x, group.rows, group, rng)
        points_y = points_of(y, group.columns, group, rng)
        solved = self.solver.solve(points_x, points_y, self.asked)
        entries = None
        if self.asked.plans and solved.entries is not None and group.rows is not None and group.columns is not None:
            pair = solved.entries.pair
            rows, columns = group.rows[pair, solved.entries.left], group.columns[pair, solved.entries.right]
            entries = _small(rows, x), _small(columns, y), solved.entries.mass * group.weights[pair]
        slopes = _slopes(group.rows, group, solved, 0), _slopes(group.columns, group, solved, 1)
        return Part(solved.values, group.weights, group.epochs, entries, slopes, solved.reason, solved.late)


def _slopes(places: NDArray[np.int64] | None, group: Group, solved: Solved, side: int) -> Slopes | None:
    slopes = solved.slopes[side]
    if places is None or slopes is None:
        return None
    weighted = slopes * group.weights[:, np.newaxis, np.newaxis]
    return Slopes(places.reshape(-1), weighted.reshape(-1, slopes.shape[-1]))


def _small(places: NDArray[np.int64], source: Source) -> NDArray[Any]:
    """The places in 32 bits, where these do."""
    assert source.rows is not None
    return places.astype(np.int32 if source.rows < 2**31 else np.int64)


@dataclass(frozen=True)
class Run:
    """All that it takes to draw and solve pairs of batches, the same ones each time.

    Attributes
    ----------
    draws, solver : Draws, Solver
        Which pairs, and how each is solved.
    x, y : Source
        The points.
    seed : numpy.random.SeedSequence
        Of the draws.
    n_jobs, time_limit, progress
        As `run_blocks` takes them.
    """

    draws: Draws
    solver: Solver
    x: Source
    y: Source
    seed: np.random.SeedSequence
    n_jobs: int | None = None
    time_limit: float | None = None
    progress: bool = False

    def blocks(self, asked: Asked) -> Iterator[list[Part]]:
        """Those of each block, in order; fewer where the time limit says so."""
        return run_blocks(
            _Task(self.draws, self.solver, asked), self.draws.blocks, seed=self.seed, sources=(self.x, self.y),
            n_jobs=self.n_jobs, progress=self.progress, time_limit=self.time_limit,
        )  # fmt: skip
