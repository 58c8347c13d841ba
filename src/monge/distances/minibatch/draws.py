"""How pairs of batches are drawn.

Independent pairs, epochs, and all pairs that there are say the same of a block of pairs: which points they take, and
what each counts for. A block is drawn from its number and a seed alone, so that it is the same wherever it is solved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Chances", "Draws", "Epochs", "Group", "Independent", "chances", "pairs_in_block", "points_of", "subsets"]

Indices = NDArray[np.int64]

# Of a block of pairs: seconds of work that hide what it takes to hand it out; and those that one should not exceed, so
# that little is lost with a worker. In between a call is cut into so many blocks.
_LEAST, _MOST, _BLOCKS = 0.005, 0.5, 16
# And coordinates of its batches on one side, 32 MiB.
_NUMBERS = 1 << 22
# Up to this share of all points, batches are drawn point by point until they differ; beyond, by shuffling all.
_FEW = 0.25


@dataclass(frozen=True)
class Group:
    """Pairs of batches of one size.

    Attributes
    ----------
    rows, columns : ndarray (k, size), or None
        Which points of x and of y each pair takes; None for a sampler, which has no rows to count.
    weights : ndarray (k,)
        What each pair counts for; those of all pairs of a call add up to one.
    size : int
        Points on either side of a pair.
    epochs : ndarray (k,) or None
        To which epoch each pair belongs; None if every pair is drawn for itself, or none is.
    """

    rows: Indices | None
    columns: Indices | None
    weights: NDArray[np.float64]
    size: int
    epochs: Indices | None = None


class Draws(Protocol):
    """What pairs of batches there are."""

    @property
    def blocks(self) -> int:
        """Number of blocks."""

    @property
    def drawn(self) -> bool:
        """Whether chance has a part in it."""

    @property
    def unit(self) -> int:
        """Blocks that belong together: those of an epoch, or one."""

    def groups(self, block: int, rng: np.random.Generator) -> list[Group]:
        """The pairs of a block; `rng` is the block's own."""

    def within(self, side: int) -> Draws:
        """The same between one side and itself: x for 0, y for 1."""


@dataclass(frozen=True)
class Chances:
    """Points with weight, and the sums of their weights up to each."""

    places: Indices  # (k,)
    sums: NDArray[np.float64]  # (k,)

    def draw(self, rng: np.random.Generator, shape: tuple[int, int]) -> Indices:
        """Indices of that shape, each i with a probability in proportion to its weight."""
        at = np.searchsorted(self.sums, rng.random(shape) * self.sums[-1], side="right")
        return np.asarray(self.places[np.minimum(at, len(self.places) - 1)])


def chances(weights: NDArray[np.float64] | None) -> Chances | None:
    """Of weights (n,) that are not negative; None stands for uniform ones."""
    if weights is None:
        return None
    places = np.flatnonzero(weights > 0.0)
    return Chances(places, np.cumsum(weights[places]))


@dataclass(frozen=True)
class Independent:
    """`count` pairs of batches, each drawn for itself.

    Attributes
    ----------
    sizes : (int or None, int or None)
        Points of x and of y; None for a sampler.
    size, count : int
        Points of a batch, on either side; pairs.
    per_block : int
        Pairs of a block.
    replacing : bool
        Whether a batch may take a point twice.
    chances : (Chances or None, Chances or None)
        With which points are drawn, with replacement; None for equal ones.
    """

    sizes: tuple[int | None, int | None]
    size: int
    count: int
    per_block: int
    replacing: bool = False
    chances: tuple[Chances | None, Chances | None] = (None, None)

    drawn, unit = True, 1

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.count // self.per_block)

    def groups(self, block: int, rng: np.random.Generator) -> list[Group]:
        """The pairs of a block."""
        k = min(self.per_block, self.count - block * self.per_block)
        rows, columns = (self._side(rng, k, *side) for side in zip(self.sizes, self.chances, strict=True))
        return [Group(rows, columns, np.full(k, 1.0 / self.count), self.size)]

    def within(self, side: int) -> Independent:
        """The same between one side and itself."""
        return replace(self, sizes=(self.sizes[side],) * 2, chances=(self.chances[side],) * 2)

    def _side(self, rng: np.random.Generator, k: int, n: int | None, chances: Chances | None) -> Indices | None:
        if n is None:
            return None
        if chances is not None:
            return chances.draw(rng, (k, self.size))
        return rng.integers(0, n, (k, self.size)) if self.replacing else subsets(rng, n, self.size, k)


@dataclass(frozen=True)
class Epochs:
    """Epochs: both sides are shuffled and cut into batches, which are paired in order.

    So every point of the larger side is met once an epoch, and of two sides of one size every point: the plan then has
    exact marginals. The shuffle of the smaller side is gone through again and again; no batch takes a point twice, as
    it is no longer than that. Where `size` does not divide the number of points, the last pair of an epoch is smaller,
    and pairs count by their points.

    Attributes
    ----------
    sizes : (int, int)
        Points of x and of y, none below `size`.
    size, count : int
        Points of a batch, on either side; epochs.
    per_block : int
        Pairs of a block at most: a part of an epoch, or several.
    seed : numpy.random.SeedSequence
        An epoch's shuffles come from it and the number of the epoch.
    points : int
        Points of an epoch on either side: those of the larger side, or what `within` keeps of it.
    """

    sizes: tuple[int, int]
    size: int
    count: int
    per_block: int
    seed: np.random.SeedSequence
    points: int

    drawn = True

    @property
    def pairs(self) -> int:
        """Pairs of an epoch."""
        return -(-self.points // self.size)

    @property
    def unit(self) -> int:
        """Blocks of an epoch; one if a block holds several."""
        return -(-self.pairs // self.per_block)

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return self.count * self.unit if self.unit > 1 else -(-self.count // self._together)

    @property
    def _together(self) -> int:
        """Epochs of a block, if it holds whole ones."""
        return self.per_block // self.pairs

    def groups(self, block: int, rng: np.random.Generator) -> list[Group]:
        """The pairs of a block: those of full size, then perhaps the last of each epoch."""
        if self.unit > 1:
            epoch, part = divmod(block, self.unit)
            epochs, first = range(epoch, epoch + 1), part * self.per_block * self.size
        else:
            epochs, first = range(block * self._together, min((block + 1) * self._together, self.count)), 0
        last = min(first + self.per_block * self.size, self.points)
        full = first + (last - first) // self.size * self.size
        found = []
        for start, stop, size in ((first, full, self.size), (full, last, last - full)):
            if start < stop:
                parts = [part for epoch in epochs for part in self._places(epoch, start, stop)]
                rows, columns = (np.concatenate(side).reshape(-1, size) for side in zip(*parts, strict=True))
                weights = np.full(len(rows), size / (self.points * self.count))
                found.append(Group(rows, columns, weights, size, np.repeat(epochs, (stop - start) // size)))
        return found

    def _places(self, epoch: int, start: int, stop: int) -> Iterator[tuple[Indices, Indices]]:
        """What stands there in an epoch, on either side."""
        at = np.arange(start, stop)
        if self.points == max(self.sizes):
            rows, columns = self._shuffles(epoch)
            yield rows[at % len(rows)], columns[at % len(columns)]
            return
        # Both sides would come round to the same pairs: they are shuffled anew each time, in whole batches.
        rounds, at = np.divmod(at, self.sizes[0] // self.size * self.size)
        for some in np.split(np.arange(len(at)), np.flatnonzero(np.diff(rounds)) + 1):
            rows, columns = self._shuffles(epoch, int(rounds[some[0]]))
            yield rows[at[some]], columns[at[some]]

    def _shuffles(self, *number: int) -> tuple[Indices, Indices]:
        entropy = self.seed.entropy
        key = tuple(entropy) if isinstance(entropy, Sequence) else entropy, (*self.seed.spawn_key, *number)
        return _shuffles(*key, *self.sizes)

    def within(self, side: int) -> Epochs:
        """The same between one side and itself, with as many pairs of the same sizes."""
        return replace(self, sizes=(self.sizes[side],) * 2)


@lru_cache(maxsize=2)  # blocks of one epoch mostly follow each other
def _shuffles(
    entropy: tuple[int, ...] | int | None, spawn_key: tuple[int, ...], n: int, m: int
) -> tuple[Indices, Indices]:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy, spawn_key=spawn_key)))
    return rng.permutation(n), rng.permutation(m)


def subsets(rng: np.random.Generator, n: int, m: int, k: int) -> Indices:
    """k subsets (k, m) of m of n points, each subset with the same probability."""
    if m > _FEW * n:
        return rng.permuted(np.tile(np.arange(n), (k, 1)), axis=1)[:, :m]
    # Points that a batch has twice are drawn again until there are none. All subsets are as likely, as nothing tells
    # one point from another.
    drawn = np.sort(rng.integers(0, n, (k, m)), axis=1)
    open_rows = np.arange(k)
    while True:
        twice = drawn[open_rows, 1:] == drawn[open_rows, :-1]
        some = twice.any(axis=1)
        if not some.any():
            return drawn
        open_rows = open_rows[some]
        rows, at = np.nonzero(twice[some])
        drawn[open_rows[rows], at] = rng.integers(0, n, len(rows))
        drawn[open_rows] = np.sort(drawn[open_rows], axis=1)


def pairs_in_block(count: int, seconds: float, numbers: int = 1) -> int:
    """Pairs of a block where `count` pairs are to be solved, no matter by whom: pairs of about so many seconds each,
    and batches of so many coordinates."""
    least, most = (max(1, round(limit / seconds)) for limit in (_LEAST, _MOST))
    return int(max(1, min(max(least, -(-count // _BLOCKS)), most, _NUMBERS // numbers)))


def points_of(source: Any, indices: Indices | None, group: Group, rng: np.random.Generator) -> NDArray[Any]:
    """The points (k, size, d) of one side of a group, from a `Source`; drawn from it where that is a sampler."""
    k, size = len(group.weights), group.size
    points = source.draw(rng, k * size) if indices is None else source.take(indices.reshape(-1))
    return np.asarray(points).reshape(k, size, -1)
