"""Many transport problems at once, each solved by one of the threads.

For every k:  minimise  <P, C_k>  subject to  P >= 0,  P 1 = a_k,  P' 1 = b_k
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from monge.exact import _core
from monge.exact.answer import transport
from monge.exact.dense import dense
from monge.problem.arrays import available_threads, items, require_memory, seconds, shown
from monge.problem.costs import Cost, CostMatrix, as_cost
from monge.problem.measures import Weights, as_weights
from monge.problem.progress import count_bar
from monge.problem.transport import ConvergenceWarning, Status, Transport

__all__ = ["emd_batch", "is_batch", "naming", "one_each"]


def is_batch(cost: Any) -> bool:
    """Whether `cost` stands for many problems: a 3-D array, or a list of matrices or of cost objects.

    The first item of a list decides; an empty one holds no problems. Nested lists of numbers are one matrix, as
    everywhere in NumPy.
    """
    if isinstance(cost, list | tuple):
        return len(cost) == 0 or isinstance(cost[0], Cost) or _dimensions(cost[0]) == 2
    return _dimensions(cost) == 3


def _dimensions(values: Any) -> int:
    """Of an array, or of what turns into one; zero for lists, and for all that is no array."""
    if not hasattr(values, "ndim") and hasattr(values, "__array__"):
        return np.ndim(values)
    return getattr(values, "ndim", 0)


def emd_batch(
    cost: Any,
    a: Any,
    b: Any,
    *,
    init: Any,
    threads: int | None,
    time_limit: float | None,
    progress: bool,
) -> list[Transport]:
    """`emd` for what `is_batch` accepts; the arguments are described there."""
    if init is not None:
        raise ValueError("init= is for a single problem; got a batch. Leave it out, or solve the problems one by one.")
    workers, limit = available_threads(threads), seconds(time_limit)
    problems = _problems(cost)
    weights_a, weights_b = one_each(a, "a", len(problems)), one_each(b, "b", len(problems))
    roundings = []
    with naming("problem", 0) as at:
        for at.index, problem in enumerate(problems):
            n, m = problem.shape
            weights_a[at.index], rounding_a = as_weights(weights_a[at.index], n, "a", "row")
            weights_b[at.index], rounding_b = as_weights(weights_b[at.index], m, "b", "column")
            roundings.append(max(rounding_a, rounding_b))
    matrices = [dense(problem, workers) for problem in problems]
    with count_bar(progress, len(matrices), "emd", "problems") as show:
        report = None if show is None else (lambda done, _sweeps, _violation: show(done))
        solutions = _core.emd_all(matrices, weights_a, weights_b, roundings, workers, limit, report)
        if show is not None:
            show(len(matrices))
    answers = []
    with naming("problem", 0) as at:
        each = zip(problems, solutions, matrices, weights_a, weights_b, strict=True)
        for at.index, (problem, solution, C, *weights) in enumerate(each):
            answers.append(transport(solution, C, (weights[0], weights[1]), cloud=problem.cloud))
    for status in (Status.TIME_LIMIT, Status.INEXACT):
        late = [t.gap for t in answers if t.status is status]
        if late:
            warnings.warn(
                f"emd: {len(late)} of {len(answers)} problems: {status.value} (largest gap {max(late):.3g}).",
                ConvergenceWarning,
                stacklevel=3,
            )
    return answers


class naming:
    """Says in the text of an error to which of many it belongs: "problem 17: ...". A loop within may move the index on.

    A class, since the generator of a contextmanager takes longer than the checks of a small problem.
    """

    def __init__(self, what: str, index: Any = "") -> None:
        self.what, self.index = what, index

    def __enter__(self) -> naming:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, _traceback: Any) -> None:
        if isinstance(error, Exception):
            error.args = (f"{self.what} {self.index}".rstrip() + f": {error}",)


def _problems(cost: Any) -> list[Cost]:
    """One cost per problem. MemoryError if the matrices of point clouds and grids would not fit."""
    problems = []
    with naming("problem", 0) as at:
        for at.index, item in enumerate(items(cost, "cost", "a batch of (n, m) matrices")):
            problems.append(as_cost(item))
    computed = [(p.shape, p.dtype.itemsize) for p in problems if not isinstance(p, CostMatrix)]
    require_memory(
        sum(n * m * itemsize for (n, m), itemsize in computed),
        f"the cost matrices of these {len(computed)} point clouds",
        "Solve fewer at once, or use monge.pairwise for a matrix of distances.",
    )
    return problems


def one_each(weights: Any, name: str, count: int) -> list[Weights | None]:
    """The weights of each problem, as the caller gave them: one vector for all, or one for each."""
    if weights is None:
        return [None] * count
    expected = "an array, a list of one array per problem, or None"
    each = items(weights, name, expected)
    if isinstance(each, np.ndarray) and each.ndim == 0:
        raise TypeError(f"{name} should be {expected}; got {shown(weights)}.")
    if len(each) > 0 and each[0] is not None and np.ndim(each[0]) == 0:
        return [weights] * count
    if len(each) != count:
        raise ValueError(
            f"{name} should hold one vector of weights for each of the {count} problems, or be one vector for all; "
            f"got {len(each)} items."
        )
    return list(each)
