"""Timings of the exact solver: `pytest benchmarks`, or `pytest benchmarks --benchmark-disable` for a smoke run.

Each case states the accuracy that was reached beside the time, as extra_info.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import monge
from benchmarks import problems

SHAPES = [(8, 8), (32, 32), (200, 200), (1000, 1000), (50, 2000), (2000, 50)]


def run(benchmark: Any, cost: Any, p: problems.Instance) -> None:
    t = benchmark(monge.emd, cost, p.a, p.b, threads=1)
    scale = abs(t.value) or 1.0
    assert t.converged
    assert t.gap <= 1e-12 * scale
    benchmark.extra_info.update(relative_gap=t.gap / scale, pivots=t.stats["pivots"], sweeps=t.stats["sweeps"])


@pytest.mark.parametrize("family", problems.GROUPS["main"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape[0]}x{shape[1]}")
def test_emd(benchmark: Any, family: str, shape: tuple[int, int]) -> None:
    if family in problems.SQUARE_ONLY and (shape[0] != shape[1] or shape[0] < 200):
        pytest.skip("images are square, and blank below 14 x 14 pixels")
    p = problems.make(family, shape)
    run(benchmark, p.C, p)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_emd_by_type(benchmark: Any, dtype: str) -> None:
    p = problems.make("weighted2d", 1000)
    run(benchmark, p.C.astype(dtype), p)


def test_emd_on_points(benchmark: Any) -> None:
    rng = np.random.default_rng(0)
    p = problems.make("weighted2d", 500)
    run(benchmark, monge.PointCloud(rng.random((500, 2)), rng.random((500, 2))), p)


def test_warm_start(benchmark: Any) -> None:
    """From the potentials of the answer: what is left is the certificate."""
    p = problems.make("weighted2d", 1000)
    start = monge.emd(p.C, p.a, p.b)
    t = benchmark(monge.emd, p.C, p.a, p.b, init=start, threads=1)
    assert t.converged
