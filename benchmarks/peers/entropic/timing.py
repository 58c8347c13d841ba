"""Entropic transport beside its peers, all at the same marginal error, which is measured here.

The plan of every answer, a_i b_j exp((f_i + g_j - C_ij) / eps), is summed in double precision, and its error is
|P 1 - a|_1 + |P' 1 - b|_1 over the mass; with KL penalties a exp(-f / rho) and b exp(-g / rho) take the place of a and
b. A peer's own test of convergence is loosened or tightened by factors of two until the error is just below the goal;
only the run that reaches it counts. From points, everyone's costs are part of the time; compilation is not.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from tqdm import tqdm

from benchmarks.peers.entropic import exponential, report
from benchmarks.peers.entropic.contestants import Contestant, Potentials, Problem, Run, contestants
from benchmarks.problems import weights
from monge.problem.arrays import available_memory

Array = np.typing.NDArray[np.float64]

# Relative to the mean cost.
EPS = (0.05, 0.01, 0.001)
# More pairs are not summed again here: monge's own measurement, which is made the same way, stands instead.
MOST_PAIRS = 5 * 10**8
# Seconds that the repeats of one solver on one case may take together.
BUDGET = 6.0
# Calls of each solver, at most, of which the least counts; in so many turns.
CALLS, TURNS = 2000, 20
# Seconds between two solvers, in which the threads that the one before has left looking for work come to rest.
REST = 0.1
# And those of short calls in a row: the first one after a rest finds everything cold.
TURN = 0.05
# Iterations by which the seconds of one are found.
TRIAL = 20
# For those whose iterations need no bound.
MOST_ITERATIONS = 100_000

Draw = Callable[[int, np.random.Generator], Array]


class Case(NamedTuple):
    name: str
    make: Callable[[], list[Problem]]
    single: bool = False  # calls so short that the least of many is what they take


# The cases


def _uniform(d: int) -> Draw:
    return lambda n, rng: rng.random((n, d))


def _gaussian(n: int, rng: np.random.Generator) -> Array:
    return rng.normal(size=(n, 3))


def _clusters(n: int, rng: np.random.Generator) -> Array:
    return rng.random((10, 3))[rng.integers(10, size=n)] + 0.03 * rng.normal(size=(n, 3))


def _clouds(draw: Draw, n: int, relative: float, goal: float, seed: int, count: int = 1, rho: float = 0.0) -> Any:
    """Clouds of n points; eps from the mean cost of the first; rho in multiples of it, 0 for the balanced problem."""

    def make() -> list[Problem]:
        rng = np.random.default_rng(seed)
        sets = [(draw(n, rng), draw(n, rng)) for _ in range(count)]
        x, y = sets[0]
        mean = float(x.var(axis=0).sum() + y.var(axis=0).sum() + ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum())
        even = np.full(n, 1.0 / n)
        penalty = rho * mean if rho else float("inf")
        return [Problem(even, even, relative * mean, goal, x=x, y=y, rho=penalty) for x, y in sets]

    return make


def _stored(n: int, relative: float, goal: float, seed: int) -> Any:
    def make() -> list[Problem]:
        rng = np.random.default_rng(seed)
        C = rng.random((n, n))
        return [Problem(weights(rng, n), weights(rng, n), relative * float(C.mean()), goal, C=C)]

    return make


def cases(options: argparse.Namespace) -> Iterator[Case]:
    """Those of the families and sizes that were asked for."""
    seed, largest = options.seed, max(n for n, _ in options.sizes)

    def cloud(name: str, draw: Draw, n: int, relative: float, goal: float, **more: Any) -> Case:
        return Case(f"{name} {n}, eps {relative:.2%}", _clouds(draw, n, relative, goal, seed, **more))

    def call(n: int) -> Case:
        return cloud("one call: uniform3d", _uniform(3), n, 0.01, options.tol)._replace(single=True)

    def stored(n: int) -> Case:
        return Case(f"stored iid {n}, eps 1.00%", _stored(n, 0.01, options.tol, seed))

    def middle() -> Iterator[Case]:
        """The sizes that most people have."""
        for n, d, shares in (
            (500, 64, EPS[:2]), (1000, 3, EPS), (1000, 8, EPS[:2]), (1000, 64, EPS[:2]), (2000, 3, EPS[:2]),
            (2000, 64, EPS[:2]), (3000, 64, EPS[:2]), (4000, 64, EPS[:2]),
        ):  # fmt: skip
            yield from (cloud(f"uniform{d}d", _uniform(d), n, e, options.tol) for e in shares)
        for d in (3, 64):
            yield from (cloud(f"to 1e-6: uniform{d}d", _uniform(d), 1000, e, 1e-6) for e in EPS[:2])
        yield from map(stored, (512, 513, 1000, 2000, 4000))

    families: dict[str, Callable[[], Iterator[Case]]] = {
        "uniform3d": lambda: (
            cloud("uniform3d", _uniform(3), n, e, options.tol) for n, _ in options.sizes for e in EPS
        ),
        "precise": lambda: (cloud("to 1e-6: uniform3d", _uniform(3), n, 0.01, 1e-6) for n, _ in options.sizes),
        "uniform64d": lambda: (
            cloud("uniform64d", _uniform(64), n, e, options.tol) for n in (largest,) for e in (0.05, 0.01)
        ),
        "stored": lambda: iter([stored(largest)]),
        "middle": middle,
        "batch": lambda: (
            cloud(f"batch of {options.batch}: uniform3d", _uniform(3), n, 0.01, options.tol, count=options.batch)
            for n in (64, 256)
            if n <= largest
        ),
        "unbalanced": lambda: (
            cloud("KL, rho = mean: uniform3d", _uniform(3), n, 0.01, options.tol, rho=1.0) for n in (largest,)
        ),
        "call": lambda: iter([call(16)]),
        "large": lambda: (
            cloud(name, draw, n, 0.001, options.tol)
            for n in (100_000, 1_000_000)
            for name, draw in (("uniform3d", _uniform(3)), ("gaussian3d", _gaussian), ("clusters3d", _clusters))
            if n == 100_000 or name == "uniform3d"
        ),
    }
    asked = (
        [name for name in families if name not in ("large", "middle")]
        if options.families == "main"
        else options.families.split(",")
    )
    unknown = sorted(set(asked) - set(families))
    if unknown:
        raise SystemExit(f"no entropic cases {', '.join(unknown)}; there are {', '.join(families)}.")
    for name in asked:
        yield from families[name]()


# The measurement


def marginal_error(p: Problem, found: Any) -> float:
    """Of the plan that the potentials stand for, in double precision."""
    n, m = len(p.a), len(p.b)
    rows = max(1, 2**22 // m)
    sent, received = np.empty(n), np.zeros(m)
    with np.errstate(all="ignore"):
        for i in range(0, n, rows):
            part = slice(i, i + rows)
            C = cdist(p.x[part], p.y, "sqeuclidean") if p.C is None else p.C[part]
            P = p.a[part, np.newaxis] * p.b * np.exp((found.f[part, np.newaxis] + found.g - C) / p.eps)
            sent[part] = P.sum(axis=1)
            received += P.sum(axis=0)
        wanted_a, wanted_b = p.a * np.exp(-found.f / p.rho), p.b * np.exp(-found.g / p.rho)
        error = float((np.abs(sent - wanted_a).sum() + np.abs(received - wanted_b).sum()) / sent.sum())
    return error if np.isfinite(error) else float("inf")


def worst_error(problems: list[Problem], found: list[Any]) -> float:
    if len(problems[0].a) * len(problems[0].b) > MOST_PAIRS:
        return max(t.marginal_error for t in found)
    return max(marginal_error(p, t) for p, t in zip(problems, found, strict=True))


def seconds_of(run: Run) -> tuple[float, list[Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whether it converged is measured
        start = time.perf_counter()
        found = run()
        return time.perf_counter() - start, found


class Reached(NamedTuple):
    run: Run
    seconds: float
    error: float
    found: list[Potentials]


def reach(who: Contestant, problems: list[Problem], patience: float) -> Reached | None:
    """The coarsest setting whose measured error is at most the goal; else the last that was tried, or None."""
    most = MOST_ITERATIONS
    if who.bounded:
        run = who.ready(problems, 0.0, TRIAL)
        seconds_of(run)
        trial, _ = seconds_of(run)
        most = max(TRIAL, int(patience / trial) * TRIAL)
    best = None
    begin = time.perf_counter()
    for setting in who.settings(problems):
        run = who.ready(problems, setting, most)
        if best is None and not who.bounded:
            seconds_of(run)  # the first run compiles
        seconds, found = seconds_of(run)
        best = Reached(run, seconds, worst_error(problems, found), found)
        if best.error <= problems[0].goal or time.perf_counter() - begin > patience or seconds > patience / 2.0:
            return best
    return best


def race(racing: dict[str, Reached], repeat: int) -> dict[str, float]:
    """Everyone's median seconds, taken in turns."""
    all_times = {name: [r.seconds] for name, r in racing.items()}
    for _ in range(repeat):
        for name, times in all_times.items():
            loops = max(1, min(200, int(TURN / min(times))))
            if sum(times) * loops < BUDGET:
                time.sleep(REST)
                total = sum(seconds_of(racing[name].run)[0] for _ in range(loops))
                times.append(total / loops)
    return {name: statistics.median(times[1:] or times) for name, times in all_times.items()}


def least(racing: dict[str, Reached]) -> dict[str, float]:
    """Everyone's least seconds of one call."""
    calls = {name: max(TURNS, min(CALLS, int(BUDGET / r.seconds))) // TURNS for name, r in racing.items()}
    seconds = {name: r.seconds for name, r in racing.items()}
    for _ in range(TURNS):
        for name, count in calls.items():
            seconds[name] = min(seconds[name], *(seconds_of(racing[name].run)[0] for _ in range(count)))
    return seconds


def cores(problems: list[Problem], threads: int) -> int:
    """How many monge works on: one for each problem of a batch."""
    return min(threads, len(problems)) if len(problems) > 1 else threads


def measure(case: Case, everyone: dict[str, Contestant], options: argparse.Namespace) -> dict[str, Any]:
    """One row: everyone's seconds and errors."""
    problems = case.make()
    pairs = len(problems) * len(problems[0].a) * len(problems[0].b)
    goal = problems[0].goal
    reached: dict[str, Reached] = {}
    skipped: dict[str, str] = {}
    for name, who in everyone.items():
        if not who.can(problems):
            continue
        if who.bytes_per_pair * pairs > (available_memory() or 0):
            skipped[name] = "memory"
            continue
        answer = reach(who, problems, options.patience)
        if answer is not None:
            reached[name] = answer
            if answer.error > goal:
                skipped[name] = f"only {answer.error:.0e} in {answer.seconds:.3g} s"
    racing = {name: r for name, r in reached.items() if r.error <= goal}
    seconds = least(racing) if case.single else race(racing, options.repeat)
    row: dict[str, Any] = {
        "name": case.name,
        "goal": goal,
        "seconds": seconds,
        "errors": {name: r.error for name, r in reached.items()},
        "skipped": skipped,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    ours = seconds.get("monge")
    row["ratios"] = {name: s / ours for name, s in seconds.items() if name != "monge"} if ours else {}
    if "monge" in reached:
        answers: list[Any] = reached["monge"].found
        row["passes"] = max(t.iterations for t in answers)
        row["stats"] = {name: value for name, value in answers[0].stats.items() if name != "errors"}
        row["pairs"] = sum(t.stats["pairs"] for t in answers)
        if ours:
            row["pairs_per_second_per_core"] = row["pairs"] / ours / cores(problems, options.threads)
    return row


def entropic(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row of results for each case, printed as they come."""
    ceiling = exponential.per_second()
    found = contestants(options.threads)
    asked = [name for name in options.peers.split(",") if name]
    unknown = sorted(set(asked) - set(found))
    if unknown:
        raise SystemExit(f"no peer {', '.join(unknown)}; there are {', '.join(list(found)[1:])}.")
    everyone: dict[str, Contestant] = {}
    for name in ["monge", *asked]:
        who = found[name]
        if who is None:
            print(f"{name} is not installed and left out: pip install '.[peers]'")
        else:
            everyone[name] = who
    titles = {name: who.title for name, who in everyone.items() if name != "monge"}
    rows = []
    print(report.header(ceiling))
    with tqdm(list(cases(options)), desc="cases", unit="") as bar:
        for case in bar:
            bar.set_postfix_str(case.name)
            rows.append({**measure(case, everyone, options), "ceiling": ceiling, "titles": titles})
            tqdm.write(report.line(rows[-1], titles))
    return rows
