"""A run of the training loop: callbacks, files on the way, a limit of time, a bar, and why it ended."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from monge.neural.callbacks import Watch
from monge.neural.checkpoint import writable
from monge.neural.samples import Samples
from monge.neural.training import Diverged, Slots, State, TrainingStatus, iterate
from monge.problem.arrays import positive_integer, seconds, shown
from monge.problem.progress import count_bar
from monge.problem.transport import ConvergenceWarning

__all__ = ["Run", "train"]


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
        names = [each.name for each in self._callbacks if isinstance(each, Watch)]
        if len(set(names)) < len(names):
            raise ValueError(f"callbacks: each Watch should have a name of its own; got {', '.join(map(repr, names))}.")
        self._checkpoint = None if checkpoint is None else writable(checkpoint)
        self._every = positive_integer(checkpoint_every, "checkpoint_every")
        self._limit = seconds(time_limit)
        self._progress = progress

    def __call__(self, model: Any, state: State, slots: Slots, source: Samples, target: Samples) -> None:
        """Train, until all is done or something ends it; `model.status` says what."""

        def after() -> bool:
            answers = [_ends(each(model)) for each in self._callbacks]  # of each, also after one that ends training
            if self._checkpoint is not None and state.step % self._every == 0 and not any(answers):
                model.save(self._checkpoint)
            return any(answers)

        model.status = TrainingStatus.UNFINISHED
        name = type(model).__name__
        model.status, reason = train(name, state, slots, source, target, self._limit, self._progress, after)
        if self._checkpoint is not None:
            model.save(self._checkpoint)
        if model.status in (TrainingStatus.TIME_LIMIT, TrainingStatus.DIVERGED):
            warnings.warn(f"{name}: {reason}: {model.status.value}.", ConvergenceWarning, stacklevel=3)


def train(
    name: str,
    state: State,
    slots: Slots,
    source: Samples,
    target: Samples,
    limit: float,
    progress: bool,
    after: Callable[[], bool] = lambda: False,
) -> tuple[TrainingStatus, str]:
    """Iterate to the end, or until `limit` seconds are over, a loss is not finite, or `after` an iteration is True.

    Returns why it ended, and in words where.
    """
    end, total = time.monotonic() + limit, sum(slots.phases)
    with count_bar(progress, total, name, "iterations") as bar:
        while state.step < total:
            where = f"in iteration {state.step + 1} of {total}"
            if time.monotonic() > end:
                return TrainingStatus.TIME_LIMIT, where
            try:
                iterate(state, slots, source, target)
            except Diverged as problem:
                return TrainingStatus.DIVERGED, f"{where} ({problem})"
            if bar is not None:
                bar(state.step, value=f"{state.history.last():.3g}")
            if after():
                return TrainingStatus.STOPPED, where
    return TrainingStatus.DONE, ""


def _ends(answer: Any) -> bool:
    """Whether a callback returned True, of Python's or of NumPy's. What else it may return is its own matter."""
    return isinstance(answer, bool | np.bool_) and bool(answer)
