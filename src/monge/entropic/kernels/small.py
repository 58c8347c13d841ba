"""Small problems, solved whole in the C++ core: no pass of theirs is worth a call of its own, nor they a compiler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from monge.entropic import _small
from monge.entropic._rows import cost_rows
from monge.entropic.kernels.packed import WIDE, packed_points
from monge.entropic.kernels.select import is_low
from monge.entropic.task import Outcome, Task
from monge.problem.costs import Cost, CostMatrix, PointCloud

if TYPE_CHECKING:
    from monge.entropic._small import Problem

__all__ = ["is_small", "solve_small"]

# Pairs up to which products with a stored kernel matrix, on one thread, are sooner done than exponentials on several;
# the same for points that `levels` solves, which leaves most pairs out; and for tolerances below `_PRECISE`, which only
# Newton's method reaches at a small eps.
_SMALL, _SMALL_LOW, _SMALL_PRECISE, _PRECISE = 2**18, 2**17, 2**20, 1e-5
# What the core counts with.
_MOST_PASSES = 2**63 - 1


def is_small(cost: Cost, tol: float) -> bool:
    """Whether the core solves it."""
    n, m = cost.shape
    most = _SMALL_PRECISE if tol < _PRECISE else _SMALL_LOW if is_low(cost) else _SMALL
    return n * m <= most and isinstance(cost, CostMatrix | PointCloud)


def solve_small(
    tasks: Sequence[Task], tol: float, max_iter: int, threads: int,
    report: Callable[[int, float, float], None] | None = None,
) -> list[Outcome]:  # fmt: skip
    """All tasks, which differ in costs, weights and start alone; each on one thread."""
    if not tasks:
        return []
    rows, columns = tasks[0].demands
    demands = rows.kl, rows.cap, columns.kl, columns.cap
    most = min(max_iter, _MOST_PASSES)
    outcomes = _small.solve(
        [_problem(task) for task in tasks], demands, tasks[0].eps, tasks[0].first, tol, most, threads, report
    )
    return [Outcome(*outcome, {}) for outcome in outcomes]


def _problem(task: Task) -> Problem:
    return _costs(task.cost), task.inner_a, task.inner_b, task.f, task.g


def _costs(cost: Cost) -> Any:
    """The costs as a matrix, or as points that the core goes through pair by pair."""
    if isinstance(cost, CostMatrix):
        return np.ascontiguousarray(cost.C, dtype=np.float64)
    assert isinstance(cost, PointCloud)
    if cost.x.shape[1] < WIDE:
        return cost.form(np.float64)
    packed, per_unit = packed_points(cost, np.float64)
    matrix = np.empty(cost.shape)
    cost_rows(packed, 0, len(matrix), matrix)
    matrix *= per_unit
    return matrix
