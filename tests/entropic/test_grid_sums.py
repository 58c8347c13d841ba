"""Sums and minima along the axes of a grid against the definition: over all pairs of cells."""

from __future__ import annotations

import re

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

import monge
from monge.entropic.kernels import grid_sums, threads
from monge.entropic.kernels.grid_sums import GridSums, axis_log_sum, grid_transform
from monge.entropic.kernels.threads import Threads
from monge.exact.dense import dense

GRIDS = [
    monge.Grid(1),
    monge.Grid(9),
    monge.Grid((5, 17), power=1),
    monge.Grid((8, 1, 3), power=1.5, spacing=(1, 2, 3)),
    monge.Grid((16, 7), power=2, spacing=0.5),
    monge.Grid((3, 4, 5), power=0.5),
]
EPS = [1e3, 1.0, 1e-1, 1e-3, 1e-6]

# A sum of some hundred terms and the rounding of its exponents, which are differences of numbers of the size of the
# values and of C / eps.
ROUNDING = 64 * np.finfo(np.float64).eps

ALONE = Threads(1)


def sample(grid, seed, spread, zeros=0.0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=grid.shape[0]) * spread
    values[rng.random(values.size) < zeros] = -np.inf
    return values


def axis_log_sum_specified(values, log_kernel):
    """out[l, i] = log sum_k exp(values[l, k] + log_kernel[|i - k|]), one line after the other."""
    cells = np.arange(len(log_kernel))
    kernel = log_kernel[np.abs(cells[:, np.newaxis] - cells)]  # (h, h)
    out = np.empty_like(values)
    for line, sums in zip(values, out, strict=True):
        terms = line + kernel  # (h, h)
        largest = terms.max(axis=1)
        shift = np.where(np.isfinite(largest), largest, 0.0)
        with np.errstate(divide="ignore", under="ignore"):
            sums[:] = shift + np.log(np.exp(terms - shift[:, np.newaxis]).sum(axis=1))
    return out


def assert_close(found, expected, values):
    """To rounding, and without a value where no value is."""
    np.testing.assert_array_equal(np.isneginf(found), np.isneginf(expected))
    finite = np.isfinite(expected)
    size = 1.0 + np.abs(values[np.isfinite(values)]).max(initial=0.0) + np.abs(expected[finite]).max(initial=0.0)
    # Exponents that matter are as far below zero as the result allows: their C / eps is at most the difference.
    assert np.abs(found[finite] - expected[finite]).max(initial=0.0) <= ROUNDING * size


@pytest.mark.parametrize("spread", [1.0, 1e2, 1e4])
@pytest.mark.parametrize("eps", EPS)
@pytest.mark.parametrize("grid", GRIDS, ids=repr)
def test_log_sum_is_over_all_pairs(grid, eps, spread):
    C = dense(grid, 1)
    for seed, zeros in enumerate((0.0, 0.5)):
        values = sample(grid, seed, spread, zeros)
        assert_close(GridSums(grid, eps, ALONE).log_sum(values), logsumexp(values - C / eps, axis=1), values)


@pytest.mark.parametrize("eps", EPS)
@pytest.mark.parametrize("grid", GRIDS, ids=repr)
def test_log_cost_sum_is_over_all_pairs(grid, eps):
    C = dense(grid, 1)
    values = sample(grid, 0, 10.0)
    with np.errstate(divide="ignore"):
        expected = logsumexp(values - C / eps + np.log(C), axis=1)
    assert_close(GridSums(grid, eps, ALONE).log_cost_sum(values), expected, values)


@given(
    h=st.integers(1, 40),
    eps=st.sampled_from([1e-9, 1e-4, 1e-2, 1.0, 1e5]),
    power=st.sampled_from([0.5, 1.0, 2.0]),
    spread=st.sampled_from([0.0, 1.0, 600.0, 800.0, 1e6]),
    zeros=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    seed=st.integers(0, 2**32),
)
def test_compiled_as_specified(h, eps, power, spread, zeros, seed):
    rng = np.random.default_rng(seed)
    values = rng.uniform(-1.0, 1.0, (3, h)) * spread
    values[rng.random(values.shape) < zeros] = -np.inf
    log_kernel = -(np.arange(h) ** power) / eps
    found, expected = axis_log_sum(values, log_kernel), axis_log_sum_specified(values, log_kernel)
    assert_close(found, expected, values)


def test_nothing_at_all():
    grid = monge.Grid((4, 5))
    assert np.isneginf(GridSums(grid, 1.0, ALONE).log_sum(np.full(20, -np.inf))).all()
    assert np.isneginf(GridSums(monge.Grid(1), 1.0, ALONE).log_cost_sum(np.zeros(1))).all()


def test_one_cell_reaches_all_at_any_eps():
    # exp(-C / eps) is zero in floating point for all but the cell itself: its logarithm is not.
    grid = monge.Grid((30, 30))
    values = np.full(900, -np.inf)
    values[0] = 0.0
    np.testing.assert_allclose(GridSums(grid, 1e-8, ALONE).log_sum(values), -dense(grid, 1)[:, 0] / 1e-8, rtol=1e-15)


def test_same_bits_for_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(threads, "PARALLEL_ONCE", 0)
    monkeypatch.setattr(grid_sums, "_CHUNK", 2**10)
    grid = monge.Grid((37, 21))
    for eps, spread in ((50.0, 3.0), (1e-3, 900.0)):
        values = sample(grid, 0, spread)
        one, two, many = (GridSums(grid, eps, Threads(number)).log_sum(values) for number in (1, 2, 64))
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, many)


def test_values_are_left_as_they_are():
    grid = monge.Grid((6, 5))
    values = sample(grid, 0, 1.0)
    before = values.copy()
    GridSums(grid, 1.0, ALONE).log_sum(values)
    np.testing.assert_array_equal(values, before)


def test_the_convolution_is_vectorised():
    # Compiled here and now: what comes from the cache has no assembly to show.
    compiled = numba.njit(fastmath={"contract"})(grid_sums._add_eight.py_func)
    compiled(np.zeros(8), np.zeros(16), np.zeros(8))
    packed = re.findall(r"\bv?(?:mul|add)pd|vfmadd\w*pd|fm(?:la|ul)\s+v\d+\.2d", *compiled.inspect_asm().values())
    assert len(packed) >= 8


@pytest.mark.parametrize("grid", GRIDS, ids=repr)
def test_transform_is_the_least_over_all_cells(grid):
    C, g = dense(grid, 1), sample(grid, 0, 3.0, 0.3)
    np.testing.assert_allclose(grid_transform(grid, g), (C - g).min(axis=1), rtol=0, atol=1e-14 * (3.0 + C.max()))
