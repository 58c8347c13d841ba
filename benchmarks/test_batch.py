"""Timings of many problems at once: `pytest benchmarks`; `python -m benchmarks.test_batch` prints the ratios to POT."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import monge
from benchmarks import problems
from benchmarks.guard.counters import counters

pytestmark = pytest.mark.benchmark(group="batch")


def batch(count: int, n: int) -> tuple[Any, Any, Any]:
    """(costs (count, n, n), a (count, n), b (count, n))."""
    _, costs, a, b = zip(*(problems.make("weighted2d", n, seed) for seed in range(count)), strict=True)
    return np.stack(costs), np.stack(a), np.stack(b)


def state_accuracy(benchmark: Any, answers: list[monge.Transport]) -> None:
    gap = max(t.gap / t.value for t in answers)
    assert gap <= 1e-12
    benchmark.extra_info.update(counters(answers), relative_gap=gap)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n", [8, 32, 128])
def test_array(benchmark: Any, n: int, threads: int) -> None:
    state_accuracy(benchmark, benchmark(monge.emd, *batch(200, n), threads=threads))


@pytest.mark.parametrize("threads", [1, 2])
def test_sizes_differ(benchmark: Any, threads: int) -> None:
    sizes = np.random.default_rng(0).integers(4, 100, (200, 2))
    _, costs, a, b = zip(*(problems.make("weighted2d", tuple(size)) for size in sizes), strict=True)
    state_accuracy(benchmark, benchmark(monge.emd, costs, a, b, threads=threads))


@pytest.mark.parametrize("threads", [1, 2])
def test_pairwise_of_clouds(benchmark: Any, threads: int) -> None:
    clouds = np.random.default_rng(0).random((30, 40, 2))
    D = benchmark(monge.pairwise, clouds, threads=threads)
    assert abs(D[0, 1] - monge.wasserstein(clouds[0], clouds[1])) <= 1e-14


@pytest.mark.parametrize("threads", [1, 2])
def test_pairwise_of_histograms(benchmark: Any, threads: int) -> None:
    (C, *_), h, _ = batch(30, 64)
    D = benchmark(monge.pairwise, h / h.sum(axis=1, keepdims=True), cost=C, threads=threads)
    assert D.min() >= 0.0


def compare(count: int, n: int, repeat: int = 5) -> None:
    """Loops of ot.emd and of monge.emd and batches, in turns: median seconds, ratios, the largest difference."""
    import ot

    costs, a, b = batch(count, n)
    runs: dict[str, Callable[[], list[float]]] = {
        "POT, a loop": lambda: [ot.emd2(*p) for p in zip(a, b, costs, strict=True)],
        "monge, a loop": lambda: [monge.emd(*p, threads=1).value for p in zip(costs, a, b, strict=True)],
        "monge, 1 thread": lambda: [t.value for t in monge.emd(costs, a, b, threads=1)],
        "monge, 2 threads": lambda: [t.value for t in monge.emd(costs, a, b, threads=2)],
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    values: dict[str, list[float]] = {}
    for _ in range(repeat):
        for name, run in runs.items():
            start = time.perf_counter()
            values[name] = run()
            seconds[name].append(time.perf_counter() - start)
    reference = statistics.median(seconds["POT, a loop"])
    for name in runs:
        median = statistics.median(seconds[name])
        difference = np.abs(np.divide(values[name], values["POT, a loop"]) - 1.0).max()
        print(f"{count} of n = {n:4}  {name:18} {median:8.3f} s  {reference / median:6.2f}x  off by {difference:.0e}")


if __name__ == "__main__":
    for n in (8, 32, 128):
        compare(1000, n)
