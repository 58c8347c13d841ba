"""Histograms on a grid: the cost, and exact transport on it."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import assert_optimal

import monge
from monge.exact.dense import dense

GRIDS = [
    monge.Grid(7),
    monge.Grid((5,), power=1),
    monge.Grid((4, 6)),
    monge.Grid((6, 4), power=1, spacing=0.5),
    monge.Grid((3, 5), power=1.5, spacing=(2.0, 0.25)),
    monge.Grid((3, 2, 4), power=2),
    monge.Grid((2, 3, 2), power=0.5, spacing=(1, 2, 3)),
    monge.Grid((1, 5)),
    monge.Grid((1, 1, 1)),
]


def brute_force(grid):
    """The definition, cell by cell."""
    cells = list(np.ndindex(*grid.sides))
    return np.array(
        [
            [sum((s * abs(a - b)) ** grid.power for a, b, s in zip(i, j, grid.spacing, strict=True)) for j in cells]
            for i in cells
        ]
    )


@pytest.mark.parametrize("grid", GRIDS, ids=repr)
def test_cost_is_the_definition(grid):
    C = dense(grid, 1)
    assert C.shape == grid.shape == (np.prod(grid.sides),) * 2
    np.testing.assert_allclose(C, brute_force(grid), rtol=4e-16)
    assert not C.diagonal().any()


@pytest.mark.parametrize(("power", "name"), [(2, "sqeuclidean"), (1, "cityblock")])
def test_cost_is_that_of_the_points(power, name):
    grid = monge.Grid((5, 7, 2), power)
    cells = np.array(list(np.ndindex(5, 7, 2)), dtype=float)
    np.testing.assert_array_equal(dense(grid, 1), dense(monge.PointCloud(cells, cells, name), 1))


@pytest.mark.parametrize("grid", GRIDS, ids=repr)
def test_exact_transport(grid):
    a, b = np.random.default_rng(0).dirichlet(np.ones(grid.shape[0]), 2)
    t = monge.emd(grid, a, b)
    assert_optimal(t, brute_force(grid), a, b)
    assert monge.emd([grid, grid], a, b)[1].value == t.value


def test_a_shifted_image():
    # Everything moves by the same vector: the sum of the squares of its components.
    image = np.zeros((9, 11))
    image[1:4, 2:5] = np.random.default_rng(0).random((3, 3))
    moved = np.roll(image, (4, 5), axis=(0, 1))
    t = monge.emd(monge.Grid(image.shape, spacing=(0.5, 2.0)), image.ravel(), moved.ravel())
    assert t.value == pytest.approx(image.sum() * (2.0**2 + 10.0**2), rel=1e-14)


def test_all_distances_between_images():
    images = np.random.default_rng(0).dirichlet(np.ones(12), 4)
    grid = monge.Grid((3, 4), power=1)
    np.testing.assert_array_equal(monge.pairwise(images, cost=grid), monge.pairwise(images, cost=brute_force(grid)))


@pytest.mark.parametrize("sides", [(), (2, 2, 2, 2), (0, 3), (3, -1), 0])
def test_not_the_sides_of_a_grid(sides):
    with pytest.raises(ValueError, match="one to three axes"):
        monge.Grid(sides)


@pytest.mark.parametrize("sides", [(2.0, 3.0), "34", None, (True, 2), np.ones((2, 2))])
def test_sides_are_integers(sides):
    with pytest.raises(TypeError, match=r"should be integers, such as image\.shape"):
        monge.Grid(sides)


@pytest.mark.parametrize(("value", "error"), [(0.0, ValueError), (-1, ValueError), (np.inf, ValueError),
                                              (np.nan, ValueError), ("two", TypeError), (None, TypeError)])  # fmt: skip
def test_power_and_spacing_are_positive(value, error):
    with pytest.raises(error, match="power of a grid should be positive and finite"):
        monge.Grid((2, 2), value)
    with pytest.raises(error, match="spacing of a grid should be positive and finite"):
        monge.Grid((2, 2), spacing=value)
    with pytest.raises(error, match="spacing of a grid should be positive and finite"):
        monge.Grid((2, 2), spacing=(1.0, value))


def test_spacing_of_each_axis():
    with pytest.raises(ValueError, match=r"one for each of the 2 axes; got \(1, 2, 3\)"):
        monge.Grid((2, 2), spacing=(1, 2, 3))


def test_overflow():
    with pytest.raises(ValueError, match="overflow"):
        monge.Grid((10, 10), power=200.0, spacing=100.0)


def test_underflow_is_zero():
    assert not dense(monge.Grid((3, 3), power=200.0, spacing=1e-3), 1).any()


def test_too_large_for_memory(monkeypatch):
    monkeypatch.setattr("monge.problem.arrays.available_memory", lambda: 10**6)
    with pytest.raises(MemoryError, match=r"400 x 400 cost matrix of this grid.*sinkhorn"):
        monge.emd(monge.Grid((20, 20)))


def test_shown_as_it_is_made():
    assert repr(monge.Grid((2, 3), spacing=0.5)) == "Grid((2, 3), power=2, spacing=(0.5, 0.5))"
