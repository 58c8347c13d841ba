"""The linear programme of a barycenter on given places: known answers, enumeration, and what its potentials prove."""

from __future__ import annotations

import numpy as np
import pytest

import monge
from monge.barycenters.fixed import exact
from monge.barycenters.fixed.exact import exact_barycenter


def squares(x, y):
    return ((np.atleast_2d(x.T).T[:, np.newaxis] - np.atleast_2d(y.T).T) ** 2).sum(axis=-1)


def random_problem(seed, k=3, n=6, m=5, d=2):
    rng = np.random.default_rng(seed)
    histograms = rng.random((k, n)) * (rng.random((k, n)) > 0.3)
    histograms[:, 0] += 0.1
    weights = rng.random(k)
    costs = squares(rng.normal(size=(n, d)), rng.normal(size=(m, d)))
    return histograms / histograms.sum(axis=1, keepdims=True), costs, weights / weights.sum()


def objective(a, histograms, costs, weights):
    each = costs if isinstance(costs, list) else [costs] * len(weights)
    return sum(w * monge.emd(C, h, a).value for w, h, C in zip(weights, histograms, each, strict=True))


def assert_proven(found, histograms, costs, weights):
    each = costs if isinstance(costs, list) else [costs] * len(weights)
    for C, f, g in zip(each, found.f, found.g, strict=True):
        assert (f[:, np.newaxis] + g <= C + 1e-12).all()
    np.testing.assert_allclose(weights @ found.g, 0.0, atol=1e-14)
    bound = sum(w * f @ h for w, f, h in zip(weights, found.f, histograms, strict=True))
    assert found.value == pytest.approx(objective(found.a, histograms, costs, weights), rel=1e-12)
    assert 0.0 <= found.gap <= 1e-12
    assert found.value - bound <= 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_proven(seed):
    histograms, costs, weights = random_problem(seed)
    found = exact_barycenter(histograms, costs, weights)
    assert found.a.min() >= 0.0
    assert found.a.sum() == pytest.approx(1.0, rel=1e-14)
    assert_proven(found, histograms, costs, weights)
    # And no other tried is better.
    for a in np.random.default_rng(seed).dirichlet(np.full(5, 0.3), size=50):
        assert objective(a, histograms, costs, weights) >= found.value - 1e-12


def test_halfway_on_the_line():
    line = np.arange(5.0)
    found = exact_barycenter(np.eye(5)[[0, 4]], squares(line, line), np.array([0.5, 0.5]))
    np.testing.assert_allclose(found.a, np.eye(5)[2], atol=1e-14)
    assert found.value == pytest.approx(4.0)
    found = exact_barycenter(np.eye(5)[[0, 4]], squares(line, line), np.array([0.75, 0.25]))
    np.testing.assert_allclose(found.a, np.eye(5)[1], atol=1e-14)


def test_single_points_by_enumeration():
    # Of three single points, a barycenter is a single place, the best of all.
    rng = np.random.default_rng(1)
    costs = rng.random((7, 9))
    weights = np.array([0.2, 0.3, 0.5])
    found = exact_barycenter(np.eye(7)[[4, 1, 2]], costs, weights)
    assert found.value == pytest.approx((weights @ costs[[4, 1, 2]]).min(), rel=1e-12)
    assert found.a[int(np.argmin(weights @ costs[[4, 1, 2]]))] == pytest.approx(1.0)


def test_costs_of_each_and_weights_of_zero():
    rng = np.random.default_rng(2)
    histograms, _, _ = random_problem(2)
    costs = [rng.random((6, 4)) for _ in range(3)]
    weights = np.array([0.4, 0.0, 0.6])
    found = exact_barycenter(histograms, costs, weights)
    assert_proven(found, histograms, costs, weights)
    alone = exact_barycenter(histograms[[0, 2]], [costs[0], costs[2]], weights[[0, 2]])
    assert found.value == pytest.approx(alone.value, rel=1e-12)


def test_one_histogram_comes_back():
    histograms, _, _ = random_problem(3)
    places = np.random.default_rng(3).normal(size=(6, 2))
    found = exact_barycenter(histograms, squares(places, places), np.array([0.0, 1.0, 0.0]))
    np.testing.assert_allclose(found.a, histograms[1], atol=1e-12)
    assert found.value == pytest.approx(0.0, abs=1e-14)


@pytest.mark.parametrize(("mass", "unit"), [(1e-8, 1.0), (1e6, 1.0), (1.0, 1e-9), (1.0, 1e12)])
def test_units_do_not_matter(mass, unit):
    histograms, costs, weights = random_problem(4)
    plain = exact_barycenter(histograms, costs, weights)
    found = exact_barycenter(mass * histograms, unit * costs, weights)
    assert found.value == pytest.approx(mass * unit * plain.value, rel=1e-11)
    assert found.gap <= 1e-11 * found.value
    assert found.a.sum() == pytest.approx(mass, rel=1e-12)


def test_forbidden_arcs():
    costs = np.array([[1.0, np.inf, 5.0], [np.inf, 1.0, 5.0]])
    weights = np.array([0.5, 0.5])
    found = exact_barycenter(np.eye(2), costs, weights)
    np.testing.assert_allclose(found.a, [0.0, 0.0, 1.0], atol=1e-14)
    assert found.value == pytest.approx(5.0)
    assert found.gap <= 1e-12
    with pytest.raises(monge.InfeasibleError, match="forbidden"):
        exact_barycenter(np.eye(2), costs[:, :2], weights)


def test_too_large(monkeypatch):
    monkeypatch.setattr(exact, "_MOST_ENTRIES", 100)
    with pytest.raises(ValueError, match="at most 100 entries"):
        exact_barycenter(np.full((2, 10), 0.1), np.ones((10, 10)), np.array([0.5, 0.5]))
    monkeypatch.undo()
    monkeypatch.setattr(exact, "_BYTES", 2**50)
    with pytest.raises(MemoryError, match="linear programme"):
        exact_barycenter(np.full((2, 10), 0.1), np.ones((10, 10)), np.array([0.5, 0.5]))


def test_out_of_time():
    histograms, costs, weights = random_problem(5, k=6, n=60, m=60)
    with pytest.raises(TimeoutError, match="time_limit"):
        exact_barycenter(histograms, costs, weights, time_limit=1e-9)
