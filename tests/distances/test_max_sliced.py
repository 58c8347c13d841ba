"""The max-sliced distance: shifts, scalings and summits that are known, many directions, and derivatives."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import monge
from monge.distances.ascent import Summit, apart, climb
from monge.distances.slices import Slices

powers = pytest.mark.parametrize("p", [1, 1.5, 2, 3])


def unit_vectors(d, count, seed=0):
    theta = np.random.default_rng(seed).normal(size=(count, d))
    return theta / np.linalg.norm(theta, axis=1, keepdims=True)


class TestKnownAnswers:
    @pytest.mark.parametrize("seed", range(20))
    def test_a_shift_in_many_dimensions(self, seed):
        # Where the best of random directions sees a quarter of it.
        rng = np.random.default_rng(seed)
        x, t = rng.normal(size=(200, 100)), 2.0 * np.eye(100)[seed]
        loss = monge.max_sliced_wasserstein(x, x + t, rng=seed)
        assert 1.99 <= loss <= 2.0 + 1e-9
        assert loss.direction[seed] == pytest.approx(1.0, abs=1e-6)
        np.testing.assert_allclose(loss.grad_y, np.tile(t / 2.0 / 200.0, (200, 1)), atol=1e-6)
        if seed > 5:
            return
        # Of clouds that are drawn anew it is more: at least the distance of the means.
        y = rng.normal(size=(200, 100)) + t
        means = np.linalg.norm(x.mean(axis=0) - y.mean(axis=0))
        assert monge.max_sliced_wasserstein(x, y, rng=seed) >= max(1.99, means * (1.0 + 2e-4))

    @powers
    @pytest.mark.parametrize("d", [1, 2, 3, 10])
    def test_a_shift(self, p, d):
        x, t = np.random.default_rng(d).normal(size=(30, d)), np.arange(1.0, d + 1.0)
        weights = np.arange(1.0, 31.0)
        loss = monge.max_sliced_wasserstein(x, x + t, weights, weights, p=p, rng=0)
        assert loss == pytest.approx(np.linalg.norm(t), rel=1e-9)
        np.testing.assert_allclose(loss.direction, t / np.linalg.norm(t), atol=1e-4)

    @pytest.mark.parametrize("d", [3, 20])
    def test_a_scaling(self, d):
        # From x to 3 x everything moves by 2 x: the root of 4 theta' S theta is largest along the first eigenvector.
        rng = np.random.default_rng(0)
        x = rng.normal(size=(400, d)) @ np.diag(np.linspace(1.0, 1.4, d)) @ np.linalg.qr(rng.normal(size=(d, d)))[0]
        values, vectors = np.linalg.eigh(x.T @ x / 400)
        loss = monge.max_sliced_wasserstein(x, 3.0 * x, rng=0)
        assert loss == pytest.approx(2.0 * values[-1] ** 0.5, rel=1e-7)
        assert abs(loss.direction @ vectors[:, -1]) == pytest.approx(1.0, abs=1e-5)

    def test_the_line(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=20), rng.normal(size=30)
        loss = monge.max_sliced_wasserstein(x, y, p=3)
        assert loss == pytest.approx(monge.wasserstein_1d(x, y, p=3), rel=1e-14)
        np.testing.assert_array_equal(loss.direction, [1.0])

    @pytest.mark.parametrize("d", [1, 2, 5])
    def test_nothing_moves(self, d):
        x = np.random.default_rng(0).normal(size=(25, d))
        loss = monge.max_sliced_wasserstein(x, x[::-1], rng=0)
        assert loss == 0.0
        np.testing.assert_array_equal(loss.grad_x, np.zeros((25, d)))
        assert np.linalg.norm(loss.direction) == pytest.approx(1.0)


class TestAgainstManyDirections:
    @powers
    @pytest.mark.parametrize("d", [2, 3])
    def test_few_dimensions(self, p, d):
        # Nearly all directions there are.
        theta = unit_vectors(d, 4000 if d == 2 else 20_000)
        for seed, (n, m) in enumerate([(5, 8), (20, 20), (60, 41)]):
            rng = np.random.default_rng(seed)
            x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) * rng.uniform(0.5, 2.0, size=d)
            most = Slices.of(x, y, None, None, p, 2).loss(theta).distances.max()
            assert monge.max_sliced_wasserstein(x, y, p=p, rng=seed) >= 0.999 * most

    @pytest.mark.parametrize("p", [1, 2])
    def test_more_dimensions(self, p):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(60, 12)), 1.2 * rng.normal(size=(80, 12))
        losses = [monge.max_sliced_wasserstein(x, y, p=p, rng=seed) for seed in range(3)]
        best = monge.sliced_wasserstein(x, y, p=p, n_projections=20_000, rng=0).distances.max()
        assert min(losses) > 1.05 * best
        assert min(losses) > 0.97 * max(losses)
        assert max(losses) <= monge.wasserstein(x, y, p=p)

    def test_each_is_what_its_direction_gives(self):
        rng = np.random.default_rng(1)
        x, y, a = rng.normal(size=(30, 4)), rng.normal(size=(20, 4)), rng.random(30)
        loss = monge.max_sliced_wasserstein(x, y, a / a.sum(), p=1.5, rng=0)
        along = monge.wasserstein_1d(x @ loss.direction, y @ loss.direction, a / a.sum(), p=1.5)
        assert loss == pytest.approx(along, rel=1e-13)
        assert loss.direction[np.abs(loss.direction).argmax()] > 0.0

    def test_a_climb_never_falls(self):
        rng = np.random.default_rng(3)
        slices = Slices.of(rng.normal(size=(40, 6)), rng.normal(size=(25, 6)), None, None, 1.0, 1)
        summit = Summit(slices, 1.0, unit_vectors(6, 12))
        before = summit.height.copy()
        climb(summit)
        assert (summit.height >= before).all()
        assert summit.height.max() > before.max()
        np.testing.assert_allclose(np.linalg.norm(summit.theta, axis=1), 1.0, rtol=1e-14)
        np.testing.assert_allclose(summit.heights(summit.theta), summit.height, rtol=1e-12)

    def test_starts_are_apart(self):
        angles = np.linspace(0.0, 0.5, 6)
        theta = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        assert apart(np.concatenate([theta, -theta]), np.arange(12.0), 9, np.cos(0.25)) == [11, 8]
        assert apart(theta, np.arange(6.0), 2, 2.0) == [5, 4]


class TestDerivatives:
    @powers
    def test_envelope(self, p):
        # At a smooth maximum: those along the direction, which need not be differentiated.
        rng = np.random.default_rng(2)
        x, y, a, b = (
            rng.normal(size=(30, 3)),
            rng.normal(size=(40, 3)) + np.array([2.0, 1.0, 0.0]),
            rng.random(30),
            rng.random(40),
        )
        a, b = a / a.sum(), b / b.sum()
        u, v, w = rng.normal(size=x.shape), rng.normal(size=y.shape), rng.normal(size=30)
        w -= w.mean()

        def at(s):
            return monge.max_sliced_wasserstein(x + s * u, y + s * v, a + 0.02 * s * w, b, p=p, rng=0)

        loss, h = at(0.0), 1e-4
        slope = float((loss.grad_x * u).sum() + (loss.grad_y * v).sum() + 0.02 * loss.grad_a @ w)
        assert (at(h) - at(-h)) / (2.0 * h) == pytest.approx(slope, rel=2e-3)

    def test_they_are_those_of_one_slice(self):
        rng = np.random.default_rng(2)
        x, y = (
            rng.normal(size=(30, 3)),
            rng.normal(size=(40, 3)) + np.array([3.0, 0.0, 0.0]),
        )  # the summit is on no ridge
        loss = monge.max_sliced_wasserstein(x, y, rng=0)
        t = monge.emd_1d(x @ loss.direction, y @ loss.direction, p=2)
        np.testing.assert_allclose(loss.grad_x, t.grad_x * loss.direction / (2.0 * loss), atol=1e-12)


class TestPromises:
    def test_same_bits(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(300, 7)), 1.3 * rng.normal(size=(400, 7))
        first, *others = (monge.max_sliced_wasserstein(x, y, rng=4, threads=threads) for threads in (1, 2, 5))
        for loss in others:
            assert loss == first
            np.testing.assert_array_equal(loss.direction, first.direction)
            np.testing.assert_array_equal(loss.grad_x, first.grad_x)
        copy = pickle.loads(pickle.dumps(first))
        assert copy == first
        np.testing.assert_array_equal(copy.direction, first.direction)

    def test_batches(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(4, 20, 3)), rng.normal(size=(4, 30, 3))
        together = monge.max_sliced_wasserstein(x, y, rng=1)
        assert together == [monge.max_sliced_wasserstein(*each, rng=1) for each in zip(x, y, strict=True)]

    @pytest.mark.parametrize("scale", [1e-200, 1e200])
    @pytest.mark.parametrize("p", [2, 60])
    def test_any_unit(self, scale, p):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
        loss = monge.max_sliced_wasserstein(x, y, p=p, rng=0)
        assert monge.max_sliced_wasserstein(scale * x, scale * y, p=p, rng=0) / scale == pytest.approx(loss, rel=1e-3)

    def test_bad_input(self):
        with pytest.raises(ValueError, match="n_projections should be a positive integer"):
            monge.max_sliced_wasserstein([[0.0]], [[0.0]], n_projections=-1)
        with pytest.raises(ValueError, match="pair 0: x should hold finite"):
            monge.max_sliced_wasserstein(np.full((1, 2, 2), np.nan), np.zeros((1, 2, 2)))


class TestOnARidge:
    """Of few points the largest slice is where two matchings are as good as each other. It is smooth there."""

    @pytest.mark.parametrize("p", [1, 2, 3])
    def test_derivatives_against_differences(self, p):
        ridges = 0
        for seed in range(8):
            rng = np.random.default_rng(seed)
            x, y = rng.normal(size=(6, 2)), rng.normal(size=(5, 2)) + 0.5
            a, b = rng.dirichlet(np.full(6, 5.0)), np.full(5, 0.2)
            steps = rng.normal(size=(6, 2)), rng.normal(size=(5, 2)), rng.normal(size=6) * a, rng.normal(size=5) * b
            loss = monge.max_sliced_wasserstein(x, y, a, b, p=p, rng=0)
            slopes = loss.grad_x, loss.grad_y, loss.grad_a, loss.grad_b
            along = sum((slope * step).sum() for slope, step in zip(slopes, steps, strict=True))
            h = 1e-4
            ahead, behind = (
                monge.max_sliced_wasserstein(*self.moved(x, y, a, b, steps, s), p=p, rng=0) for s in (h, -h)
            )
            assert along == pytest.approx((ahead - behind) / (2.0 * h), abs=1e-4)
            ridges += len(loss._sides) > 1
            np.testing.assert_array_equal(pickle.loads(pickle.dumps(loss)).grad_x, loss.grad_x)
        assert ridges >= 2

    @staticmethod
    def moved(x, y, a, b, steps, s):
        moved = [v + s * d for v, d in zip((x, y, a, b), steps, strict=True)]
        return (*moved[:2], moved[2] / moved[2].sum(), moved[3] / moved[3].sum())

    def test_both_matchings_alike(self):
        # Along the second axis x is one place. Whichever of its points goes up moves that way; half of each is none.
        x, y = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([[0.0, 2.0], [0.0, -2.0]])
        loss = monge.max_sliced_wasserstein(x, y, rng=0)
        assert loss == pytest.approx(2.0, abs=1e-9)
        np.testing.assert_allclose(loss.grad_x, 0.0, atol=1e-5)
        np.testing.assert_allclose(loss.grad_y, 0.25 * y, atol=1e-5)
