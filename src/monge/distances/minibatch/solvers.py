"""What is computed of each pair of batches: exact transport, entropic transport, or any loss of two clouds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from monge.distances.minibatch.solving import matched
from monge.entropic.marginals import Marginal
from monge.entropic.problem import Problem
from monge.entropic.solving import solve_all
from monge.problem.batch import naming
from monge.problem.costs import PointCloud
from monge.problem.plan_slopes import plan_slopes
from monge.problem.transport import Status

__all__ = ["Asked", "Entries", "Entropic", "Exact", "OfLoss", "Solved", "Solver", "add_rows"]

Array = NDArray[np.float64]

# Up to so many, rows are added up a column at a time, by what NumPy has for that.
_FEW_COLUMNS = 8
# As the defaults of `sinkhorn`.
_TOL, _MAX_ITER = 1e-3, 10_000


@dataclass(frozen=True)
class Entries:
    """Entries of the plans of k pairs: the pair, the places in its two batches, and the mass; all (e,)."""

    pair: NDArray[np.int64]
    left: NDArray[Any]
    right: NDArray[Any]
    mass: Array


@dataclass(frozen=True)
class Asked:
    """What is wanted beside values: the plans, and the derivatives with respect to the batches of either side."""

    plans: bool = False
    slopes: tuple[bool, bool] = (False, False)


@dataclass(frozen=True)
class Solved:
    """What was found for k pairs.

    Attributes
    ----------
    values : ndarray (k,)
        The value of each.
    entries : Entries or None
        Of the plans.
    slopes : (ndarray (k, m, d) or None, ndarray (k, l, d) or None)
        Derivatives of each value with respect to both batches.
    reason : str
        Why there are no slopes where some were asked for.
    late : int
        How many pairs are less precise than they should be.
    """

    values: Array
    entries: Entries | None = None
    slopes: tuple[Array | None, Array | None] = (None, None)
    reason: str = ""
    late: int = 0


class Solver(Protocol):
    """Solves pairs x[q] (m, d) and y[q] (l, d) of uniform weights, on one thread."""

    @property
    def cost(self) -> Any:
        """What `PointCloud` takes; None where that is nobody's business."""

    @property
    def has_plans(self) -> bool:
        """Whether there are plans."""

    @property
    def sparse(self) -> bool:
        """Whether they come at no price, with few entries."""

    def solve(self, x: NDArray[Any], y: NDArray[Any], asked: Asked) -> Solved:
        """Clouds (k, m, d) and (k, l, d)."""

    def seconds(self, m: int, d: int) -> float:
        """About how long a pair of batches of m points takes."""


@dataclass(frozen=True)
class Exact:
    """Exact transport, at a cost that `PointCloud` takes."""

    cost: Any

    has_plans = sparse = True

    def solve(self, x: NDArray[Any], y: NDArray[Any], asked: Asked) -> Solved:
        """Clouds (k, m, d) and (k, l, d)."""
        found = matched(x, y, self.cost)
        entries = Entries(found.pair, found.left, found.right, found.mass)
        slopes: tuple[Array | None, Array | None] = (None, None)
        reason = ""
        if any(asked.slopes):
            try:
                slopes = self._slopes(x, y, entries)
            except TypeError as error:
                reason = str(error)
        return Solved(found.values, entries, slopes, reason, found.inexact)

    def _slopes(self, x: NDArray[Any], y: NDArray[Any], entries: Entries) -> tuple[Array, Array]:
        m, d = x.shape[1:]
        at = entries.pair * m + entries.left, entries.pair * y.shape[1] + entries.right
        ground = PointCloud(x[0], y[0], self.cost).ground
        found = plan_slopes(ground, x.reshape(-1, d), y.reshape(-1, d), (*at, entries.mass))
        return found[0].reshape(x.shape), found[1].reshape(y.shape)

    def seconds(self, m: int, d: int) -> float:
        """About how long a pair of batches of m points takes."""
        return 5e-6 + 1.7e-8 * m * m + 2e-10 * m * m * d


@dataclass(frozen=True)
class Entropic:
    """Entropic transport, with penalties or without."""

    cost: Any
    eps: float
    marginals: tuple[Marginal, Marginal]

    has_plans, sparse = True, False

    def solve(self, x: NDArray[Any], y: NDArray[Any], asked: Asked) -> Solved:
        """Clouds (k, m, d) and (k, l, d)."""
        clouds = [PointCloud(*pair, self.cost) for pair in zip(x, y, strict=True)]
        problems = [
            Problem(cloud, None, None, self.marginals, self.eps, _TOL, _MAX_ITER, None, "cpu", 1) for cloud in clouds
        ]
        found = solve_all(problems, 1)
        late = sum(t.status is not Status.CONVERGED or t.eps != self.eps for t in found)
        entries = None
        if asked.plans:
            plans = np.stack([t.plan.toarray() for t in found])
            pair, left, right = np.nonzero(plans)
            entries = Entries(pair, left, right, plans[pair, left, right])
        slopes, reason = _slopes_of(found, asked, x, y)
        return Solved(np.array([t.value for t in found]), entries, slopes, reason, late)

    def seconds(self, m: int, d: int) -> float:
        """About how long a pair of batches of m points takes."""
        return 1e-4 + 1e-7 * m * m + 1e-9 * m * m * d


@dataclass(frozen=True)
class OfLoss:
    """A function of two clouds that returns a `Loss`, a result with a ``value``, or a number."""

    loss: Callable[[Any, Any], Any]

    cost = None
    has_plans = sparse = False

    def solve(self, x: NDArray[Any], y: NDArray[Any], asked: Asked) -> Solved:
        """Clouds (k, m, d) and (k, l, d)."""
        found: list[Any] = []
        with naming("pair", 0) as at:
            for at.index in range(len(x)):
                found.append(self.loss(x[at.index], y[at.index]))
        values = np.array([getattr(one, "value", one) for one in found])
        if values.shape != (len(x),) or values.dtype.kind not in "fiu":
            raise TypeError(
                "loss should be a function of two clouds that returns a Loss or a number; it returned "
                f"{type(found[0]).__name__}."
            )
        if not np.isfinite(values).all():
            bad = int(np.argmin(np.isfinite(values)))
            raise ValueError(f"loss should return finite numbers; it returned {values[bad]} for pair {bad} of a block.")
        slopes, reason = _slopes_of(found, asked, x, y)
        return Solved(values.astype(np.float64), None, slopes, reason)

    def seconds(self, m: int, d: int) -> float:
        """About how long a pair of batches of m points takes: nobody knows."""
        return 1e-3


def _like(slopes: Any, name: str, points: NDArray[Any]) -> Array:
    array = np.asarray(slopes, np.float64)
    if array.shape != points.shape:
        raise ValueError(
            f"the {name} of the loss of a pair should have the shape of its batch, {points.shape}; got {array.shape}."
        )
    return array


def _slopes_of(found: list[Any], asked: Asked, *points: NDArray[Any]) -> tuple[tuple[Array | None, Array | None], str]:
    """The derivatives of each with respect to its clouds, and why there are none."""
    slopes: list[Array | None] = [None, None]
    try:
        for side, name in enumerate(("grad_x", "grad_y")):
            if asked.slopes[side]:
                slopes[side] = np.stack([_like(getattr(one, name), name, points[side][0]) for one in found])
    except (TypeError, AttributeError) as error:
        return (None, None), f"the loss of each pair has none: {error}"
    return (slopes[0], slopes[1]), ""


def add_rows(sums: Array, places: NDArray[Any], rows: Array) -> None:
    """sums[places] += rows, where places repeat."""
    if rows.shape[1] <= _FEW_COLUMNS:
        for column in range(rows.shape[1]):
            np.add.at(sums[:, column], places, rows[:, column])
        return
    from scipy.sparse import csr_array

    some, at = np.unique(places, return_inverse=True)
    sums[some] += csr_array((np.ones(len(at)), (at, np.arange(len(at))))) @ rows
