"""The conjugate of entropic transport in its first argument: duality, derivatives, the formula of its paper."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import xlogy

import monge

RNG = np.random.default_rng(0)
N, M, EPS = 7, 5, 0.3
C = RNG.random((N, M))
B = RNG.dirichlet(np.ones(M))
H = RNG.normal(size=N)


def transport(a: Any, b: Any, reference: Any) -> float:
    """F(a), by `sinkhorn`."""
    value = monge.sinkhorn(C, a, b, eps=EPS, tol=1e-10).value
    return float(value + EPS * (a @ np.log(a / reference)))


@pytest.mark.parametrize("reference", [None, RNG.random(N) + 0.1])
def test_fenchel_and_young_meet_at_the_derivative(reference: Any) -> None:
    r = np.ones(N) if reference is None else reference
    found = monge.dual_conjugate(H, B, C, eps=EPS, reference=reference)
    a = found.grad
    assert a.sum() == pytest.approx(1.0)
    assert a.min() > 0.0
    assert H @ a - transport(a, B, r) == pytest.approx(float(found), abs=1e-8)
    # The derivative of F there is h, up to a constant.
    slope = monge.sinkhorn(C, a, B, eps=EPS, tol=1e-10).grad_a + EPS * np.log(a / r)
    assert np.ptp(slope - H) < 1e-6


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0.05, 1.0), min_size=N, max_size=N))
def test_fenchel_and_young_hold_everywhere(weights: list[float]) -> None:
    a = np.array(weights) / np.sum(weights)
    assert H @ a - transport(a, B, np.ones(N)) <= monge.dual_conjugate(H, B, C, eps=EPS) + 1e-8


def test_derivative_by_differences() -> None:
    found, step = monge.dual_conjugate(H, B, C, eps=EPS), 1e-5
    for i in range(N):
        move = step * np.eye(N)[i]
        up, down = (monge.dual_conjugate(H + s * move, B, C, eps=EPS) for s in (1.0, -1.0))
        assert (up - down) / (2.0 * step) == pytest.approx(found.grad[i], abs=1e-8)


def test_the_formulas_of_the_paper() -> None:
    """Cuturi and Peyre 2016: H = eps (E(b) + <b, log K alpha>), gradient alpha * K (b / K alpha)."""
    K, alpha = np.exp(-C / EPS), np.exp(H / EPS)
    entropy = -(xlogy(B, B) - B).sum()
    paper = EPS * (entropy + B @ np.log(K.T @ alpha))
    found = monge.dual_conjugate(H, B, C, eps=EPS)
    assert found - EPS * (xlogy(B, B).sum() - 1.0) == pytest.approx(paper)
    np.testing.assert_allclose(found.grad, alpha * (K @ (B / (K.T @ alpha))))


def test_tiny_eps_forbidden_arcs_and_zero_weights() -> None:
    D = C.copy()
    D[0, :] = np.inf
    b = B.copy()
    b[1] = 0.0
    found = monge.dual_conjugate(H, b, D, eps=1e-9)
    best = np.argmax(H[:, np.newaxis] - D, axis=0)
    exact = b / b.sum() @ (H[best] - D[best, np.arange(M)])
    assert float(found) == pytest.approx(exact, abs=1e-7)
    np.testing.assert_allclose(found.grad, np.bincount(best, b / b.sum(), N), atol=1e-12)


def test_points_constants_and_pickles() -> None:
    x, y = RNG.random((N, 2)), RNG.random((M, 2))
    found = monge.dual_conjugate(H, None, monge.PointCloud(x, y), eps=EPS)
    assert monge.dual_conjugate(H + 2.0, None, monge.PointCloud(x, y), eps=EPS) == pytest.approx(found + 2.0)
    again = pickle.loads(pickle.dumps(found))
    assert again == found
    assert again.value == found.value
    np.testing.assert_array_equal(again.grad, found.grad)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"h": H[:-1]}, "h should"),
        ({"h": np.full(N, np.nan)}, "h should"),
        ({"eps": 0.0}, "eps should"),
        ({"reference": np.zeros(N)}, "reference should"),
        ({"b": -B}, "not negative"),
        ({"cost": np.where(np.arange(M) == 2, np.inf, C)}, "column 2"),
        ({"cost": np.full((N, M), np.nan)}, "NaN"),
    ],
)
def test_bad_input(change: dict[str, Any], text: str) -> None:
    arguments: dict[str, Any] = {"h": H, "b": B, "cost": C, "eps": EPS} | change
    with pytest.raises(ValueError, match=text):
        monge.dual_conjugate(**arguments)
