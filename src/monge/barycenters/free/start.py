"""From where a barycenter with points that move is looked for.

With plans from one measure to all others, each of its points goes to the best place between those that it is sent to.
For |x - y|^2, and from the measure with the least sum_j w_j W_2^2(mu_i, mu_j), that has at most twice the least value
(von Lindheim 2023, "Simple approximative algorithms for free-support Wasserstein barycenters"): the mean over all i of
these sums is twice the lower bound. So it is the first step from that measure, whose transports are known then.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.free.centres import Groups
from monge.barycenters.free.measures import Measures, shares, to_itself, turned
from monge.barycenters.free.objectives import Exact, Place
from monge.barycenters.free.result import FreeBarycenter
from monge.problem.arrays import real_array
from monge.problem.costs import as_points
from monge.problem.home import on_host

__all__ = ["drawn", "from_pairs", "given"]

Array = NDArray[np.float64]


def given(init: Any, d: int) -> tuple[Array, Array]:
    """The points (n, d) and masses (n,) that the caller begins with."""
    if isinstance(init, FreeBarycenter):
        init = on_host(init.points), on_host(init.weights)
    points, masses = init if isinstance(init, tuple) and len(init) == 2 else (init, None)
    x = np.array(as_points(real_array(points, "init", (1, 2), "points of shape (n, d)"), "init"), dtype=np.float64)
    if x.shape[1] != d:
        raise ValueError(f"init should have points of {d} coordinates, as the measures have; got shape {x.shape}.")
    return x, shares(masses, len(x), "init's masses")


def drawn(measures: Measures, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """n points of the reference, each drawn with a chance in proportion to its mass and the squared distance to the
    nearest one before (Arthur and Vassilvitskii 2007, "k-means++"), and equal masses."""
    k = measures.reference
    points, chances = measures.points[k], measures.masses[k]
    apart = points - points.mean(axis=0)
    least = np.full(len(points), np.inf)
    x = np.empty((n, measures.d))
    for q in range(n):
        share = chances if q == 0 else chances * least
        if not 0.0 < share.sum() < np.inf:  # all points have been drawn
            share = chances
        at = int(rng.choice(len(points), p=share / share.sum()))
        x[q] = points[at]
        least = np.minimum(least, ((apart - apart[at]) ** 2).sum(axis=1))
    return x, np.full(n, 1.0 / n)


def from_pairs(objective: Exact, deadline: float) -> Place:
    """A place that all transports between the measures lead to."""
    measures, weights = objective.measures, objective.measures.weights
    pairs = measures.pairs(deadline)
    if len(measures.known) == 2:
        # All of the plan, each of its entries a point on its own: the barycenter of two measures (McCann 1997).
        (i, j), t = next(iter(pairs.items()))
        assert t._entries is not None
        rows, columns, mass = t._entries
        both = np.stack((measures.points[i][rows], measures.points[j][columns]), axis=1)
        groups = Groups(
            np.arange(0, 2 * len(rows), 2), both.reshape(-1, measures.d), np.tile(weights[[i, j]], len(rows))
        )
        x, a = measures.centre(both[:, 0], groups), mass / mass.sum()
        found = objective.at(x, a, None, deadline)
        assert found is not None  # there is none before it
        return found
    sums = {
        i: sum(weights[j] * pairs[min(i, j), max(i, j)].value for j in measures.known if j != i) for i in measures.known
    }
    best = min(measures.known, key=lambda i: sums[i])
    transports = []
    for j in measures.known:
        if j == best:
            transports.append(to_itself(measures.masses[best]))
        else:
            transports.append(pairs[best, j] if best < j else turned(pairs[j, best]))
    return objective.of(measures.points[best], measures.masses[best], transports)
