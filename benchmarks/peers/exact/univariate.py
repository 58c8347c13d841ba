"""The line and the circle beside sorting, POT and SciPy, in one run.

    python -m benchmarks.peers.exact.univariate [points]

Every row is timed in turn with two calls of np.sort on the same points, so that a busy machine slows both. The figures
are medians; the error is relative, between the answers of monge and of the peer.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import ot
from scipy.stats import wasserstein_distance

import monge

REPEATS = 7


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = call()
    return time.perf_counter() - begin, result


def main(n: int) -> None:
    rng = np.random.default_rng(0)
    x, y, a, b = rng.normal(size=n), rng.normal(1.0, 2.0, size=n), rng.random(n), rng.random(n)
    a, b = a / a.sum(), b / b.sum()
    turns_x, turns_y = x % 10.0 / 10.0, y % 10.0 / 10.0
    peers: dict[str, Callable[[], Any]] = {
        "SciPy wasserstein_distance": lambda: wasserstein_distance(x, y),
        "SciPy, weights": lambda: wasserstein_distance(x, y, a, b),
        "POT emd2_1d": lambda: ot.emd2_1d(x, y, metric="cityblock"),
        "POT emd2_1d, weights": lambda: ot.emd2_1d(x, y, a, b, metric="cityblock"),
        "POT wasserstein_1d, p=2": lambda: ot.wasserstein_1d(x, y, p=2) ** 0.5,
        "POT wasserstein_1d, p=2, weights": lambda: ot.wasserstein_1d(x, y, a, b, p=2) ** 0.5,
        "POT emd_1d, plan, weights": lambda: ot.emd_1d(x, y, a, b, metric="cityblock", dense=False, log=True)[1][
            "cost"
        ],
        "POT wasserstein_circle, p=1": lambda: 10.0 * float(ot.wasserstein_circle(turns_x, turns_y, p=1)[0]),
    }
    ours: list[tuple[str, Callable[[], Any], str | None]] = [
        ("wasserstein_1d", lambda: monge.wasserstein_1d(x, y), "SciPy wasserstein_distance"),
        ("wasserstein_1d, one thread", lambda: monge.wasserstein_1d(x, y, threads=1), "POT emd2_1d"),
        ("wasserstein_1d, weights", lambda: monge.wasserstein_1d(x, y, a, b), "SciPy, weights"),
        ("  one thread", lambda: monge.wasserstein_1d(x, y, a, b, threads=1), "POT emd2_1d, weights"),
        ("wasserstein_1d, p=2", lambda: monge.wasserstein_1d(x, y, p=2), "POT wasserstein_1d, p=2"),
        (
            "wasserstein_1d, p=2, weights",
            lambda: monge.wasserstein_1d(x, y, a, b, p=2),
            "POT wasserstein_1d, p=2, weights",
        ),
        ("wasserstein_1d, p=3, weights", lambda: monge.wasserstein_1d(x, y, a, b, p=3), None),
        ("emd_1d", lambda: monge.emd_1d(x, y).value, "POT emd2_1d"),
        ("emd_1d, weights", lambda: monge.emd_1d(x, y, a, b).value, "POT emd_1d, plan, weights"),
        ("wasserstein_1d, circle", lambda: monge.wasserstein_1d(x, y, period=10.0), "POT wasserstein_circle, p=1"),
        ("wasserstein_1d, circle, p=2, weights", lambda: monge.wasserstein_1d(x, y, a, b, p=2, period=10.0), None),
    ]
    theirs = {name: seconds(call) for name, call in peers.items()}
    print(f"{n} points on each side")
    print(f"{'':38}{'ms':>8}{'/ 2 np.sort':>13}   {'peer':34}{'ms':>8}{'ratio':>8}{'error':>10}")
    for name, call, peer in ours:
        times, sorts = [], []
        for _ in range(REPEATS):
            sorts.append(seconds(lambda: (np.sort(x), np.sort(y)))[0])
            spent, value = seconds(call)
            times.append(spent)
        mine = statistics.median(times)
        line = f"{name:38}{1e3 * mine:8.1f}{mine / statistics.median(sorts):13.2f}   "
        if peer is not None:
            spent, expected = theirs[peer]
            error = abs(value - float(expected)) / abs(value)
            line += f"{peer:34}{1e3 * spent:8.1f}{spent / mine:8.1f}{error:10.1e}"
        print(line.rstrip())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
