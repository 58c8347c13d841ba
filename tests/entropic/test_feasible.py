"""From an entropic result to a feasible plan and a bound on how far it is from the optimum without entropy."""

from __future__ import annotations

import numpy as np
import pytest

import monge
from monge.entropic.marginals import Balanced
from monge.entropic.result import EntropicTransport
from monge.exact.dense import dense
from monge.problem.costs import as_cost

RNG = np.random.default_rng(0)
X, Y = RNG.random((40, 2)), RNG.random((30, 2))
COSTS = {
    "matrix": RNG.random((40, 30)),
    "points": monge.PointCloud(X, Y),
    "distances": monge.PointCloud(X, Y, "euclidean"),
    "grid": monge.Grid((5, 6), spacing=0.2),
}


def problem(name):
    cost = as_cost(COSTS[name])
    n, m = cost.shape
    a, b = np.random.default_rng(1).dirichlet(np.ones(n)), np.random.default_rng(2).dirichlet(np.ones(m))
    a[2], b[[0, 7]] = 0.0, 0.0
    return cost, 3.0 * a / a.sum(), 3.0 * b / b.sum(), dense(cost, 1)


@pytest.mark.parametrize("relative", [0.5, 0.05, 0.005])
@pytest.mark.parametrize("name", COSTS)
def test_feasible_and_certified(name, relative):
    cost, a, b, C = problem(name)
    t = monge.sinkhorn(cost, a, b, eps=relative * C.mean(), tol=1e-2)
    r = t.rounded()
    P = r.plan.toarray()
    assert (P >= 0.0).all()
    # Entries are exponentials of terms of this size, and those of a grid's products have other roundings.
    rounding = 8 * np.finfo(float).eps * (C.max() / t.eps + 8)
    np.testing.assert_allclose(P.sum(axis=1), a, rtol=rounding, atol=1e-15)
    np.testing.assert_allclose(P.sum(axis=0), b, rtol=rounding, atol=1e-15)
    assert r.marginal_error <= rounding
    assert r.value == r.cost == pytest.approx((P * C).sum(), rel=1e-12)
    assert (C - r.f[:, None] - r.g).min() >= -1e-15
    assert r.gap == pytest.approx(r.cost - a @ r.f - b @ r.g, abs=1e-14)
    optimum = monge.emd(cost, a, b).value
    assert r.cost - r.gap - 1e-13 <= optimum <= r.cost + 1e-13
    assert r.converged
    assert r.status is monge.Status.FEASIBLE
    assert np.abs(t.plan.toarray() - P).sum() <= 2.0 * t.marginal_error * t.plan.sum() + 1e-13


def test_the_gap_vanishes_with_eps():
    cost, a, b, C = problem("points")
    gaps = [monge.sinkhorn(cost, a, b, eps=e * C.mean(), tol=1e-7).rounded().gap for e in (0.1, 0.01, 0.001)]
    assert gaps[0] > 3.0 * gaps[1] > 9.0 * gaps[2] > 0.0


def test_rounded_is_what_round_plan_makes():
    cost, a, b, _ = problem("matrix")
    t = monge.sinkhorn(cost, a, b, eps=0.1, tol=1e-2)
    by_hand = monge.round_plan(t.plan, a, b)
    np.testing.assert_array_equal(by_hand.toarray(), t.rounded().plan.toarray())
    np.testing.assert_allclose(by_hand.toarray(), monge.round_plan(t.plan.toarray(), a, b), rtol=1e-10, atol=1e-16)


def test_a_sparse_feasible_plan():
    cost, a, b, C = problem("points")
    t = monge.sinkhorn(cost, a, b, eps=0.01 * C.mean())
    G = monge.round_plan(t.plan.top(3), a, b)
    assert G.nnz <= 3 * 40 + 40 + 30 - 1
    np.testing.assert_allclose(G.sum(axis=1), a, rtol=0, atol=1e-14)
    np.testing.assert_allclose(G.sum(axis=0), b, rtol=0, atol=1e-14)


def test_the_lazy_plan_takes_part():
    cost, a, b, _ = problem("points")
    r = monge.sinkhorn(cost, a, b, eps=0.1).rounded()
    P = r.plan.toarray()
    left = RNG.random(40)
    np.testing.assert_allclose(left @ r.plan, left @ P, rtol=1e-12)
    np.testing.assert_allclose(r.plan[3], P[3], rtol=1e-12)
    np.testing.assert_allclose(r.plan[5:8], P[5:8], rtol=1e-12)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(r.map(Y), P @ Y / P.sum(axis=1)[:, None], rtol=1e-9)


def test_an_exact_solve_can_start_from_it():
    cost, a, b, _ = problem("points")
    r = monge.sinkhorn(cost, a, b, eps=0.01).rounded()
    assert monge.emd(cost, a, b, init=r).value == pytest.approx(monge.emd(cost, a, b).value, rel=1e-14)


@pytest.mark.parametrize("marginals", [monge.KL(1.0), (None, monge.TV(1.0))])
def test_nothing_to_round_to(marginals):
    with pytest.raises(ValueError, match="marginals that must be met"):
        monge.sinkhorn(np.eye(3), eps=0.1, marginals=marginals).rounded()


@pytest.mark.parametrize("share", [0.2, 0.6, 0.85])
def test_forbidden_arcs_are_avoided(share):
    rng = np.random.default_rng(0)
    C = rng.random((25, 30))
    C[rng.random((25, 30)) < share] = np.inf
    some = np.isfinite(C)
    P = np.where(some, rng.random((25, 30)) ** 4, 0.0)  # a plan that exists has weights for which one does
    a, b = P.sum(axis=1) / P.sum(), P.sum(axis=0) / P.sum()
    with pytest.warns(monge.ConvergenceWarning):
        t = monge.sinkhorn(C, a, b, eps=0.05, tol=1e-9, max_iter=3)
    r = t.rounded()
    G = r.plan.toarray()
    assert (G[~some] == 0.0).all()
    np.testing.assert_allclose(G.sum(axis=1), a, atol=1e-14)
    np.testing.assert_allclose(G.sum(axis=0), b, atol=1e-14)
    assert r.cost == pytest.approx(np.where(some, G * np.where(some, C, 0.0), 0.0).sum(), rel=1e-12)
    optimum = monge.emd(C, a, b).value
    assert r.cost - r.gap - 1e-12 <= optimum <= r.cost + 1e-12
    np.testing.assert_allclose(r.plan[3], G[3], atol=1e-15)
    np.testing.assert_allclose(r.plan.T.toarray(), G.T, atol=1e-15)
    np.testing.assert_allclose(np.ones(25) @ r.plan, b, atol=1e-14)


def test_what_is_missing_cannot_avoid_forbidden_arcs():
    # The only plan is the diagonal; one pass from a wrong start leaves mass missing at a row and at another column.
    C = np.array([[0.0, 1.0, np.inf], [np.inf, 0.0, 1.0], [np.inf, np.inf, 0.0]])
    with pytest.warns(monge.ConvergenceWarning):
        t = monge.sinkhorn(C, eps=1.0, tol=1e-12, max_iter=1)
    r = t.rounded()
    np.testing.assert_allclose(r.plan.toarray(), np.eye(3) / 3, atol=1e-12)
    assert r.cost == pytest.approx(0.0, abs=1e-12)


def test_no_plan_avoids_forbidden_arcs():
    # No row and no column is without arcs, but two rows share one column.
    C = np.array([[0.0, np.inf, np.inf], [0.0, np.inf, np.inf], [0.0, 0.0, 0.0]])
    a = b = np.full(3, 1 / 3)
    t = EntropicTransport(
        as_cost(C), (a, b), (Balanced(), Balanced()), 1.0, np.zeros(3), np.zeros(3), value=0.0,
        status=monge.Status.MAX_ITER, iterations=0, stats={},
    )  # fmt: skip
    with pytest.raises(monge.InfeasibleError):
        t.rounded()


@pytest.fixture(params=["lazy", "rounded", "rounded with a sparse part", "grid"])
def plan(request):
    if request.param == "grid":
        return monge.sinkhorn(COSTS["grid"], eps=0.1).plan
    if request.param == "rounded with a sparse part":
        C = np.where(np.eye(4) == 1.0, np.inf, np.arange(16.0).reshape(4, 4))
        with pytest.warns(monge.ConvergenceWarning):
            return monge.sinkhorn(C, eps=0.5, tol=1e-12, max_iter=1).rounded().plan
    cost, a, b, _ = problem("points")
    t = monge.sinkhorn(cost, a, b, eps=0.1)
    return t.plan if request.param == "lazy" else t.rounded().plan


class TestLazyPlans:
    """All plans that are not stored take the same and refuse the same."""

    @pytest.mark.parametrize("axis", [2, -3, 7, (0, 1), (0,), [0], 0.0, True, "rows", np.float64(1.0)])
    def test_no_such_axis(self, plan, axis):
        with pytest.raises(ValueError, match="axis should be None, 0 or 1; got"):
            plan.sum(axis=axis)

    def test_axes(self, plan):
        P = plan.toarray()
        for axis in (0, 1, -1, -2, np.int64(1)):
            np.testing.assert_allclose(plan.sum(axis=axis), P.sum(axis=axis), rtol=1e-12, atol=1e-16)
        assert plan.sum() == pytest.approx(P.sum(), rel=1e-13)

    def test_sums_are_the_callers(self, plan):
        plan.sum(axis=0)[:] = 7.0
        plan.sum(axis=1)[:] = 7.0
        np.testing.assert_allclose(plan.sum(axis=0), plan.toarray().sum(axis=0), rtol=1e-12, atol=1e-16)
        assert plan.sum() == pytest.approx(plan.toarray().sum(), rel=1e-13)

    def test_arrays(self, plan):
        P = plan.toarray()
        assert (plan.ndim, plan.dtype, plan.shape) == (P.ndim, P.dtype, P.shape)
        np.testing.assert_array_equal(np.asarray(plan), P)
        assert np.asarray(plan, dtype=np.float32).dtype == np.float32
        with pytest.raises(ValueError, match="copy=False"):
            np.asarray(plan, copy=False)

    def test_operands(self, plan):
        n, m = plan.shape
        for bad, error, words in (
            (np.ones(m + 1), ValueError, f"@ should get {m} rows"),
            (np.ones((m + 1, 2)), ValueError, f"@ should get {m} rows"),
            (np.ones((m, 2, 2)), ValueError, "a vector or a matrix"),
            (1.0, ValueError, "a vector or a matrix"),
            (np.full(m, 1j), TypeError, "real numbers"),
            (["a"] * m, TypeError, "real numbers"),
        ):
            with pytest.raises(error, match=words):
                plan @ bad
        for bad in (np.ones(n + 1), np.ones((2, n + 1))):
            with pytest.raises(ValueError, match=f"@ should get {n} rows"):
                bad @ plan
        with pytest.raises(TypeError, match="whole rows"):
            plan[0, 0]

    def test_too_large_for_memory(self, plan, monkeypatch):
        monkeypatch.setattr("monge.problem.arrays.available_memory", lambda: 100)
        with pytest.raises(MemoryError, match=r"plan as an array.*Use products"):
            plan.toarray()
