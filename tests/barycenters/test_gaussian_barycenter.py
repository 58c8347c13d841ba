"""The barycenter of normal distributions: known answers, the fixed point, singular covariances, batches."""

from __future__ import annotations

import numpy as np
import pytest

import monge


def normals(seed, k=4, d=3, rank=None):
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(k, d, rank or d)) * 10.0 ** rng.uniform(-1, 1, size=(k, 1, 1))
    return rng.normal(size=(k, d)), roots @ np.swapaxes(roots, 1, 2), rng.dirichlet(np.ones(k))


def objective(mean, cov, means, covs, weights):
    return sum(w * float(monge.bures(mean, cov, m, C)) for w, m, C in zip(weights, means, covs, strict=True))


def test_roots_that_commute_are_averaged():
    rng = np.random.default_rng(0)
    axes, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    deviations, weights = rng.random((3, 4)), rng.dirichlet(np.ones(3))
    covs = (axes * deviations[:, np.newaxis] ** 2) @ axes.T
    found = monge.gaussian_barycenter(np.zeros((3, 4)), covs, weights)
    np.testing.assert_allclose(found.cov, (axes * (weights @ deviations) ** 2) @ axes.T, atol=1e-14)
    spread = (weights @ deviations**2 - (weights @ deviations) ** 2).sum()
    assert found.value == pytest.approx(spread, rel=1e-12)
    assert found.iterations <= 2


def test_on_the_line():
    found = monge.gaussian_barycenter([[0.0], [8.0]], [[[1.0]], [[25.0]]], [0.75, 0.25])
    np.testing.assert_allclose(found.mean, [2.0])
    np.testing.assert_allclose(found.cov, [[4.0]], rtol=1e-14)
    assert found.value == pytest.approx(0.75 * (4.0 + 1.0) + 0.25 * (36.0 + 9.0))


def test_one_of_them():
    means, covs, _ = normals(1)
    for k in range(4):
        found = monge.gaussian_barycenter(means, covs, np.eye(4)[k])
        np.testing.assert_allclose(found.cov, covs[k], rtol=1e-11, atol=1e-13)
        np.testing.assert_array_equal(found.mean, means[k])
        assert found.value == pytest.approx(0.0, abs=1e-20)


@pytest.mark.parametrize("d", [2, 5, 12])
def test_fixed_point_and_minimum(d):
    means, covs, weights = normals(2 + d, d=d)
    found = monge.gaussian_barycenter(means, covs, weights)
    assert found.converged
    assert found.value == pytest.approx(objective(found.mean, found.cov, means, covs, weights), rel=1e-10)
    # The maps to all of them are the identity on average, and each sends S to C_k.
    maps = [monge.bures(found.mean, found.cov, m, C) for m, C in zip(means, covs, strict=True)]
    matrices = [np.eye(d) - loss.grad_cov_x for loss in maps]
    np.testing.assert_allclose(np.einsum("k,kij->ij", weights, matrices), np.eye(d), atol=1e-9)
    for T, C in zip(matrices, covs, strict=True):
        np.testing.assert_allclose(T @ found.cov @ T, C, rtol=1e-8, atol=1e-9 * np.abs(C).max())
    # The value is convex along generalised geodesics: no other covariance nearby is better.
    rng = np.random.default_rng(d)
    for _ in range(10):
        step = rng.normal(size=(d, d)) * 0.05
        moved = (np.eye(d) + step) @ found.cov @ (np.eye(d) + step).T
        assert objective(found.mean, 0.5 * (moved + moved.T), means, covs, weights) > found.value


def test_turned_and_permuted():
    means, covs, weights = normals(3)
    axes, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    found = monge.gaussian_barycenter(means, covs, weights)
    turned = monge.gaussian_barycenter(means @ axes.T, axes @ covs @ axes.T, weights)
    np.testing.assert_allclose(turned.cov, axes @ found.cov @ axes.T, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(turned.mean, axes @ found.mean, atol=1e-12)
    order = [2, 0, 3, 1]
    other = monge.gaussian_barycenter(means[order], covs[order], weights[order])
    np.testing.assert_allclose(other.cov, found.cov, rtol=1e-9, atol=1e-10)


def test_derivatives_with_respect_to_weights():
    means, covs, weights = normals(4)
    found = monge.gaussian_barycenter(means, covs, weights)
    np.testing.assert_allclose(
        found.grad_weights, [float(monge.bures(found.mean, found.cov, m, C)) for m, C in zip(means, covs, strict=True)]
    )
    assert found.value == pytest.approx(weights @ found.grad_weights)
    direction, step = np.array([1.0, -1.0, 0.5, -0.5]), 1e-5
    ahead, behind = (
        monge.gaussian_barycenter(means, covs, weights + sign * step * direction).value for sign in (1, -1)
    )
    assert (ahead - behind) / (2.0 * step) == pytest.approx(direction @ found.grad_weights, rel=1e-6)


class TestSingular:
    def test_all_without_spread(self):
        found = monge.gaussian_barycenter([[0.0, 0.0], [2.0, 4.0]], np.zeros((2, 2, 2)))
        np.testing.assert_array_equal(found.mean, [1.0, 2.0])
        np.testing.assert_array_equal(found.cov, 0.0)
        assert found.value == pytest.approx(5.0)

    def test_one_without_spread_halves_the_deviations_of_the_other(self):
        cov = np.array([[2.0, 1.0], [1.0, 3.0]])
        found = monge.gaussian_barycenter(np.zeros((2, 2)), [cov, np.zeros((2, 2))])
        np.testing.assert_allclose(found.cov, cov / 4.0, rtol=1e-12)

    def test_a_direction_that_all_lack(self):
        _, covs, weights = normals(5, d=2)
        wide = np.zeros((4, 3, 3))
        wide[:, :2, :2] = covs
        found = monge.gaussian_barycenter(np.zeros((4, 3)), wide, weights)
        alone = monge.gaussian_barycenter(np.zeros((4, 2)), covs, weights)
        np.testing.assert_allclose(found.cov[:2, :2], alone.cov, rtol=1e-9)
        np.testing.assert_allclose(found.cov[2], 0.0, atol=1e-14)

    def test_of_low_rank(self):
        means, covs, weights = normals(6, k=5, d=4, rank=2)
        found = monge.gaussian_barycenter(means, covs, weights, tol=1e-9)
        assert found.converged
        assert found.value == pytest.approx(objective(found.mean, found.cov, means, covs, weights), rel=1e-7)
        nearly = monge.gaussian_barycenter(means, covs + 1e-12 * np.eye(4), weights, tol=1e-9)
        assert found.value == pytest.approx(nearly.value, rel=1e-4)


def test_batches():
    sets = [normals(seed) for seed in (7, 8)]
    means, covs = (np.stack([s[q] for s in sets]) for q in (0, 1))
    found = monge.gaussian_barycenter(means, covs)
    assert found.mean.shape == (2, 3)
    assert found.cov.shape == (2, 3, 3)
    assert found.value.shape == (2,)
    assert found.grad_weights.shape == (2, 4)
    for q in range(2):
        one = monge.gaussian_barycenter(means[q], covs[q])
        np.testing.assert_allclose(found.cov[q], one.cov, rtol=1e-9, atol=1e-10)
        assert found.value[q] == pytest.approx(one.value, rel=1e-12)
    shared = monge.gaussian_barycenter(means[0], covs)
    np.testing.assert_allclose(shared.cov, found.cov, rtol=1e-12)


@pytest.mark.parametrize("unit", [1e-150, 1e140])
def test_units_do_not_matter(unit):
    means, covs, weights = normals(9)
    plain = monge.gaussian_barycenter(means, covs, weights)
    found = monge.gaussian_barycenter(unit * means, unit * (unit * covs), weights)
    np.testing.assert_allclose(found.cov / unit / unit, plain.cov, rtol=1e-9, atol=1e-10)


def test_peer():
    ot = pytest.importorskip("ot", reason="a cross-check by POT")
    means, covs, weights = normals(10)
    found = monge.gaussian_barycenter(means, covs, weights)
    mean, cov = ot.gaussian.bures_wasserstein_barycenter(means, covs, weights=weights, eps=1e-12, num_iter=1000)
    np.testing.assert_allclose(found.cov, cov, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12)


def test_clouds_of_normal_samples_agree():
    rng = np.random.default_rng(11)
    deviations = np.array([[1.0, 0.3], [0.2, 1.2]])
    z = rng.normal(size=(150, 2))
    clouds = [z * deviations[0] + 1.0, z * deviations[1] - 1.0]
    found = monge.gaussian_barycenter([x.mean(axis=0) for x in clouds], [np.cov(x.T, bias=True) for x in clouds])
    points = monge.free_barycenter(clouds)
    assert points.value == pytest.approx(found.value, rel=0.02)
    assert points.value >= found.value * (1.0 - 1e-12)  # Gelbrich 1990
    np.testing.assert_allclose(np.cov(points.points.T, aweights=points.weights, bias=True), found.cov, atol=0.02)


def test_errors_and_warnings():
    means, covs, _ = normals(12)
    call = monge.gaussian_barycenter
    with pytest.raises(ValueError, match="means should have shape"):
        call(means[:3], covs)
    with pytest.raises(ValueError, match="means should have shape"):
        call(means[0], covs[0])
    with pytest.raises(ValueError, match="symmetric"):
        call(means, covs + np.triu(np.ones((3, 3)), 1))
    with pytest.raises(ValueError, match="negative eigenvalue"):
        call(means, -covs)
    with pytest.raises(ValueError, match="sum to one"):
        call(means, covs, [1.0, 1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="batches"):
        call(np.zeros((2, 4, 3)), np.stack([covs] * 3))
    with pytest.raises(ValueError, match="overflow"):
        call(1e200 * means, covs)
    with pytest.warns(monge.ConvergenceWarning, match="max_iter"):
        found = call(means, covs, max_iter=1)
    assert not found.converged
    assert found.value == pytest.approx(objective(found.mean, found.cov, means, covs, [0.25] * 4), rel=1e-10)
    assert "3-D, MAX_ITER, 1 iterations" in repr(found)


def test_another_library():
    torch = pytest.importorskip("torch", reason="needs monge[torch]")
    means, covs, _ = normals(13)
    found = monge.gaussian_barycenter(torch.tensor(means), torch.tensor(covs))
    assert isinstance(found.cov, torch.Tensor)
    np.testing.assert_allclose(found.cov.numpy(), monge.gaussian_barycenter(means, covs).cov)
