"""What goes to zero, and when: only transport knows that near is near.

Arjovsky, Chintala and Bottou 2017, "Wasserstein Generative Adversarial Networks": Example 1, Theorems 1 and 2.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import monge

LOG2 = np.log(2.0)
ABOUT_LOG2, ABOUT_ONE = pytest.approx(LOG2, rel=1e-14), pytest.approx(1.0, rel=1e-14)


def on_common_places(x, y):
    """Two clouds as histograms over all places that one of them has: the finest there are."""
    places, at = np.unique(np.concatenate([x, y]), axis=0, return_inverse=True)
    p = np.bincount(at.ravel()[: len(x)], minlength=len(places)) / len(x)
    q = np.bincount(at.ravel()[len(x) :], minlength=len(places)) / len(y)
    return p, q


class TestTwoLines:
    """Example 1: P is uniform on the segment from (0, 0) to (0, 1), Q on the one from (theta, 0) to (theta, 1)."""

    @staticmethod
    def segment(theta, n=50):
        return np.stack([np.full(n, theta), (np.arange(n) + 0.5) / n], axis=1)

    @pytest.mark.parametrize("theta", [-1.0, -0.3, -1e-9, 1e-300, 0.01, 0.3, 0.5])
    def test_apart(self, theta):
        x, y = self.segment(0.0), self.segment(theta)
        assert monge.wasserstein(x, y, p=1) == pytest.approx(abs(theta), rel=1e-12)
        p, q = on_common_places(x, y)
        assert monge.kl(p, q) == np.inf
        assert monge.kl(q, p) == np.inf
        assert monge.js(p, q) == ABOUT_LOG2
        assert monge.tv(p, q) == ABOUT_ONE

    def test_at_zero(self):
        x = self.segment(0.0)
        p, q = on_common_places(x, x[::-1])
        assert monge.wasserstein(x, x[::-1], p=1) == 0.0
        assert monge.kl(p, q) == monge.js(p, q) == monge.tv(p, q) == 0.0

    @pytest.mark.parametrize("theta", [-0.4, 0.2])
    def test_only_transport_says_where_to_go(self, theta):
        t = monge.emd(monge.PointCloud(self.segment(0.0), self.segment(theta), "euclidean"))
        np.testing.assert_allclose(t.grad_y.sum(axis=0), [np.sign(theta), 0.0], atol=1e-12)
        p, q = on_common_places(self.segment(0.0), self.segment(theta))
        slopes = monge.tv(p, q).grad_b[q > 0.0]
        assert np.ptp(slopes) == 0.0  # all places that q may move its mass to are alike

    def test_kernels_are_continuous_too(self):
        x = self.segment(0.0)
        thetas = [0.1, 0.01, 0.001]
        for distance in (monge.energy_distance, lambda x, y: monge.mmd(x, y, bandwidth=0.5)):
            values = [distance(x, self.segment(theta)) for theta in thetas]
            assert values[0] > 10.0 * values[1] > 100.0 * values[2] > 0.0


class TestTemperatures:
    """Classes that are ordered: 21 to 29 degrees."""

    classes = np.arange(21.0, 30.0)
    cost = np.abs(classes[:, None] - classes)

    def forecast(self, degrees, spread=0.0):
        p = np.where(self.classes == degrees, 1.0 - 2.0 * spread, 0.0)
        p[np.abs(self.classes - degrees) == 1.0] = spread
        return p

    def test_a_degree_off_or_four(self):
        truth = self.forecast(25)
        for degrees in (21, 22, 23, 24, 26, 27, 28, 29):
            guess = self.forecast(degrees)
            assert monge.emd(self.cost, truth, guess).value == abs(degrees - 25)
            assert (monge.kl(truth, guess), monge.js(truth, guess), monge.tv(truth, guess)) == (np.inf, LOG2, 1.0)

    def test_soft_forecasts_without_a_class_in_common(self):
        truth = self.forecast(22, 0.25)
        near, far = self.forecast(25, 0.25), self.forecast(28, 0.25)
        assert monge.emd(self.cost, truth, near).value == pytest.approx(3.0, rel=1e-15)
        assert monge.emd(self.cost, truth, far).value == pytest.approx(6.0, rel=1e-15)
        for distance in (monge.kl, monge.js, monge.tv):
            assert distance(truth, near) == pytest.approx(distance(truth, far), rel=1e-14)

    def test_exchanging_classes_changes_transport_alone(self):
        rng = np.random.default_rng(0)
        p, q = (w / w.sum() for w in rng.random((2, 9)))
        order = rng.permutation(9)
        for distance in (monge.kl, monge.js, monge.tv):
            assert distance(p[order], q[order]) == pytest.approx(distance(p, q), rel=1e-12)
        moved = monge.emd(self.cost, p[order], q[order]).value
        assert abs(moved - monge.emd(self.cost, p, q).value) > 0.1


masses = arrays(np.float64, 6, elements=st.floats(0.0, 1.0)).filter(lambda p: p.sum() > 1e-3)


class TestTheorem2:
    """KL to zero takes TV with it, TV and JS go together and take W with them; nothing else holds the other way."""

    @settings(deadline=None, max_examples=50)
    @example(np.eye(6)[0], np.array([1.0, *[5e-324] * 5]), 0)  # masses that have no half
    @given(masses, masses, st.integers(0, 99))
    def test_each_is_bounded_by_the_one_before(self, p, q, seed):
        p, q = p / p.sum(), q / q.sum()
        places = np.random.default_rng(seed).random((6, 2))
        kl, js, tv = (float(distance(p, q)) for distance in (monge.kl, monge.js, monge.tv))
        diameter = max(np.linalg.norm(s - t) for s in places for t in places)
        rounding = 1e-9
        assert tv <= np.sqrt(kl / 2.0) + rounding
        assert js <= LOG2 * tv + rounding
        assert tv <= np.sqrt(2.0 * js) + rounding
        assert monge.wasserstein(places, places, p, q, p=1) <= diameter * tv + rounding

    def test_w_without_js_and_tv(self):
        for n in (1, 10, 100, 1000):  # a unit of mass at 1 / n, and at zero
            x, y = np.array([[1.0 / n]]), np.array([[0.0]])
            p, q = on_common_places(x, y)
            assert monge.wasserstein(x, y, p=1) == 1.0 / n
            assert monge.tv(p, q) == ABOUT_ONE
            assert monge.js(p, q) == ABOUT_LOG2

    def test_js_and_tv_without_kl(self):
        # P has mass exp(-k) at 1 / (1 + k), up to a factor; of P_n a part 1 / n is moved to the n-th place.
        k = np.arange(700)
        places, p = 1.0 / (1.0 + k), np.exp(-k.astype(float))
        p /= p.sum()
        seen = []
        for n in (10, 40, 160, 640):
            moved = (1.0 - 1.0 / n) * p
            moved[n] += 1.0 / n
            seen.append([monge.kl(moved, p), monge.js(moved, p), monge.tv(moved, p),
                         monge.wasserstein_1d(places, places, moved, p)])  # fmt: skip
        kl, js, tv, w = np.array(seen).T
        assert (tv <= (1.0 + 1e-12) / np.array([10, 40, 160, 640])).all()
        assert (js[1:] < 0.4 * js[:-1]).all()
        assert (w <= tv).all()
        assert (np.diff(kl) > 0.0).all()
        assert kl[-1] > 0.98  # the limit is one

    def test_js_and_tv_where_kl_is_infinite(self):
        for n in (10, 1000, 100_000):
            p, q = [1.0 - 1.0 / n, 1.0 / n, 0.0], [1.0 - 1.0 / n, 0.0, 1.0 / n]
            assert monge.kl(p, q) == monge.kl(q, p) == np.inf
            assert monge.tv(p, q) == pytest.approx(1.0 / n, rel=1e-10)
            assert monge.js(p, q) == pytest.approx(LOG2 / n, rel=1e-10)

    def test_kl_takes_all_with_it(self):
        p = np.array([0.2, 0.3, 0.5])
        places = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
        for n in (10, 100, 1000):
            q = p + np.array([0.1, -0.2, 0.1]) / n
            assert monge.kl(q, p) < 0.3 / n**2
            for distance in (monge.tv(p, q), monge.js(p, q), monge.wasserstein(places, places, p, q, p=1)):
                assert 0.0 < distance < 0.5 / n


class TestTheorem1:
    """W of a network's output is continuous in its parameters, and JS is not."""

    @pytest.fixture
    def generator(self):
        rng = np.random.default_rng(0)
        z = rng.random((40, 1))  # the latent variable, on the line: its image is a curve in the plane
        start = [rng.normal(size=shape) for shape in ((1, 8), (8,), (8, 2), (2,))]
        way = [rng.normal(size=one.shape) for one in start]

        def images(t):
            A, b, C, c = (one + t * step for one, step in zip(start, way, strict=True))
            return np.tanh(z @ A + b) @ C + c

        return images

    def test_w_is_continuous(self, generator):
        target = generator(0.0)
        for t in (-0.5, 0.0, 0.3):
            here = monge.wasserstein(generator(t), target, p=1)
            for step in (1e-1, 1e-3, 1e-6):
                there = monge.wasserstein(generator(t + step), target, p=1)
                moved = np.linalg.norm(generator(t + step) - generator(t), axis=1).mean()
                assert abs(there - here) <= moved + 1e-15
                assert moved < 20.0 * step

    def test_js_jumps(self, generator):
        target = generator(0.0)
        assert monge.js(*on_common_places(generator(0.0), target)) == 0.0
        for t in (-1e-1, 1e-4, 1e-9):
            p, q = on_common_places(generator(t), target)
            assert monge.js(p, q) == ABOUT_LOG2
            assert monge.tv(p, q) == ABOUT_ONE
            assert monge.kl(p, q) == np.inf

    def test_w_has_a_derivative_almost_everywhere(self, generator):
        target = np.random.default_rng(1).normal(size=(30, 2))
        for t in (-0.5, 0.2, 0.9):
            solved = monge.emd(monge.PointCloud(generator(t), target, "euclidean"))
            velocity = (generator(t + 1e-5) - generator(t - 1e-5)) / 2e-5
            up, down = (monge.wasserstein(generator(t + s), target, p=1) for s in (1e-5, -1e-5))
            assert (solved.grad_x * velocity).sum() == pytest.approx((up - down) / 2e-5, rel=1e-5)
