"""Wasserstein distances between point clouds.

W_p(mu, nu) = ( min_P  sum_ij P_ij |x_i - y_j|^p )^(1/p)           (Villani 2009, Definition 6.1)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from monge.exact.dense import dense
from monge.exact.emd import emd
from monge.exact.univariate import check_power, mean_power
from monge.problem.arrays import available_threads, require_memory
from monge.problem.costs import CostMatrix, PointCloud, as_points
from monge.problem.ground import power_of, scale_of, scaled
from monge.problem.measures import Weights, check_weights, total_mass
from monge.problem.user_cost import GroundCost

__all__ = ["smallest_mean", "wasserstein", "wasserstein_1d"]

# Beyond this power, costs of distances that differ little have little in common; see `_high_power`.
_DIRECT = 16.0
# Mean costs below these may have lost terms to underflow, of numbers in single and in double precision.
_SMALLEST_SINGLE, _SMALLEST_DOUBLE = 1e-30, 1e-200
# From one power to the next; and the cost beyond which no arc is ever used, next to costs of at most one in a plan,
# since the smallest mass that the core moves is 2^-60 of all.
_RISE, _NEVER = 8.0, 2.0**61
# Beyond it W_p is the largest distance that is needed: the root of 2^-60 is one.
_LARGEST_POWER = 1e18


def wasserstein(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    p: float = 2,
    ground: str | GroundCost | Callable[..., Any] = "euclidean",
    threads: int | None = None,
) -> float:
    """The exact Wasserstein distance W_p between two weighted point clouds.

    Parameters
    ----------
    x : array_like (n, d)
        Points of the first measure; a vector stands for points on the line.
    y : array_like (m, d)
        Points of the second.
    a, b : array_like (n,), (m,), optional
        Weights, of equal totals; None for uniform ones. They are normalised to probabilities.
    p : float
        Exponent, >= 1.
    ground : str, callable or GroundCost
        The distance between points that is raised to p: one that `PointCloud` takes powers of, or a function d(x, y) of
        your own that is not negative.
    threads : int, optional
        As in `emd`.

    Returns
    -------
    float
        In the unit of the coordinates, of which no power can over- or underflow.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As `PointCloud` and `emd` do; for p < 1, and for a ground that is no distance or is negative somewhere.

    Notes
    -----
    Points with one coordinate are handed to `wasserstein_1d`. Beyond p = 16 a few problems are solved, of rising
    powers: the largest distance that one needs is the unit of the next.

    Examples
    --------
    >>> import monge
    >>> monge.wasserstein([[0.0, 0.0]], [[3.0, 4.0]])
    5.0
    >>> monge.wasserstein([[0.0, 0.0]], [[3.0, 4.0]], ground="cityblock")
    7.0
    >>> monge.wasserstein([[0.0, 0.0]], [[3.0, 4.0]], ground=lambda x, y: min(abs(x[0] - y[0]), 2.0))
    2.0
    """
    power = check_power(p)
    if callable(ground) or isinstance(ground, GroundCost):
        written = PointCloud(x, y, ground)
        return _high_power(written, *check_weights(a, b, *written.shape), power, available_threads(threads))
    power_of(ground, power)  # of points on the line, too, where all distances are the same
    x, y = as_points(x, "x"), as_points(y, "y")
    if x.shape[1] == y.shape[1] == 1:
        return wasserstein_1d(x, y, a, b, p=power, threads=threads)
    cloud = PointCloud(x, y, ground)
    a, b = check_weights(a, b, *cloud.shape)
    mass = total_mass(a if a is not None else b)
    if power <= _DIRECT:
        # On points rescaled by a power of two the powers of distances do not overflow, and rarely vanish.
        scale = scale_of(cloud.reach)
        near = PointCloud(scaled(cloud.x, scale), scaled(cloud.y, scale), (ground, power))
        t = emd(near, a, b, threads=threads)
        if t.cost / mass > smallest_mean(power, cloud.dtype):
            return math.ldexp((t.cost / mass) ** (1.0 / power), scale)
        if np.array_equal(cloud.x[t.plan.row], cloud.y[t.plan.col]):
            return 0.0
    return _high_power(cloud, a, b, power, available_threads(threads))


def smallest_mean(p: float, dtype: Any) -> float:
    """Above it, a mean of p-th powers of distances, none beyond one, is known as well as costs of this type are."""
    return math.inf if p > _DIRECT else _SMALLEST_SINGLE if dtype == np.float32 else _SMALLEST_DOUBLE


def _high_power(cloud: PointCloud, a: Weights | None, b: Weights | None, p: float, threads: int) -> float:
    """W_p where powers of the distances in use vanish next to that of the largest.

    So distances are measured in the largest one that a plan for a lower power needs. Let B be the least distance
    without which no plan can do. An optimal plan for the power q goes at most as far as 2^(60 / q) B, since no mass is
    below 2^-60 of all, and costs at B for the power 8 q are then at least 2^-480: they fit a float, whatever p is.
    """
    x, y = cloud.x.astype(np.float64), cloud.y.astype(np.float64)
    if a is not None:
        x, a = x[a > 0.0], a[a > 0.0]
    if b is not None:
        y, b = y[b > 0.0], b[b > 0.0]
    n, m = len(x), len(y)
    require_memory(17 * n * m, f"distances between {n} and {m} points and their powers", "Subsample the points.")
    distance = dense(PointCloud(x, y, cloud.cost), threads)  # (n, m)
    if cloud.formed is None and not (distance.min() >= 0.0 and distance.max() < math.inf):
        raise ValueError(f"a distance should be finite and not negative; {cloud.ground!r} is not, between some points.")
    unit, power, p = float(distance.max()), min(p, _RISE), min(p, _LARGEST_POWER)
    while unit > 0.0:
        with np.errstate(over="ignore", under="ignore"):
            C = distance / unit
            np.power(C, power, out=C)
            C[C > _NEVER] = np.inf
            plan = emd(CostMatrix(C), a, b, threads=threads).plan
            used = distance[plan.row, plan.col]
            mean = float(plan.data @ (used / unit) ** power) / float(plan.data.sum())
        if mean > _SMALLEST_DOUBLE:
            if power == p:
                return float(unit * mean ** (1.0 / p))
            power = min(_RISE * power, p)
        unit = float(used.max())
    return 0.0


def wasserstein_1d(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    p: float = 1,
    period: float | None = None,
    threads: int | None = None,
) -> float:
    """The exact Wasserstein distance W_p between two weighted sets of points on the line, or on a circle.

    It takes the time of sorting the points. For the plan, use `emd_1d`.

    Parameters
    ----------
    x : array_like (n,) or (n, 1)
        Points of the first measure, in any order.
    y : array_like (m,) or (m, 1)
        Points of the second.
    a, b : array_like (n,), (m,), optional
        Weights, of equal totals; None for uniform ones. They are normalised to probabilities.
    p : float
        Exponent, >= 1.
    period : float, optional
        Circumference of the circle on which the points lie, modulo which they are taken. None for the line.
    threads : int, optional
        As in `emd_1d`.

    Returns
    -------
    float
        In the unit of the coordinates, of which no power can over- or underflow.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As `emd_1d` does, but for large powers.

    Notes
    -----
    On the line W_p^p is the integral over s in (0, 1) of |X(s) - Y(s)|^p, with X and Y the quantile functions (Villani
    2003, "Topics in Optimal Transportation", Theorem 2.18). For the circle see `emd_1d`.

    Examples
    --------
    >>> import monge
    >>> monge.wasserstein_1d([0.0, 1.0, 3.0], [5.0, 6.0, 8.0])
    5.0
    >>> monge.wasserstein_1d([0.0, 1.0], [0.0, 1.0], [3, 1], [1, 3], p=2)
    0.7071067811865476
    >>> monge.wasserstein_1d([350.0], [10.0], period=360.0)
    20.0
    """
    power = check_power(p)
    mean, unit = mean_power(x, y, a, b, power, period, threads)
    return float(unit * mean ** (1.0 / power))
