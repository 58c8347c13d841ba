"""Costs: what it takes to move a unit of mass from place i to place j.

A solver's first argument is a cost: any (n, m) array, or one of the classes here. The class says how the cost is
stored: `CostMatrix` holds all n * m numbers, `PointCloud` the points they come from, `Grid` nothing but its shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from monge.problem._ground import LARGEST_COST, cost_matrix
from monge.problem.arrays import real_array, sampled, shown, stride
from monge.problem.grid import Grid
from monge.problem.ground import Form, Ground, as_ground, explained, scale_of
from monge.problem.home import home_of, home_of_any
from monge.problem.sparse import SparseCost, is_sparse
from monge.problem.symmetric import require_same, require_square
from monge.problem.user_cost import GroundCost

if TYPE_CHECKING:
    from monge.problem.compiled import Costs

__all__ = ["Cost", "CostMatrix", "Grid", "PointCloud", "SparseCost", "as_cost", "as_points", "is_sparse"]

# By which directions are multiplied so that squared distances between them are half as large.
_HALF = 0.5**0.5

# Distances beyond two to this power, up or down, are computed on scaled points: the squares of 1e-30, or of 1e30, are
# no float32 numbers. And the bounds of a distance between which those of float64 are in range.
_SAFE, _IN_RANGE = 32, (1e-140, 1e140)

# The logarithm of a cost that single precision can hold with room to spare.
_FAR_FROM_OVERFLOW = 80.0


class CostMatrix:
    """A cost given as a matrix.

    Parameters
    ----------
    C : array_like (n, m)
        C[i, j] is the cost per unit of mass from i to j, in any unit. float32 and float64 arrays are used in place,
        whatever their strides; other types are converted once. +inf forbids an arc; NaN and -inf are errors.
        Whatever is computed later, such as the plan of `sinkhorn`, is computed from C as it is then.

    Attributes
    ----------
    C : ndarray (n, m)
        The costs.
    shape : (int, int)
        Numbers of sources and targets, (n, m).
    dtype : numpy.dtype
        In which the costs are stored.
    T : CostMatrix (m, n)
        The cost from the columns to the rows.

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
        self.home = home_of(C)
        self.C = real_array(C, "cost", 2, "an (n, m) matrix")
        if 0 in self.C.shape:
            raise ValueError(f"cost should have at least one row and one column; got shape {self.C.shape}.")

    stored = True  # whether all n * m costs are
    cloud = None  # of which points the costs are
    formed = None  # the same, if the core can compute the costs from them: what `form` tells it

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        n, m = self.C.shape
        return n, m

    @property
    def dtype(self) -> np.dtype[Any]:
        """In which the costs are stored."""
        return self.C.dtype

    @property
    def T(self) -> CostMatrix:
        """The cost from the columns to the rows."""
        return CostMatrix(self.C.T)

    @property
    def bound(self) -> float:
        """What no finite |cost| exceeds."""
        return float(np.abs(self.C[np.isfinite(self.C)]).max(initial=0.0))

    def largest(self, negligible: float) -> float:
        """About the largest finite |cost|."""
        some = np.abs(self.sample())
        return float(some[np.isfinite(some)].max(initial=0.0))

    def sample(self) -> NDArray[np.float64]:
        """Costs between some of the rows and some of the columns, evenly spread."""
        rows, columns = (slice(None, None, stride(size)) for size in self.shape)  # a view, where an index would gather
        return self.C[rows, columns].astype(np.float64)

    def block(self, rows: slice | NDArray[np.intp]) -> NDArray[np.float64]:
        """The costs (k, m) of some rows."""
        return self.C[rows].astype(np.float64)

    def stripe(self, rows: slice) -> NDArray[Any]:
        """The costs (k, m) of some rows, one row after the other, in the type they are stored in."""
        return np.ascontiguousarray(self.C[rows])

    def between(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
        """The costs (k, l) between some rows and some columns."""
        return self.C[np.ix_(rows, columns)].astype(np.float64)

    def at(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
        """The costs (k,) of some pairs."""
        return self.C[rows, columns].astype(np.float64)

    @property
    def error_in_single(self) -> float:
        """How far costs are off where single precision is asked for, beside the rounding of each."""
        return 0.0

    def checked(self) -> tuple[NDArray[np.bool_] | None, float]:
        """Which arcs are forbidden, None for none of them, and how large others are. ValueError for NaN and -inf."""
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

    def require_symmetric(self) -> None:
        """ValueError for a matrix that is not symmetric, but for rounding."""
        require_square(*self.shape)
        require_same(self.C, self.C.T, "C", "Symmetrise it, for example as (C + C.T) / 2.")

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
    cost : str, (str, float), callable or GroundCost
        One of the ground costs of `monge.problem.ground`.

    Attributes
    ----------
    x, y : ndarray (n, d), (m, d)
        The points.
    shape : (int, int)
        Numbers of sources and targets, (n, m).
    dtype : numpy.dtype
        In which the costs are computed: float32 if both sets of points are, else float64.
    T : PointCloud
        The cost from the targets to the sources.

    Raises
    ------
    TypeError
        If the points are not numeric, or a function is no cost.
    ValueError
        For an unknown cost, no points, dimensions that differ, coordinates that are not finite, a point at the origin
        with the cosine cost, or a function that fails, or returns NaN or -inf, where it is tried.

    Examples
    --------
    >>> import numpy as np, monge
    >>> cost = monge.PointCloud(np.zeros((3, 2)), np.ones((5, 2)), "sqeuclidean")
    >>> cost.shape
    (3, 5)
    >>> monge.emd(cost).value
    2.0
    >>> cost = monge.PointCloud([0.0, 1.0], [0.0, 4.0], lambda x, y: min(abs(x[0] - y[0]), 2.0))
    >>> monge.emd(cost).value
    1.0
    """

    def __init__(
        self, x: Any, y: Any, cost: str | tuple[str, float] | GroundCost | Callable[..., Any] = "sqeuclidean"
    ) -> None:
        # Copies: what is lazy in a result is computed from them, whatever becomes of the caller's arrays.
        self.home = home_of_any(x, y)
        self.x = as_points(x, "x").copy()
        self.y = self.x if y is x else as_points(y, "y").copy()  # one cloud is kept, and sorted, once
        if self.x.shape[1] != self.y.shape[1]:
            raise ValueError(
                f"x and y should have points of the same dimension; got shapes {self.x.shape} and {self.y.shape}."
            )
        if callable(cost):
            cost = GroundCost(cost)
        self.cost = cost
        self.ground = cost if isinstance(cost, GroundCost) else as_ground(cost)
        if isinstance(self.ground, GroundCost):
            self.ground.check(self.x, self.y)
            return
        if self.ground.directions:
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
    def formed(self) -> PointCloud | None:
        """The same, if the core can compute the costs from them, as `form` tells it; None for a user's function."""
        return self if isinstance(self.ground, Ground) else None

    @property
    def _built_in(self) -> Ground:
        if not isinstance(self.ground, Ground):
            raise AttributeError(f"{self!r} has a function for its cost, of which no distance and no bounds are known.")
        return self.ground

    @property
    def farthest(self) -> float:
        """No two points are further apart; found at once, where `reach` takes longer."""
        return self._farthest

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        return len(self.x), len(self.y)

    @property
    def distance(self) -> str:
        """The name of the distance."""
        return self._built_in.name

    @property
    def power(self) -> float:
        """The power to which it is raised."""
        return self._built_in.power

    @property
    def squared(self) -> bool:
        """Whether the cost is |x - y|^2."""
        return self.formed is not None and self._built_in.squared

    @property
    def dtype(self) -> np.dtype[Any]:
        """In which the costs are computed, or a user's are stored: float32 if both sets of points are, else float64."""
        return np.result_type(self.x, self.y)

    @cached_property
    def placed(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The points whose differences make up the cost: x and y, or for the cosine cost their directions."""
        return self._built_in.placed(self.x), self._built_in.placed(self.y)

    @cached_property
    def reach(self) -> float:
        """The size of the box around all points, in the distance: no two points are further apart."""
        x, y = self.placed
        with np.errstate(over="ignore"):
            sides = np.maximum(x.max(axis=0), y.max(axis=0)).astype(np.float64)
            sides -= np.minimum(x.min(axis=0), y.min(axis=0))
        return self._built_in.length(sides)

    def form(self, dtype: Any) -> Form:
        """The cost as the core takes it, from points of this type."""
        x, y = (np.ascontiguousarray(points, dtype=dtype) for points in self.placed)
        return self._built_in.form(x, y, self._scale(dtype))

    def _scale(self, dtype: Any) -> int:
        """The power of two over which points are taken, zero where their squares are in range as they are."""
        if dtype == np.float64 and _IN_RANGE[0] < self._farthest < _IN_RANGE[1]:
            return 0  # known at once, where the box takes longer
        scale = scale_of(self.reach)
        return scale if abs(scale) > _SAFE else 0

    def centred(self) -> Form:
        """The same from points about their middle, in double precision; their differences suit single precision."""
        x, y = (points.astype(np.float64) for points in self.placed)
        middle = x.mean(axis=0)
        return self._built_in.form(x - middle, y - middle, scale_of(self.reach))

    @property
    def straight(self) -> PointCloud:
        """The same costs, as those of points whose differences make them up: groups of these have a middle."""
        if not self._built_in.directions:
            return self
        x, y = (_HALF * points for points in self.placed)
        return PointCloud(x, y, "sqeuclidean")

    def from_straight(
        self, grad_x: NDArray[np.float64], grad_y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Derivatives with respect to x (n, d) and y (m, d), from those with respect to the points of `straight`."""
        ground = self._built_in
        if not ground.directions:
            return grad_x, grad_y
        return ground.turned(self.x, _HALF * grad_x), ground.turned(self.y, _HALF * grad_y)

    def from_centred(
        self, grad_x: NDArray[np.float64], grad_y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Derivatives with respect to x (n, d) and y (m, d), from those with respect to the points of `centred`."""
        ground, unit = self._built_in, 2.0 ** -scale_of(self.reach)
        return ground.turned(self.x, grad_x * unit), ground.turned(self.y, grad_y * unit)

    def from_formed(
        self, grad_x: NDArray[np.float64], grad_y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Likewise, from those with respect to the points of `form` in double precision."""
        scale = self._scale(np.float64)
        if scale != 0:
            grad_x, grad_y = grad_x * 2.0**-scale, grad_y * 2.0**-scale
        return self._built_in.turned(self.x, grad_x), self._built_in.turned(self.y, grad_y)

    @property
    def T(self) -> PointCloud:
        """The cost from the columns to the rows."""
        return PointCloud(self.y, self.x, self.ground.T if isinstance(self.ground, GroundCost) else self.cost)

    @property
    def bound(self) -> float:
        """What no cost exceeds; found at once."""
        return self.ground.of_distance(self._farthest) if isinstance(self.ground, Ground) else math.inf

    def largest(self, negligible: float) -> float:
        """About the largest cost, or a quick bound on it where that is below what is negligible."""
        if self.formed is None:
            return self._seen
        quick = self.bound
        return quick if quick < negligible else min(quick, self._built_in.of_distance(self.reach))

    def sample(self) -> NDArray[np.float64]:
        """Costs between some of the rows and some of the columns, evenly spread."""
        n, m = self.shape
        return self.between(sampled(n), sampled(m))

    def block(self, rows: slice | NDArray[np.intp]) -> NDArray[np.float64]:
        """The costs (k, m) of some rows, from differences of coordinates: no digits cancel."""
        return self.between(rows, slice(None))

    def between(self, rows: slice | NDArray[np.intp], columns: slice | NDArray[np.intp]) -> NDArray[np.float64]:
        """The costs (k, l) between some rows and some columns."""
        if isinstance(self.ground, GroundCost):
            return self.ground.matrix(self.x[rows], self.y[columns])
        x, y = self.placed
        x, y = (np.ascontiguousarray(points, dtype=np.float64) for points in (x[rows], y[columns]))
        return np.asarray(cost_matrix(*self.ground.form(x, y, self._scale(np.float64)), 1))

    def of_others(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The costs (k, m) of other points x (k, d), which nobody checks, as those of a stream."""
        if isinstance(self.ground, GroundCost):
            return self.ground.matrix(x, self.y)
        y = np.ascontiguousarray(self.placed[1], dtype=np.float64)
        x = np.ascontiguousarray(self.ground.placed(x), dtype=np.float64)
        return np.asarray(cost_matrix(*self.ground.form(x, y, self._scale(np.float64)), 1))

    def at(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
        """The costs (k,) of some pairs."""
        return self.ground.pairs(self.x[rows], self.y[columns])

    # --- Those of a user's function -------------------------------------------------------------------------------

    @cached_property
    def in_double(self) -> Costs:
        """The costs in double precision, a few rows at a time."""
        return self._written.between(self.x, self.y, np.float64)

    @cached_property
    def in_single(self) -> Costs:
        """The same in single precision."""
        return self._written.between(self.x, self.y, np.float32)

    @property
    def _written(self) -> GroundCost:
        assert isinstance(self.ground, GroundCost)
        return self.ground

    def filled(self, threads: int) -> NDArray[np.float64]:
        """All of them (n, m)."""
        return self._written.matrix(self.x, self.y, np.float64, threads)

    def stripe(self, rows: slice) -> NDArray[np.float64]:
        """The costs (k, m) of some rows, one row after the other."""
        out = np.empty((rows.stop - rows.start, len(self.y)))
        self.in_double.fill(rows.start, out)
        return out

    @cached_property
    def _seen(self) -> float:
        """The largest |cost| of all points with some of the others."""
        return self._written.largest(self.x, self.y)

    @cached_property
    def error_in_single(self) -> float:
        """How far costs are off where single precision is asked for, beside the rounding of each."""
        return 0.0 if self.formed is not None else self._written.error_in_single(self.x, self.y)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("in_double", "in_single")}

    def _check_overflow(self) -> None:
        # No two points are further apart than this. Most callers' are nowhere near overflow, and the box takes longer.
        self._farthest = 2.0
        if self._built_in.directions:
            return
        farthest = 2.0 * self.x.shape[1] * float(max(np.abs(self.x).max(), np.abs(self.y).max()))
        self._farthest = farthest
        if farthest == 0.0 or self.power * math.log(farthest) < _FAR_FROM_OVERFLOW or self.reach == 0.0:
            return
        largest = min(LARGEST_COST, float(np.finfo(self.dtype).max))
        if self.power * np.log(self.reach) > np.log(largest):
            raise ValueError(
                f"the cost {shown(self.cost)} would overflow {self.dtype}: points are up to {self.reach:.3g} apart. "
                "Rescale the points, or pass them as float64 if they are float32."
            )

    def checked(self) -> tuple[None, float]:
        """That no arc is forbidden, and that its costs were checked when it was made; how large a user's are."""
        return None, 0.0 if self.formed is not None else self._seen

    def require_symmetric(self) -> None:
        """ValueError unless the costs are between the same points, and symmetric."""
        require_square(*self.shape)
        if not np.array_equal(self.x, self.y):
            raise ValueError("a divergence needs the costs between the same places; these points differ. Pass x and y.")
        self.require_symmetric_ground()

    def require_symmetric_ground(self) -> None:
        """ValueError if a user's c(x, y) is not c(y, x), between some of the points."""
        if self.formed is not None:
            return
        rows, columns = sampled(len(self.x)), sampled(len(self.y))
        back = PointCloud(self.y, self.x, self.cost).between(columns, rows).T
        remedy = "A divergence needs a symmetric one, as (c(x, y) + c(y, x)) / 2 is; monge.sinkhorn takes any."
        require_same(self.between(rows, columns), back, f"the cost {self.ground!r}", remedy)

    def __repr__(self) -> str:
        return f"PointCloud(shape={self.shape}, d={self.x.shape[1]}, cost={shown(self.cost)})"


_FUNCTIONS = """
        Or a function c(x, y) of your own of two points, which Numba compiles: see `monge.GroundCost`."""

if PointCloud.__doc__ is not None:  # which it is where Python was told to leave texts out
    PointCloud.__doc__ = PointCloud.__doc__.replace(
        "One of the ground costs of `monge.problem.ground`.", explained() + _FUNCTIONS
    )

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
