"""Barycentric coordinates: of which mixture of histograms a histogram is the barycenter.

minimise  L(alpha(w), b)  over w >= 0, sum w = 1                               (Bonneel, Peyre and Cuturi 2016)
"""

from __future__ import annotations

import math
import time
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.coordinates.family import Family, Member
from monge.barycenters.coordinates.misfit import Misfit, misfit_of
from monge.barycenters.coordinates.simplex import least_on_simplex
from monge.barycenters.fixed.problem import Problem
from monge.barycenters.inputs import as_histograms, one_total
from monge.entropic.kernels.threads import Threads
from monge.problem.arrays import available_threads, positive, positive_integer, real_array, seconds
from monge.problem.at_home import TransportAtHome
from monge.problem.costs import as_cost
from monge.problem.home import home_of_any
from monge.problem.measures import as_mixture
from monge.problem.progress import count_bar
from monge.problem.transport import ConvergenceWarning, Status

__all__ = ["Coordinates", "Fit", "barycentric_coordinates", "fit", "require_all_arcs"]

Array = NDArray[np.float64]

# Barycenters are found up to this share of the step of the weights, at most and at least _LOOSE and _TIGHT; and their
# derivatives up to _SLOPES, which changes what a step gains alone.
_SHARE, _LOOSE, _SLOPES = 1e-2, 1e-3, 1e-6
# Damping of steps that did not lower the loss, relative to the curvature: where it starts, and its factor.
_DAMPING, _FACTOR = 1e-2, 10.0
# The largest change of a potential, in units of eps, that is foretold: where next to no mass is, slopes say little.
_FORETOLD = 20.0


class Coordinates:
    """Mixing weights whose barycenter is near a target; see `monge.barycentric_coordinates`.

    Attributes
    ----------
    weights : ndarray (k,)
        The coordinates w, which sum to one. Those of histograms that are of no use are exactly zero.
    projection : ndarray (m,)
        The barycenter with these weights: the target's projection on the family of all barycenters.
    value : float
        The loss between projection and target.
    iterations : int
        Steps of the weights.
    status : Status
        Why it stopped.
    converged : bool
        Whether the last step of the weights was at most tol.
    marginal_error : float
        That of the projection, as of a `monge.barycenter`.
    stats : dict
        ``losses`` after each step, ``passes`` over the histograms, ``solves``, the iterations that derivatives took,
        ``residual`` of the equations for them, and ``seconds_total``.
    """

    def __init__(
        self,
        weights: Array,
        projection: Array,
        value: float,
        iterations: int,
        status: Status,
        marginal_error: float,
        stats: Any,
    ) -> None:
        self.weights, self.projection, self.value = weights, projection, value
        self.iterations, self.status, self.marginal_error = iterations, status, marginal_error
        self.stats: dict[str, Any] = stats

    @property
    def converged(self) -> bool:
        """Whether the last step of the weights was at most tol."""
        return self.status is Status.CONVERGED

    def __repr__(self) -> str:
        return (
            f"Coordinates(weights={np.array2string(self.weights, precision=4)}, value={self.value:.3g}, "
            f"{self.status.name}, {self.iterations} iterations)"
        )


class Fit:
    """Where a search for weights has come to."""

    def __init__(self, member: Member, value: float) -> None:
        self.member, self.value = member, value
        self.losses, self.status, self.iterations = [value], Status.MAX_ITER, 0
        self.solves, self.residual = 0, 0.0


def fit(
    family: Family,
    misfit: Misfit,
    start: Array,
    v: Array | None,
    tol: float,
    max_iter: int,
    deadline: float = math.inf,
    report: Any = None,
) -> Fit:
    """Weights from `start` on, by Gauss-Newton steps on the simplex, damped (Levenberg and Marquardt) as need be.

    All the derivatives of a barycenter take less time than the barycenter itself, so few steps are what counts. The
    next potentials are foretold by them, too.
    """
    tight = max(_SHARE * tol, 10.0 * family.kernel.accuracy)
    inner = max(_LOOSE, tight)
    member = family.with_weights(start, v, inner, deadline)
    found = Fit(member, misfit.value(member.alpha))
    damping = 0.0
    while found.iterations < max_iter:
        linear = member.linear
        jacobian = linear.jacobian(_SLOPES)
        slope, hessian = jacobian @ misfit.slope(member.alpha), misfit.curvature(linear, jacobian)
        size = float(np.trace(hessian)) / len(hessian)
        while found.iterations < max_iter:
            if time.perf_counter() >= deadline:
                found.status = Status.OUT_OF_TIME
                return found
            found.iterations += 1
            damped = hessian + damping * size * np.eye(len(hessian))
            weights = least_on_simplex(damped, slope - damped @ member.weights, member.weights)
            step = float(np.abs(weights - member.weights).max())
            last = step <= tol
            inner = max(min(_SHARE * step, inner), tight)
            moved = linear.response((weights - member.weights) @ linear.t, _SLOPES)[1]
            foretold = member.v + np.clip(moved, -_FORETOLD, _FORETOLD)
            following = family.with_weights(weights, foretold, inner, deadline)
            value = misfit.value(following.alpha)
            found.solves, found.residual = found.solves + linear.iterations, max(found.residual, linear.residual)
            linear.iterations = 0
            if report is not None:
                report(found.iterations, loss=f"{min(value, found.value):.3e}", step=f"{step:.1e}")
            if value <= found.value or last:
                found.member = member = following
                found.value = value
                found.losses.append(value)
                damping = 0.0 if damping <= _DAMPING else damping / _FACTOR
                break
            damping = max(_FACTOR * damping, _DAMPING)
        if last and member.found.error <= tight:
            found.status = Status.CONVERGED
            break
    return found


def barycentric_coordinates(
    target: Any,
    histograms: Any,
    cost: Any,
    *,
    eps: float,
    loss: str = "l2",
    debias: bool = False,
    init: Any = None,
    tol: float = 1e-4,
    max_iter: int = 50,
    threads: int | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> Any:
    """The mixing weights for which a barycenter of histograms is nearest to a target.

    Minimises ``L(alpha(w), b)`` over weights w that are not negative and sum to one, where alpha(w) is
    ``monge.barycenter(histograms, cost, w, eps=eps, debias=debias).weights`` and b the target. That barycenter is the
    target's Wasserstein projection on the family of all barycenters of the histograms.

    Parameters
    ----------
    target : array_like (m,)
        The histogram b, with the total of the others. An image goes in as ``image.ravel()``.
    histograms : array_like (k, n)
        As for `monge.barycenter`, as are the cost, eps and debias.
    cost : array_like (n, m), CostMatrix, PointCloud or Grid
        From the places of the histograms to those of the target.
    eps : float
        Strength of the entropy, positive, in the units of the cost.
    loss : str
        "l2", sum_j (alpha_j - b_j)^2; "kl", KL(b | alpha); or "wasserstein", the Sinkhorn divergence between alpha and
        b for the same cost, which has to be symmetric, and eps.
    debias : bool
        Projects on barycenters without the blur of entropy.
    init : array_like (k,), optional
        Weights to start from. None for a guess from the potentials between the target and each of the histograms,
        which is right where the target is a barycenter.
    tol : float
        Largest change of a weight in the last step. Barycenters are solved to a hundredth of it.
    max_iter : int
        Largest number of steps of the weights.
    threads : int, optional
        None for all processors. The answer has the same bits for any number.
    time_limit : float, optional
        Seconds after which it stops with what it has.
    progress : bool
        Show steps and loss (needs tqdm).

    Returns
    -------
    Coordinates
        ``weights`` (k,), ``projection`` (m,), ``value``, ``iterations``, ``status``, ``stats``. Of arrays of another
        library it has such arrays.

    Raises
    ------
    ValueError
        As `monge.barycenter` does; totals that differ; a loss of another name; forbidden arcs.
    TypeError
        What holds no real numbers.

    Notes
    -----
    Bonneel, Peyre and Cuturi 2016, "Wasserstein barycentric coordinates: histogram regression using optimal transport".
    The loss is not convex in w: what comes is the least that steps down from the start lead to. Steps are of Gauss and
    Newton, with derivatives of the exact barycenter rather than of a number of iterations, in memory O(k (n + m)).

    Without debias, the histograms themselves are no barycenters: each has the blur of entropy on it. With it, sharp
    edges make the equations for derivatives hard to solve. A few shapes of 64 x 64 pixels take a minute or more, for
    weights that are known to 1e-4 long before: give a time_limit.

    Examples
    --------
    >>> import numpy as np, monge
    >>> x = np.arange(30.0)
    >>> bumps = np.exp(-((x - [[8.0], [20.0]]) ** 2) / 8.0)
    >>> bumps /= bumps.sum(axis=1, keepdims=True)
    >>> target = monge.barycenter(bumps, monge.Grid(30), [0.25, 0.75], eps=2.0, tol=1e-8).weights
    >>> monge.barycentric_coordinates(target, bumps, monge.Grid(30), eps=2.0).weights.round(4)
    array([0.25, 0.75])
    """
    began = time.perf_counter()
    eps, tol, max_iter = positive(eps, "eps"), positive(tol, "tol"), positive_integer(max_iter, "max_iter")
    workers, deadline = available_threads(threads), began + seconds(time_limit)
    one = as_cost(cost)
    home = home_of_any(one.home, target, histograms)
    problem = Problem(histograms, one, None, None, bool(debias))
    problem.require_digits(eps)
    require_all_arcs(problem)
    m = one.shape[1]
    row = real_array(target, "target", 1, f"a histogram of shape ({m},); an image goes in as image.ravel()")
    wanted = as_histograms(row[np.newaxis], m, "target")
    one_total(wanted, target, "Rescale it.", "target", (problem.total, "that of the histograms"))
    start = None if init is None else as_mixture(init, len(problem.weights), "init")
    with Threads(workers) as pool, count_bar(progress, max_iter, "barycentric_coordinates", "steps") as report:
        family = Family(problem, eps, pool)
        misfit = misfit_of(loss, wanted[0], one, eps, max(_SHARE * tol, 1e-9), workers)
        start = family.guess(wanted[0]) if start is None else start
        reached = fit(family, misfit, start, None, tol, max_iter, deadline, report)
    member = reached.member
    found = Coordinates(
        member.weights,
        member.alpha,
        reached.value,
        reached.iterations,
        reached.status,
        member.found.error,
        {
            "losses": np.array(reached.losses),
            "passes": family.passes,
            "solves": reached.solves,
            "residual": reached.residual,
            "seconds_total": time.perf_counter() - began,
        },
    )
    if not found.converged:
        warnings.warn(
            f"barycentric_coordinates: it stopped after {found.iterations} steps, with a loss of {found.value:.3g} and "
            f"a marginal error of {found.marginal_error:.1e}, before a step was at most tol = {tol:.3g}. "
            "Raise max_iter, time_limit, tol or eps, or go on with init=result.weights.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return found if home is None else TransportAtHome(found, home)


def require_all_arcs(problem: Problem) -> None:
    """ValueError for a cost that forbids some."""
    if problem.forbidden:
        raise ValueError("a cost with forbidden arcs (+inf) has no coordinates here. Give them a large finite cost.")
