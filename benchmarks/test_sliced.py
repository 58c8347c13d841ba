"""Sliced distances, for pytest-benchmark: `pytest benchmarks/test_sliced.py`."""

from __future__ import annotations

import numpy as np
import pytest

import monge

N, D = 20_000, 10

pytestmark = pytest.mark.benchmark(group="sliced")


@pytest.fixture(scope="module")
def clouds():
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, D)), rng.normal(0.1, 1.0, size=(N, D)), rng.random(N)


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True], ids=["uniform", "weighted"])
def test_value(benchmark, clouds, p, weighted):
    x, y, a = clouds
    loss = benchmark(monge.sliced_wasserstein, x, y, a / a.sum() if weighted else None, p=p, rng=0)
    assert loss > 0.0


@pytest.mark.parametrize("weighted", [False, True], ids=["uniform", "weighted"])
def test_value_and_gradient(benchmark, clouds, weighted):
    x, y, a = clouds
    grad = benchmark(lambda: monge.sliced_wasserstein(x, y, a / a.sum() if weighted else None, rng=0).grad_x)
    assert np.isfinite(grad).all()


def test_sorts(benchmark, clouds):
    """What the others are measured against: the same projections, sorted by NumPy on one thread."""
    theta = monge.sliced_wasserstein(*clouds[:2], rng=0).directions
    benchmark(lambda: [np.sort(points @ theta.T, axis=0) for points in clouds[:2]])


@pytest.mark.parametrize(("n", "d"), [(64, 2), (256, 32)])
def test_small(benchmark, n, d):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    benchmark(lambda: monge.sliced_wasserstein(x, y, rng=0, n_projections=50).grad_x)


def test_max_sliced(benchmark):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 100))
    loss = benchmark(monge.max_sliced_wasserstein, x, x + 2.0 * np.eye(100)[0], rng=0)
    benchmark.extra_info["of 2"] = float(loss)
    assert loss >= 1.99


def test_plan(benchmark, clouds):
    x, y, _ = clouds
    t = benchmark(monge.sliced_plan, x, y, rng=0)
    benchmark.extra_info["gap"] = t.gap / t.cost
    assert t.marginal_error < 1e-12
