"""Exact transport, as a function of tensors; see `monge.emd`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from monge.exact import emd as plain
from monge.exact.hessian import hessian_product
from monge.problem.hessian import Direction
from monge.problem.measures import check_weights
from monge.problem.transport import Status, Transport
from monge.torch.cost import cost_of, costs_of, split, with_same_totals
from monge.torch.function import value_of
from monge.torch.kind import Kind, Measures, Settings, Solved
from monge.torch.tensors import checked

__all__ = ["emd"]

Array = NDArray[np.float64]


def emd(
    x: Tensor | None = None,
    y: Tensor | None = None,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    cost: Any = "sqeuclidean",
    threads: int | None = None,
) -> Tensor:
    """The least cost of transport, differentiable.

    ``min <P, C>`` over plans P between weights a and b; see `monge.emd`, which solves it. All problems of a batch are
    solved in one call.

    Parameters
    ----------
    x : Tensor (..., n, d)
        Points of the first measure; leading dimensions are those of a batch, and broadcast.
    y : Tensor (..., m, d)
        Points of the second.
    a : Tensor (..., n), optional
        Weights, of equal totals; None for uniform ones, of the total of the others.
    b : Tensor (..., m), optional
        Likewise.
    cost : str, (str, float), callable, GroundCost, Tensor (..., n, m) or Grid
        The ground cost of points, as `PointCloud` takes it; or without x and y, a tensor of costs, or a Grid.
    threads : int, optional
        As in `monge.emd`.

    Returns
    -------
    Tensor (...)
        Of the type and on the device of the inputs; problems on a GPU are solved on the host.

    Raises
    ------
    ValueError, TypeError
        As `monge.emd` does; for tensors of several types or devices, leading dimensions that do not broadcast, and
        empty batches.
    RuntimeError
        In a second derivative, for a ground cost that is a function, and with respect to weights where there is none;
        in a third one.

    Notes
    -----
    The derivative with respect to costs is the plan, with respect to weights the potentials, up to a constant since
    totals must stay equal. Where several plans or several potentials are optimal, as potentials are for uniform
    weights, these are subgradients. The value is piecewise linear in costs and weights, and second derivatives are
    those of its pieces: with respect to costs alone they are zero, and with respect to points those of the costs along
    the plan.

    Examples
    --------
    >>> import torch, monge.torch
    >>> C = torch.tensor([[0.0, 1.0], [1.0, 0.0]], requires_grad=True)
    >>> loss = monge.torch.emd(cost=C)
    >>> torch.autograd.grad(loss, C)
    (tensor([[0.5000, 0.0000],
            [0.0000, 0.5000]]),)
    """
    is_matrix = isinstance(cost, Tensor)
    measures = checked(x, y, cost if is_matrix else None, a, b)
    value = value_of("emd", measures.tensors, "" if is_matrix else cost, (threads or 0, measures.rounding))
    return value if value.dtype == measures.dtype else value.to(measures.dtype)


class _Emd(Kind):
    """The state is f, g, and the plan: as many rows, columns and masses as there can be, the last of them zero."""

    name = "emd"

    def state_size(self, n: Any, m: Any, d: Any) -> Any:
        return n + m + 3 * (n + m - 1)

    def solve(self, problems: list[Measures], settings: Settings) -> Solved:
        threads, rounding = settings.numbers
        problems = with_same_totals(problems, rounding, True)
        costs = costs_of(problems, settings.ground)
        a, b = [problem.a for problem in problems], [problem.b for problem in problems]
        number = int(threads) or None
        if len(problems) == 1:
            answers = [plain.emd(costs[0], a[0], b[0], threads=number)]
        else:
            answers = plain.emd(costs, a, b, threads=number)
        states = []
        for t in answers:
            n, m = t.shape
            entries = np.zeros((3, n + m - 1))
            assert t._entries is not None
            arrays: tuple[NDArray[Any], ...] = t._entries
            for row, part in zip(entries, arrays, strict=True):
                row[: len(part)] = part
            states.append(np.concatenate((t.f, t.g, entries.ravel())))
        return Solved([t.value for t in answers], states, answers)

    def revived(self, problem: Measures, state: Array, settings: Settings) -> Transport:
        (problem,) = with_same_totals([problem], settings.numbers[1], True)
        cost = cost_of(problem, settings.ground)
        weights = check_weights(problem.a, problem.b, *cost.shape)
        f, g, rest = split(state, problem)
        rows, columns, mass = rest.reshape(3, -1)
        real = mass > 0.0
        entries = rows[real].astype(np.int64), columns[real].astype(np.int64), mass[real]
        return Transport(
            value=np.nan, cost=np.nan, f=f, g=g, gap=np.nan, status=Status.OPTIMAL, iterations=0, stats={},
            weights=weights, entries=entries, cloud=cost.cloud,
        )  # fmt: skip

    def product(
        self, problem: Measures, state: Array, settings: Settings, along: Direction, wanted: Direction
    ) -> Direction:
        t = self.revived(problem, state, settings)
        assert t._entries is not None
        a, b = (np.full(k, 1.0 / k) if w is None else w for k, w in zip(t.shape, t._weights, strict=True))
        return hessian_product(t._entries, (a, b), (t.grad_a, t.grad_b), t._cloud, along, wanted)
