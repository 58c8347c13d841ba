from collections.abc import Callable

from numpy import float32, float64
from numpy.typing import NDArray

# Of the memory that a solve takes: see csrc/entropic/stored.hpp.
COSTLY_COORDINATES: int
MOST_KEPT: int
MOST_NEWTON_COLUMNS: int

def worth_turning(n: int, m: int) -> bool: ...

# The costs, as a matrix (n, m) or as points (n, d) and (m, d), their base, exponent and factor; a, b, and f and g: they
# hold the start, and get the answer; the eps to start from, zero for one that suits
# the costs; whether both sides are the same.
Problem = tuple[
    NDArray[float32] | NDArray[float64] | tuple[NDArray[float64], NDArray[float64], int, float, float],
    NDArray[float64],
    NDArray[float64],
    NDArray[float64],
    NDArray[float64],
    float,
    bool,
]
# Whether it converged, passes, steps of Newton's method, the marginal error, the dual value, the errors of all passes,
# seconds, and how often the kernel matrix was made.
Outcome = tuple[bool, int, int, float, float, NDArray[float64], float, int]

def solve(
    problems: list[Problem],
    demands: tuple[float, float, float, float],
    eps: float,
    tol: float,
    max_iter: int,
    threads: int,
    report: Callable[[int, float, float], None] | None,
) -> list[Outcome]: ...
