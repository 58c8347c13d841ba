from collections.abc import Callable, Sequence
from typing import TypedDict

from numpy import float64, int64, uint64
from numpy.typing import NDArray

class Solution(TypedDict):
    status: int
    cost: float
    mass: float
    reach: float
    gap: float
    cuts: int
    seconds_sort: float
    seconds_total: float

def mean_cost(
    x: NDArray[float64],
    y: NDArray[float64],
    a: NDArray[float64] | None,
    b: NDArray[float64] | None,
    p: float,
    unit: float,
    period: float,
    threads: int,
) -> tuple[float, float]: ...
def mean_costs(
    x: Sequence[tuple[NDArray[float64], NDArray[float64] | None, NDArray[uint64]]],
    y: Sequence[tuple[NDArray[float64], NDArray[float64] | None, NDArray[uint64]]],
    rows: NDArray[int64],
    cols: NDArray[int64],
    p: float,
    units: NDArray[float64],
    threads: int,
    report: Callable[[int], None] | None,
) -> tuple[list[float], list[float]]: ...
def order(values: NDArray[float64]) -> NDArray[uint64]: ...
def transport(
    x: NDArray[float64],
    y: NDArray[float64],
    a: NDArray[float64] | None,
    b: NDArray[float64] | None,
    p: float,
    period: float,
    threads: int,
) -> tuple[Solution, NDArray[float64], NDArray[float64], NDArray[int64], NDArray[int64], NDArray[float64]]: ...
