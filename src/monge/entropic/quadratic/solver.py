"""Optimal transport with an L2 penalty, whose plans are sparse.

minimise  <P, C> + eps / 2 sum_ij P_ij^2  subject to  P >= 0,  P 1 = a,  P' 1 = b
maximise  <f, a> + <g, b> - 1 / (2 eps) sum_ij (f_i + g_j - C_ij)_+^2

Blondel, Seguy and Rolet 2018, "Smooth and sparse optimal transport", sections 2 and 3. The plan is that of the
potentials, P_ij = (f_i + g_j - C_ij)_+ / eps. It is found by Newton's method for the dual, from the exact potentials:
arcs that those have tight are the plan's for a small eps, and for a larger one few steps away.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

from monge.entropic.quadratic.result import QuadraticTransport
from monge.problem.arrays import available_threads, items, positive, positive_integer, seconds
from monge.problem.at_home import at_home
from monge.problem.batch import is_batch, naming, one_each
from monge.problem.home import home_of_any
from monge.problem.progress import count_bar, pass_bar
from monge.problem.transport import ConvergenceWarning, Status, Transport

__all__ = ["quadratic"]


def quadratic(
    cost: Any,
    a: Any = None,
    b: Any = None,
    *,
    eps: float,
    tol: float = 1e-9,
    max_iter: int = 1000,
    init: Transport | tuple[Any, Any] | None = None,
    threads: int | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> Any:
    """Optimal transport with an L2 penalty: a plan that is blurred as `sinkhorn`'s is, but sparse.

    Minimises ``<P, C> + eps / 2 sum_ij P_ij^2`` over plans P >= 0 with P 1 = a and P' 1 = b. The plan is unique, and
    where the entropic one is positive everywhere, this one is zero for all pairs that are too dear.

    Parameters
    ----------
    cost : array_like (n, m), CostMatrix, PointCloud or Grid, or a scipy.sparse matrix or array (n, m)
        Cost per unit of mass from i to j; +inf forbids it, and so does an entry that a sparse one does not store. That
        of a PointCloud or Grid is computed and stored while the solver runs, n m numbers.
        An array (B, n, m), or a list of matrices and cost objects, is a batch of problems; an empty one has no answers.
    a : array_like (n,), optional
        Weights of the sources, not negative. None for uniform ones. For a batch also (B, n), or a list of one array or
        None per problem; a vector is shared by all problems.
    b : array_like (m,), optional
        Weights of the targets, of the same total; for a batch likewise.
    eps : float
        Strength of the penalty, positive, in units of the cost per unit of mass. What it does depends on the number of
        places, as entries P_ij do: with weights of total one, n and m of them, it begins to blur where eps is about
        the larger number times what neighbours differ in cost, and leaves no zeros where it is n m times the
        largest cost. Below the first the plan is an exact one, of those the one of least sum of squares.
    tol : float
        Largest marginal error, |P 1 - a|_1 + |P' 1 - b|_1 over the total mass. The last step usually lands far below.
    max_iter : int
        Largest number of steps of Newton's method; five to sixty are usual.
    init : Transport or (f, g), optional
        A start: the result of a similar problem, or potentials (n,) and (m,). Not for a batch.
    threads : int, optional
        Threads for the passes over the costs; None for all processors. The answer has the same bits for any number.
    time_limit : float, optional
        Seconds, for all problems together. When they are over, the plan so far is returned with its marginal error,
        and a ConvergenceWarning.
    progress : bool
        Show passes and the marginal error (needs tqdm); for a batch, its problems.

    Returns
    -------
    QuadraticTransport, or a list of them for a batch
        ``value``, the dual value of the potentials ``f`` and ``g``, which is the minimum up to the tolerance, from
        below; the sparse ``plan``, with P_ij = (f_i + g_j - C_ij)_+ / eps; ``cost``, <P, C>; ``marginal_error`` and
        ``gap``, measured when asked for; gradients of the value; ``status``; in ``stats`` Newton steps, passes over the
        costs, and seconds. Of arrays of another library it has such arrays, as `emd` says.

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN or -inf costs, negative, NaN or all-zero weights, totals that differ, an eps or tol
        that is not positive. In a batch, the text of this and of the other errors begins with the index of the problem.
    TypeError
        Costs or weights that are not real numbers.
    InfeasibleError
        If the forbidden arcs leave no plan.
    TimeoutError
        If `time_limit` ran out before a plan was found that avoids the forbidden arcs.
    MemoryError
        If the matrix of a PointCloud or Grid, or the list of pairs that may carry mass, would not fit.

    Notes
    -----
    Blondel, Seguy and Rolet 2018, "Smooth and sparse optimal transport", section 3; Lorenz, Manns and Meyer 2021,
    "Quadratically regularized optimal transport", for Newton's method; Essid and Solomon 2018, "Quadratically
    regularized optimal transport on graphs". Steps are computed from what the exact potentials leave of the costs, so a
    small eps loses no digits. ``plan`` and ``marginal_error`` are of the steps; f and g, rounded to the digits of the
    costs, may say less of them where eps times the masses is below those.

    Examples
    --------
    >>> import numpy as np, monge
    >>> x = np.array([0.0, 1.0, 2.0, 3.0])
    >>> t = monge.quadratic(monge.PointCloud(x, x), eps=10.0)
    >>> t.plan.toarray().round(3)
    array([[0.186, 0.064, 0.   , 0.   ],
           [0.064, 0.143, 0.043, 0.   ],
           [0.   , 0.043, 0.143, 0.064],
           [0.   , 0.   , 0.064, 0.186]])
    >>> t.converged, t.gap < 1e-9
    (True, True)
    """
    from monge.entropic.quadratic.problem import Problem  # which imports the compiler

    eps, tol, max_iter = positive(eps, "eps"), positive(tol, "tol"), positive_integer(max_iter, "max_iter")
    workers, deadline = available_threads(threads), time.perf_counter() + seconds(time_limit)
    home = home_of_any(cost, a, b)
    if is_batch(cost):
        if init is not None:
            raise ValueError("init= is for a single problem; got a batch. Leave it out, or solve them one by one.")
        each = items(cost, "cost", "a batch of (n, m) matrices")
        weights_a, weights_b = one_each(a, "a", len(each)), one_each(b, "b", len(each))
        problems, answers = [], []
        with naming("problem", 0) as at:
            for at.index, item in enumerate(each):
                problems.append(Problem(item, weights_a[at.index], weights_b[at.index], eps, None))
        with count_bar(progress, len(problems), "quadratic", "problems") as show, naming("problem", 0) as at:
            for at.index, problem in enumerate(problems):
                answers.append(problem.solved(tol, max_iter, workers, deadline, None))
                if show is not None:
                    show(len(answers))
    else:
        problem = Problem(cost, a, b, eps, init)
        with pass_bar(progress, "quadratic") as report:
            answers = [problem.solved(tol, max_iter, workers, deadline, report)]
    _warn_of_shortfalls(answers, is_batch(cost))
    found = at_home(answers, home)
    return found if is_batch(cost) else found[0]


def _warn_of_shortfalls(answers: Sequence[QuadraticTransport], batch: bool) -> None:
    for status in (Status.MAX_ITER, Status.OUT_OF_TIME, Status.ROUNDED):
        late = [t.stats["error"] for t in answers if t.status is status]
        if late:
            which = f"{len(late)} of {len(answers)} problems: " if batch else ""
            text = f"quadratic: {which}{status.value} (marginal error {max(late):.3g})."
            warnings.warn(text, ConvergenceWarning, stacklevel=3)
