"""Barycenters whose points move, beside POT's: seconds to the same value.

    python -m benchmarks.structures.free [--smoke] [--threads 1]

20 clouds of 500 points in three dimensions, on ellipsoids turned at random; 500 points of the barycenter begin at the
same places for both. POT's iteration is taken step by step, and the value at each step computed by `monge.emd`, outside
of the time. Both are timed to the first step whose value is within 1e-5 of the lower of the two ends. Wanted: ten
times as fast. Then what the start from pairwise transports leads to, k-means, the line, and normal distributions.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import monge

WANTED, CLOSE = 10.0, 1e-5


def ellipsoids(k: int, n: int, rng: np.random.Generator) -> list[Any]:
    clouds = []
    for _ in range(k):
        z = rng.normal(size=(n, 3))
        z /= np.linalg.norm(z, axis=1, keepdims=True)
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        clouds.append((z * rng.uniform(0.5, 2.0, size=3)) @ turn + rng.normal(size=3))
    return clouds


def value(x: Any, clouds: list[Any]) -> float:
    return float(np.mean([monge.emd(monge.PointCloud(x, y)).value for y in clouds]))


def seconds(call: Callable[[], Any], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return min(taken)


def peer(clouds: list[Any], x0: Any, threads: int) -> tuple[list[float], list[float]]:
    """Seconds up to each step of POT's iteration, and the values there, until the points stand still."""
    import ot

    masses = [np.full(len(y), 1.0 / len(y)) for y in clouds]
    x, taken, values = x0.copy(), [0.0], [value(x0, clouds)]
    while len(values) <= 100:
        begin = time.perf_counter()
        after = ot.lp.free_support_barycenter(clouds, masses, x.copy(), numItermax=1, numThreads=threads)
        taken.append(taken[-1] + time.perf_counter() - begin)
        values.append(value(after, clouds))
        if float(((after - x) ** 2).sum()) <= 1e-7:
            break
        x = after
    return taken, values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="5 clouds of 60 points")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    smoke, threads = arguments.smoke, arguments.threads
    k, n, repeats = (5, 60, 1) if smoke else (20, 500, 3)
    rng = np.random.default_rng(0)
    clouds, x0 = ellipsoids(k, n, rng), rng.normal(size=(n, 3))
    warnings.simplefilter("ignore", monge.ConvergenceWarning)  # of runs that are cut short, to be timed

    def ours(steps: int) -> Any:
        return monge.free_barycenter(clouds, init=x0, max_iter=steps, threads=threads)

    taken, theirs = peer(clouds, x0, threads)
    whole = ours(300)
    goal = min(min(theirs), whole.value) * (1.0 + CLOSE)
    print(f"{k} clouds of {n} points in 3-D, {threads} threads")
    at_peer = next((q for q, v in enumerate(theirs) if v <= goal), None)
    at_ours = next((q for q, v in enumerate(whole.values) if v <= goal), None)
    print(f"  POT    {taken[-1]:8.2f} s, {len(theirs) - 1} steps, value {theirs[-1]:.8f}")
    print(f"  monge  {seconds(lambda: ours(300), repeats):8.2f} s, {whole.iterations} steps, value {whole.value:.8f}")
    if at_peer is None or at_ours is None:
        print(f"  value {goal:.6f}: not reached by {'POT' if at_peer is None else 'monge'}")
    else:
        us = seconds(lambda: ours(max(at_ours, 1)), repeats)
        ratio = taken[at_peer] / us
        print(f"  to the value {goal:.6f}: POT {taken[at_peer]:.2f} s ({at_peer} steps), monge {us:.3f} s ({at_ours})")
        print(f"  found {ratio:.1f}x, wanted {WANTED:g}x")
    begin = time.perf_counter()
    gap = whole.gap
    print(f"  gap {gap:.3g}, {100.0 * gap / whole.value:.2f} % of the value, in {time.perf_counter() - begin:.2f} s")
    begin = time.perf_counter()
    found = monge.free_barycenter(clouds, threads=threads)
    print(f"  from pairs: {time.perf_counter() - begin:.2f} s, value {found.value:.6f}, gap {found.gap:.3g}")

    x = rng.normal(size=(2_000 if smoke else 100_000, 2))
    begin = time.perf_counter()
    found = monge.free_barycenter([x], n_points=20, free_masses=True, rng=0, threads=threads, max_iter=100)
    print(f"k-means, {len(x)} points, 20 clusters: {time.perf_counter() - begin:.2f} s, {found.iterations} steps")
    line = [rng.normal(size=len(x)) * rng.random() + rng.normal() for _ in range(5 if smoke else 50)]
    begin = time.perf_counter()
    found = monge.free_barycenter(line)
    print(f"the line, {len(line)} measures of {len(x)} points: {time.perf_counter() - begin:.2f} s")
    d, count = (5, 4) if smoke else (50, 20)
    roots = rng.normal(size=(count, d, d))
    covs, means = roots @ np.swapaxes(roots, 1, 2), rng.normal(size=(count, d))
    us = seconds(lambda: monge.gaussian_barycenter(means, covs), repeats)
    print(
        f"{count} normal distributions in {d}-D: {us:.3f} s, {monge.gaussian_barycenter(means, covs).iterations} steps"
    )


if __name__ == "__main__":
    main()
