"""Entropic transport, as a function of tensors; see `monge.sinkhorn`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from monge.entropic import sinkhorn as plain
from monge.entropic.hessian import hessian_product
from monge.entropic.marginals import Marginal, as_marginals
from monge.entropic.result import EntropicTransport
from monge.entropic.revived import revived
from monge.problem.arrays import available_threads
from monge.problem.hessian import Direction
from monge.torch.cost import cost_of, costs_of, split, with_same_totals
from monge.torch.function import value_of
from monge.torch.kind import Kind, Measures, Settings, Solved
from monge.torch.tensors import checked

__all__ = ["marginals_of", "numbers_of", "sinkhorn"]

Array = NDArray[np.float64]


def sinkhorn(
    x: Tensor | None = None,
    y: Tensor | None = None,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    eps: float,
    cost: Any = "sqeuclidean",
    marginals: Any = None,
    tol: float = 1e-3,
    max_iter: int = 10_000,
    threads: int | None = None,
) -> Tensor:
    """The value of entropic optimal transport, differentiable twice.

    Minimises ``<P, C> + eps KL(P | a x b)`` over plans P between weights a and b; see `monge.sinkhorn`, which solves
    it. All problems of a batch are solved in one call.

    Parameters
    ----------
    x : Tensor (..., n, d)
        Points of the first measure; leading dimensions are those of a batch, and broadcast.
    y : Tensor (..., m, d)
        Points of the second.
    a : Tensor (..., n), optional
        Weights, of equal totals unless `marginals` lets them differ; None for uniform ones, of the total of the others.
    b : Tensor (..., m), optional
        Likewise.
    eps : float
        Strength of the entropy, in the units of the cost.
    cost : str, (str, float), callable, GroundCost, Tensor (..., n, m) or Grid
        The ground cost of points, as `PointCloud` takes it; or without x and y, a tensor of costs, or a Grid.
    marginals : monge.KL, monge.TV, or a pair, optional
        Penalties in place of the constraints, as in `monge.sinkhorn`.
    tol : float
        Largest marginal error. First derivatives are about as accurate as that, relative to their size; the value is
        more.
    max_iter : int
        Largest number of passes over all pairs.
    threads : int, optional
        As in `monge.sinkhorn`.

    Returns
    -------
    Tensor (...)
        Of the type and on the device of the inputs. Numbers in half precision are computed with in single precision.

    Raises
    ------
    ValueError, TypeError
        As `monge.sinkhorn` does; for tensors of several types or devices, leading dimensions that do not broadcast, and
        empty batches.
    RuntimeError
        For tensors on a GPU without the packages that `monge.sinkhorn` needs for it. In a second derivative, for a
        ground cost that is a function, and where there is none; in a third one.

    Notes
    -----
    First derivatives are those of the envelope theorem; second ones, products with a vector, solve the linear system
    that the potentials' derivatives fulfil (``monge.entropic.hessian``). Where totals must stay equal, derivatives with
    respect to weights are defined up to a constant.

    Examples
    --------
    >>> import torch, monge.torch
    >>> x = torch.tensor([[0.0], [1.0]], dtype=torch.float64, requires_grad=True)
    >>> loss = monge.torch.sinkhorn(x, x.detach() + 2.0, eps=0.5, tol=1e-9)
    >>> (slope,) = torch.autograd.grad(loss, x)
    >>> round(slope.sum().item(), 6)
    -4.0
    """
    is_matrix = isinstance(cost, Tensor)
    measures = checked(x, y, cost if is_matrix else None, a, b)
    numbers = numbers_of(eps, tol, max_iter, threads, measures.rounding, marginals)
    value = value_of("sinkhorn", measures.tensors, "" if is_matrix else cost, numbers)
    return value if value.dtype == measures.dtype else value.to(measures.dtype)


class _Sinkhorn(Kind):
    """The state is f, g and the eps that was used."""

    name = "sinkhorn"

    def state_size(self, n: Any, m: Any, d: Any) -> Any:
        return n + m + 1

    def solve(self, problems: list[Measures], settings: Settings) -> Solved:
        eps, tol, max_iter, threads, rounding, *_ = settings.numbers
        marginals = marginals_of(settings)
        problems = with_same_totals(problems, rounding, all(side.fixed for side in marginals))
        costs = costs_of(problems, settings.ground)
        a, b = [problem.a for problem in problems], [problem.b for problem in problems]
        one = len(problems) == 1
        solved = plain.sinkhorn(
            costs[0] if one else costs,
            a[0] if one else a,
            b[0] if one else b,
            eps=eps,
            marginals=marginals,
            tol=tol,
            max_iter=int(max_iter),
            device=settings.device,
            threads=int(threads) or None,
        )
        answers = [solved] if one else solved
        states = [np.concatenate((t.f, t.g, (t.eps,))) for t in answers]
        return Solved([t.value for t in answers], states, answers)

    def revived(self, problem: Measures, state: Array, settings: Settings) -> EntropicTransport:
        marginals = marginals_of(settings)
        threads, rounding = settings.numbers[3:5]
        (problem,) = with_same_totals([problem], rounding, all(side.fixed for side in marginals))
        f, g, (eps,) = split(state, problem)
        workers = available_threads(int(threads) or None)
        cost = cost_of(problem, settings.ground)
        return revived(cost, problem.a, problem.b, marginals, float(eps), (f, g), settings.device, workers)

    def product(
        self, problem: Measures, state: Array, settings: Settings, along: Direction, wanted: Direction
    ) -> Direction:
        return hessian_product(self.revived(problem, state, settings), along, wanted)


def numbers_of(
    eps: float, tol: float, max_iter: int, threads: int | None, rounding: float, marginals: Any
) -> tuple[float, ...]:
    """The settings of a solve, as operators take them."""
    rows, columns = as_marginals(marginals)
    return eps, tol, max_iter, threads or 0, rounding, rows.kl, rows.cap, columns.kl, columns.cap


def marginals_of(settings: Settings) -> tuple[Marginal, Marginal]:
    kl_a, cap_a, kl_b, cap_b = settings.numbers[5:9]
    return Marginal(kl_a, cap_a), Marginal(kl_b, cap_b)
