"""What one may look at while a model learns, and afterwards."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["History"]

_COLUMNS = ("phase", "value", "potential_loss", "map_loss", "evaluations", "seconds")


class History:
    """Figures of each iteration, which is some steps of the potential and one of the map.

    With t iterations done:

    Attributes
    ----------
    step : ndarray (t,)
        Their numbers, from 1.
    phase : ndarray (t,)
        The outer step they belong to, from 1; always 1 but in the JKO schemes.
    value : ndarray (t,)
        What the functional is according to the batch of the last step of the potential, or of the map where there is no
        potential: of a WGAN the estimate of W1. `smoothed` is what ranks the quality of samples.
    potential_loss, map_loss : ndarray (t,)
        What the two steps lowered; NaN where there is no potential.
    evaluations : ndarray (t,)
        How often maps, of now and of before, were evaluated at a batch.
    seconds : ndarray (t,)
        Time since training began, not counting pauses between two runs.
    metrics : dict of name to (steps, values)
        What `Watch` measured on the way.

    Methods
    -------
    smoothed(share, column)
        A running mean of a column.
    """

    def __init__(self) -> None:
        self._columns: dict[str, list[float]] = {name: [] for name in _COLUMNS}
        self._metrics: dict[str, tuple[list[int], list[float]]] = {}

    def __len__(self) -> int:
        return len(self._columns["value"])

    def __repr__(self) -> str:
        return f"History({len(self)} iterations" + (f", metrics {', '.join(self._metrics)})" if self._metrics else ")")

    def __getattr__(self, name: str) -> NDArray[Any]:
        if name not in _COLUMNS:
            raise AttributeError(f"History has no {name!r}; it has step, {', '.join(_COLUMNS)}, metrics.")
        return np.array(self._columns[name], dtype=np.int64 if name in ("phase", "evaluations") else np.float64)

    @property
    def step(self) -> NDArray[np.int64]:
        """Numbers of the iterations, from 1."""
        return np.arange(1, len(self) + 1)

    @property
    def metrics(self) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Name to the steps at which a metric was measured, and what it was."""
        return {name: (np.array(steps), np.array(values)) for name, (steps, values) in self._metrics.items()}

    def smoothed(self, share: float = 0.9, column: str = "value") -> NDArray[np.float64]:
        """A running mean of a column, in which each iteration has the weight 1 - `share`, and those before the rest.

        Parameters
        ----------
        share : float
            Of what was before, in [0, 1).
        column : str
            Such as "value".

        Returns
        -------
        ndarray (t,)
            Without a bias to its start: the weights of those there are sum to one.
        """
        if not 0.0 <= share < 1.0:
            raise ValueError(f"share should be in [0, 1); got {share}.")
        mean, weight, found = 0.0, 0.0, []
        for value in getattr(self, column):
            mean, weight = share * mean + (1.0 - share) * value, share * weight + (1.0 - share)
            found.append(mean / weight)
        return np.array(found)

    def last(self, column: str = "value") -> float:
        """The last figure of a column; NaN before there is one."""
        return self._columns[column][-1] if self._columns[column] else math.nan

    def add(self, *, seconds: float, **figures: float) -> None:
        """One more iteration, which took so many seconds."""
        figures["seconds"] = seconds + (self.last("seconds") if len(self) else 0.0)
        for name in _COLUMNS:
            self._columns[name].append(figures[name])

    def cut(self, count: int) -> None:
        """As it was when so many iterations were done."""
        for figures in self._columns.values():
            del figures[count:]

    def measured(self, name: str, step: int, value: float) -> None:
        """One more figure of a metric."""
        steps, values = self._metrics.setdefault(name, ([], []))
        steps.append(step)
        values.append(value)

    def state(self) -> dict[str, Any]:
        """Lists of numbers."""
        return {"columns": self._columns, "metrics": {name: list(both) for name, both in self._metrics.items()}}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> History:
        """From `state`."""
        history = cls()
        history._columns = {name: list(state["columns"][name]) for name in _COLUMNS}
        history._metrics = {name: (list(steps), list(values)) for name, (steps, values) in state["metrics"].items()}
        return history
