"""Colour transfer by exact transport between batches of pixels (Fatras et al. 2020, "Learning with minibatch
Wasserstein", section 4.3).

An epoch shuffles the pixels of both pictures, cuts them into batches of m, and solves

    minimise  sum_ij P_ij |x_i - y_j|^2   over plans P between the batches

for each pair of batches. Every pixel is met in every epoch, so that a few are enough. It takes the mean of the colours
that arrived, by the mass that arrived with them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from monge.distances.minibatch.draws import Epochs, Group, pairs_in_block, points_of
from monge.distances.minibatch.solving import matched
from monge.maps.color.fits import AffineFits
from monge.maps.color.method import Map, Method, Work
from monge.maps.color.palettes import boxes, means
from monge.maps.color.sides import Side
from monge.problem.arrays import positive_integer, seconds
from monge.problem.transport import ConvergenceWarning
from monge.spread.blocks import run_blocks, seed_of
from monge.spread.sources import source_of

__all__ = ["BATCH", "EPOCHS", "ByMinibatch"]

Array = NDArray[np.float64]

# Of pixels in a batch: with a tenth of it, means of 16 colours keep .98 of the target's standard deviation, not .996.
BATCH = 1000
EPOCHS = 4

# Seconds that a pair of one pixel and one of 1000 pixels each take, and how they grow with the pixels: for the cut into
# blocks alone.
_FIRST, _SECONDS, _GROWTH = 4e-5, 0.017, 1.6

# Size of the palette by which what the pixels learned is passed on to the colours of other pictures. Of photographs,
# half of the pixels learned and the others were moved: to the exact map these were .039, .035, .032 and .030 in the
# mean of squares with 2048, 4096, 8192 and 16384 boxes, and .034 where they had taken part themselves. Interpolation
# in a table with 33 or 65 colours a side, means of the pixels around them, came to .040 and .033.
_LEARNED = 8192


@dataclass(frozen=True)
class _Arrivals:
    """What arrives at the pixels of one side in some batches: no pixel is in one batch twice."""

    pixels: NDArray[np.int64]  # (k,)
    sums: NDArray[np.float32]  # (k, d + 1): mass times points, and mass


@dataclass(frozen=True)
class _Block:
    """The task of one block: exact transport between its pairs of batches."""

    draws: Epochs

    def __call__(self, block: int, rng: np.random.Generator, x: Any, y: Any) -> list[tuple[_Arrivals, _Arrivals]]:
        return [self._arrivals(group, rng, x, y) for group in self.draws.groups(block, rng)]

    def _arrivals(self, group: Group, rng: np.random.Generator, x: Any, y: Any) -> tuple[_Arrivals, _Arrivals]:
        rows, columns = cast("NDArray[np.int64]", group.rows), cast("NDArray[np.int64]", group.columns)
        xs, ys = points_of(x, rows, group, rng), points_of(y, columns, group, rng)
        found, m = matched(xs, ys), group.size
        left, right, mass = found.pair * m + found.left, found.pair * m + found.right, found.mass * m
        xs, ys = xs.reshape(rows.size, -1), ys.reshape(columns.size, -1)
        return (
            _Arrivals(rows.ravel(), _sums(left, mass, ys[right], rows.size)),
            _Arrivals(columns.ravel(), _sums(right, mass, xs[left], columns.size)),
        )


@dataclass(frozen=True)
class ByMinibatch(Method):
    """Means over `epochs` epochs of exact transport between batches of `batch_size` pixels.

    Without a size, of 1000, or of all pixels of the picture that has fewer.
    """

    batch_size: int | None = None
    epochs: int = EPOCHS
    time_limit: float | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None:
            positive_integer(self.batch_size, "batch_size")
        positive_integer(self.epochs, "epochs")
        seconds(self.time_limit)

    def maps(self, x: Side, y: Side, work: Work) -> tuple[Map, Map]:
        """What the pixels of each side have learned, for any colour."""
        there, back = self.moved(x, y, work, both=True)
        return _learned(x, there), _learned(y, back)

    def moved(self, x: Side, y: Side, work: Work, both: bool) -> list[Array]:
        """The mean of what arrived at each pixel."""
        n, m = len(x.where), len(y.where)
        draws = self._draws(n, m, work)
        totals = [np.zeros((len(side.where), side.points.shape[1] + 1)) for side in ((x, y) if both else (x,))]
        results = run_blocks(
            _Block(draws),
            draws.blocks,
            seed=draws.seed,
            sources=(source_of(x.pixels, "source"), source_of(y.pixels, "target")),
            n_jobs=work.n_jobs,
            what="color_transfer",
            progress=work.progress,
            time_limit=self.time_limit,
        )
        done = 0
        for block in results:
            done += 1
            for pair in block:
                for total, arrived in zip(totals, pair, strict=False):
                    for some in _runs(len(arrived.pixels), len(total)):
                        total[arrived.pixels[some]] += arrived.sums[some]
        if done < draws.blocks:
            warnings.warn(
                f"color_transfer: the time limit was over after {done} of {draws.blocks} blocks, "
                f"{done / draws.blocks_of_epoch:.2f} of {self.epochs} epochs. Pixels that were not met until then move "
                "as colours like theirs do. Raise time_limit, or take a smaller batch_size.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return [_means(side, total) for side, total in zip((x, y), totals, strict=False)]

    def _draws(self, n: int, m: int, work: Work) -> Epochs:
        size = min(BATCH, n, m) if self.batch_size is None else int(self.batch_size)
        if size > min(n, m):
            raise ValueError(
                f"batch_size should be at most the number of pixels that count, {n:,} of the source and {m:,} of the "
                f"target; got {size:,}. Leave it out for 1,000 or as many as there are."
            )
        each = _FIRST + _SECONDS * (size / BATCH) ** _GROWTH
        per_block = pairs_in_block(self.epochs * -(-max(n, m) // size), each)
        return Epochs((n, m), size, int(self.epochs), per_block, seed_of(work.rng))


def _sums(place: NDArray[np.int64], mass: Array, points: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Sums (size, d + 1) of mass times points, and of mass, by place."""
    columns = [np.bincount(place, mass * column, size) for column in points.T]
    return np.stack([*columns, np.bincount(place, mass, size)], axis=1).astype(np.float32)


def _runs(length: int, period: int) -> Iterator[slice]:
    """Parts of a shuffle that is gone through again and again, in none of which a pixel is twice."""
    for first in range(0, length, period):
        yield slice(first, first + period)


def _means(side: Side, total: Array) -> Array:
    """Of what arrived, by the mass that arrived. Where nothing did, as the colours around."""
    with np.errstate(invalid="ignore"):
        moved = total[:, :-1] / total[:, -1:]
    missed = total[:, -1] == 0.0
    if missed.any():
        moved[missed] = _learned(side, moved, ~missed)(side.points[side.where[missed]], 1)
    return moved


def _learned(side: Side, moved: Array, some: NDArray[np.bool_] | None = None) -> AffineFits:
    """The map of colours nearest to where the pixels (n, d), or some of them, have moved."""
    where = side.where if some is None else side.where[some]
    count = np.bincount(where, minlength=len(side.points)).astype(np.float64)
    sums = [np.bincount(where, column, len(count)) for column in (moved if some is None else moved[some]).T]
    met = count > 0.0
    weight, points = count[met], side.points[met]
    box, _ = boxes(points, weight, _LEARNED)
    return AffineFits(
        means(points, weight, box), means(np.stack(sums, axis=1)[met] / weight[:, np.newaxis], weight, box)
    )
