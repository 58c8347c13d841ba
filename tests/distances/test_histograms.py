"""KL, JS and TV of histograms: known answers, inequalities between them, derivatives, batches and bad input."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import rel_entr
from slopes import numeric

import monge

ALL = [monge.kl, monge.js, monge.tv]
LOG2 = np.log(2.0)

every = pytest.mark.parametrize("distance", ALL, ids=["kl", "js", "tv"])


def drawn(seed, n, total=1.0):
    p = np.random.default_rng(seed).random(n) + 0.01
    return p * (total / p.sum())


class TestKnownAnswers:
    def test_two_places(self):
        p, q = np.array([0.5, 0.5]), np.array([0.25, 0.75])
        m = (p + q) / 2
        assert monge.kl(p, q) == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3), rel=1e-14)
        assert monge.js(p, q) == pytest.approx(rel_entr(p, m).sum() / 2 + rel_entr(q, m).sum() / 2, rel=1e-14)
        assert monge.tv(p, q) == 0.25

    def test_disjoint(self):
        for p, q in (([1, 0, 0], [0, 0, 1]), ([1, 1, 0, 0], [0, 0, 1, 1]), ([0.3, 0.7, 0.0], [0, 0, 1])):
            assert monge.kl(p, q) == np.inf
            assert monge.js(p, q) == LOG2
            assert monge.tv(p, q) == 1.0

    def test_kl_counts_no_empty_place_of_p(self):
        assert monge.kl([1.0, 0.0], [0.5, 0.5]) == pytest.approx(LOG2, rel=1e-15)
        assert monge.kl([0.5, 0.5], [1.0, 0.0]) == np.inf

    @every
    def test_identity(self, distance):
        for p in (drawn(0, 7), np.array([0.0, 1.0, 3.0]), np.full(1000, 0.1)):
            loss = distance(p, p)
            assert loss == 0.0
            some = p > 0
            np.testing.assert_allclose(loss.grad_a[some], 0.0, atol=1e-15)
            np.testing.assert_allclose(loss.grad_b[some], 0.0, atol=1e-15)

    @every
    def test_totals_do_not_matter(self, distance):
        p, q = drawn(1, 6), drawn(2, 6)
        one, many = distance(p, q), distance(8 * p, 8 * q)
        assert many == pytest.approx(one, rel=1e-14)
        np.testing.assert_allclose(8 * many.grad_a, one.grad_a, rtol=1e-12)

    def test_tv_is_the_largest_difference_of_a_probability(self):
        p, q = drawn(3, 8), drawn(4, 8)
        subsets = [np.array([(code >> k) & 1 for k in range(8)], bool) for code in range(256)]
        assert monge.tv(p, q) == pytest.approx(max(abs(p[A].sum() - q[A].sum()) for A in subsets), rel=1e-14)

    def test_small_differences_keep_their_digits(self):
        # To second order KL is sum (p - q)^2 / (2 q), and JS a quarter of it.
        p = np.array([0.25, 0.75])
        for t in (1e-4, 1e-7, 1e-10):
            q = p + np.array([t, -t])
            expected = ((p - q) ** 2 / (2.0 * p)).sum()
            assert monge.kl(p, q) == pytest.approx(expected, rel=3 * t + 1e-5, abs=0)
            assert monge.js(p, q) == pytest.approx(expected / 4.0, rel=3 * t + 1e-5, abs=0)


masses = arrays(np.float64, 5, elements=st.floats(0.0, 1.0)).filter(lambda p: p.sum() > 1e-3)


class TestInequalities:
    @settings(deadline=None, max_examples=60)
    @given(masses, masses)
    def test_bounds(self, p, q):
        p, q = p / p.sum(), q / q.sum()
        kl, js, tv = (float(distance(p, q)) for distance in ALL)
        rounding = 1e-12
        assert kl >= 2.0 * tv**2 - rounding  # Pinsker
        assert tv**2 / 2.0 - rounding <= js <= LOG2 * tv + rounding  # Lin 1991, Theorem 3
        assert 0.0 <= tv <= 1.0
        assert js <= LOG2
        assert float(monge.js(q, p)) == pytest.approx(js, abs=rounding)
        assert float(monge.tv(q, p)) == pytest.approx(tv, abs=rounding)


class TestDerivatives:
    @every
    def test_finite_differences(self, distance):
        p, q = drawn(5, 6, 3.0), drawn(6, 6, 3.0)
        loss = distance(p, q)
        for found, expected in zip((loss.grad_a, loss.grad_b), numeric(distance, p, q, normalised=(0, 1)), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-8)
        assert loss.grad_a @ p == pytest.approx(0.0, abs=1e-14)
        assert loss.grad_b @ q == pytest.approx(0.0, abs=1e-14)

    def test_empty_places(self):
        loss = monge.kl([0.5, 0.5, 0.0], [0.25, 0.5, 0.25])
        assert loss.grad_a[2] == -np.inf
        assert np.isfinite(loss.grad_a[:2]).all()
        # Mass on a place that p leaves empty is taken from the others: to first order it costs what it weighs.
        assert loss.grad_b[2] == 1.0
        assert monge.js([0.5, 0.5, 0.0], [0.25, 0.5, 0.25]).grad_a[2] == -np.inf
        step = 1e-9
        more = monge.js([0.5 - step, 0.5, step], [0.25, 0.75, 0.0])
        assert more - monge.js([0.5, 0.5, 0.0], [0.25, 0.75, 0.0]) == pytest.approx(
            step * (monge.js([0.5, 0.5, 0.0], [0.25, 0.75, 0.0]).grad_a @ [-1, 0, 1]), rel=1e-5
        )

    def test_an_infinite_one_has_none(self):
        with pytest.raises(TypeError, match=r"infinite here.*monge\.js"):
            monge.kl([1.0, 1.0], [2.0, 0.0]).grad_a  # noqa: B018

    @every
    def test_there_are_no_points(self, distance):
        with pytest.raises(TypeError, match="no derivative with respect to points"):
            distance([1.0], [1.0]).grad_x  # noqa: B018

    @every
    def test_later_changes_of_the_input_do_not_matter(self, distance):
        p, q = drawn(7, 4), drawn(8, 4)
        expected = distance(p, q).grad_a
        loss = distance(p, q)
        p[:] = q
        np.testing.assert_array_equal(loss.grad_a, expected)

    @every
    def test_pickle(self, distance):
        loss = distance(drawn(7, 4), drawn(8, 4))
        again = pickle.loads(pickle.dumps(loss))
        assert again == loss
        np.testing.assert_array_equal(again.grad_b, loss.grad_b)


class TestBatches:
    @every
    def test_rows(self, distance):
        p, q = (np.stack([drawn(10 * k + s, 5) for s in range(6)]) for k in (1, 2))
        rows = distance(p, q)
        assert rows == [distance(*pair) for pair in zip(p, q, strict=True)]
        np.testing.assert_array_equal(rows[3].grad_a, distance(p[3], q[3]).grad_a)
        assert distance(p, q[0]) == [distance(row, q[0]) for row in p]
        nested = distance(p.reshape(2, 3, 5), q.reshape(2, 3, 5))
        assert np.asarray(nested).shape == (2, 3)
        np.testing.assert_array_equal(np.asarray(nested).ravel(), rows)

    def test_lists_and_types(self):
        assert monge.tv([1, 1], [True, True]) == 0.0
        assert monge.tv(np.array([1, 3], np.float32), np.array([3, 1], ">f4")) == 0.5


@every
@pytest.mark.parametrize(
    ("p", "q", "text"),
    [
        ([1.0, -1.0], [0.5, 0.5], r"p should hold finite masses .* p\[1\] = -1\.0"),
        ([0.5, 0.5], [np.nan, 0.5], r"q\[0\] = nan"),
        ([0.5, 0.5], [np.inf, 0.5], r"q\[0\] = inf"),
        ([0.0, 0.0], [0.5, 0.5], r"p should have a total between"),
        ([0.5, 0.5], [1.0, 1.0], r"same total; the totals are 1\.0 and 2\.0.*Normalise"),
        ([[1.0, 1.0], [1.0, 2.0]], [1.0, 1.0], r"totals of pair 1 are 3\.0 and 2\.0"),
        ([[1.0, 1.0], [1.0, -1.0]], [1.0, 1.0], r"p\[1, 1\] = -1\.0"),
        ([0.5, 0.5], [0.2, 0.3, 0.5], r"same places; got 2 and 3"),
        ([[1.0, 1.0]] * 2, [[1.0, 1.0]] * 3, r"shapes \(2, 2\) and \(3, 2\)"),
        ([], [], r"at least one place"),
        (1.0, 1.0, r"got shape \(\)"),
    ],
)
def test_bad_input(distance, p, q, text):
    with pytest.raises(ValueError, match=text):
        distance(p, q)


@every
def test_bad_types(distance):
    with pytest.raises(TypeError, match="p should be a histogram"):
        distance(["a"], [1.0])
