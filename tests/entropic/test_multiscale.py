"""Point clouds in up to three dimensions: from coarse to fine, with pairs that do not matter left out."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import assert_solved
from scipy.spatial.distance import cdist

import monge
from monge.entropic import passes
from monge.entropic.marginals import as_marginals
from monge.entropic.problem import Problem
from monge.exact.dense import dense
from monge.problem._ground import kd_order
from monge.problem.measures import total_mass

COSTS = ["sqeuclidean", "euclidean", "cityblock", "cosine", ("euclidean", 1.5), ("cityblock", 2.0)]


def clouds(n, m, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n, d)), rng.random((m, d)) + 0.1, rng.dirichlet(np.full(n, 2.0)), rng.dirichlet(np.full(m, 2.0))


def mean_cost(x, y, cost):
    return float(monge.emd(monge.PointCloud(x[:64], y[:64], cost)).value) + 1e-3


def over_all_pairs(cost, a, b, marginals, eps, tol):
    # Over the stored matrix: passes that compute powers take ten times longer.
    problem = Problem(monge.CostMatrix(dense(cost, 1)), a, b, as_marginals(marginals), eps, tol, 5000)
    return problem.answer(passes.solve(problem, 2), 2)


class TestAgainstAllPairs:
    @pytest.mark.parametrize("d", [1, 2, 3])
    @pytest.mark.parametrize("cost", COSTS, ids=str)
    @pytest.mark.parametrize("rel", [1.0, 0.02])
    def test_costs(self, cost, d, rel, in_loop):
        in_loop()
        x, y, a, b = clouds(400, 360, d)
        C = monge.PointCloud(x, y, cost)
        eps = rel * mean_cost(x, y, cost)
        t = monge.sinkhorn(C, a, b, eps=eps, tol=1e-6, max_iter=3000)
        right = over_all_pairs(C, a, b, None, eps, 1e-9)
        assert_solved(t, 1e-6)
        assert t.value == pytest.approx(right.value, abs=1e-5 * eps + 1e-9 * abs(right.value))

    @pytest.mark.parametrize("marginals", [monge.KL(0.3), monge.TV(0.2), (None, monge.KL(0.1)), (monge.TV(0.4), None)])
    def test_demands(self, marginals):
        x, y, a, b = clouds(1500, 1410)
        C = monge.PointCloud(x, y)
        t = monge.sinkhorn(C, a, b, eps=0.005, marginals=marginals, tol=1e-5)
        right = over_all_pairs(C, a, b, marginals, 0.005, 1e-7)
        assert t.converged
        assert t.marginal_error <= 1e-5
        assert t.value == pytest.approx(right.value, abs=1e-6)
        assert t.plan.sum() == pytest.approx(right.plan.sum(), abs=1e-4)

    def test_large_with_weights_of_any_total(self):
        x, y, a, b = clouds(1600, 1450)
        a, b = 7.0 * a, 7.0 * b
        t = monge.sinkhorn(monge.PointCloud(x, y), a, b, eps=0.002, tol=1e-4)
        right = over_all_pairs(monge.PointCloud(x, y), a, b, None, 0.002, 1e-6)
        assert_solved(t, 1e-4)
        assert t.value == pytest.approx(right.value, rel=1e-5)
        assert t.stats["coarse_passes"] > 0
        assert t.stats["pairs"] < 0.5 * t.iterations * 1600 * 1450

    @pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
    def test_any_tolerance(self, tol):
        x, y, _, _ = clouds(2200, 2200)
        assert_solved(monge.sinkhorn(monge.PointCloud(x, y), eps=0.003, tol=tol), tol)

    def test_places_without_weight(self):
        x, y, a, b = clouds(1200, 1300)
        a[::7] = 0.0
        b[::5] = 0.0
        a, b = a / total_mass(a), b / total_mass(b)
        t = monge.sinkhorn(monge.PointCloud(x, y), a, b, eps=0.01, tol=1e-7)
        right = over_all_pairs(monge.PointCloud(x, y), a, b, None, 0.01, 1e-9)
        assert_solved(t, 1e-7)
        shift = np.mean(t.f - right.f)
        assert t.f - shift == pytest.approx(right.f, abs=1e-5)
        assert t.g + shift == pytest.approx(right.g, abs=1e-5)


class TestHardOnes:
    def test_far_apart_and_unequal(self):
        # Two clumps that exchange a thousandth of the mass over a distance of hundreds of eps: the exact solver tells
        # how far their potentials are apart, which passes would take thousands of rounds to find.
        rng = np.random.default_rng(3)
        n = 1500
        x = 0.02 * rng.normal(size=(n, 3)) + (np.arange(n) < 750)[:, np.newaxis]
        y = 0.02 * rng.normal(size=(n, 3)) + (np.arange(n) < 753)[:, np.newaxis]
        t = monge.sinkhorn(monge.PointCloud(x, y), eps=0.004, tol=1e-4, max_iter=800)
        assert_solved(t, 1e-4)

    @pytest.mark.parametrize("scale", [1e-100, 1e-20, 1.0, 1e20, 1e100])
    def test_units(self, scale):
        x, y, a, b = clouds(1100, 1000)
        one = monge.sinkhorn(monge.PointCloud(x, y), a, b, eps=0.01)
        t = monge.sinkhorn(monge.PointCloud(scale * x, scale * y), a, b, eps=0.01 * scale**2)
        assert t.converged
        assert t.value / scale**2 == pytest.approx(one.value, rel=1e-3)

    def test_far_from_the_origin(self):
        x, y, a, b = clouds(1100, 1000)
        one = monge.sinkhorn(monge.PointCloud(x, y), a, b, eps=0.01, tol=1e-6)
        t = monge.sinkhorn(monge.PointCloud(x + 1e6, y + 1e6), a, b, eps=0.01, tol=1e-6)
        assert t.value == pytest.approx(one.value, rel=1e-5)

    @pytest.mark.filterwarnings("ignore::monge.ConvergenceWarning")
    @pytest.mark.parametrize("eps", [1e-7, 1e-3, 10.0, 1e6])
    def test_outliers_and_any_eps_give_numbers(self, eps):
        rng = np.random.default_rng(4)
        x, y = rng.standard_t(1.0, size=(2, 1100, 2))
        t = monge.sinkhorn(monge.PointCloud(x, y), eps=eps, max_iter=200)
        assert np.isfinite([t.value, t.stats["error"], t.gap, *t.f, *t.g]).all()
        assert abs(t.plan.sum(axis=1) - 1 / 1100).sum() < 0.01  # whatever the columns are
        assert t.marginal_error == pytest.approx(t.stats["error"], abs=0.01)
        assert t.converged or eps < 1e6

    @pytest.mark.parametrize("shape", [(1, 140_000), (140_000, 1), (3, 50_000)])
    def test_thin_ones(self, shape):
        rng = np.random.default_rng(5)
        t = monge.sinkhorn(monge.PointCloud(rng.random((shape[0], 2)), rng.random((shape[1], 2))), eps=0.01)
        assert_solved(t, 1e-3)

    def test_all_points_the_same(self):
        t = monge.sinkhorn(monge.PointCloud(np.ones((1100, 3)), np.ones((1000, 3))), eps=0.1)
        assert t.converged
        assert t.cost == 0.0

    def test_a_start_is_used(self):
        x, y, a, b = clouds(2400, 2300)
        first = monge.sinkhorn(monge.PointCloud(x, y), a, b, eps=0.004, tol=1e-5)
        again = monge.sinkhorn(monge.PointCloud(x, y), a, b, eps=0.004, tol=1e-5, init=first)
        assert again.iterations <= 3


class TestBits:
    def test_any_number_of_threads(self):
        x, y, a, b = clouds(5000, 4500)
        answers = [
            monge.sinkhorn(monge.PointCloud(x, y), a, b, eps=eps, threads=threads)
            for eps in (0.1, 0.001)
            for threads in (1, 2, 5)
        ]
        for some in (answers[:3], answers[3:]):
            assert len({t.f.tobytes() + t.g.tobytes() for t in some}) == 1

    @pytest.mark.parametrize("n", [1, 2, 7, 64, 1000])
    def test_order_is_one_of_boxes(self, n):
        points = np.random.default_rng(6).random((n, 3))
        order = kd_order(points)
        assert sorted(order.tolist()) == list(range(n))
        if n == 1000:  # a box around eight neighbours is small
            boxes = points[order].reshape(-1, 8, 3)
            assert np.median((boxes.max(axis=1) - boxes.min(axis=1)).prod(axis=1)) < 0.02


@pytest.mark.parametrize("seed", [1, 2])
def test_outliers_do_not_hold_up_the_others(seed):
    # Potentials of points far out move by tens of eps: lists that are older than that mislead, for thousands of passes.
    x, y = np.random.default_rng(seed).normal(size=(2, 12_000, 3))
    t = monge.sinkhorn(monge.PointCloud(x, y), eps=0.006)
    assert t.converged
    assert t.iterations < 250
    assert t.marginal_error < 1e-3


@pytest.mark.parametrize("gap", [30.0, 300.0])
@pytest.mark.parametrize("more", [3, 64])
def test_a_few_points_far_from_their_targets(gap, more):
    # What has to cross is so little that passes alone take thousands to find the potentials for it.
    x, y = np.random.default_rng(0).normal(size=(2, 1500, 2))
    x[:700, 0] += gap
    y[: 700 + more, 0] += gap
    t = monge.sinkhorn(monge.PointCloud(x, y), eps=0.05, max_iter=600)
    assert_solved(t, 1e-3)
    assert len(t.stats["errors"]) == t.iterations  # over both starts


class TestSinglePrecision:
    """What is known of costs in single precision is not the same for all of them."""

    @pytest.mark.parametrize("cost", [("euclidean", 0.1), ("cityblock", 0.2)], ids=str)
    def test_small_powers(self, cost, in_loop):
        in_loop()
        rng = np.random.default_rng(0)
        x, y = rng.integers(0, 3, (200, 3)), rng.integers(0, 3, (90, 3))
        t = monge.sinkhorn(monge.PointCloud(x, y, cost), eps=5e-3, tol=1e-2)
        assert_solved(t, 1e-2)

    @pytest.mark.parametrize("d", [2, 4, 40])
    @pytest.mark.parametrize("tol", [1e-3, 1e-11])
    def test_cosine_of_directions_that_are_close(self, d, tol, in_loop):
        in_loop()
        rng = np.random.default_rng(d)
        x, y = (1.0 + 0.01 * rng.normal(size=(n, d)) for n in (80, 70))
        cost = monge.PointCloud(x.astype(np.float32), y.astype(np.float32), "cosine")
        t = monge.sinkhorn(cost, eps=2e-6, tol=tol)
        assert_solved(t, tol)

    def test_points_so_far_off_that_their_squares_overflow(self):
        assert monge.sinkhorn(monge.PointCloud([1e200], [1e200]), eps=1.0).cost == 0.0

    @pytest.mark.parametrize("scale", [1e-200, 1e-170, 1e170, 1e200])
    def test_distances_whose_squares_are_out_of_range(self, scale, in_loop):
        in_loop()
        x, y = np.random.default_rng(0).random((2, 30, 2))
        t = monge.sinkhorn(monge.PointCloud(scale * x, scale * y, "euclidean"), eps=0.1 * scale)
        assert_solved(t, 1e-3)
        assert t.value / scale == pytest.approx(
            monge.sinkhorn(monge.PointCloud(x, y, "euclidean"), eps=0.1).value, rel=1e-3
        )

    def test_the_least_tolerance(self, in_loop):
        in_loop()
        x, y = np.random.default_rng(0).random((2, 9, 2))
        with pytest.warns(monge.ConvergenceWarning):
            monge.sinkhorn(monge.PointCloud(x, y), eps=0.1, tol=5e-324, max_iter=3)

    @pytest.mark.parametrize("seed", range(20))
    def test_noise_is_no_more_than_is_said(self, seed):
        # Clouds apart, and costs with a large part in common, have exponents that are large where they matter.
        rng = np.random.default_rng(seed)
        tol = 10.0 ** rng.uniform(-5.0, -4.0)
        x, y = rng.random((600, 2)), rng.random((700, 2)) + rng.uniform(1.0, 15.0, 2)
        b = rng.dirichlet(np.full(700, 0.5))
        part = x.copy()
        part[: rng.integers(100, 600), 0] += 30.0  # these alone have far to go
        for cost in (
            monge.PointCloud(x, y),
            monge.PointCloud(part, y),
            rng.random((600, 700)) + rng.uniform(1.0, 10.0),
        ):
            mean = cost.mean() if isinstance(cost, np.ndarray) else float(cdist(cost.x, cost.y, "sqeuclidean").mean())
            t = monge.sinkhorn(cost, None, b, eps=10.0 ** rng.uniform(-3.0, -2.0) * mean, tol=tol)
            assert t.converged
            assert t.marginal_error < 1.02 * tol
