"""sinkhorn where costs, eps or outliers are so large that numbers run out of digits: right, or said not to be."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import monge

Array = NDArray[np.float64]


def quiet(*args: Any, **options: Any) -> monge.Transport:
    """A solve that may warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", monge.ConvergenceWarning)
        return monge.sinkhorn(*args, **options)


class TestOutliers:
    @pytest.mark.parametrize("n", [12, 60, 600])  # in the core, and pass by pass
    @pytest.mark.parametrize("size", [1e9, 1e16, 1e30, 1e100])
    def test_one_cost(self, n: int, size: float) -> None:
        C = np.random.default_rng(0).random((n, n))
        C[0, 1] = 1e3  # as good as forbidden
        best = monge.sinkhorn(C, eps=0.05, tol=1e-6)
        C[0, 1] = size
        t = monge.sinkhorn(C, eps=0.05, tol=1e-6)
        assert t.eps == 0.05
        assert t.converged
        assert t.value == pytest.approx(best.value, rel=1e-5)
        assert t.cost == pytest.approx(best.cost, rel=1e-4)
        assert t.gap <= 0.1 * t.value
        r = t.rounded()
        assert r.marginal_error <= 1e-12
        assert r.cost <= 1.05 * best.cost

    @pytest.mark.parametrize("sizes", ["float32", "batch"])
    def test_in_other_places(self, sizes: str) -> None:
        C = np.random.default_rng(0).random((40, 50))
        C[3, 7] = 1e30
        t = monge.sinkhorn([C, C], eps=0.05)[1] if sizes == "batch" else monge.sinkhorn(C.astype(np.float32), eps=0.05)
        assert t.eps == 0.05
        assert t.converged
        assert t.marginal_error <= 1e-3

    @pytest.mark.parametrize("cost", ["sqeuclidean", "euclidean", "cityblock", ("euclidean", 1.5)])
    @pytest.mark.parametrize(("n", "d"), [(100, 2), (100, 7), (1000, 1), (1000, 3), (700, 6), (700, 20)])
    def test_points_in_both_clouds(self, n: int, d: int, cost: Any) -> None:
        """They go to each other, whatever their distance from the rest, and wherever they stand."""
        rng = np.random.default_rng(0)
        x, y = rng.random((n, d)), rng.random((n, d))
        x[n // 3], y[n // 2] = 1e8, 1e8
        eps = 0.05 * d
        inside = monge.sinkhorn(monge.PointCloud(np.delete(x, n // 3, 0), np.delete(y, n // 2, 0), cost), eps=eps)
        t = monge.sinkhorn(monge.PointCloud(x, y, cost), eps=eps)
        assert t.eps == eps
        assert t.converged
        assert t.marginal_error <= 1e-3
        # Each of the others has (n - 1) / n of its weight, and the pair adds eps log n of its own.
        alone = (n - 1) / n * (inside.value + eps * np.log(n / (n - 1))) + eps * np.log(n) / n
        assert t.value == pytest.approx(alone, abs=2e-3 * (abs(alone) + eps))

    def test_one_that_the_sample_of_costs_misses(self) -> None:
        rng = np.random.default_rng(0)
        x, y = rng.random((2, 900, 3))
        x[777] = y[5] = 1e6
        t = monge.sinkhorn(monge.PointCloud(x, y), eps=0.02)
        assert t.converged
        assert t.marginal_error <= 1e-3
        assert t.plan[777][5] == pytest.approx(1 / 900, rel=1e-2)


class TestEpsBelowTheDigits:
    @pytest.mark.parametrize("n", [1, 30, 600])
    @pytest.mark.parametrize("eps", [1e-17, 1e-200])
    def test_a_change_is_said(self, n: int, eps: float) -> None:
        C = 1.0 + np.random.default_rng(0).random((n, n))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            t = monge.sinkhorn(C, eps=eps, max_iter=50)
        assert f"eps = {eps!r} is below the digits" in str(said[0].message)
        assert f"solved with eps = {t.eps:.3g}" in str(said[0].message)
        assert eps < t.eps < 1e-13

    def test_in_a_batch(self) -> None:
        costs = [np.eye(3), 1e9 * np.eye(3)]
        with pytest.warns(monge.ConvergenceWarning, match="in 1 of 2 problems"):
            t = monge.sinkhorn(costs, eps=1e-8)
        assert t[0].eps == 1e-8
        assert t[1].eps > 1e-8

    @pytest.mark.parametrize("n", [2, 60, 600])
    @pytest.mark.parametrize("common", [1e10, 1e12])
    def test_the_status_is_what_is_measured(self, n: int, common: float) -> None:
        C = np.random.default_rng(0).random((n, n)) + common
        t = quiet(C, eps=0.05)
        assert t.converged == (t.marginal_error <= 1e-3)
        if common == 1e12:
            assert t.status is monge.Status.ROUNDED
            assert t.stats["error"] == t.marginal_error
            with pytest.warns(monge.ConvergenceWarning, match="too few digits"):
                monge.sinkhorn(C, eps=0.05)

    def test_one_place(self) -> None:
        t = quiet([[2.0]], eps=1e-200)
        assert t.converged == (t.marginal_error <= 1e-3)
        assert t.cost == pytest.approx(2.0, rel=max(1e-3, t.marginal_error))

    @pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
    def test_no_claim_beyond_what_is_measured(self, tol: float) -> None:
        rng = np.random.default_rng(0)
        for n, d in ((40, 2), (400, 3), (560, 6)):
            x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d))
            for shift, scale in ((0.0, 1.0), (1e4, 1.0), (0.0, 1e5)):
                cost = monge.PointCloud(scale * x, scale * y + shift)
                t = quiet(cost, eps=1e-4 * scale, tol=tol, max_iter=200)
                if t.converged:
                    assert t.marginal_error <= 1.06 * tol


class TestForbidden:
    def test_the_gap_is_finite(self) -> None:
        t = monge.sinkhorn([[0.0, np.inf], [1.0, 0.0]], eps=0.1)
        assert t.gap <= 1e-4
        assert t.rounded().gap <= 1e-3

    @pytest.mark.parametrize("n", [5, 40, 550])
    @pytest.mark.parametrize("tol", [1e-2, 1e-6])
    def test_and_bounds_the_value(self, n: int, tol: float) -> None:
        rng = np.random.default_rng(n)
        C = np.where(rng.random((n, n)) < 0.6, np.inf, rng.random((n, n)))
        np.fill_diagonal(C, 1.0)
        a, b = rng.dirichlet(np.ones(n)), np.full(n, 1.0 / n)
        some = monge.emd(np.zeros((n, n)), a, b).plan
        C[some.row, some.col] = 1.0  # so that there is a plan
        t = monge.sinkhorn(C, a, b, eps=0.1, tol=tol)
        best = monge.sinkhorn(C, a, b, eps=0.1, tol=1e-9)
        assert 0.0 <= t.gap <= 20 * tol
        assert t.value - 1e-9 <= best.value <= t.value + t.gap + 1e-9
        assert best.gap <= 1e-7


class TestSizes:
    def test_sums_beyond_single_precision(self) -> None:
        C = (np.random.default_rng(0).random((20, 20)) * 1e37).astype(np.float32)
        t = monge.sinkhorn(C, eps=1e35)
        best = monge.sinkhorn(C.astype(np.float64) / 1e37, eps=1e-2)
        assert t.converged
        assert t.value == pytest.approx(1e37 * best.value, rel=1e-6)

    @pytest.mark.parametrize("kind", ["matrix", "points", "grid"])
    @pytest.mark.parametrize("n", [100, 784])
    def test_a_huge_eps_costs_what_the_product_does(self, n: int, kind: str) -> None:
        rng = np.random.default_rng(0)
        side = round(n**0.5)
        cost: Any = {
            "matrix": lambda: rng.random((n, n)),
            "points": lambda: monge.PointCloud(rng.random((n, 3)), rng.random((n, 3))),
            "grid": lambda: monge.Grid((side, side), spacing=1.0 / side),
        }[kind]()
        a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(n))
        C = (monge.CostMatrix(cost) if kind == "matrix" else cost).block(slice(None))
        mean = float(a @ C @ b)
        for eps in (1e2, 1e4, 1e6, 1e8, 1e12, 1e16):
            for mass in (1.0, 7.0):
                t = monge.sinkhorn(cost, mass * a, mass * b, eps=eps)
                assert t.eps == eps
                assert t.converged
                # <ab, C> less its variance over 2 eps; the entropy is that of mass alone.
                entropy = eps * (mass**2 - mass - mass * np.log(mass)) if mass != 1.0 else 0.0
                assert t.value - entropy == pytest.approx(
                    mass * mean, abs=C.max() ** 2 / eps + 1e-6 + 5e-15 * abs(entropy)
                )
                assert t.plan.sum() == pytest.approx(mass, rel=1e-3)
                assert t.cost == pytest.approx(mass * mean, rel=1e-2)

    def test_a_huge_eps_leaves_the_value_of_unequal_masses(self) -> None:
        C = np.random.default_rng(0).random((50, 60))
        for eps in (1e3, 1e6):
            t = monge.sinkhorn(C, eps=eps, marginals=monge.KL(1.0))
            product = float(C.mean())  # the plan is next to the product, whatever the mass
            assert t.value == pytest.approx(product, rel=0.5)
            assert t.gap <= 1e-4
