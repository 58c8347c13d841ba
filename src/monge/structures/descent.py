"""Conditional gradient (Frank and Wolfe 1956) for an objective that is quadratic in the plan.

The linear problem for the derivative at a plan P is one of transport, with a plan Q; on the way to Q the objective is a
parabola, whose least point is next. Where it opens downwards, as for all structures that are conditionally negative,
squared distances among them, that is Q itself: an extreme plan, with few entries (Vayer et al. 2020, section 4.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from monge.problem.costs import Cost
from monge.problem.transport import Transport
from monge.structures.forms import Evaluated

__all__ = ["Step", "steps"]


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
    at : callable
        Evaluates the objective at a plan.
    solve : callable
        The transport for a cost, and the one of the step before as a start, or None.
    """
    here, last = start, None
    while True:
        last = solve(here.cost(), last)
        there = at(last.plan)
        slope, curve = here.along(there)
        length = 1.0 if slope + 2.0 * curve <= 0.0 else max(0.0, -0.5 * slope / curve)
        after = here.mixed(length, there)
        yield Step(here, after, last, max(-slope, 0.0), length)
        here = after
