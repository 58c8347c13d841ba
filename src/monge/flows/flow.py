"""What a gradient flow leaves: where the particles were, what the loss was there, and why it ended."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Flow", "FlowStatus"]


class FlowStatus(enum.Enum):
    """Why a gradient flow ended. The value is the advice.

    Attributes
    ----------
    value : str
        What it means, and what to do about it if the flow should not have ended.
    """

    DONE = "all steps were taken"
    MINIMUM = "no step lowers the loss any more, nor would one by a visible amount: the points are at a minimum"
    STALLED = (
        "no step along the gradient lowers the loss, though the gradient is not small: the loss is known too coarsely "
        "(lower its tol), its gradient is not that of its value, or it has a kink there, which steps of a fixed size "
        "without line_search pass"
    )
    DIVERGED = (
        "the next points, or the loss or its gradient there, were not finite: these are the last that were. Lower step "
        "or momentum, or take line_search=True"
    )
    TIME_LIMIT = "time_limit ran out: the points are those of the last step. Raise time_limit, or go on from the points"


@dataclass(frozen=True, repr=False)
class Flow:
    """The way of particles down a loss; what `gradient_flow` returns.

    With t steps taken, of which k - 1 were recorded:

    Attributes
    ----------
    points : array (n, d)
        Where the particles are at the end, in the floating type and the library of x0.
    trajectory : array (k, n, d)
        Where they were after the steps ``recorded``; the first is x0, the last is ``points``.
    recorded : ndarray (k,)
        The numbers of these steps; 0 is the start.
    times : ndarray (t + 1,)
        The sum of the steps taken up to then, the time of the flow; ``times[recorded]`` is that of the trajectory.
    values : ndarray (t + 1,)
        The loss at the start and after each step.
    status : FlowStatus
        Why the flow ended; ``status.value`` is advice.
    last : object
        What the loss returned at ``points``.
    """

    points: Any
    trajectory: Any
    recorded: NDArray[np.int64]
    times: NDArray[np.float64]
    values: NDArray[np.float64]
    status: FlowStatus
    last: Any

    def __repr__(self) -> str:
        n, d = self.points.shape
        return (
            f"Flow({n} points in {d}-D, {len(self.values) - 1} steps, value {self.values[0]:.6g} -> "
            f"{self.values[-1]:.6g}, {self.status.name})"
        )
