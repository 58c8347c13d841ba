"""The result of an entropic solver: a `Transport` whose plan is lazy and whose certificate is computed when asked for.

The dual value of any potentials is a lower bound of the optimum, and it is off by the square of the marginal error. The
upper bound is the objective of a feasible plan near the one that is returned: rows and columns that send too much are
scaled down and what is then missing is spread as a product (Altschuler, Weed and Rigollet 2017, Algorithm 2); a side
that need not be met exactly is left as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr, xlogy

from monge.entropic.feasible import FeasibleTransport, feasible, is_dear, sent_exactly
from monge.entropic.kernels.select import Route, pairs_of
from monge.entropic.kernels.threads import Threads
from monge.entropic.marginals import Marginal
from monge.entropic.plan import LazyPlan
from monge.entropic.rounding import Rounding, scalings
from monge.problem.costs import Cost
from monge.problem.transport import InfeasibleError, Status, Transport, balanced_gradients

__all__ = ["EntropicTransport"]

Array = NDArray[np.float64]

# A potential that is within this of TV's bound is at it: bounds go through a change of units.
_AT_BOUND = 1e-12


class EntropicTransport(Transport):
    """An entropic plan P_ij = a_i b_j exp((f_i + g_j - C_ij) / eps); see `Transport`.

    ``value`` is the dual value of f and g, a lower bound of the optimum; ``gap`` bounds how far it is from the optimum.
    ``cost``, ``marginal_error`` and ``gap`` are computed when first asked for, by passes over all pairs in double
    precision. So is all that is asked of the lazy ``plan``, at any time, and of ``rounded()``. Points and weights are
    copies, but a cost matrix is the caller's: what is lazy is computed from it as it is then. Do not change it before.

    Attributes
    ----------
    eps : float
        Strength of the entropy that was used.
    plan : LazyPlan (n, m)
        The plan, computed where it is looked at.
    cost : float
        <P, C>, without the entropy.
    marginal_error : float
        How far the plan's marginals are from those they should have, measured.
    gap : float
        Certified bound on how far `value` is from the optimum.

    Methods
    -------
    rounded()
        The plan with exact marginals, and its certificate.
    """

    def __init__(
        self,
        problem: Cost,
        weights: tuple[Array, Array],
        marginals: tuple[Marginal, Marginal],
        eps: float,
        f: Array,
        g: Array,
        *,
        value: float,
        status: Status,
        iterations: int,
        stats: Mapping[str, Any],
        way: Route = Route.PASSES,
        threads: int = 1,
        rounding: float = 2.0**-52,
    ) -> None:
        self.problem, self.weights, self.marginals, self.eps = problem, weights, marginals, eps
        self.f, self.g = f, g
        self.value, self.status, self.iterations = value, status, iterations
        self.stats = dict(stats)
        self._way, self._threads = way, threads
        self._rounding = rounding  # of the numbers that the weights were made from, relative
        self._entries, self._listed, self._cloud = None, None, problem.cloud

    @cached_property
    def plan(self) -> LazyPlan:
        """The plan P (n, m), computed where it is looked at; see `LazyPlan`."""
        return LazyPlan(self._pairs, self.f, self.g, self.eps)

    @cached_property
    def _pairs(self) -> Any:
        return pairs_of(self._way, self.problem, *self.weights, self.marginals, Threads(self._threads))

    def _mixture(self, x: Array, y: Array, u: Array, v: Array) -> tuple[float, Array, Array]:
        """<G, C> + eps sum_ij G_ij log(G_ij / (a_i b_j)) for G = diag(x) P diag(y) + u v', or a bound of it from above,
        and the row and column sums of G."""
        price, divergence, sent, received = self._pairs.mixture(self.f, self.g, self.eps, x, y, u, v)
        return price + self.eps * divergence, sent, received

    @cached_property
    def cost(self) -> float:  # type: ignore[override]
        """<P, C>."""
        return self.plan.measured[2]

    @cached_property
    def marginal_error(self) -> float:
        """How far the plan's marginals are from those they should have, |P 1 - a|_1 + |P' 1 - b|_1, over its mass.

        Under KL they should be what the potentials call for, a exp(-f / rho); for TV they may be beyond the
        weight where the potential is at its bound.
        """
        sent, received, _ = self.plan.measured
        error = sum(
            _missed(sums, weights, potential, side)
            for sums, weights, potential, side in zip(
                (sent, received), self.weights, (self.f, self.g), self.marginals, strict=True
            )
        )
        mass = float(sent.sum())
        return error / mass if mass > 0.0 else 1.0 if error > 0.0 else 0.0

    @cached_property
    def gap(self) -> float:  # type: ignore[override]
        """The objective of a feasible plan, minus `value`: a certified bound on how far that is from the optimum.

        Where `value` comes from single precision and is above the dual value, it is at least the difference.
        """
        return max(self.below, self.above)

    @cached_property
    def above(self) -> float:
        """How far `value` may be above the optimum: by the rounding of passes in single precision.

        It is the difference from the dual value at f and g.
        """
        return max(self.value - self.dual, 0.0)

    @cached_property
    def dual(self) -> float:
        """The dual value at f and g, summed up in double precision from a pass over all pairs."""
        (a, b), sums = self.weights, self.plan.measured
        dual = self.eps * (float(a.sum()) * float(b.sum()) - float(sums[0].sum()))
        for weights, potential, side in zip((a, b), (self.f, self.g), self.marginals, strict=True):
            some = weights > 0.0  # the potential of a place without weight may have any size
            dual += float(weights[some] @ _worth(potential[some], side))
        return dual if math.isfinite(dual) else self.value

    @cached_property
    def below(self) -> float:
        """How far `value` may be below the optimum: by its distance from the objective of a feasible plan."""
        plan, (a, b) = self.plan, self.weights
        fixed_a, fixed_b = (side.fixed for side in self.marginals)
        if fixed_a and fixed_b:
            x, y, u, v = scalings(plan, a, b)
        else:  # one exact side alone can be met by scaling
            sent, received, _ = plan.measured
            x, y, u, v = np.ones_like(a), np.ones_like(b), np.zeros_like(a), np.zeros_like(b)
            if fixed_a:
                np.divide(a, sent, out=x, where=sent > 0.0)
            if fixed_b:
                np.divide(b, received, out=y, where=received > 0.0)
        total = float(a.sum()) * float(b.sum())
        objective, sums_a, sums_b = self._mixture(x, y, u, v)
        if fixed_a and fixed_b:
            bound = self.value - self.eps * (total - float(a.sum()))  # of the same, without the masses
            if is_dear(self.problem, objective, bound, lambda: self._mixture(x, y, 0 * u, 0 * v)[0]):
                try:
                    objective, sums_a, sums_b = self._objective_exactly(Rounding(x, y, u, v))
                except InfeasibleError:
                    return np.inf
        objective += self.eps * (total - float(sums_a.sum()))
        for sums, weights, side in ((sums_a, a, self.marginals[0]), (sums_b, b, self.marginals[1])):
            if side.kl < np.inf:
                objective += side.kl * float((rel_entr(sums, weights) - sums + weights).sum())
            if side.cap < np.inf:
                objective += side.cap * float(np.abs(sums - weights).sum())
        return max(objective - self.value, 0.0) if objective < np.inf else np.inf

    def _objective_exactly(self, rounding: Rounding) -> tuple[float, Array, Array]:
        """As `_mixture`, for a plan whose missing mass is sent by an exact solver."""
        (a, b), eps = self.weights, self.eps
        rounding, more = sent_exactly(self._pairs, self._rounding, self.plan, rounding)
        objective, sums_a, sums_b = self._mixture(*rounding)
        i, j, mass = more.plan.row, more.plan.col, more.plan.data
        C = self.problem.at(i, j)
        with np.errstate(divide="ignore", over="ignore"):  # of the plan so far, by a x b
            density = np.exp(np.log(rounding.x[i]) + np.log(rounding.y[j]) + (self.f[i] - C + self.g[j]) / eps)
        product = a[i] * b[j]
        denser = density + mass / product
        objective += float(mass @ C) + eps * float((product * (xlogy(denser, denser) - xlogy(density, density))).sum())
        return objective, sums_a + np.bincount(i, mass, len(a)), sums_b + np.bincount(j, mass, len(b))

    @cached_property
    def _point_gradients(self) -> tuple[Array, Array]:
        self._points_of("grad_x and grad_y")
        grad_x, grad_y = self._pairs.gradient(self.f, self.g, self.eps)
        return grad_x, grad_y

    @cached_property
    def _weight_gradients(self) -> tuple[Array, Array]:
        """Of the dual value at the potentials,

        phi_a(f) + phi_b(g) - eps sum_ij a_i b_j (exp((f_i + g_j - C_ij) / eps) - 1)

        where phi_a(f) is <a, f>, rho <a, 1 - exp(-f / rho)> for KL or <a, min(f, rho)> for TV.
        """
        (a, b), eps = self.weights, self.eps
        grad_a, grad_b = (
            _worth(potential, side) - eps * share + eps * float(other.sum())
            for potential, side, share, other in zip(
                (self.f, self.g), self.marginals, self._shares(), (b, a), strict=True
            )
        )
        if all(side.fixed for side in self.marginals):
            return balanced_gradients(grad_a, grad_b, a, b)
        if all(side.cap < np.inf for side in self.marginals) and abs(a.sum() - b.sum()) <= _AT_BOUND * a.sum():
            # Within TV's bounds f + t and g - t are as good as f and g: the same constant is chosen.
            (f, cap_a), (g, cap_b) = (
                (potential[weights > 0.0], side.cap)
                for potential, weights, side in zip((self.f, self.g), (a, b), self.marginals, strict=True)
            )
            t = 0.5 * float(grad_b @ b / b.sum() - grad_a @ a / a.sum())
            t = max(min(t, cap_a - f.max(), cap_b + g.min()), -cap_a - f.min(), g.max() - cap_b)
            return grad_a + t, grad_b - t
        return grad_a, grad_b

    def _shares(self) -> tuple[Array, Array]:
        """What each place sends or receives, per unit of its weight, as the potentials call for it."""
        found = []
        for k, (potential, other, side) in enumerate(
            zip((self.f, self.g), (self.g, self.f), self.marginals, strict=True)
        ):
            share = np.exp(-potential / side.kl)  # one for a fixed side
            at_bound = np.flatnonzero(np.abs(potential) >= side.cap * (1.0 - _AT_BOUND))
            if at_bound.size:  # TV takes what comes
                pairs = self._pairs if k == 1 else self._pairs.T
                softmins = pairs.softmins(other, self.eps, at_bound)
                share[at_bound] = np.exp((potential[at_bound] - softmins) / self.eps)
            found.append(share)
        return found[0], found[1]

    def rounded(self) -> FeasibleTransport:
        """The plan with exact marginals, as `round_plan` makes it, and what it proves about transport without entropy.

        Returns
        -------
        Transport
            Its ``plan`` is lazy and feasible, ``value`` and ``cost`` are <P, C>, ``f`` and ``g`` are dual feasible, and
            ``gap`` bounds how far the plan is from the optimum of `emd`. Mass that is missing is sent along a product;
            where that meets forbidden arcs, as `emd` sends it.

        Raises
        ------
        ValueError
            If the marginals need not be met, so that there is nothing to round to.
        InfeasibleError
            If the forbidden arcs leave no plan.

        Examples
        --------
        >>> import numpy as np, monge
        >>> C = np.array([[0.0, 1.0], [1.0, 0.0]])
        >>> t = monge.sinkhorn(C, eps=0.1).rounded()
        >>> t.cost < 1e-4, t.gap < 1e-4, t.marginal_error < 1e-15
        (True, True, True)
        """
        if not all(side.fixed for side in self.marginals):
            raise ValueError(f"rounding needs marginals that must be met; got marginals={self.marginals!r}.")
        return feasible(self._pairs, self._rounding, self.f, self.g, self.eps, self.plan, self.iterations)

    def __repr__(self) -> str:
        n, m = self.shape
        return (
            f"Transport({n} x {m}, value={self.value:.6g}, eps={self.eps:.3g}, "
            f"{self.status.name}, {self.iterations} iterations)"
        )


def _worth(potential: Array, side: Marginal) -> Array:
    """What a unit of weight adds to the dual value through its own potential."""
    if side.kl < np.inf:
        return np.asarray(-side.kl * np.expm1(-potential / side.kl))
    return np.minimum(potential, side.cap)


def _missed(sums: Array, weights: Array, potential: Array, side: Marginal) -> float:
    """|sums - what they should be|_1 on one side."""
    wanted = weights
    if side.kl < np.inf:
        some = weights > 0.0  # the potential of a place without weight may have any size
        wanted = np.zeros_like(weights)
        with np.errstate(over="ignore"):
            wanted[some] = weights[some] * np.exp(-potential[some] / side.kl)
    off = sums - wanted
    bound = side.cap * (1.0 - _AT_BOUND)
    allowed = ((potential >= bound) & (off <= 0.0)) | ((potential <= -bound) & (off >= 0.0))
    return float(np.abs(off[~allowed]).sum())
