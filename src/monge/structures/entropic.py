"""Structures with entropy: a sequence of Sinkhorn problems.

minimise  E(P) + eps KL(P | a x b)  subject to  P 1 = a,  P' 1 = b

The derivative of E at a plan is the cost of the next problem, with the same eps (Solomon, Peyre, Kim and Sra 2016,
"Entropic metric alignment for correspondence problems"; Peyre, Cuturi and Solomon 2016, "Gromov-Wasserstein averaging
of kernel and distance matrices", with a step of one). Where E is concave between the plans its tangent is above it, so
the objective falls, whatever eps is; else a step that leads further away than the one before is shortened, by
averaging the costs of two problems: that is mirror descent.

While costs change less from one problem to the next, the next cost is taken beyond the last plan, in the direction from
the one before (Nesterov 1983), as far as suits the largest ratio r of such changes: what would fall by r falls by about
1 - (1 - r)^1/2. Where they change more again, that starts anew.

Problems are solved as well as they are known: to a tolerance that falls with how much costs change, from the potentials
before. There is no plan in single precision, and none is stored but by its potentials.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.marginals import as_marginals
from monge.entropic.problem import Problem
from monge.entropic.result import EntropicTransport
from monge.entropic.solving import solve_one
from monge.problem.costs import Cost
from monge.structures.forms import Evaluated
from monge.structures.result import GromovStatus

__all__ = ["EntropicDescent", "descend", "divergence", "entropic_solver"]

Array = NDArray[np.float64]

# The marginal error that the first problem is solved to, and what part of the relative change of the plan, as far as it
# counts, those of later ones are. They fall by at least this factor: an error that is too large looks like a change.
_ROUGH, _SHARE, _FALLS = 1e-3, 0.1, 0.5
# Passes in a problem, and problems that may remain short of their tolerance before the descent ends.
_PASSES, _SHORT = 10_000, 3
# A step is halved where costs change by more than they did before, but not below the shortest.
_SHORTEST = 1.0 / 64.0


@dataclass(frozen=True)
class EntropicDescent:
    """Where a descent ended, and why: the form at the plan, the objective, the last problem, and by how much, over eps,
    the cost of the next one differs."""

    at: Evaluated
    objective: float
    transport: EntropicTransport
    gap: float
    iterations: int
    status: GromovStatus

    @property
    def plan(self) -> Any:
        """The plan."""
        return self.transport.plan


def entropic_solver(a: Array, b: Array, eps: float, threads: int) -> Callable[[Cost, Any, float], EntropicTransport]:
    """The entropic transport for a cost, from a start or None, to a marginal error."""

    def solve(cost: Cost, last: Any, tol: float) -> EntropicTransport:
        init = None if last is None else (last.f, last.g)
        problem = Problem(cost, a, b, as_marginals(None), eps, tol, _PASSES, init, None, threads)
        return solve_one(problem, threads, None)

    return solve


def descend(
    start: Evaluated,
    at: Callable[[Any], Evaluated],
    solve: Callable[[Cost, Any, float], EntropicTransport],
    tol: float,
    max_iter: int,
    deadline: float,
    report: Callable[[int], None] | None = None,
) -> EntropicDescent:
    """Goes on until the cost of the next problem differs from that of the last by `tol` eps, about, and the marginal
    error is within `tol`. Where eps is so small that problems remain unsolved, it gives up."""
    here, last, wanted, length, before, short = start, None, _ROUGH, 1.0, math.inf, 0
    behind: Evaluated | None = None  # at the plan of the problem before
    ratio = 0.0  # of changes of costs, the largest since they last became larger
    for count in range(1, max_iter + 1):
        last = solve(here.cost(), last, wanted)
        short += not last.converged
        there = at(last.plan)
        slope, curve = here.along(there)
        size = max(there.size, last.eps)  # of structures that are all but points, nothing counts beside eps
        change = math.inf if math.isinf(slope) else math.sqrt(abs(curve) / size)
        finest = _SHARE * tol * last.eps / size
        if report is not None:
            report(count)
        status = None
        if change <= tol * last.eps / size and wanted <= tol and last.converged:
            status = GromovStatus.STATIONARY
        elif time.monotonic() >= deadline:
            status = GromovStatus.TIME_LIMIT
        elif count == max_iter or short == _SHORT:
            status = GromovStatus.MAX_ITER
        if status is not None:
            objective = there.value + last.eps * divergence(last)
            return EntropicDescent(there, objective, last, change * size / last.eps, count, status)
        if curve > size * wanted**2 and change > before:  # by more than sums that are off bring about
            length = max(0.5 * length, _SHORTEST)
        wanted = max(min(_FALLS * wanted, _SHARE * change), finest)
        if length == 1.0 and change < before and behind is not None:
            ratio = max(ratio, change / before)
            root = math.sqrt(1.0 - ratio)
            here = behind.mixed(1.0 + (1.0 - root) / (1.0 + root), there)
        else:
            here, ratio = here.mixed(length, there), 0.0
        behind, before = there, change
    raise AssertionError


def divergence(t: EntropicTransport) -> float:
    """KL(P | a x b) of a plan, from its potentials and its sums."""
    sent, received, price = t.plan.measured
    a, b = t.weights
    known = [np.where(sums > 0.0, potential, 0.0) @ sums for sums, potential in ((sent, t.f), (received, t.g))]
    return float((sum(known) - price) / t.eps - sent.sum() + a.sum() * b.sum())
