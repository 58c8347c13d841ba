"""What tests of interrupts share: signals that find the core at work, on a machine of any speed."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

needs_alarm = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")


@contextmanager
def ticking(module: Any, name: str, ticked: Callable[[int], Any]) -> Iterator[None]:
    """While the core is in this function, an alarm calls `ticked` with 1, 2, ...: whenever the core looks for signals,
    and at most once when it is back."""
    core = getattr(module, name)

    def watched(*args: Any) -> Any:
        ticks = count(1)
        signal.signal(signal.SIGALRM, lambda *_: ticked(next(ticks)))
        signal.setitimer(signal.ITIMER_REAL, 0.005, 0.001)
        try:
            return core(*args)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)

    setattr(module, name, watched)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        # Not the default, which ends the process: a tick may still be on its way.
        signal.signal(signal.SIGALRM, lambda *_: None)
        setattr(module, name, core)


def from_core(error: BaseException) -> bool:
    """Whether it came out of a call of the core, and not of Python code before or after."""
    return any(frame.filename.endswith(".pyx") for frame in traceback.extract_tb(error.__traceback__))
