"""By an entropic plan that likes to send the sources of one class together.

minimise  <P, C> + eps KL(P | a x b) + penalty sum_j sum_c (sum_{i in c} P_ij^2 / a_i)^{1/2}

(Courty, Flamary, Tuia and Rakotomamonjy 2017, "Optimal transport for domain adaptation", equation 16, with weights).
The plan depends on the classes, which new points have not: these move as the nearest source does.
"""

from __future__ import annotations

import warnings

import numpy as np

from monge.exact.dense import dense
from monge.maps.transport_map.displaced import Displaced
from monge.maps.transport_map.entropic import blur
from monge.maps.transport_map.group_lasso import group_lasso
from monge.maps.transport_map.problem import Fitted, Problem
from monge.problem.arrays import require_memory
from monge.problem.transport import ConvergenceWarning

__all__ = ["group"]

# Over eps.
_PENALTY = 2.0
# Of the scale of the costs.
_TOL = 1e-3
_MOST_STEPS = 300


def group(problem: Problem) -> Fitted:
    """The map at the sources, and back at the targets."""
    x, y, options = problem.x, problem.y, problem.options
    assert x.classes is not None
    n, m = problem.cloud.shape
    what = f"plans between {n} and {m} points"
    require_memory(6 * 8 * n * m, what, "Subsample the points, or use method='entropic'.")
    eps = blur(problem)
    penalty = _PENALTY * eps if options.penalty is None else options.penalty
    tol = problem.scale * (_TOL if options.tol is None else options.tol)
    C = np.asarray(dense(problem.cost, options.threads), dtype=np.float64)
    found = group_lasso(
        C, x.weights, y.weights, x.classes, eps, penalty, tol=tol, max_iter=options.max_iter or _MOST_STEPS,
        threads=options.threads, progress=options.progress, over=lambda: options.over,
    )  # fmt: skip
    steps = len(found.objective)
    if found.gap > tol:
        warnings.warn(
            f"the group lasso stopped after {steps} steps with a gap of {found.gap:.2g} for an objective of "
            f"{found.objective[-1]:.4g}. Raise max_iter, tol, time_limit or eps.",
            ConvergenceWarning,
            stacklevel=3,
        )
    P = found.plan
    there = (P @ y.exact) / P.sum(axis=1)[:, np.newaxis]
    back = (P.T @ x.exact) / P.sum(axis=0)[:, np.newaxis]
    attributes = {"plan_": P, "objective_": found.objective, "gap_": found.gap, "n_iter_": steps}
    attributes |= {"eps_": eps, "penalty_": penalty}
    return Fitted(Displaced(x.exact, there), Displaced(y.exact, back), attributes)
