"""The sliced Wasserstein distance: known answers, derivatives, batches, and what holds for any clouds."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gamma
from stopping import from_core, needs_alarm, ticking

import monge
from monge.exact import _sliced

powers = pytest.mark.parametrize("p", [1, 1.5, 2, 3])
dimensions = pytest.mark.parametrize("d", [1, 2, 3, 10])


def clouds(n, m, d, seed=0, weighted=True):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, d)), 1.5 * rng.normal(size=(m, d)) + 0.3
    if not weighted:
        return x, y, None, None
    a, b = rng.random(n) + 0.1, rng.random(m) + 0.1
    return x, y, a / a.sum(), b / b.sum()


class TestKnownAnswers:
    @pytest.mark.parametrize("d", [1, 2, 3, 5, 10])
    def test_a_shift(self, d):
        # For p = 2 the mean of <t, theta>^2, which equal angles and whole orthogonal blocks have exactly.
        x, _, a, _ = clouds(40, 1, d)
        t = np.arange(1.0, d + 1.0)
        loss = monge.sliced_wasserstein(x, x + t, a, a, n_projections=20 * d, rng=0)
        exact = np.linalg.norm(t) / d**0.5
        assert loss == pytest.approx(exact, rel=1e-12 if d != 3 else 3e-3)
        close = {"rtol": 0, "atol": 1e-12 if d != 3 else 3e-3}
        np.testing.assert_allclose(loss.grad_y, np.outer(a, t / (d * exact)), **close)
        np.testing.assert_allclose(loss.grad_x, -loss.grad_y, rtol=1e-12)

    @powers
    def test_a_shift_with_any_power(self, p):
        x, d = clouds(30, 1, 2)[0], 2
        mean = gamma(d / 2) * gamma((p + 1) / 2) / (np.pi**0.5 * gamma((d + p) / 2))  # of |<t, theta>|^p, |t| = 1
        loss = monge.sliced_wasserstein(x, x + np.array([3.0, 4.0]), p=p, n_projections=500, rng=0)
        assert loss == pytest.approx(5.0 * mean ** (1.0 / p), rel=1e-5)

    def test_isotropic_gaussians(self):
        # Between N(0, s^2 I) and N(0, t^2 I) it is |s - t|, along every direction.
        rng = np.random.default_rng(0)
        x = rng.normal(size=(20_000, 4))
        loss = monge.sliced_wasserstein(x, 3.0 * rng.permutation(x), n_projections=16, rng=0)
        assert loss == pytest.approx(2.0, rel=0.01)

    def test_a_point_in_space(self):
        # It goes from t to -t by 2 |<t, theta>|, and <t, theta> is even from -|t| to |t| (Archimedes).
        t = np.array([1.0, 2.0, 2.0])
        loss = monge.sliced_wasserstein([t], [-t], p=1, n_projections=2000, rng=0)
        assert loss == pytest.approx(3.0, rel=1e-4)

    @powers
    @pytest.mark.parametrize("weighted", [False, True])
    def test_the_line(self, p, weighted):
        x, y, a, b = clouds(37, 53, 1, weighted=weighted)
        loss = monge.sliced_wasserstein(x, y, a, b, p=p)
        assert loss == pytest.approx(monge.wasserstein_1d(x, y, a, b, p=p), rel=1e-14)
        assert monge.sliced_wasserstein(x[:, 0], y[:, 0], a, b, p=p) == loss
        assert loss.directions.shape == (1, 1)

    @powers
    @dimensions
    @pytest.mark.parametrize("weighted", [False, True])
    def test_every_direction(self, p, d, weighted):
        for n, m in ((40, 40), (31, 56), (1, 5), (1500, 1100)):
            x, y, a, b = clouds(n, m, d, weighted=weighted)
            loss = monge.sliced_wasserstein(x, y, a, b, p=p, n_projections=12, rng=0)
            each = [monge.wasserstein_1d(x @ theta, y @ theta, a, b, p=p) for theta in loss.directions]
            np.testing.assert_allclose(loss.distances, each, rtol=1e-12)
            assert loss == pytest.approx(np.mean(np.power(each, p)) ** (1.0 / p), rel=1e-12)

    @powers
    def test_pot(self, p):
        ot = pytest.importorskip("ot", reason="POT is a peer, not a dependency")
        x, y, a, b = clouds(60, 45, 5)
        loss = monge.sliced_wasserstein(x, y, a, b, p=p, rng=0)
        theirs = ot.sliced_wasserstein_distance(x, y, a, b, p=p, projections=loss.directions.T.copy())
        assert loss == pytest.approx(float(theirs), rel=1e-10)


class TestWhatHoldsForAll:
    @dimensions
    def test_nothing_moves(self, d):
        x, _, a, _ = clouds(200, 1, d)
        order = np.random.default_rng(1).permutation(200)
        loss = monge.sliced_wasserstein(x, x[order], a, a[order], rng=0)
        assert loss == 0.0
        for grad, shape in ((loss.grad_x, (200, d)), (loss.grad_y, (200, d)), (loss.grad_a, 200), (loss.grad_b, 200)):
            np.testing.assert_array_equal(grad, np.zeros(shape))

    @powers
    def test_order_does_not_matter(self, p):
        x, y, a, b = clouds(90, 70, 3)
        rng = np.random.default_rng(2)
        i, j = rng.permutation(90), rng.permutation(70)
        one, other = (monge.sliced_wasserstein(*c, p=p, rng=0) for c in ((x, y, a, b), (x[i], y[j], a[i], b[j])))
        assert other == pytest.approx(one, rel=1e-14)
        np.testing.assert_allclose(other.grad_x, one.grad_x[i], atol=1e-14)
        np.testing.assert_allclose(other.grad_b, one.grad_b[j], atol=1e-13)

    @powers
    def test_sides_change_places(self, p):
        x, y, a, b = clouds(30, 50, 4)
        one, other = monge.sliced_wasserstein(x, y, a, b, p=p, rng=0), monge.sliced_wasserstein(y, x, b, a, p=p, rng=0)
        assert other == pytest.approx(one, rel=1e-14)
        np.testing.assert_allclose(other.grad_y, one.grad_x, atol=1e-14)
        np.testing.assert_allclose(other.grad_b, one.grad_a, atol=1e-13)

    @powers
    def test_weights_are_repetition(self, p):
        x, y, _, _ = clouds(12, 9, 3)
        times = np.array([1, 2, 3] * 4)
        many = monge.sliced_wasserstein(np.repeat(x, times, axis=0), y, p=p, rng=0)
        few = monge.sliced_wasserstein(x, y, times, None, p=p, rng=0)
        assert few == pytest.approx(many, rel=1e-13)
        sums = np.add.reduceat(many.grad_x, np.cumsum(times) - times)
        np.testing.assert_allclose(few.grad_x, sums, atol=1e-14)
        np.testing.assert_allclose(few.grad_y, many.grad_y, atol=1e-14)

    def test_weights_are_normalised(self):
        x, y, a, b = clouds(20, 30, 2)
        one, other = (monge.sliced_wasserstein(x, y, s * a, s * b, rng=0) for s in (1.0, 8.0))
        assert one == pytest.approx(other, rel=1e-14)
        np.testing.assert_allclose(one.grad_a, 8.0 * other.grad_a, rtol=1e-9)

    def test_points_without_weight(self):
        x, y, a, b = clouds(20, 30, 3)
        far = np.full((1, 3), 7.0)
        more = monge.sliced_wasserstein(np.concatenate([far, x]), y, np.append(0.0, a), b, rng=0)
        less = monge.sliced_wasserstein(x, y, a, b, rng=0)
        assert more == pytest.approx(less, rel=1e-13)
        np.testing.assert_array_equal(more.grad_x[0], np.zeros(3))
        np.testing.assert_allclose(more.grad_x[1:], less.grad_x, atol=1e-13)

    @settings(max_examples=40, deadline=None)
    @given(n=st.integers(1, 12), m=st.integers(1, 12), d=st.integers(1, 5), seed=st.integers(0, 10**6))
    def test_below_wasserstein(self, n, m, d, seed):
        rng = np.random.default_rng(seed)
        x, y = rng.integers(0, 5, (n, d)).astype(float), rng.integers(0, 5, (m, d)).astype(float)
        for p in (1, 2):
            full = monge.wasserstein(x, y, p=p)
            loss = monge.sliced_wasserstein(x, y, p=p, n_projections=4 * d, rng=seed)
            assert loss <= full * (1.0 + 1e-9) + 1e-12
            if p == 2 and d != 3:  # equal angles and whole orthogonal blocks have the mean of <v, theta>^2 exactly
                assert loss <= full / d**0.5 * (1.0 + 1e-9) + 1e-12

    @pytest.mark.parametrize("p", [1, 2, 3, 40, 1000, 1e300])
    @pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e300])
    def test_any_unit(self, p, scale):
        x, y, a, b = clouds(15, 20, 3)
        one, other = (
            monge.sliced_wasserstein(x, y, a, b, p=p, rng=0),
            monge.sliced_wasserstein(scale * x, scale * y, a, b, p=p, rng=0),
        )
        assert other / scale == pytest.approx(float(one), rel=1e-9)
        np.testing.assert_allclose(other.grad_x, one.grad_x, rtol=1e-6, atol=1e-12)

    def test_weights_in_the_largest_units(self):
        x, y, a, b = clouds(15, 20, 3)
        one, other = (monge.max_sliced_wasserstein(u * x, u * y, a, b, rng=0) for u in (1.0, 2.0**1020))
        np.testing.assert_allclose(other.grad_a / 2.0**1020, one.grad_a, rtol=1e-6)

    def test_high_powers_tend_to_the_largest_distance(self):
        x, y, _, _ = clouds(15, 20, 3)
        largest = max(
            monge.wasserstein_1d(x @ t, y @ t, p=1e18) for t in monge.sliced_wasserstein(x, y, rng=0).directions
        )
        assert monge.sliced_wasserstein(x, y, p=1e18, rng=0) == pytest.approx(largest, rel=1e-12)

    def test_far_from_the_origin(self):
        x, y, a, b = clouds(50, 40, 3)
        x, y = x.round(3), y.round(3)
        near = monge.sliced_wasserstein(x, y, a, b, rng=0)
        shift = np.array([1e8, -1e9, 0.0])
        x, y = x + shift, y + shift
        far = monge.sliced_wasserstein(x, y, a, b, rng=0)
        assert far == pytest.approx(monge.sliced_wasserstein(x - shift, y - shift, a, b, rng=0), rel=1e-13)
        assert far == pytest.approx(near, rel=1e-6)

    def test_a_coordinate_that_dwarfs_the_others(self):
        x, y = np.array([[1e10, 0.0], [1e10, 1e-305]]), np.array([[1e10, 1e-305], [1e10, 3e-305]])
        assert monge.sliced_wasserstein(x, y, p=1, n_projections=1000, rng=0) == pytest.approx(
            1.5e-305 * 2 / np.pi, rel=1e-3
        )


class TestDerivatives:
    @powers
    @dimensions
    @pytest.mark.parametrize(("n", "m"), [(25, 40), (30, 30)])
    def test_points(self, p, d, n, m):
        x, y, a, b = clouds(n, m, d, seed=d)
        for weights in ((a, b), (None, None)):
            self.check_points(x, y, *weights, p, d)

    def check_points(self, x, y, a, b, p, d):
        rng = np.random.default_rng(9)
        u, v = rng.normal(size=x.shape), rng.normal(size=y.shape)
        loss = monge.sliced_wasserstein(x, y, a, b, p=p, n_projections=20, rng=0)
        assert loss.grad_x.shape == x.shape
        assert loss.grad_y.dtype == np.float64
        h = 1e-7
        ahead, back = (
            monge.sliced_wasserstein(x + s * u, y + s * v, a, b, p=p, n_projections=20, rng=0) for s in (h, -h)
        )
        slope = float((loss.grad_x * u).sum() + (loss.grad_y * v).sum())
        assert (ahead - back) / (2.0 * h) == pytest.approx(slope, rel=1e-6, abs=1e-6)

    @powers
    @dimensions
    def test_weights(self, p, d):
        for n, m in ((25, 40), (30, 30)):
            x, y, a, b = clouds(n, m, d, seed=d)
            rng = np.random.default_rng(9)
            u, v = rng.normal(size=n), rng.normal(size=m)
            u, v = u - u.mean(), v - v.mean()  # totals stay equal
            loss = monge.sliced_wasserstein(x, y, 3.0 * a, 3.0 * b, p=p, n_projections=20, rng=0)
            h = 1e-7
            ahead, back = (
                monge.sliced_wasserstein(x, y, 3.0 * a + s * u, 3.0 * b + s * v, p=p, n_projections=20, rng=0)
                for s in (h, -h)
            )
            assert (ahead - back) / (2.0 * h) == pytest.approx(loss.grad_a @ u + loss.grad_b @ v, rel=1e-5, abs=1e-7)
            # Both totals may change as well, if they do so together.
            assert loss.grad_a @ a == pytest.approx(0.0, abs=1e-13)
            assert loss.grad_b @ b == pytest.approx(0.0, abs=1e-13)

    def test_weights_where_points_are_matched(self):
        # Uniform weights of as many points: a kink, where the derivative is the mean of those on both sides.
        x, y, _, _ = clouds(12, 12, 2, weighted=False)
        w, u = np.full(12, 1.0 / 12.0), np.random.default_rng(1).normal(size=12)
        u -= u.mean()
        loss, h = monge.sliced_wasserstein(x, y, w, w, rng=0), 1e-7
        ahead, back = (monge.sliced_wasserstein(x, y, w + s * u, w, rng=0) for s in (h, -h))
        assert (ahead - back) / (2.0 * h) == pytest.approx(loss.grad_a @ u, rel=1e-5)
        np.testing.assert_allclose(monge.sliced_wasserstein(x, y, rng=0).grad_a, loss.grad_a, rtol=1e-9, atol=1e-12)

    def test_descent_brings_clouds_together(self):
        x, y, _, _ = clouds(60, 60, 3)
        start = monge.sliced_wasserstein(x, y, rng=0)
        for step in range(60):
            loss = monge.sliced_wasserstein(x, y, rng=step)
            x = x - 3 * 60 * float(loss) * loss.grad_x  # on the line, without the 3, this would end at once
        assert monge.sliced_wasserstein(x, y, rng=0) < 0.1 * start


class TestBatches:
    @pytest.mark.parametrize("threads", [1, 2, 3])
    def test_as_one_by_one(self, threads):
        rng = np.random.default_rng(0)
        x, y, a = rng.normal(size=(5, 20, 3)), rng.normal(size=(5, 30, 3)), rng.random((5, 20))
        a /= a.sum(axis=1, keepdims=True)
        together = monge.sliced_wasserstein(x, y, a, rng=7, threads=threads)
        for k, loss in enumerate(together):
            alone = monge.sliced_wasserstein(x[k], y[k], a[k], rng=7)
            assert loss == alone
            np.testing.assert_array_equal(loss.grad_x, alone.grad_x)
            np.testing.assert_array_equal(loss.grad_a, alone.grad_a)

    def test_lists_of_any_sizes(self):
        some = [clouds(n, m, d, seed=n) for n, m, d in ((5, 6, 2), (1, 9, 1), (30, 20, 3), (4, 4, 2))]
        x, y, a, b = (list(each) for each in zip(*some, strict=True))
        a[2] = None
        losses = monge.sliced_wasserstein(x, y, a, b, p=1, rng=3)
        assert losses == [monge.sliced_wasserstein(*c, p=1, rng=3) for c in zip(x, y, a, b, strict=True)]

    def test_one_cloud_for_all(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(3, 10, 2)), rng.normal(size=(15, 2))
        assert monge.sliced_wasserstein(x, y, rng=1) == [monge.sliced_wasserstein(each, y, rng=1) for each in x]
        assert monge.sliced_wasserstein(y, x, rng=1) == [monge.sliced_wasserstein(y, each, rng=1) for each in x]

    def test_fresh_directions_are_shared(self):
        x = np.random.default_rng(0).normal(size=(6, 10, 4))
        losses = monge.sliced_wasserstein(x, -x)
        for loss in losses:
            np.testing.assert_array_equal(loss.directions, losses[0].directions)

    def test_errors_name_the_pair(self):
        x = np.zeros((3, 4, 2))
        y = x.copy()
        y[2, 1, 0] = np.nan
        with pytest.raises(ValueError, match=r"pair 2: y should hold finite coordinates; y\[1, 0\] = nan"):
            monge.sliced_wasserstein(x, y)
        with pytest.raises(ValueError, match=r"batches of as many clouds, .* got \[3, 2\]"):
            monge.sliced_wasserstein(x, x[:2])
        with pytest.raises(ValueError, match="at least one"):
            monge.sliced_wasserstein([], [])
        with pytest.raises(ValueError, match="one vector of weights for each of the 3 problems"):
            monge.sliced_wasserstein(x, x, np.ones((2, 4)))


class TestPromises:
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize(("n", "m"), [(3000, 3000), (2000, 3100)])
    def test_same_bits_for_any_number_of_threads(self, n, m, weighted):
        x, y, a, b = clouds(n, m, 5, weighted=weighted)
        first, *others = (
            monge.sliced_wasserstein(x, y, a, b, p=1.5, rng=0, threads=threads) for threads in (1, 2, 3, 7)
        )
        for loss in others:
            assert loss == first
            for name in ("grad_x", "grad_y", "grad_a", "grad_b", "distances"):
                np.testing.assert_array_equal(getattr(loss, name), getattr(first, name))

    def test_the_seed_decides(self):
        x, y, _, _ = clouds(30, 40, 4)
        first, again = monge.sliced_wasserstein(x, y, rng=5), monge.sliced_wasserstein(x, y, rng=5)
        assert first == again
        assert monge.sliced_wasserstein(x, y, rng=np.random.default_rng(5)) == first
        assert monge.sliced_wasserstein(x, y, rng=6) != first
        assert monge.sliced_wasserstein(x, y) != monge.sliced_wasserstein(x, y)
        generator = np.random.default_rng(5)
        assert monge.sliced_wasserstein(x, y, rng=generator) != monge.sliced_wasserstein(x, y, rng=generator)

    def test_pickles(self):
        x, y, a, b = clouds(10, 12, 3)
        loss = monge.sliced_wasserstein(x, y, a, b, rng=0)
        copy = pickle.loads(pickle.dumps(loss))
        assert copy == loss
        np.testing.assert_array_equal(copy.grad_x, loss.grad_x)
        np.testing.assert_array_equal(copy.directions, loss.directions)

    def test_arrays_may_change_after_the_call(self):
        x, y, a, b = clouds(10, 12, 3)
        loss, before = monge.sliced_wasserstein(x, y, a, b, rng=0), monge.sliced_wasserstein(x, y, a, b, rng=0).grad_x
        x += 1.0
        a *= 2.0
        np.testing.assert_array_equal(loss.grad_x, before)

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, ">f8", np.int64, bool])
    def test_types(self, dtype):
        rng = np.random.default_rng(0)
        x, y = rng.integers(0, 2, (8, 3)), rng.integers(0, 2, (9, 3))
        loss = monge.sliced_wasserstein(x.astype(dtype)[::-1], np.asfortranarray(y.astype(dtype)), rng=0)
        assert loss == pytest.approx(monge.sliced_wasserstein(x.astype(float), y.astype(float), rng=0), rel=1e-14)

    @needs_alarm
    @pytest.mark.parametrize("threads", [1, 3])
    def test_ctrl_c(self, threads):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(100_000, 5)), rng.normal(size=(100_000, 5))

        def arrived(k):
            if k == 1:
                raise KeyboardInterrupt

        for count in (200, 800, 3200):
            try:
                with ticking(_sliced, "sums", arrived):
                    monge.sliced_wasserstein(x, y, n_projections=count, rng=0, threads=threads)
            except KeyboardInterrupt as error:
                if from_core(error):
                    break
        else:
            pytest.fail("the core never let the signal in")
        assert monge.sliced_wasserstein([[0.0, 0.0]], [[0.0, 0.0]]) == 0.0


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "options", "error", "text"),
        [
            (([[0.0, 1.0]], [[0.0]]), {}, ValueError, r"the same dimension; got shapes \(1, 2\) and \(1, 1\)"),
            (([[0.0, np.inf]], [[0.0, 1.0]]), {}, ValueError, r"x should hold finite coordinates"),
            ((np.empty((0, 2)), [[0.0, 1.0]]), {}, ValueError, "at least one point"),
            (([[0.0]], [[0.0]], [-1.0], [1.0]), {}, ValueError, "not negative"),
            (([[0.0]], [[0.0]], [1.0], [2.0]), {}, ValueError, "the same total mass"),
            (([[0.0]], [[0.0]], [0.5, 0.5]), {}, ValueError, r"a should have shape \(1,\)"),
            (([["a"]], [[0.0]]), {}, TypeError, "real numbers"),
            (([[0.0]], [[0.0]]), {"p": 0.5}, ValueError, "p should be a finite number >= 1; got 0.5"),
            (([[0.0]], [[0.0]]), {"n_projections": 0}, ValueError, "n_projections should be a positive integer; got 0"),
            (([[0.0]], [[0.0]]), {"n_projections": 2.0}, ValueError, "positive integer; got 2.0"),
            (([[0.0]], [[0.0]]), {"rng": "x"}, TypeError, "rng should be"),
            (([[0.0]], [[0.0]]), {"threads": 0}, ValueError, "threads should be"),
            (([[-1.7e308]], [[1.7e308]]), {}, ValueError, "finite box"),
        ],
    )
    def test_says_what_is_wrong(self, arguments, options, error, text):
        with pytest.raises(error, match=text):
            monge.sliced_wasserstein(*arguments, **options)

    def test_memory_is_asked_for(self, monkeypatch):
        monkeypatch.setattr("monge.problem.arrays.available_memory", lambda: 1000)
        monkeypatch.setattr("monge.distances.slices._MANY", 100)
        with pytest.raises(MemoryError, match="slices of 200 points"):
            monge.sliced_wasserstein(np.zeros((100, 2)), np.ones((100, 2)))
