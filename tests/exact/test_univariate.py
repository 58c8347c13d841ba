"""Transport on the line and on the circle: known answers, the simplex, SciPy and POT, symmetries, bad inputs."""

from __future__ import annotations

import os
import signal
import threading
import time

import hypothesis.extra.numpy as hnp
import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

import monge
from monge.exact import _univariate

POWERS = [1, 1.5, 2, 3]
PERIODS = [None, 5.0, 1.7]


def distances(x, y, period):
    d = np.abs(np.subtract.outer(x, y)) if period is None else np.abs(np.subtract.outer(x % period, y % period))
    return d if period is None else np.minimum(d, period - d)


def check(t, C, a, b, tol=1e-12):
    """Marginals, feasibility on all pairs and the gap, which together prove that t is optimal."""
    (n, m), scale = C.shape, max(C.max(), 1e-300)
    P = t.plan.toarray()
    total = P.sum()
    a, b = (np.full(k, total / k) if w is None else np.asarray(w, float) for k, w in ((n, a), (m, b)))
    assert t.status is monge.Status.OPTIMAL
    assert t.iterations == 0
    assert t.plan.nnz <= n + m - 1
    assert (t.plan.data > 0).all()
    np.testing.assert_allclose(P.sum(1), a, rtol=1e-13, atol=1e-15 * total)
    np.testing.assert_allclose(P.sum(0), b, rtol=1e-13, atol=1e-15 * total)
    assert (t.f[:, None] + t.g - C).max() <= tol * scale
    assert 0 <= t.gap <= tol * scale * total
    assert abs((P * C).sum() - t.value) <= tol * scale * total
    assert abs(a @ t.f + b @ t.g - t.value) <= tol * scale * total


def instance(rng):
    """Points and weights of all the kinds that make ties: equal points, equal masses, whole numbers, zeros."""
    n, m = rng.integers(1, 10, 2)
    x, y = (
        (rng.normal(size=n), rng.normal(size=m)),
        (rng.integers(0, 5, n) * 1.0, rng.integers(0, 5, m) * 1.0),
        (rng.random(n) * 10 - 5, rng.random(m)),
        (rng.integers(0, 3, n) * 2.5, rng.normal(size=m)),
    )[rng.integers(4)]
    kind = rng.integers(3)
    if kind == 0:
        return x, y, None, None
    if kind == 1:
        a, b = rng.random(n), rng.random(m)
        return x, y, a / a.sum(), b / b.sum()
    return x, y, *(np.bincount(rng.integers(0, k, 6), minlength=k) for k in (n, m))


class TestAgainstTheSimplex:
    @pytest.mark.parametrize("p", POWERS)
    @pytest.mark.parametrize("period", PERIODS)
    def test_random(self, p, period):
        rng = np.random.default_rng(int(10 * p) + (0 if period is None else int(100 * period)))
        for _ in range(150):
            x, y, a, b = instance(rng)
            C = distances(x, y, period) ** p
            t = monge.emd_1d(x, y, a, b, p=p, period=period)
            check(t, C, a, b)
            expected = monge.emd(C, a, b).value
            assert t.value == pytest.approx(expected, rel=1e-12, abs=1e-13)
            w = monge.wasserstein_1d(x, y, a, b, p=p, period=period)
            assert w == pytest.approx((t.value / t.plan.sum()) ** (1 / p), rel=1e-12, abs=1e-13)

    @pytest.mark.parametrize("p", POWERS)
    @pytest.mark.parametrize("period", [None, 2.0])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_larger(self, p, period, weighted):
        rng = np.random.default_rng(1)
        x, y = rng.normal(size=1500), rng.exponential(size=1100)
        a, b = (w / w.sum() for w in (rng.random(1500), rng.random(1100))) if weighted else (None, None)
        check(monge.emd_1d(x, y, a, b, p=p, period=period), distances(x, y, period) ** p, a, b)


class TestAgainstPeers:
    def test_scipy(self):
        rng = np.random.default_rng(2)
        x, y = rng.normal(size=30_000), rng.normal(size=20_000) ** 3
        a, b = rng.random(30_000), rng.random(20_000)
        assert monge.wasserstein_1d(x, y) == pytest.approx(wasserstein_distance(x, y), rel=1e-11)
        expected = wasserstein_distance(x, y, a, b)
        assert monge.wasserstein_1d(x, y, a / a.sum(), b / b.sum()) == pytest.approx(expected, rel=1e-11)

    @pytest.mark.parametrize("p", POWERS)
    def test_pot(self, p):
        rng = np.random.default_rng(3)
        x, y, a, b = rng.normal(size=5000), rng.random(4000), rng.random(5000), rng.random(4000)
        a, b = a / a.sum(), b / b.sum()
        expected = float(ot.wasserstein_1d(x, y, a, b, p=p)) ** (1 / p)
        assert monge.wasserstein_1d(x, y, a, b, p=p) == pytest.approx(expected, rel=1e-10)

    @pytest.mark.parametrize("p", [1, 2])
    def test_pot_on_the_circle(self, p):
        rng = np.random.default_rng(4)
        x, y = rng.random(300), rng.beta(2, 5, size=300)
        expected = float(ot.wasserstein_circle(x, y, p=p)[0]) ** (1 / p)
        assert monge.wasserstein_1d(x, y, p=p, period=1.0) == pytest.approx(expected, rel=1e-6)


class TestKnownAnswers:
    @pytest.mark.parametrize("p", [*POWERS, 40])
    def test_translation(self, p):
        x = np.random.default_rng(5).normal(size=2000)
        assert monge.wasserstein_1d(x, x[::-1] + 2.5, p=p) == pytest.approx(2.5, rel=1e-12)
        assert monge.wasserstein_1d(x, x[::-1] + 2.5, p=p, period=100.0) == pytest.approx(2.5, rel=1e-12)

    def test_diracs(self):
        t = monge.emd_1d([1.0], [4.0], [2.0], [2.0], p=2)
        assert (t.value, t.gap) == (18.0, 0.0)
        assert t.plan.toarray().tolist() == [[2.0]]
        assert monge.wasserstein_1d([1.0], [4.0], [2.0], [2.0], p=2) == 3.0
        assert monge.emd_1d([0.1], [4.9], period=5.0).value == pytest.approx(0.2)

    def test_to_one_point(self):
        t = monge.emd_1d([0.0, 1.0, 5.0], [2.0])
        assert t.value == pytest.approx((2 + 1 + 3) / 3)
        assert t.plan.nnz == 3

    def test_permutation_costs_nothing(self):
        x = np.random.default_rng(6).normal(size=3000)
        for period in (None, 4.0):
            t = monge.emd_1d(x, np.roll(x, 77), p=2, period=period)
            assert t.value == 0.0
            assert t.plan.nnz == 3000

    def test_the_plan_of_equal_sizes_is_a_permutation(self):
        rng = np.random.default_rng(7)
        for period in (None, 1.0):
            plan = monge.emd_1d(rng.random(500), rng.random(500), p=2, period=period).plan
            assert sorted(plan.row) == sorted(plan.col) == list(range(500))
            assert set(plan.data) == {1 / 500}

    def test_equal_points(self):
        assert monge.emd_1d(np.zeros(5), np.ones(7), p=3).value == pytest.approx(1.0)
        assert monge.emd_1d(np.zeros(5), np.zeros(7)).value == 0.0

    def test_points_without_mass_move_nothing_but_have_potentials(self):
        x, y = np.array([-100.0, 0.0, 50.0, 1.0, 99.0]), np.array([77.0, 0.5, -3.0])
        a, b = np.array([0, 1, 0, 1, 0.0]), np.array([0, 2, 0.0])
        for period in (None, 30.0):
            t = monge.emd_1d(x, y, a, b, p=2, period=period)
            assert t.value == pytest.approx(0.5)
            check(t, distances(x, y, period) ** 2, a, b)

    def test_decimal_weights_leave_no_dust(self):
        t = monge.emd_1d([0, 1, 2], [0, 1], [0.1, 0.2, 0.7], [0.3, 0.7])
        assert t.plan.nnz == 3

    def test_masses_of_very_different_sizes(self):
        t = monge.emd_1d([0, 1], [0, 1], [1e-12, 1], [1, 1e-12])
        assert t.value == pytest.approx(1.0, rel=1e-11)
        check(t, distances([0, 1], [0, 1], None), [1e-12, 1], [1, 1e-12])

    @pytest.mark.parametrize("scale", [1e-300, 1e-160, 1.0, 1e150, 1e300])
    @pytest.mark.parametrize("p", [1, 2, 7.5])
    @pytest.mark.parametrize("period", [None, 4.0])
    def test_no_scale_over_or_underflows(self, scale, p, period):
        x, y = np.array([0.0, 1.0, 3.0]), np.array([3.5, 0.25])
        whole = monge.wasserstein_1d(x, y, p=p, period=period)
        scaled = monge.wasserstein_1d(x * scale, y * scale, p=p, period=None if period is None else period * scale)
        assert scaled / scale == pytest.approx(whole, rel=1e-12)

    @pytest.mark.parametrize("period", [None, 1.0])
    def test_a_high_power_of_a_small_shift(self, period):
        x = np.linspace(0.0, 0.5, 100)
        assert monge.wasserstein_1d(x, x + 1e-9, p=60, period=period) == pytest.approx(1e-9, rel=1e-6)

    def test_a_high_power_of_a_small_shift_behind_a_large_one(self):
        x = np.arange(100) / 100
        assert monge.wasserstein_1d(x, (x + 0.37 + 1e-9) % 1.0, p=60, period=1.0) == pytest.approx(1e-9, rel=1e-6)

    @pytest.mark.parametrize("p", POWERS)
    def test_tiny_distances_on_a_large_circle(self, p):
        assert monge.wasserstein_1d([1e-300], [3e-300], p=p, period=1.0) == pytest.approx(2e-300)

    def test_a_shift_between_far_and_close_points(self):
        # Neighbours that differ in the last bits only, far from zero: the sort must tell them apart.
        x = 1.0 + np.arange(5000) * 2.0**-52
        shuffled = np.random.default_rng(8).permutation(np.append(x, [-1e240, 1e240, 0.0, -0.0]))
        t = monge.emd_1d(shuffled, np.sort(shuffled))
        assert t.value == 0.0

    def test_half_a_turn_either_way(self):
        t = monge.emd_1d([0.0, 1.0], [0.5, 1.5], period=2.0)
        assert t.value == pytest.approx(0.5)
        check(t, distances(np.array([0.0, 1.0]), np.array([0.5, 1.5]), 2.0), None, None)

    def test_a_point_just_below_zero_is_on_the_circle(self):
        assert monge.wasserstein_1d([-1e-20], [0.0], period=1.0) == 0.0
        assert monge.wasserstein_1d([350.0], [-350.0 + 720.0], period=360.0) == 20.0


coordinates = hnp.arrays(float, st.integers(1, 12), elements=st.integers(-40, 40).map(lambda k: k / 8))
powers = st.sampled_from(POWERS)
periods = st.sampled_from([None, 4.0, 7.0])


class TestSymmetries:
    @given(x=coordinates, y=coordinates, p=powers, period=periods, shift=st.integers(-30, 30))
    @settings(deadline=None)
    def test_translation_rotation_reflection_scale_swap(self, x, y, p, period, shift):
        w = monge.wasserstein_1d(x, y, p=p, period=period)
        close = {"rel": 1e-9, "abs": 1e-9}
        assert monge.wasserstein_1d(x + shift, y + shift, p=p, period=period) == pytest.approx(w, **close)
        assert monge.wasserstein_1d(-x, -y, p=p, period=period) == pytest.approx(w, **close)
        assert monge.wasserstein_1d(y, x, p=p, period=period) == pytest.approx(w, **close)
        stretched = None if period is None else 3 * period
        assert monge.wasserstein_1d(3 * x, 3 * y, p=p, period=stretched) == pytest.approx(3 * w, **close)

    @given(x=coordinates, y=coordinates, p=powers, period=periods)
    @settings(deadline=None)
    def test_the_circle_is_no_longer_than_the_line_and_order_is_irrelevant(self, x, y, p, period):
        w = monge.wasserstein_1d(x, y, p=p, period=period)
        assert monge.wasserstein_1d(x[::-1], np.sort(y), p=p, period=period) == w
        assert w <= monge.wasserstein_1d(x, y, p=p) * (1 + 1e-9) + 1e-12

    def test_order_of_weights_follows_the_points(self):
        rng = np.random.default_rng(9)
        x, y, a, b = rng.normal(size=2000), rng.normal(size=2000), rng.integers(0, 9, 2000), rng.integers(0, 9, 2000)
        a[0] += max(0, b.sum() - a.sum())
        b[0] += max(0, a.sum() - b.sum())
        k = rng.permutation(2000)
        for period in (None, 1.0):
            w = monge.wasserstein_1d(x, y, a, b, p=2, period=period)
            assert monge.wasserstein_1d(x[k], y, a[k], b, p=2, period=period) == pytest.approx(w, rel=1e-12)


class TestInputs:
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, ">f8", np.int32, np.uint8, bool])
    def test_types(self, dtype):
        x, y = np.array([0, 1, 1]).astype(dtype), np.array([1, 1, 0]).astype(dtype)
        assert monge.wasserstein_1d(x, y) == 0.0
        assert monge.emd_1d(x, y[:2]).value == pytest.approx(1 / 3)

    def test_layouts_and_lists(self):
        x = np.arange(10.0)
        x.flags.writeable = False
        assert monge.wasserstein_1d(x[::3], x[::-3]) == 0.0
        assert monge.wasserstein_1d(x[:, None], list(x + 1)) == 1.0

    def test_inputs_are_not_modified(self):
        x, y, a = np.array([3.0, 1.0, 2.0]), np.array([9.0, -4.0, 5.0]), np.array([0.2, 0.3, 0.5])
        before = [v.copy() for v in (x, y, a)]
        for period in (None, 2.5):
            monge.emd_1d(x, y, a, a, period=period)
            monge.wasserstein_1d(x, y, a, a, period=period)
        for v, w in zip((x, y, a), before, strict=True):
            np.testing.assert_array_equal(v, w)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                (np.zeros((2, 2)), [0.0]),
                r"x should be points of shape \(n,\) or \(n, 1\); got shape \(2, 2\).*PointCloud",
            ),
            (([0.0], 1.0), r"y should be points of shape .* got shape \(\)"),
            (([], [0.0]), r"x should hold at least one point; got shape \(0,\)"),
            (([0.0], [0.0, np.nan]), r"y should hold finite coordinates; y\[1\] = .*nan"),
            (([np.inf], [0.0]), r"x should hold finite coordinates; x\[0\] = .*inf"),
            (([0.0], [1.0], [-1.0]), r"a should hold finite weights that are not negative; a\[0\]"),
            (([0.0], [1.0], [1.0, 2.0]), r"a should have shape \(1,\).*got \(2,\)"),
            (([0.0], [1.0], [1.0], [2.0]), "same total mass"),
            (([-1e308], [1e308]), "should span a finite range"),
        ],
    )
    @pytest.mark.parametrize("solver", [monge.emd_1d, monge.wasserstein_1d])
    def test_bad_values(self, solver, arguments, message):
        with pytest.raises(ValueError, match=message):
            solver(*arguments)

    @pytest.mark.parametrize("solver", [monge.emd_1d, monge.wasserstein_1d])
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"p": 0.5}, "p should be a finite number >= 1; got 0.5"),
            ({"p": np.inf}, "p should be a finite number >= 1; got inf"),
            ({"p": np.nan}, "p should be a finite number >= 1; got nan"),
            ({"period": 0.0}, "period should be a positive, finite circumference, or None for the line; got 0.0"),
            ({"period": -1}, "period should be .* got -1"),
            ({"period": np.inf}, "period should be .* got inf"),
            ({"threads": 0}, "threads should be a positive integer"),
        ],
    )
    def test_bad_options(self, solver, options, message):
        with pytest.raises(ValueError, match=message):
            solver([0.0, 1.0], [2.0], **options)

    def test_complex_points(self):
        with pytest.raises(TypeError, match=r"x should be points of shape .* real numbers"):
            monge.emd_1d([1j], [0.0])

    @pytest.mark.parametrize(("y", "p"), [(1e200, 2), (10.0, 400.0)])
    def test_a_cost_that_overflows(self, y, p):
        with pytest.raises(ValueError, match=r"distance\*\*p stays below 1e\+250; got differences up to"):
            monge.emd_1d([0.0], [y], p=p)
        assert monge.wasserstein_1d([0.0], [y], p=p) == pytest.approx(y)


def repeat(timer, call, seconds):
    """Until the timer stops it; at the latest when the seconds are over, which is a guard against hanging."""
    timer.start()
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        call()


class TestMachine:
    @pytest.mark.parametrize("period", [None, 3.0])
    def test_same_bits_for_any_number_of_threads(self, period):
        rng = np.random.default_rng(10)
        x, y, a = rng.normal(size=40_000), rng.normal(size=30_000), rng.random(40_000)
        b = np.full(30_000, a.sum() / 30_000)
        results = [monge.emd_1d(x, y, a, b, p=2, period=period, threads=threads) for threads in (1, 2, 3)]
        for t in results[1:]:
            assert (t.value, t.gap) == (results[0].value, results[0].gap)
            np.testing.assert_array_equal(t.f, results[0].f)
            np.testing.assert_array_equal(t.g, results[0].g)
            np.testing.assert_array_equal(t.plan.data, results[0].plan.data)

    @pytest.mark.parametrize("threads", [1, 2])
    def test_ctrl_c_ends_the_call(self, threads):
        # Whichever call the signal finds, and wherever in it, that call ends with the exception.
        rng = np.random.default_rng(11)
        x, y, a = rng.random(2_000_000), rng.random(2_000_000), rng.random(2_000_000)
        # In the background of a shell, SIGINT is ignored until a handler is set.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        timer = threading.Timer(0.15, os.kill, (os.getpid(), signal.SIGINT))
        try:
            with pytest.raises(KeyboardInterrupt):
                repeat(timer, lambda: monge.emd_1d(x, y, a, a[::-1], p=1.5, period=1.0, threads=threads), 60.0)
        finally:
            timer.join()
            signal.signal(signal.SIGINT, before)


class TestHighPowers:
    """W_p for a p whose powers of distances no float can hold: the largest distance in use is the unit."""

    @pytest.mark.parametrize("p", [16, 60, 1200, 1e6, 1e17, 1e18, 1e300])
    @pytest.mark.parametrize("period", [None, 1.0, 3.0])
    def test_one_of_two_points_moves(self, p, period):
        for far in (0.251, 0.49, 1e-5):  # just above and below powers of two
            expected = pytest.approx(far * 0.5 ** (1.0 / p), rel=1e-14, abs=1e-15 if period else 0)
            assert monge.wasserstein_1d([0, far], [0, 0], p=p, period=period) == expected
        if period is None:
            assert monge.wasserstein_1d([0, 0.51], [0, 0], p=p) == pytest.approx(0.51 * 0.5 ** (1.0 / p), rel=1e-14)
            single = np.float32([[0], [1000]]), np.float32([[1], [1000]])
            assert monge.wasserstein(*single, p=p) == pytest.approx(0.5 ** (1.0 / p), rel=1e-14)
            assert monge.pairwise([*single], p=p)[0, 1] == pytest.approx(0.5 ** (1.0 / p), rel=1e-14)

    @pytest.mark.parametrize("p", [60, 1200, 1e5])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_against_the_sorted_points(self, p, weighted):
        rng = np.random.default_rng(0)
        x, y = np.sort(rng.normal(size=(2, 50)))
        a = rng.dirichlet(np.ones(50)) if weighted else np.full(50, 0.02)
        d = np.abs(x - y)
        expected = d.max() * (a @ (d / d.max()) ** p) ** (1.0 / p)
        plain = monge.wasserstein_1d(x, y, a, a, p=p)
        assert plain == pytest.approx(expected, rel=1e-13)
        assert monge.wasserstein(x[:, None], y, a, a, p=p) == plain
        assert monge.pairwise([(x, a), (y, a)], p=p)[0, 1] == plain

    @pytest.mark.parametrize("p", [60, 1200])
    def test_on_the_circle_against_all_cuts(self, p):
        for seed in range(20):
            x, y = np.sort(np.random.default_rng(seed).random((2, 7)))
            d = np.stack([distances(x, np.roll(y, k), 1.0).diagonal() for k in range(7)])
            least = (d.max(axis=1) * np.mean((d / d.max(axis=1, keepdims=True)) ** p, axis=1) ** (1.0 / p)).min()
            assert monge.wasserstein_1d(x, y, p=p, period=1.0) == pytest.approx(least, rel=1e-13)


class TestHowOftenASolveLooks:
    """Ctrl-C is answered when the calling thread looks next: no phase may go over many points without looking."""

    n = 2**20
    block, steps = n / 2**18, n / 2**16  # looks of a pass of the sort, and of a walk, over n points

    def checks(self, x, y, a=None, b=None, period=0.0):
        x, y = np.array(x, dtype=float), np.array(y, dtype=float)
        return _univariate.transport(x, y, a, b, 2.0, period, 1)[0]["checks"]

    def test_points_in_any_order(self):
        x, y = np.random.default_rng(0).random((2, self.n))
        passes = 1 + 1 + 3 + 1 + 1 + 1  # extent, keys, digits, points, repair, positions
        assert self.checks(x, y) >= 2 * (passes - 1) * self.block + 2 * self.steps - 2

    def test_sorted_points(self):
        x = np.arange(self.n)
        assert self.checks(x, x + 1.0) >= 2 * 4 * self.block + 2 * self.steps - 2

    def test_points_that_only_comparisons_tell_apart(self):
        x = 1.0 + 2.0**-30 * np.random.default_rng(1).random(self.n)
        x[7] = 1e300  # next to it the leading bits of all others are the same
        parts = self.n / 2**15
        levels = np.log2(parts)  # of merging, each with a pass back
        assert self.checks(x, [0.0]) >= parts + levels * (parts + self.block) + 6 * self.block - 1
        assert monge.wasserstein_1d(x, np.sort(x)) == 0.0  # told apart all the same

    def test_many_points_without_mass(self):
        x, a = np.arange(self.n), np.zeros(self.n)
        a[[0, -1]] = 1.0
        walked = self.checks(x, [0.0, 1.0], a, np.ones(2))
        assert walked >= 4 * self.block + 2 * self.steps - 1  # to order the masses, and to walk past the points
        assert self.checks([0.0, 1.0], x, np.ones(2), a) == walked

    def test_on_the_circle(self):
        x, y = np.random.default_rng(2).random((2, self.n))
        assert self.checks(x, y, period=1.0) >= self.checks(x, y) + self.steps + 4
