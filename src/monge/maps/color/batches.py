"""How the pixels of two pictures are cut into pairs of batches, again in each epoch.

In an epoch both sides are shuffled and cut into as many batches of nearly one size, which are paired in order. Every
pixel of the larger side is in one batch, and all of the smaller side are in as many, to within one.

A batch stands for its picture the better, the more evenly its pixels lie in the cloud of all. So the pixels come in an
order in which neighbours have like colours, and are cut into strata of neighbours, of each of which a batch gets one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batches"]

Indices = NDArray[np.int64]

# Seconds that a pair of one pixel and one of 1000 pixels each take, and how they grow with the pixels; seconds of work
# that a block should not exceed by far, so that little is lost with a worker.
_FIRST, _THOUSAND, _GROWTH = 4e-5, 0.017, 1.6
_MOST = 0.5


@dataclass(frozen=True)
class Batches:
    """The pairs of batches of all epochs, in blocks that are the same wherever they are solved.

    Attributes
    ----------
    sizes : (int, int)
        Pixels of either side.
    size : int
        Most pixels of a batch, at most those of either side.
    epochs : int
        How often all pixels are met.
    strata : bool
        Whether a batch gets one pixel of each stratum; else any.
    seed : tuple of int
        The shuffles of an epoch come from it and the number of the epoch.
    """

    sizes: tuple[int, int]
    size: int
    epochs: int
    strata: bool
    seed: tuple[int, ...]

    @property
    def pairs(self) -> int:
        """Pairs of an epoch."""
        return -(-max(self.sizes) // self.size)

    @property
    def per_block(self) -> int:
        """Pairs of a block at most."""
        pair = _FIRST + _THOUSAND * float(self.size / 1000.0) ** _GROWTH
        return max(1, int(_MOST / pair))

    @property
    def blocks_of_epoch(self) -> int:
        """Blocks of an epoch."""
        return -(-self.pairs // self.per_block)

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return self.epochs * self.blocks_of_epoch

    def of(self, block: int) -> list[tuple[Indices, Indices]]:
        """The pixels (k, s) of either side that the pairs of a block take, for each size s of their batches."""
        epoch, part = divmod(block, self.blocks_of_epoch)
        some = np.arange(part * self.per_block, min((part + 1) * self.per_block, self.pairs) + 1)
        edges = some * max(self.sizes) // self.pairs  # of batches, whose sizes differ by no more than one
        lengths, (rows, columns) = np.diff(edges), _shuffles(self, epoch)
        found = []
        for length in np.unique(lengths):
            places = edges[:-1][lengths == length, np.newaxis] + np.arange(length)
            found.append((rows[places], columns[places]))
        return found


@lru_cache(maxsize=2)  # blocks of one epoch mostly follow each other
def _shuffles(batches: Batches, epoch: int) -> tuple[Indices, Indices]:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([*batches.seed, epoch])))
    rows, columns = (_shuffle(rng, n, batches) for n in batches.sizes)
    return rows, columns


def _shuffle(rng: np.random.Generator, n: int, batches: Batches) -> Indices:
    """One of the n pixels of a side at each place of an epoch, of which there are as many as the larger side has."""
    places = max(batches.sizes)
    shuffle = _by_strata(rng, places, batches.pairs) if batches.strata else rng.permutation(places)
    if n == places:
        return shuffle
    # Pixels are repeated evenly; which are once more than others is for the epoch to say.
    return (shuffle * n + rng.integers(places)) // places % n


def _by_strata(rng: np.random.Generator, places: int, wide: int) -> Indices:
    """A shuffle in which places that follow each other, as many as there are strata, come from different ones."""
    count = -(-places // wide)
    batch = rng.permuted(np.tile(np.arange(wide), (count, 1)), axis=1).ravel()[:places]
    # By batch, and in a batch by stratum: so where a cut falls does not matter.
    return np.argsort(batch, kind="stable")
