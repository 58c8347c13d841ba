"""The barycenter of histograms on given places.

minimise  sum_k w_k eps KL(P_k | exp(-C / eps))  over alpha and P_k,  P_k 1 = a_k,  P_k' 1 = alpha
                                                                        (Benamou, Carlier, Cuturi, Nenna and Peyre 2015)

`problem` has the checks, `steps` the projections, `loop` what happens between them, `certificate` what proves the
result.
"""

from __future__ import annotations

import math
import time
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.fixed.exact import exact_barycenter
from monge.barycenters.fixed.exact_result import ExactBarycenterResult
from monge.barycenters.fixed.loop import Found, iterate
from monge.barycenters.fixed.problem import Problem
from monge.barycenters.fixed.result import Barycenter
from monge.entropic.kernels.threads import Threads
from monge.problem.arrays import available_threads, positive, positive_integer, require_memory, seconds
from monge.problem.at_home import TransportAtHome
from monge.problem.costs import as_cost
from monge.problem.home import home_of_any, on_host
from monge.problem.progress import pass_bar
from monge.problem.transport import ConvergenceWarning, Status
from monge.spread.blas import one_thread

__all__ = ["barycenter"]

Array = NDArray[np.float64]

# Entries of the plans up to which it is asked whether there are any, where arcs are forbidden and the error stays.
_ASKED = 2**18


def barycenter(
    histograms: Any,
    cost: Any,
    weights: Any = None,
    *,
    eps: float | None,
    debias: bool = False,
    marginals: Any = None,
    tol: float = 1e-4,
    max_iter: int = 1_000,
    init: Barycenter | None = None,
    threads: int | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> Any:
    """The Wasserstein barycenter of histograms, on places that are given.

    Minimises ``sum_k w_k eps KL(P_k | exp(-C / eps))`` over plans P_k with P_k 1 = a_k and a common second marginal
    P_k' 1 = alpha, which is the barycenter; KL(P | Q) = sum P log(P / Q) - P + Q. That is ``sum_k w_k <P_k, C>`` and
    entropy, which blurs alpha by a variance of about eps / 2 for the cost |x - y|^2. Always in the log domain: any eps
    is safe.

    Parameters
    ----------
    histograms : array_like (k, n)
        The weights a_k of the places that are the rows of the cost, of one total unless `marginals` lets them differ.
        Images go in as ``images.reshape(len(images), -1)``.
    cost : array_like (n, m), CostMatrix, PointCloud or Grid
        Cost per unit of mass, from the places of the histograms, the rows, to those of the barycenter, the columns;
        +inf forbids an arc.
    weights : array_like (k,), optional
        The shares w of the histograms in the average; they sum to one. None for equal ones. A histogram of weight zero
        has no part in alpha, but has its potentials.
    eps : float or None
        Strength of the entropy, positive, in the units of the cost. None for none: the exact barycenter, by a linear
        programme, for small problems.
    debias : bool
        Minimise the mean Sinkhorn divergence in its place, ``sum_k w_k S_eps(a_k, alpha)``: without the blur. S_eps(a,
        b) is OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2, and OT(a, b) the least eps KL(P | exp(-C / eps)). For a symmetric
        cost.
    marginals : monge.KL, monge.TV, or a pair, optional
        Penalties in place of constraints. For a pair, the first is for the histograms and the second, None or
        monge.KL(rho), for the barycenter; a single monge.KL(rho) is both, and what is minimised is
        ``sum_k w_k (eps KL(P_k | exp(-C / eps)) + rho KL(P_k 1 | a_k) + rho KL(P_k' 1 | alpha))``.
    tol : float
        The largest ``marginal_error`` of a result that has converged.
    max_iter : int
        Largest number of passes over all histograms.
    init : Barycenter, optional
        The result of a similar problem with as many histograms, to start from at this eps.
    threads : int, optional
        None for all processors. The answer has the same bits for any number.
    time_limit : float, optional
        Seconds after which it stops with what it has.
    progress : bool
        Show passes, eps and marginal error (needs tqdm).

    Returns
    -------
    Barycenter
        ``weights`` (m,); ``value``, ``lower_bound`` and ``gap``; potentials ``f`` (k, n) and ``g`` (k, m), in cost
        units; ``plan(k)``; ``grad_weights`` (k,) and ``grad_histograms`` (k, n); ``marginal_error`` and ``status``.
        Of arrays of another library it has such arrays.

    Raises
    ------
    ValueError
        No histograms, or of other sizes; weights that are negative, NaN, or do not sum to one; totals that differ; an
        eps or tol that is not positive; NaN or -inf costs; with debias a cost that is not symmetric, or marginals.
    TypeError
        What holds no real numbers, or an init that is no Barycenter.
    InfeasibleError
        If the forbidden arcs leave no plans to a common histogram.
    MemoryError
        If what is kept would not fit.
    TimeoutError
        If time_limit runs out before the linear programme of ``eps=None`` is solved, which has nothing to show then.

    Notes
    -----
    Iterative Bregman projections, section 3 of the paper, from coarse eps to fine, accelerated by Anderson's mixing, or
    by momentum with debias. Debiasing: Janati, Cuturi and Gramfort 2020, "Debiased Sinkhorn barycenters"; it stops only
    when the density d of the debiasing solves its equation, too. Between histograms of a few places, or with edges, the
    barycenter is at the boundary of what debiasing can reach: convergence is slower than linear there, and alpha is
    known to far fewer digits than its marginals; without debiasing it is known to more. Penalties: Chizat, Peyre,
    Schmitzer and Vialard 2018, "Scaling algorithms for unbalanced optimal transport problems", section 5.2.

    Examples
    --------
    >>> import numpy as np, monge
    >>> x = np.arange(30.0)
    >>> bumps = np.exp(-((x - [[10.0], [18.0]]) ** 2) / 4.0)
    >>> bumps /= bumps.sum(axis=1, keepdims=True)
    >>> found = monge.barycenter(bumps, monge.Grid(30), [0.25, 0.75], eps=2.0)
    >>> round(float(found.weights @ x), 2), round(float(found.weights.sum()), 6), found.converged
    (16.0, 1.0, True)

    Its variance is larger than theirs, 2, by about eps / 2; debiasing takes that away:

    >>> plain, debiased = (monge.barycenter(bumps, monge.Grid(30), eps=2.0, debias=d).weights for d in (False, True))
    >>> [round(float(a @ (x - a @ x) ** 2), 2) for a in (plain, debiased)]
    [3.0, 2.0]
    """
    began = time.perf_counter()
    tol, max_iter, limit = positive(tol, "tol"), positive_integer(max_iter, "max_iter"), seconds(time_limit)
    workers = available_threads(threads)
    one = as_cost(cost)
    home = home_of_any(one.home, histograms, weights)
    problem = Problem(histograms, one, weights, marginals, bool(debias))
    found: Barycenter
    if eps is None:
        found = _without_entropy(problem, workers, limit)
    else:
        eps = positive(eps, "eps")
        problem.require_digits(eps)
        start = None if init is None else _start(problem, init, eps)
        # Sums of products have the same bits on one thread, and threads of BLAS wait for those of the kernel.
        with one_thread, Threads(workers) as pool, pass_bar(progress, "barycenter") as report:
            reached = iterate(problem, eps, tol, max_iter, start, pool, began + limit, report)
        if problem.forbidden and reached.status is not Status.CONVERGED:
            _require_plans(problem)
        found = _answer(problem, eps, reached, workers, time.perf_counter() - began)
        _warn(found, tol)
    return found if home is None else TransportAtHome(found, home)


def _answer(problem: Problem, eps: float, reached: Found, threads: int, elapsed: float) -> Barycenter:
    steps = reached.steps
    f, g = eps * steps.u, eps * steps.v[: len(problem.weights)]
    log_d = steps.v[-1].copy() if problem.debias else None
    if problem.balanced:  # of the constants, those for which <g_k, alpha> is one number
        seen = steps.alpha > 0.0
        means = np.where(np.isfinite(g), g, 0.0)[:, seen] @ steps.alpha[seen] / problem.total
        means -= problem.weights @ means
        f += means[:, np.newaxis]
        g -= means[:, np.newaxis]
    return Barycenter(
        problem,
        eps,
        steps.alpha,
        f,
        g,
        log_d=log_d,
        marginal_error=reached.error,
        status=reached.status,
        iterations=reached.passes,
        stats={"errors": np.array(reached.errors), "seconds_total": elapsed},
        threads=threads,
    )


def _without_entropy(problem: Problem, threads: int, limit: float) -> Barycenter:
    if problem.debias or not problem.balanced:
        raise ValueError(
            "eps=None is the exact barycenter of histograms of one total, which has no blur: leave out debias and "
            "marginals, or give an eps."
        )
    n, m = problem.cost.shape
    require_memory(
        8 * n * m,
        f"a cost of shape {n} x {m}",
        "Take coarser histograms, or entropy: eps=, which needs no such matrix.",
    )
    began = time.perf_counter()
    exact = exact_barycenter(
        problem.histograms, problem.cost.block(slice(None)), problem.weights, threads=threads, time_limit=limit
    )
    return ExactBarycenterResult(problem, exact, time.perf_counter() - began, threads)


def _start(problem: Problem, init: Any, eps: float) -> Array:
    """Potentials to start from, in cost units, those of another problem made to fit this one's weights."""
    init = on_host(getattr(init, "on_host", init))
    if not isinstance(init, Barycenter):
        raise TypeError(f"init should be the result of monge.barycenter; got {type(init).__name__}.")
    k, m = len(problem.weights), problem.cost.shape[1]
    if init.g.shape != (k, m):
        raise ValueError(
            f"init should be a barycenter of {k} histograms on {m} places; got one of {init.g.shape[0]} on "
            f"{init.g.shape[1]}. Leave it out to start afresh."
        )
    given, g = init._problem, np.where(np.isfinite(init.g), init.g, 0.0)
    if not problem.columns.fixed:
        return g  # the first step gives them their constraint
    h = np.zeros(m)
    same = np.array_equal(given.histograms, problem.histograms) and np.array_equal(given.weights, problem.weights)
    if problem.debias and init._log_d is not None and init.eps == eps and same:
        h = eps * init._log_d  # that of another problem would stay in what is sharp; see `Debiased.onwards`
    g += h - problem.weights @ g
    return np.vstack([g, h]) if problem.debias else g


def _require_plans(problem: Problem) -> None:
    """InfeasibleError if the forbidden arcs leave none."""
    n, m = problem.cost.shape
    if problem.balanced and len(problem.weights) * n * m <= _ASKED:
        free = np.where(np.isinf(problem.cost.block(slice(None))), math.inf, 0.0)
        exact_barycenter(problem.histograms, free, problem.weights)


def _warn(found: Barycenter, tol: float) -> None:
    if found.converged:
        return
    spent = "time_limit" if found.status is Status.OUT_OF_TIME else f"max_iter = {found.iterations} passes"
    text = (
        f"barycenter: {spent} ran out with a marginal error of {found.marginal_error:.3g}, above tol = {tol:.3g}: that "
        f"is how far the second marginals of the plans are from the barycenter. Raise it, tol or eps, or go on with "
        "init=result."
    )
    if found._log_d is not None:
        text += (
            " A debiased barycenter of single places, or of sharp edges, is at the boundary of what its density can "
            "be: convergence is slower than linear there, and the result is more diffuse than the limit."
        )
    warnings.warn(text, ConvergenceWarning, stacklevel=3)
