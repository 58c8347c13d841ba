"""The route of problems too large for a kernel matrix that are no clouds in few dimensions: passes over all pairs."""

from __future__ import annotations

import time
from collections.abc import Callable

from monge.entropic._steps import Steps
from monge.entropic.exact_start import exact_columns
from monge.entropic.iteration import START, Schedule, iterate, memory_depth
from monge.entropic.kernels.threads import Threads
from monge.entropic.problem import Outcome, Problem, fill_in

__all__ = ["solve"]


def solve(problem: Problem, threads: int, report: Callable[[int, float, float], None] | None = None) -> Outcome:
    """Leaves potentials in the problem.

    Where eps is small, or the error stays, the start is that of exact potentials.
    """
    began = time.perf_counter()
    a, b, f, g = problem.inner_a, problem.inner_b, problem.f, problem.g
    with Threads(threads) as workers:
        pairs = problem.pairs(workers)
        steps = Steps(a, b, problem.marginals, f, g, memory_depth(problem.tol), problem.symmetric)
        first = problem.first if problem.first > 0.0 else START * pairs.size

        def restart(_: float) -> None:
            found = exact_columns(pairs)
            if found is not None:
                g[:] = found

        when: Callable[[float], None] | None = restart if problem.may_restart else None
        if when is not None and problem.first == 0.0 and problem.eps < pairs.exact_below:
            restart(problem.eps)
            first, when = problem.eps, None
        schedule = Schedule(first, problem.eps, problem.tol, problem.max_iter)
        found = iterate(pairs, steps, schedule, report, when)
        fill_in(pairs, f, g, problem.eps)
    n, m = problem.cost.shape
    counters = {"pairs": found.passes * n * m, "coarse_passes": 0}
    seconds = time.perf_counter() - began
    return Outcome.of(found, seconds, counters)
