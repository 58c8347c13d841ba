"""Semi-discrete transport from samples beside POT's `ot.semidiscrete` and OTT's SemidiscreteSolver.

    python -m benchmarks.samples.semidual [--smoke]

All potentials are judged alike: by the dual value on one sample that nobody saw, and by the unbiased chi-squared of
their masses; on the line by the exact dual value. Peers run with their defaults, and with the best of several step
sizes in as many steps as fit into the time that monge took, which is more than a user could know beforehand. What is
compiled is compiled before.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import monge
from monge.entropic.semidual.atoms import Atoms
from monge.entropic.semidual.draws import Draws
from monge.entropic.semidual.measure import Measured, blocks_of, measure
from monge.spread.blocks import seed_of
from monge.spread.sources import source_of

Sampler = Callable[[np.random.Generator, int], Any]


class Case(NamedTuple):
    """A source, atoms, and what is wanted."""

    name: str
    sampler: Sampler
    y: Any
    wanted: str
    kind: str  # of the source, as POT names it


def cases(smoke: bool) -> list[Case]:
    rng = np.random.default_rng(0)
    m = 20 if smoke else 500
    line = Case("U[0,1] to 50 atoms", lambda r, n: r.random((n, 1)), np.sort(rng.random((50, 1)), axis=0),
                "gap 1e-5, g to 1e-3 in 0.3 s", "unif")  # fmt: skip
    rest = [
        Case(f"N(0,I) to {m} atoms, d = {d}", lambda r, n, d=d: r.normal(size=(n, d)), rng.normal(size=(m, d)),
             f"chi2 < {wanted} in 1 s", "normal")
        for d, wanted in ((2, 0.01), (8, 0.05))
    ]  # fmt: skip
    return [line, *rest[:1]] if smoke else [line, *rest]


def judged(case: Case, g: Any, count: int) -> Measured:
    """On a sample that is the same for all."""
    m = len(case.y)
    source = source_of(case.sampler, "sampler")
    probe = monge.PointCloud(case.sampler(np.random.default_rng(0), 2), case.y)
    atoms = Atoms(probe, np.full(m, 1.0 / m), 0.0)
    g = np.asarray(g, dtype=np.float64)
    return measure(g - g.mean(), atoms, source, blocks_of(Draws(), count, False, atoms), seed_of(99), None)


def gap_on_line(case: Case, g: Any) -> tuple[float, float]:
    """How far the dual value of potentials is from the optimum, and they from the best ones, for U[0, 1]."""
    y, m = case.y[:, 0], len(case.y)
    t = np.arange(m + 1) / m
    best = float((((t[1:] - y) ** 3 - (t[:-1] - y) ** 3) / 3.0).sum())
    steps = (t[1:-1] - y[1:]) ** 2 - (t[1:-1] - y[:-1]) ** 2
    exact = np.concatenate([[0.0], np.cumsum(steps)])
    x, total = (np.arange(200_000) + 0.5) / 200_000, 0.0
    for some in np.array_split(x, 50):
        total += float(((some[:, np.newaxis] - y) ** 2 - g).min(axis=1).sum())
    off = float(np.abs((g - np.mean(g)) - (exact - exact.mean())).max())
    return best - (total / len(x) + float(np.mean(g))), off


def pot(case: Case, steps: int, factor: float | None, seed: int) -> Any:
    """POT's, with its default step, or that times a factor."""
    from ot.semidiscrete import solve_semidiscrete

    rng = np.random.default_rng(seed)
    lr = None if factor is None else factor * math.sqrt(32 * len(case.y))
    return solve_semidiscrete(case.y, lambda n: case.sampler(rng, n), max_iter=steps, lr0=lr)


def ott_solver(case: Case) -> Callable[[int, float], Any]:
    """OTT's, compiled once for each number of steps."""
    import jax
    import optax
    from ott.geometry.semidiscrete_pointcloud import SemidiscretePointCloud
    from ott.problems.linear.semidiscrete_linear_problem import SemidiscreteLinearProblem
    from ott.solvers.linear.semidiscrete import SemidiscreteSolver

    draw = jax.random.uniform if case.kind == "unif" else jax.random.normal
    problem = SemidiscreteLinearProblem(SemidiscretePointCloud(draw, jax.numpy.asarray(case.y), epsilon=0.0))

    def solve(steps: int, rate: float) -> tuple[Any, float]:
        solver = SemidiscreteSolver(
            num_iterations=steps,
            batch_size=64,
            optimizer=optax.adam(rate),
            error_eval_every=max(steps, 1),
            threshold=0.0,
        )
        run = jax.jit(solver)
        run(jax.random.key(0), problem)
        begun = time.perf_counter()
        out = jax.block_until_ready(run(jax.random.key(1), problem).g)
        return np.asarray(out), time.perf_counter() - begun

    return solve


def timed(run: Callable[[], Any], repeats: int) -> tuple[Any, float]:
    found, least = None, math.inf
    for _ in range(repeats):
        begun = time.perf_counter()
        found = run()
        least = min(least, time.perf_counter() - begun)
    return found, least


def row(case: Case, name: str, g: Any, seconds: float, count: int) -> None:
    found = judged(case, g, count)
    text = f"  {name:44s} {seconds:7.3f} s   chi2 {found.chi2:8.4f}   dual {found.value:.6f}"
    if case.kind == "unif":
        gap, off = gap_on_line(case, np.asarray(g, dtype=np.float64))
        text += f"   gap {gap:.1e}   g off by {off:.1e}"
    print(text)


def compare(case: Case, smoke: bool) -> None:
    print(f"{case.name}: wanted {case.wanted}")
    count, repeats = (5_000, 1) if smoke else (400_000, 3)
    # The potentials alone, as the peers: few points for the value.
    ours, seconds = timed(lambda: monge.semidual(case.sampler, case.y, rng=0, samples=10_000), repeats)
    row(case, f"monge.semidual ({ours.iterations} steps)", ours.g, seconds, count)
    full, longer = timed(lambda: monge.semidual(case.sampler, case.y, rng=0), repeats)
    row(case, "monge.semidual, value on 100,000 points", full.g, longer, count)
    default, taken = timed(lambda: pot(case, 200 if smoke else 10_000, None, 0), 1)
    row(case, "POT, defaults" + (", 200 steps" if smoke else ""), default, taken, count)
    steps = max(10, int(seconds / (taken / (200 if smoke else 10_000))))
    best = min(
        (judged(case, pot(case, steps, factor, 1), count).chi2, factor) for factor in (1e-4, 1e-3, 1e-2, 0.1, 1.0)
    )[1]
    found, taken = timed(lambda: pot(case, steps, best, 1), repeats)
    row(case, f"POT, best of 5 step sizes ({best:g}), {steps} steps", found, taken, count)
    if smoke:
        return
    try:
        solve = ott_solver(case)
    except ImportError as error:
        print(f"  OTT: {error}")
        return
    steps = max(10, int(1000 * seconds / solve(1000, 1e-3)[1]))
    tried = [(*solve(steps, rate), rate) for rate in (1e-4, 1e-3, 1e-2, 0.1)]
    g, taken, rate = min(tried, key=lambda one: judged(case, one[0], count).chi2)
    row(case, f"OTT, best of 4 rates of Adam ({rate:g}), {steps} steps", g, taken, count)


def discrete(n: int) -> None:
    print(f"{n} x {n} discrete, eps 5 % of the mean cost: wanted 1e-3 of the value in 2 s")
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(n, 2)), 0.5 * rng.normal(size=(n, 2)) + 1.0
    cloud = monge.PointCloud(x, y)
    eps = 0.05 * float(cloud.block(slice(None)).mean())
    exact = monge.sinkhorn(cloud, eps=eps, tol=1e-9).value
    for name, options in (
        ("solved at once", {}),
        ("SAG from nothing", {"method": "sag", "init": np.zeros(n), "tol": 1e-4}),
        ("SGD from nothing", {"init": np.zeros(n), "tol": 1e-3}),
    ):
        found, seconds = timed(partial(monge.semidual, x, y, eps=eps, rng=0, **options), 1)
        print(f"  {name:44s} {seconds:7.3f} s   relative error {found.value / exact - 1.0:.1e}")


def gaussians() -> None:
    print("two normal laws on the line by functions: wanted 5 % in 20 s")
    for eps in (1.0, 0.3, 0.1):
        exact = float(monge.bures([0.0], [[0.25]], [1.0], [[1.0]], eps=eps))
        run = partial(monge.continuous_dual, narrow, wide, eps=eps, rng=0)
        found, seconds = timed(run, 1)
        error = found.value / exact - 1.0
        print(f"  eps {eps:4.1f}: {seconds:6.2f} s, relative error {error:+.4f}, chi2 {found.chi2:.4f}")


def narrow(rng: np.random.Generator, n: int) -> Any:
    return rng.normal(0.0, 0.5, (n, 1))


def wide(rng: np.random.Generator, n: int) -> Any:
    return rng.normal(1.0, 1.0, (n, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    smoke = parser.parse_args().smoke
    warnings.simplefilter("ignore", monge.ConvergenceWarning)
    for case in cases(smoke):
        compare(case, smoke)
    discrete(100 if smoke else 1000)
    if not smoke:
        gaussians()


if __name__ == "__main__":
    main()
