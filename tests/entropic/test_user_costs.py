"""Solves whose ground cost is a function that a user wrote."""

from __future__ import annotations

import math
import pickle

import cases
import numpy as np
import pytest
from cases import USER_COSTS

import monge
from monge.entropic.kernels.select import Route, route

SQUARED = monge.GroundCost(cases.user_squared, cases.user_squared_slopes)
MADE = {name: monge.GroundCost(cost, gradient) for name, (cost, gradient, _, _) in USER_COSTS.items()}
MARGINALS = {"balanced": None, "KL": monge.KL(0.5), "TV": monge.TV(0.2), "half": (None, monge.KL(1.0))}


def problem(d, n=150, m=120):
    rng = np.random.default_rng(d)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    return x, y, rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))


def bits(t):
    return t.value, t.f.tobytes(), t.g.tobytes(), t.cost, t.plan.sum(axis=0).tobytes()


# --- Routes -----------------------------------------------------------------------------------------------------------


def test_few_pairs_are_stored_and_many_are_passed_over():
    few, many = np.zeros((100, 2)), np.zeros((6000, 2))
    assert route(monge.PointCloud(few, few, SQUARED), 0.1) is Route.STORED
    assert route(monge.PointCloud(many, many[:5000], SQUARED), 0.1) is Route.STORED
    assert route(monge.PointCloud(many, many, SQUARED), 0.1) is Route.PASSES


@pytest.mark.parametrize("way", ["stored", "passes"])
@pytest.mark.parametrize("marginals", MARGINALS)
def test_squares_as_built_in(way, marginals, in_loop):
    if way == "passes":
        in_loop()
    x, y, a, b = problem(4)
    for tol in (1e-3, 1e-9):
        right, t = (
            monge.sinkhorn(monge.PointCloud(x, y, cost), a, b, eps=0.3, tol=tol, marginals=MARGINALS[marginals])
            for cost in ("sqeuclidean", SQUARED)
        )
        close = 1e-4 if tol == 1e-3 else 1e-8
        assert t.converged
        assert t.marginal_error <= tol
        assert t.value == pytest.approx(right.value, rel=close)
        assert t.cost == pytest.approx(right.cost, rel=close)
        assert t.gap == pytest.approx(right.gap, abs=close)
        for one, other in ((t.f, right.f), (t.g, right.g)):
            np.testing.assert_allclose(one - one.mean(), other - other.mean(), atol=10 * close)
        np.testing.assert_allclose(t.plan.toarray(), right.plan.toarray(), atol=close)
        np.testing.assert_allclose(t.grad_x, right.grad_x, atol=close)
        np.testing.assert_allclose(t.grad_y, right.grad_y, atol=close)
        np.testing.assert_allclose(t.map(y), right.map(y), atol=10 * close)
        if marginals == "balanced":
            assert t.rounded().value == pytest.approx(right.rounded().value, rel=close)


@pytest.mark.parametrize("name", MADE)
def test_a_fine_tolerance_is_reached_by_passes(name, in_loop):
    in_loop()
    x, y, a, b = problem(USER_COSTS[name][3])
    t = monge.sinkhorn(monge.PointCloud(x, y, MADE[name]), a, b, eps=0.3, tol=1e-9)
    right = monge.sinkhorn(USER_COSTS[name][2](x, y), a, b, eps=0.3, tol=1e-9)
    assert t.converged
    assert t.marginal_error <= 1e-9
    assert t.value == pytest.approx(right.value, abs=1e-9)
    assert 0.0 <= t.gap <= 1e-7
    assert t.rounded().gap <= 1.2 * right.rounded().gap + 1e-9


def test_what_single_precision_costs_is_measured(in_loop):
    in_loop()
    x, y, a, b = problem(3)
    x, y = x + 3e4, y + 3e4  # of whose differences it knows three digits
    cloud = monge.PointCloud(x, y, SQUARED)
    assert cloud.error_in_single > 1e-3
    t = monge.sinkhorn(cloud, a, b, eps=0.3, tol=1e-4)
    assert t.converged
    assert t.marginal_error <= 1e-4


@pytest.mark.parametrize("way", ["stored", "passes"])
def test_any_number_of_threads_gives_the_same_bits(way, in_loop):
    if way == "passes":
        in_loop()
    x, y, a, b = problem(2, 900, 800)
    cloud = monge.PointCloud(x, y, MADE["Huber"])
    found = [monge.sinkhorn(cloud, a, b, eps=0.05, tol=1e-6, threads=threads) for threads in (1, 2, 5)]
    assert bits(found[0]) == bits(found[1]) == bits(found[2])
    assert found[0].grad_x.tobytes() == found[1].grad_x.tobytes()
    exact = [monge.emd(cloud, a, b, threads=threads) for threads in (1, 2)]
    assert (exact[0].value, exact[0].f.tobytes()) == (exact[1].value, exact[1].f.tobytes())


def test_batches_are_their_problems(in_loop):
    costs = [monge.PointCloud(*problem(2, n, 90)[:2], MADE["uphill"]) for n in (40, 90, 130)]
    for solve in (monge.emd, lambda cost: monge.sinkhorn(cost, eps=0.2)):
        assert [t.value for t in solve(costs)] == [solve(cost).value for cost in costs]
    in_loop()
    together = monge.sinkhorn(costs, eps=0.2)
    assert [bits(t) for t in together] == [bits(monge.sinkhorn(cost, eps=0.2)) for cost in costs]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1)])
def test_few_points(dtype, shape):
    x, y = (np.arange(size, dtype=dtype) for size in shape)
    for solve in (monge.emd, lambda cost: monge.sinkhorn(cost, eps=1.0, tol=1e-9)):
        values = [solve(monge.PointCloud(x, y, cost)).cost for cost in (SQUARED, "sqeuclidean")]
        assert values[0] == pytest.approx(values[1], rel=1e-12)


# --- Forbidden arcs ---------------------------------------------------------------------------------------------------


def never_down(x, y):
    return abs(x[0] - y[0]) if y[0] >= x[0] else math.inf


def test_infinite_costs_forbid(in_loop):
    x, y = np.linspace(0.0, 1.0, 40), np.linspace(0.01, 1.5, 50)
    cloud = monge.PointCloud(x, y, never_down)
    right = np.where(y >= x[:, np.newaxis], y - x[:, np.newaxis], np.inf)
    assert monge.emd(cloud).value == pytest.approx(monge.emd(right).value, rel=1e-12)
    t, known = (monge.sinkhorn(cost, eps=0.1, tol=1e-6) for cost in (cloud, right))
    assert t.value == pytest.approx(known.value, rel=1e-9)
    assert t.gap == pytest.approx(known.gap, abs=1e-9)
    assert (t.plan.toarray()[right == np.inf] == 0.0).all()
    with pytest.raises(monge.InfeasibleError):
        monge.sinkhorn(monge.PointCloud(x + 9.0, y, never_down), eps=0.1)
    in_loop()
    with pytest.raises(ValueError, match=r"forbidden, by a cost of \+inf, only for so few points .*never_down at x"):
        monge.sinkhorn(cloud, eps=0.1)


# --- Gradients and results --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, cost in MADE.items() if cost.gradients])
def test_gradients_are_derivatives_of_the_value(name):
    x, y, a, b = problem(USER_COSTS[name][3], 12, 10)

    def solved(x, y):
        return monge.sinkhorn(monge.PointCloud(x, y, MADE[name]), a, b, eps=0.5, tol=1e-10)

    t, step = solved(x, y), 1e-5
    for k, slopes in ((0, t.grad_x), (1, t.grad_y)):
        moves = np.random.default_rng(1).normal(size=(x, y)[k].shape)
        ahead, behind = ((x + s * moves, y) if k == 0 else (x, y + s * moves) for s in (step, -step))
        difference = (solved(*ahead).value - solved(*behind).value) / (2 * step)
        assert float((slopes * moves).sum()) == pytest.approx(difference, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("name", MADE)
def test_exact_transport(name):
    x, y, a, b = problem(USER_COSTS[name][3])
    cloud = monge.PointCloud(x, y, MADE[name])
    t, right = monge.emd(cloud, a, b), monge.emd(USER_COSTS[name][2](x, y), a, b)
    assert t.value == pytest.approx(right.value, rel=1e-12)
    assert t.gap <= 1e-12
    assert monge.emd(cloud.T, b, a).value == pytest.approx(right.value, rel=1e-12)
    if MADE[name].gradients:
        i, j, mass = t.plan.row, t.plan.col, t.plan.data
        dx, dy = MADE[name].derivatives(x[i], y[j])
        np.testing.assert_allclose(t.grad_x[3], mass[i == 3] @ dx[i == 3], atol=1e-14)
        np.testing.assert_allclose(t.grad_y[3], mass[j == 3] @ dy[j == 3], atol=1e-14)


def test_exact_gradients_as_built_in():
    x, y, a, b = problem(3)
    t, right = (monge.emd(monge.PointCloud(x, y, cost), a, b) for cost in (SQUARED, "sqeuclidean"))
    np.testing.assert_allclose(t.grad_x, right.grad_x, atol=1e-14)
    np.testing.assert_allclose(t.grad_y, right.grad_y, atol=1e-14)


def test_partial_transport_and_histograms():
    x, y, a, b = problem(2)
    cloud, C = monge.PointCloud(x, y, MADE["Huber"]), USER_COSTS["Huber"][2](x, y)
    assert monge.partial(cloud, a, b, mass=0.5).value == pytest.approx(monge.partial(C, a, b, mass=0.5).value)
    rows, columns = np.random.default_rng(0).dirichlet(np.ones(150), 3), [b]
    found, right = (monge.pairwise(rows, columns, cost=cost) for cost in (cloud, C))
    np.testing.assert_allclose(found, right, rtol=1e-12)


def test_pairwise_distances_of_a_function():
    clouds = [np.random.default_rng(n).normal(size=(n, 2)) for n in (5, 8, 6)]
    found, right = (monge.pairwise(clouds, p=1.5, ground=ground) for ground in (cases.distance, "euclidean"))
    np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-12)
    found, right = (monge.pairwise(clouds[:2], clouds, ground=ground) for ground in (cases.distance, None))
    np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-12)


def test_a_small_eps_starts_from_exact_potentials(in_loop):
    in_loop()
    x, y, a, b = problem(4)
    right, t = (
        monge.sinkhorn(monge.PointCloud(x, y, cost), a, b, eps=1e-4, tol=1e-6) for cost in ("sqeuclidean", SQUARED)
    )
    assert t.converged
    assert t.iterations <= 2 * right.iterations
    assert t.value == pytest.approx(right.value, rel=1e-9)


@pytest.mark.parametrize("p", [1, 2, 40])
def test_wasserstein_of_a_function(p):
    x, y, a, b = problem(2)
    found, right = (monge.wasserstein(x, y, a, b, p=p, ground=ground) for ground in (cases.distance, "euclidean"))
    assert found == pytest.approx(right, rel=1e-9)
    with pytest.raises(ValueError, match="finite and not negative; GroundCost"):
        monge.wasserstein(x, y, p=p, ground=lambda x, y: x[0] - y[0] + 2.0)


def test_results_can_be_pickled(in_loop):
    x, y, a, b = problem(2, 40, 30)
    cloud = monge.PointCloud(x, y, MADE["uphill"])
    results = [monge.emd(cloud, a, b), monge.sinkhorn(cloud, a, b, eps=0.2)]
    in_loop()
    results.append(monge.sinkhorn(cloud, a, b, eps=0.2))
    for t in results:
        before = pickle.loads(pickle.dumps(t))
        for one in (before, t, pickle.loads(pickle.dumps(t))):  # before and after what is lazy has been computed
            np.testing.assert_array_equal(one.grad_x, t.grad_x)
            np.testing.assert_array_equal(one.plan.T @ a, t.plan.T @ a)
            assert one.cost == t.cost
            assert one.gap == t.gap
