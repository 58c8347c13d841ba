"""Structures whose points have features: the two ends of alpha, the two ways to give features, and a peer."""

from __future__ import annotations

from typing import Any

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import monge
from monge.exact.dense import dense
from monge.structures.fused import fused
from monge.structures.matrices import MatrixForm
from monge.structures.moments import MomentForm

Array = np.ndarray[Any, Any]


def squares(x: Array, y: Array) -> Array:
    return np.asarray(((x[:, None] - y) ** 2).sum(axis=-1))


def clouds(n: int, m: int, seed: int) -> tuple[Array, ...]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)), rng.normal(size=(m, 3)), rng.normal(size=(n, 2)) + 1.0, rng.normal(size=(m, 2))


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([0.0, 0.3, 1.0]), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_all_ways_to_say_the_same_agree(n: int, m: int, alpha: float, seed: int) -> None:
    x, y, fx, fy = clouds(n, m, seed)
    rng = np.random.default_rng(seed)
    P, Q = rng.random((n, m)), rng.random((n, m))
    M, Cx, Cy = squares(fx, fy), squares(x, x), squares(y, y)
    forms = [
        fused(MomentForm(x, y), (fx, fy), alpha, True),
        fused(MomentForm(x, y), M, alpha, True),
        fused(MatrixForm(Cx, Cy), (fx, fy), alpha, False),
        fused(MatrixForm(Cx, Cy), M, alpha, False),
    ]
    plain = MatrixForm(Cx, Cy)
    scale = max(plain.at(P).size, plain.at(Q).size, M.max() * (P.sum() + Q.sum()))
    for form in forms:
        at, other = form.at(P), form.at(sparse.coo_array(Q))
        wanted = (1.0 - alpha) * float(np.vdot(P, M)) + alpha * plain.at(P).value
        assert at.value == pytest.approx(wanted, abs=1e-11 * scale)
        slope, curve = at.along(other)
        half = form.at(0.5 * (P + Q)).value
        assert at.value + 0.5 * slope + 0.25 * curve == pytest.approx(half, abs=1e-11 * scale)
        assert at.mixed(0.5, other).value == pytest.approx(half, abs=1e-11 * scale)
        r, s = at.sides()
        derivative = dense(at.cost(), 1) + r[:, None] + s
        assert np.vdot(derivative, Q - P) == pytest.approx(slope, abs=1e-10 * scale)


def test_without_structures_it_is_transport_of_features() -> None:
    x, y, fx, fy = clouds(12, 15, 0)
    M = squares(fx, fy)
    least = monge.emd(M).value
    for features in ((fx, fy), M):
        assert monge.gromov_wasserstein(x, y, features=features, alpha=0.0).value == pytest.approx(least, rel=1e-9)
    C, D = monge.CostMatrix(squares(x, x)), monge.CostMatrix(squares(y, y))
    assert monge.gromov_wasserstein(C, D, features=M, alpha=0).value == pytest.approx(least, rel=1e-9)


def test_without_features_it_is_that_of_structures() -> None:
    x, y, fx, fy = clouds(12, 15, 1)
    plain = monge.gromov_wasserstein(x, y, init="product")
    for features in ((fx, fy), squares(fx, fy)):
        t = monge.gromov_wasserstein(x, y, features=features, alpha=1.0, init="product")
        assert t.value == pytest.approx(plain.value, rel=1e-9)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.9])
def test_copies_with_the_same_features_are_at_zero(alpha: float) -> None:
    rng = np.random.default_rng(2)
    A = np.triu(rng.random((14, 14)) < 0.3, 1).astype(float)
    A, f, order = A + A.T, rng.normal(size=(14, 2)), rng.permutation(14)
    B = A[np.ix_(order, order)]
    t = monge.gromov_wasserstein(monge.CostMatrix(A), monge.CostMatrix(B), features=(f, f[order]), alpha=alpha)
    assert t.value == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_array_equal(t.plan.toarray().argmax(axis=0), order)


def test_from_one_start_the_optimum_is_that_of_a_peer() -> None:
    x, y, fx, fy = clouds(25, 30, 3)
    Cx, Cy, M = squares(x, x), squares(y, y), squares(fx, fy)
    a, b = np.full(25, 1 / 25), np.full(30, 1 / 30)
    for alpha in (0.2, 0.7):
        _, log = ot.gromov.fused_gromov_wasserstein(M, Cx, Cy, a, b, "square_loss", alpha=alpha, log=True)
        for features in ((fx, fy), M):
            t = monge.gromov_wasserstein(x, y, features=features, alpha=alpha, init="product")
            assert t.value == pytest.approx(float(log["fgw_dist"]), rel=1e-6)
        C, D = monge.CostMatrix(Cx), monge.CostMatrix(Cy)
        t = monge.gromov_wasserstein(C, D, features=M, alpha=alpha, init="product")
        assert t.value == pytest.approx(float(log["fgw_dist"]), rel=1e-6)


def test_with_entropy_the_objective_is_that_of_the_plan() -> None:
    x, y, fx, fy = clouds(20, 25, 4)
    t = monge.gromov_wasserstein(x, y, features=(fx, fy), alpha=0.4, eps=0.5)
    P = t.plan.toarray()
    value = 0.6 * np.vdot(P, squares(fx, fy)) + 0.4 * MatrixForm(squares(x, x), squares(y, y)).at(P).value
    assert t.value == pytest.approx(value, rel=1e-6)
    entropy = float((P * np.log(P * 500.0)).sum())
    assert t.objective == pytest.approx(value + 0.5 * entropy, rel=1e-6)


@pytest.mark.parametrize(
    ("features", "alpha", "text"),
    [
        (np.ones((3, 3)), 1.5, "alpha"),
        (np.ones((3, 4)), 0.5, r"shape \(3, 4\)"),
        (np.full((3, 3), np.nan), 0.5, "finite"),
        ((np.ones((3, 2)),), 0.5, "a tuple of 1"),
        ((np.ones((3, 2)), np.ones((4, 2))), 0.5, "one feature vector for each point"),
        ((np.ones((3, 2)), np.ones((3, 1))), 0.5, "same dimension"),
    ],
)
def test_bad_features_are_refused(features: Any, alpha: float, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        monge.gromov_wasserstein(np.eye(3)[:, :2], np.ones((3, 1)), features=features, alpha=alpha)
