"""Maximum mean discrepancy: closed forms, a plain reference, derivatives, bias, bandwidths, batches and bad input."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist
from slopes import numeric

import monge

NAMED = {
    "gaussian": lambda r, h: np.exp(-(r**2) / (2 * h**2)),
    "laplacian": lambda r, h: np.exp(-r / h),
    "imq": lambda r, h: 1 / np.sqrt(1 + r**2 / h**2),
    "cauchy": lambda r, h: 1 / (1 + r**2 / h**2),
    "energy": lambda r, _: -r,
}
BOUNDED = [name for name in NAMED if name != "energy"]


def reference(x, y, a, b, kernel, biased=True):
    """With matrices, kernel(r) of distances."""
    a, b = a / a.sum(), b / b.sum()
    value = -2.0 * a @ kernel(cdist(x, y)) @ b
    for points, weights in ((x, a), (y, b)):
        K = kernel(cdist(points, points))
        if not biased:
            np.fill_diagonal(K, 0.0)
            value += weights @ K @ weights / (1.0 - weights @ weights)
        else:
            value += weights @ K @ weights
    return value


def clouds(seed, n=6, m=8, d=2):
    rng = np.random.default_rng(seed)
    x, y, a, b = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.7, rng.random(n) + 0.1, rng.random(m) + 0.1
    return x, y, a * (3.0 / a.sum()), b * (3.0 / b.sum())


def product(x, y):
    total = 0.0
    for s, t in zip(x, y):  # noqa: B905 - strict= is beyond the compiler
        total += s * t
    return total


def product_slopes(x, y, out):
    for k in range(len(x)):
        out[k] = y[k]


def bell(x, y):
    total = 0.0
    for k in range(2):
        total += (x[k] - y[k]) ** 2
    return math.exp(-0.5 * total)


def bell_slopes(x, y, out):
    total = 0.0
    for k in range(2):
        total += (x[k] - y[k]) ** 2
    for k in range(2):
        out[k] = (y[k] - x[k]) * math.exp(-0.5 * total)


GAUSSIAN = monge.GroundCost(bell, gradient=bell_slopes)
LINEAR = monge.GroundCost(product, gradient=product_slopes)


def lopsided(x, y):
    return x[0] + 2.0 * y[0]


def without_value(x, y):
    return math.nan if x[0] > 0.5 else 0.0


kernels = pytest.mark.parametrize("name", NAMED)
statistics = pytest.mark.parametrize("biased", [True, False])


def options(name, h):
    return {"kernel": name} if name == "energy" else {"kernel": name, "bandwidth": h}


class TestKnownAnswers:
    @kernels
    def test_two_points(self, name):
        k = NAMED[name]
        loss = monge.mmd([[1.0, 2.0]], [[4.0, 6.0]], **options(name, 2.5))
        assert loss == pytest.approx(2.0 * (k(0.0, 2.5) - k(5.0, 2.5)), rel=1e-14)

    @pytest.mark.parametrize("d", [1, 3])
    def test_gaussians(self, d):
        # E k(x, y) = (h^2 / (h^2 + 2))^(d / 2) exp(-t^2 / (2 (h^2 + 2))) for means t apart and unit covariances.
        h, t, n = 1.3, 0.9, 4000
        rng = np.random.default_rng(d)
        shift = np.r_[t, np.zeros(d - 1)]
        x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d)) + shift
        mean = (h**2 / (h**2 + 2)) ** (d / 2)
        expected = 2.0 * mean * (1.0 - np.exp(-(t**2) / (2 * (h**2 + 2))))
        assert monge.mmd(x, y, bandwidth=h, biased=False) == pytest.approx(
            expected, abs=4.0 / np.sqrt(n) * expected**0.5
        )

    @statistics
    @kernels
    @pytest.mark.parametrize("d", [1, 2, 17])
    def test_the_reference(self, name, biased, d):
        x, y, a, b = clouds(d, d=d)
        expected = reference(x, y, a, b, lambda r: NAMED[name](r, 1.7), biased)
        assert monge.mmd(x, y, a, b, biased=biased, **options(name, 1.7)) == pytest.approx(expected, rel=1e-12)

    @statistics
    @pytest.mark.parametrize("name", ["gaussian", "laplacian", "energy"])
    def test_many_tiles(self, name, biased):
        x, y, a, b = clouds(0, 700, 300, 3)
        for threads in (1, 2, 5):
            loss = monge.mmd(x, y, a, b, biased=biased, threads=threads, **options(name, 0.8))
            expected = reference(x, y, a, b, lambda r: NAMED[name](r, 0.8), biased)
            assert loss == pytest.approx(expected, rel=1e-11)
            slopes = loss.grad_x, loss.grad_b
            if threads == 1:
                first = loss, slopes
            assert loss == first[0]  # the same bits
            for one, other in zip(slopes, first[1], strict=True):
                np.testing.assert_array_equal(one, other)
        # Along one direction, which all tiles have a part in.
        way = np.random.default_rng(1).normal(size=x.shape)
        up, down = (reference(x + s * way, y, a, b, lambda r: NAMED[name](r, 0.8), biased) for s in (1e-5, -1e-5))
        assert (loss.grad_x * way).sum() == pytest.approx((up - down) / 2e-5, rel=1e-5)

    @kernels
    def test_identity(self, name):
        x, _, a, _ = clouds(3)
        order = np.random.default_rng(0).permutation(len(x))
        loss = monge.mmd(x, x[order], a, a[order], **options(name, 0.5))
        assert 0.0 <= loss < 1e-15
        np.testing.assert_allclose(loss.grad_x, 0.0, atol=1e-15)
        np.testing.assert_allclose(loss.grad_a, 0.0, atol=1e-15)

    @kernels
    def test_positive(self, name):
        for seed in range(10):
            x, y, a, b = clouds(seed)
            assert monge.mmd(x, y, a, b, **options(name, 0.3 + seed)) > 0.0

    @kernels
    def test_a_split_atom_is_the_same_measure(self, name):
        x, y, a, b = clouds(4)
        whole = monge.mmd(x, y, a, b, **options(name, 1.0))
        parted = monge.mmd(np.r_[x, x[:1]], y, np.r_[a[0] / 4, a[1:], 3 * a[0] / 4], b, **options(name, 1.0))
        assert parted == pytest.approx(whole, rel=1e-12)
        np.testing.assert_allclose(parted.grad_x[0] + parted.grad_x[-1], whole.grad_x[0], rtol=1e-11)

    @statistics
    @kernels
    @pytest.mark.parametrize("unit", [1e-180, 1e-5, 1e180])
    def test_units(self, name, biased, unit):
        x, y, a, b = clouds(5)
        one = monge.mmd(x, y, a, b, biased=biased, **options(name, 0.9))
        far = monge.mmd(unit * x, unit * y, a, b, biased=biased, **options(name, 0.9 * unit))
        factor = unit if name == "energy" else 1.0
        assert far / factor == pytest.approx(one, rel=1e-12)
        np.testing.assert_allclose(far.grad_x * (unit / factor), one.grad_x, rtol=1e-10)
        np.testing.assert_allclose(far.grad_a / factor, one.grad_a, rtol=1e-10, atol=1e-14)

    def test_far_from_the_origin(self):
        x, y, a, b = (np.round(one, 6) for one in clouds(6))
        b *= a.sum() / b.sum()
        away = 2.0**20
        loss = monge.mmd(away + x, away + y, a, b, bandwidth=0.7)
        expected = monge.mmd((away + x) - away, (away + y) - away, a, b, bandwidth=0.7)
        assert loss == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(loss.grad_x, expected.grad_x, rtol=1e-9)


class TestBias:
    def test_the_mean_is_zero_without_and_positive_with(self):
        rng = np.random.default_rng(0)
        count, n = 400, 20
        x, y = rng.normal(size=(2, count, n, 2))
        weights = rng.random(n) + 0.2  # fixed, whatever the points
        for a in (None, weights):
            both = a, None if a is None else weights
            free = np.array(monge.mmd(x, y, *both, bandwidth=1.0, biased=False))
            error = free.std() / np.sqrt(count)
            assert abs(free.mean()) < 4.0 * error
            assert free.min() < 0.0
            assert np.mean(monge.mmd(x, y, *both, bandwidth=1.0)) > 20.0 * error

    def test_a_cloud_of_one_point_has_no_pairs(self):
        with pytest.raises(ValueError, match=r"y has all its weight at one.*biased=True"):
            monge.mmd([[0.0], [1.0]], [[0.0]], biased=False)
        with pytest.raises(ValueError, match="x has all its weight at one"):
            monge.mmd([[0.0], [1.0]], [[0.0], [1.0]], [0, 2], [1, 1], biased=False)


class TestBandwidth:
    @pytest.mark.parametrize("name", BOUNDED)
    def test_the_median_is_reported(self, name):
        x, y, _, _ = clouds(7)
        median = float(np.median(pdist(np.concatenate([x, y]))))
        loss = monge.mmd(x, y, kernel=name)
        assert loss.bandwidth == pytest.approx(median, rel=1e-14)
        assert loss == pytest.approx(monge.mmd(x, y, kernel=name, bandwidth=median), rel=1e-13)
        assert monge.mmd(1e9 * x, 1e9 * y, kernel=name).bandwidth == pytest.approx(1e9 * median, rel=1e-13)

    def test_of_many_points_some_tell(self):
        rng = np.random.default_rng(8)
        x, y = rng.normal(size=(1500, 2)), rng.normal(size=(900, 2))
        assert monge.mmd(x, y).bandwidth == pytest.approx(np.median(pdist(np.r_[x, y])), rel=0.03)

    def test_points_without_weight_and_equal_ones_do_not_count(self):
        x = np.array([[0.0], [0.0], [0.0], [3.0], [100.0]])
        assert monge.mmd(x, x, [1, 1, 1, 1, 0], [1, 1, 1, 1, 0]).bandwidth == 3.0
        assert monge.mmd([[2.0]], [[2.0]]).bandwidth == 1.0

    def test_several(self):
        x, y, a, b = clouds(9)
        each = [monge.mmd(x, y, a, b, bandwidth=h) for h in (0.3, 1.0, 4.0)]
        loss = monge.mmd(x, y, a, b, bandwidth=[0.3, 1.0, 4.0])
        assert loss.bandwidth == (0.3, 1.0, 4.0)
        assert monge.mmd(x, y, a, b, bandwidth=1).bandwidth == 1.0
        assert loss == pytest.approx(sum(each), rel=1e-13)
        np.testing.assert_allclose(loss.grad_x, sum(one.grad_x for one in each), rtol=1e-12)
        np.testing.assert_allclose(loss.grad_b, sum(one.grad_b for one in each), rtol=1e-10, atol=1e-15)


class TestDerivatives:
    @statistics
    @kernels
    @pytest.mark.parametrize("d", [1, 3])
    def test_finite_differences(self, name, biased, d):
        x, y, a, b = clouds(10, 4, 5, d)

        def distance(x, y, a, b):
            return monge.mmd(x, y, a, b, biased=biased, **options(name, 0.8))

        loss = distance(x, y, a, b)
        expected = numeric(distance, x, y, a, b, normalised=(2, 3))
        for found, slopes in zip((loss.grad_x, loss.grad_y, loss.grad_a, loss.grad_b), expected, strict=True):
            np.testing.assert_allclose(found, slopes, atol=2e-9)
        assert loss.grad_a @ a == pytest.approx(0.0, abs=1e-13)

    @pytest.mark.parametrize("name", ["laplacian", "energy"])
    def test_equal_points_add_nothing(self, name):
        x, y = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0], [0.0, 0.0]])
        loss = monge.mmd(x, y, **options(name, 5.0))
        slope = 1.0 if name == "energy" else np.exp(-1.0) / 5.0
        # The first point feels the second, a quarter; the second feels the first, and half as much both of y.
        way = np.array([0.6, 0.8])
        np.testing.assert_allclose(loss.grad_x, [2 * 0.25 * slope * way, (-0.5 + 1.0) * slope * way], rtol=1e-14)

    @pytest.mark.parametrize("name", ["laplacian", "energy"])
    def test_points_that_nearly_touch(self, name):
        # Sums of coordinates resolve 1e-16 of their size, and the direction from one point to the other is exact.
        apart = np.array([3e-12, 4e-12])
        x, y = np.array([[1.0, 1.0]]), np.array([1.0 + apart, [-1.0, -2.0]])
        apart = y[0] - x[0]
        loss = monge.mmd(x, y, [1.0], [0.75, 0.25], **options(name, 1.0))
        away = y[1] - x[0]
        r = np.linalg.norm(away)
        slope = 1.0 if name == "energy" else np.exp(-r)
        expected = -1.5 * apart / np.linalg.norm(apart) - 0.5 * slope * away / r
        np.testing.assert_allclose(loss.grad_x[0], expected, rtol=1e-11)

    @pytest.mark.parametrize("bandwidth", [1e-8, 1e-100, 1e-200])
    def test_a_point_does_not_pull_itself(self, bandwidth):
        x, y, a, b = clouds(7)
        loss = monge.mmd(x, y, a, b, bandwidth=bandwidth)  # which no two points are near
        assert loss == pytest.approx(a @ a / 9.0 + b @ b / 9.0)
        assert not loss.grad_x.any()

    def test_descent_brings_clouds_together(self):
        rng = np.random.default_rng(11)
        x, y = rng.normal(size=(30, 2)), rng.normal(size=(30, 2)) + 2.0
        start = monge.mmd(x, y, kernel="energy")
        for _ in range(50):
            x = x - 15.0 * monge.mmd(x, y, kernel="energy").grad_x
        assert monge.mmd(x, y, kernel="energy") < 0.05 * start

    def test_pickle(self):
        x, y, a, b = clouds(12)
        for kernel in ("gaussian", LINEAR):
            loss = monge.mmd(x, y, a, b, kernel=kernel)
            again = pickle.loads(pickle.dumps(loss))
            assert again == loss
            np.testing.assert_array_equal(again.grad_x, loss.grad_x)


class TestWritten:
    @statistics
    def test_the_linear_kernel_sees_the_means(self, biased):
        x, y, a, b = clouds(13)
        loss = monge.mmd(x, y, a, b, kernel=LINEAR, biased=biased)
        mean = a @ x / a.sum() - b @ y / b.sum()
        if biased:
            assert loss == pytest.approx(mean @ mean, rel=1e-12)
            np.testing.assert_allclose(loss.grad_x, 2 * np.outer(a / a.sum(), mean), rtol=1e-12)
        assert loss.bandwidth is None

        def distance(x, y, a, b):
            return monge.mmd(x, y, a, b, kernel=LINEAR, biased=biased)

        expected = numeric(distance, x, y, a, b, normalised=(2, 3))
        for found, slopes in zip((loss.grad_x, loss.grad_y, loss.grad_a, loss.grad_b), expected, strict=True):
            np.testing.assert_allclose(found, slopes, atol=5e-9)

    def test_a_function_that_is_the_gaussian_kernel(self):
        x, y, a, b = clouds(14, 300, 200)

        built_in = monge.mmd(x, y, a, b, bandwidth=1.0)
        written = monge.mmd(x, y, a, b, kernel=GAUSSIAN)
        assert written == pytest.approx(built_in, rel=1e-11)
        np.testing.assert_allclose(written.grad_y, built_in.grad_y, atol=1e-15)

    def test_a_bare_function(self):
        x, y, a, b = clouds(13)
        loss = monge.mmd(x, y, a, b, kernel=product)
        assert loss == monge.mmd(x, y, a, b, kernel=LINEAR)
        with pytest.raises(TypeError, match="gradient=dc"):
            loss.grad_x  # noqa: B018

    def test_lopsided(self):
        with pytest.raises(ValueError, match=r"a kernel should be symmetric; lopsided\(x, y\)"):
            monge.mmd([[0.0], [1.0]], [[2.0]], kernel=lopsided)

    def test_no_numbers(self):
        with pytest.raises(ValueError, match="not NaN"):
            monge.mmd([[0.0], [1.0]], [[2.0]], kernel=without_value)


class TestBatches:
    def test_arrays_and_lists(self):
        rng = np.random.default_rng(15)
        x, y = rng.normal(size=(5, 6, 2)), rng.normal(size=(5, 4, 2))
        a = rng.random((5, 6)) + 0.1
        losses = monge.mmd(x, y, a, kernel="imq")
        assert losses == [monge.mmd(*three, kernel="imq") for three in zip(x, y, a, strict=True)]
        np.testing.assert_array_equal(losses[2].grad_a, monge.mmd(x[2], y[2], a[2], kernel="imq").grad_a)
        assert losses[1].bandwidth != losses[2].bandwidth
        ragged = [x[0], x[1][:3]]
        assert monge.mmd(ragged, y[0]) == [monge.mmd(x[0], y[0]), monge.mmd(x[1][:3], y[0])]
        assert monge.mmd(x, y, threads=1) == monge.mmd(x, y, threads=3)

    def test_bad_ones(self):
        x = np.zeros((3, 4, 2))
        with pytest.raises(ValueError, match=r"as many clouds.*\[3, 2\]"):
            monge.mmd(x, x[:2])
        with pytest.raises(ValueError, match="at least one"):
            monge.mmd([], [])
        with pytest.raises(ValueError, match="pair 1: x and y should have points of the same dimension"):
            monge.mmd([x[0], x[1][:, :1]], x[0])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"kernel": "gauss"}, "kernel should be one of 'gaussian'.*got 'gauss'"),
        ({"kernel": 3}, "or a function.*got 3"),
        ({"kernel": "energy", "bandwidth": 1.0}, "'energy' has no bandwidth"),
        ({"kernel": LINEAR, "bandwidth": 1.0}, "a function has no bandwidth"),
        ({"bandwidth": 0.0}, "bandwidth should be positive"),
        ({"bandwidth": [1.0, -1.0]}, "each bandwidth should be positive"),
        ({"bandwidth": []}, "at least one number"),
        ({"bandwidth": np.array(-1.0)}, "bandwidth should be positive"),
        ({"a": [1.0, 1.0], "b": [1.0]}, "same total mass"),
        ({"a": [1.0]}, r"shape \(2,\)"),
        ({"threads": 0}, "threads should be"),
    ],
)
def test_bad_input(arguments, text):
    with pytest.raises(ValueError, match=text):
        monge.mmd([[0.0], [1.0]], [[2.0]], **arguments)


def test_bad_points():
    with pytest.raises(ValueError, match=r"y\[0, 0\] = nan"):
        monge.mmd([[0.0]], [[np.nan]])
    with pytest.raises(ValueError, match="same dimension"):
        monge.mmd([[0.0]], [[1.0, 2.0]])
    with pytest.raises(TypeError, match="bandwidth should be"):
        monge.mmd([[0.0]], [[1.0]], bandwidth="wide")
