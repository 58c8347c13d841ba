"""From the result of an entropic solver to a feasible plan with a certificate for the problem without entropy."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.certificate import certificate
from monge.entropic.plan import LazyPlan
from monge.entropic.rounding import RoundedPlan, Rounding, scalings
from monge.exact.emd import emd
from monge.problem.costs import Cost
from monge.problem.transport import InfeasibleError, Status, Transport

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
    rounding, missing = scalings(plan, a, b), None
    found = certificate(cost, a, b, f, g, eps, rounding)
    price = found.price
    if price == np.inf:  # the product of what is missing has mass on forbidden arcs
        rounding, missing, price = _around_forbidden(cost, weights, f, g, eps, rounding)
    bound = float(a @ found.f + b @ found.g)
    return FeasibleTransport(
        RoundedPlan(plan, rounding, missing),
        weights,
        value=price,
        cost=price,
        f=found.f,
        g=found.g,
        gap=max(price - bound, 0.0),
        status=Status.FEASIBLE,
        iterations=iterations,
        stats={},
    )


def _around_forbidden(
    cost: Cost, weights: tuple[Array, Array], f: Array, g: Array, eps: float, rounding: Rounding
) -> tuple[Rounding, Any, float]:
    """What is missing, sent by an exact solver; all mass, where what is missing alone cannot avoid forbidden arcs.

    InfeasibleError if no plan can.
    """
    x, y, u, v = rounding
    try:
        t = emd(cost, u * v.sum(), v * u.sum())
    except InfeasibleError:
        t, x, y = emd(cost, *weights), 0.0 * x, 0.0 * y
    nothing = np.zeros_like(u), np.zeros_like(v)
    price = LazyPlan(cost, *weights, f, g, eps).priced(x, y, *nothing)[0] + t.cost
    return Rounding(x, y, *nothing), t.plan.tocsr(), price
