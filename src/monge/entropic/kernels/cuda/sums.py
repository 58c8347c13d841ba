"""The half steps of a problem, as kernels with their grids: chosen once, by what its costs come from."""

from __future__ import annotations

from typing import Any

import numpy as np

from monge.entropic.kernels.cuda import matrix
from monge.entropic.kernels.cuda.device import launch, multiprocessors
from monge.entropic.kernels.cuda.finish import THREADS, finish_matrix, finish_points
from monge.entropic.kernels.cuda.grounds import REGISTERS, built_in, from_other_side, rule_of
from monge.entropic.kernels.cuda.half_step import half_step, shape_of
from monge.entropic.kernels.cuda.tiled import square_of, tiled_half_step

__all__ = ["CloudSums", "MatrixSums", "cut"]

# Blocks that a multiprocessor has at once, and how often it is to have so many: the last ones should not be alone.
_BLOCKS, _TURNS = 4, 5


def cut(count: int, blocks: int, unit: int) -> tuple[int, int]:
    """In how many parts `count` is split among blocks, and how long they are: a multiple of the unit."""
    parts = max(1, min(-(-count // unit), _TURNS * _BLOCKS * multiprocessors() // blocks))
    per = -(-(-(-count // parts)) // unit) * unit
    return -(-count // per), per


class CloudSums:
    """Of points (n, d) and (m, d) and a ground cost.

    Attributes
    ----------
    d : int
        Coordinates of a packed point.
    lifted : bool
        Whether squares are part of what belongs to a point.
    """

    def __init__(self, ground: Any, n: int, m: int, d: int) -> None:
        self.ground, self.sizes, self.d = ground, (n, m), d
        self.lifted = rule_of(ground, d, np.float32, 1).lifted
        self.tiled = d > REGISTERS and built_in(ground)

    def _block(self, real: Any) -> tuple[int, int, int]:
        """Threads of a block, its rows, and columns of a tile."""
        if self.tiled:
            side, rows, columns, _ = square_of(real)
            return side * side, side * rows, side * columns
        threads, rows, columns = self._shape(real)
        return threads, threads * rows, columns

    def _shape(self, real: Any) -> Any:
        return shape_of(self.d, real, self.sizes[0] * self.sizes[1])

    def grid(self, real: Any, side: int) -> tuple[int, int, int]:
        """Blocks of rows, parts of the columns, and columns of a part."""
        n, m = self.sizes if side == 0 else self.sizes[::-1]
        _, rows, columns = self._block(real)
        blocks = -(-n // rows)
        return blocks, *cut(m, blocks, columns)

    def launch(self, real: Any, side: int, stream: Any, ctl: Any, V: Any, X: Any, Y: Any, part: Any) -> None:
        """The rows of X, which have the vectors V, against the columns of Y."""
        n, m = self.sizes if side == 0 else self.sizes[::-1]
        blocks, parts, per = self.grid(real, side)
        ground = self.ground if side == 0 else from_other_side(self.ground)
        if self.tiled:
            kernel = tiled_half_step(ground, self.d, real)
        else:
            kernel = half_step(ground, self.d, real, self._shape(real))
        threads = self._block(real)[0]
        launch(kernel, (blocks, parts), threads, stream, ctl, V, X, Y, part, n, m, per)
        done = finish_points(ground, self.d, real)
        launch(done, -(-n // THREADS), THREADS, stream, ctl, V, X, Y, part, part, parts, n, m, 0, 0, side)


class MatrixSums:
    """Of a cost matrix (n, m), row by row on the device."""

    d, lifted = 0, False

    def __init__(self, C: Any, n: int, m: int) -> None:
        self.C, self.sizes = C, (n, m)

    def grid(self, real: Any, side: int) -> tuple[int, int, int]:
        """Blocks of rows, parts of the columns, and columns of a part."""
        n, m = self.sizes
        if side == 0:
            blocks = -(-n // matrix.ROWS)
            return blocks, *cut(m, blocks, 4 * matrix.THREADS)
        blocks = -(-m // matrix.THREADS)
        return blocks, *cut(n, blocks, 16)

    def launch(self, real: Any, side: int, stream: Any, ctl: Any, V: Any, X: Any, Y: Any, part: Any) -> None:
        """The rows of X, which have the vectors V, against the columns of Y."""
        n, m = self.sizes if side == 0 else self.sizes[::-1]
        blocks, parts, per = self.grid(real, side)
        kernel = (matrix.matrix_rows if side == 0 else matrix.matrix_columns)(real)
        launch(kernel, (blocks, parts), matrix.THREADS, stream, ctl, V, X, Y, self.C, part, n, m, per)
        row, column = (m, 1) if side == 0 else (1, n)
        done = finish_matrix(real)
        launch(done, -(-n // THREADS), THREADS, stream, ctl, V, X, Y, self.C, part, parts, n, m, row, column, side)
