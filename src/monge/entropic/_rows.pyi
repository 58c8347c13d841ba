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
