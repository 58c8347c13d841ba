"""By the exact plan.

minimise  <P, C>  subject to  P 1 = a,  P' 1 = b

A source goes to the mean of where its mass goes, in the sense of the cost, and other points move as the nearest source
does. The potentials would give another map of all points, x to the y_j with the least c(x, y_j) - g_j, and are not
used: it takes no other values than the targets, so that a translation is not recovered and points that differ get the
same image.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from monge.exact.emd import emd
from monge.maps.transport_map.displaced import Displaced
from monge.maps.transport_map.means import check_mean, means_of
from monge.maps.transport_map.problem import Fitted, Problem

__all__ = ["exact", "solved"]


def exact(problem: Problem) -> Fitted:
    """The map at the sources, and back at the targets."""
    check_mean(problem.cloud)
    t = solved(problem, problem.cost)
    x, y = problem.x.exact, problem.y.exact
    there, back = means_of(problem.cloud, t.plan), means_of(problem.cloud.T, t.plan.T)
    return Fitted(Displaced(x, there), Displaced(y, back), {"transport_": t, "plan_": t.plan, "n_iter_": t.iterations})


def solved(problem: Problem, cost: Any, init: Any = None) -> Any:
    """The exact plan between the weights at other costs."""
    options = problem.options
    a, b = problem.x.weights, problem.y.weights
    shown: dict[str, Any] = {"threads": options.threads, "time_limit": options.seconds_left}
    return emd(cost, np.array(a), np.array(b), init=init, progress=options.progress, **shown)
