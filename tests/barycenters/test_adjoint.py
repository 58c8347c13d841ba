"""Derivatives of a barycenter: finite differences, and what a translation must do."""

import tracemalloc

import numpy as np
import pytest

import monge
from monge.barycenters.fixed.adjoint import Linearised
from monge.entropic.kernels.threads import Threads

N = 40
X = np.arange(float(N))


def bump(mean, std):
    values = np.exp(-((X - mean) ** 2) / (2.0 * std**2))
    return values / values.sum()


A = np.array([bump(10, 3), bump(22, 4), 0.5 * bump(15, 3) + 0.5 * bump(28, 3)])
Z = np.cos(X / 5.0)


def solve(a, w, debias, init=None, cost=None):
    options = {"eps": 8.0, "debias": debias, "tol": 1e-6 if debias else 1e-11, "max_iter": 3000, "init": init}
    return monge.barycenter(a, monge.Grid(N) if cost is None else cost, w, **options)


@pytest.mark.parametrize("w", [[0.2, 0.5, 0.3], [0.4, 0.0, 0.6]])
@pytest.mark.parametrize("matrix", [False, True])
def test_finite_differences(w, matrix):
    w = np.array(w)
    cost = np.abs(X[:, np.newaxis] - X[::2]) ** 1.5 if matrix else None
    z = Z[::2] if matrix else Z
    found = solve(A, w, False, cost=cost)
    of_weights, of_histograms = found.vjp(z)
    step = 1e-4

    def slope(da, dw):
        ahead, behind = (solve(A + s * da, w + s * dw, False, found, cost).weights @ z for s in (step, -step))
        return (ahead - behind) / (2.0 * step)

    dw = np.where(w > 0.0, [0.1, 0.3, -0.4], 0.0)
    dw -= w * dw.sum()
    np.testing.assert_allclose(of_weights @ dw, slope(0.0, dw), rtol=1e-5)
    assert abs(of_weights @ w) < 1e-12
    da = A * np.cos(X * np.array([[0.3], [0.2], [0.25]]))
    da -= A * da.sum(axis=1, keepdims=True)
    np.testing.assert_allclose((of_histograms * da).sum(), slope(da, 0.0), rtol=1e-5)
    np.testing.assert_allclose((of_histograms * A).sum(), found.weights @ z, rtol=1e-8)  # all scaled by one factor
    assert (of_histograms[w == 0.0] == 0.0).all()


def test_derivative_at_a_weight_of_zero_is_from_one_side():
    w = np.array([0.4, 0.0, 0.6])
    found = solve(A, w, False)
    towards = np.array([-0.5, 1.0, -0.5])
    near, far = (solve(A, w + s * towards, False, found).weights @ Z for s in (1e-3, 2e-3))
    one_sided = (-1.5 * (found.weights @ Z) + 2.0 * near - 0.5 * far) / 1e-3
    np.testing.assert_allclose(found.vjp(Z)[0] @ towards, one_sided, rtol=2e-5)


def test_debiased():
    w = np.array([0.2, 0.5, 0.3])
    found = solve(A, w, True)
    of_weights, of_histograms = found.vjp(Z)
    dw, step = np.array([0.1, 0.3, -0.4]), 5e-3
    ahead, behind = (solve(A, w + s * dw, True, found).weights @ Z for s in (step, -step))
    np.testing.assert_allclose(of_weights @ dw, (ahead - behind) / (2.0 * step), rtol=1e-2)
    np.testing.assert_allclose((of_histograms * A).sum(), found.weights @ Z, rtol=1e-3)


def test_a_mean_moves_with_the_weights():
    a = np.array([bump(12, 3), bump(26, 3)])
    of_weights, of_histograms = solve(a, [0.5, 0.5], False).vjp(X)
    np.testing.assert_allclose(of_weights, [-7.0, 7.0], rtol=1e-3)
    # The mean is linear in the histograms' means: the derivative is w_k x and a constant, where there is mass.
    seen = a > 1e-6
    for k in (0, 1):
        assert np.ptp((of_histograms[k] - 0.5 * X)[seen[k]]) < 0.02


def test_systems_are_solved_and_the_operator_is_symmetric():
    found = solve(A, [0.2, 0.5, 0.3], False)
    linear = Linearised(found._kernel, np.log(A), np.array([0.2, 0.5, 0.3]), found.g / 8.0)
    rng = np.random.default_rng(0)
    r, s = rng.normal(size=(2, N))
    (q_r, moved), (q_s, _) = linear.response(r), linear.response(s)
    np.testing.assert_allclose(q_r * linear.alpha @ s, q_s * linear.alpha @ r, rtol=1e-8)
    assert linear.residual < 1e-8
    centred = r - linear.alpha @ r
    np.testing.assert_allclose(np.array([0.2, 0.5, 0.3]) @ moved, centred, atol=1e-8)
    assert linear.iterations < 60


def test_memory_is_of_a_few_arrays_whatever_the_iterations():
    n = 4096
    grid = monge.Grid((64, 64))
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    a = np.array([np.exp(-((y - i) ** 2 + (x - j) ** 2) / 50.0).ravel() for i, j in rng.uniform(15, 48, (3, 2))])
    a /= a.sum(axis=1, keepdims=True)
    found = monge.barycenter(a, grid, eps=100.0, tol=1e-3, threads=1)
    linear = Linearised(found._problem.kernel(100.0, Threads(1)), np.log(a), np.full(3, 1 / 3), found.g / 100.0)
    peaks = []
    for linear.most in (2, 40):
        linear.iterations = 0
        tracemalloc.start()
        linear.response(rng.normal(size=n), 1e-15)
        peaks.append(tracemalloc.get_traced_memory()[1] / a.nbytes)
        tracemalloc.stop()
        assert linear.iterations >= min(linear.most, 15)
    assert max(peaks) < 40.0
    assert peaks[1] < 1.2 * peaks[0] + 1.0


def test_bad_input():
    found = solve(A, None, False)
    with pytest.raises(ValueError, match="40 finite numbers"):
        found.vjp(np.ones(3))
    with pytest.raises(ValueError, match="finite"):
        found.vjp(np.full(N, np.nan))
    with pytest.raises(TypeError, match="without marginals"):
        monge.barycenter(A, monge.Grid(N), eps=8.0, marginals=monge.KL(5.0)).vjp(Z)
    with pytest.raises(TypeError, match="with eps"):
        monge.barycenter(A[:2, ::4] / A[:2, ::4].sum(axis=1, keepdims=True), monge.Grid(10), eps=None).vjp(np.ones(10))
