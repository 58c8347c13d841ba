"""The line and the circle, for pytest-benchmark: `pytest benchmarks/test_univariate.py`."""

from __future__ import annotations

import numpy as np
import pytest

import monge

N = 50_000

pytestmark = pytest.mark.benchmark(group="line and circle")


@pytest.fixture(scope="module")
def measures():
    rng = np.random.default_rng(0)
    x, y, a, b = rng.normal(size=N), rng.normal(1.0, 2.0, size=N), rng.random(N), rng.random(N)
    return x, y, a / a.sum(), b / b.sum()


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True], ids=["uniform", "weighted"])
@pytest.mark.parametrize("period", [None, 10.0], ids=["line", "circle"])
def test_wasserstein_1d(benchmark, measures, p, weighted, period):
    x, y, *weights = measures
    w = benchmark(monge.wasserstein_1d, x, y, *(weights if weighted else ()), p=p, period=period)
    assert w > 0.0


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True], ids=["uniform", "weighted"])
@pytest.mark.parametrize("period", [None, 10.0], ids=["line", "circle"])
def test_emd_1d(benchmark, measures, p, weighted, period):
    x, y, *weights = measures
    t = benchmark(monge.emd_1d, x, y, *(weights if weighted else ()), p=p, period=period)
    benchmark.extra_info["relative gap"] = t.gap / t.value
    assert t.gap <= 1e-12 * t.value


def test_two_sorts(benchmark, measures):
    """What the others are measured against."""
    x, y, *_ = measures
    benchmark(lambda: (np.sort(x), np.sort(y)))


@pytest.mark.parametrize("n", [10, 1000])
def test_small(benchmark, n):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=n), rng.normal(size=n)
    benchmark(monge.wasserstein_1d, x, y)
