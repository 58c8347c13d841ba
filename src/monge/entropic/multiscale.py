"""The route of large clouds in few dimensions: from coarse to fine.

At a large eps the plan does not see details: groups of points near each other, each as one point of their weight, give
nearly the same potentials for a fraction of the pairs (Schmitzer 2019, "Stabilized sparse scaling algorithms for
entropy regularized transport problems", section 3.4). So eps is annealed on coarse clouds (`levels`), each as far as
its groups are small against the blur of that eps, and potentials go down to the next finer one by a softmin.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from monge.entropic._steps import Steps
from monge.entropic.iteration import ANNEAL, Found, Schedule, iterate, memory_depth
from monge.entropic.kernels.near_passes import NearPasses
from monge.entropic.kernels.threads import Threads
from monge.entropic.levels import Level, last_of, sorted_sides
from monge.entropic.marginals import Balanced, Marginal
from monge.entropic.problem import Outcome, Problem, fill_in
from monge.exact.emd import emd
from monge.problem.costs import PointCloud

__all__ = ["solve"]

Array = NDArray[np.float64]

# How few points are not grouped.
_FEW = 350
# The marginal error to which a coarse problem is solved.
_ROUGH = 0.005
# Points of a problem that is solved exactly; coarser ones know less well how far potentials are apart.
_EXACT = 4000
# What passes may skip: of the weights at a coarse level, and of the tolerance at the last.
_SKIPPED, _SKIPPED_OF_TOL = 1e-5, 0.01


def solve(problem: Problem, threads: int, report: Callable[[int, float, float], None] | None = None) -> Outcome:
    """Leaves potentials in the problem."""
    began = time.perf_counter()
    with Threads(threads) as workers:
        found, pairs, coarse_passes = _solve(problem, workers, report)
        whole = problem.pairs(workers)
        fill_in(whole, problem.f, problem.g, problem.eps)
        fill_in(whole.T, problem.g, problem.f, problem.eps)
    counters = {"pairs": pairs, "coarse_passes": coarse_passes}
    seconds = time.perf_counter() - began
    return Outcome.of(found, seconds, counters)


def _solve(
    problem: Problem, threads: Threads, report: Callable[[int, float, float], None] | None
) -> tuple[Found, int, int]:
    """What is found at the finest level, the pairs of all passes, and the number of passes at the others.

    Potentials are left in the problem, zero where there is no weight.
    """
    assert problem.cost.cloud is not None
    cost, marginals, eps, tol = problem.cost.cloud.straight, problem.marginals, problem.eps, problem.tol
    (x, of_rows), (y, of_columns) = sorted_sides(cost, problem.inner_a, problem.inner_b, threads)
    levels = [Level(x, y, cost.cost)]
    first = eps if (exact := _starts_exactly(problem, levels[0])) else problem.first
    while first == 0.0 and levels[-1].fewest > _FEW:
        levels.append(levels[-1].grouped())

    found, pairs, coarse_passes = Found(), 0, 0
    f, g = np.zeros(len(levels[-1].x.weights)), np.zeros(len(levels[-1].y.weights))
    if len(levels) == 1:
        g[:] = problem.g[of_columns]
    for depth in range(len(levels) - 1, -1, -1):
        level = levels[depth]
        skipped, goal = _SKIPPED, max(_ROUGH, tol)
        if depth == 0:
            skipped, goal = max(min(_SKIPPED, _SKIPPED_OF_TOL * tol), sys.float_info.min), tol
        a, b = level.x.weights, level.y.weights
        passes = NearPasses(level.cost, a, b, marginals, threads, skipped, f, level.scale)
        steps = Steps(a, b, marginals, f, g, memory_depth(goal), problem.symmetric)
        first = first or passes.size  # all the way: coarse passes cost next to nothing
        last = eps if depth == 0 else last_of(level, levels[depth - 1], eps, first)
        restart = partial(_restart, level, threads, passes, f, g) if problem.may_restart else None
        if exact:
            _restart(level, threads, passes, f, g, eps)
            restart = None
        found = iterate(passes, steps, Schedule(first, last, goal, problem.max_iter), report, restart)
        pairs += passes.pairs
        if depth > 0:
            coarse_passes += found.passes
            f, g = _lift(level, levels[depth - 1], f, g, marginals[1], last, threads)
            first = max(last / ANNEAL, eps)
    for potential, of_sorted, order in ((problem.f, f, of_rows), (problem.g, g, of_columns)):
        potential[:] = 0.0
        potential[order] = of_sorted
    return found, pairs, coarse_passes


def _starts_exactly(problem: Problem, whole: Level) -> bool:
    """Whether to start from exact potentials in place of coarse clouds: where tails are heavy, groups of neighbours are
    wide. If eps is small for most pairs, annealing takes passes by the hundred."""
    if not problem.balanced or problem.first > 0.0 or whole.most > _EXACT:
        return False
    return problem.eps < whole.scale.middle


def _restart(level: Level, threads: Threads, passes: NearPasses, f: Array, g: Array, eps: float) -> None:
    f[:], g[:] = _exact(level, eps, threads)
    passes.restart(f)


def _exact(level: Level, eps: float, threads: Threads) -> tuple[Array, Array]:
    """Potentials from the exact solution of a coarse problem.

    Parts of the clouds that are far from each other, on the scale of eps, exchange so little mass that passes take long
    to tell how far their potentials are apart. The exact solver finds that at once.
    """
    levels = [level]
    while levels[-1].most > _EXACT:
        levels.append(levels[-1].grouped())
    a, b = levels[-1].x.weights, levels[-1].y.weights
    t = emd(levels[-1].cost, a, b * (a.sum() / b.sum()), threads=threads.number)
    f, g = t.f, t.g
    for coarse, fine in zip(levels[:0:-1], levels[-2::-1], strict=True):
        f, g = _lift(coarse, fine, f, g, Balanced(), eps, threads)
    return f, g


def _lift(
    coarse: Level, fine: Level, f: Array, g: Array, columns: Marginal, eps: float, threads: Threads
) -> tuple[Array, Array]:
    """Potentials of the finer level: those of the groups for f, softmins over the coarse rows for g."""
    guess = fine.y.of_groups(g)
    across = PointCloud(fine.y.points, coarse.x.points, coarse.cost.cost)
    marginals = columns, Balanced()
    passes = NearPasses(across, fine.y.weights, coarse.x.weights, marginals, threads, _SKIPPED, guess)
    steps = Steps(passes.a, passes.b, marginals, guess.copy(), f, 1)
    passes.run(steps, eps, True, True)
    return fine.x.of_groups(f), steps.f
