"""The two structures that a caller gives: clouds, or matrices, with their masses."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.exact.dense import dense
from monge.problem.arrays import require_memory, shown
from monge.problem.costs import CostMatrix, PointCloud, as_points
from monge.problem.ground import as_ground
from monge.problem.measures import check_weights, total_mass
from monge.problem.user_cost import GroundCost
from monge.structures.bounds import Rows
from monge.structures.clouds import Cloud, CloudForm
from monge.structures.forms import Form
from monge.structures.matrices import MatrixForm

__all__ = ["Matrix", "Sides", "masses", "read_sides"]

Array = NDArray[np.float64]

# Fourth powers of distances have to be numbers, and sums of them.
_LARGEST, _SMALLEST = 1e70, 1e-70


class Matrix:
    """A structure that is given by a matrix, for bounds and starts."""

    def __init__(self, C: NDArray[Any], weights: Array) -> None:
        self.C, self.weights, self.mass = C, weights, float(weights.sum())

    def __len__(self) -> int:
        return len(self.C)

    def rows(self, some: slice) -> Array:
        """X (k, n) in some rows, as a new array."""
        return np.array(self.C[some], dtype=np.float64)

    def moments(self) -> tuple[Array, Array]:
        """Mean and deviation of each row."""
        return self._moments

    @cached_property
    def _moments(self) -> tuple[Array, Array]:
        a = self.weights / self.mass
        mean = self.C @ a
        variance = [a @ np.square(row - m, dtype=np.float64) for row, m in zip(self.C, mean, strict=True)]
        return np.asarray(mean, dtype=np.float64), np.sqrt(variance)


class Sides(NamedTuple):
    """Both structures, as bounds and starts see them, and their form."""

    x: Rows
    y: Rows
    form: Form


def read_sides(x: Any, y: Any, a: Any, b: Any, cost: Any, threads: int) -> Sides:
    """From clouds or from matrices, with weights that `check_weights` takes."""
    if not isinstance(x, CostMatrix) and not isinstance(y, CostMatrix):
        clouds = as_points(x, "x"), as_points(y, "y")
        if not isinstance(cost, GroundCost) and not callable(cost) and as_ground(cost).squared:
            weights = masses(a, b, len(clouds[0]), len(clouds[1]))
            for points, name in zip(clouds, ("x", "y"), strict=True):
                _warn_of_matrix(points, name)
                _check_reach(points, name)
            form = CloudForm(*(Cloud(points, w) for points, w in zip(clouds, weights, strict=True)))
            return Sides(form.x, form.y, form)
        x, y = clouds
    C, D = (_structure(values, name, cost, threads) for values, name in ((x, "x"), (y, "y")))
    weights = masses(a, b, len(C), len(D))
    return Sides(Matrix(C, weights[0]), Matrix(D, weights[1]), MatrixForm(C, D))


def masses(a: Any, b: Any, n: int, m: int) -> tuple[Array, Array]:
    """Weights (n,) and (m,) of equal totals: uniform ones where None stands, and b rescaled by rounding."""
    a, b = check_weights(a, b, n, m)
    total = total_mass(a if a is not None else b)
    a = np.full(n, total / n) if a is None else a
    b = np.full(m, total / m) if b is None else b
    return a, b * (float(a.sum()) / float(b.sum()))


def _structure(values: Any, name: str, cost: Any, threads: int) -> NDArray[Any]:
    """A matrix (n, n) of finite numbers."""
    if isinstance(values, CostMatrix):
        n, m = values.shape
        if n != m:
            raise ValueError(
                f"{name} should be a square matrix, between the places of one structure; got shape {values.shape}. "
                "Between both structures costs go in as features."
            )
        if not np.isfinite(values.C).all():
            raise ValueError(
                f"{name} should hold finite numbers; some are NaN or infinite. Where there is no way between two "
                "places, put a number above all others."
            )
        return values.C
    points = as_points(values, name)
    _warn_of_matrix(points, name)
    n = len(points)
    require_memory(16 * n * n, f"distances within {name}, of {n} points,", "Subsample, or take cost='sqeuclidean'.")
    return dense(PointCloud(points, points, cost), threads)


def _warn_of_matrix(points: NDArray[Any], name: str) -> None:
    """Distances that were meant as such, and not as points, are square."""
    n, d = points.shape
    if n == d > 2 and not points.diagonal().any() and np.array_equal(points, points.T):
        warnings.warn(
            f"{name} is square and symmetric, with zeros on its diagonal, and is taken as {n} points in {d} "
            f"dimensions. If it holds distances, pass monge.CostMatrix({name}).",
            UserWarning,
            stacklevel=4,
        )


def _check_reach(points: NDArray[Any], name: str) -> None:
    with np.errstate(over="ignore"):
        reach = float(np.ptp(points.astype(np.float64), axis=0).max())
    if not (reach == 0.0 or _SMALLEST < reach < _LARGEST):
        raise ValueError(
            f"the points {name} spread over {shown(reach)}, and fourth powers of that are no numbers. Rescale them."
        )
