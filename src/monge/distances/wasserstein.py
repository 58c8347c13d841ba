"""Wasserstein distances between point clouds.

W_p(mu, nu) = ( min_P  sum_ij P_ij |x_i - y_j|^p )^(1/p)           (Villani 2009, Definition 6.1)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from monge.exact.emd import emd
from monge.exact.univariate import check_power, mean_power
from monge.problem.costs import PointCloud, as_points
from monge.problem.measures import check_weights, total_mass

__all__ = ["wasserstein", "wasserstein_1d"]


def wasserstein(x: Any, y: Any, a: Any = None, b: Any = None, *, p: float = 2, threads: int | None = None) -> float:
    """The exact Wasserstein distance W_p between two weighted point clouds, with the Euclidean ground distance.

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
    threads : int, optional
        As in `emd`.

    Returns
    -------
    float
        In the unit of the coordinates.

    Raises
    ------
    ValueError, TypeError
        As `PointCloud` and `emd` do; for p < 1.

    Examples
    --------
    >>> import monge
    >>> monge.wasserstein([[0.0, 0.0]], [[3.0, 4.0]])
    5.0
    """
    power = check_power(p)
    x, y = as_points(x, "x"), as_points(y, "y")
    if x.shape[1] == y.shape[1] == 1:
        return wasserstein_1d(x, y, a, b, p=power, threads=threads)
    cloud = PointCloud(x, y, "euclidean")
    a, b = check_weights(a, b, *cloud.shape)
    mass = total_mass(a if a is not None else b)
    # On points rescaled by a power of two the powers of distances neither overflow nor vanish.
    exponent = math.frexp(cloud.reach)[1]
    scaled = PointCloud(np.ldexp(cloud.x, -exponent), np.ldexp(cloud.y, -exponent), ("euclidean", power))
    return math.ldexp((emd(scaled, a, b, threads=threads).cost / mass) ** (1.0 / power), exponent)


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
