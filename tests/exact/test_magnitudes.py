"""Costs of very different sizes in one problem: numbers that stand for "never", and plans that turn on the others."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracle import assert_feasible
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array

import monge

Array = NDArray[Any]


def stored(C: Array) -> coo_array:
    n, m = C.shape
    return coo_array((C.ravel(), (np.repeat(np.arange(n), m), np.tile(np.arange(m), n))), shape=C.shape)


def padded(C: Array) -> monge.Transport:
    """The same problem among places without mass, which cost next to nothing."""
    n, m = C.shape
    more = np.zeros((n + 2, m + 3), dtype=C.dtype)
    more[1:-1, 2:-1] = C
    t = monge.emd(more, np.pad(np.ones(n), 1), np.pad(np.ones(m), (2, 1)))
    entries = t.plan.data / n, (t.plan.row - 1, t.plan.col - 2)
    t.plan = coo_array(entries, shape=C.shape)
    return t


SOLVERS: dict[str, Callable[[Array], monge.Transport]] = {
    "dense": monge.emd,
    "columns first": lambda C: monge.emd(np.asfortranarray(C)),
    "batch": lambda C: monge.emd([C, C])[0],
    "sparse": lambda C: monge.emd(stored(C)),
    "partial": lambda C: monge.partial(C, mass=1.0),
    "padded": padded,
}


def instance(kind: int, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """How often "never" is in each cost, and what is added to it. Whole numbers: their sum may be exact."""
    never = (rng.random((n, n)) < rng.choice([0.02, 0.3, 0.7, 0.95])).astype(float)
    if kind == 1:
        never *= rng.integers(1, 4, (n, n))
    if kind == 2:
        never[:, 0] = 1.0  # some of it has to be paid
    if kind == 3:
        never = (rng.integers(0, 3, (n, 1)) != rng.integers(0, 3, n)).astype(float)
    return never, rng.integers(0, 20, (n, n)).astype(float)


@pytest.mark.parametrize("size", [1e9, 1e12, 1e13, 1e15, 1e16, 1e30, 1e100])
@pytest.mark.parametrize("solver", SOLVERS)
def test_small_costs_count_beside_any_large_one(solver: str, size: float) -> None:
    rng = np.random.default_rng(5)
    refined = 0
    for trial in range(24):
        n = int(rng.choice([3, 5, 8, 30])) if trial < 23 else 390  # the last for the simplex of large problems
        never, small = instance(trial % 4, n, rng)
        if size > 1e14:
            small[never > 0.0] = 0.0  # would be rounded off
        # First as little of "never" as can be, then as little of the rest: a number that is large enough, and exact.
        rows, cols = linear_sum_assignment(1e7 * never + small)
        t = SOLVERS[solver](size * never + small)
        assert t.converged
        moved, refined = t.plan.data * n, refined + t.stats["refinements"]
        assert moved @ never[t.plan.row, t.plan.col] == pytest.approx(never[rows, cols].sum(), abs=1e-9)
        assert moved @ small[t.plan.row, t.plan.col] == pytest.approx(small[rows, cols].sum(), abs=1e-9)
        assert t.gap <= 1e-12 * (1.0 + small.max())  # of the small costs, whatever the size of the large one
    if size > 1e12:
        assert refined > 0


@pytest.mark.parametrize("size", [1e6, 1e9, 1e12, 1e15])
def test_never_with_weights_and_numbers_of_any_digits(size: float) -> None:
    rng = np.random.default_rng(1)
    for n, m in ((6, 9), (40, 30), (420, 350)):
        C, a, b = rng.random((n, m)), rng.random(n), rng.random(m)
        a, b = a / a.sum(), b / b.sum()
        forbidden = rng.random((n, m)) < 0.4
        some = monge.emd(np.zeros((n, m)), a, b).plan
        forbidden[some.row, some.col] = False  # so that there is a plan without
        for cost in (C, C.astype(np.float32)):
            best = monge.emd(np.where(forbidden, np.inf, cost).astype(cost.dtype), a, b)
            t = monge.emd(np.where(forbidden, size, cost).astype(cost.dtype), a, b)
            assert t.converged
            assert t.value == pytest.approx(best.value, rel=1e-12)
            assert t.gap <= 1e-12


def test_the_example_of_three_rows() -> None:
    C = np.array([[1e13, 8.0, 2.0], [1e13, 7.0, 7.0], [1e13, 1.0, 7.0]])
    t = monge.emd(C, [1, 1, 1], [1, 1, 1])
    assert t.value == 1e13 + 3.0
    assert t.converged
    assert t.gap <= 1e-12
    assert_feasible(t, C, [1, 1, 1], [1, 1, 1])


def test_ordinary_costs_take_no_refinement() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    for y in (x, x + 0.01 * rng.normal(size=x.shape), rng.normal(size=x.shape) + 50.0, x[::-1] * 3.0):
        for cost in ("sqeuclidean", "euclidean"):
            t = monge.emd(monge.PointCloud(x, y, cost))
            assert t.converged
            assert t.stats["refinements"] == 0
    for C in (rng.integers(0, 10, (200, 200)), rng.lognormal(0.0, 3.0, (200, 200)), np.zeros((50, 50))):
        assert monge.emd(C).stats["refinements"] == 0


def test_points_that_hardly_move() -> None:
    """The plan costs 1e-12 where the costs are of size one: digits of these are not enough."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    moved = 1e-6 * rng.normal(size=x.shape)
    t = monge.emd(monge.PointCloud(x, x + moved))
    assert t.converged
    assert t.value == pytest.approx((moved**2).sum() / 200, rel=1e-8)  # x + moved is rounded
    assert t.gap <= 1e-13 * t.value


@pytest.mark.parametrize("kind", ["dense", "sparse", "batch"])
def test_a_gap_that_stays_is_said(kind: str) -> None:
    """Costs on a scale of 300 digits, all in use: what is called optimal has a gap that is nothing beside its cost."""
    rng = np.random.default_rng(2)
    for _ in range(40):
        n = int(rng.integers(2, 9))
        C = 10.0 ** rng.uniform(-150, 150, (n, n)) * rng.choice([-1.0, 1.0], (n, n))
        with np.errstate(all="ignore"):
            t = {
                "dense": lambda C=C: monge.emd(C),
                "sparse": lambda C=C: monge.emd(stored(C)),
                "batch": lambda C=C: monge.emd([C])[0],
            }[kind]()
        paid = t.plan.data @ np.abs(C[t.plan.row, t.plan.col])
        assert t.converged == (t.status is monge.Status.OPTIMAL)
        if t.converged:
            assert t.gap <= 1e-14 * paid


@pytest.mark.parametrize("solver", ["dense", "batch", "sparse", "columns first"])
def test_mass_that_stays_among_larger_numbers_hides_nothing(solver: str) -> None:
    # The last place is as far from the others as can be, and most of the mass stays there for nothing.
    far = 1e43
    C = np.array([[1e13, 8, 2, far], [1e13, 7, 7, far], [1e13, 1, 7, far], [far, far, far, 0]])
    weights = [1.0, 1.0, 1.0, 60.0]
    t = {
        "dense": lambda: monge.emd(C, weights, weights),
        "batch": lambda: monge.emd([C], [weights], [weights])[0],
        "sparse": lambda: monge.emd(stored(C), weights, weights),
        "columns first": lambda: monge.emd(np.asfortranarray(C), weights, weights),
    }[solver]()
    assert t.value == 1e13 + 3.0
    assert t.converged


def test_large_costs_that_enter_late_do_not_cycle() -> None:
    inf = np.inf
    C = [
        [inf, 1e16, 3, -4, inf, inf, inf, inf],
        [inf, -2, inf, inf, inf, 0, inf, -5],
        [inf, inf, inf, 4, 4, -2, -5, inf],
        [inf, inf, -4, -4, inf, inf, -1e16, inf],
        [-4, -1, inf, inf, inf, 1, 1e16, 1],
        [inf, inf, inf, inf, inf, -1, inf, 1e16],
        [inf, inf, 5, inf, inf, inf, inf, -2],
    ]
    t = monge.emd(C, [2, 8, 8, 1, 10, 2, 4], [3, 4, 4, 3, 2, 8, 4, 7], time_limit=60.0)
    assert t.converged
    assert t.stats["pivots"] < 100


@pytest.mark.parametrize("n", [30, 400])
def test_a_refinement_that_stops_loses_nothing(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    C = rng.random((n, n))
    C[:, : n // 10] += 1e13
    best = monge.partial(C, mass=0.95)
    pivots = best.stats["pivots"]
    for limit in (1e-4, 1e-3, 3e-3, 1e-2, 3e-2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", monge.ConvergenceWarning)
            t = monge.partial(C, mass=0.95, time_limit=limit)
        assert t.marginal_error <= 1e-15
        assert t.value - t.gap <= best.value * (1.0 + 1e-15)
        if t.stats["pivots"] >= pivots:  # the first solve was over: what it found is kept
            assert t.value <= best.value * (1.0 + 1e-12)


@pytest.mark.parametrize("solver", ["dense", "sparse"])
def test_potentials_are_feasible_after_refinements(solver: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(60):
        n, m = rng.integers(2, 7, 2)
        C = rng.integers(-5, 6, (n, m)) * np.where(rng.random((n, m)) < 0.3, 10.0 ** rng.integers(12, 40), 1.0)
        allowed = C if solver == "dense" else np.where(C == 0.0, 1.0, C)
        t = monge.emd(
            allowed if solver == "dense" else stored(allowed), rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
        )
        slack = allowed - t.g - t.f[:, np.newaxis]
        rounding = np.finfo(float).eps * (np.abs(t.f)[:, np.newaxis] + np.abs(t.g) + np.abs(allowed))
        assert (slack >= -2.0 * rounding).all()
