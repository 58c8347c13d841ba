"""The threads of one solve, and of what its result does later.

They are Python's: compiled code lets go of the interpreter, and nothing of Numba's threading layers is used, so any
number of solves may run side by side, and after a fork. Work is cut into chunks by its size alone, so that any number
of threads gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, TypeVar

__all__ = ["CHUNKS", "PARALLEL", "Threads"]

# Chunks of rows, each with column sums of its own; a cut finer than the number of threads evens out their speeds.
CHUNKS = 16
# Pairs of a pass from which threads pay for their work, and those from which they pay for their start, too.
PARALLEL, PARALLEL_ONCE = 2**17, 2**19


Result = TypeVar("Result")


class Threads:
    """`number` threads, this one among them.

    From `with` to its end they stay alive; outside of that they live for one piece of work. A pool that outlived a
    solve would be lost in a fork.
    """

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
            self._pool = None

    def share(self, chunks: int, work: Callable[[int], Result], pairs: int) -> list[Result]:
        """work(k) for all k < chunks, in their order; alone if so few `pairs` are not worth the others."""
        if self._pool is not None:
            return _share(self._pool if pairs > PARALLEL else None, self.number, chunks, work)
        if self.number > 1 and chunks > 1 and pairs > PARALLEL_ONCE:
            with ThreadPoolExecutor(min(self.number, chunks) - 1) as pool:
                return _share(pool, self.number, chunks, work)
        return _share(None, 1, chunks, work)


def _share(pool: ThreadPoolExecutor | None, number: int, chunks: int, work: Callable[[int], Result]) -> list[Result]:
    left = count()
    results: list[Any] = [None] * chunks

    def some() -> None:
        while (k := next(left)) < chunks:
            results[k] = work(k)

    helpers = [pool.submit(some) for _ in range(min(number, chunks) - 1)] if pool is not None else []
    try:
        some()
    finally:
        for _ in range(chunks):  # after an interrupt the others stop at their next chunk
            next(left)
        for helper in helpers:
            helper.result()
    return results
