"""By the entropic plan, whose potentials give the map of any point.

minimise  <P, C> + eps KL(P | a x b)  subject to  P 1 = a,  P' 1 = b
"""

from __future__ import annotations

from monge.entropic.sinkhorn import sinkhorn
from monge.maps.entropic_map import EntropicMap
from monge.maps.transport_map.displaced import Displaced
from monge.maps.transport_map.problem import Fitted, Problem

__all__ = ["blur", "entropic"]

# Of the scale of the costs: about the square of a tenth of the distance of two points.
_BLUR = 0.01
_MOST_PASSES, _TOL = 10_000, 1e-3


def blur(problem: Problem) -> float:
    """The eps that was asked for, or one that follows the scale of the costs."""
    wanted = problem.options.eps
    return wanted if wanted is not None else _BLUR * problem.scale


def entropic(problem: Problem) -> Fitted:
    """The map and the one back, smooth and defined everywhere."""
    x, y, options, eps = problem.x, problem.y, problem.options, blur(problem)
    t = sinkhorn(
        problem.cost, x.weights, y.weights, eps=eps, tol=options.tol or _TOL, max_iter=options.max_iter or _MOST_PASSES,
        threads=options.threads, progress=options.progress,
    )  # fmt: skip
    found = {"transport_": t, "plan_": t.plan, "eps_": t.eps, "n_iter_": t.iterations}
    if problem.supervised:  # then the plan depends on more than places, and so does the map
        there, back = t.plan @ y.exact, t.plan.T @ x.exact
        there, back = there / t.plan.sum(axis=1)[:, None], back / t.plan.sum(axis=0)[:, None]
        return Fitted(Displaced(x.exact, there), Displaced(y.exact, back), found)
    return Fitted(EntropicMap(y.exact, y.weights, t.g, t.eps), EntropicMap(x.exact, x.weights, t.f, t.eps), found)
