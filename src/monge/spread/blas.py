"""Products of matrices within a task, on the one thread that the task has.

NumPy's library for them starts threads of its own, one for each processor, for every product. Beside other tasks they
wait for each other: 750 steps of a flow of 5000 points in 784 dimensions took half as long again, and twice the work.
And the last bits of a product may depend on their number.
"""

from __future__ import annotations

import os
import threading
from functools import cache
from typing import Any

__all__ = ["one_thread"]


class _OneThread:
    """A context in which products of matrices take one thread, in all of this process; counted, as tasks overlap."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._limits: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._limits = _libraries().limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._limits.restore_original_limits()

    def _forked(self) -> None:
        """In a forked process no task runs, whatever ran beside the fork."""
        if self._inside:
            self._limits.restore_original_limits()
        self.__init__()  # type: ignore[misc]


one_thread = _OneThread()
if hasattr(os, "register_at_fork"):  # where processes fork
    os.register_at_fork(after_in_child=one_thread._forked)


@cache
def _libraries() -> Any:
    """Those that are loaded: some milliseconds of looking for them."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
