"""Exact transport: optimal on every family, for every way to hand the cost over, with the same bits on any threads."""

from __future__ import annotations

import builtins
import os
import re
from functools import lru_cache
from math import fsum

import numpy as np
import pytest
from cases import FAMILIES, GROUNDS, KNOWN, LAYOUTS, cloud, forbid, known, sample, simplex, squared
from oracle import EPS, GAP, assert_certified, assert_feasible, assert_optimal, exact_marginals

import monge
from monge.exact.dense import dense
from monge.problem.costs import as_cost

WITH_POINTS = [name for name in FAMILIES if sample(name, 8).points is not None]

# A problem is solved on more than one thread only above 2**20 arcs.
LARGE = (1100, 1000)


# A guard against pivots without end, which rounding can cause, in problems that take milliseconds.
HANG = 120


@lru_cache
def solved_cold(name: str, size: int = 160) -> monge.Transport:
    """A family's problem, solved without a start; for tests that leave it as it is."""
    p = sample(name, size)
    return monge.emd(p.cost, p.a, p.b)


def same_bits(s: monge.Transport, t: monge.Transport) -> None:
    for x, y in (
        (s.f, t.f),
        (s.g, t.g),
        (s.plan.row, t.plan.row),
        (s.plan.col, t.plan.col),
        (s.plan.data, t.plan.data),
    ):
        np.testing.assert_array_equal(x, y, strict=True)
    assert (s.value, s.gap, s.iterations) == (t.value, t.gap, t.iterations)


class TestFamilies:
    """Every family in every form."""

    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("name", FAMILIES)
    def test_matrix(self, name, layout):
        p = sample(name)
        C = LAYOUTS[layout](p.cost)
        np.testing.assert_array_equal(C, p.cost)
        t = monge.emd(C, p.a, p.b)
        assert_optimal(t, p.cost, p.a, p.b)
        if p.value is not None:
            assert t.value == pytest.approx(p.value, rel=1e-13, abs=1e-300)
        if p.plan is not None:
            np.testing.assert_allclose(t.plan.toarray(), p.plan, rtol=1e-13, atol=0)

    @pytest.mark.parametrize("name", FAMILIES)
    def test_single_precision(self, name):
        p = sample(name)
        with np.errstate(over="ignore"):
            C = p.cost.astype(np.float32)
        if np.isinf(C).sum() > np.isinf(p.cost).sum():
            pytest.skip("beyond float32")
        assert_optimal(monge.emd(C, p.a, p.b), C, p.a, p.b)
        F = np.asfortranarray(C)
        assert_optimal(monge.emd(F, p.a, p.b), F, p.a, p.b)

    @pytest.mark.parametrize("name", FAMILIES)
    def test_cost_matrix(self, name):
        p = sample(name)
        same_bits(monge.emd(monge.CostMatrix(p.cost), p.a, p.b), monge.emd(p.cost, p.a, p.b))

    @pytest.mark.parametrize("name", WITH_POINTS)
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_point_cloud(self, name, dtype):
        p = sample(name)
        x, y, cost = p.points
        t = monge.emd(monge.PointCloud(x.astype(dtype), y.astype(dtype), cost), p.a, p.b)
        C = dense(monge.PointCloud(x.astype(dtype), y.astype(dtype), cost), 1)
        assert C.dtype == dtype
        # d terms and a root or a power, each rounded; points in float32 were rounded before that.
        reach = np.abs(x).max() + np.abs(y).max()
        rounding = np.finfo(dtype).eps * (x.shape[1] + 8)
        np.testing.assert_allclose(C, p.cost, rtol=rounding, atol=_point_error(cost, reach, x.shape[1], dtype))
        assert_optimal(t, C, p.a, p.b)

    @pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 127, 128, 129, 300])
    @pytest.mark.parametrize(
        "name", ["gaussians_plane_weighted", "integers", "duplicates", "forbidden_most", "tall", "wide"]
    )
    def test_sizes(self, name, size):
        p = sample(name, size)
        assert_optimal(monge.emd(p.cost, p.a, p.b), p.cost, p.a, p.b)

    @pytest.mark.parametrize("name", ["gaussians_plane", "duplicates", "histograms_cityblock", "integers", "truncated"])
    def test_clusters_of_clusters(self, name):
        # Large enough that the start aggregates twice.
        p = sample(name, 1600)
        assert_optimal(monge.emd(p.cost, p.a, p.b), p.cost, p.a, p.b)


def _point_error(cost, reach, d, dtype):
    """The absolute error that coordinates of size `reach`, rounded to `dtype`, put into a ground cost."""
    if dtype == np.float64:
        # Cosine is a difference of numbers near one.
        return 4 * d * np.finfo(dtype).eps if cost == "cosine" else 0.0
    delta = d * np.finfo(dtype).eps * reach
    if cost == "cosine":
        return 4 * d * np.finfo(dtype).eps
    if cost == "cityblock":
        return delta
    power = {"sqeuclidean": 2.0, "euclidean": 1.0}[cost] if isinstance(cost, str) else cost[1]
    return power * (2 * reach * d) ** (power - 1) * delta if power >= 1 else delta**power


class TestWideRange:
    """Costs over twelve decades: potentials are large beside the costs of the basis, and so is their rounding."""

    @pytest.mark.parametrize("seed", [28, 52, 64, 68, 72, 73, 74, 75])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_ends(self, seed, dtype):
        rng = np.random.default_rng(seed)
        n, m = rng.integers(2, 32, 2)
        C = (10 ** (12 * rng.random((n, m)) - 6)).astype(dtype)
        a, b = rng.integers(0, 5, n) * 1.0, rng.integers(0, 5, m) * 1.0
        a[0], b[0] = a[0] + 1, b[0] + 1
        excess = a.sum() - b.sum()
        (b if excess > 0 else a)[0] += abs(excess)
        t = monge.emd(C, a, b, time_limit=HANG)
        assert t.status is monge.Status.OPTIMAL
        assert_feasible(t, C, a, b)
        assert_certified(t, C, a, b)
        # Potentials as large as the dearest cost leave their rounding on the cheapest.
        assert t.gap <= EPS * C.max() * a.sum()


class TestKnown:
    """Problems whose answer is known beforehand."""

    @pytest.mark.parametrize("form", ["matrix", "points"])
    @pytest.mark.parametrize("name", KNOWN)
    def test_answer(self, name, form):
        p = known(name)
        if form == "points" and p.points is None:
            pytest.skip("has no points")
        t = monge.emd(p.cost if form == "matrix" else monge.PointCloud(*p.points), p.a, p.b)
        assert t.value == pytest.approx(p.value, rel=1e-13, abs=1e-15)
        if p.plan is not None:
            np.testing.assert_allclose(t.plan.toarray(), p.plan, rtol=1e-12, atol=1e-17)
        assert_optimal(t, p.cost if form == "matrix" else dense(monge.PointCloud(*p.points), 1), p.a, p.b)

    def test_wasserstein_of_a_translation(self):
        rng = np.random.default_rng(0)
        x, shift = rng.normal(size=(100, 4)), np.array([1.0, 2.0, -2.0, 4.0])
        for p in (1.0, 1.5, 2.0, 3.0):
            assert monge.wasserstein(x, x[::-1] + shift, p=p) == pytest.approx(5.0, rel=1e-13, abs=0)

    def test_wasserstein_normalises(self):
        x, y = np.array([0.0, 1.0]), np.array([2.0, 3.0])
        w = np.array([3.0, 1.0])
        assert monge.wasserstein(x, y, w, w) == pytest.approx(2.0, rel=1e-15, abs=0)
        assert monge.wasserstein(x, y, w, w * 1.0) == monge.wasserstein(x, y, w * 1024, w * 1024)


class TestShapes:
    @pytest.mark.parametrize("shape", [(220, 8800), (8800, 220)])
    def test_long_rectangle(self, shape):
        rng = np.random.default_rng(1)
        n, m = shape
        x, y = rng.random((n, 2), dtype=np.float32), rng.random((m, 2), dtype=np.float32)
        a, b = simplex(rng, n), simplex(rng, m)
        C = squared(x, y)
        assert_optimal(monge.emd(C, a, b), C, a, b)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 2), (1, 5000), (5000, 1), (2, 3000), (3000, 2), (7, 1000)])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_thin(self, shape, weighted):
        rng = np.random.default_rng(2)
        C = rng.random(shape)
        a, b = (simplex(rng, size) if weighted else None for size in shape)
        t = monge.emd(C, a, b)
        assert_optimal(t, C, a, b)
        if 1 in shape:
            P = np.outer(
                np.full(shape[0], 1 / shape[0]) if a is None else a, np.full(shape[1], 1 / shape[1]) if b is None else b
            )
            assert t.value == pytest.approx(fsum((P * C).ravel()), rel=1e-13, abs=0)

    @pytest.mark.parametrize("kind", ["iid", "squared"])
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize(("shape", "pivots"), [((2, 20000), 600), ((20000, 2), 600), ((8, 20000), 6000)])
    def test_flat_start_near_the_optimum(self, shape, pivots, weighted, kind):
        # A start that leaves out rows too early, or reads but a sample of them, takes 3500 pivots between two columns.
        rng = np.random.default_rng(0)
        n, m = shape
        C = rng.random(shape) if kind == "iid" else squared(rng.random((n, 2)), rng.random((m, 2)))
        a, b = (simplex(rng, size) if weighted else None for size in shape)
        t = monge.emd(C, a, b)
        assert_optimal(t, C, a, b)
        assert t.stats["pivots"] < pivots
        assert t.stats["sweeps"] == 1
        assert t.stats["arcs_priced"] < 100 * C.size
        assert t.stats["coarse_pivots"] < 1000

    def test_one_sided_weights(self):
        # Uniform weights take the total of the other side.
        rng = np.random.default_rng(3)
        C, a = rng.random((5, 8)), rng.random(5) * 4
        assert_optimal(monge.emd(C, a), C, a, None)
        assert_optimal(monge.emd(C.T, None, a), C.T, None, a)
        assert monge.emd(C, a).plan.sum() == pytest.approx(a.sum(), rel=1e-14, abs=0)


class TestForbidden:
    @pytest.mark.parametrize("seed", range(12))
    @pytest.mark.parametrize("density", [0.02, 0.05, 0.1, 0.3])
    def test_feasible_or_not(self, seed, density):
        # Whether there is a plan is asked of an independent algorithm, Hopcroft and Karp's.
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import maximum_bipartite_matching

        rng = np.random.default_rng(seed)
        n = 60
        allowed = rng.random((n, n)) < density
        C = np.where(allowed, rng.random((n, n)), np.inf)
        feasible = (maximum_bipartite_matching(csr_array(allowed.astype(np.int8))) >= 0).all()
        if feasible:
            assert_optimal(monge.emd(C), C)
        else:
            with pytest.raises(monge.InfeasibleError, match="forbidden"):
                monge.emd(C)

    def test_both_outcomes_occur(self):
        outcomes = set()
        for seed in range(12):
            try:
                monge.emd(np.where(np.random.default_rng(seed).random((60, 60)) < 0.1, 1.0, np.inf))
                outcomes.add("plan")
            except monge.InfeasibleError:
                outcomes.add("none")
        assert outcomes == {"plan", "none"}

    @pytest.mark.parametrize("shape", [(30, 30), (20, 90), (90, 20)])
    def test_blocks_that_do_not_balance(self, shape):
        # Two blocks, joined by nothing: feasible only if each block balances by itself.
        rng = np.random.default_rng(5)
        n, m = shape
        C = np.full(shape, np.inf)
        C[: n // 2, : m // 2], C[n // 2 :, m // 2 :] = (
            rng.random((n // 2, m // 2)),
            rng.random((n - n // 2, m - m // 2)),
        )
        a, b = rng.integers(1, 9, n).astype(float), rng.integers(1, 9, m).astype(float)
        a[: n // 2] /= a[: n // 2].sum()
        a[n // 2 :] /= a[n // 2 :].sum()
        b[: m // 2] /= b[: m // 2].sum()
        b[m // 2 :] /= b[m // 2 :].sum()
        a[0] += 0.001
        b[-1] += 0.001
        with pytest.raises(monge.InfeasibleError):
            monge.emd(C, a, b)

    def test_nothing_allowed(self):
        with pytest.raises(monge.InfeasibleError):
            monge.emd(np.full((4, 5), np.inf))

    def test_a_row_without_arcs(self):
        C = np.ones((4, 4))
        C[2] = np.inf
        with pytest.raises(monge.InfeasibleError):
            monge.emd(C)
        a = np.array([1.0, 1.0, 0.0, 2.0])
        assert_optimal(monge.emd(C, a), C, a)

    def test_large(self):
        rng = np.random.default_rng(6)
        C = forbid(rng, squared(rng.random((1100, 2)), rng.random((1100, 2))), 0.01)
        assert_optimal(monge.emd(C), C)


class TestThreads:
    """The same call gives the same bits for any number of threads."""

    @pytest.mark.parametrize("case", ["plane", "single", "iid", "ties", "zero_weights", "forbidden", "fortran", "wide"])
    def test_same_bits(self, case):
        rng = np.random.default_rng(8)
        n, m = LARGE
        x, y, a, b = rng.normal(size=(n, 2)), rng.normal(size=(m, 2)), simplex(rng, n), simplex(rng, m)
        if case == "iid":
            C = rng.random(LARGE)
        elif case == "ties":
            C = rng.integers(0, 10, size=LARGE).astype(np.float32)
        elif case == "forbidden":
            C, a, b = forbid(rng, rng.random((n, n)), 0.2), None, None
        elif case == "wide":
            C, a, b = squared(rng.random((160, 2)), rng.random((8000, 2))), None, None
        else:
            C = squared(x, y)
        if case == "single":
            C = C.astype(np.float32)
        if case == "fortran":
            C = np.asfortranarray(C)
        if case == "zero_weights":
            a[::3], b[::5] = 0.0, 0.0
            a, b = a / a.sum(), b / b.sum()
        assert C.size > 2**20
        one = monge.emd(C, a, b, threads=1)
        assert_optimal(one, C, a, b)
        for threads in (2, 3, None):
            same_bits(one, monge.emd(C, a, b, threads=threads))

    @pytest.mark.parametrize("cost", GROUNDS)
    def test_point_clouds(self, cost):
        rng = np.random.default_rng(9)
        cloud = monge.PointCloud(rng.normal(size=(1100, 3)), rng.normal(size=(1000, 3)), cost)
        np.testing.assert_array_equal(dense(cloud, 1), dense(cloud, 3))
        same_bits(monge.emd(cloud, threads=1), monge.emd(cloud, threads=3))

    def test_twice(self):
        p = sample("gaussians_plane", 400)
        same_bits(monge.emd(p.cost), monge.emd(p.cost))


class TestInPlace:
    @pytest.mark.parametrize("layout", ["c", "fortran", "rows_strided", "rows_reversed"])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_matrix_is_not_copied(self, layout, dtype):
        C = LAYOUTS[layout](np.random.default_rng(0).random((20, 30)).astype(dtype))
        assert dense(as_cost(C), 1) is C


class TestTimeLimit:
    """A solve that is stopped returns a feasible plan and says honestly how far it may be from the optimum."""

    @pytest.mark.parametrize(
        "name",
        [
            "gaussians_plane_weighted",
            "iid",
            "integers",
            "tall",
            "wide",
            "zero_weights",
            "negative",
            "histograms_squared",
        ],
    )
    def test_no_time_at_all(self, name):
        p = sample(name, 300)
        optimum = monge.emd(p.cost, p.a, p.b).value
        with pytest.warns(monge.ConvergenceWarning, match="time_limit"):
            t = monge.emd(p.cost, p.a, p.b, time_limit=0)
        assert t.status is monge.Status.TIME_LIMIT
        assert not t.converged
        assert_feasible(t, p.cost, p.a, p.b)
        assert_certified(t, p.cost, p.a, p.b)
        rounding = GAP * max(1.0, abs(optimum))
        assert t.value - t.gap <= optimum + rounding
        assert optimum <= t.value + rounding
        # No time is no optimum: the gap is not a formality.
        assert t.gap > 1e-3 * abs(optimum)

    def test_warning_points_at_the_caller(self):
        with pytest.warns(monge.ConvergenceWarning) as caught:
            monge.emd(sample("iid").cost, time_limit=0)
        assert caught[0].filename == __file__

    def test_enough_time(self):
        p = sample("iid")
        for limit in (1e6, float("inf"), np.float32(1e6)):
            assert monge.emd(p.cost, time_limit=limit).converged

    def test_no_plan_yet(self):
        # Nothing honest can be returned if not even a plan was found.
        p = sample("forbidden_most", 300)
        with pytest.raises(TimeoutError, match="time_limit"):
            monge.emd(p.cost, time_limit=0)

    def test_stopped_result_is_a_start(self):
        p = sample("gaussians_plane", 300)
        with pytest.warns(monge.ConvergenceWarning):
            t = monge.emd(p.cost, time_limit=0)
        assert_optimal(monge.emd(p.cost, init=t), p.cost)


class TestInit:
    """A start changes the time taken, not the answer."""

    @pytest.mark.parametrize(
        "name",
        ["gaussians_plane", "iid_weighted", "tall", "wide", "zero_weights", "forbidden_half", "histograms_squared"],
    )
    def test_own_result(self, name):
        p, own = sample(name, 400), solved_cold(name, 400)
        for init in (own, (own.f, own.g), [own.f.tolist(), own.g.tolist()]):
            warm = monge.emd(p.cost, p.a, p.b, init=init)
            assert_optimal(warm, p.cost, p.a, p.b)
            assert warm.value == pytest.approx(own.value, rel=1e-12, abs=0)

    def test_needs_fewer_pivots(self):
        p = sample("gaussians_plane", 800)
        cold = monge.emd(p.cost)
        moved = p.cost * (1.0 + 1e-4 * np.random.default_rng(0).random(p.cost.shape))
        assert monge.emd(p.cost, init=cold).iterations < 0.2 * cold.iterations
        assert monge.emd(moved, init=cold).iterations < 0.5 * monge.emd(moved).iterations

    @pytest.mark.parametrize("name", ["gaussians_plane", "tall", "wide", "iid_weighted", "forbidden_half", "integers"])
    @pytest.mark.parametrize("nonsense", ["noise", "huge", "tiny", "zero", "integers"])
    def test_nonsense(self, name, nonsense):
        p = sample(name)
        n, m = p.cost.shape
        rng = np.random.default_rng(4)
        f, g = rng.normal(size=n), rng.normal(size=m)
        scale = {"noise": 1.0, "huge": 1e15, "tiny": 1e-300, "zero": 0.0, "integers": 1.0}[nonsense]
        init = (f * scale, g * scale)
        if nonsense == "integers":
            init = (f.round().astype(int), g.round().astype(int))
        t = monge.emd(p.cost, p.a, p.b, init=init)
        assert_optimal(t, p.cost, p.a, p.b)
        assert t.value == pytest.approx(solved_cold(name).value, rel=1e-12, abs=0)

    @pytest.mark.parametrize("size", [1e9, 1e300])
    def test_potentials_beyond_all_costs(self, size):
        p = sample("gaussians_plane")
        t = monge.emd(p.cost, init=(np.full(160, size), np.full(160, -size)))
        assert_optimal(t, p.cost)
        assert t.value == pytest.approx(monge.emd(p.cost).value, rel=1e-12, abs=0)

    @pytest.mark.parametrize(
        "name", ["gaussians_plane", "iid_weighted", "tall", "wide", "zero_weights", "forbidden_half"]
    )
    @pytest.mark.parametrize("change", ["costs", "weights", "zeros", "forbidden", "single", "order", "unrelated"])
    def test_chain(self, name, change):
        # Twice, since what a warm start hands on comes from what it was handed.
        p, rng = sample(name, 400), np.random.default_rng(1)
        n, m = p.cost.shape
        t = solved_cold(name, 400)
        for _ in range(2):
            C, a, b = np.array(p.cost, dtype=np.float64), p.a, p.b
            if change == "costs":
                C *= 1.0 + 0.01 * rng.random(C.shape)
            elif change == "weights":
                a, b = simplex(rng, n), simplex(rng, m)
            elif change == "zeros":
                a, b = (w * (rng.random(len(w)) < 0.7) for w in (simplex(rng, n), simplex(rng, m)))
                a, b = a / a.sum(), b / b.sum()
            elif change == "forbidden":
                C[t.plan.row[::10], t.plan.col[::10]] = np.inf
            elif change == "single":
                C = C.astype(np.float32)
            elif change == "order":
                C = np.asfortranarray(C)
            elif change == "unrelated":
                C = rng.permuted(C)
            t = monge.emd(C, a, b, init=t)
            assert_optimal(t, C, a, b)
            assert t.value == pytest.approx(monge.emd(C, a, b).value, rel=1e-12, abs=0)

    def test_small_changes_pay(self):
        # A warm start looks at few more arcs than one sweep, a certificate, takes.
        p = sample("gaussians_plane_weighted", 800)
        cold = monge.emd(p.cost, p.a, p.b)
        t = cold
        for step in range(4):
            moved = p.cost * (1.0 + 1e-5 * np.random.default_rng(step).random(p.cost.shape))
            t = monge.emd(moved, p.a, p.b, init=t)
            assert t.stats["arcs_priced"] < 2.5 * moved.size
            assert t.iterations < 0.1 * cold.iterations

    def test_unrelated_plan_is_not_used(self):
        # From a plan that is not near, pivots would take longer than from no plan at all.
        rng = np.random.default_rng(5)
        C, D = rng.random((200, 200)), rng.random((200, 200))
        same_bits(monge.emd(D, init=monge.emd(C)), monge.emd(D))
        # Most mass is now where there was none.
        a, b = np.repeat([1.0, 9.0], 100), np.repeat([9.0, 1.0], 100)
        same_bits(monge.emd(C, a, init=monge.emd(C, b)), monge.emd(C, a))

    def test_same_bits_on_any_threads(self):
        rng = np.random.default_rng(3)
        C = rng.random(LARGE)
        t = monge.emd(C)
        moved = C * (1.0 + 0.01 * rng.random(LARGE))
        same_bits(monge.emd(moved, init=t, threads=1), monge.emd(moved, init=t, threads=3))

    @pytest.mark.parametrize("name", ["gaussians_plane", "wide", "zero_weights"])
    def test_stopped_at_once(self, name):
        p = sample(name, 300)
        t = monge.emd(p.cost, p.a, p.b)
        moved = p.cost * (1.0 + 0.1 * np.random.default_rng(0).random(p.cost.shape))
        with pytest.warns(monge.ConvergenceWarning):
            stopped = monge.emd(moved, p.a, p.b, init=t, time_limit=0)
        assert_feasible(stopped, moved, p.a, p.b)
        assert_optimal(monge.emd(moved, p.a, p.b, init=stopped), moved, p.a, p.b)


class TestProgress:
    def test_answer_is_the_same(self):
        pytest.importorskip("tqdm")
        p = sample("gaussians_plane", 200)
        same_bits(monge.emd(p.cost, progress=True), monge.emd(p.cost))

    def test_bar(self, capsys, monkeypatch):
        # Short solves end before their first report: the bar is tested on the function that the core is given.
        pytest.importorskip("tqdm")
        from monge.problem import progress

        monkeypatch.setattr(progress, "_DELAY", 0.0)
        with progress.pivot_bar(True) as report:
            report(10, 1, 0.5)
            report(30, 2, float("inf"))
        shown = capsys.readouterr().err
        assert "emd: 30.0 pivots" in shown
        with progress.pivot_bar(False) as report:
            assert report is None
        assert capsys.readouterr().err == ""

    def test_without_tqdm(self, monkeypatch):
        real = builtins.__import__

        def no_tqdm(name, *rest):
            if name.startswith("tqdm"):
                raise ImportError("No module named 'tqdm'")
            return real(name, *rest)

        monkeypatch.setattr(builtins, "__import__", no_tqdm)
        with pytest.raises(ImportError, match="pip install tqdm"):
            monge.emd(np.eye(3), progress=True)
        assert monge.emd(np.eye(3)).converged


class TestTransport:
    """The result."""

    def test_plan_is_sparse(self):
        from scipy.sparse import coo_array

        p = sample("gaussians_plane_weighted")
        t = monge.emd(p.cost, p.a, p.b)
        assert isinstance(t.plan, coo_array)
        assert t.plan is t.plan
        assert t.plan.dtype == np.float64
        order = np.lexsort((t.plan.col, t.plan.row))
        np.testing.assert_array_equal(order, np.arange(t.plan.nnz))

    def test_stats(self):
        p = sample("iid")
        t = monge.emd(p.cost)
        assert t.stats["pivots"] == t.iterations > 0
        assert t.stats["sweeps"] >= 1
        assert t.stats["arcs_priced"] >= p.cost.size
        assert 0 <= t.stats["degenerate_pivots"] <= t.stats["pivots"]
        assert 0 < t.stats["listed_arcs"] <= p.cost.size
        assert all(t.stats[phase] >= 0 for phase in t.stats if phase.startswith("seconds"))

    def test_map_is_the_barycentric_projection(self):
        p = sample("gaussians_plane_weighted")
        _, y, _ = p.points
        t = monge.emd(p.cost, p.a, p.b)
        P = t.plan.toarray()
        np.testing.assert_allclose(t.map(y), P @ y / P.sum(1, keepdims=True), rtol=1e-12)
        np.testing.assert_allclose(t.map(y[:, 0]), t.map(y)[:, 0], rtol=1e-14)

    def test_map_preserves_the_mean(self):
        p = sample("gaussians_plane_weighted")
        _, y, _ = p.points
        t = monge.emd(p.cost, p.a, p.b)
        np.testing.assert_allclose(p.a @ t.map(y), p.b @ y, rtol=0, atol=1e-14)

    def test_map_of_sources_without_mass(self):
        t = monge.emd(np.ones((3, 2)), [0.5, 0.0, 0.5])
        images = t.map(np.array([[1.0], [3.0]]))
        assert np.isnan(images[1]).all()
        assert np.isfinite(images[[0, 2]]).all()

    @pytest.mark.parametrize("y", [np.ones((4, 2)), np.ones(3), np.float64(1.0), np.ones((2, 2, 2))])
    def test_map_wrong_shape(self, y):
        with pytest.raises(ValueError, match="y should"):
            monge.emd(np.ones((3, 2))).map(y)

    def test_marginal_error_is_measured(self):
        # A plan that is wrong on purpose: 0.3 and 0.7 where 0.5 and 0.5 were wanted.
        t = monge.Transport(
            value=0.0, cost=0.0, f=np.zeros(2), g=np.zeros(2), gap=0.0,
            status=monge.Status.OPTIMAL, iterations=0, stats={},
            weights=(np.array([0.5, 0.5]), None),
            entries=(np.array([0, 1]), np.array([0, 1]), np.array([0.3, 0.7])),
        )  # fmt: skip
        assert t.marginal_error == pytest.approx(0.8, rel=1e-15, abs=0)

    def test_marginal_error_is_relative(self):
        p = sample("iid_weighted")
        small = monge.emd(p.cost, p.a, p.b).marginal_error
        large = monge.emd(p.cost, p.a * 1e9, p.b * 1e9).marginal_error
        assert max(small, large) < 1e-14

    def test_repr(self):
        text = repr(monge.emd(np.eye(3)))
        assert re.match(r"Transport\(3 x 3, value=0, gap=0, OPTIMAL, \d+ iterations\)", text)


class TestOracle:
    """The oracle itself can fail: each thing it checks, broken on its own."""

    def solved(self):
        p = sample("gaussians_plane_weighted", 12)
        return p, monge.emd(p.cost, p.a, p.b)

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda t: t.plan.data.__setitem__(0, t.plan.data[0] * (1 + 1e-10)),
            lambda t: t.plan.data.__setitem__(0, -t.plan.data[0]),
            lambda t: t.plan.row.__setitem__(slice(None), t.plan.row[::-1].copy()),
            lambda t: t.f.__iadd__(1e-12),
            lambda t: t.g.__setitem__(3, t.g[3] - 1e-9),
            lambda t: setattr(t, "gap", t.gap + 1e-9),
            lambda t: setattr(t, "cost", t.cost * (1 + 1e-12)),
            lambda t: setattr(t, "value", t.value * (1 + 1e-12)),
            lambda t: setattr(t, "status", monge.Status.TIME_LIMIT),
            lambda t: t.f.__setitem__(0, np.nan),
        ],
    )
    def test_notices(self, spoil):
        p, t = self.solved()
        assert_optimal(t, p.cost, p.a, p.b)
        spoil(t)
        with pytest.raises(AssertionError):
            assert_optimal(t, p.cost, p.a, p.b)

    def test_notices_the_wrong_problem(self):
        p, t = self.solved()
        with pytest.raises(AssertionError):
            assert_optimal(t, p.cost + np.eye(*p.cost.shape), p.a, p.b)
        with pytest.raises(AssertionError):
            assert_optimal(t, p.cost, p.a[::-1], p.b)
        sent, received = exact_marginals(t)
        np.testing.assert_allclose(sent, p.a, rtol=1e-14)
        np.testing.assert_allclose(received, p.b, rtol=1e-14)


@pytest.mark.skipif("MONGE_SIMD" in os.environ, reason="the instruction set is chosen")
def test_instruction_set():
    from monge.exact import _core

    assert _core.instruction_set() in ("baseline", "avx2", "avx512")


def test_cloud_of_cases_is_independent_of_the_library():
    x, y = np.array([[0.0, 3.0]]), np.array([[4.0, 0.0]])
    values = {"sqeuclidean": 25.0, "euclidean": 5.0, "cityblock": 7.0, "cosine": 1.0, ("euclidean", 3.0): 125.0}
    for cost, value in values.items():
        assert cloud(x, y, cost).cost[0, 0] == pytest.approx(value, rel=1e-15, abs=0)
        assert monge.emd(monge.PointCloud(x, y, cost)).value == pytest.approx(value, rel=1e-15, abs=0)


@pytest.mark.parametrize("seed", range(6))
def test_ends_on_costs_of_all_sizes(seed):
    # Costs of -1e100 that come into the tree late leave rounding in the potentials that no earlier tolerance foresees.
    rng = np.random.default_rng(seed)
    n, m = rng.integers(100, 300, 2)
    C = np.round(3.0 * (rng.random((n, m)) - 0.2)) * 10.0 ** rng.integers(-300, -1)
    C[rng.integers(0, n, 5), rng.integers(0, m, 5)] = -1e100
    t = monge.emd(C, rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m)), time_limit=HANG)
    assert t.converged
    assert t.gap <= 1e-12 * abs(t.value)
