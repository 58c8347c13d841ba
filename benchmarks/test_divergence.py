"""Timings of Sinkhorn divergences, and of their gradients: `pytest benchmarks/test_divergence.py`."""

from __future__ import annotations

from typing import Any

import pytest

import monge
from benchmarks.divergence_problems import PROBLEMS
from benchmarks.guard.counters import counters

pytestmark = pytest.mark.benchmark(group="divergence")


@pytest.mark.parametrize("name", PROBLEMS)
def test_value(benchmark: Any, name: str) -> None:
    found = benchmark(monge.sinkhorn_divergence, threads=1, **PROBLEMS[name]())
    losses = found if isinstance(found, list) else [found]
    assert all(loss.converged for loss in losses)
    errors = [t.marginal_error for loss in losses for t in loss.terms]
    assert max(errors) <= 1.01e-3
    benchmark.extra_info.update(counters(t for loss in losses for t in loss.terms), marginal_error=max(errors))


@pytest.mark.parametrize("name", ["call 16", "stored 1000", "near 3000", "batch of 64"])
def test_with_gradient(benchmark: Any, name: str) -> None:
    problem = PROBLEMS[name]()

    def run() -> Any:
        found = monge.sinkhorn_divergence(threads=1, **problem)
        return [loss.grad_x for loss in (found if isinstance(found, list) else [found])]

    assert all(abs(slopes.sum()) < 10.0 for slopes in benchmark(run))
