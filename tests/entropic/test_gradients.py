"""Derivatives of the value with respect to points and weights, against finite differences and closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import DISTANCES, NAMED
from numpy.typing import NDArray

import monge

Array = NDArray[np.float64]

GROUNDS = [*NAMED, *((distance, power) for distance in DISTANCES for power in (1.5, 3.0))]
MARGINALS = {
    "balanced": None,
    "KL": monge.KL(0.7),
    "TV": monge.TV(0.35),
    "KL and TV": (monge.KL(0.5), monge.TV(0.6)),
    "fixed rows": (None, monge.KL(0.4)),
}


def problem(d: int = 2, n: int = 7, m: int = 6, seed: int = 0) -> tuple[Array, Array, Array, Array]:
    rng = np.random.default_rng(seed)
    x, y = rng.random((n, d)) + 0.1, rng.random((m, d)) + 0.3
    a, b = 0.2 + rng.random(n), 0.2 + rng.random(m)
    return x, y, a / a.sum(), b / b.sum()


def solved(x: Array, y: Array, a: Array, b: Array, ground: Any, marginals: Any, eps: float = 0.1) -> Any:
    return monge.sinkhorn(
        monge.PointCloud(x, y, ground), a, b, eps=eps, marginals=marginals, tol=1e-12, max_iter=100_000
    )


def slope(value: Any, at: Array, direction: Array, step: float = 1e-5) -> float:
    """The central difference of a function along a direction."""
    return float((value(at + step * direction) - value(at - step * direction)) / (2.0 * step))


class TestPoints:
    @pytest.mark.parametrize("marginals", MARGINALS)
    @pytest.mark.parametrize("d", [1, 2, 3, 10])
    @pytest.mark.parametrize("ground", GROUNDS, ids=str)
    def test_finite_differences(self, ground: Any, d: int, marginals: str) -> None:
        x, y, a, b = problem(d)
        demands = MARGINALS[marginals]
        t = solved(x, y, a, b, ground, demands)
        rng = np.random.default_rng(1)
        for _ in range(2):
            direction = rng.normal(size=x.shape)
            found = slope(lambda at: solved(at, y, a, b, ground, demands).value, x, direction)
            assert (t.grad_x * direction).sum() == pytest.approx(found, rel=1e-5, abs=1e-7)
            direction = rng.normal(size=y.shape)
            found = slope(lambda at: solved(x, at, a, b, ground, demands).value, y, direction)
            assert (t.grad_y * direction).sum() == pytest.approx(found, rel=1e-5, abs=1e-7)

    def test_squares_are_the_barycentric_projection(self) -> None:
        x, y, a, b = problem()
        t = solved(x, y, a, b, "sqeuclidean", None)
        np.testing.assert_allclose(t.grad_x, 2.0 * a[:, np.newaxis] * (x - t.map(y)), rtol=1e-10, atol=1e-12)

    @pytest.mark.parametrize("scale", [1e-120, 1e-30, 1e30, 1e120])
    @pytest.mark.parametrize("ground", ["euclidean", "cityblock", "sqeuclidean", "cosine"])
    def test_any_unit_of_the_coordinates(self, ground: str, scale: float) -> None:
        x, y, a, b = problem()
        degree = {"sqeuclidean": 2, "cosine": 0}.get(ground, 1)
        right = solved(x, y, a, b, ground, None)
        t = solved(scale * x, scale * y, a, b, ground, None, eps=0.1 * scale**degree)
        np.testing.assert_allclose(t.grad_x * scale ** (1 - degree), right.grad_x, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(t.grad_y * scale ** (1 - degree), right.grad_y, rtol=1e-8, atol=1e-10)

    @pytest.mark.parametrize("ground", [g for g in GROUNDS if g != "cosine"], ids=str)
    def test_nothing_moves_if_all_points_move(self, ground: Any) -> None:
        x, y, a, b = problem(3)
        t = solved(x, y, a, b, ground, monge.KL(1.0))
        np.testing.assert_allclose(t.grad_x.sum(axis=0), -t.grad_y.sum(axis=0), rtol=1e-10, atol=1e-13)

    @pytest.mark.parametrize("ground", GROUNDS, ids=str)
    @pytest.mark.parametrize("d", [1, 3, 9])
    def test_equal_points_contribute_nothing_where_there_is_no_derivative(self, ground: Any, d: int) -> None:
        x = np.random.default_rng(0).random((5, d)) + 0.1
        t = monge.sinkhorn(monge.PointCloud(x, x, ground), eps=1e-3, tol=1e-10, max_iter=100_000)
        assert np.isfinite(t.grad_x).all()
        # Nearly all mass stays where it is, and pulls nowhere.
        one = monge.sinkhorn(monge.PointCloud(x[:1], x[:1], ground), eps=0.1)
        np.testing.assert_array_equal(one.grad_x, 0.0 * x[:1])
        np.testing.assert_array_equal(one.grad_y, 0.0 * x[:1])

    def test_places_without_weight_have_no_pull(self) -> None:
        x, y, a, b = problem()
        a[2], b[3] = 0.0, 0.0
        t = solved(x, y, a / a.sum(), b / b.sum(), "euclidean", None)
        assert not t.grad_x[2].any()
        assert not t.grad_y[3].any()
        assert t.grad_x[0].any()

    @pytest.mark.parametrize("ground", ["sqeuclidean", "euclidean", ("cityblock", 1.5)], ids=str)
    @pytest.mark.parametrize("d", [2, 12])
    def test_large_problems(self, ground: Any, d: int) -> None:
        x, y, a, b = problem(d, 900, 800)
        t = monge.sinkhorn(monge.PointCloud(x, y, ground), a, b, eps=0.05)
        P = t.plan.toarray()
        for grad, points, others, plan in ((t.grad_x, x, y, P), (t.grad_y, y, x, P.T)):
            here, there = np.repeat(points[:9], len(others), axis=0), np.tile(others, (9, 1))
            slopes = t.problem.ground.slopes(here, there).reshape(9, len(others), d)
            right = np.einsum("ij,ijk->ik", plan[:9], slopes)
            np.testing.assert_allclose(grad[:9], right, rtol=1e-9, atol=1e-12)

    def test_a_matrix_has_no_points(self) -> None:
        for t in (monge.sinkhorn(np.eye(3), eps=0.1), monge.sinkhorn(monge.Grid(4), eps=0.1), monge.emd(np.eye(3))):
            with pytest.raises(TypeError, match="grad_x and grad_y need a cost between points"):
                _ = t.grad_x
            with pytest.raises(TypeError, match="PointCloud"):
                _ = t.grad_y


class TestWeights:
    @pytest.mark.parametrize("ground", ["sqeuclidean", "euclidean"])
    @pytest.mark.parametrize("total", [1.0, 3.0])
    def test_balanced(self, ground: str, total: float) -> None:
        x, y, a, b = problem()
        a, b = total * a, total * b
        t = solved(x, y, a, b, ground, None)
        rng = np.random.default_rng(1)
        for _ in range(3):
            more, less = rng.normal(size=7), rng.normal(size=6)
            less += (more.sum() - less.sum()) / 6  # totals stay equal

            def value(at: Array, more: Array = more, less: Array = less) -> float:
                step = float(at[0])
                return float(solved(x, y, a + step * more, b + step * less, ground, None).value)

            found = slope(value, np.zeros(1), np.ones(1), 1e-4)
            assert t.grad_a @ more + t.grad_b @ less == pytest.approx(found, rel=1e-5, abs=1e-7)
        assert t.grad_a @ a / a.sum() == pytest.approx(t.grad_b @ b / b.sum(), rel=1e-12)

    @pytest.mark.parametrize("marginals", ["KL", "TV", "KL and TV"])
    @pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0])
    def test_unbalanced(self, marginals: str, ratio: float) -> None:
        x, y, a, b = problem()
        b = ratio * b
        demands = MARGINALS[marginals]
        t = solved(x, y, a, b, "sqeuclidean", demands)
        rng = np.random.default_rng(1)
        for _ in range(3):
            more, less = rng.normal(size=7), rng.normal(size=6)
            found = slope(lambda at: solved(x, y, at, b, "sqeuclidean", demands).value, a, more)
            assert t.grad_a @ more == pytest.approx(found, rel=1e-5, abs=1e-7)
            found = slope(lambda at: solved(x, y, a, at, "sqeuclidean", demands).value, b, less)
            assert t.grad_b @ less == pytest.approx(found, rel=1e-5, abs=1e-7)

    def test_closed_form_for_two_points_under_kl(self) -> None:
        # Mass m = (ab)^((rho + eps) / (2 rho + eps)) exp(-C / (2 rho + eps)); value rho (a + b - 2 m) + eps (ab - m).
        rho, eps, a, b, C = 0.8, 0.3, 1.7, 0.6, 0.49
        m = (a * b) ** ((rho + eps) / (2 * rho + eps)) * np.exp(-C / (2 * rho + eps))
        cost = monge.PointCloud([[0.0]], [[0.7]])
        t = monge.sinkhorn(cost, [a], [b], eps=eps, marginals=monge.KL(rho), tol=1e-13)
        assert t.value == pytest.approx(rho * (a + b - 2 * m) + eps * (a * b - m), rel=1e-12)
        assert t.grad_a[0] == pytest.approx(rho + eps * b - (rho + eps) * m / a, rel=1e-11)
        assert t.grad_b[0] == pytest.approx(rho + eps * a - (rho + eps) * m / b, rel=1e-11)
        assert t.grad_x[0, 0] == pytest.approx(-2 * 0.7 * m, rel=1e-11)

    def test_kl_is_as_the_potentials_say(self) -> None:
        x, y, a, b = problem()
        rho, eps = 0.7, 0.1
        t = solved(x, y, a, 2.0 * b, "sqeuclidean", monge.KL(rho), eps)
        np.testing.assert_allclose(t.grad_a, rho + eps * 2.0 - (rho + eps) * np.exp(-t.f / rho), rtol=1e-12)
        np.testing.assert_allclose(t.grad_b, rho + eps * 1.0 - (rho + eps) * np.exp(-t.g / rho), rtol=1e-12)

    @pytest.mark.parametrize("marginals", ["KL", "TV"])
    def test_of_places_without_weight(self, marginals: str) -> None:
        x, y, a, b = problem()
        a[2], demands = 0.0, MARGINALS[marginals]
        t = solved(x, y, a, b, "sqeuclidean", demands)
        step = np.eye(7)[2]
        found = (solved(x, y, a + 1e-5 * step, b, "sqeuclidean", demands).value - t.value) / 1e-5
        assert t.grad_a[2] == pytest.approx(found, rel=1e-3)

    def test_of_a_matrix_too(self) -> None:
        C = np.random.default_rng(0).random((4, 5))
        t = monge.sinkhorn(C, eps=0.1, tol=1e-12)
        assert t.grad_a.shape == (4,)
        assert t.grad_a.mean() == pytest.approx(t.grad_b.mean(), rel=1e-12)


class TestExact:
    @pytest.mark.parametrize("ground", GROUNDS, ids=str)
    def test_finite_differences(self, ground: Any) -> None:
        x, y, a, b = problem(3, seed=3)

        def value(x: Array, y: Array) -> float:
            return float(monge.emd(monge.PointCloud(x, y, ground), a, b).value)

        t = monge.emd(monge.PointCloud(x, y, ground), a, b)
        rng = np.random.default_rng(1)
        for _ in range(3):
            direction = rng.normal(size=x.shape)
            found = slope(lambda at: value(at, y), x, direction, 1e-7)
            assert (t.grad_x * direction).sum() == pytest.approx(found, rel=1e-5, abs=1e-6)
            direction = rng.normal(size=y.shape)
            found = slope(lambda at: value(x, at), y, direction, 1e-7)
            assert (t.grad_y * direction).sum() == pytest.approx(found, rel=1e-5, abs=1e-6)

    def test_weights(self) -> None:
        x, y, a, b = problem(seed=3)
        cost = monge.PointCloud(x, y)
        t = monge.emd(cost, a, b)
        assert t.grad_a @ a + t.grad_b @ b == pytest.approx(t.value, rel=1e-12)
        assert t.grad_a @ a / a.sum() == pytest.approx(t.grad_b @ b / b.sum(), rel=1e-12)
        more = np.random.default_rng(1).normal(size=7)
        more -= more.mean()
        found = slope(lambda at: monge.emd(cost, at, b).value, a, more, 1e-6)
        assert t.grad_a @ more == pytest.approx(found, rel=1e-6)

    def test_uniform_weights(self) -> None:
        x, y, _, _ = problem()
        t = monge.emd(monge.PointCloud(x, y))
        assert t.grad_a.mean() + t.grad_b.mean() == pytest.approx(t.value, rel=1e-12)

    def test_each_of_a_batch(self) -> None:
        x, y, _, _ = problem()
        clouds = [monge.PointCloud(x, y), monge.PointCloud(x[:3], y, "euclidean")]
        for t, cloud in zip(monge.emd(clouds), clouds, strict=True):
            np.testing.assert_array_equal(t.grad_x, monge.emd(cloud).grad_x)
        for t, cloud in zip(monge.sinkhorn(clouds, eps=0.1), clouds, strict=True):
            np.testing.assert_array_equal(t.grad_x, monge.sinkhorn(cloud, eps=0.1).grad_x)

    def test_partial(self) -> None:
        x, y, a, b = problem(seed=5)
        mass = 0.6

        def value(x: Array, a: Array, b: Array) -> float:
            return float(monge.partial(monge.PointCloud(x, y), a, b, mass=mass).value)

        t = monge.partial(monge.PointCloud(x, y), a, b, mass=mass)
        rng = np.random.default_rng(1)
        direction = rng.normal(size=x.shape)
        found = slope(lambda at: value(at, a, b), x, direction, 1e-7)
        assert (t.grad_x * direction).sum() == pytest.approx(found, rel=1e-5)
        more, less = rng.normal(size=7), rng.normal(size=6)
        assert t.grad_a @ more == pytest.approx(slope(lambda at: value(x, at, b), a, more, 1e-6), rel=1e-5, abs=1e-9)
        assert t.grad_b @ less == pytest.approx(slope(lambda at: value(x, a, at), b, less, 1e-6), rel=1e-5, abs=1e-9)

    @pytest.mark.parametrize("period", [None, 1.5])
    @pytest.mark.parametrize("p", [1, 2, 3.5])
    def test_on_the_line(self, p: float, period: float | None) -> None:
        x, y, a, b = problem(1, seed=7)
        x, y = x[:, 0], y[:, 0]
        t = monge.emd_1d(x, y, a, b, p=p, period=period)
        direction = np.random.default_rng(1).normal(size=7)
        found = slope(lambda at: monge.emd_1d(at, y, a, b, p=p, period=period).value, x, direction, 1e-7)
        assert t.grad_x.shape == (7, 1)
        assert t.grad_x[:, 0] @ direction == pytest.approx(found, rel=1e-5)
        assert t.grad_a @ a + t.grad_b @ b == pytest.approx(t.value, rel=1e-10)


def test_a_plan_that_was_made_feasible_is_no_minimum() -> None:
    x, y, a, b = problem()
    r = solved(x, y, a, b, "sqeuclidean", None).rounded()
    for name in ("grad_x", "grad_y", "grad_a", "grad_b"):
        with pytest.raises(TypeError, match="rounded"):
            getattr(r, name)
