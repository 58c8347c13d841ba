"""Costs: what it takes to move a unit of mass from place i to place j.

A solver's first argument is a cost: any (n, m) array, or one of the classes here. The class says how the cost is
stored: `CostMatrix` holds all n * m numbers, `PointCloud` the points they come from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import real_array, real_number

__all__ = ["CostMatrix", "PointCloud", "SparseCost", "as_cost", "as_points", "is_sparse"]

# Beyond this, sums of costs along a path of the solver's tree could overflow.
LARGEST_COST = 1e290

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

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        n, m = self.C.shape
        return n, m

    def __repr__(self) -> str:
        return f"CostMatrix(shape={self.shape}, dtype={self.C.dtype})"


class PointCloud:
    """The cost between two point clouds, C_ij = c(x_i, y_j).

    Parameters
    ----------
    x : array_like (n, d)
        Source points. A vector of length n stands for n points on the line.
    y : array_like (m, d)
        Target points.
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
        self.x, self.y = as_points(x, "x"), as_points(y, "y")
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

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        return len(self.x), len(self.y)

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
        if self.distance == "cosine" or self.reach == 0.0:
            return
        largest = min(LARGEST_COST, float(np.finfo(self.dtype).max))
        if self.power * np.log(self.reach) > np.log(largest):
            raise ValueError(
                f"the cost {self.cost!r} would overflow {self.dtype}: points are up to {self.reach:.3g} apart. "
                "Rescale the points, or pass them as float64 if they are float32."
            )

    def __repr__(self) -> str:
        return f"PointCloud(shape={self.shape}, d={self.x.shape[1]}, cost={self.cost!r})"


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


def as_cost(cost: Any) -> CostMatrix | PointCloud:
    """A cost object from what a solver was given."""
    if is_sparse(cost):
        raise TypeError(
            "cost should be an (n, m) matrix or a cost object here; a sparse one, whose missing entries are forbidden "
            "arcs, is for a single problem of monge.emd. Pass a full array, with +inf for forbidden arcs."
        )
    return cost if isinstance(cost, CostMatrix | PointCloud) else CostMatrix(cost)


def as_points(values: Any, name: str) -> NDArray[Any]:
    """`values` as points (n, d) with finite coordinates; a vector stands for points on the line."""
    points = real_array(values, name, (1, 2), "points of shape (n, d)")
    if points.ndim == 1:
        points = points[:, np.newaxis]
    if 0 in points.shape:
        raise ValueError(f"{name} should hold at least one point of at least one coordinate; got shape {points.shape}.")
    if not np.isfinite(points).all():
        at = tuple(int(k) for k in np.argwhere(~np.isfinite(points))[0])
        raise ValueError(f"{name} should hold finite coordinates; {name}[{at[0]}, {at[1]}] = {points[at]!r}.")
    return points


def _ground_cost(cost: str | tuple[str, float]) -> tuple[str, float]:
    powered = isinstance(cost, tuple) and len(cost) == 2
    name = cost[0] if powered else cost
    if not isinstance(name, str) or name not in _GROUND_COSTS:
        raise ValueError(
            f"cost should be one of {', '.join(map(repr, _GROUND_COSTS))}, or ('euclidean', p); got {cost!r}."
        )
    distance, default = _GROUND_COSTS[name]
    if not powered:
        return distance, default
    if name not in ("euclidean", "cityblock"):
        raise ValueError(f"only 'euclidean' and 'cityblock' take a power; got {cost!r}.")
    power = real_number(cost[1], "the power of a ground cost", "positive and finite")
    if not 0.0 < power < np.inf:
        raise ValueError(f"the power of a ground cost should be positive and finite; got {power!r}.")
    return distance, power
