"""What can be done while a model learns."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

from monge.problem.arrays import positive_integer

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
        self.n, self.function = positive_integer(n, "n"), function

    def __call__(self, model: Any) -> bool:
        """Every n-th time."""
        return model.step % self.n == 0 and self.function(model) is True


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
    """

    def __init__(
        self, metric: Callable[[Any], float], *, name: str = "metric", every: int = 250, patience: int | None = None
    ) -> None:
        self.metric, self.name = metric, name
        self.every = positive_integer(every, "every")
        self.patience = None if patience is None else positive_integer(patience, "patience")
        self._best: dict[str, Any] | None = None

    def __call__(self, model: Any) -> bool:
        """Measure, where it is time to."""
        if model.step % self.every:
            return False
        history = model.history
        _, before = history.metrics.get(self.name, ((), ()))
        value = float(self.metric(model))
        history.measured(self.name, model.step, value)
        if self.patience is None:
            return False
        if value < min(before, default=math.inf):
            self._best = copy.deepcopy(model.map_.state_dict())
        elif len(before) - min(range(len(before)), key=lambda i: before[i], default=0) >= self.patience:
            if self._best is not None:
                model.map_.load_state_dict(self._best)
            return True
        return False
