"""Products of the second derivative of an entropic value with a direction.

The value is the maximum over f and g of the dual function

    D = sum_i a_i phi(f_i) + sum_j b_j psi(g_j) - eps sum_ij (P_ij - a_i b_j)

with P_ij = a_i b_j exp((f_i + g_j - C_ij) / eps), where phi(f) = f, rho (1 - exp(-f / rho)) for KL, or f cut at the
bounds for TV. Let C, a and b move along a direction. The potentials follow, so that D stays stationary: with r and c
the sums of P,

    [ r (1 + eps / rho)    P                ] [df]         [ R_a ]      R_a = P (C' / eps - b' / b) 1,
    [ P'                   c (1 + eps / rho)] [dg]  = eps  [ R_b ],     R_b = P' (C' / eps - a' / a) 1

(implicit function theorem; Eisenberger et al. 2022, "A unified framework for implicit Sinkhorn differentiation",
section 3). A potential at a bound of TV stays there. One unknown is eliminated, and the rest solved by conjugate
gradients, with two products with the plan a step. Then

    (eps R_a - P dg) / a + eps sum b'    and    dP = P (a' / a + b' / b + (df + dg - C') / eps)

are how the derivatives with respect to a and to C change; those with respect to points follow from dP.

Balanced problems are those of equal totals, and potentials are known up to a constant. Their value goes on to weights
of other totals as that of the means of the two, so that second derivatives are symmetric along all directions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.select import pairs_of
from monge.entropic.kernels.threads import Threads
from monge.entropic.marginals import Marginal
from monge.entropic.plan import LazyPlan
from monge.entropic.result import EntropicTransport
from monge.problem.hessian import Direction, MovedCloud, MovedPairs, off_totals, with_equal_totals

__all__ = ["hessian_product"]

Array = NDArray[np.float64]

# Up to so many pairs the plan is stored; and the pairs of one chunk.
_STORED = 2**22
_CHUNK = 2**18
# A potential that is within this of TV's bound is at it.
_AT_BOUND = 1e-12
# The relative residual that is asked for, and what is good enough where rounding leaves no more.
_RESIDUAL, _ENOUGH = 1e-14, 1e-6
# Where the system is flatter than this, compared with its largest eigenvalue, rounding decides on the solution.
_FLATTEST = 1e-11


def hessian_product(t: EntropicTransport, along: Direction, wanted: Direction, *, symmetric: bool = False) -> Direction:
    """How the derivatives of ``t.value`` change along a direction: those that `wanted` has, whatever it has there.

    `symmetric` says that both measures, both potentials and all of the direction are the same on both sides. Then the
    potential follows from one equation, (r (1 + eps / rho) + P) df = eps R, that is well conditioned also for a tiny
    eps.

    Raises
    ------
    RuntimeError
        For a ground cost that is a function, without second derivatives; where eps is so small beside the costs that
        rounding decides; and for weights along which the value has a corner, as under TV where totals are equal.
    """
    (a, b), eps = t.weights, t.eps
    moved_a, moved_b = _or_zero(along.a, a), _or_zero(along.b, b)
    balanced = all(side.fixed for side in t.marginals)
    if balanced:
        moved_a, moved_b = with_equal_totals(moved_a, moved_b, a, b)
    system = _System(t)
    if system.singular and not balanced and abs(moved_a.sum() - moved_b.sum()) > 0.0:
        raise RuntimeError(
            "where totals of weights are equal and no mass is left out, the value under monge.TV has a corner, and no "
            "second derivative with respect to weights. Let totals differ, or use monge.KL."
        )
    costs = _Costs(t, along, system.plan, wanted.x is not None or wanted.y is not None)
    rows, columns = costs.sums(system.has_a, system.has_b)
    with np.errstate(over="ignore"):
        more_a, more_b = moved_a / system.a, moved_b / system.b
    rows -= eps * (system.plan @ more_b)
    columns -= eps * (more_a @ system.plan)
    of_weights = wanted.a is not None or wanted.b is not None
    df, dg = system.solve_symmetric(rows, of_weights) if symmetric else system.solve(rows, columns, of_weights)
    found: dict[str, Array] = {}
    if of_weights:
        grad_a = (rows - system.plan @ (system.has_b * dg)) / system.a + eps * float(moved_b.sum())
        grad_b = (columns - (system.has_a * df) @ system.plan) / system.b + eps * float(moved_a.sum())
        if balanced:
            given = _or_zero(along.a, a), _or_zero(along.b, b)
            grad_a, grad_b = off_totals((grad_a, grad_b), given, (t.grad_a, t.grad_b), (a, b))
        found["a"], found["b"] = grad_a, grad_b
    if wanted.C is not None or wanted.x is not None or wanted.y is not None:
        found |= costs.changes(df, dg, more_a, more_b, system.has_a, system.has_b)
    return Direction(**{k: v for k, v in found.items() if getattr(wanted, k) is not None})


class _System:
    """The linear system for how potentials change.

    ``plan`` has weights in it also where there are none, so that it can be divided by them: ``a``, ``b``; ``has_a`` and
    ``has_b`` are one where they are real.
    """

    def __init__(self, t: EntropicTransport) -> None:
        eps = t.eps
        self.a, self.b = (np.where(w > 0.0, w, w.mean()) for w in t.weights)
        self.has_a, self.has_b = ((w > 0.0).astype(np.float64) for w in t.weights)
        pairs = pairs_of(t._way, t.problem, self.a, self.b, t.marginals, Threads(t._threads))
        lazy = LazyPlan(pairs, t.f, t.g, eps)
        self.plan: Any = lazy.toarray() if len(t.f) * len(t.g) <= _STORED else lazy
        side_a, side_b = t.marginals
        rows, columns = self.plan @ self.has_b, self.has_a @ self.plan
        self.rows, free_a = _diagonal(rows, t.f, side_a, eps)
        self.columns, free_b = _diagonal(columns, t.g, side_b, eps)
        # A constant may pass from one potential to the other.
        self.singular = (
            math.isinf(side_a.kl)
            and math.isinf(side_b.kl)
            and bool((free_a | (self.has_a == 0.0)).all() and (free_b | (self.has_b == 0.0)).all())
        )

    def solve_symmetric(self, rows: Array, of_weights: bool) -> tuple[Array, Array]:
        """The same where rows and columns are the same."""
        plan, roots = self.plan, np.sqrt(self.has_a * self.rows)

        def product(v: Array) -> Array:
            return np.asarray(v + roots * (plan @ (roots * v)))

        right = roots * rows
        size = float(np.linalg.norm(right))
        inner = roots * _conjugate_gradients(product, right, size, None, of_weights)
        df = np.where(self.has_a > 0.0, inner, self.rows * (rows - plan @ inner))
        return df, df

    def solve(self, rows: Array, columns: Array, of_weights: bool) -> tuple[Array, Array]:
        """df and dg, zero where a potential is at its bound, from the right side times eps."""
        plan = self.plan
        inner_a, inner_b = self.has_a * self.rows, self.has_b * self.columns  # the others follow from them
        roots = np.sqrt(inner_b)

        def product(v: Array) -> Array:
            return np.asarray(v - roots * (((plan @ (roots * v)) * inner_a) @ plan))

        null = np.where(roots > 0.0, 1.0 / np.where(roots > 0.0, roots, 1.0), 0.0) if self.singular else None
        one, other = roots * columns, roots * ((inner_a * rows) @ plan)
        size = float(np.linalg.norm(one) + np.linalg.norm(other))
        scaled = _conjugate_gradients(product, one - other, size, null, of_weights)
        dg = roots * scaled
        df = self.rows * (rows - plan @ dg)
        return df, np.where(self.has_b > 0.0, dg, self.columns * (columns - (self.has_a * df) @ plan))


def _diagonal(sums: Array, potential: Array, side: Marginal, eps: float) -> tuple[Array, NDArray[np.bool_]]:
    """One over the diagonal of the system, zero for places at a bound; and which are not."""
    free = (np.abs(potential) < side.cap * (1.0 - _AT_BOUND)) & (sums > 0.0)
    diagonal = sums * (1.0 + eps / side.kl)
    return np.divide(1.0, diagonal, out=np.zeros_like(sums), where=free), free


def _conjugate_gradients(product: Any, right: Array, size: float, null: Array | None, of_weights: bool) -> Array:
    """The solution of a system whose eigenvalues are between zero and one, across the null vector if there is one.

    The right side is a difference of vectors of this size. Derivatives with respect to points only see the solution
    times the system, those `of_weights` itself.
    """
    if null is not None:
        null = null / np.linalg.norm(null)

    def across(v: Array) -> Array:
        return v if null is None else v - null * float(null @ v)

    right = across(right)
    asked = _RESIDUAL * (float(np.linalg.norm(right)) if of_weights else size)
    best, best_x, flattest = math.inf, np.zeros_like(right), math.inf
    for _ in range(3):  # from what rounding left
        x = best_x
        residual = across(right - product(x))
        step, square = residual, float(residual @ residual)
        for _ in range(len(right) + 10):
            if math.sqrt(square) <= asked:
                break
            image = across(product(step))
            curvature = float(step @ image)
            flattest = min(flattest, curvature / float(step @ step))
            if not curvature > 0.0:
                break
            x = x + (square / curvature) * step
            residual = residual - (square / curvature) * image
            square, before = float(residual @ residual), square
            step = residual + (square / before) * step
        left = float(np.linalg.norm(across(right - product(x))))
        if not left < 0.5 * best:
            break
        best, best_x = left, x
        if left <= asked:
            break
    if not best <= _ENOUGH / _RESIDUAL * asked or (of_weights and flattest < _FLATTEST):
        raise RuntimeError(
            "second derivatives could not be computed: eps is so small beside the costs that rounding decides "
            f"(residual {best:.2g} of {size:.2g}). Raise eps."
        )
    return across(best_x)


class _Costs:
    """How costs change along a direction, a few rows at a time."""

    def __init__(self, t: EntropicTransport, along: Direction, plan: Any, of_points: bool) -> None:
        self._plan, self._eps, self._shape, self._C = plan, t.eps, t.shape, along.C
        self._moved = None
        if of_points or along.x is not None or along.y is not None:
            assert t.problem.cloud is not None
            self._moved = MovedCloud(t.problem.cloud, along.x, along.y)
        self._kept: tuple[Array, MovedPairs | None] | None = None

    def _chunks(self) -> Iterator[tuple[slice, Array, MovedPairs | None, Any]]:
        """Rows, their part of the plan, their pairs of points, and how the costs change."""
        n, m = self._shape
        tall = n if n * m <= _CHUNK else max(1, _CHUNK // m)
        for first in range(0, n, tall):
            rows = slice(first, min(first + tall, n))
            if self._kept is None or tall < n:
                pairs = None if self._moved is None else self._moved.pairs(np.s_[rows, None], np.s_[None])
                self._kept = self._plan[rows], pairs
            plan, pairs = self._kept
            yield rows, plan, pairs, pairs.slope if pairs is not None else 0.0 if self._C is None else self._C[rows]

    def sums(self, has_a: Array, has_b: Array) -> tuple[Array, Array]:
        """The sums of the plan times the change of the costs, over columns and over rows with weight."""
        n, m = self._shape
        sums_a, sums_b = np.zeros(n), np.zeros(m)
        if self._C is None and self._moved is None:
            return sums_a, sums_b
        for rows, plan, _, change in self._chunks():
            part = plan * change
            sums_a[rows] = part @ has_b
            sums_b += has_a[rows] @ part
        return sums_a, sums_b

    def changes(
        self, df: Array, dg: Array, more_a: Array, more_b: Array, has_a: Array, has_b: Array
    ) -> dict[str, Array]:
        """How the plan changes, or the derivatives with respect to points."""
        n, m = self._shape
        found, d = (np.empty((n, m)), 0) if self._moved is None else (np.empty((0, 0)), self._moved.d)
        forces, changes = ((np.zeros((n, d)), np.zeros((m, d))) for _ in range(2))
        for rows, plan, pairs, change in self._chunks():
            both = has_a[rows, None] * has_b
            more = both * ((df[rows, None] + dg - change) / self._eps)
            more += more_a[rows, None] * has_b + has_a[rows, None] * more_b
            more *= plan
            if pairs is None:
                found[rows] = more
                continue
            real = plan * both
            for k, part in enumerate(pairs.changes(real, more)):
                changes[0][rows, k] += part.sum(axis=1)
                changes[1][:, k] += part.sum(axis=0)
            for k, part in enumerate(pairs.forces(real)):
                forces[0][rows, k] += part.sum(axis=1)
                forces[1][:, k] += part.sum(axis=0)
        if self._moved is None:
            return {"C": found}
        x, y = self._moved.turned(forces, changes)
        return {"x": x, "y": y}


def _or_zero(moved: Array | None, weights: Array) -> Array:
    return np.zeros_like(weights) if moved is None else moved
