"""A run of the training loop: callbacks, files on the way, a limit of time, a bar, and why it ended."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from monge.neural.checkpoint import writable
from monge.neural.samples import Samples
from monge.neural.training import Diverged, Slots, State, TrainingStatus, iterate
from monge.problem.arrays import positive_integer, seconds, shown
from monge.problem.progress import count_bar
from monge.problem.transport import ConvergenceWarning

__all__ = ["Run"]


class Run:
    """What `fit` and `resume` are asked to do on the way, checked before anything is learned or forgotten."""

    def __init__(
        self,
        callbacks: Callable[[Any], Any] | Sequence[Callable[[Any], Any]],
        checkpoint: str | Path | None,
        checkpoint_every: int,
        time_limit: float | None,
        progress: bool,
    ) -> None:
        self._callbacks = (callbacks,) if callable(callbacks) else tuple(callbacks)
        for each in self._callbacks:
            if not callable(each):
                raise TypeError(f"callbacks should be functions of the model; got {shown(each)}.")
        self._checkpoint = None if checkpoint is None else writable(checkpoint)
        self._every = positive_integer(checkpoint_every, "checkpoint_every")
        self._limit = seconds(time_limit)
        self._progress = progress

    def __call__(self, model: Any, state: State, slots: Slots, source: Samples, target: Samples) -> None:
        """Train, until all is done or something ends it; `model.status` says what."""
        end, total = time.monotonic() + self._limit, sum(slots.phases)
        model.status = TrainingStatus.UNFINISHED
        found, reason = TrainingStatus.DONE, ""
        with count_bar(self._progress, total, type(model).__name__, "iterations") as bar:
            while state.step < total:
                if time.monotonic() > end:
                    found = TrainingStatus.TIME_LIMIT
                    break
                try:
                    iterate(state, slots, source, target)
                except Diverged as problem:
                    found, reason = TrainingStatus.DIVERGED, f" ({problem})"
                    break
                if bar is not None:
                    bar(state.step, value=f"{state.history.last():.3g}")
                answers = [_ends(each(model)) for each in self._callbacks]  # of each, also after one that ends training
                if any(answers):
                    found = TrainingStatus.STOPPED
                    break
                if self._checkpoint is not None and state.step % self._every == 0 and state.step < total:
                    model.save(self._checkpoint)
        model.status = found
        if self._checkpoint is not None:
            model.save(self._checkpoint)
        if found in (TrainingStatus.TIME_LIMIT, TrainingStatus.DIVERGED):
            warnings.warn(
                f"{type(model).__name__}: in iteration {state.step + 1} of {total}{reason}: {found.value}.",
                ConvergenceWarning,
                stacklevel=3,
            )


def _ends(answer: Any) -> bool:
    """Whether a callback returned True, of Python's or of NumPy's. What else it may return is its own matter."""
    return isinstance(answer, bool | np.bool_) and bool(answer)
