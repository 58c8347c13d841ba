"""From the result of an entropic solver to a feasible plan with a certificate for the problem without entropy.

The plan is rounded to its marginals (see `rounding`), so that its price is an upper bound of the optimum; and one
c-transform of a potential makes it dual feasible, so that it gives a lower bound:

<G, C> - (a.f + b.g) >= 0   with   f_i = min_j C_ij - g_j,   g_j = min_i C_ij - f_i
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.rounding import RoundedPlan, Rounding, scalings
from monge.exact.dense import dense
from monge.exact.emd import emd_of_rest
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

    @property
    def _point_gradients(self) -> Any:
        raise TypeError(
            "a rounded plan is no minimum: it has no derivatives. Take those of the Transport it came from."
        )

    _weight_gradients = _point_gradients

    @cached_property
    def marginal_error(self) -> float:
        """(|P 1 - a|_1 + |P' 1 - b|_1) / total mass, measured on the plan."""
        a, b = self._weights
        sent, received = self.plan.sum(axis=1), self.plan.sum(axis=0)
        return float((np.abs(sent - a).sum() + np.abs(received - b).sum()) / sent.sum())


def feasible(pairs: Any, given: float, f: Array, g: Array, eps: float, plan: Any, iterations: int) -> FeasibleTransport:
    """The entropic `plan` of these potentials, rounded, with its price and the bound that the potentials give.

    `given` is the relative rounding of the numbers that the weights were made from.
    """
    cost, a, b = pairs.cost, pairs.a, pairs.b
    rounding, missing = scalings(plan, a, b), None

    def price(rounding: Rounding) -> float:
        return float(pairs.mixture(f, g, eps, *rounding).price)

    # One c-transform of a potential makes it dual feasible. Where b is zero, g need not say anything.
    dual_f, dual_g = pairs.transforms(np.where(b > 0.0, g, -np.inf))
    paid, bound = price(rounding), float(a @ dual_f + b @ dual_g)
    if is_dear(cost, paid, bound, lambda: price(Rounding(rounding.x, rounding.y, 0.0 * a, 0.0 * b))):
        rounding, more = sent_exactly(pairs, given, plan, rounding)
        paid = price(rounding) + more.cost
        missing = more.plan.tocsr()
    return FeasibleTransport(
        RoundedPlan(plan, rounding, missing),
        (a, b),
        value=paid,
        cost=paid,
        f=dual_f,
        g=dual_g,
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


def sent_exactly(pairs: Any, given: float, plan: Any, rounding: Rounding) -> tuple[Rounding, Transport]:
    """What is missing, sent by an exact solver in place of a product.

    That may not be able to avoid forbidden or dear arcs, where the plan has to make room. So it gives back a share of
    all that it sends, a larger one if need be, which is sent anew together with what is missing. InfeasibleError if no
    plan can.
    """
    (a, b), (x, y, u, v) = (pairs.a, pairs.b), rounding
    whole, missing, threads = float(a.sum()), float(u.sum() * v.sum()), pairs.threads.number
    sent, received = x * (plan @ y), y * (plan.T @ x)
    shares = (0.0, *(room * missing / whole for room in _ROOM), 1.0)
    noise = max(given * whole, abs(float(sent.sum() - received.sum())))
    if noise > max(_SAME, given) * whole:  # exponents without digits: the plan is no plan
        shares = (1.0,)
    stored = CostMatrix(dense(pairs.cost, threads))  # once for all shares
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
