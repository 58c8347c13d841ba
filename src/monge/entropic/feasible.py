"""From the result of an entropic solver to a feasible plan with a certificate for the problem without entropy."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.certificate import certificate, price
from monge.entropic.rounding import RoundedPlan, Rounding, scalings
from monge.exact.dense import dense
from monge.exact.emd import emd_of_rest
from monge.problem.arrays import available_threads
from monge.problem.costs import Cost, CostMatrix
from monge.problem.transport import InfeasibleError, Status, Transport

__all__ = ["FeasibleTransport", "feasible", "is_dear", "sent_exactly"]

Array = NDArray[np.float64]

# The pairs up to which an exact solver is asked to send missing mass that costs too much.
_QUICK = 2**24
# Mass that the plan gives back for each unit that is missing; and what is a small share of its cost.
_ROOM, _LITTLE = (10.0, 1e3), 0.1
# How far both sums of the masses of a plan may be apart, beside the total mass.
_SAME = 1e-9


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
    cost: Cost, weights: tuple[Array, Array], given: float, f: Array, g: Array, eps: float, plan: Any, iterations: int
) -> FeasibleTransport:
    """The entropic `plan` of these potentials, rounded, with its price and the bound that the potentials give.

    `given` is the relative rounding of the numbers that the weights were made from.
    """
    a, b = weights
    rounding, missing = scalings(plan, a, b), None
    found = certificate(cost, a, b, f, g, eps, rounding)
    paid, bound = found.price, float(a @ found.f + b @ found.g)
    nothing = 0.0 * a, 0.0 * b
    if is_dear(cost, paid, bound, lambda: price(cost, a, b, f, g, eps, Rounding(rounding.x, rounding.y, *nothing))):
        rounding, more = sent_exactly(cost, weights, given, plan, rounding)
        paid = price(cost, a, b, f, g, eps, rounding) + more.cost
        missing = more.plan.tocsr()
    return FeasibleTransport(
        RoundedPlan(plan, rounding, missing),
        weights,
        value=paid,
        cost=paid,
        f=found.f,
        g=found.g,
        gap=max(paid - bound, 0.0),
        status=Status.FEASIBLE,
        iterations=iterations,
        stats={},
    )


def is_dear(cost: Cost, paid: float, bound: float, without: Callable[[], float]) -> bool:
    """Whether what is missing costs too much as a product: it has mass on forbidden arcs, or on some so dear that the
    distance of what is `paid` from the bound is due to them. `without` says what the rest costs."""
    n, m = cost.shape
    if paid == np.inf:
        return True
    return paid - bound > 0.1 * abs(bound) and n * m <= _QUICK and paid - bound > 1.2 * (without() - bound)


def sent_exactly(
    cost: Cost, weights: tuple[Array, Array], given: float, plan: Any, rounding: Rounding
) -> tuple[Rounding, Transport]:
    """What is missing, sent by an exact solver in place of a product.

    That may not be able to avoid forbidden or dear arcs, where the plan has to make room. So it gives back a share of
    all that it sends, a larger one if need be, which is sent anew together with what is missing. InfeasibleError if no
    plan can.
    """
    (a, b), (x, y, u, v) = weights, rounding
    whole, missing, threads = float(a.sum()), float(u.sum() * v.sum()), available_threads(None)
    sent, received = x * (plan @ y), y * (plan.T @ x)
    shares = (0.0, *(room * missing / whole for room in _ROOM), 1.0)
    noise = max(given * whole, abs(float(sent.sum() - received.sum())))
    if noise > max(_SAME, given) * whole:  # exponents without digits: the plan is no plan
        shares = (1.0,)
    stored = CostMatrix(dense(cost, threads))  # once for all shares
    own, best, least, lacking = plan.measured[2], None, np.inf, None
    for share in shares:
        kept = 1.0 - min(share, 1.0)
        rest = np.maximum(a - kept * sent, 0.0), np.maximum(b - kept * received, 0.0)
        try:
            more = emd_of_rest(stored, *rest, noise, threads)
        except InfeasibleError as error:
            lacking = error
            continue
        if best is None or kept * own + more.cost < least:
            best, least = (Rounding(kept * x, y, 0.0 * u, 0.0 * v), more), kept * own + more.cost
        if more.cost <= _LITTLE * abs(own):
            break
    if best is None:
        assert lacking is not None
        raise lacking
    return best
