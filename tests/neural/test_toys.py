"""Laws to try models on."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="monge.neural needs the extra torch")

from monge.neural.toys import EIGHT_CENTERS, EIGHT_SD, eight_gaussians


def test_eight_gaussians():
    points = eight_gaussians(40_000, rng=1)
    away = points[:, None] - EIGHT_CENTERS
    nearest = (away**2).sum(axis=2).argmin(axis=1)
    assert np.abs(np.bincount(nearest, minlength=8) / 40_000 - 1 / 8).max() < 4 * np.sqrt(7 / 64 / 40_000)
    around = away[np.arange(40_000), nearest]
    assert np.abs(around.T @ around / 40_000 - 0.02 * np.eye(2)).max() < 4 * 0.02 * np.sqrt(2 / 40_000)
    assert np.allclose(np.hypot(*EIGHT_CENTERS.T), 2.0, rtol=0, atol=1e-15)
    assert np.isclose(EIGHT_SD**2, 0.02, rtol=1e-15, atol=0)


def test_the_same_seed_gives_the_same_points():
    assert np.array_equal(eight_gaussians(9, rng=3), eight_gaussians(9, rng=np.random.default_rng(3)))


def test_bad_input():
    with pytest.raises(ValueError, match="n should"):
        eight_gaussians(0)
    with pytest.raises(TypeError, match="rng should"):
        eight_gaussians(3, rng="seed")
