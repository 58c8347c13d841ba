"""What no plan between two structures gets below.

For every plan P of mass one,

    sum_ijkl (X_ik - Y_jl)^2 P_ij P_kl  >=  min_Q  sum_ij Q_ij W_2^2(row i of X, row j of Y)             (third)
                                        >=  min_Q  sum_ij Q_ij ((m_i - m'_j)^2 + (s_i - s'_j)^2)         (first)
                                        >=  the same for the means m alone, and for their roots of mean squares alone

with means m and deviations s of rows, and also >= W_2^2(all of X, all of Y) (second). After Memoli 2011, "Gromov-
Wasserstein distances and the metric approach to object matching", section 6, where they are called third, first and
second lower bound; that mean and deviation bound W_2 together is Gelbrich's inequality. The problems are on the line,
or between points with few coordinates: the rows of the third are known by their quantiles, of which means over equal
shares of the mass bound W_2^2 from below by Jensen's inequality.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monge.exact.emd import emd_within
from monge.exact.univariate import mean_power
from monge.problem.costs import PointCloud
from monge.problem.ground import scale_of, scaled

__all__ = ["Rows", "first_bound", "lower_bound", "on_the_line", "quantiles", "second_bound", "third_bound"]

Array = NDArray[np.float64]

# Up to so many places on the larger side all entries of the structures are looked at.
_ALL = 3000
# Shares of the mass by which rows are known, if no smaller number, or few more, say all about them.
_SHARES, _MOST_SHARES = 64, 256
# Numbers in a block of rows.
_BLOCK = 2**20


class Rows(Protocol):
    """A structure X (n, n) as the bounds see it: a few rows at a time."""

    weights: Array  # (n,)
    mass: float  # which is what they add up to

    def __len__(self) -> int: ...

    def rows(self, some: slice) -> Array:
        """X (k, n) in some rows, as a new array."""

    def moments(self) -> tuple[Array, Array]:
        """The means m (n,) and the deviations s (n,) of rows."""


def lower_bound(x: Rows, y: Rows, threads: int = 1) -> float:
    """The best of the bounds, or for large structures the first one on the line, in O(n log n)."""
    if max(len(x), len(y)) > _ALL:
        return on_the_line(x, y, threads)
    return max(bound(x, y, threads) for bound in (first_bound, second_bound, third_bound))


def first_bound(x: Rows, y: Rows, threads: int = 1) -> float:
    """By means and deviations of rows, as points with two coordinates."""
    return _between(np.column_stack(x.moments()), np.column_stack(y.moments()), x, y, threads)


def on_the_line(x: Rows, y: Rows, threads: int = 1) -> float:
    """By means of rows alone, or roots of mean squares alone: sorting is all it takes."""
    (m, s), (m_y, s_y) = x.moments(), y.moments()
    pairs = (m, m_y), (np.hypot(m, s), np.hypot(m_y, s_y))
    return x.mass**2 * max(_squared(one, other, _uneven(x), _uneven(y), threads) for one, other in pairs)


def second_bound(x: Rows, y: Rows, threads: int = 1) -> float:
    """By all n^2 and m^2 entries, wherever they are."""
    (values, a), (values_y, b) = _entries(x), _entries(y)
    return x.mass**2 * _squared(values, values_y, a, b, threads)


def third_bound(x: Rows, y: Rows, threads: int = 1) -> float:
    """By the quantiles of rows."""
    shares = shares_for(x, y)
    return _between(quantiles(x, shares), quantiles(y, shares), x, y, threads)


def shares_for(x: Rows, y: Rows) -> int:
    """In how many shares to take the mass of rows: as many as say all about them, if these are not too many."""
    if _uneven(x) is None and _uneven(y) is None:
        exact = math.lcm(len(x), len(y))
        if exact <= _MOST_SHARES:
            return exact
    return _SHARES


def quantiles(x: Rows, shares: int) -> Array:
    """Points (n, shares) whose squared distances bound W_2^2 between rows from below.

    The coordinates are the mean of the quantile function of the row over each share of the mass, over the root of their
    number.
    """
    n, a = len(x), _uneven(x)
    found = np.empty((n, shares))
    if a is None:
        ends = np.linspace(0.0, float(n), shares + 1)
        # By how much the place k of a sorted row, which has the mass from k to k + 1, is in each share.
        low, high = np.arange(n)[:, np.newaxis], np.arange(1, n + 1)[:, np.newaxis]
        within = np.maximum(np.minimum(high, ends[1:]) - np.maximum(low, ends[:-1]), 0.0) * (shares / n)
        for some in _blocks(n):
            found[some] = np.sort(x.rows(some), axis=1) @ within
        return found / math.sqrt(shares)
    ends = np.linspace(0.0, 1.0, shares + 1)
    for some in _blocks(n):
        values = x.rows(some)
        order = np.argsort(values, axis=1)
        for i, row, places in zip(range(n)[some], values, order, strict=True):
            mass = np.concatenate([[0.0], np.cumsum(a[places])])
            sums = np.concatenate([[0.0], np.cumsum(a[places] * row[places])])
            found[i] = np.diff(np.interp(ends * mass[-1], mass, sums)) * (shares / mass[-1])
    return found / math.sqrt(shares)


def _entries(x: Rows) -> tuple[Array, Array | None]:
    n, a = len(x), _uneven(x)
    values = np.concatenate([x.rows(some).ravel() for some in _blocks(n)])
    return values, None if a is None else np.outer(a, a).ravel()


def _blocks(n: int) -> list[slice]:
    step = max(_BLOCK // n, 1)
    return [slice(k, min(k + step, n)) for k in range(0, n, step)]


def _squared(x: Array, y: Array, a: Array | None, b: Array | None, threads: int) -> float:
    """W_2^2 of numbers."""
    mean, unit = mean_power(x, y, a, b, 2.0, None, threads)
    return float(mean * unit**2)


def _between(points_x: Array, points_y: Array, x: Rows, y: Rows, threads: int) -> float:
    """The square of the mass times W_2^2 of points, whatever their size; less what the solver may be off."""
    scale = scale_of(float(max(np.abs(points_x).max(), np.abs(points_y).max())))
    cloud = PointCloud(scaled(points_x, scale), scaled(points_y, scale))
    t = emd_within(cloud, _uneven(x), _uneven(y), None, threads)
    return x.mass**2 * math.ldexp(max(t.value - t.gap, 0.0), 2 * scale)


def _uneven(x: Rows) -> Array | None:
    """The weights, adding up to one; None if all are the same."""
    return None if np.ptp(x.weights) == 0.0 else x.weights / x.mass
