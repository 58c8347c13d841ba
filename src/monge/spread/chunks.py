"""Rows of an array of dask, of which a task has those computed that it takes.

A task gets the recipe, not the numbers: whoever computes a chunk can do so again when a worker is lost.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.spread.base import Source, read_as
from monge.spread.memory import spilled

__all__ = ["ChunkSource", "is_chunked"]

# A recipe of more bytes holds data: it is computed once, into a file, instead of travelling with every task.
_RECIPE = 1 << 17


def is_chunked(values: Any) -> bool:
    """Whether this is an array of dask, which is not imported to find out."""
    return type(values).__module__.startswith("dask.array") and hasattr(values, "__dask_graph__")


class ChunkSource(Source):
    """An array of dask (n, d), or (n,) for points on the line."""

    def __init__(self, array: Any, name: str) -> None:
        if array.ndim not in (1, 2) or 0 in array.shape or any(math.isnan(size) for size in array.shape):
            raise ValueError(
                f"{name} should be points of shape (n, d), at least one; got an array of dask of shape {array.shape}. "
                "If its sizes are unknown, .compute_chunk_sizes() finds them."
            )
        self.array = array if array.ndim == 2 else array[:, np.newaxis]
        self.name, self.dtype = name, read_as(array.dtype, name)
        self.rows, self.columns = self.array.shape
        # Chunks that a cluster keeps are known to the process that asked for them alone.
        self._kept = any(type(step).__name__ == "Future" for step in dict(self.array.__dask_graph__()).values())
        self._sent: Source | None = None

    def _rows(self, places: NDArray[Any]) -> NDArray[Any]:
        taken, where = np.unique(places, return_inverse=True)  # in order, so that each chunk is visited once
        return self._computed(self.array[taken])[where]

    def _computed(self, part: Any) -> NDArray[Any]:
        # In the thread that asks: a task that waited for tasks of its own cluster would keep a worker from them.
        return np.asarray(part.compute() if self._kept else part.compute(scheduler="synchronous"))

    def sent(self) -> Source:
        if self._sent is None:
            if self._kept or len(self._recipe()) > _RECIPE:
                self._sent = spilled(self._pieces(), self)
            else:
                self._sent = self
        return self._sent

    def _pieces(self) -> Iterator[NDArray[Any]]:
        for begin, end in itertools.pairwise(itertools.accumulate(self.array.chunks[0], initial=0)):
            yield self._computed(self.array[begin:end])

    def _recipe(self) -> bytes:
        import cloudpickle  # which dask brings: recipes hold functions that pickle does not take

        return bytes(cloudpickle.dumps(self.array))

    def __reduce__(self) -> Any:
        return _read, (self._recipe(), self.name)


def _read(recipe: bytes, name: str) -> ChunkSource:
    import cloudpickle

    return ChunkSource(cloudpickle.loads(recipe), name)
