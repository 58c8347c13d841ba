"""Rows of the cost matrix, a block at a time, in double precision."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from monge.problem.costs import Cost, CostMatrix, Grid, PointCloud

__all__ = ["cost_block", "row_blocks", "sampled_costs"]

# Numbers in a block: 4 MiB, which stays in cache between the few operations on it.
_BLOCK = 2**19

# Rows and columns of a sample that tells the scale of the costs.
_SAMPLE = 64

_METRICS = {"cityblock": "cityblock", "cosine": "cosine"}


def cost_block(cost: Cost, rows: slice | NDArray[np.intp]) -> NDArray[np.float64]:
    """The costs (k, m) of some rows, from differences of coordinates, so that no digits cancel."""
    if isinstance(cost, CostMatrix):
        return cost.C[rows].astype(np.float64)
    if isinstance(cost, Grid):
        return _grid_block(cost, rows)
    from scipy.spatial.distance import cdist

    x, y = cost.x[rows].astype(np.float64), cost.y.astype(np.float64)
    if cost.distance == "euclidean" and cost.power == 2.0:
        return np.asarray(cdist(x, y, "sqeuclidean"))
    block = np.asarray(cdist(x, y, _METRICS.get(cost.distance, "euclidean")))
    return block if cost.power == 1.0 else block**cost.power


def _grid_block(grid: Grid, rows: slice | NDArray[np.intp]) -> NDArray[np.float64]:
    cells = np.unravel_index(np.arange(grid.shape[0])[rows], grid.sides)
    block = np.zeros((len(cells[0]), *grid.sides))
    for axis, (places, moves) in enumerate(zip(cells, grid.axis_costs(), strict=True)):
        along = moves[np.abs(places[:, np.newaxis] - np.arange(len(moves)))]  # (k, side)
        block += along.reshape(len(along), *(len(moves) if other == axis else 1 for other in range(len(grid.sides))))
    return block.reshape(len(block), -1)


def row_blocks(n: int, m: int) -> Iterator[slice]:
    """Slices that cut n rows of m numbers into blocks."""
    size = max(1, _BLOCK // m)
    for first in range(0, n, size):
        yield slice(first, min(first + size, n))


def sampled_costs(cost: Cost) -> NDArray[np.float64]:
    """Costs between some of the rows and some of the columns, evenly spread."""
    rows, columns = (slice(None, None, -(-size // _SAMPLE)) for size in cost.shape)
    if isinstance(cost, CostMatrix):
        return cost.C[rows, columns].astype(np.float64)
    if isinstance(cost, Grid):
        return cost_block(cost, rows)[:, columns]
    return cost_block(PointCloud(cost.x[rows], cost.y[columns], cost.cost), slice(None))
