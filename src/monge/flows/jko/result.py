"""What a flow of Jordan, Kinderlehrer and Otto leaves."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Advance", "JKOFlow", "JKOStatus"]

Array = NDArray[np.float64]


class Advance(NamedTuple):
    """One step: where it led, how far that is, and whether it was solved to the tolerance."""

    state: Array
    distance: float
    solved: bool


class JKOStatus(enum.Enum):
    """Why a flow ended. The value is the advice.

    Attributes
    ----------
    value : str
        What it means, and what to do about it if the flow should not have ended so.
    """

    DONE = "all steps were taken, each to its minimum"
    INEXACT = (
        "all steps were taken, but some stopped before their minimum was reached within tol: `solved` says which. "
        "Lower step, or raise tol or, on a grid, eps"
    )
    TIME_LIMIT = (
        "time_limit ran out: the last of the trajectory is the last whole step. Raise time_limit, or go on from there"
    )


class JKOFlow:
    """The way of a density down an energy; what `jko` returns.

    With k steps taken:

    Attributes
    ----------
    points : array (n, d) or (n,)
        Where the particles, or the quantiles in increasing order, are at the end. AttributeError for a flow on a grid.
    density : array
        The density at the end, of the shape of the grid. AttributeError for a flow of points.
    trajectory : array (k + 1, ...)
        The start, and the points or densities after each step.
    values : ndarray (k + 1,)
        The energy of each.
    distances : ndarray (k,)
        W_2 between one and the next; on a grid the root of the Sinkhorn divergence at eps, whose square is known to
        about eps tol, times the mass.
    times : ndarray (k + 1,)
        The time of each: 0, step, 2 step, ...
    solved : ndarray (k,)
        Whether a step reached its minimum within tol.
    step : float
        The time of one.
    eps : float or None
        The blur of a flow on a grid, in units of squared length.
    bandwidth : float or None
        Of the kernel density estimate of a flow of particles, a length, where one was needed.
    status : JKOStatus
        Why the flow ended; ``status.value`` is advice.
    converged : bool
        Whether all steps were taken, each to its minimum.
    """

    def __init__(
        self, trajectory: Any, values: Array, distances: Array, solved: NDArray[np.bool_], status: JKOStatus,
        step: float, on_grid: bool, eps: float | None, bandwidth: float | None,
    ) -> None:  # fmt: skip
        self.trajectory, self.values, self.distances, self.solved = trajectory, values, distances, solved
        self.status, self.step, self.eps, self.bandwidth = status, step, eps, bandwidth
        self._on_grid = on_grid
        self.times = step * np.arange(len(values))

    @property
    def points(self) -> Any:
        """Where the points are at the end."""
        if self._on_grid:
            raise AttributeError("a flow on a grid has no points; its result is .density.")
        return self.trajectory[-1, ...]

    @property
    def density(self) -> Any:
        """The density at the end."""
        if not self._on_grid:
            raise AttributeError("a flow of points has no density; its result is .points. For a density use grid=.")
        return self.trajectory[-1, ...]

    @property
    def converged(self) -> bool:
        """Whether all steps were taken, each to its minimum."""
        return self.status is JKOStatus.DONE

    def __repr__(self) -> str:
        what = "density" if self._on_grid else "points"
        shape = tuple(self.trajectory.shape[1:])
        return (
            f"JKOFlow({what} {shape}, {len(self.distances)} steps, energy {self.values[0]:.6g} -> "
            f"{self.values[-1]:.6g}, {self.status.name})"
        )
