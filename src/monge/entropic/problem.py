"""One entropic problem: its checks, the scales it is solved in, and the way from potentials to a `Transport`."""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.entropic.iteration import Found
from monge.entropic.kernels.select import Route, pairs_of, route
from monge.entropic.kernels.threads import Threads
from monge.entropic.marginals import Marginal
from monge.entropic.result import EntropicTransport
from monge.exact.emd import emd_of_rest
from monge.problem.costs import Cost, CostMatrix
from monge.problem.measures import Weights, check_value, check_weights, rounding_of, total_mass
from monge.problem.start import start_potentials
from monge.problem.transport import InfeasibleError, Status

__all__ = ["Outcome", "Problem", "fill_in", "weights_of"]

Array = NDArray[np.float64]

# The ratio of costs to eps beyond which their quotients overflow.
_LARGEST_RATIO = 1e300
# A few units in the last place of sums of three numbers; and the quantile of the costs that are sure to be in use.
_ROUNDED, _IN_USE = 1e-14, 0.05
# Beyond this ratio eps is held against the digits of costs in use.
_DIGITS = 1e14
# The ratio of eps to the largest cost beyond which potentials that must meet both marginals are at their limit, but for
# its inverse: a larger eps would only add to their rounding.
_FLAT = 1e8
# The mass of the product of weights below which a value is summed up once more: passes know it beside a mass of one.
_SMALL_TOTAL = 1e-6
# What rounding of potentials adds to the marginal error, per largest cost over eps, at most; and the share of the
# tolerance from which that is measured.
_ROUNDING, _WORTH_MEASURING = 1e-15, 0.02


class Outcome(NamedTuple):
    """What a solver says of a problem, beside the potentials that it leaves there."""

    converged: bool
    passes: int
    newton_steps: int  # of the passes
    error: float  # in the marginals
    dual: float  # value, for weights of total one: a.f + b.g + eps (1 - mass) where they must be met
    errors: Array  # (passes,): after each of the first ones
    seconds: float
    counters: dict[str, int]  # of a solver's own

    @classmethod
    def of(cls, found: Found, seconds: float, counters: dict[str, int]) -> Outcome:
        """From what the loop found."""
        errors = np.array(found.errors)
        return cls(found.converged, found.passes, 0, found.error, found.dual, errors, seconds, counters)


class Problem:
    """A problem that has been checked, with its weights normalised.

    Attributes
    ----------
    way : Route
        How it is solved.
    inner_cost : Cost
        The cost for the solver: that of a user's function is a matrix where a kernel matrix is stored.
    inner_a, inner_b : ndarray (n,), (m,)
        Weights for the solver: without those that no arc leads away from, of total one if both sides are fixed.
    f, g : ndarray (n,), (m,)
        The start, and later the potentials.
    wanted, asked : float
        The eps of the call; and that of the result: the same, or the smallest that the digits of the costs in use
        allow.
    eps : float
        The eps to solve with: the same, but for one so large that potentials do not depend on it.
    first : float
        The eps to start from; zero for one that suits the size of the costs.
    symmetric : bool
        Whether the transport is that of a measure to itself, at a symmetric cost, with the same marginals. Then f = g,
        and the steps are those of one potential, which get to any eps at once; see csrc/entropic/steps.hpp.
    """

    def __init__(
        self, cost: Cost, a: Any, b: Any, marginals: tuple[Marginal, Marginal], eps: float, tol: float, max_iter: int,
        init: Any = None, device: str | None = None, threads: int = 1, symmetric: bool = False,
    ) -> None:  # fmt: skip
        self.began = time.perf_counter()
        self.cost, self.marginals, self.tol, self.max_iter = cost, marginals, tol, max_iter
        self.way = route(cost, eps, device)
        n, m = cost.shape
        self.balanced = marginals[0].fixed and marginals[1].fixed
        # P / M has weights a / M and b / M, and potentials that add up to eps log M more.
        self.a, self.b, self.M = weights_of(a, b, n, m, self.balanced)
        self.given = a, b
        total = self.M * self.M if self.balanced else float(self.a.sum()) * float(self.b.sum())
        check_value(eps * total, self.a, self.b)
        if cost.cloud is not None and cost.formed is None and self.way is Route.STORED:
            cost = CostMatrix(cost.cloud.filled(threads))
        self.inner_cost, self.forbidden = cost, _check_costs(cost, eps)
        fine = _WORTH_MEASURING * tol / _ROUNDING  # costs and potentials over eps, up to which rounding does not count
        largest = cost.largest(eps * min(fine, _DIGITS))
        self.wanted = eps
        self.asked = self.eps = max(eps, _finest_eps(cost)) if largest > eps * _DIGITS else eps
        if self.balanced and self.forbidden is None and 0.0 < largest < eps / _FLAT:
            self.eps = min(eps, _FLAT * cost.bound)
        self.digits = self.asked * fine
        self.coarse = largest > self.digits  # whether rounding may keep the marginal error above tol
        self.inner_a, self.inner_b = self.a, self.b
        if self.forbidden is not None:
            self.inner_a, self.inner_b = _reachable(self.forbidden, self.a, self.b, marginals)
        if self.M != 1.0:
            self.inner_a, self.inner_b = self.inner_a / self.M, self.inner_b / self.M
        self.f, self.g = start_potentials(init, n, m) or (np.zeros(n), np.zeros(m))
        self.symmetric = symmetric
        self.first = self.eps if init is not None or symmetric else 0.0
        self.prepared = time.perf_counter()

    @property
    def may_restart(self) -> bool:
        """Whether exact potentials are of use where the error stays."""
        return self.balanced and not self.symmetric

    def pairs(self, threads: Threads) -> Any:
        """The pairs that the solver works on."""
        return pairs_of(self.way, self.inner_cost, self.inner_a, self.inner_b, self.marginals, threads)

    def _far(self, potential: Array) -> bool:
        """Whether potentials may be so large that their rounding counts."""
        squares = np.einsum("i,i", potential, potential)  # quick to have, and overflows without a warning
        return float(squares) > self.digits * self.digits

    @property
    def rounding(self) -> float:
        """Of the numbers that the weights were made from, as far as it counts: where arcs are forbidden."""
        return 2.0**-52 if self.forbidden is None else rounding_of(*self.given)

    def answer(self, outcome: Outcome, threads: int) -> EntropicTransport:
        """The Transport, from potentials that were found. What it does later, it does on so many threads."""
        a, b, f, g, M, eps, forbidden = self.a, self.b, self.f, self.g, self.M, self.asked, self.forbidden
        converged, passes, steps, error, dual, errors, seconds, counters = outcome
        status = Status.CONVERGED if converged else Status.MAX_ITER
        if forbidden is not None:
            if not converged and self.balanced:  # says so if there is no plan
                free = CostMatrix(np.where(forbidden, np.inf, 0.0))
                emd_of_rest(free, a, b, self.rounding * float(a.sum()), threads)
            _leave_out(f, self.inner_a, a, self.marginals[0])
            _leave_out(g, self.inner_b, b, self.marginals[1])
        if self.balanced:  # eps (M^2 - M - M log M), of which little is left for M near one
            value = M * dual + eps * M * ((M - 1.0) - (math.log1p(M - 1.0) if M > 0.5 else math.log(M)))
        else:
            total = float(a.sum()) * float(b.sum())
            value = dual + eps * (total - 1.0)
        if M != 1.0:
            f -= eps * math.log(M)
        if self.symmetric:  # the dual is concave, and that of (f, g) is that of (g, f): their mean is no worse
            f += g
            f *= 0.5
            g[:] = f
        if forbidden is not None:
            for weights, kept, side in zip((a, b), (self.inner_a, self.inner_b), self.marginals, strict=True):
                if not side.fixed:
                    value += min(side.kl, side.cap) * float(weights[kept == 0.0].sum())
        check_value(value, a, b)
        now = time.perf_counter()
        t = EntropicTransport(
            self.cost,
            (a, b),
            self.marginals,
            eps,
            f,
            g,
            value=value,
            way=self.way,
            threads=threads,
            rounding=self.rounding,
            status=status,
            iterations=passes,
            stats={
                "passes": passes,
                "newton_steps": steps,
                "pairs": passes * len(a) * len(b),
                "error": error,
                "errors": errors,
                "seconds_setup": self.prepared - self.began,
                "seconds_passes": seconds,
                "seconds_total": now - self.began,
                **counters,
            },
        )
        if not self.balanced and total < _SMALL_TOTAL:
            t.value = t.dual
        if converged and (self.coarse or self._far(f) or self._far(g)) and t.marginal_error > self.tol:
            t.status, t.stats = Status.ROUNDED, {**t.stats, "error": t.marginal_error}
        return t


def fill_in(pairs: Any, f: Array, g: Array, eps: float) -> None:
    """Potentials g (m,) of columns without weight, which solvers leave out."""
    empty = np.flatnonzero(pairs.b == 0.0)
    if empty.size:
        softmins = pairs.softmins(f, eps, empty)
        reached = softmins < math.inf
        g[empty] = np.where(reached, pairs.marginals[1].potential(np.where(reached, softmins, 0.0), eps), 0.0)


def weights_of(a: Any, b: Any, n: int, m: int, balanced: bool) -> tuple[Array, Array, float]:
    """Both weights as arrays, and their total, where both sides are fixed; it is one otherwise.

    Uniform weights have the total of the other side.
    """
    if a is None and b is None:
        return np.full(n, 1.0 / n), np.full(m, 1.0 / m), 1.0
    weights_a: Weights | None
    weights_b: Weights | None
    if balanced:
        weights_a, weights_b = check_weights(a, b, n, m)
    else:
        weights_a, weights_b = check_weights(a, None, n, m)[0], check_weights(None, b, n, m)[1]
    total_a = total_mass(weights_a if weights_a is not None else weights_b)
    total_b = total_mass(weights_b) if weights_b is not None else total_a
    if weights_a is None:
        weights_a = np.full(n, total_a / n)
    if weights_b is None:
        weights_b = np.full(m, total_b / m)
    elif balanced and total_a != total_b:
        weights_b *= total_a / total_b
    return weights_a, weights_b, total_a if balanced else 1.0


def _finest_eps(cost: Cost) -> float:
    """The smallest eps for which exponents (f + g - C) / eps mean something, because costs in use have so many digits.

    Few costs may be of any size and not be in use. So the measure is one of the smaller ones, zero left out.
    """
    some = np.abs(cost.sample())
    some = some[np.isfinite(some) & (some > 0.0)]
    return _ROUNDED * float(np.quantile(some, _IN_USE)) if some.size else 0.0


def _check_costs(cost: Cost, eps: float) -> NDArray[np.bool_] | None:
    """Which arcs are forbidden; None for none of them."""
    forbidden, size = cost.checked()
    if size / _LARGEST_RATIO >= eps:
        raise ValueError(f"eps = {eps!r} is too small for costs of {size:.3g}; use monge.emd, which is its limit.")
    return forbidden


def _reachable(
    forbidden: NDArray[np.bool_], a: Array, b: Array, marginals: tuple[Marginal, Marginal]
) -> tuple[Array, Array]:
    """The weights without those that no arc leads away from; InfeasibleError if they must be moved."""
    out = []
    for weights, reach, side, place in (
        (a, ~forbidden[:, b > 0.0].all(axis=1), marginals[0], "row"),
        (b, ~forbidden[a > 0.0].all(axis=0), marginals[1], "column"),
    ):
        stuck = (weights > 0.0) & ~reach
        if side.fixed and stuck.any():
            raise InfeasibleError(
                f"no plan avoids the forbidden arcs (cost +inf): all those of {place} {int(np.argmax(stuck))} are "
                "forbidden, and it has mass. Give them a large finite cost, or let masses differ with marginals=."
            )
        out.append(np.where(reach, weights, 0.0))
    return out[0], out[1]


def _leave_out(potential: Array, kept: Array, weights: Array, side: Marginal) -> None:
    """Potentials of places whose mass stays: the bound of TV, and for KL where exp(-f / rho) is nothing."""
    potential[(kept == 0.0) & (weights > 0.0)] = min(side.cap, 750.0 * side.kl)
