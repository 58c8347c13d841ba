"""Tasks in other processes, on this machine or on many: through joblib, for whose backends these lines are enough.

What a task gets is small, and says where its rows are. So it can be begun again anywhere, and a worker that is lost
costs the blocks that it was at.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from monge.problem.arrays import available_threads
from monge.spread.call import Call

__all__ = ["configured", "in_processes"]

# Times that a block is begun again after it was lost with a worker.
_AGAIN = 3
# How joblib's backends call it that a worker is gone: loky, the two of dask's, ray.
_LOST = {"BrokenProcessPool", "CancelledError", "KilledWorker", "RayActorError", "WorkerCrashedError"}
# Blocks for each worker in one call of a backend that gives results back only when all are there.
_WAVE = 4


def configured(n_jobs: int | None) -> tuple[bool, int]:
    """Whether a configuration of joblib's is active that sends tasks to other processes; and the number of workers.

    Of threads that is the number; of processes -1 stands for all that there are, as with joblib. Where joblib was not
    imported no configuration can be active.
    """
    if "joblib" not in sys.modules:
        return False, _threads(n_jobs)
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend(prefer="threads")  # these without a configuration, and else what it says
    if n_jobs is None:
        _, n_jobs = get_active_backend()
    if not getattr(backend, "supports_sharedmem", False):
        return True, -1 if n_jobs is None else n_jobs
    # In a task of the caller's own, other tasks have the other processors.
    alone = backend.nesting_level > 0 or backend.effective_n_jobs(2) == 1
    return False, 1 if n_jobs is None and alone else _threads(n_jobs)


def _threads(n_jobs: int | None) -> int:
    if n_jobs is None or n_jobs > 0:
        return available_threads(n_jobs)
    return max(1, available_threads(None) + 1 + n_jobs)  # as joblib counts


def in_processes(call: Call, count: int, n_jobs: int, deadline: float) -> Iterator[Any]:
    """call(0), ..., call(count - 1), each in a worker of the active configuration, in this order.

    Blocks that were lost with their workers are begun again. Fewer come if the time is over, but at least the first.
    """
    sent = call.sent()
    first = begun = lost = 0

    def blocks() -> Iterator[int]:
        nonlocal begun
        for block in range(first, count):
            if block > 0 and time.monotonic() >= deadline:
                return
            begun = block + 1
            yield block

    while True:
        try:
            for result in _spread(sent, blocks(), n_jobs):
                yield result
                first, lost = first + 1, 0
            return
        except Exception as error:
            if not _is_lost(error):
                raise
            lost += 1
            if lost > _AGAIN:
                which = f"block {first}" if begun == first + 1 else f"one of the blocks {first} to {begun - 1}"
                raise RuntimeError(
                    f"{call.what}: {which} lost its worker {lost} times, without a result in between: {error}\n"
                    "Workers that need more memory than they have end like this: give them more, or run fewer beside "
                    "each other (n_jobs). Else the logs of the workers say why they ended."
                ) from error


def _spread(call: Call, blocks: Iterator[int], n_jobs: int) -> Iterator[Any]:
    from joblib import Parallel, delayed, effective_n_jobs
    from joblib.parallel import get_active_backend

    # One block a task. joblib would put short ones together, and these are as long as they should be.
    options = {"n_jobs": n_jobs, "batch_size": 1}
    tasks = (delayed(run_block)(call, block) for block in blocks)
    if get_active_backend()[0].supports_return_generator:
        yield from Parallel(return_as="generator", **options)(tasks)
        return
    while wave := list(islice(tasks, _WAVE * effective_n_jobs(n_jobs))):
        yield from Parallel(**options)(wave)


def run_block(call: Call, block: int) -> Any:
    """What workers run: a function that they can import, and a small argument, which joblib leaves as it is."""
    return call(block)


def _is_lost(error: Exception) -> bool:
    return any(kind.__name__ in _LOST for kind in type(error).__mro__)
