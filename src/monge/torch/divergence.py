"""The Sinkhorn divergence, as a function of tensors; see `monge.sinkhorn_divergence`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from monge.distances import divergence as plain
from monge.entropic.hessian import hessian_product
from monge.entropic.result import EntropicTransport
from monge.entropic.revived import revived
from monge.problem.arrays import available_threads
from monge.problem.costs import PointCloud
from monge.problem.hessian import Direction, off_totals, with_equal_totals
from monge.torch.cost import cost_of, split, with_same_totals
from monge.torch.function import value_of
from monge.torch.kind import Kind, Measures, Settings, Solved
from monge.torch.sinkhorn import marginals_of, numbers_of
from monge.torch.tensors import checked

__all__ = ["sinkhorn_divergence"]

Array = NDArray[np.float64]


def sinkhorn_divergence(
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
    """The Sinkhorn divergence, differentiable twice.

    ``OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2 + eps / 2 (sum a - sum b)^2`` with OT the entropic transport that
    `monge.torch.sinkhorn` computes; see `monge.sinkhorn_divergence`. All problems of a batch are solved in one call.

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
    cost : str, (str, float), callable, GroundCost, Tensor (..., n, n) or Grid
        The ground cost of points, which must be symmetric; or without x and y, a tensor of symmetric costs, or a Grid.
    marginals : monge.KL or monge.TV, optional
        The penalty in place of the constraints, the same for both sides.
    tol : float
        Largest marginal error; first derivatives are about as accurate as that, relative to their size.
    max_iter : int
        Largest number of passes over all pairs.
    threads : int, optional
        As in `monge.sinkhorn`.

    Returns
    -------
    Tensor (...)
        Of the type and on the device of the inputs. Never clipped: between measures that are nearly equal it may be
        negative.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `monge.torch.sinkhorn` does; for a cost that is not symmetric, and penalties that differ.

    Notes
    -----
    The derivative with respect to a tensor of costs is that along symmetric changes.

    Examples
    --------
    >>> import torch, monge.torch
    >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], dtype=torch.float64, requires_grad=True)
    >>> loss = monge.torch.sinkhorn_divergence(x, x.detach() + torch.tensor([3.0, 4.0]), eps=0.5, tol=1e-9)
    >>> round(loss.item(), 6)
    25.0
    >>> torch.autograd.grad(loss, x)[0].sum(0).round(decimals=6)
    tensor([-6., -8.], dtype=torch.float64)
    """
    is_matrix = isinstance(cost, Tensor)
    measures = checked(x, y, cost if is_matrix else None, a, b)
    numbers = numbers_of(eps, tol, max_iter, threads, measures.rounding, marginals)
    value = value_of("sinkhorn_divergence", measures.tensors, "" if is_matrix else cost, numbers)
    return value if value.dtype == measures.dtype else value.to(measures.dtype)


class _Divergence(Kind):
    """The state is f and g between the measures, the potential of each with itself, and the eps used for the three."""

    name = "sinkhorn_divergence"

    def state_size(self, n: Any, m: Any, d: Any) -> Any:
        return 2 * (n + m) + 3

    def solve(self, problems: list[Measures], settings: Settings) -> Solved:
        eps, tol, max_iter, threads, rounding, *_ = settings.numbers
        marginals = marginals_of(settings)
        problems = with_same_totals(problems, rounding, all(side.fixed for side in marginals))
        each: list[list[Any]] = [list(parts) for parts in zip(*problems, strict=True)]
        x, y, C, a, b = (parts[0] if len(problems) == 1 else parts for parts in each)
        of_points = problems[0].x is not None
        if not of_points:
            x = y = None
        cost = settings.ground if problems[0].C is None else C
        if len(problems) > 1 and not of_points and problems[0].C is None:
            cost = [cost] * len(problems)
        found = plain.sinkhorn_divergence(
            x, y, a, b, cost=cost, eps=eps, marginals=marginals, tol=tol, max_iter=int(max_iter),
            device=settings.device, threads=int(threads) or None,
        )  # fmt: skip
        losses = [found] if len(problems) == 1 else found
        states = []
        for loss in losses:
            across, of_x, of_y = loss.terms
            states.append(np.concatenate((across.f, across.g, of_x.f, of_y.f, [t.eps for t in loss.terms])))
        return Solved([loss.value for loss in losses], states, losses)

    def revived(self, problem: Measures, state: Array, settings: Settings) -> plain.Divergence:
        marginals = marginals_of(settings)
        threads, rounding = settings.numbers[3:5]
        (problem,) = with_same_totals([problem], rounding, all(side.fixed for side in marginals))
        f, g, rest = split(state, problem)
        of_x, of_y, each_eps = rest[: len(f)], rest[len(f) : len(f) + len(g)], rest[-3:]
        workers = available_threads(int(threads) or None)
        cost = cost_of(problem, settings.ground)
        costs: list[Any] = [cost, cost, cost]
        cloud = cost.cloud
        if cloud is not None:
            costs[1:] = PointCloud(cloud.x, cloud.x, cloud.cost), PointCloud(cloud.y, cloud.y, cloud.cost)

        def term(k: int, a: Any, b: Any, potentials: tuple[Array, Array]) -> EntropicTransport:
            return revived(costs[k], a, b, marginals, float(each_eps[k]), potentials, settings.device, workers)

        across = term(0, problem.a, problem.b, (f, g))
        a, b = across.weights
        return plain.Divergence(np.nan, (across, term(1, a, a, (of_x, of_x)), term(2, b, b, (of_y, of_y))))

    def cost_slopes(self, answer: plain.Divergence) -> Array:
        return plain.cost_slopes(answer)

    def product(
        self, problem: Measures, state: Array, settings: Settings, along: Direction, wanted: Direction
    ) -> Direction:
        loss = self.revived(problem, state, settings)
        across, of_x, of_y = loss.terms
        a, b = across.weights
        balanced, of_weights = (
            all(side.fixed for side in across.marginals),
            wanted.a is not None or wanted.b is not None,
        )
        if of_weights:
            wanted = wanted._replace(a=a, b=b)
        first, second = (np.zeros_like(w) if u is None else u for u, w in ((along.a, a), (along.b, b)))
        moved_a, moved_b = with_equal_totals(first, second, a, b) if balanced else (first, second)
        if along.a is not None or along.b is not None:
            along = along._replace(a=moved_a, b=moved_b)
        changes = hessian_product(across, along, wanted)._asdict()
        for point, weights, t in (("x", "a", of_x), ("y", "b", of_y)):
            # Half of a term, whose two occurrences of the measure change alike.
            both = Direction(*(getattr(along, name) for name in (point, point, "C", weights, weights)))
            asked = Direction(*(getattr(wanted, name) for name in (point, point, "C", weights, weights)))
            if any(part is not None for part in asked) and any(part is not None for part in both):
                found = hessian_product(t, both, asked, symmetric=True)
                for name, part in ((point, found.x), ("C", found.C), (weights, found.a)):
                    if part is not None:
                        changes[name] = changes[name] - (0.5 * part if name == "C" else part)
        if of_weights and balanced:
            gradients = loss.grad_a, loss.grad_b
            changes["a"], changes["b"] = off_totals((changes["a"], changes["b"]), (first, second), gradients, (a, b))
        elif of_weights:
            more = across.eps * float(moved_a.sum() - moved_b.sum())
            changes["a"], changes["b"] = changes["a"] + more, changes["b"] - more
        return Direction(**changes)
