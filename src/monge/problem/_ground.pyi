from typing import Any

from numpy import float64, int64
from numpy.typing import NDArray

LARGEST_COST: float
SMALLEST_TOTAL: float
LARGEST_TOTAL: float

def total_tolerance(rounding: float, places: int) -> float: ...
def bases() -> dict[str, tuple[int, int]]: ...
def cost_matrix(
    x: NDArray[Any], y: NDArray[Any], base: int, exponent: float, factor: float, threads: int
) -> NDArray[Any]: ...
def pair_costs(
    x: NDArray[float64], y: NDArray[float64], base: int, exponent: float, factor: float
) -> NDArray[float64]: ...
def pair_slopes(
    x: NDArray[float64], y: NDArray[float64], base: int, exponent: float, factor: float
) -> NDArray[float64]: ...
def kd_order(points: NDArray[float64]) -> NDArray[int64]: ...
