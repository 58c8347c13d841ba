"""Structures whose masses may differ, at a price: the unbalanced distance of Gromov and Wasserstein.

    minimise over P >= 0   E(P) + rho KL(p x p | a x a) + rho KL(q x q | b x b) + eps KL(P x P | (a x b) x (a x b))

with p = P 1, q = P' 1 and E the form (Sejourne, Vialard and Peyre 2021, "The unbalanced Gromov Wasserstein distance:
conic formulation and relaxation", section 3; with features Thual et al. 2022, "Aligning individual brains with fused
unbalanced Gromov Wasserstein"). All terms but that of features are quadratic in the mass.

P x P is relaxed to P x Q, and each is optimal for the other in turn: for Q of mass m,

    KL(P x Q | R x R) = m KL(P | R) + (sum P) <Q, log Q / R> + (sum R)^2 - m sum R

so that what is left to minimise over P is an entropic problem with the strengths m rho and m eps, for half the
derivative of E at Q and a constant. What is minimised in turn never rises. But for features, sP and Q / s are the same
to it, and both get the same mass; with them, the s that is best, for which the features of both cost the same.

Two different plans may be best for each other, of which neither is a solution. Where turns go back and forth between
such, Q goes but a part of the way, half as far each time.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.marginals import Marginal, as_marginals
from monge.entropic.plan import LazyPlan
from monge.entropic.sinkhorn import sinkhorn
from monge.problem.arrays import require_memory
from monge.problem.costs import CostMatrix
from monge.structures.forms import Form, Free
from monge.structures.partial import whole_derivative

__all__ = ["Penalised", "as_penalties", "unbalanced"]

Array = NDArray[np.float64]

# A plan of less than this part of the weights is none.
_NONE = 1e-30
# Turns go back and forth where a plan is so many times nearer to the one before the last than to the last.
_BACK, _SHORTEST = 0.1, 1.0 / 64.0


def as_penalties(marginals: Any) -> tuple[Marginal, Marginal]:
    """What is asked of both sides: `monge.KL(rho)`, one or a pair, of which None is a constraint."""
    pair = as_marginals(marginals)
    if any(not math.isinf(side.cap) for side in pair):
        raise ValueError(
            f"marginals should be monge.KL(rho), or a pair of it and None; got {marginals!r}. The penalty is quadratic "
            "in the mass, and there is no such form of monge.TV: use mass= to leave a given part out."
        )
    return pair


@dataclass
class Penalised:
    """Where the alternation has come to.

    Attributes
    ----------
    plan : ndarray (n, m)
        The plan P.
    sent, received : ndarray (n,), (m,)
        Its sums.
    structures : float
        E(P), features included.
    value : float
        The objective at P.
    relaxed : list of float
        What was minimised in turn, at P and Q, after each turn.
    change : float
        |P - Q|_1 over the mass.
    converged : bool
    lazy : LazyPlan or None
        The plan by its potentials.
    potentials : (ndarray, ndarray)
        These, f (n,) and g (m,).
    """

    plan: Array
    sent: Array
    received: Array
    structures: float
    value: float
    relaxed: list[float] = field(default_factory=list)
    change: float = math.inf
    converged: bool = False
    lazy: LazyPlan | None = None
    potentials: tuple[Array, Array] = (np.empty(0), np.empty(0))


def unbalanced(
    form: Form,
    a: Array,
    b: Array,
    penalties: tuple[Marginal, Marginal],
    eps: float,
    *,
    start: Any = None,
    tol: float = 1e-6,
    max_iter: int = 200,
    threads: int = 1,
    deadline: float = math.inf,
) -> Penalised:
    """Minimises in turn until the plan moves by less than `tol` of its mass.

    Parameters
    ----------
    form : Form
        Whose evaluations are `Free`.
    a, b : ndarray (n,), (m,)
        Weights, of any totals.
    penalties : (Marginal, Marginal)
        As `as_penalties` gives them.
    eps : float
        Strength of the entropy, in units of E over the square of a mass.
    start : array (n, m), optional
        A plan to begin with; None for the product of the weights.
    tol : float
    max_iter : int
        Largest number of turns.
    threads : int
    deadline : float
        When, by time.monotonic, no further turn is begun.
    """
    n, m = form.shape
    require_memory(5 * 8 * n * m, f"matching structures of {n} and {m} points", "Subsample the points.")
    total_a, total_b = float(a.sum()), float(b.sum())
    rho = [side.kl if math.isfinite(side.kl) else 0.0 for side in penalties]
    constraint = any(side.fixed for side in penalties)
    if start is not None:
        Q = np.array(_full(start), dtype=np.float64)
        Q[a == 0.0], Q[:, b == 0.0] = 0.0, 0.0
    else:  # of a mass between both totals, or of that which a side must have
        mass = total_a if penalties[0].fixed else total_b if penalties[1].fixed else math.sqrt(total_a * total_b)
        Q = np.multiply.outer(a, b) * (mass / (total_a * total_b))
    spread = _entropy(Q, np.multiply.outer(a, b))
    init: tuple[Array, Array] | None = None
    used = eps
    sent, received = Q.sum(axis=1), Q.sum(axis=0)
    found = Penalised(Q, sent, received, math.inf, math.inf)
    before, length = Q, 1.0
    for _ in range(max_iter):
        mass = float(Q.sum())
        here = form.at(Q)
        assert isinstance(here, Free)
        C = whole_derivative(here, threads)
        C *= 0.5
        linear = here.linear(Q)
        C += rho[0] * _entropy(sent, a) + rho[1] * _entropy(received, b) + eps * spread
        scaled = tuple(Marginal(kl=side.kl * mass) for side in penalties)
        if mass <= _NONE * math.sqrt(total_a * total_b):
            raise _no_mass(here)
        if found.lazy is not None:  # costs and potentials are as large as the mass
            f, g = found.potentials
            init = f * (eps * mass / used), g * (eps * mass / used)
        t = sinkhorn(CostMatrix(C), a, b, eps=eps * mass, marginals=scaled, tol=0.1 * tol, init=init, threads=threads)
        P = t.plan.toarray()
        sent, received = P.sum(axis=1), P.sum(axis=0)
        new = float(P.sum())
        if not new > 0.0:
            raise _no_mass(here)
        spread = float(sent @ t.f + received @ t.g - np.vdot(P, C)) / (eps * mass)
        relaxed = (
            t.value
            + 0.5 * linear
            + sum(
                strength * total * (total - mass)
                for strength, total in ((rho[0], total_a), (rho[1], total_b), (eps, total_a * total_b))
            )
        )
        by, price = 1.0, here.linear(P)
        if linear > 0.0 and price > 0.0 and not constraint:
            by = math.sqrt(linear / price)
            relaxed -= 0.5 * (math.sqrt(linear) - math.sqrt(price)) ** 2
        elif linear == price == 0.0 and not constraint:
            by = math.sqrt(mass / new)
        P *= by
        used = t.eps
        potentials = t.f + t.eps * math.log(by), t.g
        sent, received, spread = by * sent, by * received, by * (spread + new * math.log(by))
        change = float(np.abs(P - Q).sum()) / (by * new)
        found = Penalised(P, sent, received, math.inf, math.inf, [*found.relaxed, relaxed], change, change <= tol)
        found.potentials, found.lazy = potentials, LazyPlan(t.plan._pairs, *potentials, t.eps)
        if found.converged or time.monotonic() >= deadline:
            break
        then = P if length == 1.0 else (1.0 - length) * Q + length * P
        if float(np.abs(then - before).sum()) < _BACK * float(np.abs(then - Q).sum()):
            length = max(0.5 * length, _SHORTEST)
            then = (1.0 - length) * Q + length * P
        if length < 1.0:
            sent, received = then.sum(axis=1), then.sum(axis=0)
            spread = _entropy(then, np.multiply.outer(a, b))
        before, Q = Q, then
    found.structures = form.at(found.plan).exact()
    found.value = found.structures + sum(
        strength * (2.0 * moved * entropy - moved**2 + total**2)
        for strength, total, moved, entropy in (
            (rho[0], total_a, float(found.sent.sum()), _entropy(found.sent, a)),
            (rho[1], total_b, float(found.received.sum()), _entropy(found.received, b)),
            (eps, total_a * total_b, float(found.plan.sum()), spread),
        )
    )
    return found


def _no_mass(here: Free) -> ValueError:
    return ValueError(
        f"no mass is left: rho is small beside the differences of the structures (the squares of those that are "
        f"matched add up to {here.size:.3g}) and eps. Raise the rho of monge.KL, or rescale the structures."
    )


def _entropy(p: Array, a: Array) -> float:
    """sum p log(p / a); what is zero in both adds nothing."""
    some = p > 0.0
    return float(p[some] @ np.log(p[some] / a[some]))


def _full(plan: Any) -> Any:
    return plan.toarray() if hasattr(plan, "toarray") else plan
