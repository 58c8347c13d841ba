"""Sums over the cells of a grid, one axis at a time.

log sum_j exp(v_j - C_ij / eps)   for all cells i, where C_ij = sum_k c_k(|i_k - j_k|)

The kernel exp(-C / eps) is a product over the axes, so the sum over all cells is a sum along one axis after the other
(Solomon et al. 2015, "Convolutional Wasserstein distances", section 3.3): n (n_1 + ... + n_d) terms instead of n^2.
Along an axis the sum is a convolution with the same few numbers for all lines, and only one exponential and one
logarithm per cell are left to take.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from monge.problem.arrays import available_threads
from monge.problem.costs import Grid

__all__ = ["GridKernel", "GridSums", "axis_log_sum", "axis_log_sum_reference", "grid_transform"]

Array = NDArray[np.float64]

# Terms below LOST times the largest of their line may be dropped, and sums above SAFE times it are right to rounding in
# spite of that: a line of a million cells loses 1e-14 of them. Other sums are done again with their own largest term.
_LOST, _SAFE = 1e-300, 1e-280

# exp(-50) times the number of terms is beyond the last digit of a sum.
_BEYOND = 50.0

# Cells times the length of a line below which threads cost more than they bring: about a millisecond of work.
_WORTH_THREADS = 1 << 24


class GridKernel:
    """Sinkhorn passes between two histograms on a grid, as `reference` specifies them; always in double precision.

    Parameters
    ----------
    grid : Grid
    a, b : ndarray (n,)
        Weights.
    rows : Marginal
        The demand on the rows.
    threads : int, optional
        None for all processors; the potentials have the same bits for any number.
    """

    noise = math.inf

    def __init__(self, grid: Grid, a: Array, b: Array, rows: Any, threads: int | None = None) -> None:
        self.grid, self.rows, self.threads = grid, rows, threads
        with np.errstate(divide="ignore"):
            self.log_a, self.log_b = np.log(a), np.log(b)
        # On an axis of h cells, h - |d| pairs are d cells apart, on either side.
        self.scale = sum(
            float(2.0 * np.dot(np.arange(len(c), 0, -1), c) - len(c) * c[0]) / len(c) ** 2 for c in grid.axis_costs()
        )

    def sweep(self, g: Array, eps: float, single: bool, f: Array, s: Array) -> None:
        """One pass; f (n,) and s (n,) are modified in place."""
        sums = GridSums(self.grid, eps, self.threads)
        r = -eps * sums.log_sum(self.log_b + g / eps)
        f[:] = np.clip(r / (1.0 + eps / self.rows.kl), -self.rows.cap, self.rows.cap)
        s[:] = -eps * sums.log_sum(self.log_a + f / eps)


class GridSums:
    """exp(-C / eps) for the cost of a grid, to be summed against.

    Parameters
    ----------
    grid : Grid
    eps : float
        In cost units, > 0.
    threads : int, optional
        None for all processors; the bits of the sums are the same for any number.
    along : callable
        How to sum along the lines of an axis: `axis_log_sum`, or the specification `axis_log_sum_reference`.
    """

    def __init__(
        self,
        grid: Grid,
        eps: float,
        threads: int | None = None,
        along: Callable[[Array, Array], Array] | None = None,
    ) -> None:
        self.sides = grid.sides
        self.threads = available_threads(threads)
        self._along = along or self._spread
        costs = grid.axis_costs()
        with np.errstate(divide="ignore", over="ignore"):
            self._log_kernels = [-c / eps for c in costs]
            self._log_costs = [np.log(c) + k for c, k in zip(costs, self._log_kernels, strict=True)]

    def log_sum(self, values: Array) -> Array:
        """log sum_j exp(values_j - C_ij / eps), (n,). -inf is a value, +inf is not."""
        return self._over_axes(values, self._log_kernels)

    def log_cost_sum(self, values: Array) -> Array:
        """log sum_j C_ij exp(values_j - C_ij / eps), (n,): one term per axis, in which that axis pays."""
        terms = [
            self._over_axes(values, [costs if k == axis else kernel for k, kernel in enumerate(self._log_kernels)])
            for axis, costs in enumerate(self._log_costs)
        ]
        total: Array = np.logaddexp.reduce(terms, axis=0)
        return total

    def _over_axes(self, values: Array, log_kernels: list[Array]) -> Array:
        x = np.asarray(values, dtype=np.float64).reshape(self.sides)
        for axis, log_kernel in enumerate(log_kernels):
            if len(log_kernel) > 1 or log_kernel[0] != 0.0:
                lines = np.ascontiguousarray(np.moveaxis(x, axis, -1))
                sums = self._along(lines.reshape(-1, len(log_kernel)), log_kernel)
                x = np.moveaxis(sums.reshape(lines.shape), -1, axis)
        return x.reshape(-1)

    def _spread(self, values: Array, log_kernel: Array) -> Array:
        if self.threads == 1 or values.size * len(log_kernel) < _WORTH_THREADS:
            return axis_log_sum(values, log_kernel)
        out = np.empty_like(values)
        parts = min(self.threads, len(values))
        ends = [k * len(values) // parts for k in range(parts + 1)]
        with ThreadPoolExecutor(parts) as pool:
            list(
                pool.map(
                    lambda k: _axis_log_sum(values[ends[k] : ends[k + 1]], log_kernel, out[ends[k] : ends[k + 1]]),
                    range(parts),
                )
            )
        return out


def axis_log_sum_reference(values: Array, log_kernel: Array) -> Array:
    """out[l, i] = log sum_k exp(values[l, k] + log_kernel[|i - k|]): the specification.

    Parameters
    ----------
    values : ndarray (lines, h)
    log_kernel : ndarray (h,)

    Returns
    -------
    ndarray (lines, h)
    """
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


def axis_log_sum(values: Array, log_kernel: Array) -> Array:
    """As `axis_log_sum_reference`, compiled. Releases the GIL."""
    out = np.empty_like(values)
    _axis_log_sum(values, log_kernel, out)
    return out


@njit(nogil=True, cache=True)
def _axis_log_sum(values: Any, log_kernel: Any, out: Any) -> None:
    """Writes the sums into out (lines, h). Modifies out in place."""
    lines, h = values.shape
    padded = (h + 7) // 8 * 8  # the convolution takes eight terms at a time
    # The kernel on both sides of its middle, at `padded`, and zeros where no cell is, or where nothing would arrive.
    kernel = np.zeros(2 * padded + 8)
    log_both = np.empty(2 * h - 1)
    band = 0
    for d in range(h):
        log_both[h - 1 + d] = log_both[h - 1 - d] = log_kernel[d]
    top = log_kernel.max()
    if top > -np.inf:
        for d in range(h):
            factor = math.exp(log_kernel[d] - top)
            if factor > _LOST:
                kernel[padded + d] = kernel[padded - d] = factor
                band = d
    scaled, sums = np.zeros(padded), np.empty(padded)
    for line in range(lines):
        v = values[line]
        largest = v.max()
        if largest == -np.inf or top == -np.inf:
            out[line, :] = -np.inf
            continue
        for k in range(h):
            scaled[k] = math.exp(v[k] - largest)
        sums[:] = 0.0
        for k in range(0, padded, 8):
            first, last = max(0, k - band), min(h, k + 8 + band)
            if first < last:
                _add_eight(scaled[k : k + 8], kernel[padded - k - 7 + first :], sums[first:last])
        for i in range(h):
            if sums[i] > _SAFE:
                out[line, i] = largest + top + math.log(sums[i])
            else:
                out[line, i] = _log_sum(v, log_both[h - 1 - i : 2 * h - 1 - i])


# One product after the other is added to the sum of a cell, so that the sum has the same bits wherever its line is
# worked on; `contract` makes one instruction of each, and vectors run across the cells.
@njit(nogil=True, cache=True, fastmath={"contract"})
def _add_eight(u: Any, kernel: Any, sums: Any) -> None:
    """sums[i] += sum_q u[q] kernel[i + 7 - q], q < 8: one load and one store of the sum for eight products."""
    u0, u1, u2, u3, u4, u5, u6, u7 = u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7]
    for i in range(len(sums)):
        sums[i] += (
            u0 * kernel[i + 7]
            + u1 * kernel[i + 6]
            + u2 * kernel[i + 5]
            + u3 * kernel[i + 4]
            + u4 * kernel[i + 3]
            + u5 * kernel[i + 2]
            + u6 * kernel[i + 1]
            + u7 * kernel[i]
        )


@njit(nogil=True, cache=True)
def _log_sum(v: Any, log_kernel: Any) -> float:
    """log sum_k exp(v[k] + log_kernel[k]) about its largest term."""
    largest = -np.inf
    for k in range(len(v)):
        largest = max(largest, v[k] + log_kernel[k])
    if largest == -np.inf:
        return -np.inf
    total = 0.0
    for k in range(len(v)):
        term = v[k] + log_kernel[k] - largest
        if term > -_BEYOND:
            total += math.exp(term)
    return largest + math.log(total)


def grid_transform(grid: Grid, potential: Array) -> Array:
    """min_j C_ij - potential_j, (n,): a minimum along one axis after the other. -inf stands for a cell left out."""
    x = -np.asarray(potential, dtype=np.float64).reshape(grid.sides)
    for axis, costs in enumerate(grid.axis_costs()):
        lines = np.ascontiguousarray(np.moveaxis(x, axis, -1))
        least = np.full_like(lines, np.inf)
        _axis_min(lines.reshape(-1, len(costs)), costs, least.reshape(-1, len(costs)))
        x = np.moveaxis(least, -1, axis)
    return x.reshape(-1)


@njit(nogil=True, cache=True)
def _axis_min(values: Any, costs: Any, least: Any) -> None:
    """least[l, i] = min_k values[l, k] + costs[|i - k|], which are infinite before. Modifies least in place."""
    lines, h = values.shape
    both = np.empty(2 * h - 1)
    for d in range(h):
        both[h - 1 + d] = both[h - 1 - d] = costs[d]
    for line in range(lines):
        out = least[line]
        for k in range(h):
            value, moves = values[line, k], both[h - 1 - k :]
            if value < np.inf:
                for i in range(h):
                    sent = value + moves[i]
                    out[i] = sent if sent < out[i] else out[i]
