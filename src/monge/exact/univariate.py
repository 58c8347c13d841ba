"""Exact optimal transport on the line and on the circle, at the speed of sorting.

minimise  sum_ij P_ij d(x_i, y_j)^p  subject to  P >= 0,  P 1 = a,  P' 1 = b
          d(x, y) = |x - y| on the line, the shorter way round on the circle

On the line the plan that keeps the order is optimal (Villani 2003, "Topics in Optimal Transportation", section 2.2). On
the circle it is, once the circle is cut in the right place (Delon, Salomon, Sobolevski 2010, "Fast transport
optimization for Monge costs on the circle").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.exact import _univariate
from monge.problem.arrays import available_threads, real_array, real_number, require_memory, shown
from monge.problem.at_home import at_home
from monge.problem.home import home_of_any
from monge.problem.measures import check_value, check_weights
from monge.problem.transport import Status, Transport

__all__ = [
    "SortedPoints",
    "check_power",
    "check_range",
    "emd_1d",
    "in_order",
    "mean_power",
    "mean_powers",
    "smaller_unit",
]

Array = NDArray[np.float64]

# Costs beyond this could overflow when they are multiplied by masses and added up.
_LARGEST_COST = 1e250
# Mean powers below this may have lost small terms to underflow.
_SMALLEST_COST = 1e-200
# The smallest mass is 2^-60 of all, and beyond this power its root is one: W_p is the largest distance that is needed.
_LARGEST_POWER = 1e18
# Bytes per point that the core and a plan take at most, and from how many points on to ask whether they are there.
_BYTES, _MANY = 96, 10**7
# Points that are taken modulo the period at once: some 20 ms.
_AT_ONCE = 10**6


class _Problem(NamedTuple):
    x: Array
    y: Array
    a: Array | None
    b: Array | None
    period: float  # 0 for the line
    extent: float  # no difference is larger that the solver meets


def emd_1d(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    p: float = 1,
    period: float | None = None,
    threads: int | None = None,
) -> Transport:
    """Exact optimal transport between points on the line, or on a circle.

    Solves ``min sum_ij P_ij |x_i - y_j|^p`` over plans P >= 0 with P 1 = a and P' 1 = b. Prefer it to `emd` whenever
    points have one coordinate: it sorts, and takes O((n + m) log(n + m)) time and O(n + m) memory.

    Parameters
    ----------
    x : array_like (n,) or (n, 1)
        Source points, in any order and any unit.
    y : array_like (m,) or (m, 1)
        Target points.
    a : array_like (n,), optional
        Weights of the sources, not negative. None for uniform ones.
    b : array_like (m,), optional
        Weights of the targets, of the same total.
    p : float
        Exponent of the distance, >= 1.
    period : float, optional
        Circumference of the circle on which the points lie; they are taken modulo it, and the distance is the shorter
        way round, min(|x - y|, period - |x - y|). None for the line.
    threads : int, optional
        Threads, of which two are of use; None for all processors. The answer has the same bits for any number.

    Returns
    -------
    Transport
        ``value``, in units of distance^p times mass, the ``plan`` as a sparse (n, m) array with at most n + m - 1
        entries, potentials ``f`` and ``g`` that are feasible for all pairs, and ``gap``. ``iterations`` is zero;
        ``stats`` counts the cuts of the circle that were tried, and the seconds. Of arrays of another library it has
        such arrays, as `emd` says.

    Raises
    ------
    ValueError
        Points that are not finite or have more than one coordinate, weights as for `emd`, p < 1, a period that is not
        positive, or distances so large that their powers overflow.
    TypeError
        Points or weights that are not real numbers.
    MemoryError
        If the sorted points would not fit.

    Notes
    -----
    The plan that keeps the order is optimal for every convex cost of x - y (Villani 2003, "Topics in Optimal
    Transportation", section 2.2). The circle is cut where the slope of a convex function of the shift between both
    sides changes its sign (Delon, Salomon, Sobolevski 2010, section 4); for p = 1 this is the weighted median of
    Cabrelli and Molter 1995.
    Masses are integers inside, as in `emd`.

    Examples
    --------
    >>> import monge
    >>> t = monge.emd_1d([3.0, 0.0], [1.0, 5.0], p=2)
    >>> t.value, t.gap
    (2.5, 0.0)
    >>> t.plan.toarray()
    array([[0. , 0.5],
           [0.5, 0. ]])

    Five minutes before midnight to five past, in hours:

    >>> round(monge.emd_1d([24 - 1 / 12], [1 / 12], period=24).value * 60, 9)
    10.0
    """
    power, home = check_power(p), home_of_any(x, y, a, b)
    problem = _check(x, y, a, b, period)
    try:
        overflows = problem.extent**power > _LARGEST_COST
    except OverflowError:
        overflows = True
    if overflows:
        raise ValueError(
            f"the points should lie so close that distance**p stays below {_LARGEST_COST:g}; got differences up to "
            f"{problem.extent:.3g} with p = {shown(p)}. Choose a larger unit for the coordinates, or a smaller p."
        )
    solution, f, g, rows, cols, mass = _univariate.transport(
        problem.x, problem.y, problem.a, problem.b, power, problem.period, available_threads(threads)
    )
    check_value(solution["cost"], problem.a, problem.b)
    answer = Transport(
        value=solution["cost"],
        cost=solution["cost"],
        f=f,
        g=g,
        gap=solution["gap"],
        status=Status.OPTIMAL,
        iterations=0,
        stats={key: solution[key] for key in ("cuts", "seconds_sort", "seconds_total")},
        weights=(problem.a, problem.b),
        entries=(rows, cols, mass),
        cloud=_Line(problem.x[:, np.newaxis], problem.y[:, np.newaxis], power, problem.period),
    )
    return at_home(answer, home)


class _Line(NamedTuple):
    """Points on the line or on a circle, as a result takes derivatives with respect to them."""

    x: Array  # (n, 1)
    y: Array  # (m, 1)
    power: float
    period: float

    @property
    def ground(self) -> _Line:
        return self

    def derivatives(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Those of the distance's power with respect to points x and y (k, 1), zero where they are equal."""
        apart = x - y
        if self.period > 0.0:
            apart -= self.period * np.round(apart / self.period)
        slopes = np.asarray(self.power * np.sign(apart) * np.abs(apart) ** (self.power - 1.0))
        return slopes, -slopes


def check_power(p: float) -> float:
    """p as a finite float >= 1, for which |x|^p is convex."""
    power = real_number(p, "p", "a finite number >= 1")
    if not 1.0 <= power < math.inf:
        raise ValueError(f"p should be a finite number >= 1; got {shown(p)}.")
    return power


def mean_power(
    x: Any, y: Any, a: Any, b: Any, power: float, period: float | None, threads: int | None
) -> tuple[float, float]:
    """(r, u): the least mean of (distance / u)^power over all plans, and a unit u in which it fits a float.

    Arguments as for `emd_1d`. Without a plan to write it takes half the time.
    """
    problem, workers = _check(x, y, a, b, period), available_threads(threads)
    return _mean_power(problem, min(power, _LARGEST_POWER), _power_of_two(problem.extent), workers)


def _mean_power(problem: _Problem, power: float, unit: float, workers: int) -> tuple[float, float]:
    x, y, a, b, period, _ = problem
    while True:
        mean, reach = _univariate.mean_cost(x, y, a, b, power, unit, period, workers)
        smaller = smaller_unit(mean, reach, unit)
        if smaller is None:
            return mean, unit
        unit = smaller


def smaller_unit(mean: float, reach: float, unit: float) -> float | None:
    """A unit next to which the largest distance of a plan does not vanish, where it does next to this one."""
    if mean > _SMALLEST_COST or not 0.0 < reach < unit:
        return None
    rounded = _power_of_two(reach)
    return rounded if rounded < unit else reach


class SortedPoints(NamedTuple):
    """Points on the line, their weights (None for uniform ones), and where the points stand in increasing order."""

    points: Array  # (n,)
    weights: Array | None  # (n,)
    order: NDArray[np.uint64]  # (n,)
    low: float
    high: float


def in_order(points: Any, weights: Array | None) -> SortedPoints:
    """Finite points (n,) and their weights, sorted once for all the pairs they are in."""
    points = np.ascontiguousarray(points, dtype=np.float64)
    order = _univariate.order(points)
    return SortedPoints(points, weights, order, float(points[order[0]]), float(points[order[-1]]))


def mean_powers(
    pairs: list[tuple[SortedPoints, SortedPoints]], power: float, threads: int, report: Callable[[int], None] | None
) -> list[tuple[float, float]]:
    """What `mean_power` says of each pair on the line; `report` is told how many are done."""
    power = min(power, _LARGEST_POWER)
    units = [_power_of_two(max(s.high, t.high) - min(s.low, t.low)) for s, t in pairs]
    found = []
    for k, (mean, reach) in enumerate(_univariate.mean_costs(pairs, power, units, threads, report)):
        smaller = smaller_unit(mean, reach, units[k])
        if smaller is None:
            found.append((mean, units[k]))
        else:
            s, t = pairs[k]
            found.append(
                _mean_power(_Problem(s.points, t.points, s.weights, t.weights, 0.0, 0.0), power, smaller, threads)
            )
    return found


def check_range(low: float, high: float) -> None:
    """Raises ValueError if points are so far apart that their distance is no number."""
    if not high - low < math.inf:
        raise ValueError(
            f"x and y should span a finite range; got points from {low:g} to {high:g}. Choose a larger unit."
        )


def _power_of_two(size: float) -> float:
    """The least power of two that is not less: dividing by it rounds nothing."""
    if size == 0.0:
        return 1.0
    return math.ldexp(1.0, min(max(math.frexp(size)[1], -1000), 1000))


def _check(x: Any, y: Any, a: Any, b: Any, period: float | None) -> _Problem:
    points_x, points_y = _points(x, "x"), _points(y, "y")
    weights_a, weights_b = check_weights(a, b, len(points_x), len(points_y))
    points = len(points_x) + len(points_y)
    if points > _MANY:
        require_memory(_BYTES * points, f"transport between {points} points", "Aggregate points, or pass fewer.")
    if period is None:
        low = min(float(points_x.min()), float(points_y.min()))
        high = max(float(points_x.max()), float(points_y.max()))
        check_range(low, high)
        return _Problem(points_x, points_y, weights_a, weights_b, 0.0, high - low)
    length = real_number(period, "period", "a positive, finite circumference, or None for the line")
    if not (length > 0.0 and 3.0 * length < math.inf):
        raise ValueError(
            f"period should be a positive, finite circumference, or None for the line; got {shown(period)}."
        )
    return _Problem(_wrapped(points_x, length), _wrapped(points_y, length), weights_a, weights_b, length, 3.0 * length)


def _points(values: Any, name: str) -> Array:
    expected = "points of shape (n,) or (n, 1)"
    points = real_array(values, name, (1, 2), expected)
    if points.ndim == 2:
        if points.shape[1] != 1:
            raise ValueError(
                f"{name} should be {expected}; got shape {points.shape}. "
                "For points of more coordinates use monge.emd(monge.PointCloud(x, y))."
            )
        points = points[:, 0]
    if points.size == 0:
        raise ValueError(f"{name} should hold at least one point; got shape {points.shape}.")
    finite = np.isfinite(points)
    if not finite.all():
        at = int(np.argmin(finite))
        raise ValueError(f"{name} should hold finite coordinates; {name}[{at}] = {points[at]}.")
    return np.ascontiguousarray(points, dtype=np.float64)


def _wrapped(points: Array, period: float) -> Array:
    """The points modulo the period, in [0, period)."""
    wrapped = np.empty_like(points)
    for first in range(0, len(points), _AT_ONCE):  # between two parts an interrupt is answered
        some = slice(first, first + _AT_ONCE)
        np.mod(points[some], period, out=wrapped[some])
    # A point just below zero is rounded to the period itself.
    return np.where(wrapped < period, wrapped, 0.0)
