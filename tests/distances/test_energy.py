"""The energy distance: SciPy's on the line, all pairs, sorting along directions, derivatives, bias and bad input."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist
from scipy.stats import energy_distance as of_scipy
from slopes import numeric

import monge
from monge.distances.directions import directions

statistics = pytest.mark.parametrize("biased", [True, False])


def clouds(seed, n=6, m=8, d=2):
    rng = np.random.default_rng(seed)
    x, y, a, b = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.7, rng.random(n) + 0.1, rng.random(m) + 0.1
    return x, y, a * (3.0 / a.sum()), b * (3.0 / b.sum())


def reference(x, y, a, b, biased=True):
    a, b = a / a.sum(), b / b.sum()
    value = 2.0 * a @ cdist(x, y) @ b
    for points, weights in ((x, a), (y, b)):
        value -= weights @ cdist(points, points) @ weights / (1.0 if biased else 1.0 - weights @ weights)
    return value


places = st.floats(-3.0, 3.0).map(lambda t: round(2.0 * t) / 2.0)  # many are equal


class TestOnTheLine:
    def test_two_points(self):
        loss = monge.energy_distance([1.0], [4.0])
        assert loss == 6.0
        np.testing.assert_array_equal(loss.grad_x, [[-2.0]])
        np.testing.assert_array_equal(loss.grad_y, [[2.0]])

    @settings(deadline=None, max_examples=60)
    @given(st.data())
    def test_scipy(self, data):
        x, y = (data.draw(arrays(np.float64, st.integers(1, 8), elements=places)) for _ in range(2))
        a, b = (data.draw(arrays(np.float64, len(t), elements=st.floats(0.25, 1.0))) for t in (x, y))
        b *= a.sum() / b.sum()
        assert monge.energy_distance(x, y, a, b) == pytest.approx(of_scipy(x, y, a, b) ** 2, rel=1e-9, abs=1e-15)
        loss, pairs = monge.energy_distance(x, y, a, b), monge.mmd(x, y, a, b, kernel="energy")
        assert loss == pytest.approx(pairs, rel=1e-9, abs=1e-14)
        for name in ("grad_x", "grad_y", "grad_a", "grad_b"):  # also where points are equal
            np.testing.assert_allclose(getattr(loss, name), getattr(pairs, name), atol=1e-13)

    @statistics
    def test_all_pairs(self, biased):
        x, y, a, b = clouds(0, 50, 70, 1)
        x, y = np.round(x, 1), np.round(y, 1)
        loss = monge.energy_distance(x, y, a, b, biased=biased)
        assert loss == pytest.approx(reference(x, y, a, b, biased), rel=1e-12)
        pairs = monge.mmd(x, y, a, b, kernel="energy", biased=biased)
        for name in ("grad_x", "grad_y", "grad_a", "grad_b"):
            np.testing.assert_allclose(getattr(loss, name), getattr(pairs, name), atol=1e-13)

    def test_projections_change_nothing(self):
        x, y, a, b = clouds(1, d=1)
        assert monge.energy_distance(x, y, a, b, projections=3, rng=0) == monge.energy_distance(x, y, a, b)

    def test_the_same_points_in_another_order(self):
        x, _, a, _ = clouds(2, 100, d=1)
        order = np.random.default_rng(0).permutation(100)
        assert 0.0 <= monge.energy_distance(x, x[order], a, a[order]) < 1e-30

    def test_far_from_the_origin(self):
        x, y = np.array([0.0, 0.25]), np.array([0.5])
        assert monge.energy_distance(2.0**40 + x, 2.0**40 + y) == monge.energy_distance(x, y)


class TestAllPairs:
    def test_two_points(self):
        loss = monge.energy_distance([[0.0, 0.0]], [[3.0, 4.0]])
        assert loss == 10.0
        np.testing.assert_allclose(loss.grad_x, [[-1.2, -1.6]], rtol=1e-15)
        np.testing.assert_allclose(loss.grad_y, [[1.2, 1.6]], rtol=1e-15)

    @statistics
    @pytest.mark.parametrize("d", [2, 5])
    def test_the_reference(self, biased, d):
        x, y, a, b = clouds(d, 30, 20, d)
        loss = monge.energy_distance(x, y, a, b, biased=biased)
        assert loss == pytest.approx(reference(x, y, a, b, biased), rel=1e-12)
        assert loss == monge.mmd(x, y, a, b, kernel="energy", biased=biased)

    def test_half_of_it_is_the_limit_of_the_sinkhorn_divergence(self):
        # For the cost |x - y| and a large eps, where the plan is a x b: S = E|x-y| - E|x-x'|/2 - E|y-y'|/2.
        x, y, a, b = clouds(3)
        a, b = a / a.sum(), b / b.sum()
        values = [
            monge.sinkhorn(monge.PointCloud(s, t, "euclidean"), u, v, eps=1e4, tol=1e-12).value
            for s, t, u, v in ((x, y, a, b), (x, x, a, a), (y, y, b, b))
        ]
        expected = 2.0 * values[0] - values[1] - values[2]
        assert monge.energy_distance(x, y, a, b) == pytest.approx(expected, rel=1e-3)


class TestDirections:
    @pytest.mark.parametrize(("d", "close"), [(2, 2e-5), (3, 2e-3), (10, 0.05)])
    def test_the_mean_over_directions(self, d, close):
        x, y, a, b = clouds(4, 40, 30, d)
        exact = monge.energy_distance(x, y, a, b)
        loss = monge.energy_distance(x, y, a, b, projections=2000, rng=0)
        assert loss == pytest.approx(exact, rel=close)
        np.testing.assert_allclose(loss.grad_x, exact.grad_x, atol=20 * close * np.abs(exact.grad_x).max())

    @pytest.mark.parametrize("d", [2, 3, 7])
    def test_unbiased_by_its_rotation(self, d):
        x, y = np.zeros((1, d)), np.eye(1, d)
        values = [monge.energy_distance(x, y, projections=4, rng=seed) for seed in range(300)]
        assert np.mean(values) == pytest.approx(2.0, abs=4.0 * np.std(values) / np.sqrt(300) + 1e-12)

    @statistics
    def test_one_by_one(self, biased):
        x, y, a, b = clouds(5, d=4)
        loss = monge.energy_distance(x, y, a, b, biased=biased, projections=9, rng=np.random.default_rng(7))
        seed = int(np.random.default_rng(7).integers(2**63))
        each = [
            monge.energy_distance(x @ t, y @ t, a, b, biased=biased)
            for t in directions(4, 9, np.random.default_rng(seed))
        ]
        factor = 3.0 * np.pi / 4.0  # sqrt(pi) Gamma(5/2) / Gamma(2)
        assert loss == pytest.approx(factor * np.mean(each), rel=1e-12)

    @statistics
    @pytest.mark.parametrize("d", [2, 3, 5])
    def test_finite_differences(self, biased, d):
        x, y, a, b = clouds(6, 4, 5, d)

        def distance(x, y, a, b):
            return monge.energy_distance(x, y, a, b, biased=biased, projections=8, rng=1)

        loss = distance(x, y, a, b)
        expected = numeric(distance, x, y, a, b, normalised=(2, 3))
        for found, slopes in zip((loss.grad_x, loss.grad_y, loss.grad_a, loss.grad_b), expected, strict=True):
            np.testing.assert_allclose(found, slopes, atol=5e-9)

    def test_any_number_of_threads(self):
        x, y, a, b = clouds(7, 4000, 3000, 3)
        losses = [monge.energy_distance(x, y, a, b, projections=100, rng=0, biased=False, threads=k) for k in (1, 2, 5)]
        assert losses[0] == losses[1] == losses[2]
        for name in ("grad_x", "grad_b"):
            for other in losses[1:]:
                np.testing.assert_array_equal(getattr(other, name), getattr(losses[0], name))

    def test_rng(self):
        x, y, _, _ = clouds(8)
        one, two = (monge.energy_distance(x, y, projections=3, rng=0) for _ in range(2))
        assert one == two
        assert one != monge.energy_distance(x, y, projections=3, rng=1)
        with pytest.raises(TypeError, match="rng should be None"):
            monge.energy_distance(x, y, projections=3, rng="chance")

    def test_never_negative(self):
        for seed in range(20):
            x, y, a, b = clouds(seed, d=6)
            assert monge.energy_distance(x, y, a, b, projections=1, rng=seed) > 0.0

    def test_pickle(self):
        loss = monge.energy_distance(*clouds(9), projections=5, rng=0)
        again = pickle.loads(pickle.dumps(loss))
        np.testing.assert_array_equal(again.grad_x, loss.grad_x)


@statistics
@pytest.mark.parametrize("d", [1, 3])
def test_finite_differences(biased, d):
    x, y, a, b = clouds(10, 4, 5, d)

    def distance(x, y, a, b):
        return monge.energy_distance(x, y, a, b, biased=biased)

    loss = distance(x, y, a, b)
    expected = numeric(distance, x, y, a, b, normalised=(2, 3))
    for found, slopes in zip((loss.grad_x, loss.grad_y, loss.grad_a, loss.grad_b), expected, strict=True):
        np.testing.assert_allclose(found, slopes, atol=5e-9)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("unit", [1e-300, 1e300])
def test_units(d, unit):
    x, y, a, b = clouds(11, d=d)
    one, far = (monge.energy_distance(s * x, s * y, a, b) for s in (1.0, unit))
    assert far / unit == pytest.approx(one, rel=1e-12)
    np.testing.assert_allclose(far.grad_x, one.grad_x, rtol=1e-10)
    np.testing.assert_allclose(far.grad_a / unit, one.grad_a, rtol=1e-9)


@pytest.mark.parametrize("projections", [None, 6])
@pytest.mark.parametrize("d", [1, 2])
def test_the_mean_is_zero_without_bias(d, projections):
    x, y = np.random.default_rng(12).normal(size=(2, 300, 10, d))
    weights = np.random.default_rng(13).random(10) + 0.2
    options = {"projections": projections, "rng": 0}
    for a in (None, weights):
        free = np.array(monge.energy_distance(x, y, a, a, biased=False, **options))
        error = free.std() / np.sqrt(300)
        assert abs(free.mean()) < 4.0 * error
        assert np.mean(monge.energy_distance(x, y, a, a, **options)) > 10.0 * error


@pytest.mark.parametrize("projections", [None, 6])
def test_batches(projections):
    rng = np.random.default_rng(14)
    x, y, a = rng.normal(size=(5, 6, 3)), rng.normal(size=(7, 3)), rng.random((5, 6)) + 0.1
    losses = monge.energy_distance(x, y, a, projections=projections, rng=3, threads=2)
    one_by_one = [monge.energy_distance(x[k], y, a[k], projections=projections, rng=3) for k in range(5)]
    assert losses == one_by_one
    np.testing.assert_array_equal(losses[4].grad_x, one_by_one[4].grad_x)
    with pytest.raises(ValueError, match="pair 1: x and y should have points of the same dimension"):
        monge.energy_distance([x[0], x[1][:, :2]], y, projections=projections)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"projections": 0}, "projections should be a positive integer"),
        ({"projections": 2.5}, "projections should be a positive integer"),
        ({"a": [1.0, 1.0], "b": [1.0]}, "same total mass"),
        ({"biased": False}, "y has all its weight at one"),
        ({"threads": -1}, "threads should be"),
    ],
)
@pytest.mark.parametrize("d", [1, 2])
def test_bad_input(arguments, text, d):
    with pytest.raises(ValueError, match=text):
        monge.energy_distance(np.eye(2)[:, :d], np.zeros((1, d)), **arguments)
