"""The energy distance: how far two measures are apart, without a kernel or a bandwidth to choose.

2 E|x - y| - E|x - x'| - E|y - y'|                                 (Székely and Rizzo 2013, "Energy statistics")

On the line it is 2 int (F - G)^2 of the distribution functions, found by sorting. In d dimensions |x| is c_d times the
mean of |<x, theta>| over all directions, with 1 / c_d = Gamma(d / 2) / (sqrt(pi) Gamma((d + 1) / 2)). So it is c_d
times the mean of that on the line (Hertrich, Wald, Altekrüger and Hagemann 2024, "Generative sliced MMD flows with
Riesz kernels").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.distances.clouds import Clouds, each_pair
from monge.distances.directions import directions, drawing
from monge.distances.kernels import BuiltIn
from monge.distances.loss import Loss
from monge.distances.mmd import between
from monge.entropic.kernels.threads import Threads
from monge.exact._univariate import order
from monge.problem.arrays import available_threads, positive_integer

__all__ = ["energy_distance"]

Array = NDArray[np.float64]

# Numbers that a piece of work projects and sorts, of some directions; and the time of one in those of a pair of points.
_AT_ONCE, _COST = 1 << 17, 16


def energy_distance(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    biased: bool = True,
    projections: int | None = None,
    rng: Any = None,
    threads: int | None = None,
) -> Any:
    """The energy distance 2 E|x - y| - E|x - x'| - E|y - y'| of two weighted point clouds, without a root.

    It is `mmd` with the kernel -|x - y|. (`scipy.stats.energy_distance` is its root.)

    Parameters
    ----------
    x : array_like (n, d), or a batch
        Points of the first measure; a vector stands for points on the line. A batch is an array (B, n, d) or a list of
        clouds.
    y : array_like (m, d), or a batch
        Points of the second; one cloud stands for all of a batch.
    a, b : array_like (n,), (m,), optional
        Weights, of equal totals; None for uniform ones. They are normalised to probabilities. For a batch a list, or
        one vector for all.
    biased : bool
        Whether pairs of a point and itself count, as in `mmd`: the V-statistic, which is not negative, or without them
        the U-statistic, whose mean over samples is the energy distance of the distributions.
    projections : int, optional
        Along so many directions the points are sorted, in place of going through all pairs: for large clouds. The time
        grows with N log N instead of N^2. It is an estimate, not negative if biased, whose relative error falls at
        least as the root of d over the number. Points on the line are always sorted, and the answer is exact.
    rng : int or numpy.random.Generator, optional
        Turns the directions, which are the same for all of a batch; None for new ones in each call.
    threads : int, optional
        None for all processors. The answer has the same bits for any number.

    Returns
    -------
    Loss, or list of them
        A float, in the unit of the coordinates, with ``grad_x``, ``grad_y``, ``grad_a`` and ``grad_b``; with
        `projections` these are the derivatives of the estimate. For a batch a list.

    Raises
    ------
    ValueError, TypeError
        Points and weights as for `wasserstein`; biased=False for a cloud with all weight at one point; projections or
        an rng that are none.

    Notes
    -----
    Székely and Rizzo 2013; Hertrich et al. 2024 for the directions. As normalising does, derivatives take out what
    scales all weights of a measure: <grad_a, a> = 0. A pair of equal points contributes nothing to a derivative.

    Examples
    --------
    >>> import monge
    >>> monge.energy_distance([[0.0, 0.0]], [[3.0, 4.0]])
    10.0
    >>> monge.energy_distance([0.0, 2.0], [0.0, 2.0], [3, 1], [1, 3])
    1.0
    >>> round(monge.energy_distance([[0.0, 0.0]], [[3.0, 4.0]], projections=400, rng=0), 3)
    10.0
    """
    workers = available_threads(threads)
    count = 0 if projections is None else positive_integer(projections, "projections")
    drawn = drawing(directions, count, rng)

    def one(x: Any, y: Any, a: Any, b: Any, threads: int) -> Loss:
        clouds = Clouds.of(x, y, a, b)
        d = clouds.points.shape[1]
        if count == 0 and d > 1:
            return between(clouds, BuiltIn("energy", (1.0,)), None, biased, threads)
        return SlicedLoss(_mean(clouds, drawn(d), biased, threads), clouds, drawn(d), biased, threads)

    return each_pair(x, y, a, b, workers, one)


class SlicedLoss(Loss):
    """The energy distance by sorting along directions (K, d), one for points on the line; see `energy_distance`."""

    def __init__(self, value: float, clouds: Clouds, thetas: Array, biased: bool, threads: int) -> None:
        self.home = clouds.home
        self.threads = threads  # for derivatives, which are computed later
        self._clouds, self._thetas, self._biased = clouds, thetas, biased

    @cached_property
    def _derivatives(self) -> tuple[Array, Array]:
        """With respect to all points (n + m, d) and their probabilities (n + m,)."""
        clouds, z, V = self._clouds, _centred(self._clouds.z), self._clouds.sides
        left = _left_out(clouds, self._biased)

        def piece(thetas: Array) -> tuple[Array, Array]:
            slopes = np.empty((len(V), len(thetas)))
            of_weights = np.zeros(len(V))
            for k, t in enumerate(_projected(z, thetas)):
                line = _Line(t, V, left)
                slopes[:, k] = line.slopes()
                of_weights += line.worths(clouds.n)
            return slopes @ thetas, of_weights

        factor = _factor(self._thetas)
        of_points, of_weights = _summed(piece, len(V), self._thetas, self.threads)
        return factor * of_points, factor * clouds.unit * of_weights

    @property
    def _point_gradients(self) -> tuple[Array, Array]:
        gradients = self._derivatives[0]
        return gradients[: self._clouds.n], gradients[self._clouds.n :]

    @cached_property
    def _weight_gradients(self) -> tuple[Array, Array]:
        return self._clouds.of_weights(self._derivatives[1])


class _Line:
    """Points t (N,) on the line in their order, with the weights V (N, 2) of both clouds.

    The statistic is U = 2 int (F - G)^2 - sum_s left_s own_s with own_s = 2 int F_s (1 - F_s), the mean distance within
    a cloud, and left_s = sum_i a_i^2 / (1 - sum_i a_i^2), or zero for the one with bias.
    """

    def __init__(self, t: Array, V: Array, left: Array) -> None:
        self.order = order(t)
        self.gaps = np.diff(t[self.order])
        signed = V[:, 0] - V[:, 1]
        # Of a - b, and without bias of either cloud, too: the weights in this order, and their sums up to each.
        self.weights = [column[self.order] for column in (signed, *(V.T if left.any() else ()))]
        self.below = [np.cumsum(weights) for weights in self.weights]
        self.left = left

    def value(self) -> float:
        """U."""
        apart, *own = (below[:-1] for below in self.below)
        value = 2.0 * float(self.gaps @ apart**2)
        for below, left in zip(own, self.left, strict=False):
            value -= 2.0 * float(left * (self.gaps @ (below * (1.0 - below))))
        return value

    def slopes(self) -> Array:
        """dU/dt_i, (N,): -2 w_i (mass below - mass above) of w = a - b, and likewise within a cloud."""
        first = None
        if not self.gaps.all():  # groups of equal points, which are neither below nor above each other
            first = np.concatenate([[0], np.flatnonzero(self.gaps) + 1])
            sizes = np.diff(first, append=len(self.order))
        slopes = np.zeros(len(self.order))
        each = zip(self.weights, self.below, (1.0, *self.left), (0.0, 1.0, 1.0), strict=False)
        for weights, below, factor, total in each:
            if first is None:
                around = 2.0 * below - weights
            else:
                padded = np.concatenate([[0.0], below])
                around = np.repeat(padded[first] + padded[first + sizes], sizes)
            around -= total  # twice the mass below plus that of equal points, less all: the mass below less that above
            around *= -2.0 * factor * weights
            slopes += around
        return self._placed(slopes)

    def worths(self, n: int) -> Array:
        """dU of each weight (N,), up to a constant of either side; the first n points are those of a."""
        between = _integral(-4.0 * self.below[0][:-1] * self.gaps)
        worths = np.where(self.order < n, between, -between)
        each = zip(self.weights[1:], self.below[1:], self.left, (self.order < n, self.order >= n), strict=False)
        for weights, below, left, mine in each:
            inner = below[:-1]
            within = 2.0 * float(self.gaps @ (inner * (1.0 - inner)))
            worths -= left * mine * _integral((4.0 * inner - 2.0) * self.gaps)
            worths -= 2.0 * within * (1.0 + left) ** 2 * weights  # left = 1 / (1 - sum_i a_i^2) - 1
        return self._placed(worths)

    def _placed(self, values: Array) -> Array:
        placed = np.empty_like(values)
        placed[self.order] = values
        return placed


def _integral(steps: Array) -> Array:
    return np.concatenate([[0.0], np.cumsum(steps)])


def _left_out(clouds: Clouds, biased: bool) -> Array:
    if biased:
        return np.zeros(2)
    return np.array([(1.0 - rest) / rest for rest in clouds.rest])


def _centred(z: Array) -> Array:
    """Points (N, d) about their middle, so that projections lose no digits; on the line these are the points."""
    return z if z.shape[1] == 1 else z - z.mean(axis=0)


def _projected(z: Array, thetas: Array) -> Array:
    """(K, N)"""
    return np.ascontiguousarray(thetas @ z.T)


def _factor(thetas: Array) -> float:
    """c_d over the number of directions."""
    count, d = len(thetas), int(thetas.shape[1])
    if d == 1:
        return 1.0 / count
    ratio = math.exp(math.lgamma(0.5 * (d + 1)) - math.lgamma(0.5 * d))
    return math.sqrt(math.pi) * ratio / count


def _mean(clouds: Clouds, thetas: Array, biased: bool, threads: int) -> float:
    z, V, left = _centred(clouds.z), clouds.sides, _left_out(clouds, biased)

    def piece(thetas: Array) -> tuple[float]:
        return (math.fsum(_Line(t, V, left).value() for t in _projected(z, thetas)),)

    (total,) = _summed(piece, len(V), thetas, threads)
    return float(_factor(thetas) * clouds.unit * total)


def _summed(piece: Callable[[Array], tuple[Any, ...]], points: int, thetas: Array, threads: int) -> list[Any]:
    """What pieces of the directions say, added up in their order, so that any number of threads gives the same bits."""
    size = max(1, _AT_ONCE // points)
    pieces = [thetas[first : first + size] for first in range(0, len(thetas), size)]
    total: list[Any] = []
    with Threads(threads if len(pieces) > 1 else 1) as team:
        for first in range(0, len(pieces), threads):  # what is in work takes as much room as the points, each
            some = pieces[first : first + threads]
            pairs = _COST * points * size * len(some)
            for sums in team.share(len(some), lambda k, some=some: piece(some[k]), pairs):  # type: ignore[misc]
                total = [one + other for one, other in zip(total, sums, strict=True)] if total else list(sums)
    return total
