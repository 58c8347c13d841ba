"""Entropic optimal transport.

minimise  <P, C> + eps KL(P | a x b)  subject to  P 1 = a,  P' 1 = b          (Cuturi 2013)

or with penalties in place of the constraints. `kernels.select` chooses between the routes that `solving` takes: where
the kernel matrix is `stored`, problems are solved whole in the C++ core; larger clouds in few dimensions by
`multiscale`, others by `passes` over all pairs. `problem` has the checks, the scales, and the way from potentials to a
`Transport`.
"""

from __future__ import annotations

from typing import Any

from monge.entropic.kernels.room import require_room
from monge.entropic.kernels.select import check_device
from monge.entropic.marginals import Marginal, as_marginals
from monge.entropic.problem import Problem
from monge.entropic.result import EntropicTransport
from monge.entropic.solving import device_of, solve_all, solve_one, warn_of_shortfalls
from monge.problem.arrays import available_threads, items, positive, positive_integer
from monge.problem.at_home import at_home
from monge.problem.batch import is_batch, naming, one_each
from monge.problem.costs import as_cost
from monge.problem.home import home_of_any
from monge.problem.progress import count_bar, pass_bar
from monge.problem.transport import Transport

__all__ = ["sinkhorn"]


def sinkhorn(
    cost: Any,
    a: Any = None,
    b: Any = None,
    *,
    eps: float,
    marginals: Any = None,
    tol: float = 1e-3,
    max_iter: int = 10_000,
    init: Transport | tuple[Any, Any] | None = None,
    device: str | None = None,
    threads: int | None = None,
    progress: bool = False,
) -> Any:
    """Entropic optimal transport (Sinkhorn's algorithm), balanced or unbalanced.

    Minimises ``<P, C> + eps KL(P | a x b)`` over plans P with P 1 = a and P' 1 = b, or with penalties on how far the
    marginals are from a and b. Always in the log domain: any eps is safe, though a small one takes more passes. For the
    plan of least cost itself use `emd`.

    Parameters
    ----------
    cost : array_like (n, m), CostMatrix, PointCloud or Grid
        Cost per unit of mass from i to j; +inf forbids it. The costs of a Grid are never stored. Up to 2^25 pairs the
        solver keeps a kernel matrix, of four bytes per pair, or eight where tol, weights or costs call for it; and for
        points in 128 dimensions or more the costs, of up to 128 MiB, or with a ground cost that is a function all of
        them, of eight bytes each. Costs of points are kept also while exact potentials are looked for, where eps is
        very small or the error stays. A float32 or float64 matrix is not copied, unless it is far wider than high:
        what is lazy in the result is computed from it as it is then, so do not change it before.
        An array (B, n, m), or a list of (n, m) arrays and cost objects of any sizes, is a batch of problems; an empty
        one has no answers, [].
    a : array_like (n,), optional
        Weights of the sources, not negative. None for uniform ones. For a batch also (B, n), or a list of one array or
        None per problem; a vector is shared by all problems.
    b : array_like (m,), optional
        Weights of the targets, of the same total unless `marginals` lets it differ; for a batch likewise.
    eps : float
        Strength of the entropy, positive, in the units of the cost. A few percent of the mean cost blurs visibly; below
        a thousandth, `emd` is often faster. Below 1e-14 of the costs in use, which is about their rounding, that is
        taken in its place, with a warning; the result's ``eps`` is what was used.
    marginals : monge.KL, monge.TV, or a pair, optional
        Penalties in place of the constraints, for both sides or for the rows and the columns; None in a pair is a
        constraint.
    tol : float
        Largest marginal error, |P 1 - a|_1 + |P' 1 - b|_1 over the total mass. 1e-9 is reachable.
    max_iter : int
        Largest number of passes over all pairs.
    init : Transport or (f, g), optional
        A start: the result of a similar problem, or potentials (n,) and (m,). Not for a batch.
    device : str, optional
        "cpu" or "cuda", an NVIDIA GPU (needs ``pip install 'monge[cuda]'``). None takes the device that points or costs
        are on: for arrays of torch, CuPy or JAX on a GPU that one.
    threads : int, optional
        Threads for the passes, or for the problems of a batch; None for all processors. The answer has the same bits
        for any number.
    progress : bool
        Show passes, eps and marginal error (needs tqdm); for a batch, its problems.

    Returns
    -------
    Transport, or list of Transport for a batch
        ``value``, the dual value of the potentials ``f`` and ``g``; the lazy ``plan``, with
        P_ij = a_i b_j exp((f_i + g_j - C_ij) / eps); ``cost``, ``marginal_error`` and ``gap``, measured when asked for;
        ``status``; and in ``stats`` passes, pairs, seconds and the errors of all passes. Of arrays of another library
        it has such arrays, as `emd` says.

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN or -inf costs, negative, NaN or all-zero weights, totals that differ, an eps or tol
        that is not positive, masses so large that their products, or those with costs, overflow. In a batch, the text
        of this and of the other errors begins with the index of the problem.
    TypeError
        Costs or weights that are not real numbers.
    InfeasibleError
        If the forbidden arcs leave no plan.
    MemoryError
        If what the solver keeps beside the cost would not fit, or the problem not on the GPU.
    RuntimeError
        If ``device="cuda"`` lacks a package or a GPU; the text says which.

    Notes
    -----
    Cuturi 2013, "Sinkhorn distances"; Chizat, Peyre, Schmitzer and Vialard 2018 for penalties. Problems of up to 2^25
    pairs, 5792 x 5792 places, are solved whole in the C++ core, with a stored kernel matrix (Schmitzer 2019,
    "Stabilized sparse scaling algorithms for entropy regularized transport problems", section 3.1). Clouds in up to
    three dimensions of more than 2^20 pairs, or up to four times as many if eps is large, are solved from coarse to
    fine, over those pairs that matter at the eps. The first call with a Grid compiles, for some seconds; what is
    compiled is kept on disk.

    Examples
    --------
    >>> import numpy as np, monge
    >>> t = monge.sinkhorn(np.array([[0.0, 1.0], [1.0, 0.0]]), eps=0.5)
    >>> round(t.value, 4), round(t.cost, 4), t.converged
    (0.2831, 0.1192, True)
    >>> t.plan.toarray().round(3)
    array([[0.44, 0.06],
           [0.06, 0.44]])

    Mass that is too far away is left where it is:

    >>> t = monge.sinkhorn([[0.0, 9.0], [9.0, 9.0]], eps=0.1, marginals=monge.TV(1.0))
    >>> t.plan.sum(axis=1).round(3)
    array([0.5, 0. ])
    """
    eps, tol, max_iter = positive(eps, "eps"), positive(tol, "tol"), positive_integer(max_iter, "max_iter")
    both = as_marginals(marginals)
    check_device(device)
    workers = available_threads(threads)
    if is_batch(cost):
        if init is not None:
            raise ValueError("init= is for a single problem; got a batch. Leave it out, or solve them one by one.")
        each = items(cost, "cost", "a batch of (n, m) matrices")
        where, home = device_of(device, home_of_any(cost)), home_of_any(cost, a, b)
        answers = _solve_all(each, a, b, both, eps, tol, max_iter, where, workers, progress)
    else:
        one = as_cost(cost)
        where, home = device_of(device, one.home), home_of_any(one.home, a, b)
        if where != "cuda":  # which says so itself
            require_room([one], eps, tol, 1)
        problem = Problem(one, a, b, both, eps, tol, max_iter, init, where, workers)
        with pass_bar(progress) as report:
            answers = [solve_one(problem, workers, report)]
    warn_of_shortfalls("sinkhorn", answers, eps, is_batch(cost))
    found = at_home(answers, home)
    return found if is_batch(cost) else found[0]


def _solve_all(
    cost: Any, a: Any, b: Any, marginals: tuple[Marginal, Marginal], eps: float, tol: float, max_iter: int,
    device: str | None, workers: int, progress: bool,
) -> list[EntropicTransport]:  # fmt: skip
    """Every problem on one thread, `workers` of them at a time; a single one that the core solves whole on all."""
    weights_a, weights_b = one_each(a, "a", len(cost)), one_each(b, "b", len(cost))
    costs, problems = [], []
    with naming("problem", 0) as at:
        for at.index, item in enumerate(cost):
            costs.append(as_cost(item))
    if device != "cuda":
        require_room(costs, eps, tol, workers)
    with naming("problem", 0) as at:
        for at.index, one in enumerate(costs):
            weights = weights_a[at.index], weights_b[at.index]
            problems.append(Problem(one, *weights, marginals, eps, tol, max_iter, None, device, workers))
    with count_bar(progress, len(problems), "sinkhorn", "problems") as show:
        return solve_all(problems, workers, show)
