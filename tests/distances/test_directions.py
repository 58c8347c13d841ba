"""Directions and great circles: unit vectors, as likely in any rotation, better spread than independent ones."""

from __future__ import annotations

import numpy as np
import pytest

from monge.distances.directions import check_rng, directions, frames


def drawn(d, count, seed=0):
    return directions(d, count, np.random.default_rng(seed))


@pytest.mark.parametrize("d", [1, 2, 3, 4, 7, 30])
@pytest.mark.parametrize("count", [1, 2, 7, 50])
def test_unit_vectors_that_a_seed_decides_on(d, count):
    theta = drawn(d, count)
    assert theta.shape == (1 if d == 1 else count, d)
    assert theta.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(theta, axis=1), 1.0, rtol=1e-14)
    np.testing.assert_array_equal(theta, drawn(d, count))
    if d > 1:
        assert not np.allclose(theta, drawn(d, count, seed=1))


@pytest.mark.parametrize("count", [2, 5, 64])
def test_equal_angles(count):
    angles = np.sort(np.arctan2(*drawn(2, count).T[::-1]) % np.pi)
    np.testing.assert_allclose(np.diff(angles), np.pi / count)


def test_orthogonal_blocks():
    theta = drawn(10, 37)
    for first in range(0, 37, 10):
        block = theta[first : first + 10]
        np.testing.assert_allclose(block @ block.T, np.eye(len(block)), atol=1e-14)


@pytest.mark.parametrize("d", [2, 3, 5])
def test_each_is_uniform(d):
    # Over many draws the second moment of every single direction is that of the sphere, 1 / d in each coordinate. In
    # the plane each has its own sector, and that of one of them picked by chance is.
    many = np.stack([drawn(d, 4, seed) for seed in range(4000)])  # (4000, 4, d)
    moments = np.einsum("skc,ske->kce", many, many) / len(many)
    if d == 2:
        moments = moments.mean(axis=0, keepdims=True)
    np.testing.assert_allclose(moments, np.broadcast_to(np.eye(d) / d, moments.shape), atol=0.03)


def rms_error(f, exact, draw):
    return np.sqrt(np.mean([(f(draw(seed)).mean() / exact - 1.0) ** 2 for seed in range(40)]))


def independent(d, count, seed):
    theta = np.random.default_rng(seed).normal(size=(count, d))
    return theta / np.linalg.norm(theta, axis=1, keepdims=True)


@pytest.mark.parametrize(("d", "part"), [(2, 1e-3), (3, 0.1), (10, 0.5)])
def test_better_than_independent_ones(d, part):
    # The mean of |<t, theta>|, where the spread of one direction is no polynomial of low degree.
    rng = np.random.default_rng(d)
    D, t = np.diag(1.0 + np.arange(d)), rng.normal(size=d)

    def f(theta):
        return np.linalg.norm(theta @ D, axis=1) + np.abs(theta @ t) ** 3

    exact = np.mean([f(independent(d, 200_000, seed)).mean() for seed in range(3)])
    if d < 4:
        exact = f(drawn(d, 200_000)).mean()
    ours = rms_error(f, exact, lambda seed: drawn(d, 64, seed))
    theirs = rms_error(f, exact, lambda seed: independent(d, 64, seed))
    assert ours < part * theirs


@pytest.mark.parametrize("d", [2, 3, 4, 5, 9])
@pytest.mark.parametrize("count", [1, 6, 11])
def test_frames(d, count):
    planes = frames(d, count, np.random.default_rng(0))
    assert planes.shape == (1 if d == 2 else count, 2, d)
    np.testing.assert_allclose(
        planes @ planes.transpose(0, 2, 1), np.broadcast_to(np.eye(2), (len(planes), 2, 2)), atol=1e-14
    )
    if d > 3:  # planes of a block are at right angles
        block = planes[: d // 2].reshape(-1, d)
        np.testing.assert_allclose(block @ block.T, np.eye(len(block)), atol=1e-14)


def test_rng():
    generator = np.random.default_rng(0)
    assert check_rng(generator) is generator
    assert check_rng(3).random() == np.random.default_rng(3).random()
    assert check_rng(None).random() != check_rng(None).random()
    with pytest.raises(TypeError, match=r"rng should be None, a seed .* got 'seed'"):
        check_rng("seed")
    with pytest.raises(ValueError, match=r"rng should be None, a seed .* got -1"):
        check_rng(-1)
