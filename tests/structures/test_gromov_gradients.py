"""Derivatives of what is minimised between structures, against finite differences of solves from the same start."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import monge

Array = np.ndarray[Any, Any]


def change(objective: Callable[[Any], float], at: Array, direction: Array, h: float) -> float:
    return (objective(at + h * direction) - objective(at - h * direction)) / (2.0 * h)


def case(seed: int, n: int = 8, m: int = 7) -> tuple[Array, ...]:
    rng = np.random.default_rng(seed)
    a, b = rng.random(n) + 0.3, rng.random(m) + 0.3
    return rng.normal(size=(n, 2)), rng.normal(size=(m, 3)), a / a.sum(), b / b.sum()


OPTIONS: dict[str, dict[str, Any]] = {
    "exact": {},
    "entropic": {"eps": 2.0, "tol": 1e-9},
    "partial": {"mass": 0.6},
    "unbalanced": {"eps": 2.0, "marginals": monge.KL(4.0), "tol": 1e-8},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
@pytest.mark.parametrize("kind", ["points", "distances of points", "matrices", "skew matrices"])
def test_with_respect_to_structures(options: dict[str, Any], kind: str) -> None:
    x, y, a, b = case(0)
    if kind == "distances of points":
        options = {**options, "cost": "euclidean"}
    if "matrices" in kind:
        rng = np.random.default_rng(0)
        x, y = (((z[:, None] - z) ** 2).sum(axis=-1) for z in (x, y))
        if kind == "skew matrices":
            x, y = x + 0.3 * rng.normal(size=x.shape), y + 0.3 * rng.normal(size=y.shape)
    wrap = monge.CostMatrix if "matrices" in kind else np.asarray
    t = monge.gromov_wasserstein(wrap(x), wrap(y), a, b, **options)
    rng = np.random.default_rng(1)
    for k, (values, gradient) in enumerate(((x, t.grad_x), (y, t.grad_y))):

        def objective(moved: Any, k: int = k) -> float:
            pair = (moved, y) if k == 0 else (x, moved)
            found = monge.gromov_wasserstein(wrap(pair[0]), wrap(pair[1]), a, b, **options, init=t)
            return float(found.objective)

        direction = rng.normal(size=values.shape)
        wanted = change(objective, values, direction, 1e-5)
        assert gradient.shape == values.shape
        assert float(np.vdot(gradient, direction)) == pytest.approx(wanted, rel=2e-4, abs=1e-6)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
@pytest.mark.parametrize("matrices", [False, True])
def test_with_respect_to_weights(options: dict[str, Any], matrices: bool) -> None:
    x, y, a, b = case(2)
    if matrices:
        x, y = (monge.CostMatrix(((z[:, None] - z) ** 2).sum(axis=-1)) for z in (x, y))
    t = monge.gromov_wasserstein(x, y, a, b, **options)
    rng = np.random.default_rng(3)
    for k, (values, gradient) in enumerate(((a, t.grad_a), (b, t.grad_b))):
        direction = rng.normal(size=len(values))
        direction -= direction.mean()  # the totals stay equal

        def objective(moved: Any, k: int = k) -> float:
            weights = (moved, b) if k == 0 else (a, moved)
            return float(monge.gromov_wasserstein(x, y, *weights, **options, init=t).objective)

        wanted = change(objective, values, direction, 1e-6)
        assert float(gradient @ direction) == pytest.approx(wanted, rel=1e-3, abs=1e-5)


def test_of_all_mass_the_weights_have_twice_the_value() -> None:
    x, y, a, b = case(4)
    t = monge.gromov_wasserstein(x, y, a, b)
    assert t.grad_a @ a == pytest.approx(t.grad_b @ b, rel=1e-9)
    assert t.grad_a @ a + t.grad_b @ b == pytest.approx(2.0 * t.value, rel=1e-9)  # E(s a, s b) = s^2 E(a, b)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
def test_with_respect_to_features_and_their_share(options: dict[str, Any]) -> None:
    x, y, a, b = case(5)
    rng = np.random.default_rng(6)
    fx, fy = rng.normal(size=(8, 2)), rng.normal(size=(7, 2))
    M = ((fx[:, None] - fy) ** 2).sum(axis=-1)
    t = monge.gromov_wasserstein(x, y, a, b, features=(fx, fy), alpha=0.4, **options)

    def objective(features: Any, alpha: float = 0.4) -> float:
        found = monge.gromov_wasserstein(x, y, a, b, features=features, alpha=alpha, **options, init=t)
        return float(found.objective)

    D, E = rng.normal(size=fx.shape), rng.normal(size=fy.shape)
    wanted = change(lambda f: objective((f, fy)), fx, D, 1e-5) + change(lambda f: objective((fx, f)), fy, E, 1e-5)
    along = float(np.vdot(t.grad_features[0], D) + np.vdot(t.grad_features[1], E))
    assert along == pytest.approx(wanted, rel=2e-4)
    share = change(lambda alpha: objective((fx, fy), float(alpha)), np.array(0.4), np.array(1.0), 1e-5)
    assert t.grad_alpha == pytest.approx(share, rel=2e-4)
    by_matrix = monge.gromov_wasserstein(x, y, a, b, features=M, alpha=0.4, **options, init=t)
    np.testing.assert_allclose(by_matrix.grad_features, 0.6 * by_matrix.plan.toarray(), atol=1e-12)


def test_copies_do_not_want_to_move() -> None:
    x, _, _, _ = case(7)
    t = monge.gromov_wasserstein(x, x[::-1] + 5.0)
    np.testing.assert_allclose(t.grad_x, 0.0, atol=1e-9)
    np.testing.assert_allclose(t.grad_y, 0.0, atol=1e-9)


def test_derivatives_survive_a_pickle() -> None:
    x, y, a, b = case(8)
    t = monge.gromov_wasserstein(x, y, a, b, features=(x, y[:, :2]))
    again = pickle.loads(pickle.dumps(t))
    np.testing.assert_array_equal(again.grad_x, t.grad_x)
    np.testing.assert_array_equal(again.grad_a, t.grad_a)


def test_without_features_there_are_no_derivatives_of_them() -> None:
    t = monge.gromov_wasserstein([0.0, 1.0], [0.0, 3.0])
    with pytest.raises(TypeError, match="no features"):
        t.grad_features  # noqa: B018
