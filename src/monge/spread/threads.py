"""Tasks in threads of this process, which need no more than Python."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from monge.spread.call import Call

__all__ = ["in_threads"]

# Blocks that wait for their turn or to be fetched, for each thread: results may be large.
_AHEAD = 4
# In place of the result of a block that the time was over for.
_LATE = object()


def in_threads(call: Call, count: int, workers: int, deadline: float) -> Iterator[Any]:
    """call(0), ..., call(count - 1), in this order; fewer if the time is over, but at least the first."""

    def begun(block: int) -> Any:
        return _LATE if block > 0 and time.monotonic() >= deadline else call(block)

    workers = min(workers, count)
    results = map(begun, range(count)) if workers <= 1 else _from_pool(begun, count, workers)
    for result in results:
        if result is _LATE:
            return
        yield result


def _from_pool(begun: Callable[[int], Any], count: int, workers: int) -> Iterator[Any]:
    waiting = iter(range(count))
    pool = ThreadPoolExecutor(workers, "monge")
    try:
        ready = deque(pool.submit(begun, block) for block in islice(waiting, _AHEAD * workers))
        while ready:
            result = ready.popleft().result()
            ready.extend(pool.submit(begun, block) for block in islice(waiting, 1))
            yield result
    finally:  # after Ctrl-C, too: what runs ends with its block, and nobody waits for it
        pool.shutdown(wait=False, cancel_futures=True)
