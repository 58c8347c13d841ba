"""Barycenters whose points move: known answers, descent, bounds, and inputs."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest

import monge
from monge.barycenters.fixed.exact import exact_barycenter
from monge.barycenters.free import barycenter as free
from monge.barycenters.free import measures, objectives
from monge.barycenters.free.result import FreeStatus

COSTS = ["sqeuclidean", "euclidean", ("euclidean", 1.5), ("euclidean", 3), "cityblock"]


def clouds(seed, k=4, n=12, d=2, weighted=False):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(n // 2, n, size=k)
    points = [rng.normal(size=(size, d)) * rng.uniform(0.5, 2.0, d) + rng.normal(size=d) for size in sizes]
    masses = [rng.dirichlet(np.ones(size)) for size in sizes] if weighted else None
    return points, masses, rng.dirichlet(np.ones(k))


def objective(found, points, masses, weights, cost="sqeuclidean"):
    """Anew, from the answer alone."""
    each = masses or [None] * len(points)
    return sum(
        w * monge.emd(monge.PointCloud(found.points, y, cost), found.weights, b).value
        for w, y, b in zip(weights, points, each, strict=True)
    )


def in_order(found):
    return found.points[np.lexsort(found.points.T)]


class TestKnownAnswers:
    @pytest.mark.parametrize("cost", COSTS)
    @pytest.mark.parametrize("d", [1, 3])
    def test_translates_have_a_translate_between_them(self, cost, d):
        rng = np.random.default_rng(d)
        x, moves, weights = rng.normal(size=(9, d)), 5.0 * rng.normal(size=(5, d)), rng.dirichlet(np.ones(5))
        found = monge.free_barycenter([x + move for move in moves], weights=weights, cost=cost, tol=0.0)
        if cost == "sqeuclidean":
            goal = weights @ moves
            np.testing.assert_allclose(in_order(found), x[np.lexsort(x.T)] + goal, atol=1e-12)
            assert found.value == pytest.approx(weights @ ((moves - goal) ** 2).sum(axis=1), rel=1e-12)
            assert found.gap <= 1e-12 * found.value
        else:
            # All points move by the best place between the moves.
            goal = monge.free_barycenter([move[np.newaxis] for move in moves], weights=weights, cost=cost, tol=0.0)
            assert found.value == pytest.approx(goal.value, rel=1e-9)
        assert found.converged

    def test_two_measures_by_the_plan_between_them(self):
        points, masses, _ = clouds(1, k=2, weighted=True)
        plan = monge.emd(monge.PointCloud(*points), *masses)
        for t in (0.25, 0.5, 1.0):
            found = monge.free_barycenter(points, masses, [1.0 - t, t])
            assert found.value == pytest.approx(t * (1.0 - t) * plan.value, rel=1e-12, abs=1e-14)  # McCann 1997
            assert found.gap <= 1e-12
            assert len(found.points) <= len(points[0]) + len(points[1]) - 1
        halfway = monge.free_barycenter(points, masses)
        assert monge.wasserstein(points[0], halfway.points, masses[0], halfway.weights, p=2) == pytest.approx(
            0.5 * np.sqrt(plan.value), rel=1e-9
        )

    @pytest.mark.parametrize("cost", ["euclidean", ("euclidean", 1.5), ("euclidean", 4), "cityblock"])
    def test_two_measures_are_exact_for_other_costs(self, cost):
        points, _, weights = clouds(2, k=2)
        found = monge.free_barycenter(points, weights=weights, cost=cost)
        assert found.gap <= 1e-9 * found.value

    def test_one_measure_is_its_own(self):
        points, masses, _ = clouds(3, weighted=True)
        for k in range(4):
            found = monge.free_barycenter(points, masses, np.eye(4)[k])
            np.testing.assert_array_equal(found.points, points[k])
            np.testing.assert_allclose(found.weights, masses[k], rtol=1e-14)
            assert (found.value, found.gap, found.status) == (0.0, 0.0, FreeStatus.EXACT)
            assert found.transports[k].value == pytest.approx(0.0, abs=1e-15)

    def test_geometric_median(self):
        # Of three single points, where POT's generic solver takes the mean. All angles are below 120 degrees.
        corners = np.array([[0.0, 0.0], [0.0, 1.0], [10.0, 0.0]])
        found = monge.free_barycenter(list(corners[:, np.newaxis]), cost="euclidean")
        z = found.points[0]
        pulls = (z - corners) / np.linalg.norm(z - corners, axis=1)[:, np.newaxis]
        np.testing.assert_allclose(pulls @ pulls.T, np.where(np.eye(3), 1.0, -0.5), atol=1e-9)  # 120 degrees apart
        # Where one angle is larger, its corner.
        corners[0] = [1.0, 0.3]
        found = monge.free_barycenter(list(corners[:, np.newaxis]), cost="euclidean")
        np.testing.assert_array_equal(found.points, corners[:1])

    def test_an_outlier_does_not_pull_a_median(self):
        x = np.random.default_rng(4).normal(size=(8, 2))
        family = [x, x + 0.1, x - 0.1, x + np.array([0.1, -0.1]), x + 1000.0]
        median, mean = (monge.free_barycenter(family, cost=cost) for cost in ("euclidean", "sqeuclidean"))
        assert np.abs(in_order(median) - x[np.lexsort(x.T)]).max() < 0.2
        assert np.abs(in_order(mean) - x[np.lexsort(x.T)]).max() > 100.0

    def test_permuted_inputs(self):
        points, masses, weights = clouds(5, weighted=True)
        found = monge.free_barycenter(points, masses, weights)
        order = [2, 0, 3, 1]
        other = monge.free_barycenter([points[k] for k in order], [masses[k] for k in order], weights[order])
        assert other.value == pytest.approx(found.value, rel=1e-10)
        np.testing.assert_allclose(in_order(other), in_order(found), atol=1e-9)

    def test_all_plans_of_tiny_clouds(self):
        # Equal masses: the points go to means of matched ones. The best of all matchings is what is found, or less.
        rng = np.random.default_rng(6)
        points = rng.normal(size=(3, 4, 2))
        matched = [
            np.stack((points[0], points[1][list(s)], points[2][list(t)]))
            for s in itertools.permutations(range(4))
            for t in itertools.permutations(range(4))
        ]
        best = min(float(((y - y.mean(axis=0)) ** 2).sum(axis=-1).mean()) for y in matched)
        starts = [monge.free_barycenter(points, n_points=4, rng=seed).value for seed in range(6)]
        assert min(starts) == pytest.approx(best, rel=1e-12)
        assert max(starts) < 1.5 * best

    def test_no_better_than_the_linear_programme_on_the_same_places(self):
        points, masses, weights = clouds(7, k=3, n=8, weighted=True)
        found = monge.free_barycenter(points, masses, weights, init=np.random.default_rng(7).normal(size=(6, 2)))
        costs = [((y[:, np.newaxis] - found.points) ** 2).sum(axis=-1) for y in points]
        programme = exact_barycenter(masses, costs, weights)
        masses_too = monge.free_barycenter(points, masses, weights, init=found, free_masses=True)
        assert masses_too.value < found.value
        assert programme.value <= found.value
        assert masses_too.value <= programme.value * 1.02


class TestOnTheLine:
    def test_quantiles_are_averaged(self):
        rng = np.random.default_rng(8)
        points, weights = rng.normal(size=(4, 7)), rng.dirichlet(np.ones(4))
        found = monge.free_barycenter(list(points), weights=weights)
        np.testing.assert_allclose(found.points[:, 0], weights @ np.sort(points, axis=1), atol=1e-14)
        np.testing.assert_allclose(found.weights, 1.0 / 7.0, rtol=1e-12)
        assert (found.status, found.gap) == (FreeStatus.EXACT, 0.0)

    @pytest.mark.parametrize("cost", COSTS)
    def test_value_and_number_of_points(self, cost):
        points, masses, weights = clouds(9, k=5, d=1, weighted=True)
        masses[0][:2] = 0.0  # points without mass
        masses[0] /= masses[0].sum()
        found = monge.free_barycenter(points, masses, weights, cost=cost)
        assert found.value == pytest.approx(objective(found, points, masses, weights, cost), rel=1e-10)
        assert len(found.points) <= sum(map(len, points)) - 4
        assert found.weights.sum() == pytest.approx(1.0, rel=1e-12)
        # Nothing that moves gets below.
        moved = monge.free_barycenter(points, masses, weights, cost=cost, n_points=9, rng=0)
        assert moved.value >= found.value
        assert moved.lower_bound == pytest.approx(found.value, rel=1e-12)
        assert type(moved.value) is type(moved.lower_bound) is type(moved.gap) is float

    def test_number_of_points_given(self):
        # Means over slabs of the averaged quantiles.
        rng = np.random.default_rng(10)
        points = rng.normal(size=(3, 12))
        found = monge.free_barycenter(list(points), n_points=4, rng=0)
        slabs = np.sort(points, axis=1).mean(axis=0).reshape(4, 3).mean(axis=1)
        np.testing.assert_allclose(np.sort(found.points[:, 0]), slabs, atol=1e-12)

    def test_many_points(self):
        rng = np.random.default_rng(11)
        found = monge.free_barycenter([rng.normal(k, 1.0 + k, size=20_000) for k in range(5)])
        assert found.points.mean() == pytest.approx(2.0, abs=0.1)
        assert float(found.weights @ (found.points[:, 0] - 2.0) ** 2) == pytest.approx(9.0, rel=0.05)


class TestKMeans:
    def lloyd(self, x, masses, centres, steps):
        for _ in range(steps):
            nearest = ((x[:, np.newaxis] - centres) ** 2).sum(axis=-1).argmin(axis=1)
            centres = np.array(
                [
                    np.average(x[nearest == j], axis=0, weights=masses[nearest == j])
                    if masses[nearest == j].sum() > 0.0
                    else centres[j]
                    for j in range(len(centres))
                ]
            )
        return centres

    def test_lloyd(self):
        rng = np.random.default_rng(12)
        x, masses, init = rng.normal(size=(80, 3)), rng.dirichlet(np.ones(80)), rng.normal(size=(5, 3))
        found = monge.free_barycenter([x], [masses], init=init, free_masses=True, tol=0.0)
        np.testing.assert_allclose(found.points, self.lloyd(x, masses, init, 100), atol=1e-12)
        squares = ((x[:, np.newaxis] - found.points) ** 2).sum(axis=-1)
        assert found.value == pytest.approx(masses @ squares.min(axis=1), rel=1e-12)
        np.testing.assert_allclose(found.weights, np.bincount(squares.argmin(axis=1), masses, 5), rtol=1e-12)
        # Its transport is an optimal one, as the solver says.
        assert monge.emd(monge.PointCloud(found.points, x), found.weights, masses).value == pytest.approx(found.value)
        # And no small move of a centre helps.
        for move in 1e-4 * np.vstack((np.eye(3), -np.eye(3))):
            for j in range(5):
                moved = found.points + move * (np.arange(5) == j)[:, np.newaxis]
                assert masses @ ((x[:, np.newaxis] - moved) ** 2).sum(axis=-1).min(axis=1) > found.value

    def test_clusters_of_equal_mass(self):
        x = np.random.default_rng(13).normal(size=(60, 2))
        found = monge.free_barycenter([x], n_points=6, rng=0)
        sizes = np.bincount(found.transports[0].plan.tocoo().row, minlength=6)
        np.testing.assert_array_equal(sizes, 10)

    def test_medians(self):
        x = np.random.default_rng(14).normal(size=(50, 2))
        found = monge.free_barycenter([x], n_points=3, rng=0, free_masses=True, cost="euclidean")
        rows, columns = found.transports[0].plan.tocoo().coords
        for j in range(3):
            apart = found.points[j] - x[columns[rows == j]]
            size = np.linalg.norm(apart, axis=1)
            pull = (apart[size > 0.0] / size[size > 0.0, np.newaxis]).sum(axis=0)
            assert np.linalg.norm(pull) <= (size == 0.0).sum() + 1e-6

    def test_more_points_than_there_are(self):
        x = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
        found = monge.free_barycenter([x], n_points=7, rng=0)
        assert found.value == pytest.approx(0.0, abs=1e-15) or found.value < 0.1
        assert found.weights == pytest.approx(np.full(7, 1.0 / 7.0))
        found = monge.free_barycenter([x], n_points=7, rng=0, free_masses=True)
        assert found.value == 0.0
        assert found.converged


class TestSearch:
    @pytest.mark.parametrize("cost", COSTS)
    @pytest.mark.parametrize("free_masses", [False, True])
    def test_goes_down_to_what_it_says_and_not_below_its_bound(self, cost, free_masses):
        for seed, n_points in ((15, None), (16, 5), (17, 20)):
            points, masses, weights = clouds(seed, weighted=True)
            found = monge.free_barycenter(
                points, masses, weights, cost=cost, n_points=n_points, rng=0, free_masses=free_masses
            )
            assert (np.diff(found.values) < 0.0).all()
            assert found.value == pytest.approx(objective(found, points, masses, weights, cost), rel=1e-9)
            assert 0.0 <= found.lower_bound <= found.value
            assert found.status is FreeStatus.CONVERGED
            assert found.weights.sum() == pytest.approx(1.0, rel=1e-12)

    @pytest.mark.parametrize("cost", COSTS)
    @pytest.mark.parametrize("k", [2, 3, 7])
    def test_bound_of_single_points(self, cost, k):
        # Whose barycenter is the best place between them.
        for seed in range(5):
            rng = np.random.default_rng(seed)
            points, weights = rng.normal(size=(k, 1, 3)), rng.dirichlet(np.full(k, 0.5))
            found = monge.free_barycenter(list(points), weights=weights, cost=cost, tol=0.0)
            bound = found._objective.bound()
            assert 0.3 * found.value < bound <= found.value * (1.0 + 1e-12)
            if k == 2 or cost == "sqeuclidean":
                assert bound == pytest.approx(found.value, rel=1e-9)

    def test_starts_at_most_at_twice_the_bound(self):
        for seed in range(18, 24):
            points, masses, weights = clouds(seed, k=5, weighted=True)
            found = monge.free_barycenter(points, masses, weights)
            assert found.values[1] <= 2.0 * found.lower_bound * (1.0 + 1e-12)  # von Lindheim 2023

    def test_a_fixed_point(self):
        points, masses, weights = clouds(24, weighted=True)
        found = monge.free_barycenter(points, masses, weights, n_points=6, rng=0, tol=0.0)
        goals = sum(w * t.map(y) for w, t, y in zip(weights, found.transports, points, strict=True))
        np.testing.assert_allclose(goals, found.points, atol=1e-12)
        again = monge.free_barycenter(points, masses, weights, init=found)
        assert again.iterations <= 1
        assert again.value == pytest.approx(found.value, rel=1e-12)

    def test_points_without_mass_and_duplicates(self):
        points, masses, weights = clouds(25, weighted=True)
        x = np.random.default_rng(25).normal(size=(6, 2))
        x[1] = x[0]
        found = monge.free_barycenter(points, masses, weights, init=(x, [1.0, 1.0, 0.0, 2.0, 1.0, 0.0]))
        np.testing.assert_array_equal(found.points[[2, 5]], x[[2, 5]])
        np.testing.assert_allclose(found.weights, np.array([1, 1, 0, 2, 1, 0]) / 5.0)
        assert np.isfinite(found.points).all()
        assert found.value == pytest.approx(objective(found, points, masses, weights), rel=1e-10)

    def test_threads_and_seeds(self):
        points, masses, weights = clouds(26, k=6, n=40, d=3, weighted=True)
        one, two = (monge.free_barycenter(points, masses, weights, threads=t, n_points=20, rng=0) for t in (1, 2))
        np.testing.assert_array_equal(one.points, two.points)
        other = monge.free_barycenter(points, masses, weights, n_points=20, rng=5)
        assert not np.array_equal(one.points, other.points)
        same = monge.free_barycenter(points, masses, weights, n_points=20, rng=np.random.default_rng(5))
        np.testing.assert_array_equal(same.points, other.points)

    def test_weights_of_zero_take_no_part(self):
        points, masses, weights = clouds(27, weighted=True)
        weights = np.array([0.3, 0.0, 0.5, 0.2])
        found = monge.free_barycenter(points, masses, weights)
        some = [0, 2, 3]
        alone = monge.free_barycenter([points[k] for k in some], [masses[k] for k in some], weights[some])
        np.testing.assert_allclose(found.points, alone.points, atol=1e-12)
        assert len(found.transports) == 4
        assert found.transports[1].value == pytest.approx(
            monge.emd(monge.PointCloud(found.points, points[1]), found.weights, masses[1]).value, rel=1e-12
        )

    @pytest.mark.parametrize(
        ("cost", "unit"), [*((c, u) for c in COSTS for u in (1e-90, 1e80)), ("sqeuclidean", 1e-140)]
    )
    def test_units_do_not_matter(self, cost, unit):
        points, masses, weights = clouds(28, weighted=True)
        plain = monge.free_barycenter(points, masses, weights, cost=cost, n_points=5, rng=0)
        found = monge.free_barycenter([unit * x for x in points], masses, weights, cost=cost, n_points=5, rng=0)
        np.testing.assert_allclose(found.points / unit, plain.points, atol=1e-6)

    def test_peer(self):
        ot = pytest.importorskip("ot", reason="a cross-check by POT")
        points, masses, weights = clouds(29, n=30, d=3, weighted=True)
        x0 = np.random.default_rng(29).normal(size=(15, 3))
        found = monge.free_barycenter(points, masses, weights, init=x0, tol=0.0)
        peer = ot.lp.free_support_barycenter(points, masses, x0.copy(), weights=weights, stopThr=1e-20)
        np.testing.assert_allclose(found.points, peer, atol=1e-9)


class TestEntropy:
    def test_value_and_spread(self):
        # For normal clouds of one variance s^2 the barycenter has s^2 - eps / 2, debiased s^2.
        rng = np.random.default_rng(30)
        x = rng.normal(size=(300, 1))
        family = [x + 1.0, x - 1.0]
        plain, whole = (monge.free_barycenter(family, eps=0.4, debias=debias, tol=1e-6) for debias in (False, True))
        spread = float(x.var())
        assert float(plain.points.var()) == pytest.approx(spread - 0.2, abs=0.03)
        assert float(whole.points.var()) == pytest.approx(spread, abs=0.03)
        assert (np.diff(plain.values) < 0.0).all()
        assert (np.diff(whole.values) < 0.0).all()
        assert plain.value == pytest.approx(
            0.5 * sum(monge.sinkhorn(monge.PointCloud(plain.points, y), eps=0.4, tol=1e-7).value for y in family),
            rel=1e-6,
        )
        assert whole.value == pytest.approx(
            0.5 * sum(monge.sinkhorn_divergence(whole.points, y, eps=0.4, tol=1e-7) for y in family), rel=1e-5
        )
        assert plain.lower_bound <= plain.value
        assert whole.lower_bound == 0.0

    def test_one_measure_comes_back_debiased(self):
        x = np.random.default_rng(31).normal(size=(20, 2))
        found = monge.free_barycenter([x], eps=0.1, debias=True, init=x + 0.3, max_iter=500)
        np.testing.assert_allclose(found.points.mean(axis=0), x.mean(axis=0), atol=1e-3)
        assert found.value < 1e-3

    def test_says_so_where_plans_are_not_what_they_should_be(self, monkeypatch):
        points, _, _ = clouds(38)
        monkeypatch.setattr(objectives, "_PASSES", 1)
        with pytest.warns(monge.ConvergenceWarning, match="marginal error"):
            monge.free_barycenter(points[:2], init=points[0] + 0.1, eps=0.01, max_iter=300)


class TestInterface:
    def test_errors(self):
        points, masses, _ = clouds(32, weighted=True)
        call = monge.free_barycenter
        with pytest.raises(ValueError, match="pass \\[points\\]"):
            call(points[0])
        with pytest.raises(ValueError, match="at least one"):
            call([])
        with pytest.raises(ValueError, match="measure 1: points should have as many coordinates"):
            call([points[0], np.zeros((3, 3))])
        with pytest.raises(ValueError, match=r"measure 1: .*finite"):
            call([points[0], np.full((3, 2), np.nan)])
        with pytest.raises(
            ValueError, match=r"measure 2: masses should hold finite weights that are not negative; masses\[0"
        ):
            call(points, [masses[0], masses[1], -masses[2], masses[3]])
        with pytest.raises(ValueError, match=r"measure 0: masses should have shape \(\d+,\), one for each point; got"):
            call(points, [masses[0][1:], *masses[1:]])
        with pytest.raises(ValueError, match="measure 3: masses should have some mass"):
            call(points, [*masses[:3], 0.0 * masses[3]])
        with pytest.raises(ValueError, match="init's masses should have shape"):
            call(points, init=(points[0], masses[0][1:]))
        with pytest.raises(TypeError, match="rng"):
            call(points, n_points=3, rng="seed")
        with pytest.raises(ValueError, match="sum to one"):
            call(points, weights=[1.0, 1.0, 1.0, 1.0])
        with pytest.raises(ValueError, match="leave one of them out"):
            call(points, n_points=3, rng=0, init=points[0])
        with pytest.raises(ValueError, match="init should have points of 2 coordinates"):
            call(points, init=np.zeros((3, 3)))
        with pytest.raises(ValueError, match="gradient_flow"):
            call(points, cost="chebyshev")
        with pytest.raises(ValueError, match="gradient_flow"):
            call(points, cost=lambda x, y: 0.0)
        with pytest.raises(ValueError, match="gradient_flow"):
            call(points, cost=("euclidean", 0.5))
        with pytest.raises(ValueError, match="give eps="):
            call(points, debias=True)
        with pytest.raises(ValueError, match="free_masses"):
            call(points, eps=1.0, free_masses=True)
        with pytest.raises(ValueError, match="sqeuclidean"):
            call(points, eps=1.0, cost="euclidean")
        with pytest.raises(ValueError, match="tol"):
            call(points, tol=-1.0)
        with pytest.raises(ValueError, match="n_points"):
            call(points, n_points=0, rng=0)

    def test_stops_early_and_says_so(self):
        points, masses, weights = clouds(33, n=40, weighted=True)
        with pytest.warns(monge.ConvergenceWarning, match="max_iter"):
            found = monge.free_barycenter(points, masses, weights, n_points=10, rng=0, max_iter=2)
        assert (found.iterations, found.converged) == (2, False)
        assert found.value == pytest.approx(objective(found, points, masses, weights), rel=1e-10)
        with pytest.warns(monge.ConvergenceWarning, match="time_limit"):
            found = monge.free_barycenter(points, masses, weights, n_points=10, rng=0, time_limit=0.0)
        assert found.status is FreeStatus.TIME_LIMIT
        assert found.gap >= 0.0

    def test_time_runs_out_on_the_way(self, monkeypatch):
        points, masses, weights = clouds(34, n=40, weighted=True)
        whole = monge.free_barycenter(points, masses, weights, n_points=10, rng=0)
        ticks = itertools.count()
        monkeypatch.setattr(free.time, "monotonic", lambda: float(next(ticks)))  # a second goes by at each look
        with pytest.warns(monge.ConvergenceWarning, match="time_limit"):
            found = monge.free_barycenter(points, masses, weights, n_points=10, rng=0, time_limit=16.5, threads=1)
        assert found.status is FreeStatus.TIME_LIMIT
        assert 0 < found.iterations < whole.iterations
        np.testing.assert_array_equal(found.values, whole.values[: len(found.values)])

    @pytest.mark.parametrize("cost", COSTS)
    def test_progress_repr_pickle_and_callers_arrays(self, cost):
        points, _, _ = clouds(35)
        before = [x.copy() for x in points]
        found = monge.free_barycenter(points, cost=cost, n_points=4, rng=0, progress=True)
        assert "4 points in 2-D" in repr(found)
        for x, y in zip(points, before, strict=True):
            np.testing.assert_array_equal(x, y)
            x[:] = 0.0
        again = pickle.loads(pickle.dumps(found))
        assert again.gap == found.gap
        np.testing.assert_array_equal(again.points, found.points)

    def test_another_library(self):
        torch = pytest.importorskip("torch", reason="needs monge[torch]")
        points, _, _ = clouds(36)
        found = monge.free_barycenter([torch.tensor(x) for x in points], n_points=4, rng=0)
        plain = monge.free_barycenter(points, n_points=4, rng=0)
        assert isinstance(found.points, torch.Tensor)
        np.testing.assert_array_equal(found.points.numpy(), plain.points)

    def test_pairs_of_the_start_serve_the_bound(self, monkeypatch):
        points, _, _ = clouds(37)
        found = monge.free_barycenter(points)
        monkeypatch.setattr(measures.Measures, "solve", None)
        assert found.gap > 0.0
