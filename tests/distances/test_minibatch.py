"""Transport between minibatches: known answers, laws of chance, derivatives, and what is refused."""

from __future__ import annotations

import functools
import pickle
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slopes import numeric
from stopping import needs_alarm, ticking

import monge
from monge.distances.minibatch import running, sampled, solvers, solving
from monge.exact import _core
from monge.problem import arrays, progress

m_s = pytest.mark.parametrize("m", [1, 2, 3, 5])


def clouds(n, m, d, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), 1.5 * rng.normal(size=(m, d)) + 0.3


def uniform(rng, k):
    return rng.random((k, 1))


class TestAllPairs:
    @m_s
    def test_a_translation(self, m):
        # The cross term of |x - y - t|^2 has zero mean over all pairs of batches.
        x, t = clouds(6, 1, 2)[0], np.array([3.0, -4.0])
        moved = monge.minibatch(x, x + t, batch_size=m, n_batches="all")
        itself = monge.minibatch(x, x, batch_size=m, n_batches="all")
        assert moved - itself == pytest.approx(25.0, abs=1e-12)
        assert moved.debiased == pytest.approx(25.0, abs=1e-12)
        assert moved.debiased.terms[1] == itself > 0.0
        assert moved.standard_error == moved.debiased.standard_error == 0.0

    def test_it_does_not_increase_with_the_batch(self):
        x, y = clouds(6, 6, 2)
        values = [monge.minibatch(x, y, batch_size=m, n_batches="all") for m in range(1, 7)]
        assert all(small > large for small, large in pairwise(values))
        exact = monge.emd(monge.PointCloud(x, y))
        assert values[-1] == pytest.approx(exact.value, rel=1e-14)
        np.testing.assert_allclose(values[-1].plan.toarray(), exact.plan.toarray(), atol=1e-16)

    def test_one_point_a_batch_is_the_product(self):
        x, y = clouds(5, 7, 3)
        found = monge.minibatch(x, y, batch_size=1, n_batches="all")
        assert found == pytest.approx(monge.PointCloud(x, y).block(slice(None)).mean(), rel=1e-14)
        np.testing.assert_allclose(found.plan.toarray(), 1 / 35, rtol=1e-14)
        assert found.n_batches == 35

    def test_weights(self):
        x, y = clouds(3, 4, 2)
        a, b = np.array([0.0, 0.25, 0.75]), np.array([0.5, 0.1, 0.2, 0.2])
        found = monge.minibatch(x, y, a, b, batch_size=2, n_batches="all", replace=True)
        np.testing.assert_allclose(found.plan.sum(axis=1), a, atol=1e-15)
        np.testing.assert_allclose(found.plan.sum(axis=0), b, atol=1e-15)
        # Two of each, one after the other.
        value = sum(
            a[i] * a[j] * b[k] * b[q] * monge.emd(monge.PointCloud(x[[i, j]], y[[k, q]])).value
            for i in range(3) for j in range(3) for k in range(4) for q in range(4)
        )  # fmt: skip
        assert found == pytest.approx(value, rel=1e-13)

    def test_not_a_distance(self):
        x = clouds(6, 1, 2)[0]
        assert monge.minibatch(x, x, batch_size=3, n_batches="all") > 0.1
        assert "not a distance" in monge.minibatch.__doc__
        assert ".debiased" in monge.minibatch.__doc__

    def test_symmetric(self):
        x, y = clouds(6, 5, 2)
        there = monge.minibatch(x, y, batch_size=3, n_batches="all", cost="euclidean")
        back = monge.minibatch(y, x, batch_size=3, n_batches="all", cost="euclidean")
        assert there == pytest.approx(back, rel=1e-14)

    @pytest.mark.parametrize("eps", [None, 0.5])
    def test_derivatives(self, eps):
        x, y = clouds(4, 5, 2)

        def value(x, y):
            return monge.minibatch(x, y, batch_size=2, n_batches="all", eps=eps)

        def debiased(x, y):
            return value(x, y).debiased

        for function in (value, debiased):
            found = function(x, y)
            for slopes, close in zip(numeric(function, x, y, step=1e-4), (found.grad_x, found.grad_y), strict=True):
                np.testing.assert_allclose(close, slopes, atol=1e-6 if eps is None else 2e-3)


class TestLaws:
    @pytest.mark.parametrize("m", [1, 3, 10, 40])
    def test_uniform(self, m):
        # E W_2^2 of two samples of m points of U[0, 1] is 1 / (3 (m + 1)).
        found = monge.minibatch(uniform, uniform, batch_size=m, n_batches=2000, rng=m)
        assert abs(found - 1 / (3 * (m + 1))) < 4 * found.standard_error
        assert 0.0 < found.standard_error < 0.03 * found * m**0.5

    @pytest.mark.parametrize("m", [10, 50, 100])
    def test_marginals_of_independent_pairs(self, m):
        x, n, k = clouds(1000, 1, 2)[0], 1000, 200 if m < 100 else 60
        found = monge.minibatch(x, x + 1.0, batch_size=m, n_batches=k, rng=m)
        error = sum(np.abs(found.plan.sum(axis=axis) - 1 / n).sum() for axis in (0, 1))
        assert error == pytest.approx(2 * np.sqrt(2 * n * (1 - m / n) / (np.pi * m * k)), rel=0.05)

    def test_epochs_have_exact_marginals_and_a_smaller_deviation(self):
        # The further apart the clouds are, the more: their means, which add the most to the deviation, are met exactly.
        x, y = np.random.default_rng(0).normal(size=(2, 60, 2))
        y += 1.0
        epochs = [monge.minibatch(x, y, batch_size=10, epochs=3, rng=seed) for seed in range(60)]
        pairs = [monge.minibatch(x, y, batch_size=10, n_batches=18, rng=seed) for seed in range(60)]
        for axis in (0, 1):
            np.testing.assert_allclose(epochs[0].plan.sum(axis=axis), 1 / 60, atol=1e-15)
        assert epochs[0].n_batches == 18
        assert np.std(epochs) <= 0.5 * np.std(pairs)
        assert abs(np.mean(epochs) - np.mean(pairs)) < 4 * np.std(pairs) / 60**0.5

    def test_the_standard_error_covers(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(7, 2)), rng.normal(size=(7, 2))
        whole = monge.minibatch(x, y, batch_size=3, n_batches="all")
        for options in ({"n_batches": 60}, {"epochs": 40}):
            # Batches of an epoch are as likely as any, but its last pair is smaller where 3 does not divide 7.
            truth = whole if "n_batches" in options else 6 / 7 * whole + 1 / 7 * monge.PointCloud(x, y).sample().mean()
            found = [monge.minibatch(x, y, batch_size=3, rng=seed, **options) for seed in range(200)]
            covered = np.mean([abs(one - truth) < 1.96 * one.standard_error for one in found])
            assert 0.90 <= covered <= 0.99

    def test_the_standard_error_of_the_debiased(self):
        x, y = clouds(7, 7, 2)
        truth = monge.minibatch(x, y, batch_size=3, n_batches="all").debiased
        found = [monge.minibatch(x, y, batch_size=3, n_batches=40, rng=seed).debiased for seed in range(60)]
        assert 0.85 <= np.mean([abs(one - truth) < 1.96 * one.standard_error for one in found]) <= 1.0
        assert np.std(found) == pytest.approx(np.mean([one.standard_error for one in found]), rel=0.3)

    def test_the_debiased_of_epochs_of_two_sizes(self):
        # All three terms are of the same batches: of 3 points, and the last of an epoch of 2.
        x, y = clouds(5, 4, 2)
        sizes = [monge.minibatch(x, y, batch_size=m, n_batches="all").debiased for m in (3, 2)]
        found = monge.minibatch(x, y, batch_size=3, epochs=4000, rng=0).debiased
        assert abs(found - (3 / 5 * sizes[0] + 2 / 5 * sizes[1])) < 3 * found.standard_error

    def test_the_bound_of_the_paper(self):
        # Theorem 1 of Fatras et al. 2021 for U[0, 1]^2 and |x - y|^2 <= 2, from samples of n points.
        n, m, k, delta = 64, 8, 32, 0.1
        bound = 2 * (np.sqrt(np.log(2 / delta) / (2 * (n // m))) + np.sqrt(2 * np.log(2 / delta) / k))
        rng = np.random.default_rng(0)
        found = [monge.minibatch(*rng.random((2, n, 2)), batch_size=m, n_batches=k, rng=seed) for seed in range(100)]
        assert np.mean(np.abs(np.array(found) - np.mean(found)) <= bound) >= 1 - delta

    def test_above_the_transport_of_all(self):
        x, y = clouds(100, 100, 2)
        exact = monge.emd(monge.PointCloud(x, y)).value
        for seed in range(5):
            # With epochs the plan is feasible, so this is certain.
            assert monge.minibatch(x, y, batch_size=20, epochs=1, rng=seed) >= exact

    def test_unbiased_derivatives(self):
        x, y = clouds(5, 5, 2)
        whole = monge.minibatch(x, y, batch_size=2, n_batches="all")
        found = monge.minibatch(x, y, batch_size=2, n_batches=20_000, rng=0)
        np.testing.assert_allclose(found.grad_x, whole.grad_x, atol=0.02)
        np.testing.assert_allclose(found.grad_y, whole.grad_y, atol=0.02)

    def test_a_translation_by_epochs(self):
        x, t = clouds(90, 1, 3)[0], np.array([1.0, 2.0, 2.0])
        found = monge.minibatch(x, x + t, batch_size=25, epochs=2, rng=0)
        assert found.debiased == pytest.approx(9.0, abs=1e-12)
        np.testing.assert_allclose(found.debiased.grad_y.sum(axis=0), 2 * t, atol=1e-12)


class TestSolvers:
    def test_each_pair(self):
        # Of one pair of all points whatever is inside says the same as alone.
        x, y = clouds(30, 30, 2)
        cloud = monge.PointCloud(x, y)
        for options, alone in (
            ({"eps": 0.3}, monge.sinkhorn(cloud, eps=0.3)),
            ({"eps": 0.3, "marginals": monge.KL(1.0)}, monge.sinkhorn(cloud, eps=0.3, marginals=monge.KL(1.0))),
            ({"cost": ("euclidean", 1.5)}, monge.emd(monge.PointCloud(x, y, ("euclidean", 1.5)))),
            ({"cost": "cosine"}, monge.emd(monge.PointCloud(x, y, "cosine"))),
        ):
            found = monge.minibatch(x, y, batch_size=30, n_batches=1, rng=0, **options)
            assert found == pytest.approx(alone.value, rel=1e-6)
            np.testing.assert_allclose(found.plan.toarray(), alone.plan.toarray(), atol=1e-8)
            np.testing.assert_allclose(found.grad_x, alone.grad_x, atol=1e-6)
            np.testing.assert_allclose(found.grad_y, alone.grad_y, atol=1e-6)

    def test_a_function_for_a_cost(self):
        def cost(x, y):
            return (x[0] - y[0]) ** 2 + (x[1] - y[1]) ** 2

        x, y = clouds(30, 40, 2)
        own = monge.minibatch(x, y, batch_size=10, n_batches=5, rng=0, cost=cost)
        built_in = monge.minibatch(x, y, batch_size=10, n_batches=5, rng=0)
        assert own == pytest.approx(built_in, rel=1e-14)
        with pytest.raises(TypeError, match="derivative of the cost"):
            _ = own.grad_x

    def test_any_loss(self):
        x, y = clouds(40, 40, 3)
        loss = functools.partial(monge.sliced_wasserstein, rng=3, n_projections=10, threads=1)
        found = monge.minibatch(x, y, batch_size=40, n_batches=1, loss=loss)
        order = monge.minibatch(x, y, batch_size=10, epochs=1, loss=loss, rng=0)
        alone = loss(x, y)
        assert found == pytest.approx(alone, rel=1e-12)
        np.testing.assert_allclose(found.grad_x, alone.grad_x, atol=1e-14)
        assert order.n_batches == 4
        assert order > alone
        with pytest.raises(TypeError, match="loss= says"):
            _ = found.plan
        assert monge.minibatch(x, y, batch_size=5, n_batches=3, loss=lambda x, y: 2.0) == 2.0
        with pytest.raises(TypeError, match="has none"):
            _ = monge.minibatch(x, y, batch_size=5, n_batches=3, loss=lambda x, y: 2.0).grad_x
        with pytest.raises(TypeError, match="Loss or a number"):
            monge.minibatch(x, y, batch_size=5, n_batches=3, loss=lambda x, y: "far")
        with pytest.raises(ValueError, match="finite numbers; it returned nan for pair 0"):
            monge.minibatch(x, y, batch_size=5, n_batches=3, loss=lambda x, y: np.nan)

    def test_a_loss_with_derivatives_of_another_shape(self):
        for slopes in (np.ones((5, 1)), np.ones((1, 2)), np.ones(2)):  # each of which NumPy would stretch
            loss = SimpleNamespace(value=1.0, grad_x=slopes, grad_y=np.ones((5, 2)))
            with pytest.raises(ValueError, match=r"grad_x .* shape of its batch, \(5, 2\); got"):
                monge.minibatch(*clouds(9, 9, 2), batch_size=5, n_batches=2, loss=lambda x, y, loss=loss: loss)

    @pytest.mark.parametrize("d", [2, 30])
    def test_batches_beyond_memory(self, d, monkeypatch):
        monkeypatch.setattr(arrays, "available_memory", lambda: 8 * 100 * 100 + 10_000)
        x, y = clouds(200, 200, d)
        assert monge.minibatch(x, y, batch_size=100, n_batches=1).converged
        with pytest.raises(MemoryError, match=r"110 x 110 cost matrix.*smaller batches"):
            monge.minibatch(x, y, batch_size=110, n_batches=1)

    def test_plans_beyond_memory(self, monkeypatch):
        found = monge.minibatch(*clouds(200, 200, 2), batch_size=50, n_batches=400, eps=1.0, rng=0)
        seen = []
        task = running._Task.__call__
        monkeypatch.setattr(
            running._Task, "__call__", lambda self, block, *rest: [seen.append(block), task(self, block, *rest)][1]
        )
        monkeypatch.setattr(arrays, "available_memory", lambda: 16 * 50 * 50 * 399)
        with pytest.raises(MemoryError, match=r"mean plan.*Solve fewer"):
            _ = found.plan
        assert len(seen) < found._estimate.run.draws.blocks

    def test_many_dimensions(self):
        x, y = clouds(30, 30, 40)
        exact = monge.emd(monge.PointCloud(x + 1e4, y + 1e4)).value
        found = monge.minibatch(x + 1e4, y + 1e4, batch_size=30, n_batches=1)
        assert found == pytest.approx(exact, rel=1e-10)
        single = monge.minibatch((x + 10).astype(np.float32), (y + 10).astype(np.float32), batch_size=30, n_batches=1)
        assert single == pytest.approx(exact, rel=1e-5)

    @pytest.mark.parametrize("cost", ["sqeuclidean", "euclidean"])
    def test_derivatives_far_from_the_origin(self, cost):
        x, y = clouds(40, 40, 20)
        near, far = (
            monge.minibatch(x + shift, y + shift, batch_size=10, epochs=1, rng=0, cost=cost) for shift in (0.0, 2.0**30)
        )
        np.testing.assert_allclose(far.grad_x, near.grad_x, atol=1e-7)
        np.testing.assert_allclose(far.grad_y, near.grad_y, atol=1e-7)

    def test_matrices_a_few_at_a_time(self, monkeypatch):
        x, y = np.random.default_rng(0).random((2, 9, 8, 30))
        whole = solvers.matched(x, y)
        monkeypatch.setattr(solving, "_AT_ONCE", 200)
        parts = solvers.matched(x, y)
        for name in ("values", "starts", "left", "right", "mass"):
            assert np.array_equal(getattr(whole, name), getattr(parts, name))

    def test_the_core_is_the_same_as_one_by_one(self):
        rng = np.random.default_rng(0)
        for dtype in (np.float32, np.float64):
            x, y = rng.random((20, 12, 3)).astype(dtype), rng.random((20, 9, 3)).astype(dtype)
            found = solvers.matched(x, y, "euclidean")
            for q in range(20):
                alone = monge.emd(monge.PointCloud(x[q], y[q], "euclidean"))
                some = slice(found.starts[q], found.starts[q + 1])
                assert found.values[q] == alone.value
                assert np.array_equal(found.mass[some], alone.plan.data)
                assert np.array_equal(found.left[some], alone.plan.row)
                assert np.array_equal(found.right[some], alone.plan.col)

    def test_samplers(self):
        y = np.random.default_rng(0).random((50, 1))
        found = monge.minibatch(uniform, y, batch_size=10, n_batches=50, rng=0)
        assert found.grad_y.shape == (50, 1)
        for name in ("plan", "grad_x"):
            with pytest.raises(TypeError, match="sampler"):
                getattr(found, name)
        assert abs(found.debiased) < 5 * found.debiased.standard_error + 0.01

    def test_more_points_than_there_are(self):
        x, y = clouds(4, 5, 2)
        found = monge.minibatch(x, y, batch_size=50, n_batches=100, replace=True, rng=0)
        assert found.n_batches == 100
        exact = monge.emd(monge.PointCloud(x, y)).value
        assert 0.95 * exact < found < 1.3 * exact

    def test_dask(self):
        array = pytest.importorskip("dask.array", reason="arrays of dask come with the extra cluster")
        x, y = clouds(40, 50, 2)
        chunks = monge.minibatch(array.from_array(x, chunks=15), y, batch_size=10, n_batches=5, rng=0)
        memory = monge.minibatch(x, y, batch_size=10, n_batches=5, rng=0)
        assert chunks == memory
        assert np.array_equal(chunks.grad_x, memory.grad_x)

    def test_files(self, tmp_path):
        x, y = clouds(40, 50, 2)
        np.save(tmp_path / "x.npy", x)
        found = monge.minibatch(tmp_path / "x.npy", y, batch_size=10, n_batches=20, rng=0)
        memory = monge.minibatch(x, y, batch_size=10, n_batches=20, rng=0)
        assert found == memory
        assert np.array_equal(found.grad_x, memory.grad_x)


class TestRuns:
    @pytest.mark.parametrize("options", [{"n_batches": 300}, {"epochs": 4}, {"n_batches": 30, "eps": 0.1}])
    def test_same_bits(self, options):
        x, y = clouds(200, 300, 3)
        one, two = (monge.minibatch(x, y, batch_size=40, rng=7, n_jobs=n_jobs, **options) for n_jobs in (1, 2))
        assert one == two
        assert np.array_equal(one.grad_x, two.grad_x)
        assert one.standard_error == two.standard_error
        assert monge.minibatch(x, y, batch_size=40, rng=8, **options) != one
        generator = monge.minibatch(x, y, batch_size=40, rng=np.random.default_rng(1), **options)
        assert generator == monge.minibatch(x, y, batch_size=40, rng=np.random.default_rng(1), **options) != one

    def test_pickle(self):
        x, y = clouds(40, 50, 2)
        for options in ({"epochs": 2}, {"n_batches": 5, "eps": 0.5}):
            found = monge.minibatch(x, y, batch_size=10, rng=0, **options)
            again = pickle.loads(pickle.dumps(found))
            assert again == found == again.value
            assert again.standard_error == found.standard_error
            np.testing.assert_array_equal(again.plan.toarray(), found.plan.toarray())
            assert again.debiased == found.debiased

    def test_time_limit(self):
        x, y = clouds(2000, 2000, 2)
        with pytest.warns(monge.ConvergenceWarning, match="time_limit"):
            found = monge.minibatch(x, y, batch_size=500, epochs=60, rng=0, time_limit=0.0, n_jobs=1)
        assert 0 < found.n_batches < 240
        assert not found.converged
        np.testing.assert_allclose(found.plan.sum(), 1.0, rtol=1e-12)
        with pytest.raises(TimeoutError, match="time_limit"):
            monge.minibatch(*clouds(9, 9, 2), batch_size=4, n_batches="all", eps=0.1, time_limit=0.0, n_jobs=1)

    def test_whole_epochs_count(self, monkeypatch):
        # Of an epoch and a half, one counts.
        x, y = clouds(400, 400, 2)
        blocks = sampled.Run.blocks

        def fewer(run, asked):
            for at, parts in enumerate(blocks(run, asked)):
                if at == run.draws.unit * 3 // 2:
                    return
                yield parts

        whole = monge.minibatch(x, y, batch_size=100, epochs=1, rng=0, cost="euclidean", n_jobs=1)
        monkeypatch.setattr(solvers.Exact, "seconds", lambda self, m, d: 1.0)
        monkeypatch.setattr(sampled.Run, "blocks", fewer)
        with pytest.warns(monge.ConvergenceWarning, match="after 4 pairs"):
            found = monge.minibatch(x, y, batch_size=100, epochs=5, rng=0, cost="euclidean", n_jobs=1)
        assert found == pytest.approx(whole, rel=1e-15)
        np.testing.assert_allclose(found.plan.sum(axis=0), 1 / 400, atol=1e-15)

    def test_warnings_of_solvers(self):
        x, y = clouds(20, 20, 2)
        with pytest.warns(monge.ConvergenceWarning, match="2 of 2 pairs"):
            monge.minibatch(x, y, batch_size=10, n_batches=2, eps=1e-16, rng=0)

    def test_progress(self, capsys, monkeypatch):
        pytest.importorskip("tqdm", reason="the extra demo shows progress")
        monkeypatch.setattr(progress, "_DELAY", 0.0)
        monge.minibatch(*clouds(20, 20, 2), batch_size=10, n_batches=4, progress=True, rng=0)
        assert "minibatch" in capsys.readouterr().err

    @needs_alarm
    def test_interrupt(self):
        def ticked(ticks):
            raise KeyboardInterrupt

        x, y = np.random.default_rng(0).random((2, 20, 800, 3))
        with ticking(_core, "emd_pairs", ticked), pytest.raises(KeyboardInterrupt):
            solvers.matched(x, y)


GOOD = {"batch_size": 3, "n_batches": 4}


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"batch_size": 11}, ValueError, r"batch_size should be at most 10.*replace=True"),
        ({"batch_size": 0}, ValueError, "batch_size should be a positive integer"),
        ({"batch_size": 2.5}, ValueError, "batch_size should be a positive integer"),
        ({"n_batches": None}, ValueError, "either n_batches=.* or epochs="),
        ({"epochs": 2}, ValueError, "either n_batches=.* or epochs="),
        ({"n_batches": None, "epochs": 0}, ValueError, "epochs should be a positive integer"),
        ({"n_batches": 0}, ValueError, "n_batches should be a positive integer"),
        ({"n_batches": "some"}, ValueError, 'n_batches should be a positive integer or "all"'),
        ({"n_batches": None, "epochs": 2, "replace": True}, ValueError, "epochs take every point once"),
        ({"a": np.ones(10)}, ValueError, "weights are chances.*replace=True"),
        ({"a": -np.ones(10), "b": np.ones(12), "replace": True}, ValueError, "not negative"),
        ({"a": np.ones(9), "replace": True}, ValueError, "one weight per row"),
        ({"a": np.ones(10), "b": np.ones(12), "replace": True}, ValueError, "same total"),
        ({"x": np.ones((60, 2)), "n_batches": "all", "batch_size": 9}, ValueError, "at most 1,000,000 pairs.*epochs="),
        (
            {"x": np.ones((10**5, 2)), "y": np.ones((10**5, 2)), "n_batches": "all", "batch_size": 40_000},
            ValueError,
            "more",
        ),
        ({"marginals": monge.KL(1.0)}, ValueError, "marginals need entropic"),
        ({"eps": -1.0}, ValueError, "eps should be positive"),
        ({"cost": "manhattan"}, ValueError, "cost should be one of"),
        ({"loss": "sliced"}, TypeError, "loss should be a function"),
        ({"loss": lambda x, y: 1.0, "eps": 0.1}, ValueError, "stands for cost, eps and marginals"),
        ({"loss": lambda x, y: 1.0, "cost": np.eye(10)}, ValueError, "stands for cost, eps and marginals"),
        ({"x": np.ones((10, 3))}, ValueError, "same dimension"),
        ({"x": np.full((10, 2), np.nan)}, ValueError, "finite"),
        ({"x": lambda rng, k: rng.random((k, 2)), "a": np.ones(1), "replace": True}, ValueError, "x is a sampler"),
        ({"x": lambda rng, k: rng.random((k, 2)), "n_batches": "all"}, ValueError, 'sampler.*n_batches="all"'),
        ({"y": lambda rng, k: rng.random((k, 2)), "n_batches": None, "epochs": 1}, ValueError, "sampler.*epochs"),
        ({"y": lambda rng, k: rng.random((k + 1, 2))}, ValueError, "sampler"),
        ({"rng": "seed"}, TypeError, "rng should be"),
        ({"replace": 1}, TypeError, "replace should be"),
        ({"time_limit": -1.0}, ValueError, "time_limit"),
        ({"n_jobs": 0}, ValueError, "n_jobs"),
    ],
)
def test_bad_input(options, error, text):
    x, y = clouds(10, 12, 2)
    x, y = options.pop("x", x), options.pop("y", y)
    a, b = options.pop("a", None), options.pop("b", None)
    with pytest.raises(error, match=text):
        monge.minibatch(x, y, a, b, **{**GOOD, **options})


def test_no_weight_derivatives():
    found = monge.minibatch(*clouds(10, 12, 2), **GOOD)
    for loss in (found, found.debiased):
        with pytest.raises(TypeError, match="chances"):
            _ = loss.grad_a


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 30), other=st.integers(1, 30), data=st.data())
def test_epochs_of_any_sizes(n, other, data):
    m = data.draw(st.integers(1, min(n, other)))
    x, y = clouds(n, other, 2, seed=n)
    found = monge.minibatch(x, y, batch_size=m, epochs=2, rng=0, n_jobs=1)
    assert found.n_batches == 2 * -(-max(n, other) // m)
    sent = found.plan.sum(axis=1), found.plan.sum(axis=0)
    longer = 0 if n >= other else 1
    np.testing.assert_allclose(sent[longer], 1 / max(n, other), atol=1e-15)
    visits = sent[1 - longer] * max(n, other) * 2  # of the shorter side, as even as they can be
    assert visits.max() - visits.min() <= 2 + 1e-9
    if n == other:
        np.testing.assert_allclose(sent[1], 1 / n, atol=1e-15)
