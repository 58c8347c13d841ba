"""The route of problems whose kernel matrix is stored: they are solved whole in the core, since passes are short."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from monge.entropic import _stored
from monge.entropic._steps import Steps
from monge.entropic.kernels.threads import Threads
from monge.entropic.problem import Outcome, Problem

if TYPE_CHECKING:
    from monge.entropic._stored import Problem as CoreProblem

__all__ = ["solve", "solve_all"]

# What the core counts with.
_MOST_PASSES = 2**63 - 1


def solve(problem: Problem, threads: int, report: Callable[[int, float, float], None] | None = None) -> Outcome:
    """One problem, on all threads. Leaves potentials in it."""
    outcome = solve_all([problem], threads, report)[0]
    if report is not None:
        report(outcome.passes, problem.eps, outcome.error)
    return outcome


def solve_all(
    problems: Sequence[Problem], threads: int, report: Callable[[int, float, float], None] | None = None
) -> list[Outcome]:
    """All problems, which differ in costs, weights and start alone; a single one on all threads, others on one each."""
    if not problems:
        return []
    one = problems[0]
    rows, columns = one.marginals
    marginals = rows.kl, rows.cap, columns.kl, columns.cap
    outcomes = _stored.solve(
        [_converted(problem) for problem in problems], marginals, one.eps, one.tol,
        min(one.max_iter, _MOST_PASSES), threads, report,
    )  # fmt: skip
    return [
        _settled(problem, Outcome(*out[:-1], {"kernels": out[-1]}), threads)
        for problem, out in zip(problems, outcomes, strict=True)
    ]


def _settled(problem: Problem, outcome: Outcome, threads: int) -> Outcome:
    """If the core was stopped, perhaps on its way, f is made to be that of g, and both are measured."""
    if outcome.converged:
        return outcome
    began, eps = time.perf_counter(), problem.eps
    steps = Steps(problem.inner_a, problem.inner_b, problem.marginals, problem.f, problem.g, 1)
    problem.pairs(Threads(threads)).run(steps, eps, False, True)
    error, mass, value_a, value_b = steps.measure(eps)
    dual, seconds = value_a + value_b + eps * (1.0 - mass), outcome.seconds + time.perf_counter() - began
    return outcome._replace(error=error, dual=dual, seconds=seconds)


def _converted(problem: Problem) -> CoreProblem:
    cost: Any = problem.inner_cost
    costs = cost.form(np.float64) if cost.formed is not None else np.ascontiguousarray(cost.C)
    return costs, problem.inner_a, problem.inner_b, problem.f, problem.g, problem.first, problem.symmetric
