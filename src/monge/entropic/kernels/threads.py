"""The threads of one solve.

They are Python's: compiled code lets go of the interpreter, and nothing of Numba's threading layers is used, so any
number of solves may run side by side, and after a fork. Work is cut into chunks by its size alone, so that any number
of threads gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

__all__ = ["CHUNKS", "PARALLEL", "Threads"]

# Chunks of rows, each with column sums of its own; a cut finer than the number of threads evens out their speeds.
CHUNKS = 16
# Pairs of a pass from which threads pay for their start.
PARALLEL = 2**17


class Threads:
    """`number` threads, this one among them, from `with` to its end: a pool that outlived a solve would be lost in a
    fork."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Threads:
        if self.number > 1:
            self._pool = ThreadPoolExecutor(self.number - 1)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def share(self, chunks: int, work: Callable[[int], None], worth: bool = True) -> None:
        """work(k) for all k < chunks, on this thread alone if it is not `worth` the others."""
        left = count()

        def some() -> None:
            while (k := next(left)) < chunks:
                work(k)

        pool = self._pool if worth else None
        helpers = [pool.submit(some) for _ in range(min(self.number, chunks) - 1)] if pool is not None else []
        try:
            some()
        finally:
            for _ in range(chunks):  # after an interrupt the others stop at their next chunk
                next(left)
            for helper in helpers:
                helper.result()
