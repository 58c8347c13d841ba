"""The two structures that a caller gives: clouds, or matrices, with their masses."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.exact.dense import dense
from monge.problem.arrays import require_memory, shown
from monge.problem.costs import PointCloud, as_points, is_sparse
from monge.problem.ground import as_ground
from monge.problem.measures import check_weights, total_mass
from monge.problem.user_cost import GroundCost
from monge.structures.bounds import Rows
from monge.structures.clouds import Cloud, CloudForm
from monge.structures.forms import Form
from monge.structures.fused import FeatureMatrix, FusedForm, fused
from monge.structures.matrices import MatrixForm, as_structure
from monge.structures.moments import MomentForm

__all__ = ["Matrix", "Sides", "Structures", "masses", "read_structures"]

Array = NDArray[np.float64]

# Rows that are looked at together.
_ROWS = 128
# Fourth powers of distances have to be numbers, and sums of them.
_LARGEST, _SMALLEST = 1e70, 1e-70


class Matrix:
    """A structure that is given by a matrix, full or sparse, for bounds and starts."""

    def __init__(self, C: Any, weights: Array) -> None:
        self.C, self.weights, self.mass = C, weights, float(weights.sum())

    def __len__(self) -> int:
        return int(self.C.shape[0])

    def rows(self, some: slice) -> Array:
        """X (k, n) in some rows, as a new array."""
        rows = self.C[some]
        return np.array(rows.toarray() if is_sparse(rows) else rows, dtype=np.float64)

    def moments(self) -> tuple[Array, Array]:
        """Mean and deviation of each row."""
        return self._moments

    @cached_property
    def _moments(self) -> tuple[Array, Array]:
        a, n = self.weights / self.mass, len(self)
        mean, variance = np.empty(n), np.empty(n)
        for k in range(0, n, _ROWS):
            some = slice(k, k + _ROWS)
            rows = self.rows(some)
            mean[some] = rows @ a
            variance[some] = (rows - mean[some, np.newaxis]) ** 2 @ a
        return mean, np.sqrt(variance)


class Sides(NamedTuple):
    """Both structures as bounds and starts see them, their form with the features, and that without."""

    x: Rows
    y: Rows
    form: Form
    inner: Form
    near: CloudForm | None = None  # of the points that matrices come from

    @property
    def lazy(self) -> bool:
        """Whether plans may be such as are never stored."""
        form = self.form
        return isinstance(self.inner, CloudForm) and not (
            isinstance(form, FusedForm) and isinstance(form.features, FeatureMatrix)
        )

    @property
    def weights(self) -> tuple[Array, Array]:
        """(n,) and (m,)."""
        return self.x.weights, self.y.weights


class Structures(NamedTuple):
    """What a caller gave: two clouds of points (n, d) and (m, e), or two matrices (n, n) and (m, m)."""

    x: Any
    y: Any
    clouds: bool
    points: tuple[NDArray[Any], NDArray[Any]] | None = None  # those that matrices come from
    origins: tuple[Any, Any] = (None, None)  # of which points a matrix has the costs, as a PointCloud

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        return self.x.shape[0], self.y.shape[0]

    def sides(self, a: Array, b: Array, features: Any, alpha: Any, threads: int) -> Sides:
        """With weights, of the same total."""
        if self.clouds:
            clouds = Cloud(self.x, a), Cloud(self.y, b)
            form: Form = CloudForm(*clouds)
            return Sides(*clouds, fused(form, features, alpha, True, threads), form)
        form = MatrixForm(self.x, self.y, threads)
        near = None if self.points is None else CloudForm(Cloud(self.points[0], a), Cloud(self.points[1], b))
        return Sides(Matrix(self.x, a), Matrix(self.y, b), fused(form, features, alpha, False, threads), form, near)

    def free(self, features: Any, alpha: Any, threads: int) -> Form:
        """The form for plans whose sums are not fixed."""
        form = MomentForm(self.x, self.y) if self.clouds else MatrixForm(self.x, self.y, threads)
        return fused(form, features, alpha, self.clouds, threads)


def read_structures(x: Any, y: Any, cost: Any, threads: int) -> Structures:
    """From points, `CostMatrix` objects or sparse matrices; distances within points, if they need one, as matrices."""
    points: tuple[NDArray[Any], NDArray[Any]] | None = None
    if not _is_matrix(x) and not _is_matrix(y):
        clouds = _points(x, "x"), _points(y, "y")
        if not isinstance(cost, GroundCost) and not callable(cost) and as_ground(cost).squared:
            for each, name in zip(clouds, ("x", "y"), strict=True):
                _check_reach(each, name)
            return Structures(clouds[0].astype(np.float64), clouds[1].astype(np.float64), clouds=True)
        points = clouds
    (Cx, from_x), (Cy, from_y) = (_matrix(values, name, cost, threads) for values, name in ((x, "x"), (y, "y")))
    return Structures(Cx, Cy, clouds=False, points=points, origins=(from_x, from_y))


def masses(a: Any, b: Any, n: int, m: int) -> tuple[Array, Array]:
    """Weights (n,) and (m,) of equal totals: uniform ones where None stands, and b rescaled by rounding."""
    a, b = check_weights(a, b, n, m)
    total = total_mass(a if a is not None else b)
    a = np.full(n, total / n) if a is None else a
    b = np.full(m, total / m) if b is None else b
    return a, b * (float(a.sum()) / float(b.sum()))


def _is_matrix(values: Any) -> bool:
    return hasattr(values, "stored") or is_sparse(values)  # a cost, of any kind


def _matrix(values: Any, name: str, cost: Any, threads: int) -> tuple[Any, PointCloud | None]:
    """A matrix (n, n) of finite numbers, and the cloud whose costs it has, if they were points."""
    if _is_matrix(values):
        return as_structure(values if is_sparse(values) else dense(values, threads), name), None
    points = _points(values, name)
    n = len(points)
    require_memory(16 * n * n, f"distances within {name}, of {n} points,", "Subsample, or take cost='sqeuclidean'.")
    cloud = PointCloud(points, points, cost)
    return dense(cloud, threads), cloud


def _points(values: Any, name: str) -> NDArray[Any]:
    points = as_points(values, name)
    _warn_of_matrix(points, name)
    return points


def _warn_of_matrix(points: NDArray[Any], name: str) -> None:
    """Distances that were meant as such, and not as points, are square."""
    n, d = points.shape
    if n == d > 2 and not points.diagonal().any() and np.array_equal(points, points.T):
        warnings.warn(
            f"{name} is square and symmetric, with zeros on its diagonal, and is taken as {n} points in {d} "
            f"dimensions. If it holds distances, pass monge.CostMatrix({name}).",
            UserWarning,
            stacklevel=5,
        )


def _check_reach(points: NDArray[Any], name: str) -> None:
    with np.errstate(over="ignore"):
        reach = float(np.ptp(points.astype(np.float64), axis=0).max())
    if not (reach == 0.0 or _SMALLEST < reach < _LARGEST):
        raise ValueError(
            f"the points {name} spread over {shown(reach)}, and fourth powers of that are no numbers. Rescale them."
        )
