"""The Sinkhorn divergence: entropic transport without its bias, a loss that is zero between equal measures only.

S(a, b) = OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2 + eps / 2 (m_a - m_b)^2,      m = total masses

with OT the minimum of <P, C> + eps KL(P | a x b), or that with penalties on the marginals (Feydy, Sejourne, Vialard,
Amari, Trouve and Peyre 2019, "Interpolating between optimal transport and MMD using Sinkhorn divergences", equation 3;
Sejourne, Feydy, Vialard, Trouve and Peyre 2019, "Sinkhorn divergences for unbalanced optimal transport", definition 5).

Gradients are those of the three terms (Danskin): what is a half of OT(a, a) is met by its two occurrences of a.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.distances.clouds import pairs_of_batch
from monge.distances.loss import Loss
from monge.entropic.kernels.room import require_room
from monge.entropic.kernels.select import check_device
from monge.entropic.marginals import Marginal, as_marginals
from monge.entropic.problem import Problem
from monge.entropic.result import EntropicTransport
from monge.entropic.solving import device_of, solve_all, solve_one, warn_of_shortfalls
from monge.problem.arrays import available_threads, items, positive, positive_integer
from monge.problem.batch import is_batch, naming, one_each
from monge.problem.costs import Cost, PointCloud, as_cost
from monge.problem.home import Home, home_of_any
from monge.problem.progress import count_bar, pass_bar
from monge.problem.transport import Status, balanced_gradients
from monge.problem.user_cost import GroundCost

__all__ = ["Divergence", "cost_slopes", "sinkhorn_divergence"]

Array = NDArray[np.float64]


class Divergence(Loss):
    """A Sinkhorn divergence; see `Loss`.

    Attributes
    ----------
    terms : tuple of Transport
        The entropic transports from a to b, from a to itself and from b to itself.
    error_bound : float
        How far the value may be off, by the gaps of these.
    converged : bool
        Whether all three are as precise as was asked for.
    """

    def __init__(self, value: float, terms: tuple[EntropicTransport, EntropicTransport, EntropicTransport]) -> None:
        self.terms = terms

    @property
    def error_bound(self) -> float:
        """How far the value may be from that of the measures, by what the gaps of the three transports prove.

        Each term is known from below, up to its gap: the value is too low by the gap between a and b at most, and too
        high by half of the other two. It knows of the rounding of passes in single precision, by which a term may be
        above its optimum, but not of that of double precision.
        """
        across, of_x, of_y = self.terms
        low = across.below + 0.5 * (of_x.above + of_y.above)
        high = across.above + 0.5 * (of_x.below + of_y.below)
        return max(low, high)

    @property
    def converged(self) -> bool:
        """Whether all three transports are as precise as was asked for."""
        return all(t.status is Status.CONVERGED for t in self.terms)

    @property
    def grad_x(self) -> Any:
        """Derivative with respect to x, (n, d); the envelope theorem, as for `Transport.grad_x`."""
        return self._at_home(self._grad_x)

    @property
    def grad_y(self) -> Any:
        """Derivative with respect to y, (m, d)."""
        return self._at_home(self._grad_y)

    @cached_property
    def _grad_x(self) -> Array:
        return self.terms[0].grad_x - self.terms[1].grad_x

    @cached_property
    def _grad_y(self) -> Array:
        return self.terms[0].grad_y - self.terms[2].grad_y

    @cached_property
    def _weight_gradients(self) -> tuple[Array, Array]:
        across, of_x, of_y = self.terms
        grad_a, grad_b = across.grad_a - of_x.grad_a, across.grad_b - of_y.grad_b
        a, b = across.weights
        if all(side.fixed for side in across.marginals):
            return balanced_gradients(grad_a, grad_b, a, b)
        more = across.eps * (float(a.sum()) - float(b.sum()))
        return grad_a + more, grad_b - more


def sinkhorn_divergence(
    x: Any = None,
    y: Any = None,
    a: Any = None,
    b: Any = None,
    *,
    eps: float,
    cost: Any = "sqeuclidean",
    marginals: Any = None,
    tol: float = 1e-3,
    max_iter: int = 10_000,
    init: Divergence | None = None,
    device: str | None = None,
    threads: int | None = None,
    progress: bool = False,
) -> Any:
    """The Sinkhorn divergence between two weighted point clouds, or between two histograms.

    ``S(a, b) = OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2 + eps / 2 (sum a - sum b)^2``, where OT is what `sinkhorn`
    minimises. It is positive but for equal measures where ``exp(-cost / eps)`` is a positive kernel, as it is for
    distances to a power up to two. It goes from transport, for a small eps, to half the energy distance for a large
    one, where the cost is a distance, or to the squared distance of the means, where it is a squared distance.

    Parameters
    ----------
    x : array_like (n, d), optional
        Points of the first measure. A batch (B, n, d), or a list of B clouds of any sizes, has B divergences. Left out,
        with y, where `cost` is a matrix or a Grid.
    y : array_like (m, d), optional
        Points of the second measure; where one of them is a batch, one cloud on the other side stands for all.
    a : array_like (n,), optional
        Weights of the first measure, not negative. None for uniform ones. For a batch also (B, n), or a list of one
        array or None per problem; a vector is shared by all problems.
    b : array_like (m,), optional
        Weights of the second measure, of the same total unless `marginals` lets it differ.
    eps : float
        Strength of the entropy, positive, in the units of the cost: for squared distances about the square of the
        distance below which points count as one.
    cost : str, callable, GroundCost, array_like (n, n), CostMatrix or Grid
        The ground cost between points, as in `PointCloud`, which must be symmetric; or, without x and y, the symmetric
        costs between the places of two histograms, one matrix for all problems of a batch, or (B, n, n).
    marginals : monge.KL or monge.TV, optional
        The penalty in place of the constraints, the same for both sides.
    tol : float
        Largest marginal error of each of the three transports. The gradients are as precise as that; the value is off
        by its square, and, where passes in single precision will do for this error, by some 1e-8 eps and mass.
    max_iter : int
        Largest number of passes over all pairs for each.
    init : Loss, optional
        A start: what this function returned for similar measures, as at the step of a gradient flow before. It changes
        the time, and the answer within `tol` alone. Not for a batch.
    device : str, optional
        As in `sinkhorn`, as are the next two.
    threads : int, optional
        Threads for the passes, or for the problems of a batch.
    progress : bool
        Show passes, or problems (needs tqdm).

    Returns
    -------
    Loss, or list of Loss for a batch
        A float, with ``grad_x``, ``grad_y``, ``grad_a`` and ``grad_b``, computed when asked for, ``error_bound``, which
        the gaps of the three transports prove, and these transports in ``terms``. The value is never clipped: between
        measures that are nearly equal it may be negative, by less than that bound. Of arrays of another library the
        gradients are such arrays, as those of `emd`.

    Raises
    ------
    ValueError
        As `sinkhorn` does; for a cost that is not symmetric, and penalties that differ.
    TypeError
        As `sinkhorn` does; for points together with a cost that has its own, or a start that is no divergence.

    Notes
    -----
    The transport of a measure to itself has one potential. It is found in some three passes, whatever eps is, by a
    polynomial of the symmetric update of Feydy et al. 2019 (equation 25). GeomLoss's eps is blur^p for the cost
    |x - y|^p / p: its blur of 0.05 at p = 2 is eps = 0.005 for the cost |x - y|^2.

    Sources: Feydy et al. 2019, "Interpolating between optimal transport and MMD using Sinkhorn divergences"; Sejourne
    et al. 2019, "Sinkhorn divergences for unbalanced optimal transport".

    Examples
    --------
    Of a cloud and its translate it is the squared distance, whatever eps is:

    >>> import numpy as np, monge
    >>> x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    >>> loss = monge.sinkhorn_divergence(x, x + [3.0, 4.0], eps=0.5, tol=1e-9)
    >>> round(loss, 6)
    25.0
    >>> loss.grad_x.round(6)
    array([[-2.      , -2.666667],
           [-2.      , -2.666667],
           [-2.      , -2.666667]])

    Between histograms:

    >>> line = monge.Grid(5)
    >>> monge.sinkhorn_divergence(a=[1, 0, 0, 0, 0], b=[0, 0, 0, 1, 0], cost=line, eps=0.1).value
    9.0
    """
    eps, tol, max_iter = positive(eps, "eps"), positive(tol, "tol"), positive_integer(max_iter, "max_iter")
    of_costs = home_of_any(x, y, cost)
    both, home = as_marginals(marginals), home_of_any(of_costs, a, b)
    if both[0] != both[1]:
        raise ValueError(
            f"a divergence has one penalty for both sides; got marginals={both!r}. Pass one of them, or use "
            "monge.sinkhorn, which takes a pair."
        )
    check_device(device)
    workers = available_threads(threads)
    costs, batch = _of_histograms(cost, a, b) if x is None and y is None else _of_points(x, y, cost)
    where = device_of(device, of_costs)
    if where != "cuda":
        require_room([each for three in costs for each in three], eps, tol, workers)
    options = both, eps, tol, max_iter, where, workers
    starts = _starts(init, batch)
    if batch:
        problems = []
        each_a, each_b = one_each(a, "a", len(costs)), one_each(b, "b", len(costs))
        with naming("problem", 0) as at:
            for at.index, three in enumerate(costs):
                problems += _problems(three, each_a[at.index], each_b[at.index], *options)
        with count_bar(progress, len(costs), "sinkhorn_divergence", "problems") as show:
            answers = solve_all(problems, workers, show, share=3)
    else:
        with pass_bar(progress) as report:
            answers = [solve_one(problem, workers, report) for problem in _problems(costs[0], a, b, *options, starts)]
    warn_of_shortfalls("sinkhorn_divergence", answers, eps, batch, share=3)
    found = [_divergence(answers[k : k + 3], home) for k in range(0, len(answers), 3)]
    return found if batch else found[0]


def cost_slopes(loss: Divergence) -> Array:
    """The derivative (n, n) with respect to a matrix of costs, along changes that keep it symmetric."""
    across, of_x, of_y = (t.plan.toarray() for t in loss.terms)
    return np.asarray(across - 0.5 * (of_x + of_y))


def _problems(
    costs: Sequence[Cost], a: Any, b: Any, marginals: tuple[Marginal, Marginal], eps: float, tol: float, max_iter: int,
    device: str | None, threads: int, starts: Sequence[Any] = (None, None, None),
) -> list[Problem]:  # fmt: skip
    across = Problem(costs[0], a, b, marginals, eps, tol, max_iter, starts[0], device, threads)
    known = (None, None) if a is None and b is None else (across.a, across.b)  # uniform ones are soon checked
    selves = [
        Problem(cost, weights, weights, marginals, eps, tol, max_iter, start, device, threads, symmetric=True)
        for cost, weights, start in zip(costs[1:], known, starts[1:], strict=True)
    ]
    return [across, *selves]


def _starts(init: Any, batch: bool) -> Sequence[EntropicTransport | None]:
    if init is None:
        return None, None, None
    if not isinstance(init, Divergence):
        raise TypeError(f"init should be a result of sinkhorn_divergence; got {type(init).__name__}.")
    if batch:
        raise ValueError("init= is for a single problem; got a batch. Leave it out, or solve them one by one.")
    return init.terms


def _divergence(terms: Sequence[EntropicTransport], home: Home | None) -> Divergence:
    across, of_x, of_y = terms
    a, b = across.weights
    more = float(a.sum()) - float(b.sum())
    value = across.value - 0.5 * (of_x.value + of_y.value) + 0.5 * across.eps * more * more
    found = Divergence(value, (across, of_x, of_y))
    found.home = home
    return found


def _of_points(x: Any, y: Any, ground: Any) -> tuple[list[tuple[Cost, Cost, Cost]], bool]:
    """The costs between x and y, within x and within y, of each problem; and whether it is a batch."""
    if x is None or y is None:
        raise TypeError(
            "sinkhorn_divergence takes the points of both measures, or neither and cost= a matrix or a Grid; got only "
            f"{'y' if x is None else 'x'}."
        )
    if not (isinstance(ground, str | tuple | GroundCost) or callable(ground)):
        raise TypeError(
            "with points x and y, cost= is a ground cost: a name, a pair of a name and a power, or a function; got "
            f"{type(ground).__name__}. Leave x and y out for histograms over a matrix or a Grid."
        )
    batch = pairs_of_batch(x, y)
    if batch is None:
        return [_three(x, y, ground)], False
    out = []
    with naming("problem", 0) as at:
        for at.index, pair in enumerate(zip(*batch, strict=True)):
            out.append(_three(*pair, ground))
    return out, True


def _three(x: Any, y: Any, ground: Any) -> tuple[Cost, Cost, Cost]:
    across = PointCloud(x, y, ground)
    across.require_symmetric_ground()
    return across, PointCloud(across.x, across.x, across.cost), PointCloud(across.y, across.y, across.cost)


def _of_histograms(cost: Any, a: Any, b: Any) -> tuple[list[tuple[Cost, Cost, Cost]], bool]:
    if isinstance(cost, str):
        raise TypeError(
            "sinkhorn_divergence needs points x and y, or cost= a matrix of costs or a Grid for histograms a and b."
        )
    if is_batch(cost):
        out: list[tuple[Cost, Cost, Cost]] = []
        with naming("problem", 0) as at:
            for at.index, one in enumerate(items(cost, "cost", "a batch of (n, n) matrices")):
                known = as_cost(one)
                known.require_symmetric()
                out.append((known, known, known))
        if not out:
            raise ValueError("cost should be a matrix of costs, or a batch of at least one; got an empty one.")
        return out, True
    known = as_cost(cost)
    known.require_symmetric()
    counts = [len(each) for each in (a, b) if each is not None and _is_many(each)]
    if not counts:
        return [(known, known, known)], False
    if counts[0] == 0:
        raise ValueError("a and b should be histograms, or batches of at least one; got an empty one.")
    return [(known, known, known)] * counts[0], True


def _is_many(weights: Any) -> bool:
    """Whether these are the weights of many problems: (B, n), or a list of vectors."""
    if isinstance(weights, list | tuple):
        return len(weights) == 0 or weights[0] is None or np.ndim(weights[0]) == 1
    return np.ndim(weights) == 2
