"""The distance of Gromov and Wasserstein: transport between structures that know only their own distances.

minimise  sum_ijkl (Cx_ik - Cy_jl)^2 P_ij P_kl  subject to  P >= 0,  P 1 = a,  P' 1 = b        (Memoli 2011)

`sides` reads the structures, `starts` says where to begin, `descent` and `entropic` go down from there, `bounds` says
what nothing can get below. What is here is the choice among them.
"""

from __future__ import annotations

import time
import warnings
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import available_threads, positive, positive_integer, seconds
from monge.problem.at_home import at_home
from monge.problem.home import home_of_any
from monge.problem.progress import step_bar
from monge.problem.transport import ConvergenceWarning
from monge.structures.free import partially, penalised
from monge.structures.gradients import Slopes
from monge.structures.sides import masses, read_structures
from monge.structures.solving import Asked, balanced
from monge.structures.unbalanced import as_penalties

__all__ = ["gromov_wasserstein"]

Array = NDArray[np.float64]

_TOL, _ENTROPIC_TOL = 1e-9, 1e-5


def gromov_wasserstein(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    cost: Any = "sqeuclidean",
    eps: float | None = None,
    features: Any = None,
    alpha: float = 0.5,
    marginals: Any = None,
    mass: float | None = None,
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
        what `emd` takes, or with `eps` `sinkhorn`. For all others, and with `mass` or `marginals`, arrays over pairs
        are made: 8 bytes times n m, some times over.
    eps : float, optional
        Strength of the entropy, in the units of E, which are those of Cx squared. None for none.
    features : pair (fx, fy) of array_like (n, k) and (m, k), or array_like (n, m), optional
        What places are, besides how they lie: vectors whose squared distances are M, or M itself, the cost of matching
        each place of one structure with each of the other. Then ``(1 - alpha) <P, M> + alpha E(P)`` takes the place of
        E (fused Gromov-Wasserstein).
    alpha : float
        The share of the structures, from 0 to 1; it counts only with features.
    marginals : monge.KL, or a pair, optional
        Penalties rho KL(p x p | a x a), and likewise for the columns, in place of the constraints, where P and eps
        count by KL(P x P | (a x b) x (a x b)), too; needs `eps`. None in a pair is a constraint. Totals may differ.
    mass : float, optional
        How much mass to match, at most the smaller total: the rest of both structures stays where it is (partial
        Gromov-Wasserstein). Without `eps`.
    init : Transport, (n, m) array or sparse array, "product", optional
        Where the first descent begins: a result, a plan, or the product of the weights, which tells nothing. None
        chooses: for clouds their principal axes are laid on each other, for matrices places are matched whose distances
        to all others are alike.
    n_starts : int
        Number of descents, from starts that begin with that one, or with the best few of those that are chosen.
    rng : None, int or numpy.random.Generator
        Draws starts where n_starts is above one (SPEC 7): the same seed gives the same, None fresh ones in each call.
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
        With ``value``, which is E without any root, ``plan``, ``lower_bound`` (zero with `mass` or `marginals`),
        ``starts`` (the objectives of all descents), ``status`` and ``stats``. Of arrays of another library it has such
        arrays, as `emd` says.

    Raises
    ------
    ValueError
        Shapes that do not fit, matrices that are not square or not finite, weights as for `emd`, an eps or tol that is
        not positive, an init that is no plan or whose sums are not the weights, points so far apart that fourth powers
        overflow.
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
    ``monge.structures.clouds``. With entropy after Peyre, Cuturi and Solomon 2016. ``monge.structures.descent.steps``
    gives the single steps, to those who want to change one thing.

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
    asked = Asked(
        eps=strength,
        init=init,
        n_starts=positive_integer(n_starts, "n_starts"),
        rng=np.random.default_rng(rng),
        tol=(_TOL if eps is None else _ENTROPIC_TOL) if tol is None else positive(tol, "tol"),
        max_iter=positive_integer(max_iter, "max_iter"),
        threads=available_threads(threads),
        deadline=began + seconds(time_limit),
    )
    _check(strength, marginals, mass, asked)
    home = home_of_any(*(getattr(values, "home", values) for values in (x, y, features)), a, b)
    pair = read_structures(x, y, cost, asked.threads)
    with step_bar(progress, "gromov_wasserstein") as report:
        if mass is not None:
            answer = partially(pair, a, b, mass, features, alpha, asked, report)
        elif marginals is not None:
            answer = penalised(pair, a, b, marginals, features, alpha, asked)
        else:
            sides = pair.sides(*masses(a, b, *pair.shape), features, alpha, asked.threads)
            answer = balanced(sides, asked, report)
    answer.slopes = Slopes(
        partial(pair.free, features, alpha, asked.threads),
        answer.plan,
        answer.weights,
        origins=pair.origins,
        eps=answer.eps,
        mass=mass,
        penalties=None if marginals is None else as_penalties(marginals),
        threads=asked.threads,
    )
    answer.stats["seconds"] = time.monotonic() - began
    if not answer.converged:
        warnings.warn(f"gromov_wasserstein: {answer.status.value}.", ConvergenceWarning, stacklevel=2)
    return at_home(answer, home)


def _check(eps: float | None, marginals: Any, mass: Any, asked: Asked) -> None:
    """That what is asked for goes together."""
    if mass is not None and (marginals is not None or eps is not None):
        raise ValueError("mass= goes without marginals= and without eps=: the part to match is a constraint.")
    if marginals is not None and eps is None:
        raise ValueError("marginals= needs eps=, the strength of the entropy; a small one changes little.")
    if (mass is not None or marginals is not None) and asked.n_starts > 1:
        raise ValueError("n_starts= is for plans of all the mass of both structures; give starts one by one as init=.")
