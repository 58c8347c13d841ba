"""Tasks in threads of this process, which need no more than Python."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from monge.spread.order import in_order

__all__ = ["in_threads"]


def in_threads(call: Callable[[int], Any], count: int, workers: int, deadline: float) -> Iterator[Any]:
    """call(0), ..., call(count - 1), in this order; fewer if the time is over, but at least the first."""
    workers = min(workers, count)
    if workers <= 1:
        for block in range(count):
            if block > 0 and time.monotonic() >= deadline:
                return
            yield call(block)
        return
    pool = ThreadPoolExecutor(workers, "monge")
    try:
        yield from in_order(lambda block: pool.submit(call, block), range(count), workers, deadline)
    finally:  # after Ctrl-C, too: what runs ends with its block, and nobody waits for it
        pool.shutdown(wait=False, cancel_futures=True)
