"""A restricted Boltzmann machine trained by entropic transport: its slopes against enumeration, and what it gains."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import monge

pytest.importorskip("sklearn", reason="the digits are scikit-learn's: pip install scikit-learn")

PROGRAM = "boltzmann"
STATES = np.array(list(itertools.product((0.0, 1.0), repeat=4)))  # all pictures of four dots


@pytest.fixture
def theta() -> np.ndarray:
    theta = np.random.default_rng(0).normal(size=(5, 4))  # three hidden bits
    theta[0, 0] = 0.0  # a constant in the energy
    return theta


@pytest.fixture
def data() -> np.ndarray:
    return STATES[np.random.default_rng(1).integers(0, 16, 9)]


def probabilities(program: dict[str, Any], theta: np.ndarray) -> np.ndarray:
    p = np.exp(-program["free_energy"](theta, STATES))
    return p / p.sum()


def slope_by_differences(value: Any, theta: np.ndarray, step: float = 1e-5) -> np.ndarray:
    slope = np.zeros_like(theta)
    for at in np.ndindex(*theta.shape):
        nudge = np.zeros_like(theta)
        nudge[at] = step
        slope[at] = (value(theta + nudge) - value(theta - nudge)) / (2.0 * step)
    return slope


def test_the_free_energy_is_the_sum_over_hidden_bits(program: dict[str, Any], theta: np.ndarray) -> None:
    hidden = np.array(list(itertools.product((0.0, 1.0), repeat=3)))
    ones = program["one_and"]
    weights = np.exp(ones(STATES) @ theta @ ones(hidden).T).sum(axis=1)
    np.testing.assert_allclose(program["free_energy"](theta, STATES), -np.log(weights), rtol=1e-12)


def test_the_slope_of_the_likelihood(program: dict[str, Any], theta: np.ndarray, data: np.ndarray) -> None:
    def divergence(theta: np.ndarray) -> float:
        at = (data @ [8, 4, 2, 1]).astype(int)
        return -float(np.log(probabilities(program, theta))[at].mean())

    p = probabilities(program, theta)
    mean_slope = program["mean_slope"]
    found = mean_slope(theta, data, 1.0 / len(data)) - mean_slope(theta, STATES, p)
    np.testing.assert_allclose(found, slope_by_differences(divergence, theta), atol=1e-8)


@pytest.mark.parametrize("eps", [0.03, 0.3])
def test_the_slope_of_transport(program: dict[str, Any], theta: np.ndarray, data: np.ndarray, eps: float) -> None:
    # Over all pictures at once, so that the law of the machine is exact.
    cost = program["changes"](STATES, data) / 2.0

    def solved(theta: np.ndarray) -> Any:
        return monge.sinkhorn(cost, probabilities(program, theta), eps=eps, tol=1e-12)

    p, f = probabilities(program, theta), solved(theta).f
    found = -program["mean_slope"](theta, STATES, p * (f - p @ f))
    wanted = slope_by_differences(lambda theta: solved(theta).value, theta)
    assert np.abs(wanted).max() > 0.01
    np.testing.assert_allclose(found, wanted, atol=1e-7)


def test_the_slope_on_samples(program: dict[str, Any], theta: np.ndarray, data: np.ndarray) -> None:
    # Samples stay where they are when theta changes; what changes is how probable each of them is.
    x = STATES[[0, 3, 5, 6, 9, 12, 14]]
    cost = program["changes"](x, data) / program["unit"]
    before = program["free_energy"](theta, x)

    def value(theta: np.ndarray) -> float:
        weights = np.exp(before - program["free_energy"](theta, x))
        return monge.sinkhorn(cost, weights / weights.sum(), eps=0.05, tol=1e-12).value

    found = program["transport_slope"](theta, x, data, eps=0.05, tol=1e-12)
    np.testing.assert_allclose(found, slope_by_differences(value, theta), atol=1e-8)


def test_chains_follow_the_machine(program: dict[str, Any], theta: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    x = program["gibbs"](theta, STATES[rng.integers(0, 16, 40_000)], 30, rng)
    seen = np.bincount((x @ [8, 4, 2, 1]).astype(int), minlength=16) / len(x)
    p = probabilities(program, theta)
    assert (np.abs(seen - p) < 5.0 * np.sqrt(p / len(x))).all()


def test_samples_come_nearer_to_digits_that_were_not_seen(program: dict[str, Any]) -> None:
    distances, spreads = program["distances"], program["spreads"]
    gap = distances["likelihood"] - distances["true"]
    assert distances["transport"] < distances["likelihood"] - 0.2 * gap
    assert distances["transport"] < distances["more likelihood"]  # not only since it went on for longer
    assert distances["true"] < distances["transport"]
    assert spreads["transport"] > 0.9 * spreads["true"]  # and not by drawing the same digits over and over
