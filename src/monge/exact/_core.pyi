from collections.abc import Callable
from typing import Any, TypeAlias, TypedDict

from numpy import float64, int32, int64
from numpy.typing import NDArray

# The numbers of the core's statuses.
OPTIMAL: int
TIME_LIMIT: int
INEXACT: int
INFEASIBLE: int
NO_PLAN_YET: int
OUT_OF_MEMORY: int
INVALID_WEIGHTS: int
INVALID_COST: int

class Counters(TypedDict):
    pivots: int
    degenerate_pivots: int
    arcs_priced: int
    sweeps: int
    listed_arcs: int
    coarse_pivots: int
    coarse_sweeps: int
    refinements: int
    dropped: float
    seconds_start: float
    seconds_pivots: float
    seconds_sweeps: float
    seconds_total: float

# Status, cost, gap, f, g, the plan's rows, columns and masses, listed arcs, counters. For the type checker alone.
Solution: TypeAlias = tuple[
    int,
    float,
    float,
    NDArray[float64],
    NDArray[float64],
    NDArray[int64],
    NDArray[int64],
    NDArray[float64],
    tuple[NDArray[int32], NDArray[int32]] | None,
    Counters,
]

# What is known before a solve: f, g, the rows and columns of a plan, and those of listed arcs.
Start: TypeAlias = tuple[
    NDArray[float64] | None,
    NDArray[float64] | None,
    NDArray[int64] | None,
    NDArray[int64] | None,
    NDArray[int32] | None,
    NDArray[int32] | None,
]

def emd(
    cost: NDArray[Any],
    a: NDArray[float64] | None,
    b: NDArray[float64] | None,
    rounding: float,
    start: Start | None,
    threads: int,
    time_limit: float,
    report: Callable[[int, int, float], None] | None,
) -> Solution: ...
def partial(
    cost: NDArray[Any],
    a: NDArray[float64] | None,
    b: NDArray[float64] | None,
    rounding: float,
    mass: float,
    sends_all: bool,
    fills_all: bool,
    threads: int,
    time_limit: float,
    report: Callable[[int, int, float], None] | None,
) -> Solution: ...
def sparse(
    m: int,
    begin: NDArray[int64],
    col: NDArray[int32],
    cost: NDArray[float64],
    a: NDArray[float64] | None,
    b: NDArray[float64] | None,
    rounding: float,
    g: NDArray[float64] | None,
    time_limit: float,
    report: Callable[[int, int, float], None] | None,
) -> Solution: ...
def emd_all(
    costs: list[NDArray[Any]],
    a: list[NDArray[float64] | None],
    b: list[NDArray[float64] | None],
    roundings: list[float],
    threads: int,
    time_limit: float,
    report: Callable[[int, int, float], None] | None,
) -> list[Solution]: ...
def emd_values(
    costs: list[NDArray[Any]],
    a: list[NDArray[float64] | None],
    b: list[NDArray[float64] | None],
    roundings: list[float],
    threads: int,
    report: Callable[[int, int, float], None] | None,
) -> list[tuple[int, float]]: ...
def emd_pairs(
    x: NDArray[Any], y: NDArray[Any], base: int, exponent: float, factor: float
) -> tuple[
    int, NDArray[float64], NDArray[int64], NDArray[int32], NDArray[int32], NDArray[float64], int
]: ...  # status, costs, where the entries of each pair begin, their rows, columns and masses, inexact pairs
def instruction_set() -> str: ...
