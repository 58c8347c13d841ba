"""Many like tasks, run wherever there is room for them, with the same results everywhere.

A task is a function of the number of its block, of random numbers that depend on nothing but a seed and that number,
and of sources, which say where its rows are. Results come in the order of the blocks. So sums over them have the same
bits on one thread, on many, and on machines that come and go.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from monge.problem.arrays import available_threads, seconds, shown
from monge.problem.batch import naming
from monge.problem.progress import count_bar
from monge.spread.base import Source

__all__ = ["generator_of", "run_blocks", "seed_of"]

T = TypeVar("T")

# Blocks that wait for their turn or to be fetched, for each thread: results may be large.
_AHEAD = 4
# In place of the result of a block that the time was over for.
_LATE = object()


def run_blocks(
    task: Callable[..., T],
    count: int,
    *,
    seed: np.random.SeedSequence,
    sources: Sequence[Source] = (),
    n_jobs: int | None = None,
    what: str = "minibatch",
    progress: bool = False,
    time_limit: float | None = None,
) -> Iterator[T]:
    """task(block, rng, *sources) for block = 0, ..., count - 1, in this order, as they become ready.

    Parameters
    ----------
    task : callable
        Picklable: a function of a module, a functools.partial of one, or a frozen dataclass with ``__call__``. It
        should take between a tenth of a second and some seconds.
    count : int
        Number of blocks. It may not depend on the number of workers.
    seed : numpy.random.SeedSequence
        From `seed_of`. The random numbers of a block depend on it and on the number of the block alone.
    sources : sequence of Source
        From `source_of`.
    n_jobs : int, optional
        Number of workers; negative ones count from that of the processors: -1 is all. None follows an active
        joblib configuration, and is all processors without one.
    what : str
        What a block is part of, for errors and the progress bar.
    progress : bool
        Show a progress bar over the blocks (needs tqdm).
    time_limit : float, optional
        Seconds after which no further block is begun, so that fewer results come than asked for; the first one always
        comes.

    Raises
    ------
    ValueError, TypeError
        For an n_jobs or time_limit that are none.
    Exception
        What a task raises, with the number of its block in front.
    """
    deadline = time.monotonic() + seconds(time_limit)
    call = _Call(task, seed, tuple(sources), what)
    return _shown(_in_threads(call, count, _workers(n_jobs), deadline), count, what, progress)


def seed_of(rng: Any) -> np.random.SeedSequence:
    """The seed that `rng` stands for (SPEC 7): fresh entropy for None, an integer, or drawn from a Generator."""
    try:
        if isinstance(rng, np.random.Generator):
            return np.random.SeedSequence(rng.integers(2**32, size=4, dtype=np.uint32).tolist())
        if isinstance(rng, bool) or not (rng is None or isinstance(rng, int | np.integer)):
            raise TypeError
        return np.random.SeedSequence(None if rng is None else int(rng))
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"rng should be None, a seed that is an integer >= 0, or a numpy.random.Generator; got {shown(rng)}."
        ) from None


def generator_of(seed: np.random.SeedSequence, block: int) -> np.random.Generator:
    """The random numbers of a block, the same in every process."""
    own = np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, block))
    return np.random.Generator(np.random.PCG64(own))


class _Call:
    """One task for all blocks, and what it needs beside the number of the block."""

    def __init__(
        self, task: Callable[..., Any], seed: np.random.SeedSequence, sources: tuple[Source, ...], what: str
    ) -> None:
        self.task, self.seed, self.sources, self.what = task, seed, sources, what

    def __call__(self, block: int) -> Any:
        with naming(f"{self.what}, block", block):
            return self.task(block, generator_of(self.seed, block), *self.sources)


def _workers(n_jobs: int | None) -> int:
    if n_jobs is None:
        return available_threads(None)
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int | np.integer) or n_jobs == 0:
        raise ValueError(f"n_jobs should be an integer that is not zero, or None; got {shown(n_jobs)}.")
    return available_threads(int(n_jobs) if n_jobs > 0 else max(1, available_threads(None) + 1 + int(n_jobs)))


def _in_threads(call: _Call, count: int, workers: int, deadline: float) -> Iterator[Any]:
    if min(workers, count) <= 1:
        for block in range(count):
            if block > 0 and time.monotonic() >= deadline:
                return
            yield call(block)
        return

    def begun(block: int) -> Any:
        return _LATE if block > 0 and time.monotonic() >= deadline else call(block)

    pool = ThreadPoolExecutor(min(workers, count), "monge")
    waiting = iter(range(count))
    try:
        ready = deque(pool.submit(begun, block) for block in islice(waiting, _AHEAD * workers))
        while ready:
            result = ready.popleft().result()
            if result is _LATE:
                return
            ready.extend(pool.submit(begun, block) for block in islice(waiting, 1))
            yield result
    finally:  # after Ctrl-C, too: what runs ends with its block, and nobody waits for it
        pool.shutdown(wait=False, cancel_futures=True)


def _shown(results: Iterator[T], count: int, what: str, progress: bool) -> Iterator[T]:
    with count_bar(progress, count, what, "blocks") as show:
        for done, result in enumerate(results, start=1):
            yield result
            if show is not None:
                show(done)
