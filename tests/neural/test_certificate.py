"""The certificate of a critic: a lower bound of W1 whatever the function, and the whole of it for the right one."""

import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="monge.neural needs the extra torch")

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import monge
from monge.neural.certificate import certified, nearest
from monge.neural.toys import min_funnels


def uniform(n: int) -> np.ndarray:
    return np.full(n, 1.0 / n)


def w1(x: np.ndarray, y: np.ndarray, a: np.ndarray | None = None, b: np.ndarray | None = None) -> float:
    return monge.emd(monge.PointCloud(x, y, cost="euclidean"), a, b).value


NUMBERS = st.floats(-1e3, 1e3, width=32)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_no_function_gets_above_the_exact_value(data):
    n, m, d = (data.draw(st.integers(1, k)) for k in (7, 7, 3))
    x, y = (data.draw(arrays(np.float64, (k, d), elements=NUMBERS)) for k in (n, m))
    a, b = (data.draw(arrays(np.float64, k, elements=st.floats(0.01, 1.0))) for k in (n, m))
    a, b = a / a.sum(), b / b.sum()
    at_x, at_y = (data.draw(arrays(np.float64, k, elements=NUMBERS)) for k in (n, m))
    found, exact = certified(x, y, a, b, at_x, at_y, 1), w1(x, y, a, b)
    assert 0.0 <= found.bound <= exact * (1.0 + 4.0 * np.finfo(float).eps)
    u_x, u_y = nearest(x, y, found.g)[0], nearest(y, y, found.g)[0]
    noise = 1e-12 * (1.0 + np.abs(found.g).max() + np.abs(x).max() + np.abs(y).max())
    assert a @ u_x - b @ u_y >= found.bound - noise  # the potential is the proof of the bound
    apart = np.linalg.norm(x[:, np.newaxis] - y, axis=2)
    assert (np.abs(u_x[:, np.newaxis] - u_y) <= apart + noise).all()  # and 1-Lipschitz


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_the_potentials_of_the_exact_solver_give_its_value(seed, shift):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(60, 2)) + shift, rng.normal(size=(50, 2)) + 1.0 + shift
    t = monge.emd(monge.PointCloud(x, y, cost="euclidean"))
    # as a function on both: f is -g where a point of x has one of y at its place, and nowhere else is it compared
    found = certified(x, y, uniform(60), uniform(50), t.f, -t.g, 1)
    assert t.value * (1.0 - 1e-6) <= found.bound <= t.value * (1.0 + 4.0 * np.finfo(float).eps)
    assert found.scale == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize(("funnels", "dimension"), [(1, 1), (4, 2), (16, 8)])
@pytest.mark.parametrize("factor", [1e-3, 1.0, 50.0])
def test_the_scale_is_found(funnels, dimension, factor):
    pair = min_funnels(300, funnels, dimension, rng=0)
    at_x, at_y = (factor * pair.potential(points) + 7.0 for points in (pair.x, pair.y))
    found = certified(pair.x, pair.y, uniform(300), uniform(300), at_x, at_y, 1)
    assert found.bound == pytest.approx(pair.distance, rel=1e-5)
    assert found.bound <= pair.distance
    # Where points are far apart, a steeper function does as well: what it says of y is cut down to what is near.
    assert 0.95 <= found.scale / factor < 1.3


def test_both_ways_are_tried():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 2)), rng.normal((1.0, 0.0), size=(30, 2))
    t, noise = monge.emd(monge.PointCloud(x, y, cost="euclidean")), rng.normal(size=40)
    from_y = certified(x, y, uniform(40), uniform(30), noise, -t.g, 1)  # what is said of x is of no use
    from_x = certified(x, y, uniform(40), uniform(30), t.f, noise[:30], 1)  # nor here of y
    for found in (from_y, from_x):
        assert found.bound == pytest.approx(t.value, rel=1e-5)


def test_a_value_that_is_far_off_spoils_nothing():
    pair = min_funnels(300, rng=0)
    at_x, at_y = pair.potential(pair.x), pair.potential(pair.y)
    at_x[5], at_y[7] = -1e6, 1e6
    found = certified(pair.x, pair.y, uniform(300), uniform(300), at_x, at_y, 1)
    assert 0.95 * pair.distance < found.bound <= pair.distance


def test_what_is_upside_down_is_left_alone():
    pair = min_funnels(300, rng=0)
    found = certified(pair.x, pair.y, uniform(300), uniform(300), -pair.potential(pair.x), -pair.potential(pair.y), 1)
    nothing = certified(pair.x, pair.y, uniform(300), uniform(300), np.zeros(300), np.zeros(300), 1)
    assert nothing.bound * (1.0 - 1e-12) <= found.bound <= pair.distance


@pytest.mark.parametrize("values", [0.0, 5e-324, np.nan, np.inf])
def test_a_function_that_says_nothing_leaves_the_distance_to_the_nearest(values):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(30, 2))
    found = certified(x, y, uniform(40), uniform(30), np.full(40, values), np.full(30, values), 1)
    apart = np.linalg.norm(x[:, np.newaxis] - y, axis=2)
    assert found.bound == pytest.approx(max(apart.min(axis=1).mean(), apart.min(axis=0).mean()), rel=0.2)
    assert found.bound <= w1(x, y)
    assert found.scale == math.inf


def test_equal_clouds_are_at_no_distance():
    x = np.random.default_rng(0).normal(size=(50, 3))
    found = certified(x, x, uniform(50), uniform(50), x[:, 0], x[:, 0], 1)
    assert found.bound == 0.0


def test_any_number_of_threads_gives_the_same_bits():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1500, 2)), rng.normal(size=(1400, 2)) + 0.5
    one, three = (certified(x, y, uniform(1500), uniform(1400), x[:, 0], y[:, 0], k) for k in (1, 3))
    assert one.bound == three.bound
    np.testing.assert_array_equal(one.g, three.g)


class TestTruths:
    """Pairs whose distance is known, and the functions that show it."""

    def test_two_lines(self):
        heights = (np.arange(50) + 0.5) / 50
        for theta in (-0.7, 0.0, 0.3):
            x, y = (np.stack([np.full(50, place), heights], axis=1) for place in (0.0, theta))
            found = certified(x, y, uniform(50), uniform(50), -np.sign(theta) * x[:, 0], -np.sign(theta) * y[:, 0], 1)
            assert found.bound == pytest.approx(abs(theta), rel=1e-6, abs=1e-15)

    def test_a_shift(self):
        rng = np.random.default_rng(0)
        x, t = rng.normal(size=(200, 5)), rng.normal(size=5)
        found = certified(x, x + t, uniform(200), uniform(200), -x @ t, -(x + t) @ t, 1)
        assert found.bound == pytest.approx(np.linalg.norm(t), rel=1e-6)

    def test_diracs(self):
        x, y = np.array([[1.0, 2.0]]), np.array([[4.0, 6.0]])
        found = certified(x, y, uniform(1), uniform(1), np.array([3.0]), np.array([-5.0]), 1)
        assert found.bound == pytest.approx(5.0, rel=1e-14)
        assert found.bound <= 5.0

    @pytest.mark.parametrize(("funnels", "dimension"), [(1, 1), (4, 2), (16, 8)])
    def test_funnels(self, funnels, dimension):
        pair = min_funnels(200, funnels, dimension, rng=3)
        assert pair.x.shape == pair.y.shape == (200, dimension)
        assert w1(pair.x, pair.y) == pytest.approx(pair.distance, rel=1e-12)
        mean = pair.potential(pair.x).mean() - pair.potential(pair.y).mean()
        assert mean == pytest.approx(pair.distance, rel=1e-12)

    def test_tips_do_not_depend_on_the_number_of_points(self):
        few, many = min_funnels(10, rng=5), min_funnels(1000, rng=5)
        np.testing.assert_array_equal(few.centers, many.centers)
        assert 0.5 < few.distance / many.distance < 2.0
