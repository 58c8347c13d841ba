from collections.abc import Callable, Sequence
from typing import Protocol, TypedDict

from numpy import float64, int64, uint64
from numpy.typing import NDArray

class _Sorted(Protocol):
    @property
    def points(self) -> NDArray[float64]: ...
    @property
    def weights(self) -> NDArray[float64] | None: ...
    @property
    def order(self) -> NDArray[uint64]: ...

class Solution(TypedDict):
    status: int
    cost: float
    mass: float
    reach: float
    gap: float
    cuts: int
    checks: int
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
    pairs: Sequence[tuple[_Sorted, _Sorted]],
    p: float,
    units: list[float],
    threads: int,
    report: Callable[[int], None] | None,
) -> list[tuple[float, float]]: ...
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
