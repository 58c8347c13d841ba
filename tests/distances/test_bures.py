"""The Bures-Wasserstein distance of normal distributions: closed forms, derivatives, singular covariances, entropy."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.linalg import sqrtm

import monge


def normal(seed, d):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(d, d))
    return rng.normal(size=d), root @ root.T + 0.1 * np.eye(d)


def in_words(m, A, n, B):
    root = sqrtm(A)
    return ((m - n) ** 2).sum() + np.trace(A + B - 2.0 * sqrtm(root @ B @ root).real)


def with_entropy(m, A, n, B, eps):
    """Janati et al. 2020."""
    s, d, root = eps / 2.0, len(m), sqrtm(A)
    D = sqrtm(4.0 * root @ B @ root + s**2 * np.eye(d)).real
    value = ((m - n) ** 2).sum() + np.trace(A + B - D) + d * s * (1.0 - np.log(2.0 * s))
    return value + s * np.linalg.slogdet(D + s * np.eye(d))[1]


class TestKnownAnswers:
    def test_on_the_line(self):
        # W_2^2 = (m - n)^2 + (s - t)^2 for deviations s and t.
        loss = monge.bures([1.0], [[4.0]], [3.0], [[25.0]])
        assert loss == pytest.approx(4.0 + 9.0, rel=1e-15)
        np.testing.assert_allclose(loss.grad_mean_x, [-4.0])
        np.testing.assert_allclose(loss.grad_mean_y, [4.0])
        np.testing.assert_allclose(loss.grad_cov_x, [[1.0 - 5.0 / 2.0]], rtol=1e-14)
        np.testing.assert_allclose(loss.grad_cov_y, [[1.0 - 2.0 / 5.0]], rtol=1e-14)
        np.testing.assert_allclose(loss.map([[1.0], [2.0]]), [[3.0], [5.5]], rtol=1e-14)

    def test_commuting(self):
        rng = np.random.default_rng(0)
        Q = np.linalg.qr(rng.normal(size=(4, 4)))[0]
        s, t = rng.random(4), rng.random(4)
        loss = monge.bures(np.zeros(4), Q * s @ Q.T, np.zeros(4), Q * t @ Q.T)
        assert loss == pytest.approx(((np.sqrt(s) - np.sqrt(t)) ** 2).sum(), rel=1e-12)
        np.testing.assert_allclose(loss.grad_cov_x, Q * (1.0 - np.sqrt(t / s)) @ Q.T, atol=1e-12)

    @pytest.mark.parametrize("d", [1, 2, 6])
    def test_the_formula(self, d):
        for seed in range(5):
            arguments = (*normal(seed, d), *normal(seed + 10, d))
            assert monge.bures(*arguments) == pytest.approx(in_words(*arguments), rel=1e-10)

    @pytest.mark.parametrize("d", [2, 5])
    def test_the_map_pushes_one_to_the_other(self, d):
        (m, A), (n, B) = normal(1, d), normal(2, d)
        loss = monge.bures(m, A, n, B)
        T = (loss.map(m + np.eye(d)) - n).T  # images of steps from the mean
        np.testing.assert_allclose(T @ A @ T.T, B, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(T, T.T, atol=1e-13)
        np.testing.assert_allclose(loss.map(m), n, rtol=1e-14)
        np.testing.assert_allclose(loss.grad_cov_x, np.eye(d) - T, atol=1e-12)

    def test_rotations_do_not_matter(self):
        (m, A), (n, B) = normal(3, 3), normal(4, 3)
        Q = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
        turned = monge.bures(Q @ m, Q @ A @ Q.T, Q @ n, Q @ B @ Q.T)
        loss = monge.bures(m, A, n, B)
        assert turned == pytest.approx(loss, rel=1e-12)
        np.testing.assert_allclose(turned.grad_cov_x, Q @ loss.grad_cov_x @ Q.T, atol=1e-11)
        assert monge.bures(n, B, m, A) == pytest.approx(loss, rel=1e-13)

    def test_a_lower_bound_of_other_distributions(self):
        # Gelbrich 1990; and what is reached if one cloud is an affine image of the other by a positive matrix.
        rng = np.random.default_rng(5)
        x, y = rng.random((60, 2)), rng.normal(size=(60, 2)) ** 3
        moments = [(z.mean(axis=0), np.cov(z.T, bias=True)) for z in (x, y)]
        assert monge.bures(*moments[0], *moments[1]) < monge.wasserstein(x, y) ** 2
        z = x @ np.array([[2.0, 0.5], [0.5, 1.0]]) + 3.0
        moved = monge.bures(*moments[0], z.mean(axis=0), np.cov(z.T, bias=True))
        assert moved == pytest.approx(monge.wasserstein(x, z) ** 2, rel=1e-10)
        np.testing.assert_allclose(moved.map(x), z, rtol=1e-9)

    def test_small_distances_keep_their_digits(self):
        m, A = normal(6, 4)
        assert 0.0 <= monge.bures(m, A, m, A) < 1e-25
        for t in (1e-3, 1e-6, 1e-9):
            expected = np.trace(A) * (np.sqrt(1.0 + t) - 1.0) ** 2
            assert monge.bures(m, A, m, A * (1.0 + t)) == pytest.approx(expected, rel=1e-5, abs=0)


class TestDerivatives:
    @pytest.mark.parametrize("eps", [None, 0.8])
    @pytest.mark.parametrize("d", [1, 2, 4])
    def test_finite_differences(self, d, eps):
        arguments = [*normal(7, d), *normal(8, d)]
        loss = monge.bures(*arguments, eps=eps)
        rng = np.random.default_rng(9)
        found = loss.grad_mean_x, loss.grad_cov_x, loss.grad_mean_y, loss.grad_cov_y
        for k, gradient in enumerate(found):
            for _ in range(3):
                way = rng.normal(size=gradient.shape)
                way = way + way.T if way.ndim == 2 else way
                up, down = (
                    monge.bures(*arguments[:k], arguments[k] + s * way, *arguments[k + 1 :], eps=eps)
                    for s in (1e-5, -1e-5)
                )
                assert (gradient * way).sum() == pytest.approx((up - down) / 2e-5, rel=1e-6, abs=1e-7)

    def test_other_derivatives_there_are_none(self):
        loss = monge.bures([0.0], [[1.0]], [0.0], [[1.0]])
        with pytest.raises(TypeError, match="no derivative with respect to points"):
            loss.grad_x  # noqa: B018

    def test_descent_finds_the_covariance(self):
        (m, A), (n, B) = normal(10, 3), normal(11, 3)
        for _ in range(30):  # the step that makes a geodesic of it: A <- T A T
            loss = monge.bures(m, A, n, B)
            T = np.eye(3) - 0.5 * loss.grad_cov_x
            m, A = m - 0.25 * loss.grad_mean_x, T @ A @ T
        np.testing.assert_allclose(A, B, rtol=1e-6)
        np.testing.assert_allclose(m, n, rtol=1e-6)


class TestSingular:
    def test_points(self):
        loss = monge.bures([0.0, 0.0], np.zeros((2, 2)), [3.0, 4.0], np.zeros((2, 2)))
        assert loss == 25.0
        np.testing.assert_array_equal(loss.grad_cov_x, np.eye(2))  # any spread is in vain
        spread = monge.bures([0.0, 0.0], np.zeros((2, 2)), [3.0, 4.0], np.diag([1.0, 2.0]))
        assert spread == pytest.approx(28.0, rel=1e-15)
        np.testing.assert_array_equal(spread.grad_cov_y, np.eye(2))
        np.testing.assert_array_equal(spread.map([[0.0, 0.0]]), [[3.0, 4.0]])

    def test_lines(self):
        u, v = np.array([0.6, 0.8]), np.array([1.0, 0.0])
        A, B = np.outer(u, u), 4.0 * np.outer(v, v)
        # |u|^2 + |2 v|^2 - 2 |<u, 2 v>|
        assert monge.bures(np.zeros(2), A, np.zeros(2), B) == pytest.approx(1.0 + 4.0 - 2.0 * 1.2, rel=1e-12)
        same = monge.bures(np.zeros(2), A, np.zeros(2), A)
        assert same < 1e-30
        np.testing.assert_allclose(same.grad_cov_x, np.eye(2) - A, atol=1e-14)

    def test_few_samples_in_many_dimensions(self):
        rng = np.random.default_rng(12)
        x, (n, B) = rng.normal(size=(5, 20)), normal(19, 20)

        def moments(x):
            return x.mean(axis=0), np.cov(x.T, bias=True)

        assert monge.bures(*moments(x), *moments(x)) < 1e-27
        m, A = moments(x)
        single = monge.bures(m, A.astype(np.float32), m, A)
        assert single < 1e-6
        for other in ((n, B), moments(rng.normal(size=(7, 20)))):
            loss = monge.bures(m, A, *other)
            slopes = loss.grad_mean_x / 5 + 2.0 / 5 * (x - m) @ loss.grad_cov_x  # of the samples
            way = rng.normal(size=x.shape)
            up, down = (monge.bures(*moments(x + s * way), *other) for s in (1e-5, -1e-5))
            assert (slopes * way).sum() == pytest.approx((up - down) / 2e-5, rel=1e-6)


class TestEntropy:
    @pytest.mark.parametrize("eps", [0.05, 1.0, 30.0])
    def test_the_formula(self, eps):
        for d in (1, 3):
            arguments = (*normal(13, d), *normal(14, d))
            assert monge.bures(*arguments, eps=eps) == pytest.approx(with_entropy(*arguments, eps), rel=1e-11)

    def test_on_a_grid(self):
        # Two normal distributions as histograms, which sinkhorn solves; the grid has an error far below its tolerance.
        eps, (s, t) = 0.5, (0.6, 1.1)
        places = np.linspace(-6.0, 7.0, 131)
        a, b = (np.exp(-((places - m) ** 2) / (2.0 * r**2)) for m, r in ((0.0, s), (1.0, t)))
        a, b = a / a.sum(), b / b.sum()
        solved = monge.sinkhorn((places[:, None] - places) ** 2, a, b, eps=eps, tol=1e-10)
        loss = monge.bures([0.0], [[s**2]], [1.0], [[t**2]], eps=eps)
        assert loss == pytest.approx(solved.value, rel=1e-6)
        images = solved.map(places[:, None])
        middle = slice(50, 80)
        np.testing.assert_allclose(loss.map(places[middle, None]), images[middle], atol=1e-5)

    def test_limits(self):
        (m, A), (n, B) = normal(15, 3), normal(16, 3)
        assert monge.bures(m, A, n, B, eps=1e-9) == pytest.approx(monge.bures(m, A, n, B), rel=1e-7)
        product = ((m - n) ** 2).sum() + np.trace(A) + np.trace(B)  # <a x b, |x - y|^2>
        for eps in (1e9, 1e12, 1e100, 1e300):
            assert monge.bures(m, A, n, B, eps=eps) == pytest.approx(product, rel=100.0 / eps + 1e-13)

    def test_the_divergence(self):
        (m, A), (n, B) = normal(17, 2), normal(18, 2)

        def divergence(p, q):
            return monge.bures(*p, *q, eps=1.0) - 0.5 * (monge.bures(*p, *p, eps=1.0) + monge.bures(*q, *q, eps=1.0))

        assert divergence((m, A), (n, A)) == pytest.approx(((m - n) ** 2).sum(), rel=1e-12)
        assert divergence((m, A), (m, B)) > 0.0

    def test_smooth_where_singular(self):
        A, B = np.diag([1.0, 0.0]), np.eye(2)
        loss = monge.bures(np.zeros(2), A, np.zeros(2), B, eps=0.1)
        H, step = np.array([[0.0, 0.0], [0.0, 1.0]]), 1e-6
        up = monge.bures(np.zeros(2), A + step * H, np.zeros(2), B, eps=0.1)
        assert loss.grad_cov_x[1, 1] == pytest.approx((up - loss) / step, rel=1e-3)


class TestBatches:
    def test_of_pairs(self):
        pairs = [(*normal(k, 3), *normal(k + 50, 3)) for k in range(4)]
        stacked = [np.stack(one) for one in zip(*pairs, strict=True)]
        losses = monge.bures(*stacked)
        for loss, pair in zip(losses, pairs, strict=True):
            one = monge.bures(*pair)
            assert loss == pytest.approx(one, rel=1e-13)
            np.testing.assert_allclose(loss.grad_cov_x, one.grad_cov_x, rtol=1e-10, atol=1e-13)
        against = monge.bures(stacked[0], stacked[1], *normal(9, 3), eps=0.3)
        assert len(against) == 4
        assert against[2] == pytest.approx(monge.bures(*pairs[2][:2], *normal(9, 3), eps=0.3), rel=1e-12)
        nested = monge.bures(stacked[0].reshape(2, 2, 3), stacked[1].reshape(2, 2, 3, 3), *normal(9, 3))
        assert np.asarray(nested).shape == (2, 2)
        assert nested[1][0].grad_mean_x.shape == (3,)

    def test_pickle(self):
        loss = monge.bures(*normal(1, 2), *normal(2, 2))
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(loss)).grad_cov_y, loss.grad_cov_y)


ONE = [0.0, 0.0], np.eye(2)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([0.0], np.eye(2), *ONE), "same dimension; got mean_x 1, cov_x 2, mean_y 2 and cov_y 2"),
        (([0.0, np.nan], np.eye(2), *ONE), r"mean_x should hold finite numbers; mean_x\[1\] = nan"),
        ((*ONE, [0.0, 0.0], [[1.0, 0.0], [0.0, np.inf]]), r"cov_y\[1, 1\] = inf"),
        (([0.0, 0.0], [[1.0, 0.5], [0.0, 1.0]], *ONE), r"cov_x should be symmetric.*\(C \+ C\.T\) / 2"),
        (([0.0, 0.0], [[1.0, 0.0], [0.0, -0.5]], *ONE), r"cov_x should have no negative eigenvalue; got -0\.5"),
        (([0.0, 0.0], [1.0, 1.0], *ONE), r"cov_x should be a covariance \(d, d\).*got shape \(2,\)"),
        ((0.0, np.eye(2), *ONE), r"mean_x should be a mean"),
        ((np.zeros((2, 2)), np.eye(2), np.zeros((3, 2)), np.eye(2)), "batches of means and covariances"),
        (([1e200, 0.0], np.eye(2), *ONE), "overflow"),
    ],
)
def test_bad_input(arguments, text):
    with pytest.raises(ValueError, match=text):
        monge.bures(*arguments)


def test_bad_eps():
    with pytest.raises(ValueError, match="eps should be positive"):
        monge.bures(*ONE, *ONE, eps=0.0)
    with pytest.raises(ValueError, match="points should have 2 coordinates"):
        monge.bures(*ONE, *ONE).map([[1.0]])
