"""Iterative Bregman projections, one eps at a time: the potentials of a barycenter, and the steps on them.

Plans are P_k = exp(u_k + v_k - C / eps), u_k (n,), v_k (m,): potentials are in units of eps here. One pass is

    u_k  = the best for v_k; with fixed marginals log a_k - log K exp(v_k)
    t_k  = log K' exp(u_k)                      so that the second marginal of P_k is q_k = exp(v_k + t_k)
    alpha = sum_k w_k q_k

and then comes the next v_k, the best for u_k (Benamou, Carlier, Cuturi, Nenna and Peyre 2015, "Iterative Bregman
projections for regularized transportation problems", section 3.2). The plans' first marginals are right after each
pass, and alpha has the total of the histograms: what is off is q_k from alpha, which is measured without another pass.
With t = sum_l w_l t_l:

    Balanced     sum_k w_k v_k = 0                  v_k <- t - t_k
    Debiased     sum_k w_k v_k = h, d = exp(h)      h <- h + c (h' - h),  v_k <- h + t - t_k
                 with h' from some accelerated steps h' <- h' + s (t - log K d') from h on. One with c s = 1 / 2 is
                 Janati, Cuturi and Gramfort 2020, "Debiased Sinkhorn barycenters", Algorithm 1
    Unbalanced   sum_k w_k exp(-v_k / r) = 1        v_k <- s (log(sum_l w_l exp((1 - s) t_l)) / (1 - s) - t_k)
                 with r = rho / eps, s = r / (1 + r) (Chizat, Peyre, Schmitzer and Vialard 2018, "Scaling algorithms for
                 unbalanced optimal transport problems", section 5.2)

For Balanced and Unbalanced that is block ascent of a concave dual, whose value each pass has on the way. The map from v
to its next value is accelerated by `mixing`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.fixed.mixing import Mixing
from monge.barycenters.fixed.problem import Problem
from monge.entropic.marginals import Marginal
from monge.problem.transport import InfeasibleError

__all__ = ["Balanced", "Debiased", "Measured", "Steps", "Unbalanced", "steps_of", "worth"]

Array = NDArray[np.float64]

# Of the density in each pass, with one sum beside two for each histogram: their number, their length, which may be at
# most one, and the share of what they do that is done. With M and S of `adjoint`, an error e of h comes out of a pass
# as e - c p(M) (S + M) e, p the polynomial of these steps. What is rough beside the kernel has M and S next to zero,
# and is left to them; elsewhere p(M) is about 1 / M, and needs c < 1.
_SHARPENING, _LENGTH, _DONE = 12, 0.9, 0.4
# Of the momentum of n passes, n / (n + this) is kept.
_FRICTION = 3.0


class Measured(NamedTuple):
    """What a pass finds."""

    error: float  # the largest of what has to vanish, over the mass
    dual: float  # value of the potentials over eps, without the total of the kernel; -inf if there is none


class Steps:
    """Potentials v at one eps, and the steps on them.

    `v` has a row for each histogram; for Debiased one more, h.
    """

    def __init__(self, problem: Problem, kernel: Any, eps: float, v: Array) -> None:
        self.problem, self.kernel, self.transposed, self.eps = problem, kernel, kernel.T, eps
        self.v = v
        self.weights = problem.weights
        self.k = len(self.weights)
        self.rate = 1.0 / (1.0 + eps / problem.rows.kl)
        self.cap = problem.rows.cap / eps
        # Those of weight zero have no part in alpha, but are to be right, too.
        counted = np.where(self.weights > 0.0, self.weights, 0.0 if problem.forbidden else 1.0 / self.k)
        self._rows = np.append(counted, 1.0) if len(v) > self.k else counted
        self._mixing = Mixing(self._rows, problem.forbidden)
        self._weighted = self.weights[:, np.newaxis] * problem.histograms
        some = self._weighted > 0.0
        self._constant = float((self._weighted[some] * problem.log_histograms[some]).sum())
        self.u = self.t = self.alpha = np.empty(0)
        self._safe: Array = v

    # One pass.

    def run(self, single: bool = False) -> Measured:
        """One pass, at v; `single` allows single precision."""
        sums = self.kernel.log_sum(self.v, single)
        own = sums[: self.k]
        quick = self.problem.rows.fixed and not self.problem.forbidden
        sent = float(np.einsum("kn,kn->", self._weighted, own)) if quick else 0.0
        self.u = self._first(own)
        self.t = self.transposed.log_sum(self.u, single)
        received = self._exp(self.t + self.v[: self.k])
        self.alpha = np.einsum("k,km->m", self.weights, received)
        mass = float(self.alpha.sum())
        with np.errstate(invalid="ignore", over="ignore"):
            np.subtract(received, self._wanted(), out=received)
            off = np.abs(received, out=received).sum(axis=1)
        errors = [self._error(off) / mass, self._further(sums, mass)] if mass > 0.0 else [math.inf]
        # An infinite mass is none that others could be shares of.
        error = max(errors) if math.isfinite(mass) and np.isfinite(errors).all() else math.inf
        worth_u = self._constant - sent if quick else self._worth_of_rows()
        return Measured(error, self._dual(worth_u, mass))

    def _first(self, sums: Array) -> Array:
        """u, in the place of the sums (k, n)."""
        if self.problem.forbidden:
            lost = sums == -np.inf
            if lost.any():
                if self.problem.rows.fixed and (lost & (self._weighted > 0.0)).any():
                    raise InfeasibleError(
                        "no plans to a common histogram avoid the forbidden arcs (cost +inf). Give them a large finite "
                        "cost, or let masses differ with marginals=."
                    )
                sums[lost] = np.inf  # for which u = -inf: a row that reaches nothing sends nothing
        u = np.subtract(self.problem.log_histograms, sums, out=sums)
        if not self.problem.rows.fixed:
            u *= self.rate
            np.clip(u, -self.cap, self.cap, out=u)
        return u

    def _exp(self, values: Array) -> Array:
        if self.problem.forbidden:
            values[np.isnan(values)] = -np.inf
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(values, out=values)

    def _error(self, off: Array) -> float:
        """From what is off in each plan (k,)."""
        seen = self.weights > 0.0
        error = float(self.weights[seen] @ off[seen])
        others = off[~seen]
        return error if self.problem.forbidden else max(error, float(others.max(initial=0.0)))

    def _worth_of_rows(self) -> float:
        return float(self.weights @ worth(self.problem.histograms, self.eps * self.u, self.problem.rows)) / self.eps

    def _wanted(self) -> Array:
        """What the second marginals should be."""
        return self.alpha

    def _further(self, sums: Array, mass: float) -> float:
        """What else has to vanish."""
        return abs(mass - self.problem.total) / self.problem.total if self.problem.balanced else 0.0

    def _dual(self, worth_u: float, mass: float) -> float:
        return worth_u - mass

    def plain(self) -> Array:
        """The next v."""
        raise NotImplementedError

    def repaired(self, v: Array) -> Array:
        """v with its constraint."""
        return v

    def onwards(self) -> Array:
        """v to begin with at the next eps, but for the unit."""
        return self.v

    def mean_t(self) -> Array:
        """sum_k w_k t_k (m,); -inf where a plan does not reach."""
        if not self.problem.forbidden:
            return np.asarray(np.einsum("k,km->m", self.weights, self.t))
        some = self.weights > 0.0
        return np.asarray(self.weights[some] @ self.t[some])

    # Acceleration.

    def advance(self) -> None:
        """The plain step."""
        self.v = self._repaired_infinities(self.plain())

    def accelerate(self, anew: bool) -> bool:
        """The next v: mixed, unless it is to begin `anew` or there is nothing to mix; whether it was."""
        following = self._repaired_infinities(self.plain())
        if anew:
            self.forget()
        step = self._mixing.step(self.v, following, self.alpha)
        self._safe = self.v = following
        if step is None:
            return False
        step += following
        self.v = self.repaired(step)
        return True

    def _repaired_infinities(self, v: Array) -> Array:
        """Columns that some plan does not reach are no places of the barycenter."""
        if self.problem.forbidden:
            v[np.isnan(v) | (v == np.inf)] = -np.inf
        return v

    def shorten(self, share: float) -> None:
        """Only so much of what was added."""
        self.v = self.repaired(self._safe + share * self._mixing.difference(self.v, self._safe))

    def take_back(self) -> None:
        """To the plain step; what came before is forgotten, but not where it led from."""
        self.v = self._safe
        self._mixing.forget_changes()

    def forget(self) -> None:
        """All that mixing looks back on."""
        self._mixing.forget()

    def calm(self) -> None:
        """Called where a plain step made the error much larger."""

    def state(self) -> tuple[Array, ...]:
        """Where the last pass was; for `go_to`."""
        return self.v, self.u, self.t, self.alpha

    def go_to(self, state: tuple[Array, ...]) -> None:
        """To where an earlier pass was."""
        self.v, self.u, self.t, self.alpha = state


class Balanced(Steps):
    """All second marginals are alpha."""

    def plain(self) -> Array:
        with np.errstate(invalid="ignore"):
            return self.mean_t() - self.t


class Debiased(Steps):
    """All second marginals are alpha, whose own entropic cost is given back to it."""

    _log_Kd: Array
    _before: Array | None = None  # the next v of the last pass
    _run = 0  # passes with momentum
    _count = _SHARPENING

    def accelerate(self, anew: bool) -> bool:
        """With momentum (Nesterov 1983), which starts again where it leads away (O'Donoghue and Candes 2015, "Adaptive
        restart for accelerated gradient schemes", section 3.2). Mixing does little good here: errors that last are
        spread over modes without number, and are no linear function of v where d comes to nothing."""
        following, before = self._repaired_infinities(self.plain()), self._before
        if anew:
            before = None
        moved = None
        if before is None:
            self._run = 0
        else:
            moved = self._mixing.difference(following, before)
            back = self._mixing.difference(self.v, following)
            back *= self._rows[:, np.newaxis] * self.alpha
            self._run = 0 if float(np.einsum("km,km->", back, moved)) > 0.0 else self._run + 1
        self._before = self._safe = self.v = following
        if moved is None or self._run == 0:
            return False
        moved *= self._run / (self._run + _FRICTION)
        self.v = following + moved
        return True

    def take_back(self) -> None:
        self.v, self._run = self._safe, 0

    def forget(self) -> None:
        self._before, self._run = None, 0

    def calm(self) -> None:
        self._count = max(self._count // 2, 1)

    def _further(self, sums: Array, mass: float) -> float:
        self._log_Kd = sums[self.k]
        with np.errstate(invalid="ignore"):
            density = float(np.abs(self._exp(self.v[self.k] + self._log_Kd) - self.alpha).sum()) / mass
        return max(density, super()._further(sums, mass))

    def _dual(self, worth_u: float, mass: float) -> float:
        return -math.inf

    def plain(self) -> Array:
        mean = self.mean_t()
        following = np.empty_like(self.v)
        start = before = self.v[self.k]
        h = start + _LENGTH * (mean - self._log_Kd)
        for step in range(1, self._count):  # with the momentum of Nesterov 1983
            ahead = h + step / (step + 3) * (h - before)
            before, h = h, ahead + _LENGTH * (mean - self.kernel.log_sum(ahead[np.newaxis])[0])
        following[self.k] = start + _DONE * (h - start)
        np.subtract(following[self.k] + mean, self.t, out=following[: self.k])
        return following

    def onwards(self) -> Array:
        """Without the density. What is rough beside the kernel, and all of it is at a finer one, makes no difference to
        any sum, so no step takes it back: alpha would keep what is sharper in a density than any step made it."""
        return np.asarray(self.v - self.v[self.k])


class Unbalanced(Steps):
    """Second marginals q_k at the price rho sum_k w_k KL(q_k | alpha), for which alpha = sum_k w_k q_k is the best."""

    @property
    def _r(self) -> float:
        return self.problem.columns.kl / self.eps

    def _wanted(self) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.nan_to_num(self.alpha * np.exp(self.v / -self._r), nan=0.0)

    def plain(self) -> Array:
        s = self._r / (1.0 + self._r)
        log_beta = self._mean_exp((1.0 - s) * self.t) / (1.0 - s)
        with np.errstate(invalid="ignore"):
            return s * (log_beta - self.t)

    def _mean_exp(self, values: Array) -> Array:
        """log sum_k w_k exp(values_k)."""
        some = self.weights > 0.0
        values = values[some]
        top = values.max(axis=0)
        top[top == -np.inf] = 0.0
        with np.errstate(divide="ignore"):
            return np.asarray(top + np.log(self.weights[some] @ np.exp(values - top)))

    def repaired(self, v: Array) -> Array:
        v += self._r * self._mean_exp(v / -self._r)
        return v


def worth(weights: Array, potentials: Array, side: Marginal) -> Array:
    """What potentials (k, n) add to the dual values (k,), <a, f> where the marginal is fixed."""
    with np.errstate(invalid="ignore", over="ignore"):
        under_kl = side.kl < math.inf
        each = -side.kl * np.expm1(-potentials / side.kl) if under_kl else np.minimum(potentials, side.cap)
        products = weights * each
    products[np.broadcast_to(weights == 0.0, products.shape)] = 0.0
    return np.asarray(products.sum(axis=1))


def steps_of(problem: Problem, kernel: Any, eps: float, v: Array) -> Steps:
    """Those of the problem's kind."""
    if problem.debias:
        return Debiased(problem, kernel, eps, v)
    return (Balanced if problem.columns.fixed else Unbalanced)(problem, kernel, eps, v)
