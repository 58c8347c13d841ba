"""sinkhorn on problems whose answer is known, at its limits, and on bad input."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from cases import GROUNDS, ground_costs, sample
from hypothesis import given
from hypothesis import strategies as st
from oracle import assert_solved, objective, plain_sinkhorn

import monge
from monge.problem.transport import ConvergenceWarning, InfeasibleError, Status


class TestKnownAnswers:
    def test_four_animals(self):
        # Two bowls of food and four animals: what is fed by how much, at costs 0, 1 and 2.
        a, b = [0.2, 0.5, 0.2, 0.1], [0.3, 0.3, 0.4, 0.0]
        C = np.array([[0.0, 1.0, 2.0, 2.0], [1.0, 0.0, 1.0, 2.0], [2.0, 1.0, 0.0, 1.0], [2.0, 2.0, 1.0, 0.0]])
        t = monge.sinkhorn(C, a, b, eps=0.2, tol=1e-9)
        assert_solved(t, 1e-9, C)
        exact = monge.emd(C, a, b)
        assert exact.value <= t.cost <= exact.value + 0.2 * math.log(16)
        assert t.cost == pytest.approx(exact.value, rel=0.1)
        assert np.abs(t.plan.toarray() - plain_sinkhorn(C, np.array(a), np.array(b), 0.2)[2]).sum() < 1e-8
        assert (t.plan.toarray()[:, 3] == 0.0).all()

    def test_two_by_two(self):
        # By symmetry P = [[p, q], [q, p]] / 2 with p / q = exp(1 / eps).
        eps = 0.3
        t = monge.sinkhorn(np.array([[0.0, 1.0], [1.0, 0.0]]), eps=eps, tol=1e-12)
        p = 0.5 / (1.0 + math.exp(-1.0 / eps))
        np.testing.assert_allclose(t.plan.toarray(), [[p, 0.5 - p], [0.5 - p, p]], rtol=1e-11)
        assert t.cost == pytest.approx(1.0 - 2.0 * p, rel=1e-11)

    @pytest.mark.parametrize("total", [1.0, 3.5, 1e-6, 1e6])
    def test_one_by_one(self, total):
        t = monge.sinkhorn([[2.0]], [total], [total], eps=0.1)
        assert t.plan.toarray()[0, 0] == pytest.approx(total)
        assert t.value == pytest.approx(objective([[total]], [[2.0]], [total], [total], 0.1))

    def test_one_row(self):
        b = np.array([0.5, 0.2, 0.3])
        t = monge.sinkhorn([[3.0, -1.0, 7.0]], b=b, eps=0.01, tol=1e-10)
        np.testing.assert_allclose(t.plan.toarray()[0], b, rtol=1e-9)

    def test_large_eps_gives_the_product(self):
        rng = np.random.default_rng(0)
        C, a, b = rng.random((7, 9)), rng.dirichlet(np.ones(7)), rng.dirichlet(np.ones(9))
        t = monge.sinkhorn(C, a, b, eps=1e9, tol=1e-9)
        np.testing.assert_allclose(t.plan.toarray(), np.outer(a, b), rtol=1e-7)

    def test_small_eps_gives_the_exact_cost(self):
        p = sample("gaussians_plane_weighted", 40)
        exact = monge.emd(p.cost, p.a, p.b).value
        t = monge.sinkhorn(p.cost, p.a, p.b, eps=1e-3 * p.cost.mean(), tol=1e-3)
        assert abs(t.cost - exact) <= 0.02 * exact

    @pytest.mark.parametrize("total", [1e-3, 1.0, 250.0])
    def test_value_is_the_objective(self, total):
        rng = np.random.default_rng(0)
        C, a, b = rng.random((12, 15)), rng.dirichlet(np.ones(12)) * total, rng.dirichlet(np.ones(15)) * total
        t = monge.sinkhorn(C, a, b, eps=0.05, tol=1e-11)
        assert t.value == pytest.approx(objective(t.plan.toarray(), C, a, b, 0.05), rel=1e-9)
        assert t.cost == pytest.approx((t.plan.toarray() * C).sum(), rel=1e-12)
        assert 0.0 <= t.gap <= 1e-9 * total


class TestAgreesWithThePlainIteration:
    @pytest.mark.parametrize(
        ("name", "points"),
        [
            ("iid_weighted", False),
            *(
                (name, as_points)
                for name in ("gaussians_plane_weighted", "clusters", "gaussians_64d")
                for as_points in (False, True)
            ),
        ],
    )
    def test_families(self, name, points):
        p = sample(name, 40)
        n, m = p.cost.shape
        a = np.full(n, 1 / n) if p.a is None else p.a
        b = np.full(m, 1 / m) if p.b is None else p.b
        eps = 0.05 * p.cost.mean()
        t = monge.sinkhorn(monge.PointCloud(*p.points) if points else p.cost, a, b, eps=eps, tol=1e-10)
        assert_solved(t, 1e-10, p.cost)
        f, g, P = plain_sinkhorn(p.cost, a, b, eps)
        assert np.abs(t.plan.toarray() - P).sum() < 1e-8
        shift = np.average(t.f - f, weights=a)
        np.testing.assert_allclose(t.f - shift, f, atol=1e-7 * eps / 0.05)
        np.testing.assert_allclose(t.g + shift, g, atol=1e-7 * eps / 0.05)

    @pytest.mark.parametrize("cost", GROUNDS)
    @pytest.mark.parametrize("size", [20, 400])  # the core, and passes on threads
    def test_ground_costs(self, cost, size, in_loop):
        if size == 400:
            in_loop()
        rng = np.random.default_rng(1)
        x, y = rng.normal(size=(size, 3)) + 5.0, rng.normal(size=(size + 3, 3)) + 5.0
        cloud = monge.PointCloud(x, y, cost)
        C = ground_costs(x, y, cost)
        eps = 0.05 * C.mean()
        for tol in (1e-3, 1e-9):
            t = monge.sinkhorn(cloud, eps=eps, tol=tol)
            assert_solved(t, tol, C)
            assert t.value == pytest.approx(monge.sinkhorn(C, eps=eps, tol=tol).value, abs=tol * C.mean())

    @pytest.mark.parametrize("loop", [False, True])
    @pytest.mark.parametrize("tol", [1e-2, 1e-3, 1e-5, 1e-7, 1e-9])
    @pytest.mark.parametrize("rel", [0.5, 0.05, 0.01])
    def test_measured_error_keeps_its_promise(self, tol, rel, loop, in_loop):
        if loop:
            in_loop()
        p = sample("gaussians_plane_weighted", 300)
        for cost in (p.cost, monge.PointCloud(*p.points), p.cost.astype(np.float32), np.asfortranarray(p.cost)):
            t = monge.sinkhorn(cost, p.a, p.b, eps=rel * p.cost.mean(), tol=tol)
            assert_solved(t, tol)
            assert t.gap <= 10 * tol * p.cost.mean()


class TestRobust:
    @given(
        st.integers(1, 12),
        st.integers(1, 12),
        st.floats(-6, 6),
        st.sampled_from([1e-30, 1.0, 1e30]),
        st.integers(0, 99),
    )
    def test_any_eps(self, n, m, magnitude, scale, seed):
        # Whatever eps, there is an answer in numbers; if it says that it converged, it did.
        rng = np.random.default_rng(seed)
        C = rng.normal(size=(n, m)) ** 3 * scale
        a, b = rng.dirichlet(np.full(n, 0.3)) + 1e-12, rng.dirichlet(np.full(m, 0.3)) + 1e-12
        a, b = a / a.sum(), b / b.sum()
        a[0] += 1.0 - a.sum()
        eps = 10.0**magnitude * max(np.abs(C).mean(), 1e-300)
        t = quiet(C, a, b, eps=eps, tol=1e-4, max_iter=300)
        assert np.isfinite(t.f).all()
        assert np.isfinite(t.g).all()
        assert np.isfinite(t.value)
        assert np.isfinite(t.plan.toarray()).all()
        if t.converged:
            assert t.marginal_error <= 1e-4

    def test_zero_weights(self):
        rng = np.random.default_rng(0)
        C = rng.random((20, 30))
        a, b = rng.random(20) * (rng.random(20) < 0.5), rng.random(30) * (rng.random(30) < 0.5)
        a, b = a / a.sum(), b / b.sum()
        t = monge.sinkhorn(C, a, b, eps=0.05, tol=1e-9)
        assert_solved(t, 1e-9, C)
        kept = monge.sinkhorn(C[a > 0][:, b > 0], a[a > 0], b[b > 0], eps=0.05, tol=1e-9)
        assert t.value == pytest.approx(kept.value, abs=1e-9)
        # Potentials without weight are what the others imply.
        with np.errstate(divide="ignore"):
            g = -0.05 * np.log((a[:, None] * np.exp((t.f[:, None] - C) / 0.05)).sum(axis=0))
            f = -0.05 * np.log((b * np.exp((t.g - C) / 0.05)).sum(axis=1))
        np.testing.assert_allclose(t.g[b == 0], g[b == 0], atol=1e-9)
        np.testing.assert_allclose(t.f[a == 0], f[a == 0], atol=1e-7)

    def test_tiny_weights(self):
        rng = np.random.default_rng(0)
        b = 10.0 ** -np.arange(0.0, 300.0, 10.0)
        C = rng.random((30, 30))
        t = monge.sinkhorn(C, np.full(30, b.sum() / 30), b, eps=0.1, tol=1e-9)
        assert_solved(t, 1e-9)
        np.testing.assert_allclose(t.plan.sum(axis=0), b, rtol=1e-6)

    @pytest.mark.parametrize("size", [16, 300])
    def test_forbidden_arcs(self, size, in_loop):
        if size == 300:
            in_loop()
        rng = np.random.default_rng(0)
        C = rng.random((size, size))
        C[rng.random(C.shape) < 0.3] = np.inf
        t = monge.sinkhorn(C, eps=0.1, tol=1e-8)
        assert_solved(t, 1e-8, C)
        assert (t.plan.toarray()[np.isinf(C)] == 0.0).all()
        assert np.isfinite(t.cost)

    @pytest.mark.parametrize("loop", [False, True])
    @pytest.mark.parametrize("rel", [0.1, 0.01])
    def test_outliers(self, rel, loop, in_loop):
        if loop:
            in_loop()
        rng = np.random.default_rng(0)
        x, y = rng.standard_cauchy((400, 2)), rng.standard_cauchy((350, 2))
        C = ((x[:, None] - y) ** 2).sum(-1)
        eps = rel * np.median(C)
        t = quiet(monge.PointCloud(x, y), eps=eps, tol=1e-3, max_iter=500)
        for values in (t.f, t.g, t.value, t.plan.toarray()):
            assert np.isfinite(values).all()
        if t.converged:
            assert t.marginal_error <= 1e-3

    def test_constant_cost(self):
        t = monge.sinkhorn(np.full((5, 6), 3.0), eps=1e-3)
        assert t.value == pytest.approx(3.0)
        assert t.iterations <= 3

    @pytest.mark.parametrize("offset", [1e6, -1e6])
    def test_offset(self, offset):
        C = np.random.default_rng(0).random((30, 30))
        t, shifted = (monge.sinkhorn(c, eps=0.1, tol=1e-6) for c in (C, C + offset))
        assert_solved(shifted, 1e-6)
        assert shifted.value - offset == pytest.approx(t.value, abs=1e-5)

    @pytest.mark.parametrize("kind", ["float16", "int64", "bool", ">f8", "strided", "readonly", "list"])
    def test_layouts(self, kind):
        C = np.random.default_rng(0).integers(0, 2, size=(10, 12)).astype(float)
        expected = monge.sinkhorn(C, eps=0.5).value
        if kind == "strided":
            D = np.zeros((20, 24))[::2, ::2]
            D[:] = C
        elif kind == "readonly":
            D = C.copy()
            D.flags.writeable = False
        else:
            D = C.tolist() if kind == "list" else C.astype(kind)
        assert monge.sinkhorn(D, eps=0.5).value == pytest.approx(expected, rel=1e-6)


class TestStops:
    def test_max_iter(self):
        C = np.random.default_rng(0).random((50, 50))
        with pytest.warns(ConvergenceWarning, match="max_iter"):
            t = monge.sinkhorn(C, eps=1e-3, tol=1e-8, max_iter=5)
        assert t.status is Status.MAX_ITER
        assert not t.converged
        assert t.iterations == 5 == len(t.stats["errors"])
        # The error that was reported is that of the plan at this eps.
        assert t.marginal_error == pytest.approx(t.stats["error"], rel=1e-3)
        assert np.isfinite(t.gap)

    @pytest.mark.parametrize("size", [20, 400])
    def test_warm_start(self, size, in_loop):
        if size == 400:
            in_loop()
        p = sample("gaussians_plane", size)
        eps = 0.02 * p.cost.mean()
        cold = monge.sinkhorn(p.cost, eps=eps, tol=1e-6)
        again = monge.sinkhorn(p.cost, eps=eps, tol=1e-6, init=cold)
        assert again.iterations <= 2
        pair = monge.sinkhorn(p.cost, eps=eps, tol=1e-6, init=(cold.f, cold.g))
        assert pair.iterations == again.iterations
        near = monge.sinkhorn(p.cost * 1.001, eps=eps, tol=1e-6, init=cold)
        assert near.iterations <= cold.iterations
        exact = monge.sinkhorn(p.cost, eps=eps, tol=1e-6, init=monge.emd(p.cost))
        assert_solved(exact, 1e-6)

    def test_an_exact_solve_can_start_from_it(self):
        p = sample("gaussians_plane", 60)
        t = monge.sinkhorn(p.cost, eps=0.01 * p.cost.mean())
        assert monge.emd(p.cost, init=t).value == pytest.approx(monge.emd(p.cost).value, rel=1e-12)

    def test_stats(self):
        p = sample("gaussians_plane", 300)
        t = monge.sinkhorn(p.cost, eps=0.05 * p.cost.mean(), tol=1e-5)
        assert t.stats["passes"] == t.iterations
        assert t.stats["pairs"] == t.iterations * p.cost.size
        assert t.stats["errors"][-1] == t.stats["error"] <= 1e-5
        assert t.stats["seconds_total"] > 0.0
        assert "Transport(300 x 300" in repr(t)

    def test_progress(self, monkeypatch, in_loop):
        seen = []

        class Bar:
            n = 0

            def __init__(self, **options):
                assert options["desc"] == "sinkhorn"

            def __enter__(self):
                return self

            def __exit__(self, *_):
                pass

            def set_postfix(self, values, refresh):
                seen.append(values)

            def update(self, more):
                self.n += more

        monkeypatch.setattr("monge.problem.progress.progress_bar", Bar)
        for size in (30, 520):  # solved whole in the core, and pass by pass
            p = sample("gaussians_plane", size)
            if size > 30:
                in_loop()
            seen.clear()
            shown, t = (
                monge.sinkhorn(p.cost, eps=0.05 * p.cost.mean(), progress=progress) for progress in (True, False)
            )
            assert len(seen) == (1 if size == 30 else t.iterations)
            assert set(seen[-1]) == {"eps", "marginal error"}
            assert shown.iterations == t.iterations
            assert np.array_equal(shown.f, t.f)
            assert np.array_equal(shown.g, t.g)


class TestThreads:
    def test_same_bits(self, in_loop):
        in_loop()
        p = sample("gaussians_plane_weighted", 500)
        answers = [
            monge.sinkhorn(monge.PointCloud(*p.points), p.a, p.b, eps=0.01 * p.cost.mean(), tol=1e-6, threads=k)
            for k in (1, 2, 3, 8)
        ]
        for t in answers[1:]:
            assert t.f.tobytes() == answers[0].f.tobytes()
            assert t.g.tobytes() == answers[0].g.tobytes()
            assert t.value == answers[0].value


class TestBatch:
    def test_array(self):
        C = np.random.default_rng(0).random((5, 12, 14))
        batch = monge.sinkhorn(C, eps=0.1, tol=1e-6)
        for t, c in zip(batch, C, strict=True):
            assert t.value == monge.sinkhorn(c, eps=0.1, tol=1e-6).value

    def test_sizes_and_weights(self):
        rng = np.random.default_rng(0)
        costs = [rng.random((k, k + 2)) for k in (1, 5, 30)] + [
            monge.PointCloud(rng.random((9, 2)), rng.random((4, 2)))
        ]
        weights = [rng.dirichlet(np.ones(5 if k == 1 else c.shape[0])) if k else None for k, c in enumerate(costs)]
        batch = monge.sinkhorn(costs, weights, eps=0.1, tol=1e-6, threads=3)
        for t, c, a in zip(batch, costs, weights, strict=True):
            assert_solved(t, 1e-6)
            assert t.f.tobytes() == monge.sinkhorn(c, a, eps=0.1, tol=1e-6).f.tobytes()

    def test_errors_name_the_problem(self):
        with pytest.raises(ValueError, match="problem 1: cost should hold numbers"):
            monge.sinkhorn([np.eye(2), np.array([[np.nan, 1.0], [1.0, 0.0]])], eps=0.1)
        with pytest.raises(ValueError, match="init= is for a single problem"):
            monge.sinkhorn(np.zeros((2, 3, 3)), eps=0.1, init=(np.zeros(3), np.zeros(3)))

    def test_warns_once(self):
        with pytest.warns(ConvergenceWarning, match="2 of 2 problems") as caught:
            monge.sinkhorn(np.random.default_rng(0).random((2, 20, 20)), eps=1e-4, tol=1e-9, max_iter=3)
        assert len(caught) == 1


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "text"),
        [
            ({"eps": 0.0}, "eps should be positive"),
            ({"eps": math.inf}, "eps should be positive"),
            ({"eps": math.nan}, "eps should be positive"),
            ({"eps": 0.1, "tol": -1.0}, "tol should be positive"),
            ({"eps": 0.1, "max_iter": 0}, "max_iter should be a positive integer"),
            ({"eps": 0.1, "device": "tpu"}, "device should be"),
            ({"eps": 0.1, "threads": 0}, "threads should be"),
            ({"eps": 0.1, "a": [0.5, 0.5]}, "a should have shape"),
            ({"eps": 0.1, "a": [0.5, 0.5, 0.5]}, "same total mass"),
            ({"eps": 0.1, "a": [0.5, 0.8, -0.3]}, "not negative"),
            ({"eps": 0.1, "init": (np.zeros(3), np.zeros(2))}, "init's g should have shape"),
            ({"eps": 1e-308}, "too small"),
        ],
    )
    def test_values(self, options, text):
        with pytest.raises(ValueError, match=text):
            monge.sinkhorn(np.eye(3), b=[0.2, 0.3, 0.5] if "a" in options else None, **options)

    @pytest.mark.parametrize("options", [{"eps": "1"}, {"eps": 0.1, "marginals": 3.0}, {"eps": 0.1, "init": 3}])
    def test_types(self, options):
        with pytest.raises(TypeError):
            monge.sinkhorn(np.eye(3), **options)

    @pytest.mark.parametrize("bad", [np.nan, -np.inf])
    def test_costs(self, bad):
        C = np.ones((3, 4))
        C[1, 2] = bad
        with pytest.raises(ValueError, match=r"cost\[1, 2\]"):
            monge.sinkhorn(C, eps=0.1)

    def test_infeasible(self):
        with pytest.raises(InfeasibleError, match="row 1"):
            monge.sinkhorn([[0.0, 1.0], [np.inf, np.inf]], eps=0.1)
        # Two rows that share one column.
        C = np.full((3, 3), np.inf)
        C[:2, 0], C[2] = 0.0, 0.0
        with pytest.raises(InfeasibleError):
            monge.sinkhorn(C, eps=0.1, max_iter=200)


def quiet(*args, **options):
    """sinkhorn, allowed not to converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return monge.sinkhorn(*args, **options)
