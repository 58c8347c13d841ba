"""Sums along lines of cells in the log domain, right for any values, at a few exponentials per cell.

out_i = log sum_j exp(v_j + l_|i - j|)

A line is cut into blocks of B cells. Within a block the values are taken over their largest, m_J, and the kernel
between two blocks over its largest. So that

out_i = s_I + log sum_J exp(m_J + top_(I - J) - s_I) sum_(j in J) exp(v_j - m_J) exp(l_|i - j| - top_(I - J))

with s_I the largest of the exponents in the middle. B is so small that the last factor stays above exp(-RANGE): the
cell of block J in which m_J is reached arrives everywhere in I, and the block that s_I comes from is never lost, nor is
anything next to which what is lost matters, whatever the values are. Pairs of blocks of which nothing can be seen
beside others are left out, and where the kernel is narrow those are most.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.jit import jit

__all__ = ["Lines"]

Array = NDArray[np.float64]

# What the kernel may fall by between two blocks, in logarithms, and the value over the largest of its block to which
# lower ones are raised, since numbers below the normal ones are slow: they are none beside exp(-600) of the largest.
_RANGE, _LEAST = 600.0, -700.0
# Below the least that arrives at a block from another by which pairs are left out: exp(-50) times the number of terms.
_UNSEEN = 50.0
# Cells of a block, the most first: eight numbers make a vector.
_BLOCKS = (8, 4, 2, 1)


class Lines:
    """The kernel along an axis.

    Parameters
    ----------
    log_kernel : ndarray (h,)
        Of 0, 1, 2, ... cells. -inf is a value.
    """

    def __init__(self, log_kernel: Array) -> None:
        for block in _BLOCKS:
            self._block, (self._tops, self._bottoms, self._table) = block, _tables(log_kernel, block)
            if not self._falls() > _RANGE:
                break

    def _falls(self) -> float:
        with np.errstate(invalid="ignore"):
            falls = self._tops - self._bottoms
        return float(np.where(self._tops > -np.inf, falls, 0.0).max())

    def log_sum(self, values: Array) -> Array:
        """log sum_j exp(values[l, j] + log_kernel[|i - j|]), (lines, h). Lets go of the interpreter for the most part.

        -inf is a value, +inf is not.
        """
        lines, h = values.shape
        block = self._block
        padded = -(-h // block) * block
        scaled = np.full((lines, padded), -np.inf)
        scaled[:, :h] = values
        largest = np.empty((lines, padded // block))
        _take_largest(scaled, largest, block)
        np.maximum(scaled, _LEAST, out=scaled)
        np.exp(scaled, out=scaled)
        sums, shifts = np.zeros((lines, padded)), np.empty_like(largest)
        add = _add_eights if block == 8 else _add_blocks
        add(scaled, largest, self._tops, self._bottoms, self._table, sums, shifts)
        with np.errstate(divide="ignore"):
            np.log(sums, out=sums)
        sums.reshape(lines, -1, block)[...] += shifts[:, :, np.newaxis]
        return np.ascontiguousarray(sums[:, :h])


def _tables(log_kernel: Array, block: int) -> tuple[Array, Array, Array]:
    """Between a block and one that is D blocks further, D = 1 - b, ..., b - 1: the largest and the least of the log
    kernel, and the kernel over its largest, for t = 1 - block, ..., block - 1 cells more than D blocks."""
    h = len(log_kernel)
    b = -(-h // block)
    cells = np.abs(np.arange(1 - b, b)[:, np.newaxis] * block + np.arange(1 - block, block))
    inside = cells < h
    logs = log_kernel[np.minimum(cells, h - 1)]
    tops = np.where(inside, logs, -np.inf).max(axis=1)
    bottoms = np.where(inside, logs, np.inf).min(axis=1)
    with np.errstate(invalid="ignore", under="ignore"):
        table = np.exp(np.where(inside & (tops > -np.inf)[:, np.newaxis], logs - tops[:, np.newaxis], 0.0))
    return tops, bottoms, np.ascontiguousarray(table)


@jit
def _take_largest(values, largest, block):  # type: ignore[no-untyped-def]
    """The largest of each block, which is taken off its values in place."""
    lines, h = values.shape
    for line in range(lines):
        for of in range(h // block):
            cells = values[line, of * block : (of + 1) * block]
            most = -np.inf
            for q in range(block):
                most = max(most, cells[q])
            largest[line, of] = most
            if most > -np.inf:
                for q in range(block):
                    cells[q] -= most


@jit
def _bounds(largest, tops, bottoms, shifts, least):  # type: ignore[no-untyped-def]
    """For each block, the largest log of what arrives from another, and the least log of what arrives in sum."""
    b = len(largest)
    shifts[:] = -np.inf
    least[:] = -np.inf
    for of in range(b):
        most, top, bottom = largest[of], tops[b - 1 - of :], bottoms[b - 1 - of :]
        for to in range(b):
            arrives = most + top[to]
            shifts[to] = arrives if arrives > shifts[to] else shifts[to]
        for to in range(b):
            arrives = most + bottom[to]
            least[to] = arrives if arrives > least[to] else least[to]


@jit
def _add_eights(scaled, largest, tops, bottoms, table, sums, shifts):  # type: ignore[no-untyped-def]
    """Sums over blocks of eight cells, and their shifts. Modifies both in place."""
    lines, b = largest.shape
    least = np.empty(b)
    for line in range(lines):
        m = largest[line]
        _bounds(m, tops, bottoms, shifts[line], least)
        for to in range(b):
            shift, seen = shifts[line, to], least[to] - _UNSEEN
            out = sums[line, to * 8 : to * 8 + 8]
            for of in range(b):
                apart = to - of + b - 1
                arrives = m[of] + tops[apart]
                if arrives >= seen and arrives > -np.inf:
                    scale = math.exp(arrives - shift)
                    u, kernel = scaled[line, of * 8 : of * 8 + 8], table[apart]
                    u0, u1, u2, u3 = u[0] * scale, u[1] * scale, u[2] * scale, u[3] * scale
                    u4, u5, u6, u7 = u[4] * scale, u[5] * scale, u[6] * scale, u[7] * scale
                    for i in range(8):
                        out[i] += (
                            u0 * kernel[i + 7]
                            + u1 * kernel[i + 6]
                            + u2 * kernel[i + 5]
                            + u3 * kernel[i + 4]
                            + u4 * kernel[i + 3]
                            + u5 * kernel[i + 2]
                            + u6 * kernel[i + 1]
                            + u7 * kernel[i]
                        )
            if not shift > -np.inf:
                shifts[line, to] = 0.0


@jit
def _add_blocks(scaled, largest, tops, bottoms, table, sums, shifts):  # type: ignore[no-untyped-def]
    """The same over smaller blocks."""
    lines, b = largest.shape
    block = scaled.shape[1] // b
    least = np.empty(b)
    for line in range(lines):
        m = largest[line]
        _bounds(m, tops, bottoms, shifts[line], least)
        for to in range(b):
            shift, seen = shifts[line, to], least[to] - _UNSEEN
            out = sums[line, to * block : (to + 1) * block]
            for of in range(b):
                apart = to - of + b - 1
                arrives = m[of] + tops[apart]
                if arrives >= seen and arrives > -np.inf:
                    scale = math.exp(arrives - shift)
                    u, kernel = scaled[line, of * block : (of + 1) * block], table[apart]
                    for q in range(block):
                        for i in range(block):
                            out[i] += u[q] * scale * kernel[i + block - 1 - q]
            if not shift > -np.inf:
                shifts[line, to] = 0.0
