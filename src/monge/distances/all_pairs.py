"""Sums over all pairs of points of a symmetric kernel, without its matrix.

Pairs are gone through in tiles that fit a processor's cache, each pair once for both of its points. Tiles are spread
over the threads, and what they give is added up in their order: any number of threads gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from monge.distances.kernels import Kernel
from monge.entropic.kernels.threads import Threads

__all__ = ["forces", "potentials"]

Array = NDArray[np.float64]

# Tiles in work at a time, whose sums are kept until they are added up.
_AT_ONCE = 64


def potentials(kernel: Kernel, z: Array, V: Array, threads: int) -> Array:
    """sum_j k(z_i, z_j) V_jc for points z (N, d) and V (N, c), as an (N, c) array."""

    def tile(rows: slice, columns: slice) -> tuple[Array, Array]:
        K = kernel.values(z, rows, columns)
        return K @ V[columns], K.T @ V[rows]

    return _summed(tile, V.shape, kernel.side(z.shape[1]), threads)


def forces(kernel: Kernel, z: Array, V: Array, itself: bool, threads: int) -> Array:
    """sum_j V_jc dk/dx(z_i, z_j), (N, c, d); `itself` says whether j = i counts."""

    def tile(rows: slice, columns: slice) -> tuple[Array, Array]:
        return kernel.forces(z, rows, columns, V, itself)

    return _summed(tile, (*V.shape, z.shape[1]), kernel.side(z.shape[1]), threads)


def _summed(
    tile: Callable[[slice, slice], tuple[Array, Array]], shape: tuple[int, ...], side: int, threads: int
) -> Array:
    """What tiles say of their rows, and of their columns where those are others, added up in an array of `shape`."""
    n = shape[0]
    parts = [slice(first, min(first + side, n)) for first in range(0, n, side)]
    tiles = [(rows, columns) for k, rows in enumerate(parts) for columns in parts[k:]]
    total = np.zeros(shape)
    with Threads(threads if len(tiles) > 1 else 1) as team:
        for first in range(0, len(tiles), _AT_ONCE):
            some = tiles[first : first + _AT_ONCE]
            sums = team.share(len(some), lambda k, some=some: tile(*some[k]), len(some) * side * side)  # type: ignore[misc]
            for (rows, columns), (of_rows, of_columns) in zip(some, sums, strict=True):
                total[rows] += of_rows
                if rows != columns:
                    total[columns] += of_columns
    return total
