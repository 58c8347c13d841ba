"""What an entropic plan proves about the transport problem without entropy.

The plan is rounded to its marginals (see `rounding`), so that its price is an upper bound of the optimum; and one
c-transform of a potential makes it dual feasible, so that it gives a lower bound:

<G, C> - (a.f + b.g) >= 0   with   f_i = min_j C_ij - g_j,   g_j = min_i C_ij - f_i
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.entropic.blocks import cost_block, row_blocks
from monge.entropic.rounding import Rounding
from monge.problem.costs import Cost, Grid

__all__ = ["Certificate", "certificate"]

Array = NDArray[np.float64]


class Certificate(NamedTuple):
    """The price of a plan, and potentials that bound the price of all plans from below."""

    price: float
    f: Array  # (n,)
    g: Array  # (m,)


def certificate(cost: Cost, a: Array, b: Array, f: Array, g: Array, eps: float, rounding: Rounding) -> Certificate:
    """For diag(x) P diag(y) + u v' with P_ij = a_i b_j exp((f_i + g_j - C_ij) / eps), in one pass over the costs.

    Where b is zero, g is not used: it need not say anything there.
    """
    x, y, u, v = rounding
    with np.errstate(divide="ignore", invalid="ignore"):
        log_rows, log_cols = np.log(a * x) + f / eps, np.log(b * y) + g / eps
        known = np.where(b > 0.0, g, -np.inf)
    if isinstance(cost, Grid):
        return _on_grid(cost, log_rows, log_cols, known, eps, u, v)
    n, m = cost.shape
    price, f_feasible, g_feasible = 0.0, np.empty(n), np.full(m, np.inf)
    with np.errstate(invalid="ignore", under="ignore"):
        for rows in row_blocks(n, m):
            C = cost_block(cost, rows)
            f_feasible[rows] = (C - known).min(axis=1)
            np.minimum(g_feasible, (C - f_feasible[rows, np.newaxis]).min(axis=0), out=g_feasible)
            P = np.exp(log_rows[rows, np.newaxis] + log_cols - C / eps) + np.multiply.outer(u[rows], v)
            # Without mass, an arc costs nothing, whatever its price.
            price += float(np.where(P > 0.0, P * C, 0.0).sum())
    return Certificate(price, f_feasible, g_feasible)


def _on_grid(grid: Grid, log_rows: Array, log_cols: Array, known: Array, eps: float, u: Array, v: Array) -> Certificate:
    # Numba is slow to import, and needed for grids alone.
    from monge.entropic.kernels.grid import GridSums, grid_transform

    with np.errstate(divide="ignore", under="ignore"):
        paid = np.exp(log_rows + GridSums(grid, eps).log_cost_sum(log_cols)).sum()
        paid += (u * np.exp(GridSums(grid, np.inf).log_cost_sum(np.log(v)))).sum()
    f = grid_transform(grid, known)
    return Certificate(float(paid), f, grid_transform(grid, f))
