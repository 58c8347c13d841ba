"""The examples of the lecture halls, whose answers can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import assert_optimal

import monge


class TestAnimals:
    """Two distributions over four animals, of which two are nearly the same.

    a = (.2, .5, .2, .1) and b = (.3, .3, .4, 0). The second animal has 0.2 too much, the third 0.2 too little, the
    fourth 0.1 too much and the first 0.1 too little. With the second a cat and the third a lion, the cheap arc
    carries all of the 0.2, and the other 0.1 has one place left to go.
    """

    names = ("bird", "cat", "lion", "fish")
    a, b = np.array([0.2, 0.5, 0.2, 0.1]), np.array([0.3, 0.3, 0.4, 0.0])

    def cost(self):
        C = np.full((4, 4), 2.0)
        np.fill_diagonal(C, 0.0)
        cat, lion = self.names.index("cat"), self.names.index("lion")
        C[cat, lion] = C[lion, cat] = 1.0
        return C

    def test_plan(self):
        t = monge.emd(self.cost(), self.a, self.b)
        expected = np.array(
            [
                [0.2, 0.0, 0.0, 0.0],
                [0.0, 0.3, 0.2, 0.0],
                [0.0, 0.0, 0.2, 0.0],
                [0.1, 0.0, 0.0, 0.0],
            ]
        )
        # One decimal in, one decimal out: no dust.
        np.testing.assert_array_equal(t.plan.toarray(), expected)
        assert t.value == pytest.approx(0.2 * 1.0 + 0.1 * 2.0, rel=1e-15, abs=0)
        assert_optimal(t, self.cost(), self.a, self.b)

    def test_plan_is_the_only_one(self):
        # So that comparing plans is allowed here: nudge every arc off the plan down, and it stays optimal.
        C = self.cost()
        plan = monge.emd(C, self.a, self.b).plan.toarray()
        for i, j in np.argwhere(plan == 0):
            nudged = C.copy()
            nudged[i, j] -= 1e-6
            # Nothing can arrive at the fourth animal: that arc carries nothing at any price.
            assert monge.emd(nudged, self.a, self.b).value == pytest.approx(0.4, rel=1e-13, abs=0)

    def test_total_variation(self):
        # The discrete metric counts what has to move: 0.3 of the mass.
        t = monge.emd(1.0 - np.eye(4), self.a, self.b)
        assert t.value == pytest.approx(np.abs(self.a - self.b).sum() / 2, rel=1e-15, abs=0)

    def test_kind_animals_make_it_cheaper(self):
        far = np.full((4, 4), 2.0) - 2.0 * np.eye(4)
        assert monge.emd(self.cost(), self.a, self.b).value < monge.emd(far, self.a, self.b).value


class TestTemperatures:
    """A forecast off by one degree and a forecast off by seven: the same to KL, not to transport."""

    degrees = np.arange(10.0, 20.0)

    def forecast(self, at):
        # Almost sure of one temperature, a little of all the others.
        w = np.full(10, 0.01)
        w[np.searchsorted(self.degrees, at)] = 0.91
        return w

    def test_transport_sees_the_distance(self):
        truth, near, far = self.forecast(12.0), self.forecast(13.0), self.forecast(19.0)

        def kl(p, q):
            return float((p * np.log(p / q)).sum())

        assert kl(truth, near) == pytest.approx(kl(truth, far), rel=1e-14, abs=0)
        x = self.degrees
        assert monge.wasserstein(x, x, truth, near, p=1) == pytest.approx(0.9 * 1.0, rel=1e-14, abs=0)
        assert monge.wasserstein(x, x, truth, far, p=1) == pytest.approx(0.9 * 7.0, rel=1e-14, abs=0)

    def test_without_overlap(self):
        # Where KL is infinite, transport is the distance between the two.
        for miss in (1.0, 7.0):
            assert monge.wasserstein([12.0], [12.0 + miss]) == miss


class TestTwoClouds:
    """Two Gaussian clouds of a hundred points: the plan pairs them off (Birkhoff 1946)."""

    def clouds(self):
        rng = np.random.default_rng(42)
        return rng.normal(size=(100, 2)), rng.normal(size=(100, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]]) + 4.0

    def test_plan_is_a_permutation(self):
        x, y = self.clouds()
        t = monge.emd(monge.PointCloud(x, y))
        P = t.plan.toarray() * 100
        np.testing.assert_allclose(P[P > 0], 1.0, rtol=1e-14)
        np.testing.assert_array_equal((P > 0).sum(axis=0), 1)
        np.testing.assert_array_equal((P > 0).sum(axis=1), 1)
        assert_optimal(t, ((x[:, np.newaxis] - y) ** 2).sum(-1))

    def test_plan_is_monotone(self):
        # Cyclical monotonicity for pairs: <x_i - x_k, T x_i - T x_k> >= 0.
        x, y = self.clouds()
        T = monge.emd(monge.PointCloud(x, y)).map(y)
        inner = np.einsum("ikd,ikd->ik", x[:, np.newaxis] - x, T[:, np.newaxis] - T)
        assert inner.min() >= -1e-13

    def test_matching_in_the_plane_does_not_cross(self):
        # For the distance itself, straight pairings of an optimal plan do not cross.
        x, y = self.clouds()
        t = monge.emd(monge.PointCloud(x, y, "euclidean"))
        target = y[t.plan.col[np.argsort(t.plan.row)]]

        def side(p, q, r):
            return np.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

        crossings = 0
        for i in range(100):
            for k in range(i):
                crossings += (
                    side(x[i], target[i], x[k]) * side(x[i], target[i], target[k]) < 0
                    and side(x[k], target[k], x[i]) * side(x[k], target[k], target[i]) < 0
                )
        assert crossings == 0
