"""Conditional gradient (Frank and Wolfe 1956) for an objective that is quadratic in the plan.

The linear problem for the derivative at a plan P is one of transport, with a plan Q; on the way to Q the objective is a
parabola, whose least point is next. Where it opens downwards, as for all structures that are conditionally negative,
squared distances among them, that is Q itself: an extreme plan, with few entries (Vayer et al. 2020, section 4.3).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from monge.problem.costs import Cost
from monge.problem.transport import Transport
from monge.structures.forms import Evaluated
from monge.structures.result import GromovStatus

__all__ = ["Descent", "Step", "descend", "steps"]


@dataclass(frozen=True)
class Step:
    """One step of a descent.

    Attributes
    ----------
    before, after : Evaluated
        The objective at the plan before and after.
    transport : Transport
        The answer of the linear problem at the plan before.
    gap : float
        By so much the linear problem is better than the plan before: zero at a stationary plan, and for a convex
        objective a bound of what is left.
    length : float
        How far the step went, 1 for the whole way.

    Examples
    --------
    See `steps`.
    """

    before: Evaluated
    after: Evaluated
    transport: Transport
    gap: float
    length: float


def steps(start: Evaluated, at: Callable[[Any], Evaluated], solve: Callable[[Cost, Any], Transport]) -> Iterator[Step]:
    """The steps from a plan on, without end.

    Parameters
    ----------
    start : Evaluated
        The objective at the plan to begin with, or a `Toward` with the cost of the first problem.
    at : callable
        Evaluates the objective at a plan: ``form.at``, or ``form.walk()``.
    solve : callable
        The transport for a cost, and the one of the step before as a start, or None.

    Yields
    ------
    Step
        What was found, before the next one is begun.

    Examples
    --------
    >>> import numpy as np, monge
    >>> from monge.structures.clouds import Cloud, CloudForm
    >>> from monge.structures.descent import steps
    >>> x, mass = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 1.0]]), np.full(3, 1.0 / 3.0)
    >>> form = CloudForm(Cloud(x, mass), Cloud(x[[2, 0, 1]], mass))
    >>> start = form.at(np.full((3, 3), 1.0 / 9.0))
    >>> for step in steps(start, form.at, lambda cost, last: monge.emd(cost, mass, mass, init=last)):
    ...     print(step.length, step.gap > 1e-9, round(step.after.value, 9))
    ...     if step.gap < 1e-9:
    ...         break
    1.0 True 0.0
    1.0 False 0.0
    """
    here, last = start, None
    while True:
        last = solve(here.cost(), last)
        there = at(last.plan)
        slope, curve = here.along(there)
        length = 1.0 if slope + 2.0 * curve <= 0.0 else -0.5 * slope / curve if slope < 0.0 else 0.0
        after = here.mixed(length, there)
        yield Step(here, after, last, max(-slope, 0.0), length)
        here = after


@dataclass(frozen=True)
class Descent:
    """Where a descent ended: the objective there, the last linear problem, and why."""

    at: Evaluated
    transport: Transport
    gap: float
    iterations: int
    status: GromovStatus

    @property
    def plan(self) -> Any:
        """The plan."""
        return self.at.plan

    @property
    def objective(self) -> float:
        """What was minimised."""
        return self.at.exact()


def descend(
    path: Iterator[Step],
    tol: float,
    max_iter: int,
    deadline: float,
    report: Callable[[int], None] | None = None,
) -> Descent:
    """Goes along a path until a step promises no more than `tol` of the size of the objective."""
    for count, step in enumerate(path, 1):
        if report is not None:
            report(count)
        status = None
        if step.gap <= tol * step.after.size:
            status = GromovStatus.STATIONARY
        elif time.monotonic() >= deadline:
            status = GromovStatus.TIME_LIMIT
        elif count == max_iter:
            status = GromovStatus.MAX_ITER
        if status is not None:
            return Descent(step.after, step.transport, step.gap, count, status)
    raise AssertionError
