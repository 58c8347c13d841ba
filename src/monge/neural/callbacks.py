"""What can be done while a model learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from monge.problem.arrays import positive_integer, shown

__all__ = ["Every", "Watch"]


class Every:
    """A function of the model, called once in so many iterations.

    Parameters
    ----------
    n : int
        Iterations between two calls.
    function : callable
        ``function(model)``; training ends where it returns True.
    """

    def __init__(self, n: int, function: Callable[[Any], Any]) -> None:
        self.n, self.function = positive_integer(n, "n"), _function(function, "function")

    def __call__(self, model: Any) -> Any:
        """Every n-th time."""
        return None if model.step % self.n else self.function(model)


class Watch:
    """A metric of the model, written to its history; training ends when it has not been lower for long.

    Parameters
    ----------
    metric : callable
        ``metric(model)``, a number that is the smaller the better, such as the distance of samples to others.
    name : str
        What it is called in ``history.metrics``.
    every : int
        Iterations between two measurements.
    patience : int, optional
        So many measurements without a lower one end training, with the average of the map's weights as it was at the
        lowest. None to measure only.

    Notes
    -----
    What was measured is in the model's history, and the weights at the lowest in `Model.kept`, and so in its files:
    patience goes on where it was when training does.
    """

    def __init__(
        self, metric: Callable[[Any], float], *, name: str = "metric", every: int = 250, patience: int | None = None
    ) -> None:
        self.metric, self.name = _function(metric, "metric"), name
        self.every = positive_integer(every, "every")
        self.patience = None if patience is None else positive_integer(patience, "patience")

    def __call__(self, model: Any) -> bool:
        """Measure, where it is time to."""
        if model.step % self.every:
            return False
        history = model.history
        history.measured(self.name, model.step, float(self.metric(model)))
        if self.patience is None:
            return False
        _, values = history.metrics[self.name]
        ranked = np.where(np.isnan(values), math.inf, values)
        since = len(values) - 1 - int(np.argmin(ranked))
        if since == 0:
            model.kept[self.name] = {name: each.clone() for name, each in model.map_.state_dict().items()}
        if since >= self.patience:
            model.map_.load_state_dict(model.kept[self.name])
        return since >= self.patience


def _function(value: Any, name: str) -> Any:
    """`value`, which would be called only after so many iterations."""
    if not callable(value):
        raise TypeError(f"{name} should be a function of the model; got {shown(value)}.")
    return value
