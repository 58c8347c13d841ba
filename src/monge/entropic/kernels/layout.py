"""Costs in the form that the core takes; see csrc/entropic/pairs.hpp."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic._pairs import packed, panel_size
from monge.problem.costs import CostMatrix, PointCloud

__all__ = ["in_panels", "packed_cost", "packed_points"]


def packed_cost(cost: CostMatrix | PointCloud, dtype: Any) -> tuple[Any, float]:
    """The cost as a matrix or as points, or a user's to be computed, and the factor from its numbers to cost units."""
    if isinstance(cost, CostMatrix):
        return (np.ascontiguousarray(cost.C),), 1.0
    if cost.formed is None:
        return cost.in_single if dtype == np.float32 else cost.in_double, 1.0
    return packed_points(cost, dtype)


def packed_points(cost: PointCloud, dtype: Any) -> tuple[Any, float]:
    """Points as the core takes them, and the factor from the costs between these to cost units."""
    return packed(*cost.form(np.float64), dtype == np.float32)


def in_panels(columns: NDArray[Any], fill: float = 0.0) -> NDArray[Any]:
    """What belongs to columns (m, d), or (m,), in panels (panels, d, size), or (panels * size,), of those."""
    size = panel_size(columns.dtype)
    m = len(columns)
    whole = np.full((-(-m // size) * size, *columns.shape[1:]), fill, dtype=columns.dtype)
    whole[:m] = columns
    if columns.ndim == 1:
        return whole
    return np.ascontiguousarray(whole.reshape(-1, size, columns.shape[1]).transpose(0, 2, 1))
