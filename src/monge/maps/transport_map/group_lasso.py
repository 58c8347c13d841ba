"""Entropic transport with a group lasso.

minimise  F(P) = <P, C> + eps KL(P | a x b) + penalty Omega(P),   P 1 = a,  P' 1 = b
Omega(P) = sum_j sum_c ( sum_{i in c} P_ij^2 / a_i )^{1/2}

Each step makes Omega linear, keeps the entropy, and does not go far in the sense of the entropy:

P+ = argmin_Q  <Q, C + penalty grad Omega(P)> + eps KL(Q | a x b) + s KL(Q | P),

which is an entropic problem for eps + s, with an s for which the last term makes up for what the linear one leaves out,
so that F falls (Bauschke, Bolte and Teboulle 2017, "A descent lemma beyond Lipschitz gradient continuity", equation
12; Lu, Freund and Nesterov 2018). With s = 0 and steps towards Q it is the generalised conditional gradient of
Rakotomamonjy, Flamary and Courty 2015, which takes a hundred times as many steps once the penalty is twenty times eps.
Its gap is the certificate: Omega lies above its tangents, so the entropic problem for C + penalty grad Omega(P) has a
value below min F, and so have all dual values of it.

With P_ij^2 over a_i a source of weight a counts as two at the same place of weights that add up to a. For uniform
weights Omega is sqrt(n) times the usual sum. By the triangle inequality it is least where each class is sent as one,
P_ij = a_i T_cj / a_c, whatever T is: for a large penalty the plan is that between classes, at the mean costs of each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.sinkhorn import sinkhorn
from monge.problem.progress import step_bar

__all__ = ["GroupLasso", "group_lasso"]

Array = NDArray[np.float64]

# s falls by this after each step, and rises where it was too small. It is the penalty at first.
_FALL, _RISE = 0.9, 2.0
# Steps between two looks at the gap, which takes a solve of its own.
_LOOK = 10
# What marginals lack may change the gap by this part of what is asked for; and the marginal error at most.
_PART, _MOST_ERROR = 0.1, 1e-4
_MOST_PASSES = 10_000


@dataclass(frozen=True)
class GroupLasso:
    """A plan, what F was at each step, and how far the last may be from the least."""

    plan: Array
    objective: Array
    gap: float


def group_lasso(
    C: Array, a: Array, b: Array, classes: NDArray[np.intp], eps: float, penalty: float, *, tol: float, max_iter: int,
    threads: int = 1, progress: bool = False, over: Callable[[], bool] = lambda: False,
) -> GroupLasso:  # fmt: skip
    """The plan between sources of weights a and classes (n,) and targets of weights b, all positive, at the costs C.
    Costs may be +inf for a whole class."""
    order = np.argsort(classes, kind="stable")
    starts = np.flatnonzero(np.diff(classes[order], prepend=classes.min() - 1))
    lasso = _Lasso(C[order], a[order], b, starts, eps, penalty, tol, threads)
    at, s = min(lasso.plain(), lasso.by_class(), key=lambda at: at.value), penalty
    objective, gap, bound = [at.value], np.inf, None
    with step_bar(progress, "group lasso") as report:
        for step in range(max_iter + 1):
            G = lasso.slope(at)
            if step % _LOOK == 0 or step == max_iter or over():
                _, bound = lasso.solved(G, eps, bound)
                gap = min(gap, at.value - bound.value)
                if gap <= tol or step == max_iter or over():
                    break
            while not lasso.holds(at, new := lasso.step(at, G, s), s):
                s *= _RISE
            at, s = new, _FALL * s
            objective.append(at.value)
            gap = max(0.0, gap + objective[-1] - objective[-2])  # by which F fell
            if report is not None:
                report(step + 1)
    plan = np.empty_like(at.P)
    plan[order] = at.P
    return GroupLasso(plan, np.array(objective), max(0.0, gap))


@dataclass(frozen=True)
class _Plan:
    """P, log(P / (a b)), the norms of each class in each column (k, m), F, and potentials to start from."""

    P: Array
    log: Array
    norms: Array
    value: float
    potentials: Any


class _Lasso:
    """The problem. Sources are in the order of their classes, which begin at `starts`."""

    def __init__(
        self, C: Array, a: Array, b: Array, starts: NDArray[np.intp], eps: float, penalty: float, tol: float,
        threads: int,
    ) -> None:  # fmt: skip
        self.C, self.a, self.b, self.starts, self.eps, self.penalty = C, a, b, starts, eps, penalty
        self.sizes = np.diff(np.append(starts, len(a)))
        self.product = a[:, np.newaxis] * b
        finite = np.isfinite(C)
        self.paid = C if finite.all() else np.where(finite, C, 0.0)
        spread = float(self.paid.max() - self.paid.min())
        self.error = min(_MOST_ERROR, _PART * tol / max(spread, tol))
        self.threads = threads

    def solved(self, G: Array, eps: float, start: Any) -> tuple[Array, Any]:
        """log(P / (a b)) of the entropic plan for the costs G, and its Transport."""
        init = None if start is None else (start.f, start.g)
        t = sinkhorn(G, self.a, self.b, eps=eps, tol=self.error, max_iter=_MOST_PASSES, init=init, threads=self.threads)
        return (t.f[:, np.newaxis] + t.g - G) / t.eps, t

    def plain(self) -> _Plan:
        """Without the penalty."""
        return self.at(*self.solved(self.C, self.eps, None))

    def by_class(self) -> _Plan:
        """Where the penalty is all that counts."""
        masses = np.add.reduceat(self.a, self.starts)
        C = np.add.reduceat(self.a[:, np.newaxis] * self.C, self.starts, axis=0) / masses[:, np.newaxis]
        t = sinkhorn(C, masses, self.b, eps=self.eps, tol=self.error, max_iter=_MOST_PASSES, threads=self.threads)
        log = (t.f[:, np.newaxis] + t.g - C) / t.eps
        return self.at(np.repeat(log, self.sizes, axis=0), None)

    def at(self, log: Array, potentials: Any) -> _Plan:
        P = self.product * np.exp(log)
        norms = np.sqrt(np.add.reduceat(P * P / self.a[:, np.newaxis], self.starts, axis=0))
        entropy = float(np.vdot(P, np.maximum(log, -1e300)))  # a forbidden arc has -inf, times zero
        value = float(np.vdot(P, self.paid)) + self.eps * entropy + self.penalty * float(norms.sum())
        return _Plan(P, log, norms, value, potentials)

    def slope(self, at: _Plan) -> Array:
        """C + penalty grad Omega(P)."""
        norms = np.repeat(at.norms, self.sizes, axis=0)
        share = np.divide(at.P / self.a[:, np.newaxis], norms, out=np.zeros_like(norms), where=norms > 0.0)
        return self.C + self.penalty * share

    def step(self, at: _Plan, G: Array, s: float) -> _Plan:
        with np.errstate(invalid="ignore"):
            costs = np.where(np.isinf(G), np.inf, G - s * at.log)
        return self.at(*self.solved(costs, self.eps + s, at.potentials))

    def holds(self, at: _Plan, new: _Plan, s: float) -> bool:
        """Whether Omega is above its tangent at P by no more than the entropy allows; then F has not risen. Of the
        difference all but rounding and what marginals lack counts."""
        norms = np.repeat(at.norms, self.sizes, axis=0)
        tangent = np.divide(at.P * new.P / self.a[:, np.newaxis], norms, out=np.zeros_like(norms), where=norms > 0.0)
        beyond = self.penalty * float(new.norms.sum() - tangent.sum())
        with np.errstate(invalid="ignore"):
            apart = float(np.vdot(new.P, np.nan_to_num(new.log - at.log))) - float(new.P.sum() - at.P.sum())
        return beyond <= s * apart + 1e-12 * abs(at.value) or s > 1e6 * (self.penalty + self.eps)
