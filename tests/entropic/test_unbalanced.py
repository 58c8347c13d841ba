"""sinkhorn with penalties in place of constraints: optimal by its certificate, and right in the limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import assert_solved, objective
from scipy.spatial.distance import cdist

import monge

PENALTIES = [
    monge.KL(10.0),
    monge.KL(0.5),
    monge.KL(0.02),
    monge.TV(1.0),
    monge.TV(0.05),
    (None, monge.KL(0.5)),
    (monge.KL(0.5), None),
    (monge.KL(0.5), monge.KL(5.0)),
    (monge.TV(0.1), monge.KL(0.5)),
    (None, monge.TV(0.05)),
]


def problem(n=30, m=36, seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.random((n, 3)), rng.random((m, 3)) + 0.2
    return ((x[:, None] - y) ** 2).sum(-1), rng.dirichlet(np.ones(n)), 1.5 * rng.dirichlet(np.ones(m))


@pytest.mark.parametrize("marginals", PENALTIES, ids=str)
@pytest.mark.parametrize("eps", [0.1, 0.005])
def test_certified(marginals, eps):
    C, a, b = problem()
    t = monge.sinkhorn(C, a, b, eps=eps, marginals=marginals, tol=1e-8)
    assert_solved(t, 1e-8, C)
    # The dual value is a lower bound; with the plan's own objective near it, both are the optimum.
    assert t.gap <= 1e-7 * (1.0 + t.value)
    sides = marginals if isinstance(marginals, tuple) else (marginals, marginals)
    assert objective(t.plan.toarray(), C, a, b, eps, sides) == pytest.approx(t.value, rel=1e-6)
    # No other plan does better: the objective grows in random directions.
    rng, P = np.random.default_rng(1), t.plan.toarray()
    for _ in range(5):
        change = 1e-3 * rng.normal(size=P.shape) * P
        if sides[0] is None:
            change -= P * (change.sum(axis=1) / P.sum(axis=1))[:, None]
        if sides[1] is None:
            change -= P * (change.sum(axis=0) / P.sum(axis=0))
        assert objective(P + change, C, a, b, eps, sides) >= t.value * (1 - 1e-7)


def test_one_by_one():
    # min over the mass p of C p + eps (p log(p / ab) - p + ab) + rho (p log(p / a) - p + a) + rho (... b).
    C, a, b, eps, rho = 0.7, 2.0, 3.0, 0.1, 0.4
    t = monge.sinkhorn([[C]], [a], [b], eps=eps, marginals=monge.KL(rho), tol=1e-12)
    p = math.exp(((eps + rho) * math.log(a * b) - C) / (eps + 2 * rho))
    assert t.plan.sum() == pytest.approx(p, rel=1e-10)
    assert t.value == pytest.approx(
        objective([[p]], np.array([[C]]), np.array([a]), np.array([b]), eps, (monge.KL(rho), monge.KL(rho))), rel=1e-10
    )


@pytest.mark.parametrize("kind", [monge.KL, monge.TV])
def test_large_rho_is_balanced(kind):
    C, a, b = problem()
    b = b / b.sum()
    balanced = monge.sinkhorn(C, a, b, eps=0.02, tol=1e-8)
    for rho in (1e5, math.inf):
        t = monge.sinkhorn(C, a, b, eps=0.02, marginals=kind(rho), tol=1e-8)
        assert_solved(t, 1e-8, C)
        assert t.value == pytest.approx(balanced.value, rel=1e-5)
        assert np.abs(t.plan.toarray() - balanced.plan.toarray()).sum() < 1e-4


@pytest.mark.parametrize("kind", [monge.KL, monge.TV])
def test_small_rho_is_the_kernel(kind):
    # With nothing to pay for missing mass, the plan minimises <P, C> + eps KL(P | a x b): P = a b exp(-C / eps).
    C, a, b = problem()
    t = monge.sinkhorn(C, a, b, eps=0.1, marginals=kind(1e-9), tol=1e-10)
    np.testing.assert_allclose(t.plan.toarray(), np.outer(a, b) * np.exp(-C / 0.1), rtol=1e-6)


def test_tv_leaves_what_is_far():
    # Beyond 2 rho no mass is moved, up to the blur of eps.
    C = np.array([[0.0, 9.0], [9.0, 9.0]])
    t = monge.sinkhorn(C, eps=0.05, marginals=monge.TV(1.0), tol=1e-8)
    np.testing.assert_allclose(t.plan.toarray(), [[0.5, 0.0], [0.0, 0.0]], atol=1e-8)
    assert t.value == pytest.approx(1.0, abs=0.1)


def test_translation_saves_passes(in_loop):
    in_loop()
    # Plain iterations take over 1500 passes here.
    rng = np.random.default_rng(0)
    x, y = rng.random((300, 3)), rng.random((300, 3))
    C = ((x[:, None] - y) ** 2).sum(-1)
    for rho in (10.0, 1.0, 0.1):
        t = monge.sinkhorn(C, eps=0.01 * C.mean(), marginals=monge.KL(rho * C.mean()), tol=1e-6)
        assert t.iterations <= 80


@pytest.mark.parametrize("marginals", [monge.KL(0.3), monge.TV(0.3)])
def test_places_without_arcs_keep_their_mass(marginals):
    C, a, b = problem(8, 9)
    C[2], C[:, 4] = np.inf, np.inf
    t = monge.sinkhorn(C, a, b, eps=0.05, marginals=marginals, tol=1e-9)
    assert_solved(t, 1e-9)
    P = t.plan.toarray()
    assert not P[2].any()
    assert not P[:, 4].any()
    with np.errstate(invalid="ignore"):
        assert objective(P, C, a, b, 0.05, (marginals, marginals)) == pytest.approx(t.value, rel=1e-6)


@given(st.floats(-4, 4), st.floats(-5, 5), st.floats(-5, 5), st.integers(0, 2), st.integers(0, 2), st.integers(0, 99))
def test_numbers_whatever_the_scales(eps, rho_a, rho_b, side_a, side_b, seed):
    C, a, b = problem(5, 7, seed)
    if side_a == side_b == 0:
        b = b / b.sum()
    sides = tuple((None, monge.KL(10.0**rho), monge.TV(10.0**rho))[k] for k, rho in ((side_a, rho_a), (side_b, rho_b)))
    t = monge.sinkhorn(C, a, b, eps=10.0**eps * C.mean(), marginals=sides, tol=1e-2, max_iter=3000)
    for values in (t.f, t.g, t.value, t.plan.toarray()):
        assert np.isfinite(values).all()
    assert t.marginal_error <= 1e-2


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan])
@pytest.mark.parametrize("kind", [monge.KL, monge.TV])
def test_bad_rho(kind, bad):
    with pytest.raises(ValueError, match="should be positive"):
        kind(bad)
    with pytest.raises(TypeError):
        kind("1")


def test_a_place_without_weight_may_have_any_potential():
    # exp(-f / rho) is infinite there: the only column is far from all mass, and at the place without any.
    t = monge.sinkhorn(monge.PointCloud([0.0, 100.0], [100.0]), [1.0, 0.0], [1.0], eps=0.1, marginals=monge.KL(0.01))
    assert t.marginal_error < 1e-3
    assert np.isfinite([t.value, t.gap, t.cost]).all()


@pytest.mark.parametrize("rho", [1e13, 1e30, 1e100])
def test_a_rho_that_rounding_would_blow_up(rho, in_loop):
    in_loop()
    C = np.random.default_rng(0).random((30, 40))
    balanced = monge.sinkhorn(C, eps=1e-2, tol=1e-6)
    for marginals in (monge.KL(rho), (None, monge.KL(rho))):
        t = monge.sinkhorn(C, eps=1e-2, tol=1e-6, marginals=marginals)
        assert_solved(t, 1e-5)
        assert t.value == pytest.approx(balanced.value, rel=1e-5)


def test_a_plan_without_mass_is_not_without_error():
    t = monge.sinkhorn([[1.0]], eps=0.1, marginals=monge.KL(1.0))
    far = type(t)(
        t.problem, t.weights, t.marginals, t.eps, t.f - 1e3, t.g, value=t.value, status=t.status, iterations=1, stats={}
    )
    assert far.plan.sum() == 0.0
    assert far.marginal_error == 1.0


class TestCloudsOfUnlikeMass:
    """Plans that hold a small part of the weights, on clouds that are large enough for pairs to be skipped."""

    @staticmethod
    def clusters(rng, n):
        return rng.random((6, 3))[rng.integers(6, size=n)] + 0.02 * rng.normal(size=(n, 3))

    @staticmethod
    def far(rng, n):
        return rng.random((n, 2)) + 5.0 * rng.random(2)

    @staticmethod
    def outliers(rng, n):
        return np.exp(1.5 * rng.normal(size=(n, 2)))

    @pytest.mark.parametrize("seed", [16, 19, 45, 58])
    @pytest.mark.parametrize("rho", [0.02, 0.06])
    @pytest.mark.parametrize("ground", ["sqeuclidean", "euclidean"])
    @pytest.mark.parametrize("draw", ["clusters", "far", "outliers"])
    @pytest.mark.parametrize("scale", [1.0, 2.0**20])
    def test_same_as_all_pairs(self, draw, ground, rho, seed, scale):
        rng = np.random.default_rng(seed)
        x, y = (scale * getattr(self, draw)(rng, n) for n in (500, 400))
        a, b = rng.dirichlet(np.full(500, 0.5)), rng.dirichlet(np.full(400, 0.5))
        C = cdist(x, y, ground)
        eps, marginals = 0.004 * C.mean(), monge.KL(rho * C.mean())
        t = monge.sinkhorn(monge.PointCloud(x, y, ground), a, b, eps=eps, marginals=marginals, max_iter=600)
        every = monge.sinkhorn(C, a, b, eps=eps, marginals=marginals, tol=1e-6)
        assert t.converged
        assert t.marginal_error < 1e-3
        assert t.value == pytest.approx(every.value, rel=1e-3)
        assert t.plan.sum() == pytest.approx(every.plan.sum(), rel=1e-2)

    @pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
    def test_units_do_not_matter(self, scale):
        rng = np.random.default_rng(0)
        x, y = rng.random((2, 1500, 2))

        def solve(unit):
            return monge.sinkhorn(monge.PointCloud(unit * x, unit * y), eps=5e-4 * unit**2, marginals=monge.KL(unit**2))

        t, other = solve(1.0), solve(scale)
        assert t.stats["pairs"] == other.stats["pairs"]
        assert t.stats["pairs"] < 0.3 * t.iterations * 1500**2


@pytest.mark.parametrize(("seed", "rho", "eps"), [(6, 5.0, 0.003), (12, 2.0, 0.003), (11, 2.0, 0.01), (5, 5.0, 0.003)])
@pytest.mark.parametrize("points", [True, False])
def test_steps_that_lead_nowhere_are_not_taken_again(seed, rho, eps, points):
    # Extrapolation over the bounds of TV can fail from the same potentials for ever.
    rng = np.random.default_rng(seed)
    x, y = (rng.integers(0, 6, size=(n, 1)).astype(float) for n in (700, 900))
    a, b = rng.dirichlet(np.full(700, 0.5)), rng.dirichlet(np.full(900, 0.5))
    cost = monge.PointCloud(x, y, "cityblock") if points else np.abs(x - y.T)
    t = monge.sinkhorn(cost, a, b, eps=eps, marginals=monge.TV(rho), max_iter=1000)
    assert t.converged


@pytest.mark.parametrize("a", [1e-5, 1e-12, 1e-100])
@pytest.mark.parametrize("eps", [1.0, 0.01])
def test_small_masses_have_a_value(a, eps):
    # Of two points the mass that moves is known; beside it a mass of one would leave no digits.
    rho, C, b = 0.7, 0.3, 3.0 * a
    t = monge.sinkhorn([[C]], [a], [b], eps=eps, marginals=monge.KL(rho), tol=1e-12)
    moved = (a * b) ** ((rho + eps) / (2.0 * rho + eps)) * math.exp(-C / (2.0 * rho + eps))
    assert t.value == pytest.approx(rho * (a + b - 2.0 * moved) + eps * (a * b - moved), rel=1e-12)
    assert t.gap < 1e-12 * t.value
    loss = monge.sinkhorn_divergence([[0.0]], [[1.0]], [a], [a], eps=1.0, marginals=monge.KL(rho), tol=1e-12)
    power = (rho + 1.0) / (2.0 * rho + 1.0)
    left = (2.0 * rho + 1.0) * (a * a) ** power * -math.expm1(-1.0 / (2.0 * rho + 1.0))
    assert loss == pytest.approx(left, abs=1e-14 * a)
