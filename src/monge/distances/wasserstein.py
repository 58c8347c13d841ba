"""Wasserstein distances between point clouds.

W_p(mu, nu) = ( min_P  sum_ij P_ij |x_i - y_j|^p )^(1/p)           (Villani 2009, Definition 6.1)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from monge.exact.emd import emd
from monge.problem.costs import PointCloud
from monge.problem.measures import check_weights, total_mass

__all__ = ["check_exponent", "wasserstein"]


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
    power = check_exponent(p)
    cloud = PointCloud(x, y, "euclidean")
    a, b = check_weights(a, b, *cloud.shape)
    mass = total_mass(a if a is not None else b)
    # On points rescaled by a power of two the powers of distances neither overflow nor vanish.
    exponent = math.frexp(cloud.reach)[1]
    scaled = PointCloud(np.ldexp(cloud.x, -exponent), np.ldexp(cloud.y, -exponent), ("euclidean", power))
    return math.ldexp((emd(scaled, a, b, threads=threads).cost / mass) ** (1.0 / power), exponent)


def check_exponent(p: float) -> float:
    """p as a float, if it is the exponent of a distance."""
    power = float(p)
    if not 1.0 <= power < math.inf:
        raise ValueError(f"p should be a finite number >= 1; got {p!r}.")
    return power
