"""Barycenters whose points move.

minimise  sum_k w_k OT_c(nu, mu_k)  over measures nu = sum_j a_j delta(x_j) of n points       (Cuturi and Doucet 2014)

With the plans held, the best place of each point is known; there, plans are found anew. Each of the two lowers the
value, so they come to an end. `objectives` has the step, `free_start` the start. What is here is the loop.
"""

from __future__ import annotations

import math
import time
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.free.measures import as_measures
from monge.barycenters.free.objectives import Debiased, Entropic, Exact, Objective, Place
from monge.barycenters.free.result import FreeBarycenter, FreeStatus
from monge.barycenters.free.start import drawn, from_pairs, given
from monge.distances.directions import check_rng
from monge.entropic.solving import warn_of_shortfalls
from monge.problem.arrays import available_threads, positive, positive_integer, real_number, seconds, shown
from monge.problem.home import home_of_any
from monge.problem.progress import step_bar
from monge.problem.transport import ConvergenceWarning

__all__ = ["free_barycenter"]

Array = NDArray[np.float64]


def free_barycenter(
    points: Any,
    masses: Any = None,
    weights: Any = None,
    *,
    n_points: int | None = None,
    init: Any = None,
    free_masses: bool = False,
    cost: Any = "sqeuclidean",
    eps: float | None = None,
    debias: bool = False,
    tol: float = 1e-7,
    max_iter: int = 300,
    rng: Any = None,
    time_limit: float | None = None,
    threads: int | None = None,
    progress: bool = False,
) -> FreeBarycenter:
    """The barycenter of clouds of points, as a cloud of points.

    Looks for the measure nu of n points that minimises ``sum_k w_k OT(nu, mu_k)``, where OT is what `emd` minimises
    for the cost |x - y|^2 or another one. In general there are local minima; ``gap`` says how far the value may be from
    the least one, and it is often far less. On the line, and between two measures, the barycenter itself is found.

    For one measure and ``n_points`` with ``free_masses`` this is k-means, by Lloyd's method: each point goes to the
    nearest of the n, and each of these to the mean of its points. Without, it is k-means with clusters of equal mass.

    Parameters
    ----------
    points : list of k array_like (n_k, d), or array_like (k, n, d)
        The clouds; vectors stand for points on the line.
    masses : list of k array_like (n_k,), optional
        The masses of their points, not negative; None, also for one of them, for equal ones. They are normalised to
        probabilities. A single vector is shared by all.
    weights : array_like (k,), optional
        The weights w of the clouds in the average, which sum to one; None for equal ones.
    n_points : int, optional
        Number of points of the barycenter, of mass 1 / n each. They begin at points of the cloud of the largest weight,
        drawn apart from each other (k-means++). Without it and without `init`, the search begins at the pairwise
        transports between the clouds, which takes k (k - 1) / 2 of `emd`: at the points and masses of that cloud which
        is closest to the others; on the line and for two clouds the result has as many points as the barycenter needs,
        at most sum_k n_k - k + 1. With entropy it begins at the cloud of the largest weight.
    init : array_like (n, d), a pair (points, masses) or FreeBarycenter, optional
        Where the barycenter begins in place of `n_points`; masses (n,) are equal if not given. A result goes on.
    free_masses : bool
        Whether its masses are looked for, too: each move of the points is followed by a step of mirror descent on the
        masses; for one measure, they are those of the points to which each is nearest. For several, the slope has
        kinks, and where no step goes down the masses need not be the best ones for these points: nothing but ``gap``
        says how far off the value may be. Not with eps.
    cost : str or (str, float)
        "sqeuclidean" |x - y|^2; "euclidean" |x - y|, for which points go to geometric medians, so that single clouds
        far off count for less; ("euclidean", p) |x - y|^p with p >= 1; "cityblock" sum_k |x_k - y_k|.
    eps : float, optional
        Entropy, as in `sinkhorn`, for "sqeuclidean". It takes no matrices for large clouds. The barycenter then has a
        smaller spread than the clouds, the more so the larger eps: for normal clouds of variance s^2, s^2 - eps / 2.
    debias : bool
        With eps: Sinkhorn divergences in place of OT, which give the spread back. Steps go along their gradient.
    tol : float
        The search ends when a step lowers the value by less than this share of it.
    max_iter : int
        Largest number of steps, each of which solves one transport for each cloud.
    rng : None, int or numpy.random.Generator
        For where `n_points` begin (SPEC 7): the same seed gives the same answer, another one perhaps another minimum;
        None draws afresh in each call.
    time_limit : float, optional
        Seconds. When they are over, the last place that was finished is returned, with a ConvergenceWarning.
    threads : int, optional
        Threads, over which the clouds are spread; None for all processors. The answer has the same bits for any number.
    progress : bool
        Show steps (needs tqdm).

    Returns
    -------
    FreeBarycenter
        ``points`` (n, d), ``weights`` (n,) (their masses), ``value``, a certified ``gap`` >= 0, ``status``, the
        ``values`` of all steps, which fall, and ``transports`` to each cloud. All in double precision; of arrays of
        another library, points and weights are such arrays, as `emd` says.

    Raises
    ------
    ValueError
        Clouds without points, of several dimensions or with coordinates that are not finite, masses or weights that
        are negative or of which all are zero, weights that do not sum to one, a cost for which the best place between
        points is not known, both n_points and init.
    TypeError
        Points or masses that are not real numbers.
    MemoryError
        If the matrices of costs would not fit; eps needs none.

    Notes
    -----
    Fixed-point iteration: Cuturi and Doucet 2014, "Fast computation of Wasserstein barycenters", Algorithm 2; Alvarez-
    Esteban et al. 2016, "A fixed-point approach to barycenters in Wasserstein space". Plans and potentials of the step
    before start those of the next. Pairwise start: von Lindheim 2023, "Simple approximative algorithms for free-support
    Wasserstein barycenters"; its first step has at most twice the least value, for |x - y|^2.

    The gap is ``value - sum_{i<j} w_i w_j W_2^2(mu_i, mu_j)`` for |x - y|^2, and for other costs what the triangle
    inequality gives; it is zero for translates of a cloud. It needs the pairwise transports: those that the start has
    not computed are, when it is asked for. The bound is one for any number of points: with few of them the gap holds
    what few points cost, too. With ``debias`` it is the value. Points of the barycenter without mass stay where they
    are.

    Examples
    --------
    Translates of a cloud have a translate between them:

    >>> import numpy as np, monge
    >>> x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    >>> found = monge.free_barycenter([x, x + [4.0, 0.0], x + [2.0, 9.0]])
    >>> found.points
    array([[2., 3.],
           [3., 3.],
           [2., 5.]])
    >>> round(found.value, 9), round(found.gap, 9)
    (20.666666667, 0.0)

    Two clusters of a single cloud, and how many points each of them has:

    >>> cloud = np.array([[0.0], [1.0], [2.0], [10.0], [12.0]])
    >>> found = monge.free_barycenter([cloud], n_points=2, free_masses=True, rng=0)
    >>> sorted(zip(found.points[:, 0].tolist(), (5 * found.weights).round(9).tolist()))
    [(1.0, 3.0), (11.0, 2.0)]
    """
    started = time.monotonic()
    workers, limit = available_threads(threads), seconds(time_limit)
    deadline = started + limit
    home = home_of_any(points, masses, weights, init if not isinstance(init, FreeBarycenter) else None)
    tol, max_iter = _tolerance(tol), positive_integer(max_iter, "max_iter")
    measures = as_measures(points, masses, weights, cost, workers)
    if n_points is not None and init is not None:
        raise ValueError("n_points= and init= both say where the barycenter begins; leave one of them out.")
    if debias and eps is None:
        raise ValueError("debias= takes out what entropy does; give eps=, or leave it out.")
    objective = _objective(measures, eps, debias, free_masses)
    place: Place | None = None
    if init is not None:
        x, a = given(init, measures.d)
    elif n_points is not None:
        x, a = drawn(measures, positive_integer(n_points, "n_points"), check_rng(rng))
    elif not isinstance(objective, Exact):
        x, a = measures.points[measures.reference], measures.masses[measures.reference]
    elif len(measures.known) == 1 or measures.d == 1:
        alone = measures.known[0]
        x, a, value = measures.points[alone], measures.masses[alone], 0.0
        if len(measures.known) > 1:
            on_line, a, value = measures.on_line()
            x = on_line[:, np.newaxis]
        return FreeBarycenter(x.copy(), a.copy(), np.array([value]), FreeStatus.EXACT, objective, None, home)
    else:
        place = from_pairs(objective, deadline)
    if place is None:
        place = objective.at(x, a, None, deadline)
        assert place is not None  # there is none before it
    with step_bar(progress, "free_barycenter") as show:
        place, values, status = _descend(objective, place, tol, max_iter, deadline, show)
    if status in (FreeStatus.MAX_ITER, FreeStatus.TIME_LIMIT):
        warnings.warn(f"free_barycenter: {status.value} ({len(values) - 1} steps).", ConvergenceWarning, stacklevel=2)
    if isinstance(objective, Entropic):
        blurred: list[Any] = [t for t in (*place.transports, place.own) if t is not None]
        warn_of_shortfalls("free_barycenter", blurred, objective.eps, True)
    return FreeBarycenter(place.x.copy(), place.a.copy(), np.array(values), status, objective, place.transports, home)


def _descend(
    objective: Objective, place: Place, tol: float, max_iter: int, deadline: float, show: Any
) -> tuple[Place, list[float], FreeStatus]:
    """The last place, the values on the way, and why it is the last."""
    values = [place.value]
    while len(values) <= max_iter:
        after = place
        for share in objective.shares:
            if time.monotonic() >= deadline:
                return place, values, FreeStatus.TIME_LIMIT
            tried = objective.at(place.x + share * (place.better - place.x), place.a, place, deadline)
            if tried is None:
                return place, values, FreeStatus.TIME_LIMIT
            if tried.value < place.value:
                after = tried
                break
        after = objective.refined(after, deadline)
        if after is place:
            return place, values, FreeStatus.CONVERGED if time.monotonic() < deadline else FreeStatus.TIME_LIMIT
        fell, place = place.value - after.value, after
        values.append(place.value)
        if show is not None:
            show(len(values) - 1)
        if fell <= tol * abs(place.value):
            return place, values, FreeStatus.CONVERGED
    return place, values, FreeStatus.MAX_ITER


def _objective(measures: Any, eps: float | None, debias: bool, free_masses: bool) -> Objective:
    if eps is None:
        return Exact(measures, free_masses)
    if free_masses:
        raise ValueError(
            "free_masses= is for exact transport; leave eps= out, or use monge.barycenter for masses on given places."
        )
    if not measures.ground.squared:
        raise ValueError(f"eps= is for the cost 'sqeuclidean'; got {shown(measures.cost)}. Leave eps= out.")
    return (Debiased if debias else Entropic)(measures, positive(eps, "eps"))


def _tolerance(value: Any) -> float:
    tol = real_number(value, "tol", "a number >= 0")
    if not 0.0 <= tol < math.inf:
        raise ValueError(f"tol should be a number >= 0; got {shown(value)}.")
    return tol
