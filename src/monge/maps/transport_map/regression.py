"""By a plan and a regression on it at once: a smooth map, here an affine one or one of a Gaussian kernel.

minimise over P and L   sum_i a_i |L(x_i) - T_i|^2 + weight <P, C> + ridge R(L),    T_i = sum_j P_ij y_j / a_i

for C_ij = |x_i - y_j|^2 (Perrot, Courty, Flamary and Habrard 2016, "Mapping estimation for discrete optimal
transport", equation 6). The plan enters by its images T alone, since <P, C> = -2 sum_i a_i <x_i, T_i> but for a
constant, so no plan is kept. With the best L for each T, which is linear in T, this is a convex quadratic function of
T. Where it is made linear, at some T, the best plan is the exact one from

z_i = weight x_i + L(x_i) - T_i     to  y.

That is a step of a conditional gradient (Frank and Wolfe 1956), with the best length in closed form. Its gap, a bound
on what is left to gain, says when to stop.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.maps.transport_map.exact import solved
from monge.maps.transport_map.problem import Fitted, Map, Problem
from monge.maps.transport_map.smoothers import AffineSmoother, KernelSmoother, Smoother, median_distance
from monge.problem.costs import PointCloud
from monge.problem.progress import step_bar
from monge.problem.transport import ConvergenceWarning

__all__ = ["affine", "kernel"]

Array = NDArray[np.float64]

_MOST_STEPS = 50
# Of the scale of the costs. For a tenth of it ten times as many plans are made, and classes are recognised no better.
_TOL = 1e-2


def affine(problem: Problem) -> Fitted:
    """L(x) = x + t + (x - mean) B, R(L) = |B|^2 times the mean variance of a coordinate."""
    ridge = problem.options.ridge
    fitted = _joint(problem, lambda x, a: AffineSmoother(x, a, ridge))
    d = len(problem.x.mean)
    matrix = fitted.there(np.eye(d), 1) - fitted.there(np.zeros((d, d)), 1)
    return Fitted(fitted.there, fitted.back, {**fitted.found, "coef_": matrix})


def kernel(problem: Problem) -> Fitted:
    """L(x) = x + t + sum_k w_k exp(-|x - x_k|^2 / (2 bandwidth^2)), R(L) the squared norm of the sum."""
    options = problem.options
    bandwidth = median_distance(problem.x) if options.bandwidth is None else options.bandwidth
    fitted = _joint(problem, lambda x, a: KernelSmoother(x, a, options.ridge, bandwidth))
    return Fitted(fitted.there, fitted.back, {**fitted.found, "bandwidth_": bandwidth})


def _joint(given: Problem, smoother: Callable[[Array, Array], Smoother]) -> Fitted:
    """The map, and one back that is fitted to where the targets come from.

    Points are taken from the means of their clouds: a shift is left to the constant, and costs no digits.
    """
    middle, image = given.x.mean, given.y.mean
    problem = replace(given, x=given.x.from_(middle), y=given.y.from_(image))
    x, y, options = problem.x.exact, problem.y.exact, problem.options
    smoothers = smoother(x, problem.x.weights), smoother(y, problem.y.weights)
    objective = _Objective(problem, smoothers[0], float(((middle - image) ** 2).sum()))
    t = solved(problem, problem.cost)
    at = _Images(problem, t.plan)
    values, gap, most = [objective.value(at)], np.inf, options.max_iter or _MOST_STEPS
    tol = problem.scale * (_TOL if options.tol is None else options.tol)
    with step_bar(options.progress, "regression") as report:
        for step in range(most):
            z = options.plan_weight * x + objective.smooth(at) - at.there
            # The last potentials are near those of this problem, whose costs differ little.
            t = solved(problem, problem.priced(PointCloud(z, y), options.plan_weight), (t.f, t.g))
            other = _Images(problem, t.plan)
            fall, curve = objective.along(at, other)
            gap = fall + t.gap  # which is more than rounding where the time was over
            if gap <= tol or options.over:
                break
            at = at.towards(other, min(1.0, fall / (2.0 * curve)) if curve > 0.0 else 1.0)
            values.append(objective.value(at))
            if report is not None:
                report(step + 1)
    if gap > tol:
        warnings.warn(
            f"the regression stopped after {len(values)} plans with a gap of {gap:.2g} for an objective of "
            f"{values[-1]:.4g}. Raise max_iter, tol or time_limit.",
            ConvergenceWarning,
            stacklevel=4,
        )
    there, back = smoothers[0].fit(at.there - x), smoothers[1].fit(at.back - y)
    found = {"objective_": np.array(values), "gap_": max(0.0, gap), "n_iter_": len(values)}
    return Fitted(Moved(there, middle, image), Moved(back, image, middle), found)


@dataclass(frozen=True)
class Moved:
    """A map between clouds about the origin, for clouds about other points."""

    map: Map
    middle: Array
    image: Array

    def __call__(self, points: Array, threads: int) -> Array:
        """The images (n, d) of points (n, d)."""
        return self.image + self.map(points - self.middle, threads)


class _Images:
    """Where sources go (n, d), where targets come from (m, d), and what classes cost, of a plan or a mean of plans."""

    def __init__(self, problem: Problem, plan: Any) -> None:
        x, y = problem.x, problem.y
        self.there = (plan @ y.exact) / x.weights[:, np.newaxis]
        self.back = (plan.T @ x.exact) / y.weights[:, np.newaxis]
        self.surcharge = problem.surcharge(plan)

    def towards(self, other: _Images, t: float) -> _Images:
        new = object.__new__(_Images)
        for name in ("there", "back", "surcharge"):
            setattr(new, name, (1.0 - t) * getattr(self, name) + t * getattr(other, name))
        return new


class _Objective:
    """As a function of the images, with the best L for them."""

    def __init__(self, problem: Problem, smoother: Smoother, apart: float) -> None:
        self.x, self.a, self.smoother = problem.x.exact, problem.x.weights[:, np.newaxis], smoother
        y = problem.y
        self.weight = problem.options.plan_weight
        self.squares = apart + float((self.a * self.x**2).sum() + y.weights @ (y.exact**2).sum(axis=1))

    def smooth(self, at: _Images) -> Array:
        """L(x_i)."""
        return self.x + self.smoother.smooth(at.there - self.x)

    def value(self, at: _Images) -> float:
        """With U the displacements and S U their best fit, the ridge included: sum_i a_i <U_i, U_i - (S U)_i>."""
        U = at.there - self.x
        left = float((self.a * U * (U - self.smoother.smooth(U))).sum())
        return left + self.weight * (self.squares - 2.0 * float((self.a * self.x * at.there).sum()) + at.surcharge)

    def along(self, at: _Images, other: _Images) -> tuple[float, float]:
        """How fast it falls on the way to the other images, and the factor of t^2."""
        U, D = at.there - self.x, other.there - at.there
        slope = U - self.smoother.smooth(U) - self.weight * self.x
        fall = -2.0 * float((self.a * slope * D).sum()) - self.weight * (other.surcharge - at.surcharge)
        return fall, float((self.a * D * (D - self.smoother.smooth(D))).sum())
