"""The lazy plan of an entropic problem does what its array would."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.special import rel_entr

import monge
from monge.entropic.kernels.native import NativePairs
from monge.entropic.kernels.threads import Threads
from monge.entropic.marginals import Balanced
from monge.entropic.plan import LazyPlan


def native(cost, a, b):
    return NativePairs(cost, a, b, (Balanced(), Balanced()), Threads(2))


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


def test_no_array_of_all_pairs():
    x = np.random.default_rng(0).random((3000, 2))
    t = monge.sinkhorn(monge.PointCloud(x, x), eps=0.5)
    tracemalloc.start()
    try:
        assert t.marginal_error < 1e-3
        assert t.gap < 1e-2
        t.map(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3000 * 3000 * 8 / 2


@pytest.mark.parametrize("kind", ["float32", "turned", "strided", "clouds", "many coordinates", "forbidden"])
def test_every_form_of_cost(kind):
    # Against entries computed from the whole matrix; as many as several chunks and blocks hold.
    rng = np.random.default_rng(0)
    n, m, d = 700, 1100, 20 if kind == "many coordinates" else 3
    x, y = rng.normal(size=(n, d)) + 5.0, rng.normal(size=(m, d)) + 5.0
    C = ((x[:, None] - y) ** 2).sum(-1)
    cost = monge.PointCloud(x, y)
    if kind == "float32":
        C = C.astype(np.float32)
        cost = monge.CostMatrix(C)
    elif kind == "turned":
        cost = monge.CostMatrix(np.asfortranarray(C))
    elif kind == "strided":
        cost = monge.CostMatrix(np.repeat(C, 2, axis=1)[:, ::2])
    elif kind == "forbidden":
        C[rng.random((n, m)) < 0.3] = np.inf
        cost = monge.CostMatrix(C)
    a, b, eps = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m)), 2.0
    f, g = rng.random(n), rng.random(m)
    pairs = native(cost, a, b)
    plan = LazyPlan(pairs, f, g, eps)
    C = C.astype(np.float64)
    P = a[:, None] * b * np.exp((f[:, None] + g - C) / eps)
    paid = np.where(P > 0.0, P * np.where(P > 0.0, C, 0.0), 0.0)
    sent, received, price = plan.measured
    np.testing.assert_allclose(sent, P.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(received, P.sum(axis=0), rtol=1e-12)
    assert price == pytest.approx(paid.sum(), rel=1e-12)
    u, V = rng.normal(size=n), rng.normal(size=(m, 3))
    np.testing.assert_allclose(plan @ V[:, 0], P @ V[:, 0], rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(plan @ V, P @ V, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(u @ plan, u @ P, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(plan.T @ u, P.T @ u, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(plan.toarray(), P, rtol=1e-11)
    np.testing.assert_allclose(plan[5:7], P[5:7], rtol=1e-11)
    s, t = rng.random(n), rng.random(m)
    v, w = 1e-3 * rng.random(n), 1e-3 * rng.random(m)
    v[C.max(axis=1) == np.inf] = 0.0
    price, divergence, sums_a, sums_b = pairs.mixture(f, g, eps, s, t, v, w)
    G = s[:, None] * P * t + np.outer(v, w)
    paid = np.where(G > 0.0, G * np.where(G > 0.0, C, 0.0), 0.0).sum()
    assert price + eps * divergence == pytest.approx(paid + eps * rel_entr(G, a[:, None] * b).sum(), rel=1e-11)
    np.testing.assert_allclose(sums_a, G.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(sums_b, G.sum(axis=0), rtol=1e-12)


def test_entries_too_small_for_numbers_are_zero():
    C = monge.CostMatrix(np.array([[0.0, 1e9, np.inf]]))
    plan = LazyPlan(native(C, np.ones(1), np.full(3, 1 / 3)), np.zeros(1), np.zeros(3), 1.0)
    np.testing.assert_array_equal(plan.toarray(), [[1 / 3, 0.0, 0.0]])
    assert plan.measured[2] == 0.0


class TestWhoseArrays:
    """Points and weights are copied, matrices are used in place: that is what the documentation promises."""

    @pytest.mark.parametrize(
        "points",
        [
            lambda x: x,
            lambda x: x.astype(np.float32),
            np.asfortranarray,
            lambda x: x[:, 0],
            lambda x: np.repeat(x, 2, axis=1)[:, ::2],
            lambda x: np.ma.masked_array(x),
        ],
        ids=["double", "single", "turned", "on the line", "strided", "masked"],
    )
    def test_a_result_keeps_its_points(self, points):
        rng = np.random.default_rng(0)
        x, y = points(rng.random((6, 2))), points(rng.random((5, 2)))
        a, b = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(5))
        results = [monge.sinkhorn(monge.PointCloud(x, y), a, b, eps=0.5) for _ in range(2)]
        before, cost = results[0].plan.toarray(), results[0].cost
        x += 9.0
        y *= 3.0
        a[:], b[:] = 0.5, 0.0
        for t in results:
            np.testing.assert_array_equal(t.plan.toarray(), before)
            assert t.cost == cost
            assert t.marginal_error <= 1e-3
            assert t.rounded().gap < 1.0

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_a_matrix_is_used_in_place(self, dtype):
        C = np.random.default_rng(1).random((40, 30)).astype(dtype)
        assert monge.CostMatrix(C).C is C
        t = monge.sinkhorn(C, eps=0.5)
        assert np.shares_memory(t.problem.C, C)
