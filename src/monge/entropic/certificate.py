"""What an entropic plan proves about the transport problem without entropy.

The plan is rounded to its marginals (see `rounding`), so that its price is an upper bound of the optimum; and one
c-transform of a potential makes it dual feasible, so that it gives a lower bound:

<G, C> - (a.f + b.g) >= 0   with   f_i = min_j C_ij - g_j,   g_j = min_i C_ij - f_i
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.entropic._rows import cost_rows
from monge.entropic.blocks import row_blocks
from monge.entropic.kernels.packed import packed_points
from monge.entropic.plan import LazyPlan, over_chunks
from monge.entropic.rounding import Rounding
from monge.problem.costs import Cost, CostMatrix, Grid, PointCloud

__all__ = ["Certificate", "certificate", "price", "transforms"]

Array = NDArray[np.float64]


class Certificate(NamedTuple):
    """The price of a plan, and potentials that bound the price of all plans from below."""

    price: float
    f: Array  # (n,)
    g: Array  # (m,)


def certificate(cost: Cost, a: Array, b: Array, f: Array, g: Array, eps: float, rounding: Rounding) -> Certificate:
    """For diag(x) P diag(y) + u v' with P_ij = a_i b_j exp((f_i + g_j - C_ij) / eps), in two passes over the costs.

    Where b is zero, g is not used: it need not say anything there.
    """
    known = np.where(b > 0.0, g, -np.inf)
    return Certificate(price(cost, a, b, f, g, eps, rounding), *transforms(cost, known))


def price(cost: Cost, a: Array, b: Array, f: Array, g: Array, eps: float, rounding: Rounding) -> float:
    """<diag(x) P diag(y) + u v', C>, in one pass over the costs."""
    x, y, u, v = rounding
    if not isinstance(cost, Grid):
        return LazyPlan(cost, a, b, f, g, eps).priced(x, y, u, v)[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        log_rows, log_cols = np.log(a * x) + f / eps, np.log(b * y) + g / eps
    return _price_on_grid(cost, log_rows, log_cols, eps, u, v)


def transforms(cost: Cost, g: Array) -> tuple[Array, Array]:
    """f_i = min_j C_ij - g_j, and then g_j = min_i C_ij - f_i; -inf in g stands for a column that is left out.

    Zero where no arc is allowed, or only to columns that are left out.
    """
    if isinstance(cost, Grid):
        from monge.entropic.kernels.grid import grid_transform  # Numba is slow to import, and needed for grids alone

        f = grid_transform(cost, g)
        return f, grid_transform(cost, f)
    return _by_pairs(cost, g)


def _by_pairs(cost: CostMatrix | PointCloud, g: Array) -> tuple[Array, Array]:
    n, m = cost.shape
    costs, unit = (None, 1.0) if isinstance(cost, CostMatrix) else packed_points(cost, np.float64)
    scaled, f = g / unit, np.empty(n)

    def work(chunk: slice) -> Array:
        lowest = np.full(m, np.inf)
        parts = [slice(chunk.start + rows.start, chunk.start + rows.stop) for rows in row_blocks(len(f[chunk]), m)]
        room, more = (np.empty((max(rows.stop - rows.start for rows in parts), m)) for _ in range(2))
        for rows in parts:
            C, less = room[: rows.stop - rows.start], more[: rows.stop - rows.start]
            if costs is None:
                C[:] = cost.C[rows]  # type: ignore[union-attr]
            else:
                cost_rows(costs, rows.start, rows.stop, C)
            np.subtract(C, scaled, out=less).min(axis=1, out=f[rows])
            f[rows][f[rows] == np.inf] = 0.0
            np.minimum(lowest, np.subtract(C, f[rows, np.newaxis], out=less).min(axis=0), out=lowest)
        return lowest

    lowest = np.min(over_chunks(n, m, work), axis=0)
    lowest[lowest == np.inf] = 0.0
    return f * unit, lowest * unit


def _price_on_grid(grid: Grid, log_rows: Array, log_cols: Array, eps: float, u: Array, v: Array) -> float:
    from monge.entropic.kernels.grid import GridSums

    with np.errstate(divide="ignore", under="ignore"):
        paid = np.exp(log_rows + GridSums(grid, eps).log_cost_sum(log_cols)).sum()
        paid += (u * np.exp(GridSums(grid, np.inf).log_cost_sum(np.log(v)))).sum()
    return float(paid)
