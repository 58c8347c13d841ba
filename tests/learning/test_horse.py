"""An affine map between two pictures, found by the derivative of a Sinkhorn divergence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("skimage", reason="the horse is scikit-image's: pip install 'monge[demo]'")

PROGRAM = "horse"


def test_the_map_is_found(program: dict[str, Any]) -> None:
    errors = program["errors"]
    assert errors[0] > 60.0
    assert errors[-1] < 2.0  # pixels, of a shape 300 wide
    np.testing.assert_allclose(program["numbers"][:4].reshape(2, 2), program["M"], atol=0.03)
    assert len(errors) < 40


def test_the_loss_is_all_but_zero_there(program: dict[str, Any]) -> None:
    assert len(program["x"]) != len(program["y"])
    assert program["loss"](program["numbers"], 0.03)[0] < 1e-3 * program["loss"](program["path"][0], 0.03)[0]


def test_the_derivative_of_the_six_numbers(program: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    numbers = program["path"][1]
    value, slope = program["loss"](numbers, 0.3)
    direction = rng.normal(size=6)
    step = 1e-4
    after, before = (program["loss"](numbers + sign * step * direction, 0.3)[0] for sign in (1.0, -1.0))
    assert value > 0.0
    assert (after - before) / (2.0 * step) == pytest.approx(slope @ direction, rel=1e-3)
