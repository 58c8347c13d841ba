"""Costs in the form that the core takes; see csrc/entropic/pairs.hpp."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic._pairs import packed, panel_size, sinkhorn_rows
from monge.problem.costs import CostMatrix, PointCloud

__all__ = ["in_panels", "packed_cost", "packed_points", "rows_of"]


def rows_of(cost: CostMatrix | PointCloud, dtype: Any) -> tuple[Callable[..., None], float]:
    """`sinkhorn_rows` of this cost in this precision, and the factor from the costs that it takes to cost units."""
    if isinstance(cost, PointCloud) and cost.formed is None:
        from monge.entropic.kernels.user_rows import stripes, vectorised  # which import the compiler

        return vectorised(cost.in_single) if dtype == np.float32 else stripes(cost.in_double), 1.0
    costs, per_unit = packed_cost(cost, dtype)
    return partial(sinkhorn_rows, costs), per_unit


def packed_cost(cost: CostMatrix | PointCloud, dtype: Any) -> tuple[Any, float]:
    """The cost as a matrix or as points, and the factor from its numbers to cost units."""
    if isinstance(cost, CostMatrix):
        return (np.ascontiguousarray(cost.C),), 1.0
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
