"""Squared distances by one product of matrices, against differences in double precision."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from monge.problem.products import clouds_together, mean_cost, pair_costs, product_costs

WHY = {
    "torch": "arrays of torch: needs the extra torch",
    "jax.numpy": "arrays of JAX: needs the extra jax",
    "array_api_strict": "the array API by the letter: needs the package array-api-strict",
}


def clouds(dtype: Any = np.float64, offset: float = 0.0) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(0)
    return tuple((rng.normal(size=(n, 5)) + offset).astype(dtype) for n in (30, 20))  # type: ignore[return-value]


def distances(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    x, y = x.astype(np.float64), y.astype(np.float64)
    return np.sum((x[:, np.newaxis] - y) ** 2, axis=2)


def without_means(C: NDArray[Any], rows: bool, columns: bool) -> NDArray[np.float64]:
    """What is left of a matrix when the mean of each row, and then that of each column, is taken off."""
    C = C.astype(np.float64)
    C = C if rows else C - C.mean(axis=1, keepdims=True)
    return C if columns else C - C.mean(axis=0)


@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize("columns", [True, False])
@pytest.mark.parametrize(("dtype", "offset", "atol"), [(float, 0.0, 1e-13), (np.float32, 1e4, 1e-4)])
def test_is_the_squared_distance_up_to_the_terms_left_out(rows, columns, dtype, offset, atol):
    """Far from the origin, too, where |x|^2 - 2 <x, y> + |y|^2 in single precision is off by 16."""
    x, y = clouds(dtype, offset)
    C = product_costs(x, y, rows=rows, columns=columns)
    assert C.dtype == dtype
    right = without_means(distances(x, y), rows, columns)
    np.testing.assert_allclose(without_means(C, rows, columns), right, atol=atol)


def test_aligned_clouds_are_as_if_they_had_one_mean():
    x, y = clouds(np.float32)
    x, y = x + np.float32(1e4), y - np.float32(1e4)
    C = product_costs(x, y, aligned=True)
    assert distances(x, y).min() > 1e9
    one_mean = distances(x - x.mean(axis=0, dtype=float), y - y.mean(axis=0, dtype=float))
    np.testing.assert_allclose(C, one_mean, atol=0.05)  # the means are rounded to a thousandth
    right = without_means(distances(x, y), False, False)
    np.testing.assert_allclose(without_means(C, False, False), right, atol=1e-4)


def test_no_distance_is_negative():
    x = clouds(np.float32)[0]
    C = product_costs(x, x, rows=True, columns=True)
    assert C.min() >= 0.0
    assert np.diag(C).max() < 1e-5


def test_distances_of_pairs_are_exact():
    x, y = clouds(np.float32, 1e4)
    i, j = np.array([0, 29, 3, 3]), np.array([19, 0, 4, 5])
    np.testing.assert_allclose(pair_costs(x, y, i, j), distances(x, y)[i, j], rtol=1e-14)
    wide = np.repeat(x, 20000, axis=1)  # of which few fit at a time
    np.testing.assert_allclose(pair_costs(wide, wide, i, i[::-1]), 20000 * distances(x, x)[i, i[::-1]], rtol=1e-12)


@pytest.mark.parametrize("name", WHY)
def test_points_stay_in_their_library(name):
    library = pytest.importorskip(name, reason=WHY[name])
    x, y = clouds(np.float32)
    here, there, home = clouds_together(library.asarray(x), y.astype(np.float64))
    kind = type(library.asarray(x))
    assert isinstance(here, kind)
    assert isinstance(there, kind)
    assert home is not None
    C = product_costs(here, there, rows=True, columns=True)
    np.testing.assert_allclose(C, distances(x, y), rtol=1e-4, atol=1e-5)
    assert type(C) is np.ndarray
    assert C.dtype == np.float32
    np.testing.assert_allclose(pair_costs(here, there, np.arange(9), np.arange(9)), np.diag(distances(x, y))[:9])


@pytest.mark.parametrize("name", ["torch", "jax.numpy"])
def test_on_a_gpu_differences_are_taken_there(name, monkeypatch):
    """The same steps, for arrays that say they are on one."""
    library = pytest.importorskip(name, reason=WHY[name])
    monkeypatch.setattr("monge.problem.home._on_gpu", lambda values: True)
    monkeypatch.setattr("monge.problem.products._ON_GPU", 35)  # coordinates: seven pairs at a time
    x, y = clouds(np.float32)
    here, there, home = clouds_together(library.asarray(x), library.asarray(y))
    assert home is not None
    assert home.on_gpu
    i, j = np.arange(20), np.arange(20)[::-1].copy()
    np.testing.assert_allclose(pair_costs(here, there, i, j), distances(x, y)[i, j], rtol=1e-5)
    assert mean_cost(here, there) == pytest.approx(distances(x, y).mean(), rel=1e-5)


def test_the_mean_over_all_pairs():
    x, y = clouds(np.float32, 1e4)
    assert mean_cost(x, y) == pytest.approx(distances(x, y).mean(), rel=1e-12)


def test_complex_numbers_are_no_points():
    torch = pytest.importorskip("torch", reason=WHY["torch"])
    for values in (torch.ones(3, 2, dtype=torch.complex64), np.ones((3, 2), complex)):
        with pytest.raises(TypeError, match="real numbers; got dtype"):
            clouds_together(values, values)


def test_history_and_half_precision_are_left_behind():
    torch = pytest.importorskip("torch", reason=WHY["torch"])
    x = torch.ones(4, 3, 2, dtype=torch.bfloat16, requires_grad=True)
    here, there, _ = clouds_together(x, np.zeros((5, 6)))
    assert not here.requires_grad
    assert here.dtype == there.dtype == torch.float32
    assert here.shape == (4, 6)


def test_axes_but_the_first_are_coordinates():
    x, y, home = clouds_together(np.zeros((4, 3, 2), np.float32), [[[1, 2], [3, 4], [5, 6]]])
    assert home is None
    assert x.shape == (4, 6)
    assert y.tolist() == [[1, 2, 3, 4, 5, 6]]
    assert x.dtype == y.dtype == np.float64  # the wider of the two
    assert clouds_together([1.0, 2.0], [3.0])[0].shape == (2, 1)


@pytest.mark.parametrize("name", ["numpy", *WHY])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named(name, bad):
    library = importlib.import_module(name) if name == "numpy" else pytest.importorskip(name, reason=WHY.get(name))
    x, y = clouds(np.float32)
    y[3, 2] = bad
    with pytest.raises(ValueError, match=rf"b should hold finite numbers; point 3 has {bad} at 2"):
        product_costs(library.asarray(x), library.asarray(y), names=("a", "b"))


def test_overflow_is_no_forbidden_pair():
    x = np.array([[1e25], [-1e25]], dtype=np.float32)
    with pytest.raises(ValueError, match="overflow float32"):
        product_costs(x, x)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((3, 2)), np.zeros((3, 3)), "as many coordinates; got 2 and 3"),
        (np.zeros((0, 2)), np.zeros((3, 2)), "at least one point"),
        (np.zeros((3, 0)), np.zeros((3, 0)), "at least one coordinate"),
        (1.0, np.zeros((3, 2)), "got one number"),
    ],
)
def test_shapes(x, y, message):
    with pytest.raises(ValueError, match=message):
        clouds_together(x, y)
