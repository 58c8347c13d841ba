"""Costs in the form that the core takes; see csrc/entropic/pairs.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic._pairs import cost_rows, panel_size
from monge.problem.costs import CostMatrix, PointCloud

__all__ = ["in_panels", "packed_cost", "packed_points", "pair_by_pair", "worth_keeping"]

# Coordinates from which products are faster than differences.
_WIDE = 8
# The ratio of the largest squared distance from the middle to the median one from which differences are safer.
_OUTLYING = 1e4
# From which the costs of points are kept, in a matrix of up to so many bytes: reading it takes a fifth of the time.
_COSTLY, _KEPT = 16, 2**27


def packed_cost(cost: CostMatrix | PointCloud, dtype: Any) -> tuple[Any, float]:
    """The cost as a matrix or as points, and the factor from its numbers to cost units."""
    if isinstance(cost, CostMatrix):
        return (np.ascontiguousarray(cost.C),), 1.0
    return packed_points(cost, dtype)


def pair_by_pair(cost: Any) -> Any:
    """The costs as a matrix of float64, or as points between which the core computes one cost after another."""
    if isinstance(cost, CostMatrix):
        return np.ascontiguousarray(cost.C, dtype=np.float64)
    if cost.x.shape[1] < _WIDE:
        return cost.form(np.float64)
    packed, per_unit = packed_points(cost, np.float64)
    matrix = np.empty(cost.shape)
    cost_rows(packed, 0, len(matrix), matrix)
    matrix *= per_unit
    return matrix


def worth_keeping(cost: CostMatrix | PointCloud, dtype: Any) -> bool:
    """Whether a matrix is to take the place of points, because that is not too large and saves much."""
    n, m = cost.shape
    large = n * m * np.dtype(dtype).itemsize > _KEPT
    return isinstance(cost, PointCloud) and cost.x.shape[1] >= _COSTLY and not large


def packed_points(cost: PointCloud, dtype: Any) -> tuple[Any, float]:
    """Points as the core takes them, and the factor from the costs between these to cost units."""
    x, y, base, exponent, per_unit = cost.centred()
    lifted = cost.ground.base == "squares" and x.shape[1] >= _WIDE and not _has_outliers(x, y)
    if lifted:
        x, y = _lifted(x.astype(dtype)), _lifted(y.astype(dtype))
        x[:, :-2] *= -2.0
        y[:, -2:] = y[:, :-3:-1]
    return (x.astype(dtype), in_panels(y.astype(dtype, copy=False)).ravel(), base, lifted, exponent), per_unit


def _has_outliers(x: NDArray[np.float64], y: NDArray[np.float64]) -> bool:
    """Whether some points are so far from the middle that their squared distance from it hides costs of the others."""
    squares = np.concatenate([np.einsum("ij,ij->i", points, points) for points in (x, y)])
    return bool(squares.max() > _OUTLYING * np.median(squares))


def _lifted(points: NDArray[Any]) -> NDArray[Any]:
    """The points (n, d), with their squared length and one as further coordinates."""
    # The length of what is left after rounding, so that distances are those of points that are near.
    squares = np.square(points, dtype=np.float64).sum(axis=1)
    return np.column_stack([points, squares.astype(points.dtype), np.ones(len(points), dtype=points.dtype)])


def in_panels(columns: NDArray[Any], fill: float = 0.0) -> NDArray[Any]:
    """What belongs to columns (m, d), or (m,), in panels (panels, d, size), or (panels * size,), of those."""
    size = panel_size(columns.dtype)
    m = len(columns)
    whole = np.full((-(-m // size) * size, *columns.shape[1:]), fill, dtype=columns.dtype)
    whole[:m] = columns
    if columns.ndim == 1:
        return whole
    return np.ascontiguousarray(whole.reshape(-1, size, columns.shape[1]).transpose(0, 2, 1))
