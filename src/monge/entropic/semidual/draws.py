"""Points of the source: drawn at random, or all of them where their number is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monge.spread.sources import Source

__all__ = ["Draws", "own_seed"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Draws:
    """How to draw from a `Source`, which is handed over with each call.

    Attributes
    ----------
    weights : ndarray (rows,), optional
        Of points that are not all alike; they add up to one.
    """

    weights: Array | None = None

    def draw(self, source: Source, rng: np.random.Generator, count: int) -> Array:
        """So many independent points of the measure, (count, d)."""
        if self.weights is None:
            return source.draw(rng, count).astype(np.float64, copy=False)
        heights = np.cumsum(self.weights)
        places = np.searchsorted(heights, heights[-1] * rng.random(count), side="right")
        return source.take(np.minimum(places, len(heights) - 1)).astype(np.float64, copy=False)

    def range(self, source: Source, first: int, last: int) -> tuple[Array, Array]:
        """The points from `first` up to `last` of a source that has an end, and their weights."""
        assert source.rows is not None
        x = source.take(np.arange(first, last)).astype(np.float64, copy=False)
        return x, self.part(source.rows, first, last)

    def part(self, rows: int, first: int, last: int) -> Array:
        """The weights from `first` up to `last`."""
        return np.full(last - first, 1.0 / rows) if self.weights is None else self.weights[first:last]


def own_seed(seed: np.random.SeedSequence, *key: int) -> np.random.SeedSequence:
    """A seed for one of the things that random numbers of a call are for."""
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, *key))
