"""Many transport problems at once, each solved by one of the threads.

For every k:  minimise  <P, C_k>  subject to  P >= 0,  P 1 = a_k,  P' 1 = b_k
"""

from __future__ import annotations

import warnings
from typing import Any

from monge.exact import _core
from monge.exact.dense import dense
from monge.exact.result import transport
from monge.problem.arrays import available_threads, items, require_memory, seconds
from monge.problem.at_home import at_home
from monge.problem.batch import naming, one_each
from monge.problem.costs import Cost, as_cost
from monge.problem.home import home_of_any
from monge.problem.measures import as_weights
from monge.problem.progress import count_bar
from monge.problem.transport import ConvergenceWarning, Status, Transport

__all__ = ["emd_batch"]


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
    workers, limit, home = available_threads(threads), seconds(time_limit), home_of_any(cost, a, b)
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
    answers: list[Transport] = []
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
    return at_home(answers, home)


def _problems(cost: Any) -> list[Cost]:
    """One cost per problem. MemoryError if the matrices of point clouds and grids would not fit."""
    problems = []
    with naming("problem", 0) as at:
        for at.index, item in enumerate(items(cost, "cost", "a batch of (n, m) matrices")):
            problems.append(as_cost(item))
    computed = [(p.shape, p.dtype.itemsize) for p in problems if not p.stored]
    require_memory(
        sum(n * m * itemsize for (n, m), itemsize in computed),
        f"the cost matrices of these {len(computed)} point clouds",
        "Solve fewer at once, or use monge.pairwise for a matrix of distances.",
    )
    return problems
