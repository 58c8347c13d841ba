"""The distance of Gromov and Wasserstein: transport between structures that know only their own distances.

minimise  sum_ijkl (Cx_ik - Cy_jl)^2 P_ij P_kl  subject to  P >= 0,  P 1 = a,  P' 1 = b        (Memoli 2011)

`sides` reads the structures, `starts` says where to begin, `descent` and `entropic` go down from there, `bounds` says
what nothing can get below. What is here is the choice among them.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import available_threads, positive, positive_integer, real_array, seconds
from monge.problem.at_home import at_home
from monge.problem.home import home_of_any, on_host
from monge.problem.progress import step_bar
from monge.problem.transport import ConvergenceWarning, Transport
from monge.spread.threads import in_threads
from monge.structures import descent, entropic
from monge.structures.bounds import lower_bound
from monge.structures.clouds import CloudForm
from monge.structures.forms import Evaluated
from monge.structures.result import GromovTransport
from monge.structures.search import chosen, exact_solver
from monge.structures.sides import Sides, read_sides

__all__ = ["gromov_wasserstein"]

Array = NDArray[np.float64]

_TOL, _ENTROPIC_TOL = 1e-9, 1e-5
# By which part of the mass the sums of a plan to begin with may be off: those of entropic plans are.
_OFF = 1e-2


def gromov_wasserstein(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    cost: Any = "sqeuclidean",
    eps: float | None = None,
    init: Any = None,
    n_starts: int = 1,
    rng: Any = None,
    tol: float | None = None,
    max_iter: int = 1000,
    threads: int | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> Any:
    """Gromov-Wasserstein transport: matches two structures by the distances within each.

    Minimises ``E(P) = sum_ijkl (Cx_ik - Cy_jl)^2 P_ij P_kl`` over plans P >= 0 with P 1 = a and P' 1 = b, where Cx
    (n, n) are the distances within the first structure and Cy (m, m) those within the second; with `eps`
    ``E(P) + eps KL(P | a x b)``. The structures need not be in one space, and moving, turning or mirroring one changes
    nothing. The problem is not convex: what is found is a local optimum, beside which `lower_bound` says how much
    lower others might be.

    Parameters
    ----------
    x : array_like (n, d) or CostMatrix (n, n)
        Points of the first structure, or its distances, or any numbers for pairs of its places. A vector stands for
        points on the line.
    y : array_like (m, e) or CostMatrix (m, m)
        The second; points may have another dimension.
    a, b : array_like (n,), (m,), optional
        Weights, of equal totals; None for uniform ones. With a total of t instead of one, E is t^2 times as large.
    cost : str, (str, float), callable or GroundCost
        What is between two points of one cloud, as for `PointCloud`. Squared distances take memory in O(n + m) beside
        what `emd` takes, or with `eps` `sinkhorn`; for all others matrices are made.
    eps : float, optional
        Strength of the entropy, in the units of E, which are those of Cx squared. None for none.
    init : Transport, (n, m) array or sparse array, "product", optional
        Where the first descent begins: a result, a plan, or the product of the weights, which tells nothing. None
        chooses: for clouds their principal axes are laid on each other, for matrices places are matched whose distances
        to all others are alike.
    n_starts : int
        Number of descents, from starts that begin with that one, or with the best few of those that are chosen.
    rng : None, int or numpy.random.Generator
        Draws the starts beyond the likeliest ones (SPEC 7). The same seed gives the same; None fresh ones in each call.
    tol : float, optional
        The descent ends where a step promises, to first order, less than this part of the squares of both structures.
        None for 1e-9. With `eps`: where costs change by less than this times eps, and the marginal error is within it;
        None for 1e-5.
    max_iter : int
        Largest number of linear problems in a descent.
    threads : int, optional
        Threads; several starts are spread over them. None for all processors. The answer has the same bits for any
        number.
    time_limit : float, optional
        Seconds, looked at between linear problems. When they are over, the best plan so far is returned, with a
        ConvergenceWarning.
    progress : bool
        Show the steps (needs tqdm).

    Returns
    -------
    GromovTransport
        With ``value``, which is E without any root, ``plan``, ``lower_bound``, ``starts`` (the objectives of all
        descents), ``status`` and ``stats``. Of arrays of another library it has such arrays, as `emd` says.

    Raises
    ------
    ValueError
        Shapes that do not fit, matrices that are not square or not finite, weights as for `emd`, an eps or tol that is
        not positive, an init whose sums are not the weights, points so far apart that fourth powers overflow.
    TypeError
        Structures, weights or an rng of the wrong type.
    MemoryError
        If matrices would not fit.

    Warns
    -----
    UserWarning
        Where points look like a matrix of distances, which should be a `CostMatrix`.
    ConvergenceWarning
        Where max_iter or time_limit ended the best descent.

    Notes
    -----
    Memoli 2011, "Gromov-Wasserstein distances and the metric approach to object matching"; conditional gradient after
    Vayer, Chapel, Flamary, Tavenard and Courty 2020, "Fused Gromov-Wasserstein distance for structured objects". For
    squared distances within clouds the linear problems are those of clouds in one more dimension than the smaller one,
    and the objective is concave between plans, so that each step goes all the way to an extreme plan; see
    `monge.structures.clouds`. With entropy after Peyre, Cuturi and Solomon 2016. `monge.structures.descent.steps` gives
    the single steps, to those who want to change one thing.

    Examples
    --------
    A triangle, and another that is turned, mirrored and lists its corners in another order:

    >>> import numpy as np, monge
    >>> x = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
    >>> t = monge.gromov_wasserstein(x, x[[2, 0, 1]] @ [[0.0, 1.0], [1.0, 0.0]] + 5.0)
    >>> round(t.value, 12), round(t.lower_bound, 12)
    (0.0, 0.0)
    >>> t.plan.toarray().round(3)
    array([[0.   , 0.333, 0.   ],
           [0.   , 0.   , 0.333],
           [0.333, 0.   , 0.   ]])

    Points on a line against points in the plane:

    >>> t = monge.gromov_wasserstein([0.0, 1.0, 2.0], [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    >>> round(t.value, 6), t.lower_bound <= t.value
    (0.888889, True)
    """
    began = time.monotonic()
    strength = None if eps is None else positive(eps, "eps")
    tol = (_TOL if eps is None else _ENTROPIC_TOL) if tol is None else positive(tol, "tol")
    count, max_iter = positive_integer(n_starts, "n_starts"), positive_integer(max_iter, "max_iter")
    workers, deadline = available_threads(threads), began + seconds(time_limit)
    home = home_of_any(getattr(x, "home", x), getattr(y, "home", y), a, b)
    generator = np.random.default_rng(rng)
    sides = read_sides(x, y, a, b, cost, workers)
    first = None if init is None else _given(init, sides)
    with step_bar(progress, "gromov_wasserstein") as report:
        found = _descents(sides, strength, first, count, generator, tol, max_iter, deadline, workers, report)
    best = found[0]
    t = best.transport
    answer = GromovTransport(
        value=best.at.exact(),
        objective=best.at.exact() + (0.0 if strength is None else t.eps * entropic.divergence(t)),
        plan=t.plan if strength is not None or best.at.plan is None else best.at.plan,
        f=t.f,
        g=t.g,
        status=best.status,
        iterations=best.iterations,
        stats={
            "stationarity": best.gap if strength is None else best.change,
            "starts": len(found),
            "iterations": [each.iterations for each in found],
            "seconds": time.monotonic() - began,
        },
        weights=(sides.x.weights, sides.y.weights),
        starts=np.array([_objective(each) for each in found]),
        bound=partial(lower_bound, sides.x, sides.y, workers),
        eps=None if strength is None else t.eps,
    )
    if not answer.converged:
        warnings.warn(f"gromov_wasserstein: {answer.status.value}.", ConvergenceWarning, stacklevel=2)
    return at_home(answer, home)


def _descents(
    sides: Sides, eps: float | None, first: Evaluated | None, count: int, rng: np.random.Generator, tol: float,
    max_iter: int, deadline: float, workers: int, report: Callable[[int], None] | None,
) -> list[Any]:  # fmt: skip
    """`count` descents, or fewer if starts come to the same or the time is over, the best one first."""
    form, (a, b) = sides.form, (sides.x.weights, sides.y.weights)
    done = 0

    def step(_: int) -> None:
        nonlocal done
        done += 1
        if report is not None:
            report(done)

    def descended(start: Evaluated, threads: int) -> Any:
        if eps is None:
            solve = exact_solver(a, b, threads)
            return descent.descend(start, form.walk(), solve, tol, max_iter, deadline, step)
        soft = entropic.entropic_solver(a, b, eps, threads)
        return entropic.descend(start, form.at, soft, tol, max_iter, deadline, step)

    starts = [] if first is None else [first]
    if count > len(starts):
        starts += chosen(sides, count - len(starts), rng, deadline, workers)
    threads = 1 if len(starts) > 1 else workers
    found = list(in_threads(lambda k: descended(starts[k], threads), len(starts), workers, deadline))
    return sorted(found, key=_objective)


def _objective(found: Any) -> float:
    return float(found.objective if isinstance(found, entropic.EntropicDescent) else found.at.exact())


def _given(init: Any, sides: Sides) -> Evaluated:
    """The form at a plan that was given."""
    a, b, form = sides.x.weights, sides.y.weights, sides.form
    if isinstance(init, str):
        if init != "product":
            raise ValueError(f"init should be a plan, a result, or 'product'; got {init!r}.")
        if isinstance(form, CloudForm):
            return form.at(_Product(a, b))
        return form.at(np.multiply.outer(a, b) / a.sum())
    plan = getattr(init, "on_host", init)
    plan = plan.plan if isinstance(plan, Transport) else on_host(plan)
    plan = getattr(plan, "on_host", plan)
    if not hasattr(plan, "toarray"):
        plan = real_array(plan, "init", 2, f"a plan of shape {form.shape}").astype(np.float64)
    if tuple(plan.shape) != form.shape:
        raise ValueError(f"init should be a plan of shape {form.shape}; got {tuple(plan.shape)}.")
    off = np.abs(plan.sum(axis=1) - a).sum() + np.abs(plan.sum(axis=0) - b).sum()
    if not off <= _OFF * a.sum():
        raise ValueError(
            f"init should be a plan between the weights; its sums are off by {off / a.sum():.2g} of the mass. "
            "monge.round_plan makes it one."
        )
    return form.at(plan if hasattr(plan, "tocoo") or isinstance(form, CloudForm) else np.asarray(_array(plan)))


def _array(plan: Any) -> Any:
    return plan.toarray() if hasattr(plan, "toarray") else plan


class _Product:
    """The plan a b' over the mass, of which only products with columns are asked."""

    def __init__(self, a: Array, b: Array) -> None:
        self.a, self.b = a, b / b.sum()

    def __matmul__(self, values: Array) -> Array:
        return np.multiply.outer(self.a, self.b @ values)
