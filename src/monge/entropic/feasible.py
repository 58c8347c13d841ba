"""From the result of an entropic solver to a feasible plan with a certificate for the problem without entropy."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.certificate import certificate
from monge.entropic.rounding import RoundedPlan, scalings
from monge.problem.costs import Cost
from monge.problem.transport import Status, Transport

__all__ = ["FeasibleTransport", "feasible"]

Array = NDArray[np.float64]


class FeasibleTransport(Transport):
    """A feasible plan that is lazy, dual feasible potentials, and the gap between the two; see `Transport`."""

    def __init__(self, plan: RoundedPlan, weights: tuple[Array, Array], **attributes: Any) -> None:
        super().__init__(weights=weights, entries=None, **attributes)
        self._plan = plan

    @cached_property
    def plan(self) -> RoundedPlan:
        """The plan P (n, m), computed where it is looked at; see `RoundedPlan`."""
        return self._plan

    @cached_property
    def marginal_error(self) -> float:
        """(|P 1 - a|_1 + |P' 1 - b|_1) / total mass, measured on the plan."""
        a, b = self._weights
        sent, received = self.plan.sum(axis=1), self.plan.sum(axis=0)
        return float((np.abs(sent - a).sum() + np.abs(received - b).sum()) / sent.sum())


def feasible(
    cost: Cost, weights: tuple[Array, Array], f: Array, g: Array, eps: float, plan: Any, iterations: int
) -> FeasibleTransport:
    """The entropic `plan` of these potentials, rounded, with its price and the bound that the potentials give."""
    a, b = weights
    rounding = scalings(plan, a, b)
    found = certificate(cost, a, b, f, g, eps, rounding)
    bound = float(a @ found.f + b @ found.g)
    return FeasibleTransport(
        RoundedPlan(plan, rounding),
        weights,
        value=found.price,
        cost=found.price,
        f=found.f,
        g=found.g,
        gap=max(found.price - bound, 0.0),
        status=Status.FEASIBLE,
        iterations=iterations,
        stats={},
    )
