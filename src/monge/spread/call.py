"""One task for all blocks: what a worker gets, beside the number of a block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from monge.problem.batch import naming
from monge.spread.base import Source
from monge.spread.blas import one_thread

__all__ = ["Call", "generator_of"]


class Call:
    """A task, the seed of its random numbers, and its sources."""

    def __init__(
        self, task: Callable[..., Any], seed: np.random.SeedSequence, sources: tuple[Source, ...], what: str
    ) -> None:
        self.task, self.seed, self.sources, self.what = task, seed, sources, what

    def __call__(self, block: int) -> Any:
        with one_thread, naming(f"{self.what}, block", block):
            return self.task(block, generator_of(self.seed, block), *self.sources)

    def sent(self) -> Call:
        """The same for other processes. This one should live as long as they need it."""
        return Call(self.task, self.seed, tuple(source.sent() for source in self.sources), self.what)


def generator_of(seed: np.random.SeedSequence, block: int) -> np.random.Generator:
    """The random numbers of a block, the same in every process."""
    own = np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, block))
    return np.random.Generator(np.random.PCG64(own))
