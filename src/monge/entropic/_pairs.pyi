from typing import Any

import numpy as np
from numpy.typing import NDArray

def panel_size(dtype: np.dtype[Any]) -> int: ...
def sinkhorn_rows(
    costs: tuple[Any, ...],
    beta: NDArray[Any],
    inverse: float,
    reference: float,
    log_a: NDArray[np.float64],
    damp: float,
    cap: float,
    lift: float,
    first: int,
    last: int,
    shift: NDArray[np.float64],
    f: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None: ...
def packed(
    x: NDArray[np.float64], y: NDArray[np.float64], base: int, exponent: float, factor: float, single: bool
) -> tuple[tuple[NDArray[Any], NDArray[Any], int, bool, float], float]: ...
def cost_rows(costs: tuple[Any, ...], first: int, last: int, out: NDArray[Any]) -> None: ...
def plan_entries(plan: tuple[Any, ...], first: int, last: int, entries: NDArray[np.float64]) -> None: ...
def plan_sums(
    plan: tuple[Any, ...],
    m: int,
    first: int,
    last: int,
    u: NDArray[np.float64],
    v: NDArray[np.float64],
    sent: NDArray[np.float64],
    received: NDArray[np.float64],
) -> float: ...
def plan_product(
    plan: tuple[Any, ...], m: int, first: int, last: int, V: NDArray[np.float64], out: NDArray[np.float64]
) -> None: ...
def plan_entropy(
    plan: tuple[Any, ...],
    m: int,
    first: int,
    last: int,
    u: NDArray[np.float64],
    v: NDArray[np.float64],
    sent: NDArray[np.float64],
    received: NDArray[np.float64],
) -> tuple[float, float]: ...
def plan_gradient(
    plan: tuple[Any, ...],
    m: int,
    first: int,
    last: int,
    sent: NDArray[np.float64],
    received: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
) -> float:
    """x_i = sum_j P_ij dC_ij / dx_i for some rows of x (n, d), y_j = sum_i P_ij dC_ij / dy_j over these rows, in
    (m, d), sums of the rows of P in sent (n,) and of its columns in received (panels of m), and the price
    sum_ij P_ij C_ij.

    The plan's costs are points that are not lifted. A pair of equal points adds nothing to a gradient.
    """

def cloud_gradient(
    form: tuple[Any, ...],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    f: NDArray[np.float64],
    g: NDArray[np.float64],
    eps: float,
    grad_x: NDArray[np.float64],
    grad_y: NDArray[np.float64],
) -> None:
    """The gradients (n, d) and (m, d) of the plan a_i b_j exp((f_i + g_j - C_ij) / eps), all of it at once, for the few
    points of a `Form`."""

def transform(
    costs: tuple[Any, ...],
    g: NDArray[np.float64],
    first: int,
    last: int,
    f: NDArray[np.float64],
    low: NDArray[np.float64] | None = None,
) -> None:
    """f_i = min_j C_ij - g_j for some rows of f (n,), +inf where there is no such j; and low_j = min_i C_ij - f_i over
    these rows, in (m,), with zero for an f_i that is +inf, and +inf where there is no such i.

    g (m,) is in the units of the costs, -inf for a column that is left out. The costs are a matrix (of floats or
    doubles) or points that are not lifted: products of lifted ones round by the size of the points and not of their
    distance.
    """

def spread_price(
    costs: tuple[Any, ...], m: int, first: int, last: int, u: NDArray[np.float64], v: NDArray[np.float64]
) -> float:
    """sum_ij u_i C_ij v_j for some rows, u (n,) and v (panels of m, filled up by zeros); a pair without weight costs
    nothing, even if it is forbidden."""
