"""All pairs of batches, where they can be counted up."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, combinations, combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.distances.minibatch.draws import Group, Indices

__all__ = ["MOST_PAIRS", "Complete", "every_batch", "number_of_batches"]

# Pairs of batches that are counted up at most: some ten seconds of the smallest.
MOST_PAIRS = 1_000_000


@dataclass(frozen=True)
class Complete:
    """Every batch of x with every batch of y.

    Attributes
    ----------
    rows, columns : (ndarray (k, size), ndarray (k,))
        The batches of a side, and their probabilities.
    per_block : int
        Pairs of a block.
    """

    rows: tuple[Indices, NDArray[np.float64]]
    columns: tuple[Indices, NDArray[np.float64]]
    per_block: int

    drawn, unit = False, 1

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self._count // self.per_block)

    @property
    def _count(self) -> int:
        return len(self.rows[0]) * len(self.columns[0])

    def groups(self, block: int, rng: np.random.Generator) -> list[Group]:
        """The pairs of a block."""
        first = block * self.per_block
        pairs = np.arange(first, min(first + self.per_block, self._count))
        i, j = np.divmod(pairs, len(self.columns[0]))
        (rows, chance), (columns, other) = self.rows, self.columns
        return [Group(rows[i], columns[j], chance[i] * other[j], rows.shape[1])]

    def within(self, side: int) -> Complete:
        """The same between one side and itself."""
        batches = (self.rows, self.columns)[side]
        return Complete(batches, batches, self.per_block)


def number_of_batches(n: int, m: int, replace: bool, most: int | None = None) -> int:
    """Of m of n points, in any order; some number above `most` where there are more than that."""
    k = n + m - 1 if replace else n
    if most is not None and min(m, k - m) > most.bit_length():
        return most + 1  # a product of more factors than that, none of them below two: too large to be worked out
    return math.comb(k, m)


def every_batch(n: int, m: int, replace: bool, weights: Any = None) -> tuple[Indices, NDArray[np.float64]]:
    """All batches (k, m) of m of n points, and their probabilities (k,)."""
    count = number_of_batches(n, m, replace)
    each: Iterable[tuple[int, ...]] = (combinations_with_replacement if replace else combinations)(range(n), m)
    batches = np.fromiter(chain.from_iterable(each), np.int64, count * m).reshape(count, m)
    if not replace:
        return batches, np.full(count, 1.0 / count)
    # m! / prod of factorials of how often each point is in it, times the chances of all: a factor for each place, its
    # number over how often the place's point has been met so far. In logarithms, as large batches have tiny ones.
    chance = np.full(n, 1.0 / n) if weights is None else weights / weights.sum()
    with np.errstate(divide="ignore"):
        log_chance = np.log(chance)
    logs, met = np.zeros(count), np.zeros(count)
    for place in range(m):
        again = batches[:, place] == batches[:, place - 1] if place > 0 else False
        met = np.where(again, met + 1.0, 1.0)
        logs += log_chance[batches[:, place]] + np.log((place + 1.0) / met)
    odds = np.exp(logs)
    return batches, odds / odds.sum()
