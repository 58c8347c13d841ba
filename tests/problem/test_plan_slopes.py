"""Derivatives of the cost of a plan with respect to points: differences, and what many dimensions do otherwise."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import monge
from monge.problem.ground import as_ground
from monge.problem.plan_slopes import plan_slopes

COSTS = ["sqeuclidean", "euclidean", ("euclidean", 1.5), "cosine", "cityblock"]


@pytest.mark.parametrize("cost", COSTS, ids=str)
@pytest.mark.parametrize("d", [2, 40])
def test_finite_differences(cost, d):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, d)), rng.normal(size=(4, d))
    rows, columns, mass = rng.integers(5, size=12), rng.integers(4, size=12), rng.random(12)  # some places repeat
    ground = as_ground(cost)

    def value(x, y):
        return float(mass @ ground.pairs(x[rows], y[columns]))

    found = plan_slopes(ground, x, y, (rows, columns, mass))
    assert [slopes.shape for slopes in found] == [(5, d), (4, d)]
    (alone,) = plan_slopes(ground, x, y, (rows, columns, mass), sides=(1,))
    np.testing.assert_array_equal(alone, found[1])
    for step in (rng.normal(size=x.shape), 0.0), (0.0, rng.normal(size=y.shape)):
        h = 1e-6
        wanted = (value(x + h * step[0], y + h * step[1]) - value(x - h * step[0], y - h * step[1])) / (2.0 * h)
        np.testing.assert_allclose(sum((s * g).sum() for s, g in zip(step, found, strict=True)), wanted, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("far", [0.0, 1e4])
@pytest.mark.parametrize("height", [7, 1000])
def test_a_product_says_what_differences_say(dtype, far, height, monkeypatch):
    monkeypatch.setattr("monge.problem.plan_slopes._IN_CACHE", 50 * height)
    rng = np.random.default_rng(1)
    x, y = ((rng.normal(size=(n, 50)) + far).astype(dtype) for n in (30, 20))
    entries = rng.integers(30, size=60), rng.integers(20, size=60), rng.random(60)
    apart = 2.0 * (x.astype(float)[entries[0]] - y[entries[1]])
    wanted = plan_slopes(SimpleNamespace(derivatives=lambda *_: (apart, -apart)), x, y, entries)
    for found, right in zip(plan_slopes(as_ground("sqeuclidean"), x, y, entries), wanted, strict=True):
        np.testing.assert_allclose(found, right, atol=1e-13 * (1.0 + far))


def test_some_entries_at_a_time(monkeypatch):
    rng = np.random.default_rng(3)
    x, y, entries = (
        rng.normal(size=(5, 3)),
        rng.normal(size=(4, 3)),
        (np.arange(20) % 5, np.arange(20) % 4, np.ones(20)),
    )
    whole = plan_slopes(as_ground("euclidean"), x, y, entries)
    monkeypatch.setattr("monge.problem.plan_slopes._AT_ONCE", 3 * 7)
    for part, all_at_once in zip(plan_slopes(as_ground("euclidean"), x, y, entries), whole, strict=True):
        np.testing.assert_allclose(part, all_at_once, rtol=1e-14)


def test_where_points_meet_it_is_zero():
    x = np.random.default_rng(2).normal(size=(20, 100)) + 1e6
    np.testing.assert_array_equal(monge.emd(monge.PointCloud(x, x[::-1])).grad_x, 0.0)
