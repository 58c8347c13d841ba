"""The loop of iterative Bregman projections: eps from coarse to fine, mixing, and when to stop.

It sees numbers alone; what they are of is in `steps`.

- eps is annealed (Kosowsky and Yuille 1994) as in `monge.entropic.iteration`, whose constants these are.
- An accelerated step is kept if the dual value did not fall or the error was halved; a debiased problem has no dual
  value, so there it is kept if the error did not grow much. Otherwise it is shortened, then taken back.
- What did not converge is left where its error was the least.
- Where a kernel is faster in single precision that is used until the error is small; the last pass never is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.fixed.problem import Problem
from monge.barycenters.fixed.steps import Steps, steps_of
from monge.entropic.iteration import ANNEAL, LONGEST_PAUSE, SHORTEN, SHORTER, STAGE_ERROR, START
from monge.entropic.kernels.threads import Threads
from monge.problem.transport import Status

__all__ = ["Found", "iterate"]

Array = NDArray[np.float64]

# The growth of the error that an accelerated step may bring where there is no dual value.
_WORSE = 3.0
# By how much the dual value may fall by rounding, relative to its terms.
_ROUNDED = 1e-13
# Errors below so many times what single precision may be off by are looked at in double precision.
_NOISY = 10.0
# Passes whose error is kept.
_HISTORY = 10_000


@dataclass
class Found:
    """Where the passes came to."""

    steps: Steps
    status: Status
    error: float
    passes: int = 0
    errors: list[float] = field(default_factory=list)


def iterate(
    problem: Problem,
    eps: float,
    tol: float,
    max_iter: int,
    start: Array | None,
    threads: Threads,
    deadline: float = math.inf,
    report: Callable[[int, float, float], None] | None = None,
) -> Found:
    """Potentials for which all that has to vanish is at most tol, or how far they came.

    `start` are potentials in cost units, to begin with at the eps that is wanted; without them eps starts at a share of
    the size of the costs.
    """
    level = eps
    k, m = len(problem.weights), problem.cost.shape[1]
    if start is None:
        first = START * problem.cost.largest(0.0)
        while level * ANNEAL <= first:
            level *= ANNEAL
        start = np.zeros((k + problem.debias, m))
    v = start / level
    errors: list[float] = []
    hurried = False
    while True:
        if hurried or len(errors) + 1 >= max_iter:  # the last pass is made at the eps that was asked for
            v, level = v * (level / eps), eps
        final = level <= eps
        steps = steps_of(problem, problem.kernel(level, threads), level, v)
        goal, passes = (tol, max_iter) if final else (max(STAGE_ERROR, tol), max_iter - 1)
        status, error = _at_one_eps(steps, goal, final, passes, deadline, report, errors)
        if final:
            return Found(steps, status, error, len(errors), errors[:_HISTORY])
        hurried = status is not Status.CONVERGED
        steps.advance()
        before, level = level, max(level / ANNEAL, eps)
        v = steps.onwards() * (before / level)


def _at_one_eps(
    steps: Steps,
    goal: float,
    final: bool,
    max_iter: int,
    deadline: float,
    report: Callable[[int, float, float], None] | None,
    errors: list[float],
) -> tuple[Status, float]:
    """Passes until the error is at most the goal, and the error of where the steps are left: at the best that was seen
    in double precision, as the last one at the final eps is."""
    accelerated, shorter, refused, pause = False, 0, 0, 0
    safe_dual, safe_error = -math.inf, math.inf
    best_error, best = math.inf, None
    noise = _NOISY * steps.kernel.accuracy_in_single
    single = steps.kernel.accuracy < steps.kernel.accuracy_in_single
    while True:
        single = single and len(errors) + 1 < max_iter
        error, dual = steps.run(single)
        errors.append(error)
        if report is not None:
            report(len(errors), steps.eps, error)
        status = _stopped(error <= goal, len(errors) >= max_iter, time.perf_counter() >= deadline)
        if not single and error < best_error:
            best_error, best = error, steps.state()
        if status is not None and not (final and single):
            if best is None or error <= best_error:
                return status, error
            steps.go_to(best)
            return status, best_error
        if single and (status is not None or error <= noise):
            single, accelerated, shorter = False, False, 0
            safe_dual, safe_error = -math.inf, math.inf
            steps.forget()
            continue  # the same potentials again
        kept = error <= _WORSE * safe_error
        if dual > -math.inf:
            slack = (_ROUNDED + (noise if single else steps.kernel.accuracy)) * (abs(dual) + steps.problem.total)
            kept = dual >= safe_dual - slack or error <= 0.5 * safe_error
        if accelerated and not kept:
            shorter += 1
            if shorter <= SHORTER:
                steps.shorten(SHORTEN)
            else:
                steps.take_back()
                accelerated, shorter = False, 0
                pause = 2 ** min(refused, LONGEST_PAUSE) - 1
                refused += 1
            continue
        if accelerated:
            refused = 0
        elif dual == -math.inf and error > _WORSE * safe_error:
            steps.calm()
        shorter = 0
        safe_dual, safe_error = dual, error
        accelerated = steps.accelerate(pause > 0)
        pause = max(pause - 1, 0)


def _stopped(done: bool, spent: bool, late: bool) -> Status | None:
    return Status.CONVERGED if done else Status.MAX_ITER if spent else Status.OUT_OF_TIME if late else None
