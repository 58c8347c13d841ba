"""Tasks in other processes, on this machine or on many: where a configuration of joblib's says.

What a task gets is small, and says where its rows are. So it can be begun again anywhere, and a worker that is lost
costs the blocks that it was at.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from monge.problem.arrays import available_threads
from monge.spread.call import Call
from monge.spread.order import in_order

__all__ = ["configured", "in_processes"]

# Times that a block is begun again after it was lost with a worker.
_AGAIN = 3
# How it is called that a worker is gone: by loky, by dask in two ways, by ray.
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
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend()
    spread = _by_dask if hasattr(backend, "client") else _by_joblib
    sent = call.sent()  # the files of rows are there as long as `call` is
    first = lost = 0
    while True:
        try:
            for result in spread(backend, sent, range(first, count), n_jobs, deadline):
                yield result
                first, lost = first + 1, 0
            return
        except Exception as error:
            if not _is_lost(error):
                raise
            lost += 1
            if lost > _AGAIN:
                raise RuntimeError(
                    f"{call.what}: block {first} of {count}, or one that was begun beside it, lost its worker {lost} "
                    f"times, and no result came in between ({type(error).__name__}). Workers that need more memory "
                    "than they have end like this: give them more, or run fewer beside each other. Else their logs say "
                    "why they ended."
                ) from error


def _by_dask(backend: Any, call: Call, blocks: range, n_jobs: int, deadline: float) -> Iterator[Any]:
    # By its own client. joblib 1.6 waits without end for a task that dask has given up.
    submit = partial(backend.client.submit, run_block, call, pure=False, **backend.submit_kwargs)
    with backend.retrieval_context():  # in a task of dask's this makes room for others
        yield from in_order(submit, blocks, backend.effective_n_jobs(n_jobs), deadline)


def _by_joblib(backend: Any, call: Call, blocks: range, n_jobs: int, deadline: float) -> Iterator[Any]:
    from joblib import Parallel, delayed, effective_n_jobs

    # One block a task. joblib would put short ones together, and these are as long as they should be.
    options: dict[str, Any] = {"n_jobs": n_jobs, "batch_size": 1}
    tasks = (delayed(run_block)(call, block) for block in blocks if block == 0 or time.monotonic() < deadline)
    if backend.supports_return_generator:
        yield from Parallel(return_as="generator", **options)(tasks)
        return
    while wave := list(islice(tasks, _WAVE * effective_n_jobs(n_jobs))):
        yield from Parallel(**options)(wave)


def run_block(call: Call, block: int) -> Any:
    """What workers run: a function that they can import, and a small argument."""
    return call(block)


def _is_lost(error: Exception) -> bool:
    return any(kind.__name__ in _LOST for kind in type(error).__mro__)
