"""Exact transport between minibatches against a loop of POT, on one thread; and what the estimator is held to.

    python -m benchmarks.samples.minibatch
    python -m benchmarks.samples.minibatch --smoke

Pairs of batches of 10 to 1000 points of two clouds of 100,000 in 3-D, and of 500 in 784-D. POT's loop, of `dist` and
`emd2` on pairs that NumPy draws, is what its users write; the plan takes `emd` instead, which the second ratio is to.
Both alternate, and the least time counts. Beside the times, how far the means of both are apart, in standard errors:
they draw different pairs. Then the laws: the marginals' error over k, the deviation of epochs beside that of
independent pairs, the plan on the line beside enumeration, and the identity of translations.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import time
from collections.abc import Callable
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # before NumPy is imported: its products of matrices, too, on one thread

import numpy as np  # noqa: E402

import monge  # noqa: E402

# Points of a batch: pairs, and the ratio that is wanted.
SIZES = {10: (2000, None), 100: (400, None), 256: (100, 3.0), 1000: (8, 9.0)}


def pot_loop(x: np.ndarray, y: np.ndarray, m: int, k: int, *, plans: bool) -> float:
    """The mean over k pairs of batches."""
    import ot

    rng, uniform, total = np.random.default_rng(0), np.full(m, 1.0 / m), 0.0
    for _ in range(k):
        i, j = (rng.choice(len(points), m, replace=False, shuffle=False) for points in (x, y))
        cost = ot.dist(x[i], y[j])
        total += float((ot.emd(uniform, uniform, cost) * cost).sum()) if plans else ot.emd2(uniform, uniform, cost)
    return total / k


def timed(functions: list[Callable[[], Any]], repeats: int) -> tuple[list[float], list[Any]]:
    """The least seconds of each, one after the other in every round, and what they last returned."""
    seconds, found = [math.inf] * len(functions), [None] * len(functions)
    for _ in range(repeats):
        for at, function in enumerate(functions):
            start = time.perf_counter()
            found[at] = function()
            seconds[at] = min(seconds[at], time.perf_counter() - start)
    return seconds, found


def against_pot(n: int, d: int, m: int, k: int, wanted: float | None, repeats: int) -> None:
    import ot  # noqa: F401 - not in the time of the first round

    rng = np.random.default_rng(0)
    x, y = rng.random((n, d)), rng.random((n, d)) ** 2
    functions = [
        lambda: monge.minibatch(x, y, batch_size=m, n_batches=k, rng=0, n_jobs=1),
        lambda: pot_loop(x, y, m, k, plans=False),
        lambda: pot_loop(x, y, m, k, plans=True),
    ]
    (ours, values, plans), found = timed(functions, repeats)
    apart = (found[0] - found[1]) / (found[0].standard_error * 2**0.5)
    print(
        f"{d:4}-D m = {m:5}, {k:5} pairs: monge {1e6 * ours / k:9.1f} us a pair, POT emd2 {1e6 * values / k:9.1f}, "
        f"emd {1e6 * plans / k:9.1f}; ratio {values / ours:5.1f} and {plans / ours:5.1f}"
        + (f", wanted {wanted:g}" if wanted else "")
        + f"; means {apart:+.1f} standard errors apart"
    )


def marginals(k: int) -> None:
    rng, n = np.random.default_rng(0), 1000
    x = rng.normal(size=(n, 2))
    for m in (10, 50, 100):
        plan = monge.minibatch(x, x + 1.0, batch_size=m, n_batches=k, rng=m).plan
        error = sum(float(np.abs(plan.sum(axis=axis) - 1.0 / n).sum()) for axis in (0, 1))
        law = 2.0 * math.sqrt(2.0 * n * (1.0 - m / n) / (math.pi * m * k))
        print(f"marginals, n = {n}, m = {m}, k = {k}: {error:.4f}, law {law:.4f}, {error / law - 1:+.1%}, wanted 5 %")


def deviations(repeats: int) -> None:
    rng = np.random.default_rng(0)
    for apart in (0.0, 0.5, 1.0, 3.0):
        x, y = rng.normal(size=(2, 800, 2))
        y += apart
        found = [
            np.std([monge.minibatch(x, y, batch_size=50, rng=seed, **options) for seed in range(repeats)])
            for options in ({"epochs": 1}, {"n_batches": 16})
        ]
        print(
            f"deviation at k = 16, clouds {apart:g} apart: epochs {found[0]:.4f}, pairs {found[1]:.4f}, "
            f"ratio {found[0] / found[1]:.2f}" + (", wanted 0.5" if apart >= 0.5 else "")
        )


def identities() -> None:
    rng = np.random.default_rng(0)
    x, y = np.sort(rng.normal(size=(2, 6)))
    for replace in (False, True):
        each = list(itertools.product(range(6), repeat=3) if replace else itertools.combinations(range(6), 3))
        plan = np.zeros((6, 6))
        for rows, columns in itertools.product(each, each):
            for i, j in zip(sorted(rows), sorted(columns), strict=True):
                plan[i, j] += 1.0 / (3 * len(each) ** 2)
        found = monge.minibatch(x, y, batch_size=3, n_batches="all", replace=replace).plan.toarray()
        kind = "with" if replace else "without"
        print(f"plan on the line, {kind} replacement: {np.abs(found - plan).max():.1e} from enumeration, wanted 1e-14")
    x, t = rng.normal(size=(6, 2)), np.array([3.0, 4.0])
    moved, itself = (monge.minibatch(x, x + by, batch_size=3, n_batches="all") for by in (t, 0.0))
    print(f"translation, 2-D, complete: {abs(moved - itself - 25.0):.1e}, wanted 1e-12")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="a few small batches, in a few seconds")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of each time (default: 5)")
    options = parser.parse_args()
    if options.smoke:
        against_pot(2000, 3, 10, 100, None, 1)
        against_pot(2000, 3, 100, 10, None, 1)
        marginals(20)
        identities()
        return
    for m, (k, wanted) in SIZES.items():
        against_pot(100_000, 3, m, k, wanted, options.repeats)
    against_pot(5000, 784, 500, 8, None, options.repeats)
    marginals(1000)
    deviations(60)
    identities()


if __name__ == "__main__":
    main()
