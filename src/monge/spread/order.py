"""Results of futures in the order of their blocks, some blocks ahead of who fetches them."""

from __future__ import annotations

import contextlib
import math
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
            if not ready or not _ready(ready[0], math.inf if block == 0 else deadline):
                return
            result = ready.popleft().result()
            if time.monotonic() < deadline:
                ready.extend(submit(later) for later in islice(waiting, 1))
            yield result
    finally:
        for future in ready:
            future.cancel()


def _ready(future: Any, deadline: float) -> bool:
    """Waits for the result of a future, and says whether it came in time."""
    if deadline < math.inf and not future.done():
        with contextlib.suppress(Exception):  # what the task raised, or that the time is over
            future.result(max(0.0, deadline - time.monotonic()))
        return bool(future.done())
    return True
