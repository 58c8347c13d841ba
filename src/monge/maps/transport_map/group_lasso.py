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
from dataclasses import dataclass, replace
from typing import TypeAlias

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
# Entries that are looked at together, in and out of a processor's caches.
_AT_ONCE = 1 << 17

Potentials: TypeAlias = tuple[Array, Array]


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
    Classes are in increasing order. Costs may be +inf for a whole class."""
    lasso = _Lasso(C, a, b, classes, eps, penalty, tol, threads)
    at, s = lasso.start(), penalty
    objective, gap, bound = [at.value], np.inf, None
    with step_bar(progress, "group lasso") as report:
        for step in range(max_iter + 1):
            if step % _LOOK == 0 or step == max_iter or over():
                value, bound = lasso.bound(at, bound)
                gap = min(gap, at.value - value)
                if gap <= tol or step == max_iter or over():
                    break
            while not lasso.holds(at, new := lasso.step(at, s), s):
                s *= _RISE
            at, s = new, _FALL * s
            objective.append(at.value)
            gap = max(0.0, gap + objective[-1] - objective[-2])  # by which F fell
            if report is not None:
                report(step + 1)
    return GroupLasso(lasso.plan(at), np.array(objective), max(0.0, gap))


@dataclass(frozen=True)
class _Plan:
    """log(P / (a b)), which is all that is kept of P, the norms of each class in each column (k, m), F, and potentials
    to start from."""

    log: Array
    norms: Array
    value: float
    potentials: Potentials | None


class _Lasso:
    """The problem. Whole matrices are C, the logarithms of the plan and those of the next one; of all else there are
    some rows at a time, of one class."""

    def __init__(
        self, C: Array, a: Array, b: Array, classes: NDArray[np.intp], eps: float, penalty: float, tol: float,
        threads: int,
    ) -> None:  # fmt: skip
        self.C, self.a, self.b, self.eps, self.penalty = C, a, b, eps, penalty
        self.starts = np.flatnonzero(np.diff(classes, prepend=classes[0] - 1))
        ends, tall = np.append(self.starts[1:], len(a)), max(1, _AT_ONCE // len(b))
        self.classes = [slice(start, end) for start, end in zip(self.starts, ends, strict=True)]
        self.pieces = [
            (k, slice(row, min(row + tall, of.stop)))
            for k, of in enumerate(self.classes)
            for row in range(of.start, of.stop, tall)
        ]
        finite = [C[rows][np.isfinite(C[rows])] for _, rows in self.pieces]
        spread = float(
            max(part.max(initial=-np.inf) for part in finite) - min(part.min(initial=np.inf) for part in finite)
        )
        self.error = min(_MOST_ERROR, _PART * tol / max(spread, tol))
        self.threads = threads

    def start(self) -> _Plan:
        """The better one of the best without the penalty, and the best where the penalty is all that counts."""
        f, g = self.solved(self.C, self.a, self.eps, None)[1]
        plain = self.at(self.logarithms(self.C.copy(), f, g, self.eps), (f, g))
        masses = np.array([self.a[of].sum() for of in self.classes])
        means = np.stack([self.a[of] @ self.C[of] for of in self.classes]) / masses[:, np.newaxis]
        f, g = self.solved(means, masses, self.eps, None)[1]
        each = self.logarithms(means, f, g, self.eps)
        return min(plain, self.at(np.repeat(each, np.diff(self.starts, append=len(self.a)), axis=0), None), key=_value)

    def bound(self, at: _Plan, start: Potentials | None) -> tuple[float, Potentials]:
        """What F does not go below, and the potentials that say so."""
        return self.solved(self.slope(at, 0.0), self.a, self.eps, start)

    def step(self, at: _Plan, s: float) -> _Plan:
        costs, eps = self.slope(at, s), self.eps + s
        f, g = self.solved(costs, self.a, eps, at.potentials)[1]
        return self.at(self.logarithms(costs, f, g, eps), (f, g))

    def holds(self, at: _Plan, new: _Plan, s: float) -> bool:
        """Whether Omega is above its tangent at P by no more than the entropy allows; then F has not risen. Of the
        difference all but rounding and what marginals lack counts."""
        beyond, apart = float(new.norms.sum()), 0.0
        for k, rows in self.pieces:
            P, Q = self.mass(at, rows), self.mass(new, rows)
            beyond -= float(np.vdot(self.share(P, rows, at.norms[k]), Q))
            with np.errstate(invalid="ignore"):
                ratio = np.nan_to_num(new.log[rows] - at.log[rows])  # where arcs are forbidden nothing is known
            apart += float(np.vdot(Q, ratio)) - float(Q.sum() - P.sum())
        most = s * apart + 1e-12 * abs(at.value)
        return self.penalty * beyond <= most or s > 1e6 * (self.penalty + self.eps)

    def plan(self, at: _Plan) -> Array:
        """P, in the place of its logarithms."""
        for _, rows in self.pieces:
            at.log[rows] = self.mass(at, rows)
        return at.log

    def solved(self, G: Array, a: Array, eps: float, start: Potentials | None) -> tuple[float, Potentials]:
        """The value and the potentials of the entropic plan for the costs G; no matrix stays behind."""
        t = sinkhorn(G, a, self.b, eps=eps, tol=self.error, max_iter=_MOST_PASSES, init=start, threads=self.threads)
        return t.value, (t.f, t.g)

    def slope(self, at: _Plan, s: float) -> Array:
        """C + penalty grad Omega(P) - s log(P / (a b))."""
        G = self.C.copy()
        for k, rows in self.pieces:
            G[rows] += self.penalty * self.share(self.mass(at, rows), rows, at.norms[k])
            if s > 0.0:  # a forbidden arc stays one
                G[rows] -= s * at.log[rows]
        return G

    def at(self, log: Array, potentials: Potentials | None) -> _Plan:
        plan = _Plan(log, np.zeros((len(self.starts), len(self.b))), 0.0, potentials)
        paid = 0.0
        for k, rows in self.pieces:
            P = self.mass(plan, rows)
            plan.norms[k] += (P * P / self.a[rows, np.newaxis]).sum(axis=0)
            some = P > 0.0
            paid += float(np.vdot(P[some], self.C[rows][some] + self.eps * log[rows][some]))
        np.sqrt(plan.norms, out=plan.norms)
        return replace(plan, value=paid + self.penalty * float(plan.norms.sum()))

    def mass(self, at: _Plan, rows: slice) -> Array:
        """Some rows of P."""
        return np.asarray(np.exp(at.log[rows]) * (self.a[rows, np.newaxis] * self.b))

    def share(self, P: Array, rows: slice, norms: Array) -> Array:
        """Some rows of grad Omega(P)."""
        share = P / self.a[rows, np.newaxis]
        return np.divide(share, norms, out=np.zeros_like(share), where=norms > 0.0)

    @staticmethod
    def logarithms(costs: Array, f: Array, g: Array, eps: float) -> Array:
        """(f_i + g_j - C_ij) / eps, in the place of the costs."""
        np.subtract(f[:, np.newaxis], costs, out=costs)
        costs += g
        costs /= eps
        return costs


def _value(at: _Plan) -> float:
    return at.value
