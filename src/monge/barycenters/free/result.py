"""What `free_barycenter` returns: points, masses, and a proof of how good they are."""

from __future__ import annotations

import enum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.free.objectives import Objective
from monge.problem.at_home import at_home
from monge.problem.home import Home
from monge.problem.transport import Transport

__all__ = ["FreeBarycenter", "FreeStatus"]

Array = NDArray[np.float64]


class FreeStatus(enum.Enum):
    """Why the search for a barycenter of points, or of normal distributions, ended. The value is the advice.

    Attributes
    ----------
    value : str
        What it means, and what to do about it if the search should not have ended.
    """

    EXACT = "this is the barycenter, in closed form"
    CONVERGED = "a further step would change next to nothing, as tol says: this is a minimum, if perhaps a local one"
    MAX_ITER = "max_iter ran out before tol was reached. Raise max_iter or tol, or go on from this result"
    TIME_LIMIT = "time_limit ran out before tol was reached. Raise time_limit or tol, or go on from this result"


class FreeBarycenter:
    """A measure in between others; what `free_barycenter` returns.

    Attributes
    ----------
    points : array (n, d)
        Where it has its points.
    weights : array (n,)
        Their masses, which sum to one.
    value : float
        sum_k w_k OT(nu, mu_k), in cost units; with ``debias`` of the divergences.
    lower_bound : float
        What no measure goes below, by the distances between the measures; computed when asked for.
    gap : float
        ``value - lower_bound``, >= 0: the barycenter's value is this close to the least one, or closer.
    values : ndarray (t + 1,)
        The value at the start and after each step.
    iterations : int
        Steps taken.
    status : FreeStatus
        Why the search ended; ``status.value`` is advice.
    converged : bool
        Whether nothing was left to do.
    transports : list of Transport
        From the barycenter to each of the measures, computed when asked for where it was not before.
    """

    def __init__(
        self, points: Array, masses: Array, values: Array, status: FreeStatus, objective: Objective,
        solved: list[Transport] | None, home: Home | None,
    ) -> None:  # fmt: skip
        self._points, self._masses, self.values, self.status = points, masses, values, status
        self._objective, self._solved, self._home = objective, solved, home

    @property
    def points(self) -> Any:
        """Where it has its points, (n, d)."""
        return at_home(self._points, self._home)

    @property
    def weights(self) -> Any:
        """Their masses, (n,)."""
        return at_home(self._masses, self._home)

    @property
    def value(self) -> float:
        """The objective at the end."""
        return float(self.values[-1])

    @property
    def iterations(self) -> int:
        """Steps taken."""
        return len(self.values) - 1

    @property
    def converged(self) -> bool:
        """Whether nothing was left to do."""
        return self.status in (FreeStatus.EXACT, FreeStatus.CONVERGED)

    @cached_property
    def lower_bound(self) -> float:
        """What no measure goes below."""
        return self.value if self.status is FreeStatus.EXACT else min(self.value, float(self._objective.bound()))

    @property
    def gap(self) -> float:
        """What the value has above `lower_bound`, >= 0."""
        return self.value - self.lower_bound

    @cached_property
    def transports(self) -> list[Transport]:
        """From the barycenter to each of the measures."""
        return at_home(self._objective.all(self._points, self._masses, self._solved), self._home)

    def __repr__(self) -> str:
        n, d = self._points.shape
        return (
            f"FreeBarycenter({n} points in {d}-D, value={self.value:.6g}, {self.status.name}, "
            f"{self.iterations} iterations)"
        )
