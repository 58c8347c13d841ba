"""Many like tasks, run wherever there is room for them, with the same results everywhere.

A task is a function of the number of its block, of random numbers that depend on nothing but a seed and that number,
and of sources, which say where its rows are. Results come in the order of the blocks. So sums over them have the same
bits on one thread, on many, and on machines that come and go.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from monge.problem.arrays import seconds, shown
from monge.problem.progress import count_bar
from monge.spread.base import Source
from monge.spread.call import Call
from monge.spread.cluster import configured, in_processes
from monge.spread.threads import in_threads

__all__ = ["run_blocks", "seed_of", "workers"]

T = TypeVar("T")


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
    RuntimeError
        If a block was lost with its worker several times in a row.
    """
    deadline = time.monotonic() + seconds(time_limit)
    elsewhere, jobs = workers(n_jobs)
    call = Call(task, seed, tuple(sources), what)
    run = in_processes if elsewhere else in_threads
    return _shown(run(call, count, jobs, deadline), count, what, progress)


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


def workers(n_jobs: Any) -> tuple[bool, int]:
    """Whether blocks run in other processes, as an active configuration of joblib's says; and how many at a time.

    The number is that of threads in this process; of processes -1 stands for all there are.
    """
    if n_jobs is None or (isinstance(n_jobs, int | np.integer) and not isinstance(n_jobs, bool) and n_jobs != 0):
        return configured(None if n_jobs is None else int(n_jobs))
    raise ValueError(f"n_jobs should be an integer that is not zero, or None; got {shown(n_jobs)}.")


def _shown(results: Iterator[T], count: int, what: str, progress: bool) -> Iterator[T]:
    with count_bar(progress, count, what, "blocks") as show:
        for done, result in enumerate(results, start=1):
            if show is not None:
                show(done)
            yield result
