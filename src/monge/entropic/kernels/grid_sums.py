"""Sums over the cells of a grid, one axis at a time.

log sum_j exp(v_j - C_ij / eps)   for all cells i, where C_ij = sum_k c_k(|i_k - j_k|)

The kernel exp(-C / eps) is a product over the axes, so the sum over all cells is a sum along one axis after the other
(Solomon et al. 2015, "Convolutional Wasserstein distances", section 3.3): n (n_1 + ... + n_d) terms instead of n^2.
Along an axis the sum is a convolution with the same few numbers for all lines, and only one exponential and one
logarithm per cell are left to take.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.jit import jit
from monge.entropic.kernels.threads import CHUNKS, Threads
from monge.problem.costs import Grid

__all__ = ["GridSums", "axis_log_sum", "grid_transform"]

Array = NDArray[np.float64]

# Terms below LOST times the largest of their line may be dropped, and sums above SAFE times it are right to rounding in
# spite of that: a line of a million cells loses 1e-14 of them. Other sums are done again with their own largest term.
_LOST, _SAFE = 1e-300, 1e-280

# exp(-50) times the number of terms is beyond the last digit of a sum.
_BEYOND = 50.0

# Terms that take as long as one pair of a pass, by which threads know whether they are worth it; and those of a chunk
# of lines, a quarter of a millisecond.
_TERMS, _CHUNK = 2**7, 2**22


class GridSums:
    """exp(-C / eps) for the cost of a grid, to be summed against.

    Parameters
    ----------
    grid : Grid
    eps : float
        In cost units, > 0.
    threads : Threads
        The bits of the sums are the same for any number.
    """

    def __init__(self, grid: Grid, eps: float, threads: Threads) -> None:
        self.sides, self.threads = grid.sides, threads
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

    def _along(self, values: Array, log_kernel: Array) -> Array:
        terms, sums = values.size * len(log_kernel), np.empty(values.shape)
        chunks = min(CHUNKS, len(values), 1 + terms // _CHUNK)

        def work(k: int) -> None:
            lines = slice(k * len(values) // chunks, (k + 1) * len(values) // chunks)
            sums[lines] = axis_log_sum(values[lines], log_kernel)

        self.threads.share(chunks, work, terms // _TERMS)
        return sums


def axis_log_sum(values: Array, log_kernel: Array) -> Array:
    """out[l, i] = log sum_k exp(values[l, k] + log_kernel[|i - k|]). Releases the interpreter for the most part.

    Parameters
    ----------
    values : ndarray (lines, h)
    log_kernel : ndarray (h,)

    Returns
    -------
    ndarray (lines, h)
    """
    top = log_kernel.max()
    if top == -np.inf:
        return np.full(values.shape, -np.inf)
    largest = values.max(axis=1, keepdims=True)
    shift = np.where(largest > -np.inf, largest, 0.0)
    sums = np.zeros(values.shape)
    with np.errstate(divide="ignore", under="ignore"):
        # NumPy's exponentials and logarithms are vectorised, compiled ones are not.
        _convolve(np.exp(values - shift), np.exp(log_kernel - top), sums)
        out: Array = np.log(sums)
    out += shift + top
    if not sums.min() > _SAFE:
        _log_sum_again(values, log_kernel, sums, out)
    return out


@jit
def _convolve(scaled, kernel, sums):  # type: ignore[no-untyped-def]
    """sums[l, i] += sum_k scaled[l, k] kernel[|i - k|]. Modifies sums in place."""
    lines, h = sums.shape
    padded = (h + 7) // 8 * 8  # eight terms at a time
    # The kernel on both sides of its middle, at `padded`, and zeros where no cell is, or where nothing would arrive.
    both = np.zeros(2 * padded + 8)
    band = 0
    for d in range(h):
        if kernel[d] > _LOST:
            both[padded + d] = both[padded - d] = kernel[d]
            band = d
    line_scaled = np.zeros(padded)
    for line in range(lines):
        line_scaled[:h] = scaled[line]
        for k in range(0, padded, 8):
            first, last = max(0, k - band), min(h, k + 8 + band)
            if first < last:
                _add_eight(line_scaled[k : k + 8], both[padded - k - 7 + first :], sums[line, first:last])


# One product after the other is added to the sum of a cell, so that the sum has the same bits wherever its line is
# worked on; `contract` makes one instruction of each, and vectors run across the cells.
@jit
def _add_eight(u, kernel, sums):  # type: ignore[no-untyped-def]
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


@jit
def _log_sum_again(values, log_kernel, sums, out):  # type: ignore[no-untyped-def]
    """Where sums are not safe, out[l, i] = log sum_k exp(values[l, k] + log_kernel[|i - k|]) about its largest term."""
    lines, h = values.shape
    both = np.empty(2 * h - 1)
    for d in range(h):
        both[h - 1 + d] = both[h - 1 - d] = log_kernel[d]
    for line in range(lines):
        v = values[line]
        for i in range(h):
            if sums[line, i] > _SAFE:
                continue
            moves = both[h - 1 - i :]
            largest = -np.inf
            for k in range(h):
                largest = max(largest, v[k] + moves[k])
            total = 0.0
            for k in range(h):
                below = v[k] + moves[k] - largest
                if below > -_BEYOND:  # false for NaN too, where all terms are -inf
                    total += math.exp(below)
            out[line, i] = largest + math.log(total) if total > 0.0 else -np.inf


def grid_transform(grid: Grid, potential: Array) -> Array:
    """min_j C_ij - potential_j, (n,): a minimum along one axis after the other. -inf stands for a cell left out."""
    x = -np.asarray(potential, dtype=np.float64).reshape(grid.sides)
    for axis, costs in enumerate(grid.axis_costs()):
        lines = np.ascontiguousarray(np.moveaxis(x, axis, -1))
        least = np.full_like(lines, np.inf)
        _axis_min(lines.reshape(-1, len(costs)), costs, least.reshape(-1, len(costs)))
        x = np.moveaxis(least, -1, axis)
    return x.reshape(-1)


@jit
def _axis_min(values, costs, least):  # type: ignore[no-untyped-def]
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
