"""Kernels of grids, a product over the axes (Solomon et al. 2015, section 3.3): sums go along one axis at a time.

Along an axis, exponentials of the values over the largest of their line are multiplied by the matrix of the kernel. A
line whose values or whose kernel fall by more than floating-point numbers do, so that a sum is lost, is done again: of
single precision in double, and of double by blocks, each over its own largest value (`lines`), which takes a few times
as long.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.kernels.lines import Lines
from monge.entropic.kernels.grid_sums import grid_transform
from monge.entropic.kernels.threads import Threads
from monge.problem.costs import Grid
from monge.spread.blas import one_thread

__all__ = ["GridKernel"]

Array = NDArray[np.float64]

# For each precision, the logarithm of the least factor, since numbers below the normal ones are slow: a kernel below it
# is zero, and values are raised to it. And the sums that are right to rounding in spite of that, 2^11 terms of it.
_PRECISIONS: dict[Any, tuple[float, float]] = {np.float32: (-87.0, 1e-27), np.float64: (-700.0, 1e-280)}
# By which power of e the kernel falls along an axis for which single precision is worth a try.
_FALLS = 300.0
# Cells up to which the kernel of an axis is a matrix: 32 MB of float64.
_MATRIX = 2**11
# Cells of a chunk, which stay in the cache, and the lines from which a product of matrices is one.
_CHUNK, _LINES = 2**15, 32
# Terms that take as long as one pair of a pass, by which threads know whether they are worth it.
_TERMS = 2**7


class GridKernel:
    """Of a grid of one to three axes; see `reference` for what it offers.

    In single precision a product takes half as long, but what is out of its range is done again: so it is for axes
    along which the kernel falls little.
    """

    accuracy = 1e-12

    def __init__(self, cost: Grid, eps: float, threads: Threads) -> None:
        self.cost, self.eps, self.threads = cost, eps, threads
        self.shape = cost.shape
        with np.errstate(over="ignore"):
            self._axes = [_Axis(-costs / eps, threads) for costs in cost.axis_costs()]
        self.accuracy_in_single = 1e-5 if any(axis.has_single for axis in self._axes) else self.accuracy

    @property
    def T(self) -> GridKernel:
        return self

    def log_sum(self, values: Array, single: bool = False) -> Array:
        """log sum_j exp(values_kj - C_ij / eps), (k, n)."""
        x = np.asarray(values, dtype=np.float64).reshape(len(values), *self.cost.sides)
        with one_thread:
            for axis in range(x.ndim - 1, 0, -1):
                h, inner = x.shape[axis], int(np.prod(x.shape[axis + 1 :]))
                x = self._axes[axis - 1].log_sum(x.reshape(-1, h, inner), single).reshape(x.shape)
        return x.reshape(len(values), -1)

    def transform(self, values: Array) -> Array:
        """min_j C_ij - values_kj, (k, n)."""
        out = np.empty((len(values), self.shape[0]))

        def work(k: int) -> None:
            out[k] = grid_transform(self.cost, values[k])

        self.threads.share(len(values), work, out.size * sum(self.cost.sides) // _TERMS)
        return out


class _Axis:
    """The kernel along one axis: exp(log_kernel[|i - j|])."""

    def __init__(self, log_kernel: Array, threads: Threads) -> None:
        self._threads, self._h = threads, len(log_kernel)
        self._lines = Lines(log_kernel)
        self._top = float(log_kernel.max())
        self._matrices: dict[Any, NDArray[Any]] = {}
        if self._h <= _MATRIX and self._top > -np.inf:
            moves = np.abs(np.arange(self._h)[:, np.newaxis] - np.arange(self._h))
            falls = self._top - float(log_kernel.min())
            for dtype, (least, _) in _PRECISIONS.items():
                if dtype is np.float32 and falls > _FALLS:
                    continue
                with np.errstate(under="ignore"):
                    kernel = np.exp(log_kernel - self._top)
                kernel[log_kernel - self._top < least] = 0.0
                self._matrices[dtype] = kernel.astype(dtype)[moves]

    @property
    def has_single(self) -> bool:
        """Whether single precision is worth a try."""
        return np.float32 in self._matrices

    def log_sum(self, values: Array, single: bool) -> Array:
        """Along the middle axis of the values (outer, h, inner), in a new array."""
        if self._h == 1:
            return values + self._top
        outer, h, inner = values.shape
        out = np.empty_like(values)
        precisions = [dtype for dtype in _PRECISIONS if dtype in self._matrices and (single or dtype is np.float64)]
        # A chunk is so many lines that are next to each other.
        wide = min(inner, max(_CHUNK // h, _LINES))
        high = min(outer, max(_CHUNK // (h * wide), 1))
        across = -(-inner // wide)

        def work(k: int) -> None:
            row, column = divmod(k, across)
            chunk = slice(row * high, (row + 1) * high), slice(None), slice(column * wide, (column + 1) * wide)
            if inner == 1:
                self._fill(values[chunk][:, :, 0], out[chunk][:, :, 0], -1, precisions)
            else:
                self._fill(values[chunk], out[chunk], -2, precisions)

        self._threads.share(-(-outer // high) * across, work, values.size * h // _TERMS)
        return out

    def _fill(self, values: Array, out: Array, axis: int, precisions: list[Any]) -> None:
        """Along an axis, the last or the one before it, in the first of the precisions that will do."""
        if not precisions:
            lines = np.moveaxis(values, axis, -1)
            sums = self._lines.log_sum(lines.reshape(-1, self._h))
            np.moveaxis(out, axis, -1)[...] = sums.reshape(lines.shape)
            return
        dtype, *others = precisions
        least, safe = _PRECISIONS[dtype]
        largest = values.max(axis=axis, keepdims=True)
        something = largest > -np.inf
        shift = np.where(something, largest, 0.0)
        scaled = np.subtract(values, shift, out=np.empty(values.shape, dtype), casting="same_kind")
        np.maximum(scaled, least, out=scaled)
        np.exp(scaled, out=scaled)
        kernel = self._matrices[dtype]
        with np.errstate(under="ignore"):
            sums = scaled @ kernel if axis == -1 else kernel @ scaled
        lost = (sums.min(axis=axis) <= safe) & something.squeeze(axis)
        with np.errstate(divide="ignore"):
            np.log(sums, out=sums)
        np.add(sums, np.add(largest, self._top, out=shift), out=out)
        if lost.any():
            lines = np.moveaxis(values, axis, -1)[lost]
            again = np.empty_like(lines)
            self._fill(lines, again, -1, others)
            np.moveaxis(out, axis, -1)[lost] = again
