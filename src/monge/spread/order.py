"""Results of futures in the order of their blocks, some blocks ahead of who fetches them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

__all__ = ["in_order"]

# Blocks that wait for their turn or to be fetched, for each worker: results may be large.
_AHEAD = 4


def in_order(submit: Callable[[int], Any], blocks: range, workers: int, deadline: float) -> Iterator[Any]:
    """The results of submit(block), which are futures of any library, for each block.

    Fewer if the time is over, and then what is at work still is of no use; but block zero always comes.
    """
    waiting = iter(blocks)
    ready = deque(submit(block) for block in islice(waiting, _AHEAD * workers))
    try:
        for block in blocks:
            if block > 0 and time.monotonic() >= deadline and not ready[0].done():
                return
            result = ready.popleft().result()
            if time.monotonic() < deadline:
                ready.extend(submit(later) for later in islice(waiting, 1))
            yield result
            if not ready:
                return
    finally:
        for future in ready:
            future.cancel()
