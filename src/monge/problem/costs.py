"""Costs: what it takes to move a unit of mass from place i to place j.

A solver's first argument is a cost: any (n, m) array, or one of the classes here. The class says how the cost is
stored: `CostMatrix` holds all n * m numbers, `PointCloud` the points they come from, `Grid` nothing but its shape.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import real_array, real_number, shown

__all__ = ["Cost", "CostMatrix", "Grid", "PointCloud", "SparseCost", "as_cost", "as_points", "is_sparse"]

# Beyond this, sums of costs along a path of the solver's tree could overflow.
LARGEST_COST = 1e290

# The logarithm of a cost that single precision can hold with room to spare.
_FAR_FROM_OVERFLOW = 80.0

# Name in the API -> distance, and the power it is raised to.
_GROUND_COSTS = {
    "sqeuclidean": ("euclidean", 2.0),
    "euclidean": ("euclidean", 1.0),
    "cityblock": ("cityblock", 1.0),
    "cosine": ("cosine", 1.0),
}


class CostMatrix:
    """A cost given as a matrix.

    Parameters
    ----------
    C : array_like (n, m)
        C[i, j] is the cost per unit of mass from i to j, in any unit. float32 and float64 arrays are used in place,
        whatever their strides; other types are converted once. +inf forbids an arc; NaN and -inf are errors.
        Whatever is computed later, such as the plan of `sinkhorn`, is computed from C as it is then.

    Raises
    ------
    TypeError
        If C is not numeric, or complex.
    ValueError
        If C is not a matrix, or empty.

    Examples
    --------
    >>> import monge
    >>> monge.emd(monge.CostMatrix([[0, 1], [1, 0]])).value
    0.0
    """

    def __init__(self, C: Any) -> None:
        self.C = real_array(C, "cost", 2, "an (n, m) matrix")
        if 0 in self.C.shape:
            raise ValueError(f"cost should have at least one row and one column; got shape {self.C.shape}.")

    stored = True  # whether all n * m costs are
    cloud = None  # of which points the costs are

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        n, m = self.C.shape
        return n, m

    @property
    def dtype(self) -> np.dtype[Any]:
        """In which the costs are stored."""
        return self.C.dtype

    def checked(self) -> tuple[NDArray[np.bool_] | None, float]:
        """Which arcs are forbidden, None for none of them, and about how large the other costs are. ValueError for NaN
        and -inf."""
        with np.errstate(over="ignore", invalid="ignore"):
            total = float(self.C.sum())
        if math.isfinite(total):
            return None, abs(total) / self.C.size
        forbidden, finite = np.isposinf(self.C), np.isfinite(self.C)
        bad = ~(finite | forbidden)
        if bad.any():
            i, j = (int(k) for k in np.argwhere(bad)[0])
            raise ValueError(
                "cost should hold numbers, or +inf for a forbidden arc, but not NaN or -inf; "
                f"cost[{i}, {j}] = {self.C[i, j]}."
            )
        # If none is forbidden, float32 does not hold the sum.
        size = float(np.abs(self.C, where=finite, out=np.zeros_like(self.C)).max())
        return (forbidden if forbidden.any() else None), size

    def __repr__(self) -> str:
        return f"CostMatrix(shape={self.shape}, dtype={self.C.dtype})"


class PointCloud:
    """The cost between two point clouds, C_ij = c(x_i, y_j).

    Parameters
    ----------
    x : array_like (n, d)
        Source points, which are copied. A vector of length n stands for n points on the line.
    y : array_like (m, d)
        Target points, which are copied.
    cost : str or (str, float)
        "sqeuclidean" |x - y|^2, "euclidean" |x - y|, "cityblock" sum_k |x_k - y_k|, "cosine" 1 - <x, y> / (|x| |y|);
        ("euclidean", p) stands for |x - y|^p and ("cityblock", p) likewise, p > 0.

    Raises
    ------
    TypeError
        If the points are not numeric.
    ValueError
        For an unknown cost, no points, dimensions that differ, coordinates that are not finite, or a point at the
        origin with the cosine cost.

    Examples
    --------
    >>> import numpy as np, monge
    >>> cost = monge.PointCloud(np.zeros((3, 2)), np.ones((5, 2)), "sqeuclidean")
    >>> cost.shape
    (3, 5)
    >>> monge.emd(cost).value
    2.0
    """

    def __init__(self, x: Any, y: Any, cost: str | tuple[str, float] = "sqeuclidean") -> None:
        # Copies: what is lazy in a result is computed from them, whatever becomes of the caller's arrays.
        self.x, self.y = as_points(x, "x").copy(), as_points(y, "y").copy()
        if self.x.shape[1] != self.y.shape[1]:
            raise ValueError(
                f"x and y should have points of the same dimension; got shapes {self.x.shape} and {self.y.shape}."
            )
        self.cost = cost
        self.distance, self.power = _ground_cost(cost)
        if self.distance == "cosine":
            for points, name in ((self.x, "x"), (self.y, "y")):
                zero = ~points.any(axis=1)
                if zero.any():
                    raise ValueError(
                        f"the cosine cost needs points off the origin; {name}[{int(np.argmax(zero))}] is zero. "
                        "Drop such points or choose another cost."
                    )
        self._check_overflow()

    stored = False

    @property
    def cloud(self) -> PointCloud:
        """The points that the costs are of: these."""
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        return len(self.x), len(self.y)

    @property
    def squared(self) -> bool:
        """Whether the cost is |x - y|^2."""
        return self.distance == "euclidean" and self.power == 2.0

    @property
    def dtype(self) -> np.dtype[Any]:
        """In which the costs are computed: float32 if both sets of points are, else float64."""
        return np.result_type(self.x, self.y)

    @property
    def reach(self) -> float:
        """The size of the box around all points, in the distance: no two points are further apart."""
        with np.errstate(over="ignore"):
            sides = np.maximum(self.x.max(axis=0), self.y.max(axis=0)).astype(np.float64)
            sides -= np.minimum(self.x.min(axis=0), self.y.min(axis=0))
            longest = float(sides.max())
            if self.distance == "cityblock" or not 0.0 < longest < np.inf:
                return float(sides.sum())
            return longest * float(np.sqrt(((sides / longest) ** 2).sum()))

    def _check_overflow(self) -> None:
        self.bound = 2.0
        if self.distance == "cosine":
            return
        # No two points are further apart than this. Most callers' are nowhere near overflow, and the box takes longer.
        bound = self.bound = 2.0 * self.x.shape[1] * float(max(np.abs(self.x).max(), np.abs(self.y).max()))
        if bound == 0.0 or self.power * math.log(bound) < _FAR_FROM_OVERFLOW or self.reach == 0.0:
            return
        largest = min(LARGEST_COST, float(np.finfo(self.dtype).max))
        if self.power * np.log(self.reach) > np.log(largest):
            raise ValueError(
                f"the cost {shown(self.cost)} would overflow {self.dtype}: points are up to {self.reach:.3g} apart. "
                "Rescale the points, or pass them as float64 if they are float32."
            )

    def checked(self) -> tuple[None, float]:
        """That no arc is forbidden, and that its costs were checked when it was made."""
        return None, 0.0

    def __repr__(self) -> str:
        return f"PointCloud(shape={self.shape}, d={self.x.shape[1]}, cost={shown(self.cost)})"


class SparseCost:
    """The stored entries of a scipy.sparse matrix or array, row by row; all other arcs are forbidden.

    An explicit zero is an arc that costs nothing. Entries at the same place are summed, as everywhere in SciPy. A
    stored +inf forbids its arc.

    Attributes
    ----------
    begin : ndarray (n + 1,) of int64
        Entries begin[i], ..., begin[i + 1] - 1 are those of row i, by increasing column.
    col : ndarray (entries,) of int32
    cost : ndarray (entries,) of float64
    """

    def __init__(self, matrix: Any) -> None:
        if len(matrix.shape) != 2:
            raise ValueError(f"cost should be a sparse (n, m) matrix; got shape {matrix.shape}.")
        self.shape: tuple[int, int] = (int(matrix.shape[0]), int(matrix.shape[1]))
        if 0 in self.shape:
            raise ValueError(f"cost should have at least one row and one column; got shape {self.shape}.")
        csr = matrix.tocsr()
        if not csr.has_canonical_format:
            csr = csr.copy() if csr is matrix else csr
            csr.sum_duplicates()
        cost = np.ascontiguousarray(real_array(csr.data, "cost", 1, "a sparse (n, m) matrix"), dtype=np.float64)
        begin, col = csr.indptr, csr.indices
        if col.size > 0 and not 0 <= col.min() <= col.max() < self.shape[1]:  # SciPy does not look
            raise ValueError(
                f"cost should have column indices from 0 to {self.shape[1] - 1}; got {col.min()} to {col.max()}."
            )
        usable = np.abs(cost) <= LARGEST_COST
        if not usable.all():
            bad = ~usable & (cost != np.inf)
            if bad.any():
                at = int(np.argmax(bad))
                row = int(np.searchsorted(begin, at, side="right")) - 1
                raise ValueError(
                    "cost should hold numbers up to 1e290, or +inf for a forbidden arc, but not NaN or -inf; "
                    f"cost[{row}, {col[at]}] = {cost[at]}."
                )
            begin = np.concatenate([[0], np.cumsum(usable)])[begin]
            cost, col = cost[usable], col[usable]
        self.cost = cost
        self.begin = np.ascontiguousarray(begin, dtype=np.int64)
        self.col = np.ascontiguousarray(col, dtype=np.int32)

    def __repr__(self) -> str:
        return f"SparseCost(shape={self.shape}, entries={len(self.cost)})"


def is_sparse(cost: Any) -> bool:
    """Whether `cost` is a matrix or array of scipy.sparse, in any format. Does not import it."""
    return hasattr(cost, "tocsr") and hasattr(cost, "nnz")


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
        self.power = _positive(power, "the power of a grid")
        each = spacing if isinstance(spacing, tuple | list | np.ndarray) else (spacing,) * len(self.sides)
        if len(each) != len(self.sides):
            raise ValueError(
                f"spacing should be a number, or one for each of the {len(self.sides)} axes; got {shown(spacing)}."
            )
        self.spacing = tuple(_positive(s, "the spacing of a grid") for s in each)
        longest = max(s * max(n - 1, 1) for n, s in zip(self.sides, self.spacing, strict=True))
        if self.power * math.log(longest) > math.log(LARGEST_COST / 3.0):
            raise ValueError(f"costs of {self!r} would overflow float64. Choose a smaller spacing or power.")

    stored, cloud = False, None

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

    def checked(self) -> tuple[None, float]:
        """That no arc is forbidden, and that its costs were checked when it was made."""
        return None, 0.0

    def __repr__(self) -> str:
        return f"Grid({self.sides}, power={self.power:g}, spacing={self.spacing})"


Cost: TypeAlias = CostMatrix | PointCloud | Grid


def as_cost(cost: Any) -> Cost:
    """A cost object from what a solver was given."""
    if is_sparse(cost):
        raise TypeError(
            "cost should be an (n, m) matrix or a cost object here; a sparse one, whose missing entries are forbidden "
            "arcs, is for a single problem of monge.emd. Pass a full array, with +inf for forbidden arcs."
        )
    return cost if isinstance(cost, Cost) else CostMatrix(cost)


def as_points(values: Any, name: str) -> NDArray[Any]:
    """`values` as points (n, d) with finite coordinates; a vector stands for points on the line."""
    points = real_array(values, name, (1, 2), "points of shape (n, d)")
    if points.ndim == 1:
        points = points[:, np.newaxis]
    if 0 in points.shape:
        raise ValueError(f"{name} should hold at least one point of at least one coordinate; got shape {points.shape}.")
    if not np.isfinite(points).all():
        at = tuple(int(k) for k in np.argwhere(~np.isfinite(points))[0])
        raise ValueError(f"{name} should hold finite coordinates; {name}[{at[0]}, {at[1]}] = {points[at]}.")
    return points


def _ground_cost(cost: str | tuple[str, float]) -> tuple[str, float]:
    powered = isinstance(cost, tuple) and len(cost) == 2
    name = cost[0] if powered else cost
    if not isinstance(name, str) or name not in _GROUND_COSTS:
        raise ValueError(
            f"cost should be one of {', '.join(map(repr, _GROUND_COSTS))}, or ('euclidean', p); got {shown(cost)}."
        )
    distance, default = _GROUND_COSTS[name]
    if not powered:
        return distance, default
    if name not in ("euclidean", "cityblock"):
        raise ValueError(f"only 'euclidean' and 'cityblock' take a power; got {shown(cost)}.")
    return distance, _positive(cost[1], "the power of a ground cost")


def _positive(value: Any, name: str) -> float:
    number = real_number(value, name, "positive and finite")
    if not 0.0 < number < np.inf:
        raise ValueError(f"{name} should be positive and finite; got {number!r}.")
    return number


def _sides(sides: Any) -> tuple[int, ...]:
    each = sides if isinstance(sides, tuple | list | np.ndarray) else (sides,)
    for side in each:
        if isinstance(side, bool) or not isinstance(side, int | np.integer):
            raise TypeError(f"the sides of a grid should be integers, such as image.shape; got {shown(sides)}.")
    if not 1 <= len(each) <= 3 or min(each) < 1:
        raise ValueError(f"a grid should have one to three axes of at least one cell; got {shown(sides)}.")
    return tuple(int(side) for side in each)
