"""Costs in the form that compiled code takes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from monge.entropic.blocks import multiplied_costs, sampled_costs
from monge.entropic.kernels.passes import CITYBLOCK, EUCLIDEAN, STORED
from monge.problem.costs import CostMatrix, PointCloud

__all__ = ["compiled_cost", "cost_scale"]

# Coordinates from which the costs of points are kept, in a matrix of up to so many bytes.
_WIDE, _KEPT = 8, 2**28
# Numbers in a cost matrix that is converted to the type of the computation.
_CONVERTED = 2**16
# Error in the marginals that single precision makes, per largest cost over eps.
_NOISE = 2e-8
# Costs from here to its inverse keep clear of the ends of single precision's range.
_HELD = 1e-25


def compiled_cost(cost: CostMatrix | PointCloud, dtype: Any) -> tuple[Any, float]:
    """The cost as compiled code takes it, and the factor from its numbers to cost units.

    Points of many coordinates become a matrix where that is not too large: their distances would take longest. Others
    are moved to their middle and scaled by a power of two, so that their differences suit single precision.
    """
    if isinstance(cost, CostMatrix):
        none = np.empty((0, 0), dtype=dtype)
        # A small matrix is converted, which takes less than compiling for its type; a large one is read in place.
        C = np.ascontiguousarray(cost.C, dtype=dtype if cost.C.size <= _CONVERTED else None)
        return (C, none, none, STORED, 1.0), 1.0
    none = np.empty((0, 0), dtype=dtype)
    n, m = cost.shape
    if cost.x.shape[1] > _WIDE and n * m * np.dtype(dtype).itemsize <= _KEPT:
        return (multiplied_costs(cost, dtype), none, none, STORED, 1.0), 1.0
    x, y = cost.x.astype(np.float64), cost.y.astype(np.float64)
    kind, power, per_unit = (CITYBLOCK if cost.distance == "cityblock" else EUCLIDEAN), cost.power, 1.0
    if cost.distance == "cosine":  # 1 - <x, y> = |x - y|^2 / 2 on the sphere
        x, y = (points / np.abs(points).max(axis=1, keepdims=True) for points in (x, y))
        x, y = (points / np.linalg.norm(points, axis=1, keepdims=True) for points in (x, y))
        power, per_unit = 2.0, 0.5
    else:
        middle = x.mean(axis=0)
        exponent = math.frexp(cost.reach)[1]
        x, y = np.ldexp(x - middle, -exponent), np.ldexp(y - middle, -exponent)
        per_unit = 2.0 ** (exponent * power)
    return (none, np.ascontiguousarray(x, dtype=dtype), np.ascontiguousarray(y.T, dtype=dtype), kind, power), per_unit


def cost_scale(cost: CostMatrix | PointCloud) -> tuple[float, float]:
    """The mean cost above the least one, roughly; and what single precision adds to the marginal error, times eps."""
    some = sampled_costs(cost)
    some = some[np.isfinite(some)]
    if not some.size:
        return 0.0, np.inf
    low, mean = float(some.min()), float(some.mean())
    size = float(np.abs(some).max())
    held = _HELD < size < 1.0 / _HELD or isinstance(cost, PointCloud)
    return mean - low, _NOISE * size if held else np.inf
