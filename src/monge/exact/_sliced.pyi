from typing import NotRequired, TypedDict

from numpy import float64
from numpy.typing import NDArray

class Sums(TypedDict):
    means: NDArray[float64]
    reaches: NDArray[float64]
    lifted: NotRequired[NDArray[float64]]
    points_x: NotRequired[NDArray[float64]]
    points_y: NotRequired[NDArray[float64]]
    turns: NotRequired[NDArray[float64]]
    weights_a: NotRequired[NDArray[float64]]
    weights_b: NotRequired[NDArray[float64]]

def sums(
    x: NDArray[float64],
    y: NDArray[float64],
    a: NDArray[float64] | None,
    b: NDArray[float64] | None,
    factor: float,
    shift: NDArray[float64],
    directions: NDArray[float64],
    p: float,
    unit: float,
    threads: int,
    *,
    lifted: bool = False,
    points: bool = False,
    turns: bool = False,
    weights: bool = False,
) -> Sums: ...
