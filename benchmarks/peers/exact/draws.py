"""How bad can it get? Random draws of everything a problem is made of, each solved by monge and by POT.

The k-th draw depends on the seed and on k alone: `peers draws --seed 0 --first 17 --draws 1` is the 17th again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from multiprocessing.pool import Pool
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

import monge
from benchmarks import problems
from benchmarks.peers.exact.contestants import Answer, run_pot
from benchmarks.peers.exact.report import geometric_mean
from benchmarks.peers.exact.timing import relative

# Short solves are repeated, at most so often, and while the repeats take less than so many seconds.
REPEATS, BUDGET = 5, 1.0

Array = np.typing.NDArray[Any]


def _uniform(_rng: np.random.Generator, _size: int, _mass: int) -> None:
    return None


def _random(rng: np.random.Generator, size: int, mass: int) -> Array:
    return mass * problems.weights(rng, size)


def _pareto(rng: np.random.Generator, size: int, mass: int) -> Array:
    w = rng.pareto(1.0, size) + 1e-3
    return mass * w / w.sum()


def _counts(rng: np.random.Generator, size: int, mass: int) -> Array:
    """Whole numbers, some of them zero."""
    return rng.multinomial(mass, np.full(size, 1.0 / size)).astype(float)


WEIGHTS: dict[str, Callable[[np.random.Generator, int, int], Array | None]] = {
    "uniform": _uniform,
    "random": _random,
    "Pareto": _pareto,
    "counts": _counts,
}


class Draw(NamedTuple):
    instance: problems.Instance
    words: str


def draw(seed: int, index: int, smallest: int, largest: int) -> Draw:
    rng = np.random.default_rng([seed, index])

    def size() -> int:
        return round(np.exp(rng.uniform(np.log(smallest), np.log(largest))))

    family = str(rng.choice(list(problems.FAMILIES)))
    n, other, rectangle = size(), size(), rng.random() < 0.25
    m = other if rectangle and family not in problems.SQUARE_ONLY else n
    p = problems.make(family, (n, m), int(rng.integers(2**31)))
    weights = str(rng.choice(list(WEIGHTS)))
    mass = 3 * sum(p.C.shape)
    a, b = (WEIGHTS[weights](rng, places, mass) for places in p.C.shape)
    scale, single = 10.0 ** rng.uniform(-6.0, 6.0), rng.random() < 0.5
    C = (scale * p.C).astype(np.float32 if single else np.float64)
    words = f"{p.name}, {weights} weights, costs x {scale:.1e}, {C.dtype}"
    return Draw(problems.Instance(words, C, a, b), words)


class BoundedPot:
    """POT in a process of its own, since nothing else can stop it."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self._pool: Pool | None = None

    def __call__(self, p: problems.Instance) -> Answer | None:
        """None if it takes too long."""
        if self._pool is None:
            self._pool = multiprocessing.get_context("spawn").Pool(1)
            self._pool.apply(run_pot, (problems.make("iid", 32),))
        try:
            # The patience is for the solve; the matrix has a way to go before it.
            return self._pool.apply_async(run_pot, (p,)).get(self.patience + 1.0 + 1e-8 * p.C.nbytes)
        except multiprocessing.TimeoutError:
            self.close()
            return None

    def close(self) -> None:
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None


def solve(p: problems.Instance, threads: int, limit: float) -> tuple[float, monge.Transport]:
    start = time.perf_counter()
    t = monge.emd(p.C, p.a, p.b, threads=threads, time_limit=limit)
    return time.perf_counter() - start, t


def compare(drawn: Draw, pot: BoundedPot, threads: int) -> dict[str, Any]:
    p = drawn.instance
    wide = p._replace(C=p.C.astype(np.float64))  # what POT would make of it, in its own time
    ours: list[float] = []
    theirs: list[float] = []
    answer: Answer | None = None
    t = None
    while len(ours) < REPEATS and sum(ours) + sum(theirs) < BUDGET:
        seconds, t = solve(p, threads, pot.patience)
        ours.append(seconds)
        answer = pot(wide)
        theirs.append(pot.patience if answer is None else answer.seconds)
    assert t is not None
    return {
        "words": drawn.words,
        "seconds": {"monge": statistics.median(ours), "pot": statistics.median(theirs)},
        "ratio": statistics.median(theirs) / statistics.median(ours),
        "at_least": answer is None,
        "gap": relative(t.gap, p, t.value),
        "difference": None if answer is None else relative(answer.value - t.value, p, t.value),
        "stats": t.stats,
    }


def line(index: int, row: dict[str, Any]) -> str:
    seconds, stats, more = row["seconds"], row["stats"], ">" if row["at_least"] else " "
    difference = "-" if row["difference"] is None else f"{row['difference']:.0e}"
    return (
        f"{index:5d}{seconds['monge']:9.4f}{more}{seconds['pot']:9.4f}{more}{row['ratio']:6.1f}x{row['gap']:9.0e}"
        f"{difference:>9}{stats['pivots']:9d}{stats['sweeps']:7d}  {row['words']}"
    )


def draws(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row of results for each draw, printed as they come, and a summary."""
    rows = []
    monge.emd(problems.make("iid", 300).C, threads=options.threads)
    pot = BoundedPot(options.patience)
    print("seconds: medians; gap, off by: relative to the value; >: POT was stopped")
    print(f"{'draw':>5}{'monge':>9}{'POT':>10}{'ratio':>9}{'gap':>9}{'off by':>9}{'pivots':>9}{'sweeps':>7}")
    try:
        with tqdm(range(options.first, options.first + options.draws), desc="draws", unit="") as bar:
            for index in bar:
                rows.append(compare(draw(options.seed, index, *options.between), pot, options.threads))
                tqdm.write(line(index, rows[-1]))
    finally:
        pot.close()
    print(summary(rows, options.first))
    return rows


def summary(rows: list[dict[str, Any]], first: int) -> str:
    ratios = [row["ratio"] for row in rows]
    order = sorted(range(len(rows)), key=ratios.__getitem__)
    differences = [row["difference"] for row in rows if row["difference"] is not None]
    return "\n".join(
        [
            "",
            f"POT takes {geometric_mean(ratios):.1f} times as long in the geometric mean of {len(rows)} draws; "
            f"monge is slower in {sum(ratio < 1.0 for ratio in ratios)}",
            "the least ratios:",
            *(line(first + k, rows[k]) for k in order[:5]),
            f"largest relative gap of monge {max(row['gap'] for row in rows):.0e}, "
            f"largest difference of values {max(differences, default=float('nan')):.0e}",
        ]
    )
