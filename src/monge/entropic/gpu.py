"""The route of problems on a GPU: passes over all pairs there.

Large clouds in few dimensions go from coarse to fine, as in `multiscale`: at a large eps groups of neighbours do for
the points. Batches of small problems are solved at once, a block of threads each.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from monge.entropic.exact_start import exact_columns
from monge.entropic.iteration import ANNEAL, START, Found, Schedule
from monge.entropic.kernels.cuda import layout
from monge.entropic.kernels.cuda.batch import MOST_PLACES, solve_batch
from monge.entropic.kernels.cuda.device import free_memory
from monge.entropic.kernels.cuda.driver import default_stream
from monge.entropic.kernels.cuda.grounds import the_same
from monge.entropic.kernels.cuda.loop import Side, Solver
from monge.entropic.kernels.cuda.plan import CudaPairs
from monge.entropic.kernels.cuda.points import centred, on_device, taken
from monge.entropic.kernels.cuda.sums import CloudSums, MatrixSums
from monge.entropic.kernels.scale import FLAT, HELD, NOISE
from monge.entropic.kernels.threads import Threads
from monge.entropic.levels import Level, last_of, sorted_sides
from monge.entropic.marginals import Balanced
from monge.entropic.problem import Outcome, Problem, fill_in
from monge.problem._ground import pair_costs
from monge.problem.ground import scale_of

__all__ = ["solve", "solve_all"]

Array = NDArray[np.float64]
Report = Callable[[int, float, float], None]

# Pairs of a cloud in few dimensions from which it is solved from coarse to fine, and how few points are not grouped.
_COARSE_FROM, _FEW, _LOW = 2**34, 1000, 3
# The marginal error to which a coarse problem is solved.
_ROUGH = 0.005
# Bytes of a batch that is sent at once, and what an entry of a matrix takes: itself, and copies by rows and by columns.
_MOST_BYTES, _BYTES_OF_ENTRY = 2**30, 24
# Coordinates of points with a user's cost: a tile of them is in shared memory.
_MOST_OF_USERS = 1024
# Bytes that are worth asking the driver whether they are there.
_WORTH_ASKING = 2**28
# Solvers that are kept for the next problem of the same shape, and how large they may be.
_KEPT, _KEPT_NUMBERS = 16, 2**23


def solve(problem: Problem, threads: int, report: Report | None = None) -> Outcome:
    """Leaves potentials in the problem."""
    began = time.perf_counter()
    _check(problem.cost)
    with Threads(threads) as workers:
        pairs = problem.pairs(workers)
        points, (n, m) = problem.cost.formed, problem.cost.shape
        low = points is not None and points.x.shape[1] <= _LOW and n * m >= _COARSE_FROM
        if low and problem.first == 0.0:
            found, evaluated, coarse_passes = _from_coarse(problem, workers, report)
        else:
            found, evaluated, coarse_passes = _at_once(problem, pairs, report), 0, 0
        if coarse_passes:  # else the passes were over all places
            fill_in(pairs, problem.f, problem.g, problem.eps)
            fill_in(pairs.T, problem.g, problem.f, problem.eps)
    counters = {"pairs": evaluated or found.passes * n * m, "coarse_passes": coarse_passes}
    return Outcome.of(found, time.perf_counter() - began, counters)


def _check(cost: Any) -> None:
    """Whether the device has room for it. MemoryError or ValueError."""
    n, m = cost.shape
    d, stored = (0, n * m * cost.C.itemsize) if cost.cloud is None else (cost.x.shape[1], 0)
    if d > _MOST_OF_USERS and cost.formed is None:
        raise ValueError(
            f"device='cuda' takes points of up to {_MOST_OF_USERS} coordinates with a ground cost of your own; got {d}."
            " Leave device out to solve on the CPU, or pass the costs as a matrix."
        )
    needed = stored + (n + m) * (20 * d + 256)
    free = free_memory() if needed > _WORTH_ASKING else needed
    if needed > free:
        raise MemoryError(
            f"the GPU has {free / 2**30:.3g} GiB free, and this {n} x {m} problem takes {needed / 2**30:.3g} GiB. Pass "
            "points in place of a matrix, or float32 in place of float64, or leave device out to solve on the CPU."
        )


def _at_once(problem: Problem, pairs: Any, report: Report | None) -> Found:
    """All pairs, from a large eps on, or from exact potentials where eps is very small."""
    f, g, eps = problem.f, problem.g, problem.eps
    cost: Any = problem.cost
    first = problem.first if problem.first > 0.0 else START * pairs.size
    if problem.balanced and problem.first == 0.0 and eps < pairs.exact_below:
        exact = exact_columns(pairs)
        if exact is not None:
            g[:], first = exact, eps
            f[:] = pairs.transforms(g)[0]
    if cost.cloud is None:
        (n, m), factor = cost.shape, 1.0
        x, y = np.zeros((n, 0)), np.zeros((m, 0))
        with default_stream:
            C = on_device(cost.C)
        solver: Solver = Solver(MatrixSums(C, n, m))
    else:
        x, y, factor, _ = taken(cost)
        solver = _solvers.take(the_same(cost.ground), len(x), len(y), x.shape[1])
    sides = Side(problem.inner_a, f, f), Side(problem.inner_b, g, g)
    schedule = Schedule(first, eps, problem.tol, problem.max_iter)
    solver.load(x, y, *sides, factor, problem.marginals, schedule, pairs.noise, problem.symmetric)
    found = solver.solve(report)
    f[:], _, g[:], softmins = solver.potentials()
    _solvers.give_back(solver)
    empty = problem.inner_b == 0.0  # which the loop leaves alone
    g[empty] = problem.marginals[1].potential(softmins[empty], eps)
    return found


def _from_coarse(problem: Problem, threads: Threads, report: Report | None) -> tuple[Found, int, int]:
    """What is found at the finest level, the pairs of all passes, and the number of passes at the others."""
    assert problem.cost.formed is not None
    cost, marginals, eps, tol = problem.cost.formed.straight, problem.marginals, problem.eps, problem.tol
    (x, of_rows), (y, of_columns) = sorted_sides(cost, problem.inner_a, problem.inner_b, threads)
    levels = [Level(x, y, cost.cost)]
    while levels[-1].fewest > _FEW:
        levels.append(levels[-1].grouped())
    first = START * levels[0].scale.size
    f, g = np.zeros(len(levels[-1].x.weights)), np.zeros(len(levels[-1].y.weights))
    found, pairs, coarse_passes = Found(), 0, 0
    for depth in range(len(levels) - 1, -1, -1):
        level = levels[depth]
        n, m = level.cost.shape
        goal = max(_ROUGH, tol) if depth > 0 else tol
        last = eps if depth == 0 else last_of(level, levels[depth - 1], eps, first)
        here, there, factor, _ = taken(level.cost)
        solver = _solvers.take(level.cost.ground, n, m, here.shape[1], True)
        sides = Side(level.x.weights, f, f), Side(level.y.weights, g, g)
        schedule = Schedule(first, last, goal, problem.max_iter)
        noise = CudaPairs(level.cost, level.x.weights, level.y.weights, marginals, threads).noise
        solver.load(here, there, *sides, factor, marginals, schedule, noise)
        found = solver.solve(report)
        f, _, g, _ = solver.potentials()
        _solvers.give_back(solver)
        pairs += found.passes * n * m
        if depth > 0:
            coarse_passes += found.passes
            f, g = _lift(level, levels[depth - 1], f, g, marginals, last, noise)
            first = max(last / ANNEAL, eps)
    for potential, of_sorted, order in ((problem.f, f, of_rows), (problem.g, g, of_columns)):
        potential[:] = 0.0
        potential[order] = of_sorted
    return found, pairs, coarse_passes


def _lift(
    coarse: Level, fine: Level, f: Array, g: Array, marginals: Any, eps: float, noise: float
) -> tuple[Array, Array]:
    """Potentials of the finer level: those of the groups for f, softmins over the coarse rows for g."""
    guess = fine.y.of_groups(g)
    across = type(fine.cost)(fine.y.points, coarse.x.points, coarse.cost.cost)
    here, there, factor, _ = taken(across)
    solver = _solvers.take(across.ground, *across.shape, here.shape[1], True)
    sides = Side(fine.y.weights, guess, guess), Side(coarse.x.weights, f, f)
    schedule = Schedule(eps, eps, _ROUGH, 2)
    solver.load(here, there, *sides, factor, (marginals[1], Balanced()), schedule, noise)
    lifted = fine.x.of_groups(f), solver.best_rows()
    _solvers.give_back(solver)
    return lifted


class _Solvers:
    """Solvers of small problems, which are lent to one problem at a time."""

    def __init__(self) -> None:
        self.kept: OrderedDict[Any, Solver] = OrderedDict()
        self.lock = Lock()

    def take(self, ground: Any, n: int, m: int, d: int, ordered: bool = False) -> Solver:
        """One for a cost between n points and m points of d coordinates; `ordered` is as in `CloudSums`."""
        with self.lock:
            solver = self.kept.pop((ground, n, m, d, ordered), None)
        return solver if solver is not None else Solver(CloudSums(ground, n, m, d, ordered))

    def give_back(self, solver: Solver) -> None:
        """Keeps it, unless it takes much room."""
        sums = solver.sums
        if isinstance(sums, CloudSums) and sum(sums.sizes) * (sums.d + 20) <= _KEPT_NUMBERS:
            with self.lock:
                self.kept[sums.ground, *sums.sizes, sums.d, sums.ordered] = solver
                while len(self.kept) > _KEPT:
                    self.kept.popitem(last=False)


_solvers = _Solvers()


def solve_all(problems: Sequence[Problem], threads: int) -> list[Outcome]:
    """Problems of a batch, which differ in costs and weights alone. Small ones of one kind are solved together."""
    kinds: dict[Any, list[int]] = {}
    for k, problem in enumerate(problems):
        kinds.setdefault(_kind(problem), []).append(k)
    outcomes: dict[int, Outcome] = {}
    for kind, members in kinds.items():
        some = [problems[k] for k in members]
        found = [solve(problem, threads) for problem in some] if kind is None else _together(some)
        outcomes.update(zip(members, found, strict=True))
    return [outcomes[k] for k in range(len(problems))]


def _kind(problem: Problem) -> Any:
    """What problems have in common that are solved together; None for one that is not."""
    n, m = problem.cost.shape
    if max(n, m) > MOST_PLACES or (problem.first > 0.0 and not problem.symmetric):
        return None
    size = 2 ** max(3, (max(n, m) - 1).bit_length())  # others would have to be filled up too far
    if problem.cost.cloud is None:
        return None if problem.forbidden is not None else ("matrix", size, problem.eps, problem.symmetric)
    return the_same(problem.cost.ground), problem.cost.x.shape[1], size, problem.eps, problem.symmetric


def _noises(problems: list[Problem], x: Array, y: Array, C: Array | None, factors: Array) -> Array:
    """What single precision adds to the error of each problem, times eps; of all costs, not of a sample."""
    points = problems[0].cost.formed
    if C is not None:
        largest = np.abs(C).max(axis=(1, 2))
        return np.where((largest > HELD) & (largest < 1.0 / HELD), NOISE * largest, math.inf)
    if points is None:
        return np.array([problem.pairs(Threads(1)).noise for problem in problems])
    if points.power < FLAT:
        return np.full(len(factors), math.inf)
    ground: Any = points.ground
    sides = np.maximum(x.max(axis=1), y.max(axis=1)) - np.minimum(x.min(axis=1), y.min(axis=1))
    widest = pair_costs(np.ascontiguousarray(sides), np.zeros_like(sides), ground.code, ground.exponent, 1.0)
    return np.asarray(NOISE * factors * widest)


def _together(problems: list[Problem]) -> list[Outcome]:
    """Those of one kind, as many at a time as do not take too much room."""
    n, m = (max(problem.cost.shape[side] for problem in problems) for side in (0, 1))
    each = (
        _BYTES_OF_ENTRY * n * m if problems[0].cost.cloud is None else 8 * (n + m) * (problems[0].cost.x.shape[1] + 40)
    )
    some = max(1, _MOST_BYTES // each)
    return [outcome for k in range(0, len(problems), some) for outcome in _at_a_time(problems[k : k + some])]


def _at_a_time(problems: list[Problem]) -> list[Outcome]:
    one = problems[0]
    n, m = (max(problem.cost.shape[side] for problem in problems) for side in (0, 1))
    cloud, count = one.cost.cloud, len(problems)
    d = 0 if cloud is None else cloud.x.shape[1]
    x, y, a, b = np.zeros((count, n, d)), np.zeros((count, m, d)), np.zeros((count, n)), np.zeros((count, m))
    C = np.zeros((count, n, m)) if cloud is None else None
    for k, problem in enumerate(problems):
        rows, columns = problem.cost.shape
        a[k, :rows], b[k, :columns] = problem.inner_a, problem.inner_b
        if C is None:
            points: Any = problem.cost
            x[k, :rows], y[k, :columns] = points.placed if points.formed is not None else (points.x, points.y)
            x[k, rows:], y[k, columns:] = x[k, 0], y[k, 0]
        else:
            C[k, :rows, :columns] = cast(Any, problem.cost).C
    factors = np.ones(count)
    if one.cost.formed is not None:
        scales = [scale_of(cast(Any, problem.cost).farthest) for problem in problems]
        x, y, factors = centred(one.cost.formed.ground, x, y, scales)
    answer = solve_batch(
        None if cloud is None else the_same(cloud.ground), x, y, a, b, C, factors, one.marginals, one.eps, one.tol,
        one.max_iter, _noises(problems, x, y, C, factors), one.symmetric,
    )  # fmt: skip
    seconds = answer.seconds / count
    outcomes = []
    for k, problem in enumerate(problems):
        rows, columns = problem.cost.shape
        problem.f[:], problem.g[:] = answer.f[k, :rows], answer.g[k, :columns]
        empty = problem.inner_b == 0.0
        if empty.any():
            problem.g[empty] = problem.marginals[1].potential(answer.s[k, :columns][empty], problem.eps)
        known = answer.known[k]
        passes = int(known[layout.PASSES])
        found = Found(
            known[layout.CONVERGED] != 0.0, passes, float(known[layout.ERROR]), float(known[layout.DUAL]),
            answer.errors[k, :passes].tolist(),
        )  # fmt: skip
        outcomes.append(Outcome.of(found, seconds, {"pairs": passes * rows * columns, "coarse_passes": 0}))
    return outcomes
