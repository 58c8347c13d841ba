"""The spherical sliced distance: the circle itself, rotations, points and rings on the sphere, POT, derivatives."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.spatial.transform import Rotation

import monge

powers = pytest.mark.parametrize("p", [1, 1.5, 2, 3])


def spheres(n, m, d, seed=0):
    rng = np.random.default_rng(seed)
    x, y, a, b = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.7, rng.random(n) + 0.1, rng.random(m) + 0.1
    return x, y, a / a.sum(), b / b.sum()


class TestKnownAnswers:
    @powers
    def test_the_circle(self, p):
        rng = np.random.default_rng(0)
        s, t, a = 2.0 * np.pi * rng.random(30), 2.0 * np.pi * rng.random(40), rng.random(30)
        x, y = (np.stack([np.cos(u), np.sin(u)], axis=1) for u in (s, t))
        loss = monge.spherical_sliced_wasserstein(x, y, a / a.sum(), p=p)
        assert loss.frames.shape == (1, 2, 2)
        assert loss == pytest.approx(monge.wasserstein_1d(s, t, a / a.sum(), p=p, period=2.0 * np.pi), rel=1e-12)

    def test_opposite_points(self):
        # Every great circle sees two opposite points as opposite.
        x = np.random.default_rng(0).normal(size=(1, 4))
        loss = monge.spherical_sliced_wasserstein(x, -x, rng=0)
        assert loss == pytest.approx(np.pi, rel=1e-12)

    def test_two_points_at_right_angles(self):
        # The mean arc between the projections, by integration over the normals of the planes.
        def arc(z, phi):
            normal = np.array([np.sqrt(1.0 - z * z) * np.cos(phi), np.sqrt(1.0 - z * z) * np.sin(phi), z])
            u, v = (e - normal * (normal @ e) for e in np.eye(3)[:2])
            return np.arccos(np.clip(u @ v / np.sqrt((u @ u) * (v @ v)), -1.0, 1.0))

        mean = dblquad(arc, 0.0, 0.5 * np.pi, 0.0, 1.0, epsabs=1e-5)[0] / np.pi
        other = dblquad(arc, 0.5 * np.pi, np.pi, 0.0, 1.0, epsabs=1e-5)[0] / np.pi
        loss = monge.spherical_sliced_wasserstein(np.eye(3)[:1], np.eye(3)[1:2], p=1, n_projections=2000, rng=0)
        assert loss == pytest.approx(mean + other, rel=1e-3)

    def test_every_circle(self):
        x, y, a, b = spheres(30, 25, 5)
        loss = monge.spherical_sliced_wasserstein(x, y, a, b, p=1.5, n_projections=9, rng=0)
        each = []
        for frame in loss.frames:
            s, t = (np.arctan2(*(points @ frame.T).T[::-1]) for points in (x, y))
            each.append(monge.wasserstein_1d(s, t, a, b, p=1.5, period=2.0 * np.pi))
        np.testing.assert_allclose(loss.distances, each, rtol=1e-12)
        assert loss == pytest.approx(np.mean(np.power(each, 1.5)) ** (1.0 / 1.5), rel=1e-12)

    @pytest.mark.parametrize("p", [1, 2, 3])
    @pytest.mark.parametrize("d", [3, 6])
    def test_pot(self, p, d):
        ot = pytest.importorskip("ot", reason="POT is a peer, not a dependency")
        x, y, a, b = spheres(30, 25, d)
        x, y = (points / np.linalg.norm(points, axis=1, keepdims=True) for points in (x, y))
        loss = monge.spherical_sliced_wasserstein(x, y, a, b, p=p, n_projections=12, rng=0)
        frames = loss.frames.transpose(0, 2, 1).copy()
        theirs = ot.sliced_wasserstein_sphere(x, y, a, b, n_projections=12, p=p, projections=frames)
        assert loss == pytest.approx(2.0 * np.pi * float(theirs), rel=1e-6)  # they measure in turns, by bisection

    @pytest.mark.parametrize("d", [2, 3, 4])
    def test_nothing_moves(self, d):
        x, _, a, _ = spheres(30, 1, d)
        loss = monge.spherical_sliced_wasserstein(x, x[::-1], a, a[::-1], rng=0)
        assert loss == pytest.approx(0.0, abs=1e-12)

    def test_zero_has_zero_derivatives(self):
        loss = monge.spherical_sliced_wasserstein([[1.0, 2.0, 2.0]], [[1.0, 2.0, 2.0]], rng=0)
        assert loss == 0.0
        for grad in (loss.grad_x, loss.grad_y, loss.grad_a, loss.grad_b):
            np.testing.assert_array_equal(grad, np.zeros(np.shape(grad)))


class TestWhatHoldsForAll:
    def test_lengths_do_not_matter(self):
        x, y, a, b = spheres(20, 30, 4)
        sizes = np.random.default_rng(1).uniform(1e-150, 1e150, size=(20, 1))
        loss, other = (monge.spherical_sliced_wasserstein(c, y, a, b, rng=0) for c in (x, sizes * x))
        assert loss == pytest.approx(other, rel=1e-13)
        np.testing.assert_allclose(other.grad_x * sizes, loss.grad_x, atol=1e-12)

    @pytest.mark.parametrize("p", [1, 2])
    def test_rotations(self, p):
        x, y, a, b = spheres(20, 30, 3)
        turn = Rotation.random(rng=0).as_matrix()
        one, other = (
            monge.spherical_sliced_wasserstein(x @ M, y @ M, a, b, p=p, n_projections=1500, rng=0)
            for M in (np.eye(3), turn)
        )
        assert other == pytest.approx(one, rel=1e-3)

    @pytest.mark.parametrize("p", [400, 1e5])
    def test_high_powers(self, p):
        x, y, _, _ = spheres(20, 30, 3)
        loss = monge.spherical_sliced_wasserstein(x, y, p=p, rng=0)
        assert loss == pytest.approx(loss.distances.max(), rel=0.02)
        assert np.isfinite(loss.grad_x).all()
        assert loss.grad_x.any()
        assert np.isfinite(loss.grad_a).all()

    def test_the_highest_powers(self):
        # Of as many points of equal weight it is the least of the largest arcs, over pairings that keep the order.
        x, y, _, _ = spheres(9, 9, 2)
        at, to = (np.sort(np.arctan2(*points.T)) for points in (x, y))
        turns = (np.abs(at - np.roll(to, k)) for k in range(9))
        least = min(np.minimum(turn, 2.0 * np.pi - turn).max() for turn in turns)
        for p in (1e9, 1e15, 1e18, 1e300):
            assert monge.spherical_sliced_wasserstein(x, y, p=p) == pytest.approx(least, rel=1e-8)
        x, y, _, _ = spheres(20, 15, 3)
        one, other = (monge.spherical_sliced_wasserstein(x, y, p=p, rng=0, n_projections=20) for p in (1e9, 1e300))
        assert other == pytest.approx(float(one), rel=1e-6)
        np.testing.assert_allclose(other.grad_x, one.grad_x, atol=0.01)

    def test_same_bits_seeds_and_pickles(self):
        x, y, a, b = spheres(200, 150, 5)
        first, *others = (
            monge.spherical_sliced_wasserstein(x, y, a, b, rng=2, threads=threads) for threads in (1, 2, 5)
        )
        for loss in (*others, pickle.loads(pickle.dumps(first))):
            assert loss == first
            np.testing.assert_array_equal(loss.grad_x, first.grad_x)
            np.testing.assert_array_equal(loss.grad_a, first.grad_a)
        assert monge.spherical_sliced_wasserstein(x, y, a, b, rng=3) != first

    def test_batches(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(3, 8, 3)), rng.normal(size=(3, 9, 3))
        together = monge.spherical_sliced_wasserstein(x, y, rng=1)
        assert together == [monge.spherical_sliced_wasserstein(*each, rng=1) for each in zip(x, y, strict=True)]


class TestDerivatives:
    @powers
    @pytest.mark.parametrize("d", [2, 3, 5])
    def test_points_and_weights(self, p, d):
        x, y, a, b = spheres(15, 20, d, seed=d)
        rng = np.random.default_rng(9)
        u, v, s, t = rng.normal(size=x.shape), rng.normal(size=y.shape), rng.normal(size=15), rng.normal(size=20)
        s, t, h = s - s.mean(), t - t.mean(), 1e-7

        def at(points, weights):
            moved = x + points * u, y + points * v, 2.0 * a + weights * s, 2.0 * b + weights * t
            return monge.spherical_sliced_wasserstein(*moved, p=p, n_projections=10, rng=0)

        loss = at(0.0, 0.0)
        slope = (loss.grad_x * u).sum() + (loss.grad_y * v).sum()
        assert (at(h, 0.0) - at(-h, 0.0)) / (2.0 * h) == pytest.approx(slope, rel=1e-5, abs=1e-7)
        slope = loss.grad_a @ s + loss.grad_b @ t
        assert (at(0.0, h) - at(0.0, -h)) / (2.0 * h) == pytest.approx(slope, rel=1e-5, abs=1e-7)
        np.testing.assert_allclose((loss.grad_x * x).sum(axis=1), 0.0, atol=1e-14)
        assert loss.grad_a @ a == pytest.approx(0.0, abs=1e-13)

    def test_a_point_that_no_circle_sees(self):
        # At right angles to the plane: no derivative, and nothing that is no number.
        loss = monge.spherical_sliced_wasserstein(np.eye(3), -np.eye(3)[:2], rng=0)
        assert np.isfinite(loss.grad_x).all()


class TestBadInput:
    def test_says_what_is_wrong(self):
        with pytest.raises(ValueError, match=r"x should hold points off the origin; x\[1\] is zero"):
            monge.spherical_sliced_wasserstein([[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0]])
        with pytest.raises(ValueError, match="two coordinates or more"):
            monge.spherical_sliced_wasserstein([1.0], [2.0])
        with pytest.raises(ValueError, match="p should be"):
            monge.spherical_sliced_wasserstein([[1.0, 0.0]], [[1.0, 0.0]], p=0)
