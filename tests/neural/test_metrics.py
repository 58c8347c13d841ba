"""Figures of quality, on samples made so that they are known."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="monge.neural needs the extra torch")

from monge.neural.metrics import modes, novelty, ratio, sd_ratio
from monge.neural.toys import EIGHT_CENTERS, EIGHT_SD, eight_gaussians

RNG = np.random.default_rng(0)
TRUE = RNG.normal(size=(3, 200, 4))


class TestModes:
    def test_true_samples(self):
        found = modes(eight_gaussians(20_000, rng=0), EIGHT_CENTERS, EIGHT_SD)
        assert found.found == 8
        assert found.share == pytest.approx(1 - np.exp(-4.5), abs=0.003)  # of a Rayleigh's, within three
        assert found.shares.sum() == pytest.approx(found.share)

    def test_a_mode_needs_more_than_two_per_cent(self):
        centers = [[0.0], [10.0], [20.0]]
        samples = np.r_[np.zeros(95), np.full(3, 10.0), np.full(2, 20.0)][:, None]
        found = modes(samples, centers, 1.0)
        assert (found.found, found.share, found.shares.tolist()) == (2, 1.0, [0.95, 0.03, 0.02])

    def test_within_three_standard_deviations(self):
        found = modes([[0.0], [2.9], [3.1], [50.0]], [[0.0], [100.0]], 1.0)
        assert found.share == 0.5
        assert found.shares.tolist() == [0.5, 0.0]

    def test_each_sample_belongs_to_one_mode(self):
        # Where modes overlap a sample within reach of two must not count twice.
        assert modes([[0.4], [0.6]], [[0.0], [1.0]], 1.0).shares.tolist() == [0.5, 0.5]


class TestRatio:
    @pytest.mark.parametrize("n", [1, 4])
    def test_against_enumeration(self, n):
        a, b, c = RNG.normal(size=(3, n, 2))

        def w2(x, y):
            return min(
                np.sqrt(((x - y[list(order)]) ** 2).sum(axis=1).mean()) for order in itertools.permutations(range(n))
            )

        assert ratio(a, b, c) == pytest.approx(w2(a, b) / w2(c, b), rel=1e-12)

    def test_the_mean_over_parts_of_the_reference(self):
        a, b, c = TRUE
        parts = [ratio(a[:50], b, c[start : start + 50]) for start in (0, 50, 100)]
        assert ratio(a[:50], b, c[:199]) == pytest.approx(3 / sum(1 / part for part in parts), rel=1e-12)

    def test_a_shift(self):
        _, b, c = TRUE
        far = ratio(b + 100.0, b, c) / ratio(b + 10.0, b, c)
        assert far == pytest.approx(10.0)
        sliced = ratio(b + 100.0, b, c, sliced=True) / ratio(b + 10.0, b, c, sliced=True)
        assert sliced == pytest.approx(10.0)

    def test_true_samples_are_near_one(self):
        a, b, c = TRUE
        assert abs(ratio(a, b, c) - 1) < 0.1
        assert abs(ratio(a, b, c, sliced=True) - 1) < 0.5

    def test_shrinking_is_rewarded_by_the_ratio_and_found_by_the_deviation(self):
        a, b, c = np.random.default_rng(1).normal(size=(3, 200, 40))
        assert ratio(0.6 * a, b, c) < 0.9
        assert sd_ratio(0.6 * a, b) == pytest.approx(0.6, rel=0.05)

    def test_images_are_vectors(self):
        a, b, c = TRUE
        assert ratio(a.reshape(-1, 2, 2), b.reshape(-1, 2, 2), c.reshape(-1, 2, 2)) == ratio(a, b, c)


class TestDeviation:
    @given(st.floats(0.01, 100.0), st.floats(-10.0, 10.0))
    def test_scales_and_does_not_see_shifts(self, scale, shift):
        assert sd_ratio(scale * TRUE[0] + shift, TRUE[0]) == pytest.approx(scale, rel=1e-9)

    def test_total_over_coordinates(self):
        samples = [[0.0, 0.0], [6.0, 8.0]]
        assert sd_ratio(samples, [[0.0, 0.0], [1.0, 0.0]]) == pytest.approx(10.0)


class TestNovelty:
    def test_copies_are_not_new(self):
        train, held_out, _ = TRUE
        assert novelty(train[:10].astype(np.float32), train, held_out) < 1e-6
        assert novelty(train[::-1], train, held_out) == 0.0

    def test_true_samples_are(self):
        train, held_out, new = TRUE
        assert abs(novelty(new, train, held_out) - 1) < 0.15

    def test_known_distances(self):
        assert novelty([[1.0], [8.0]], [[0.0], [10.0]], [[4.0], [13.0]]) == pytest.approx(1.5 / 3.5)


class TestBadInput:
    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: modes([[0.0]], [[0.0, 1.0]], 1.0), "of one shape"),
            (lambda: modes([[0.0]], [[0.0]], 0.0), "sd should"),
            (lambda: modes([[np.nan]], [[0.0]], 1.0), "finite"),
            (lambda: modes(np.empty((0, 2)), [[0.0, 1.0]], 1.0), "a sample at least"),
            (lambda: ratio(TRUE[0], TRUE[1], TRUE[2][:9]), r"as many.*200.*got 9\. Pass samples\[:9\]"),
            (lambda: ratio(TRUE[0], TRUE[1], TRUE[1]), "the same samples"),
            (lambda: ratio(TRUE[0][:, :2], TRUE[1], TRUE[2]), "of one shape"),
            (lambda: sd_ratio(TRUE[0], np.ones((3, 4))), "two different"),
            (lambda: novelty(TRUE[0], TRUE[1], TRUE[1]), "not in train"),
            (lambda: novelty(3.0, TRUE[1], TRUE[1]), "first axis"),
        ],
    )
    def test_says_what_to_do(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()
