"""The gradient that a perfect classifier leaves a generator, and that of a perfect critic, in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit

import monge

PROGRAM = "vanishing"


def normal(x: float) -> float:
    return float(np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi))


@pytest.mark.parametrize("theta", [1.0, 4.0, 8.0])
def test_the_gradient_of_the_classifier(program: dict[str, Any], theta: float) -> None:
    # log p / q = theta (theta / 2 - x), and so log(2 - 2 D) / 2 has the slope theta D / 2.
    wanted = quad(lambda x: normal(x - theta) * 0.5 * theta * expit(theta * (0.5 * theta - x)), -8.0, theta + 8.0,
                  points=[0.0, 0.5 * theta, theta])[0]  # fmt: skip
    found = program["gradient"](program["derivatives"](theta)["JS"], theta)
    assert found == pytest.approx(wanted, rel=1e-2)
    step = 1e-3
    p, density = program["p"], program["density"]
    up, down = (float(monge.js(p, density(theta + sign * step))) for sign in (1.0, -1.0))
    assert found == pytest.approx((up - down) / (2.0 * step), rel=1e-2, abs=1e-10)


def test_it_vanishes(program: dict[str, Any]) -> None:
    thetas, found = program["thetas"], np.array(program["gradients"]["JS"])
    far = thetas >= 4.0
    assert found[-1] < 1e-5
    # Like exp(-theta^2 / 8): what is left when that is divided out is between constants.
    rest = found[far] * np.exp(thetas[far] ** 2 / 8.0)
    assert rest.max() < 1.5 * rest.min()


def test_the_loss_of_most_gans(program: dict[str, Any]) -> None:
    # The derivatives of KL(q | p), which is theta^2 / 2, and of -2 JS.
    thetas, gradients = program["thetas"], program["gradients"]
    np.testing.assert_allclose(gradients["-log D"], thetas - 2.0 * np.array(gradients["JS"]), rtol=1e-2)


def test_that_of_the_critic_is_one(program: dict[str, Any]) -> None:
    np.testing.assert_allclose(program["gradients"]["W"], 1.0, rtol=1e-9)
    for theta in (-0.5, 0.5, 6.0):
        critic = program["derivatives"](theta)["W"]
        slopes = np.diff(critic) / np.diff(program["places"])
        assert np.abs(slopes).max() < 1.0 + 1e-9  # wherever one looks
        p, q = program["p"], program["density"](theta)
        # And it is optimal: the difference of its means is W1, the distance of the centres.
        assert (q - p) @ critic == pytest.approx(abs(theta), rel=1e-6)


def test_one_generator_arrives(program: dict[str, Any]) -> None:
    assert abs(program["paths"]["W"][-1]) <= 0.25
    assert program["paths"]["JS"][-1] > 7.9
