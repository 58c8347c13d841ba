"""One problem as plain solvers take it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem._ground import total_tolerance
from monge.problem.batch import naming
from monge.problem.costs import Cost, CostMatrix, PointCloud
from monge.torch.kind import Measures

__all__ = ["cost_of", "costs_of", "split", "with_same_totals"]


def cost_of(problem: Measures, ground: Any) -> Cost:
    """The cost of its points, its matrix, or the cost object that was given."""
    if problem.C is not None:
        return CostMatrix(problem.C)
    if problem.x is not None:
        return PointCloud(problem.x, problem.y, ground)
    if not isinstance(ground, Cost):
        raise TypeError(f"without points x and y, cost should be a tensor (..., n, m) or a monge.Grid; got {ground!r}.")
    return ground


def costs_of(problems: list[Measures], ground: Any) -> list[Any]:
    """The same of each problem; an error says of which one it is, if there are several."""
    if len(problems) == 1:
        return [cost_of(problems[0], ground)]
    costs = []
    with naming("problem", 0) as at:
        for at.index, problem in enumerate(problems):
            costs.append(cost_of(problem, ground))
    return costs


def split(state: NDArray[np.float64], problem: Measures) -> tuple[Any, Any, Any]:
    """The potentials f and g at its beginning, and the rest."""
    if problem.C is not None:
        n, m = problem.C.shape
    elif problem.x is not None and problem.y is not None:
        n, m = len(problem.x), len(problem.y)
    else:
        assert problem.a is not None
        assert problem.b is not None
        n, m = len(problem.a), len(problem.b)
    return state[:n], state[n : n + m], state[n + m :]


def with_same_totals(problems: list[Measures], rounding: float, balanced: bool) -> list[Measures]:
    """Weights that came in half precision, whose totals must be the same and differ by no more than its rounding."""
    if rounding == 0.0 or not balanced:
        return problems
    out = []
    for problem in problems:
        if problem.a is not None and problem.b is not None:
            a, b = problem.a.astype(np.float64), problem.b.astype(np.float64)
            total_a, total_b = float(a.sum()), float(b.sum())
            allowed = total_tolerance(rounding, len(a) + len(b)) * max(total_a, total_b)
            if total_b > 0.0 and abs(total_a - total_b) <= allowed:
                problem = problem._replace(a=a, b=b * (total_a / total_b))
        out.append(problem)
    return out
