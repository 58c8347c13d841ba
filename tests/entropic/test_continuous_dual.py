"""Entropic transport between two measures that are seen by samples, against the closed form for normal laws."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import monge
from monge.entropic.semidual.continuous import continuous_dual
from monge.entropic.semidual.features import Features, Fit
from monge.entropic.semidual.result import Stop


class Normal:
    """A normal law with independent coordinates; picklable."""

    def __init__(self, mean: Any, std: Any) -> None:
        self.mean, self.std = np.array(mean, float), np.array(std, float)

    def __call__(self, rng: np.random.Generator, n: int) -> Any:
        return self.mean + self.std * rng.normal(size=(n, len(self.mean)))

    @property
    def moments(self) -> tuple[Any, Any]:
        return self.mean, np.diag(self.std**2)


@pytest.mark.parametrize(
    ("source", "target", "eps", "kernel"),
    [
        (Normal([0.0], [0.5]), Normal([1.0], [1.0]), 0.3, "gaussian"),
        (Normal([0.0], [0.5]), Normal([1.0], [1.0]), 0.3, "laplacian"),
        (Normal([0.0, 0.0], [1.0, 0.5]), Normal([1.0, 1.0], [1.0, 1.0]), 1.0, "gaussian"),
    ],
)
def test_normal_laws(source: Normal, target: Normal, eps: float, kernel: str) -> None:
    exact = monge.bures(*source.moments, *target.moments, eps=eps)
    found = continuous_dual(source, target, eps=eps, kernel=kernel, rng=0, start=600, n_features=100)
    assert found.converged
    assert abs(found.value - exact) < min(4.0 * found.standard_error, 0.05 * exact)
    assert -0.01 < found.chi2 < 0.02


def test_a_start_of_one_point() -> None:
    source, target = Normal([0.0], [0.5]), Normal([1.0], [1.0])
    with pytest.warns(monge.ConvergenceWarning, match="max_iter"):
        found = continuous_dual(source, target, eps=1.0, start=1, max_iter=128, rng=0, n_features=50)
    assert np.isfinite(found.u([[0.0], [3.0]])).all()
    assert found.value < float(monge.bures(*source.moments, *target.moments, eps=1.0)) + 4.0 * found.standard_error


def test_steps_make_a_poor_start_better() -> None:
    source, target = Normal([0.0], [0.5]), Normal([1.0], [1.0])
    exact = float(monge.bures(*source.moments, *target.moments, eps=0.5))
    options = {"eps": 0.5, "start": 40, "rng": 0, "n_features": 60}
    with pytest.warns(monge.ConvergenceWarning, match="time_limit"):
        start = continuous_dual(source, target, **options, time_limit=0.0)
    with pytest.warns(monge.ConvergenceWarning, match="max_iter"):
        found = continuous_dual(source, target, **options, tol=1e-4, max_iter=400)
    assert start.iterations == 0
    assert start.status is Stop.TIME_LIMIT
    assert found.iterations == 400
    assert found.status is Stop.MAX_ITER
    assert found.chi2 < 0.5 * start.chi2
    assert abs(found.value - exact) < 0.05 * exact


def test_functions_at_new_points_and_after_a_pickle() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(500, 2)), rng.normal(size=(500, 2)) + 1.0
    found = continuous_dual(x, y, eps=1.0, rng=0, start=300, n_features=50)
    density = found.density(x, y)
    assert density.shape == (500, 500)
    assert abs(density.mean() - 1.0) < 0.05
    costs = monge.PointCloud(x, y).block(slice(None))
    np.testing.assert_allclose(density, np.exp(found.u(x)[:, np.newaxis] + found.v(y) - costs), rtol=1e-6)
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.u(x), found.u(x))
    with pytest.raises(ValueError, match="2 coordinates"):
        found.u([[0.0]])


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian"])
def test_features_are_of_the_kernel(kernel: str) -> None:
    x = np.random.default_rng(1).normal(size=(20, 2))
    features = Features.of(kernel, 1.5, x, 100_000, np.random.default_rng(0))
    at = features(x)[:, 1:]
    apart = x[:, np.newaxis] - x
    gaussian = np.exp(-(apart**2).sum(axis=2) / (2.0 * 1.5**2))
    exact = gaussian if kernel == "gaussian" else np.exp(-np.abs(apart).sum(axis=2) / 1.5)
    np.testing.assert_allclose(at @ at.T, exact, atol=0.025)


def test_a_step_follows_values() -> None:
    """The change of coefficients for the gradient of <u, r> has values near r, where features can."""
    x = np.random.default_rng(2).normal(size=(500, 1))
    features = Features.of("gaussian", 1.0, x, 50, np.random.default_rng(0))
    wanted = 1.0 + 0.5 * np.cos(x[:, 0])
    values = features(x)
    got = values @ Fit(features, x).along(values.T @ wanted / len(x))
    assert np.abs(got - wanted).mean() < 0.1


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"eps": 0.0}, ValueError, "eps should"),
        ({"eps": None}, TypeError, "eps should"),
        ({"kernel": "cubic"}, ValueError, "kernel should"),
        ({"bandwidth": -1.0}, ValueError, "bandwidth should"),
        ({"n_features": 0}, ValueError, "n_features should"),
        ({"start": 0}, ValueError, "start should"),
        ({"target": np.zeros((5, 3))}, ValueError, "same dimension"),
        ({"target": [[0.0, np.inf]]}, ValueError, "finite"),
        ({"source": lambda rng, n: np.full((n, 2), np.nan)}, ValueError, "finite"),
    ],
)
def test_bad_input(change: dict[str, Any], error: Any, text: str) -> None:
    arguments: dict[str, Any] = {"source": np.zeros((4, 2)), "target": np.ones((4, 2)), "eps": 1.0} | change
    with pytest.raises(error, match=text):
        continuous_dual(arguments.pop("source"), arguments.pop("target"), **arguments)
