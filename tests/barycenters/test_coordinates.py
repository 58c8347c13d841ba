"""Barycentric coordinates: those of a barycenter come back."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import monge
from monge.barycenters.coordinates.simplex import least_on_simplex

N = 32
X = np.arange(float(N))
GRID = monge.Grid(N)


def bump(mean, std):
    values = np.exp(-((X - mean) ** 2) / (2.0 * std**2))
    return values / values.sum()


A = np.array([bump(8, 2), bump(20, 3), 0.5 * bump(10, 2) + 0.5 * bump(24, 2)])


@pytest.mark.parametrize("loss", ["l2", "kl", "wasserstein"])
@pytest.mark.parametrize("w", [[0.2, 0.5, 0.3], [0.0, 0.7, 0.3], [1.0, 0.0, 0.0]])
def test_coordinates_of_a_barycenter_come_back(loss, w):
    target = monge.barycenter(A, GRID, w, eps=6.0, tol=1e-10).weights
    found = monge.barycentric_coordinates(target, A, GRID, eps=6.0, loss=loss, tol=1e-5)
    np.testing.assert_allclose(found.weights, w, atol=1e-4)
    np.testing.assert_allclose(found.projection, target, atol=1e-5)
    assert found.converged
    assert found.iterations < 10
    assert found.value == pytest.approx(0.0, abs=1e-8)


def test_zeros_are_exact_and_any_start_will_do():
    target = monge.barycenter(A, GRID, [0.0, 0.7, 0.3], eps=6.0, tol=1e-10).weights
    for init in ([1 / 3] * 3, [0.0, 0.5, 0.5], [0.9, 0.05, 0.05]):
        found = monge.barycentric_coordinates(target, A, GRID, eps=6.0, init=init, tol=1e-5)
        np.testing.assert_allclose(found.weights, [0.0, 0.7, 0.3], atol=1e-4)
    assert found.weights.sum() == pytest.approx(1.0, abs=1e-15)


def test_one_off_the_family_is_projected_on_the_nearest():
    target = 0.5 * bump(9, 2) + 0.5 * bump(18, 3)
    found = monge.barycentric_coordinates(target, A, GRID, eps=6.0)

    def loss(w):
        return float(((monge.barycenter(A, GRID, w, eps=6.0, tol=1e-8).weights - target) ** 2).sum())

    assert found.value == pytest.approx(loss(found.weights), rel=1e-3)
    corners = np.eye(3)
    for k, s in itertools.product(range(3), (0.05, -0.05)):
        w = found.weights + s * (corners[k] - found.weights)
        if w.min() >= 0.0:
            assert loss(w / w.sum()) > found.value


@pytest.mark.parametrize("m", [0.0, 0.25, 0.6])
@pytest.mark.parametrize("loss", ["l2", "wasserstein"])
def test_debiased_gaussians(m, loss):
    a = np.array([bump(10, 2.5), bump(20, 2.5)])
    found = monge.barycentric_coordinates(bump(10 + 10 * m, 2.5), a, GRID, eps=3.0, debias=True, loss=loss, tol=1e-4)
    np.testing.assert_allclose(found.weights, [1.0 - m, m], atol=1e-3)


def test_debiased_coordinates_of_a_debiased_barycenter_come_back():
    target = monge.barycenter(A, GRID, [0.2, 0.5, 0.3], eps=3.0, debias=True, tol=1e-6).weights
    found = monge.barycentric_coordinates(target, A, GRID, eps=3.0, debias=True, tol=1e-3)
    np.testing.assert_allclose(found.weights, [0.2, 0.5, 0.3], atol=2e-3)


def test_places_of_the_target_may_be_others():
    x, y = np.linspace(0.0, 1.0, 30), np.linspace(-0.2, 1.2, 41)
    a = np.exp(-((x - np.array([[0.3], [0.7]])) ** 2) / 0.02)
    a /= a.sum(axis=1, keepdims=True)
    cost = monge.PointCloud(x[:, np.newaxis], y[:, np.newaxis])
    target = monge.barycenter(a, cost, [0.35, 0.65], eps=0.02, tol=1e-10).weights
    found = monge.barycentric_coordinates(target, a, cost, eps=0.02)
    np.testing.assert_allclose(found.weights, [0.35, 0.65], atol=1e-4)
    with pytest.raises(ValueError, match="same places"):
        monge.barycentric_coordinates(target, a, cost, eps=0.02, loss="wasserstein")


def test_totals_scale_and_orders_change_nothing():
    target = monge.barycenter(A, GRID, [0.2, 0.5, 0.3], eps=6.0, tol=1e-10).weights
    one = monge.barycentric_coordinates(target, A, GRID, eps=6.0)
    scaled = monge.barycentric_coordinates(100.0 * target, 100.0 * A, GRID, eps=6.0)
    turned = monge.barycentric_coordinates(target, A[::-1], GRID, eps=6.0, threads=1)
    np.testing.assert_allclose(scaled.weights, one.weights, atol=1e-6)
    np.testing.assert_allclose(turned.weights[::-1], one.weights, atol=1e-5)


def test_stopping_early_says_so():
    target = 0.5 * bump(9, 2) + 0.5 * bump(18, 3)
    with pytest.warns(monge.ConvergenceWarning, match="after 1 steps"):
        found = monge.barycentric_coordinates(target, A, GRID, eps=6.0, max_iter=1, init=[1 / 3] * 3)
    assert not found.converged
    with pytest.warns(monge.ConvergenceWarning, match="max_iter, time_limit"):
        found = monge.barycentric_coordinates(target, A, GRID, eps=6.0, time_limit=1e-9)
    assert found.status is monge.Status.OUT_OF_TIME


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"target": np.ones(5)}, ValueError, "shape"),
        ({"target": 2.0 * A[0]}, ValueError, "total mass"),
        ({"target": -A[0]}, ValueError, "not negative"),
        ({"loss": "l1"}, ValueError, "loss should be one of"),
        ({"eps": -1.0}, ValueError, "eps"),
        ({"init": [0.5, 0.6, 0.1]}, ValueError, "sum to one"),
        ({"histograms": np.vstack([A[:2], 3.0 * A[2:]])}, ValueError, "same total"),
    ],
)
def test_bad_input(change, error, match):
    given = {"target": A[0], "histograms": A, "cost": GRID, "eps": 6.0, **change}
    with pytest.raises(error, match=match):
        monge.barycentric_coordinates(**given)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 5), st.integers(0, 2**32 - 1), st.booleans())
def test_least_on_the_simplex(k, seed, singular):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(max(k - 2, 1) if singular else k + 1, k))
    hessian, slope = root.T @ root, rng.normal(size=k)
    x = least_on_simplex(hessian, slope, rng.dirichlet(np.ones(k)))
    assert x.min() >= 0.0
    assert x.sum() == pytest.approx(1.0)
    gradient = hessian @ x + slope
    # Of a convex function: no vertex is in a direction of descent.
    assert gradient.min() >= gradient @ x - 1e-6 * (1.0 + np.abs(gradient).max())


def test_bits_are_those_of_any_number_of_threads():
    target = monge.barycenter(A, GRID, [0.2, 0.5, 0.3], eps=6.0, tol=1e-8).weights
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one, two = (monge.barycentric_coordinates(target, A, GRID, eps=6.0, threads=t).weights for t in (1, 2))
    assert (one == two).all()
