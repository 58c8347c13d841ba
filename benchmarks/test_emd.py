"""Timings of the exact solver: `pytest benchmarks`, or `pytest benchmarks --benchmark-disable` for a smoke run.

Each case states the accuracy that was reached, and its counters, beside the time, as extra_info.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import monge
from benchmarks import problems
from benchmarks.guard.counters import counters

SHAPES = [(8, 8), (32, 32), (200, 200), (1000, 1000), (50, 2000), (2000, 50)]
CASES = [
    (family, shape)
    for shape in SHAPES
    for family in problems.GROUPS["main"]
    # Images are square, and blank below 14 x 14 pixels.
    if family not in problems.SQUARE_ONLY or (shape[0] == shape[1] and shape[0] >= 200)
]
LARGE = [(family, (n, n)) for family in ("uniform2d", "image") for n in (2000, 4000)]

pytestmark = pytest.mark.benchmark(group="exact")


def run(benchmark: Any, cost: Any, p: problems.Instance) -> None:
    t = benchmark(monge.emd, cost, p.a, p.b, threads=1)
    scale = abs(t.value) or 1.0
    assert t.converged
    assert t.gap <= 1e-12 * scale
    benchmark.extra_info.update(counters([t]), relative_gap=t.gap / scale)


def shape_id(shape: Any) -> str | None:
    return f"{shape[0]}x{shape[1]}" if isinstance(shape, tuple) else None


@pytest.mark.parametrize(("family", "shape"), CASES, ids=shape_id)
def test_emd(benchmark: Any, family: str, shape: tuple[int, int]) -> None:
    p = problems.make(family, shape)
    run(benchmark, p.C, p)


@pytest.mark.large
@pytest.mark.parametrize(("family", "shape"), LARGE, ids=shape_id)
def test_large(benchmark: Any, family: str, shape: tuple[int, int]) -> None:
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
    benchmark.extra_info.update(counters([t]))
