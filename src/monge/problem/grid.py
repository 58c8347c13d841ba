"""Costs between the cells of a grid, which are sums over its axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem._ground import LARGEST_COST
from monge.problem.arrays import positive, real_array, sampled, shown

__all__ = ["Grid", "axes_of"]

# How much the distances of neighbours on an axis may differ, relative to them: coordinates may be in single precision.
_EVEN = 1e-3


class Grid:
    """The cost between the cells of a regular grid, for histograms such as images: C_ij = sum_k |s_k (i_k - j_k)|^p.

    Cells are numbered as `numpy.ravel` does, so that the weights of an image are ``image.ravel()``. The cost is a sum
    over the axes, which `monge.sinkhorn` uses to work on one axis at a time; `monge.emd` computes all of it.

    Parameters
    ----------
    sides : tuple of int
        Number of cells along each of one to three axes; an integer stands for a line of cells.
    power : float
        The exponent p > 0. With 2, the cost is the squared Euclidean distance; with 1, the cityblock distance.
    spacing : float or tuple of float
        The distance s_k between neighbours, for all axes or for each.

    Attributes
    ----------
    sides : tuple of int
        Number of cells along each axis.
    shape : (int, int)
        (n, n), n the number of cells.

    Raises
    ------
    TypeError
        If a side is not an integer, or the power or the spacing not a number.
    ValueError
        For no axes or more than three, a side below one, a power or a spacing that is not positive and finite, or
        costs that would overflow.

    Examples
    --------
    >>> import numpy as np, monge
    >>> image = np.zeros((4, 5))
    >>> image[0, 0] = 1.0
    >>> moved = np.roll(image, (2, 3), axis=(0, 1))
    >>> monge.emd(monge.Grid(image.shape), image.ravel(), moved.ravel()).value  # 2^2 + 3^2
    13.0
    """

    def __init__(
        self, sides: int | tuple[int, ...], power: float = 2.0, *, spacing: float | tuple[float, ...] = 1.0
    ) -> None:
        self.sides = _sides(sides)
        self.power = positive(power, "the power of a grid")
        each = spacing if isinstance(spacing, tuple | list | np.ndarray) else (spacing,) * len(self.sides)
        if len(each) != len(self.sides):
            raise ValueError(
                f"spacing should be a number, or one for each of the {len(self.sides)} axes; got {shown(spacing)}."
            )
        self.spacing = tuple(positive(s, "the spacing of a grid") for s in each)
        longest = max(s * max(n - 1, 1) for n, s in zip(self.sides, self.spacing, strict=True))
        if self.power * math.log(longest) > math.log(LARGEST_COST / 3.0):
            raise ValueError(f"costs of {self!r} would overflow float64. Choose a smaller spacing or power.")

    stored, cloud, formed, home = False, None, None, None

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n), n the number of cells."""
        cells = math.prod(self.sides)
        return cells, cells

    @property
    def dtype(self) -> np.dtype[np.float64]:
        """In which the costs are computed."""
        return np.dtype(np.float64)

    def axis_costs(self) -> list[NDArray[Any]]:
        """For each axis, the cost of moving by 0, 1, 2, ... cells along it."""
        with np.errstate(under="ignore"):
            return [(s * np.arange(n)) ** self.power for n, s in zip(self.sides, self.spacing, strict=True)]

    @property
    def T(self) -> Grid:
        """The cost from the columns to the rows."""
        return self

    @property
    def bound(self) -> float:
        """The largest cost."""
        return float(sum(moves[-1] for moves in self.axis_costs()))

    def largest(self, negligible: float) -> float:
        """About the largest |cost|."""
        return float(self.sample().max())

    def sample(self) -> NDArray[np.float64]:
        """Costs between some of the cells, evenly spread."""
        places = sampled(self.shape[0])
        return self.between(places, places)

    def block(self, rows: slice | NDArray[np.intp]) -> NDArray[np.float64]:
        """The costs (k, n) of some rows."""
        cells = np.unravel_index(np.arange(self.shape[0])[rows], self.sides)
        block = np.zeros((len(cells[0]), *self.sides))
        for axis, (places, moves) in enumerate(zip(cells, self.axis_costs(), strict=True)):
            along = moves[np.abs(places[:, np.newaxis] - np.arange(len(moves)))]  # (k, side)
            block += along.reshape(len(along), *(len(moves) if k == axis else 1 for k in range(len(self.sides))))
        return block.reshape(len(block), -1)

    def between(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
        """The costs (k, l) between some rows and some columns."""
        return self.at(rows[:, np.newaxis], columns)  # a whole row may not fit into memory

    def at(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
        """The costs of some pairs, for indices of any shapes that go together."""
        places = zip(np.unravel_index(rows, self.sides), np.unravel_index(columns, self.sides), strict=True)
        moves = [np.abs(here - there) for here, there in places]
        return np.asarray(sum(costs[move] for costs, move in zip(self.axis_costs(), moves, strict=True)))

    def checked(self) -> tuple[None, float]:
        """That no arc is forbidden, and that its costs were checked when it was made."""
        return None, 0.0

    def require_symmetric(self) -> None:
        """It is."""

    def __repr__(self) -> str:
        return f"Grid({self.sides}, power={self.power:g}, spacing={self.spacing})"


def _sides(sides: Any) -> tuple[int, ...]:
    each = sides if isinstance(sides, tuple | list | np.ndarray) else (sides,)
    for side in each:
        if isinstance(side, bool) or not isinstance(side, int | np.integer):
            raise TypeError(f"the sides of a grid should be integers, such as image.shape; got {shown(sides)}.")
    if not 1 <= len(each) <= 3 or min(each) < 1:
        raise ValueError(f"a grid should have one to three axes of at least one cell; got {shown(sides)}.")
    return tuple(int(side) for side in each)


def axes_of(grid: Any) -> tuple[list[NDArray[np.float64]], tuple[float, ...]]:
    """The coordinates of cells along each axis, and their distances: from a `Grid` of squared distances, whose first
    cell is at the origin, or from evenly spaced coordinates for each axis, or of a single one."""
    if isinstance(grid, Grid):
        if grid.power != 2.0:
            raise ValueError(f"the grid should have power 2, squared distances; got {grid!r}.")
        return [s * np.arange(float(n)) for n, s in zip(grid.sides, grid.spacing, strict=True)], grid.spacing
    expected = "a monge.Grid, or the evenly spaced coordinates along each axis, such as (xs, ys)"
    several = isinstance(grid, tuple | list) and len(grid) > 0 and np.ndim(grid[0]) == 1
    axes = [np.array(real_array(axis, "grid", 1, expected), np.float64) for axis in (grid if several else (grid,))]
    spacing = []
    for k, axis in enumerate(axes):
        gaps = np.diff(axis)
        rising = len(axis) > 1 and bool(np.isfinite(axis).all()) and float(gaps.min()) > 0.0
        if not rising or float(np.ptp(gaps)) > _EVEN * float(gaps.mean()):
            raise ValueError(
                f"the coordinates along axis {k} of the grid should rise in equal steps, as those of numpy.linspace; "
                f"got {shown(axis[:4])} ..."
            )
        spacing.append(float(axis[-1] - axis[0]) / (len(axis) - 1))
    return axes, tuple(spacing)
