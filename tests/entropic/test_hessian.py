"""Second derivatives of the entropic value: differences of first derivatives, symmetry, closed forms, and corners."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import DISTANCES, NAMED
from numpy.typing import NDArray

import monge
from monge.entropic import hessian
from monge.entropic.hessian import hessian_product
from monge.problem.hessian import Direction

Array = NDArray[np.float64]

GROUNDS = [*NAMED, *((distance, power) for distance in DISTANCES for power in (1.5, 2.5))]
# Penalties, and the total of b over that of a.
MARGINALS = {
    "balanced": (None, 1.0),
    "KL": (monge.KL(0.7), 2.0),
    "TV": (monge.TV(0.35), 1.7),
    "KL and TV": ((monge.KL(0.5), monge.TV(0.6)), 1.3),
    "fixed rows": ((None, monge.KL(0.4)), 1.5),
}
POINTS_AND_WEIGHTS = Direction(*(np.ones(1) if name != "C" else None for name in Direction._fields))
COSTS_AND_WEIGHTS = Direction(C=np.ones(1), a=np.ones(1), b=np.ones(1))


class Problem:
    """A problem that moves along a direction."""

    def __init__(self, marginals: str, seed: int = 0, n: int = 6, m: int = 5, d: int = 3) -> None:
        rng = np.random.default_rng(seed)
        self.marginals, ratio = MARGINALS[marginals]
        self.x, self.y = rng.random((n, d)) + 0.1, rng.random((m, d)) + 0.3
        self.C = rng.random((n, m))
        self.a, self.b = 0.2 + rng.random(n), 0.2 + rng.random(m)
        self.b *= ratio * self.a.sum() / self.b.sum()
        self.u, self.v, self.w = rng.normal(size=(n, d)), rng.normal(size=(m, d)), rng.normal(size=(n, m))
        self.more_a, self.more_b = 0.1 * rng.normal(size=n), 0.1 * rng.normal(size=m)
        if marginals == "balanced":  # totals stay equal
            self.more_b += (self.more_a.sum() - self.more_b.sum()) / m

    def of_points(self, ground: Any, step: float = 0.0, **options: Any) -> Any:
        cloud = monge.PointCloud(self.x + step * self.u, self.y + step * self.v, ground)
        return self._solved(cloud, step, **options)

    def of_costs(self, step: float = 0.0) -> Any:
        return self._solved(self.C + step * self.w, step)

    def _solved(self, cost: Any, step: float, eps: float = 0.1) -> Any:
        a, b = self.a + step * self.more_a, self.b + step * self.more_b
        return monge.sinkhorn(cost, a, b, eps=eps, marginals=self.marginals, tol=1e-13, max_iter=100_000)


def close(found: Array, right: Array, up_to_constant: bool, tol: float = 1e-6) -> None:
    off = found - right
    if up_to_constant:
        off = off - off.mean()
    assert np.abs(off).max() < tol * np.abs(right).max()


@pytest.mark.parametrize("marginals", MARGINALS)
@pytest.mark.parametrize("ground", GROUNDS, ids=str)
def test_differences_of_first_derivatives(ground: Any, marginals: str) -> None:
    problem, step = Problem(marginals), 1e-5
    before, after = problem.of_points(ground, -step), problem.of_points(ground, step)
    along = Direction(problem.u, problem.v, None, problem.more_a, problem.more_b)
    found = hessian_product(problem.of_points(ground), along, POINTS_AND_WEIGHTS)
    for name in ("x", "y", "a", "b"):
        right = (getattr(after, f"grad_{name}") - getattr(before, f"grad_{name}")) / (2.0 * step)
        close(getattr(found, name), right, marginals == "balanced" and name in "ab")


@pytest.mark.parametrize("marginals", MARGINALS)
def test_of_a_matrix(marginals: str) -> None:
    problem, step = Problem(marginals), 1e-5
    before, after = problem.of_costs(-step), problem.of_costs(step)
    along = Direction(C=problem.w, a=problem.more_a, b=problem.more_b)
    found = hessian_product(problem.of_costs(), along, COSTS_AND_WEIGHTS)
    assert found.C is not None
    close(found.C, (after.plan.toarray() - before.plan.toarray()) / (2.0 * step), False)
    for name in ("a", "b"):
        right = (getattr(after, f"grad_{name}") - getattr(before, f"grad_{name}")) / (2.0 * step)
        close(getattr(found, name), right, marginals == "balanced")


@pytest.mark.parametrize("marginals", MARGINALS)
@pytest.mark.parametrize("ground", ["sqeuclidean", "cosine", ("cityblock", 1.5)], ids=str)
def test_is_symmetric(ground: Any, marginals: str) -> None:
    # Along any directions, also those that change totals by different amounts.
    problem, rng = Problem(marginals), np.random.default_rng(1)
    t = problem.of_points(ground)
    one, two = (
        Direction(*(rng.normal(size=getattr(problem, k).shape) if k != "C" else None for k in Direction._fields))
        for _ in range(2)
    )

    def product(u: Direction, v: Direction) -> float:
        found = hessian_product(t, v, POINTS_AND_WEIGHTS)
        return sum(float((p * q).sum()) for p, q in zip(u, found, strict=True) if p is not None and q is not None)

    assert product(one, two) == pytest.approx(product(two, one), rel=1e-9)


def test_two_points() -> None:
    # One point each: the value is the cost, whose second derivative is 2.
    t = monge.sinkhorn(monge.PointCloud([[0.0, 0.0]], [[3.0, 4.0]]), eps=0.3, tol=1e-12)
    u = np.array([[1.0, 2.0]])
    found = hessian_product(t, Direction(x=u), POINTS_AND_WEIGHTS)
    np.testing.assert_allclose(found.x, 2.0 * u, rtol=1e-11)
    np.testing.assert_allclose(found.y, -2.0 * u, rtol=1e-11)


def test_two_points_under_kl() -> None:
    # Value rho (a + b - 2 m) + eps (a b - m), m = (a b)^((rho + eps) / (2 rho + eps)) exp(-C / (2 rho + eps)).
    rho, eps, a, b, C = 0.8, 0.3, 1.7, 0.6, 0.49
    t = monge.sinkhorn([[C]], [a], [b], eps=eps, marginals=monge.KL(rho), tol=1e-14)
    power, slope = (rho + eps) / (2 * rho + eps), 1.0 / (2 * rho + eps)
    m = (a * b) ** power * np.exp(-C * slope)
    found = hessian_product(t, Direction(C=np.ones((1, 1)), a=np.ones(1)), COSTS_AND_WEIGHTS)
    # The derivatives are m, and rho + eps b - (rho + eps) m / a; m changes by this.
    change = m * (power / a - slope)
    right = change, -(rho + eps) * (change / a - m / a**2), eps - (rho + eps) * change / b
    for part, number in zip(found[2:], right, strict=True):
        np.testing.assert_allclose(part, number, rtol=1e-10)


@pytest.mark.parametrize("marginals", ["balanced", "KL", "TV"])
def test_of_a_measure_and_itself(marginals: str) -> None:
    # One equation in place of two, when all is the same on both sides.
    problem = Problem(marginals)
    problem.y, problem.b, problem.v, problem.more_b = problem.x, problem.a, problem.u, problem.more_a
    problem.a[1], problem.more_a[1] = 0.0, 0.0
    t = problem.of_points("sqeuclidean")
    t.f = t.g = 0.5 * (t.f + t.g)
    along = Direction(problem.u, problem.u, None, problem.more_a, problem.more_a)
    right = hessian_product(t, along, POINTS_AND_WEIGHTS)
    found = hessian_product(t, along, POINTS_AND_WEIGHTS, symmetric=True)
    for one, two in ((found.x, right.x), (found.y, right.y), (found.a + found.b, right.a + right.b)):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-10)


def test_a_translation_changes_nothing() -> None:
    problem = Problem("KL")
    t, shift = problem.of_points(("euclidean", 1.5)), np.array([1.0, -2.0, 0.5])
    along = Direction(x=np.tile(shift, (6, 1)), y=np.tile(shift, (5, 1)))
    for part in hessian_product(t, along, POINTS_AND_WEIGHTS):
        assert part is None or np.abs(part).max() < 1e-13


@pytest.mark.parametrize("marginals", ["balanced", "KL", "TV"])
def test_places_without_weight(marginals: str) -> None:
    problem, step = Problem(marginals), 1e-5
    problem.a[2], problem.b[3] = 0.0, 0.0
    problem.a *= problem.b.sum() / problem.a.sum() / MARGINALS[marginals][1]
    problem.more_a[2], problem.more_b[3] = 0.0, 0.0  # or else weights are negative on one side
    problem.more_b[0] += problem.more_a.sum() - problem.more_b.sum()
    before, after = problem.of_points("euclidean", -step), problem.of_points("euclidean", step)
    along = Direction(problem.u, problem.v, None, problem.more_a, problem.more_b)
    found = hessian_product(problem.of_points("euclidean"), along, POINTS_AND_WEIGHTS)
    for name in ("x", "y", "a", "b"):
        right = (getattr(after, f"grad_{name}") - getattr(before, f"grad_{name}")) / (2.0 * step)
        close(getattr(found, name), right, marginals == "balanced" and name in "ab")
    assert found.x is not None
    assert not found.x[2].any()


def test_weight_where_there_was_none() -> None:
    problem, step = Problem("KL"), 1e-6
    problem.a[2] = 0.0
    problem.more_a = np.eye(6)[2]
    now, after = problem.of_points("sqeuclidean"), problem.of_points("sqeuclidean", step)
    along = Direction(problem.u, problem.v, None, problem.more_a, problem.more_b)
    found = hessian_product(now, along, POINTS_AND_WEIGHTS)
    for name in ("x", "y", "a", "b"):
        right = (getattr(after, f"grad_{name}") - getattr(now, f"grad_{name}")) / step
        close(getattr(found, name), right, False, 1e-4)


def test_forbidden_arcs() -> None:
    problem, step = Problem("balanced"), 1e-5
    problem.C[0, 1] = problem.C[3, 2] = np.inf
    before, after = problem.of_costs(-step), problem.of_costs(step)
    along = Direction(C=problem.w, a=problem.more_a, b=problem.more_b)
    found = hessian_product(problem.of_costs(), along, COSTS_AND_WEIGHTS)
    assert found.C is not None
    close(found.C, (after.plan.toarray() - before.plan.toarray()) / (2.0 * step), False)
    assert found.C[0, 1] == 0.0


@pytest.mark.parametrize("ground", ["sqeuclidean", "chebyshev", "cosine"])
def test_lazy_plans_and_many_chunks(ground: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem("KL")
    along = Direction(problem.u, problem.v, None, problem.more_a, problem.more_b)
    t = problem.of_points(ground)
    right = hessian_product(t, along, POINTS_AND_WEIGHTS)
    monkeypatch.setattr(hessian, "_STORED", 0)
    monkeypatch.setattr(hessian, "_CHUNK", 11)
    found = hessian_product(t, along, POINTS_AND_WEIGHTS)
    for one, two in zip(found, right, strict=True):
        if one is not None:
            np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-100, 1e100])
@pytest.mark.parametrize("ground", ["euclidean", "cosine", ("chebyshev", 1.5)], ids=str)
def test_any_unit_of_the_coordinates(ground: Any, scale: float) -> None:
    problem = Problem("balanced")
    degree = {"euclidean": 1.0, "cosine": 0.0}.get(ground, 1.5)
    right = hessian_product(problem.of_points(ground), Direction(x=problem.u), POINTS_AND_WEIGHTS)
    problem.x, problem.y = scale * problem.x, scale * problem.y
    t = problem.of_points(ground, eps=0.1 * scale**degree)
    found = hessian_product(t, Direction(x=scale * problem.u), POINTS_AND_WEIGHTS)
    assert found.x is not None
    assert right.x is not None
    np.testing.assert_allclose(found.x / scale ** (degree - 1.0), right.x, rtol=1e-6, atol=1e-8)


def test_a_grid_has_those_of_its_weights() -> None:
    rng, step = np.random.default_rng(0), 1e-5
    a, b, more = rng.random(12), rng.random(12), rng.normal(size=12)

    def solved(step: float) -> Any:
        return monge.sinkhorn(monge.Grid((3, 4)), a + step * more, b, eps=0.5, marginals=monge.KL(2.0), tol=1e-13)

    found = hessian_product(solved(0.0), Direction(a=more), Direction(a=np.ones(1), b=np.ones(1)))
    for name in ("a", "b"):
        right = (getattr(solved(step), f"grad_{name}") - getattr(solved(-step), f"grad_{name}")) / (2.0 * step)
        close(getattr(found, name), right, False)


class TestErrors:
    def test_a_function(self) -> None:
        cloud = monge.PointCloud([[0.0]], [[1.0]], lambda x, y: abs(x[0] - y[0]))
        t = monge.sinkhorn(cloud, eps=0.1)
        with pytest.raises(RuntimeError, match="second derivatives need those of the ground cost"):
            hessian_product(t, Direction(x=np.ones((1, 1))), POINTS_AND_WEIGHTS)
        found = hessian_product(t, Direction(a=np.ones(1)), Direction(a=np.ones(1)))  # needs none
        assert found.a is not None

    def test_equal_points(self) -> None:
        x = np.array([[0.0, 1.0], [2.0, 0.5]])
        u = np.array([[1.0, 0.0], [0.0, 0.0]])
        t = monge.sinkhorn(monge.PointCloud(x, x, ("euclidean", 1.5)), eps=0.5)
        with pytest.raises(RuntimeError, match="no second derivative between equal points"):
            hessian_product(t, Direction(x=u), POINTS_AND_WEIGHTS)
        # They stay together here, and contribute nothing.
        hessian_product(t, Direction(x=u, y=u), POINTS_AND_WEIGHTS)

    @pytest.mark.parametrize("ground", ["sqeuclidean", "euclidean", "cityblock", "chebyshev", ("chebyshev", 2.0)])
    def test_equal_points_of_other_costs(self, ground: Any) -> None:
        x = np.array([[0.0, 1.0], [2.0, 0.5]])
        t = monge.sinkhorn(monge.PointCloud(x, x, ground), eps=0.5)
        found = hessian_product(t, Direction(x=x), POINTS_AND_WEIGHTS)
        assert found.x is not None
        assert np.isfinite(found.x).all()

    def test_a_corner_of_tv(self) -> None:
        t = monge.sinkhorn([[0.0, 1.0], [1.0, 0.0]], eps=0.5, marginals=monge.TV(5.0), tol=1e-12)
        found = hessian_product(t, Direction(C=np.eye(2)), COSTS_AND_WEIGHTS)
        fixed = monge.sinkhorn([[0.0, 1.0], [1.0, 0.0]], eps=0.5, tol=1e-12)
        right = hessian_product(fixed, Direction(C=np.eye(2)), COSTS_AND_WEIGHTS)
        np.testing.assert_allclose(found.C, right.C, rtol=1e-9)
        with pytest.raises(RuntimeError, match=r"corner.*monge\.KL"):
            hessian_product(t, Direction(a=np.ones(2)), COSTS_AND_WEIGHTS)

    def test_tiny_eps(self) -> None:
        rng = np.random.default_rng(0)
        x, y, u = rng.random((8, 2)), rng.random((8, 2)), rng.normal(size=(8, 2))
        t = monge.sinkhorn(monge.PointCloud(x, y), eps=1e-6, tol=1e-8, max_iter=100_000)
        # The plan is a permutation, and stays one: that of emd.
        found = hessian_product(t, Direction(x=u), Direction(x=np.ones(1)))
        np.testing.assert_allclose(found.x, 2.0 * u / 8, rtol=1e-6)
        # Potentials may be anything that keeps it, as far as rounding can tell.
        with pytest.raises(RuntimeError, match="Raise eps"):
            hessian_product(t, Direction(x=u), POINTS_AND_WEIGHTS)
