"""Averages of structures: copies, known means, objectives that do not rise, and points that are found again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import monge
from monge.structures.matrices import MatrixForm

Array = np.ndarray[Any, Any]


def squares(x: Array) -> Array:
    return np.asarray(((x[:, None] - x) ** 2).sum(axis=-1))


def cycle(n: int) -> Array:
    steps = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return np.minimum(steps, n - steps).astype(float)


def test_one_structure_is_its_own_average() -> None:
    x = np.random.default_rng(0).normal(size=(12, 3))
    average = monge.gromov_barycenter([x])
    assert average.value == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(average.structure, squares(x), atol=1e-12)
    np.testing.assert_allclose(squares(average.points(3)), squares(x), atol=1e-9)
    np.testing.assert_array_equal(average.weights, np.full(12, 1.0 / 12.0))


def test_copies_have_an_average_at_zero() -> None:
    rng = np.random.default_rng(1)
    x, turn = rng.normal(size=(20, 3)), np.linalg.qr(rng.normal(size=(3, 3)))[0]
    average = monge.gromov_barycenter([x, x[rng.permutation(20)] @ turn + 4.0, x @ turn.T], weights=[0.2, 0.3, 0.5])
    assert average.value == pytest.approx(0.0, abs=1e-9)
    assert average.converged
    assert average.iterations <= 3


def test_sizes_are_averaged_along_the_scale() -> None:
    # Of s x and t x, squared distances are averaged: those of r x with r^2 = (s^2 + t^2) / 2.
    x = np.random.default_rng(2).normal(size=(9, 2))
    average = monge.gromov_barycenter([x, 2.0 * x], weights=[0.25, 0.75])
    np.testing.assert_allclose(average.structure, (0.25 + 0.75 * 4.0) * squares(x), atol=1e-9)
    spread = float(squares(x).ravel() @ squares(x).ravel()) / 81.0
    assert average.value == pytest.approx(0.25 * 0.75 * 9.0 * spread, rel=1e-9)


@pytest.mark.parametrize("eps", [None, 0.5])
@pytest.mark.parametrize("features", [False, True])
def test_the_objective_does_not_rise_and_is_that_of_its_plans(eps: float | None, features: bool) -> None:
    rng = np.random.default_rng(3)
    clouds = [rng.normal(size=(n, 2)) for n in (12, 9, 15)]
    masses = [None, rng.random(9) + 0.2, None]
    options: dict[str, Any] = {"features": [rng.normal(size=(len(x), 2)) for x in clouds]} if features else {}
    shares = [0.5, 0.2, 0.3]
    average = monge.gromov_barycenter(clouds, masses, shares, n_points=10, eps=eps, alpha=0.6, rng=0, **options)
    assert np.diff(average.values).max(initial=0.0) <= 1e-5 * average.values[0]
    value = 0.0
    for s, (share, x, P) in enumerate(zip(shares, clouds, average.plans, strict=True)):
        P = P.toarray()
        np.testing.assert_allclose(P.sum(axis=1), 0.1, rtol=1e-4)
        E = MatrixForm(average.structure, squares(x)).at(P).value
        if features:
            M = ((average.features[:, None] - options["features"][s]) ** 2).sum(axis=-1)
            E = 0.4 * float(np.vdot(P, M)) + 0.6 * E
        value += share * E
    assert average.value == pytest.approx(value, rel=1e-6)


def test_neither_structure_nor_plans_can_be_moved_to_advantage() -> None:
    rng = np.random.default_rng(4)
    clouds = [rng.normal(size=(10, 2)) for _ in range(3)]
    average = monge.gromov_barycenter(clouds, rng=0, tol=1e-12)
    for _ in range(5):
        moved = average.structure + 1e-3 * rng.normal(size=(10, 10))
        value = np.mean([MatrixForm(moved, squares(x)).at(P).value for x, P in zip(clouds, average.plans, strict=True)])
        assert value > average.value
    for x, P in zip(clouds, average.plans, strict=True):
        again = monge.gromov_wasserstein(monge.CostMatrix(average.structure), x, init=P)
        assert again.value == pytest.approx(MatrixForm(average.structure, squares(x)).at(P).value, rel=1e-9)


def test_more_starts_are_not_worse_and_the_best_is_given() -> None:
    rng = np.random.default_rng(5)
    clouds = [rng.normal(size=(n, 2)) for n in (8, 10, 9)]
    one = monge.gromov_barycenter(clouds, n_points=8, rng=0)
    many = monge.gromov_barycenter(clouds, n_points=8, n_starts=4, rng=0)
    assert len(many.starts) == 4
    assert many.value == pytest.approx(many.starts.min(), rel=1e-9)
    assert many.value <= one.value * (1.0 + 1e-9)
    again = monge.gromov_barycenter(clouds, n_points=8, n_starts=4, rng=0)
    np.testing.assert_array_equal(again.structure, many.structure)


def test_shapes_of_other_sizes_keep_their_shape() -> None:
    average = monge.gromov_barycenter([monge.CostMatrix(cycle(n) / n) for n in (12, 24)], n_points=12)
    order = np.argsort(average.structure, axis=1)[:, 1:3]  # the two nearest, on a cycle both neighbours
    assert all(k in order[j] for k, near in enumerate(order) for j in near)


def test_points_of_distances() -> None:
    x = np.random.default_rng(6).normal(size=(7, 2))
    average = monge.gromov_barycenter([monge.CostMatrix(np.sqrt(squares(x)))])
    np.testing.assert_allclose(squares(average.points(2, power=1.0)), squares(x), atol=1e-9)
    with pytest.raises(ValueError, match="at most 7"):
        average.points(8)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([],), "at least one"),
        (([np.eye(2)], None, [0.4]), "sum"),
        (([np.eye(2)[:, :1]], [[1.0, -1.0]]), "structure 0: .*negative"),
        (([np.eye(2)[:, :1]], [[1.0], [1.0]]), "one entry for each"),
        (([monge.CostMatrix(np.ones((2, 3)))],), "square|shape"),
    ],
)
def test_bad_input_is_refused(arguments: tuple[Any, ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        monge.gromov_barycenter(*arguments)


def test_features_of_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"features\[1\]"):
        monge.gromov_barycenter([np.ones((3, 1)), np.ones((2, 1))], features=[np.ones((3, 2)), np.ones((3, 2))])


def test_tensors_come_back_as_tensors() -> None:
    torch = pytest.importorskip("torch", reason="needs the extra torch")
    x = torch.tensor(np.random.default_rng(7).normal(size=(6, 2)))
    average = monge.gromov_barycenter([x, x + 1.0], features=[x, x])
    assert all(isinstance(each, torch.Tensor) for each in (average.structure, average.features, average.points(2)))
    np.testing.assert_allclose(average.structure.numpy(), squares(x.numpy()), atol=1e-9)
