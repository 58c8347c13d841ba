"""The lazy plan of an entropic problem does what its array would."""

from __future__ import annotations

import numpy as np
import pytest

import monge


@pytest.fixture(params=["matrix", "points"])
def t(request):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 2)), rng.normal(size=(40, 2))
    cloud = monge.PointCloud(x, y)
    cost = cloud if request.param == "points" else ((x[:, None] - y) ** 2).sum(-1)
    return monge.sinkhorn(cost, rng.dirichlet(np.ones(30)), rng.dirichlet(np.ones(40)), eps=0.3, tol=1e-6)


def test_products(t):
    P, rng = t.plan.toarray(), np.random.default_rng(1)
    u, v, U, V = rng.random(30), rng.random(40), rng.random((3, 30)), rng.random((40, 3))
    np.testing.assert_allclose(t.plan @ v, P @ v, rtol=1e-13)
    np.testing.assert_allclose(t.plan @ V, P @ V, rtol=1e-13)
    np.testing.assert_allclose(u @ t.plan, u @ P, rtol=1e-13)
    np.testing.assert_allclose(U @ t.plan, U @ P, rtol=1e-13)
    np.testing.assert_allclose(t.plan.T @ u, P.T @ u, rtol=1e-13)
    with pytest.raises(ValueError, match="40 rows"):
        t.plan @ u


def test_looks(t):
    P = t.plan.toarray()
    assert t.plan.shape == P.shape == (30, 40)
    np.testing.assert_allclose(np.asarray(t.plan), P)
    np.testing.assert_allclose(t.plan.T.toarray(), P.T, rtol=1e-12)
    np.testing.assert_allclose(t.plan[3], P[3])
    np.testing.assert_allclose(t.plan[-2:], P[-2:])
    np.testing.assert_allclose(t.plan[[5, 1]], P[[5, 1]])
    np.testing.assert_allclose(t.plan[np.arange(30) % 2 == 0], P[::2])
    assert t.plan.sum() == pytest.approx(P.sum())
    np.testing.assert_allclose(t.plan.sum(axis=0), P.sum(axis=0))
    np.testing.assert_allclose(t.plan.sum(axis=1), P.sum(axis=1))
    assert "eps=0.3" in repr(t.plan)
    with pytest.raises(IndexError):
        t.plan[30]
    with pytest.raises(TypeError, match="whole rows"):
        t.plan[1, 2]
    with pytest.raises(ValueError, match="axis"):
        t.plan.sum(axis=2)


def test_top(t):
    P = t.plan.toarray()
    top = t.plan.top(3).toarray()
    assert ((top > 0).sum(axis=1) == 3).all()
    np.testing.assert_allclose(np.sort(top, axis=1)[:, -3:], np.sort(P, axis=1)[:, -3:])
    np.testing.assert_allclose(t.plan.top(40).toarray(), P)
    for k in (0, 41, 1.5):
        with pytest.raises(ValueError, match="k should be"):
            t.plan.top(k)


def test_map(t):
    y = np.random.default_rng(0).random((40, 2))
    P = t.plan.toarray()
    np.testing.assert_allclose(t.map(y), P @ y / P.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(t.map(y[:, 0]), P @ y[:, 0] / P.sum(axis=1))


def test_no_array_of_all_pairs(monkeypatch):
    # Blocks are as large as cache, not as the plan.
    largest = []
    plan = sys_modules_plan()
    original = plan.cost_block

    def watched(cost, rows):
        block = original(cost, rows)
        largest.append(block.size)
        return block

    monkeypatch.setattr(plan, "cost_block", watched)
    x = np.random.default_rng(0).random((3000, 2))
    t = monge.sinkhorn(monge.PointCloud(x, x), eps=0.5)
    assert t.marginal_error < 1e-3
    assert max(largest) <= 2**19


def sys_modules_plan():
    from monge.entropic import plan

    return plan
