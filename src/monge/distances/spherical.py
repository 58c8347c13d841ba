"""The spherical sliced Wasserstein distance: the mean over great circles of that between projections to them.

SSW_p^p = mean over planes U of  min_P  sum_ij P_ij arc(U x_i, U y_j)^p          (Bonet et al. 2023)

U x is the point of the plane's unit circle that is nearest to x on the sphere, and arc the shorter way round between
two such points, in radians.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from monge.distances.clouds import both_clouds, each_pair
from monge.distances.directions import drawing, frames
from monge.distances.loss import Loss
from monge.distances.slices import tangent
from monge.exact import _univariate
from monge.exact.univariate import check_power, mean_power
from monge.problem.arrays import available_threads, positive_integer
from monge.problem.ground import on_sphere
from monge.problem.home import Home, home_of_any
from monge.problem.measures import Weights, check_weights

__all__ = ["SphericalLoss", "spherical_sliced_wasserstein"]

Array = NDArray[np.float64]

T = TypeVar("T")

_TURN = 2.0 * math.pi
# Beyond this power the loss is the largest distance that mass moves over, but for 1e-12 times a logarithm. And which
# shift of a circle is best is told from costs, which the rounding of distances changes by 1e-16 times the power.
_LARGEST_POWER = 1e12


def spherical_sliced_wasserstein(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    p: float = 2,
    n_projections: int = 100,
    rng: Any = None,
    threads: int | None = None,
) -> Any:
    """The spherical sliced Wasserstein distance between two weighted sets of directions, points on the unit sphere.

    Its p-th power is the mean over great circles of that of W_p between the projections of both sets to the circle,
    with the shorter way round as the distance: ``mean_U min_P sum_ij P_ij arc(U x_i, U y_j)^p``.

    Parameters
    ----------
    x : array_like (n, d), d >= 2
        Points off the origin, each of which stands for its direction x / |x|. Batches as for `sliced_wasserstein`.
    y : array_like (m, d)
        Likewise.
    a, b : array_like (n,), (m,), optional
        Weights, of equal totals; None for uniform ones. They are normalised to probabilities.
    p : float
        Exponent, >= 1.
    n_projections : int
        Number of great circles. For d = 2 there is only one, and the distance is exact.
    rng : None, int or numpy.random.Generator
        What draws them (SPEC 7), as in `sliced_wasserstein`.
    threads : int, optional
        Great circles, or the pairs of a batch, are spread over the threads; None for all processors. The answer has
        the same bits for any number.

    Returns
    -------
    Loss, or list of Loss for a batch
        A float in radians, at most pi. ``grad_x`` and ``grad_y`` are derivatives with respect to the points as they
        were given, at right angles to them, and zero where the loss is; ``grad_a`` and ``grad_b`` those with respect to
        the weights before they are normalised. ``frames`` (k, 2, d) and ``distances`` (k,) are what it is the mean of.

    Raises
    ------
    ValueError
        As `sliced_wasserstein` does, for points at the origin and for points with one coordinate.
    TypeError, MemoryError
        As `sliced_wasserstein` does.

    Notes
    -----
    Bonet, Berg, Courty, Septier, Drumetz and Pham 2023, "Spherical sliced-Wasserstein", section 3. They measure arcs in
    turns: their values are these over 2 pi. A point is projected by (<x, u>, <x, v>) / its length, for a plane with the
    orthonormal vectors u, v; one at right angles to the plane, which random planes do not meet, goes to u and has no
    derivative. On each circle the problem is solved exactly, as by `emd_1d` with a period.

    Examples
    --------
    >>> import numpy as np, monge
    >>> x = [[1.0, 0.0], [0.0, 1.0]]
    >>> round(monge.spherical_sliced_wasserstein(x, -np.array(x)), 12)  # a quarter turn each
    1.570796326795
    """
    power, count, workers = check_power(p), positive_integer(n_projections, "n_projections"), available_threads(threads)
    drawn = drawing(frames, count, rng)

    def one(x: Any, y: Any, a: Any, b: Any, threads: int) -> SphericalLoss:
        spheres = _Spheres.of(x, y, a, b, power, threads)
        return spheres.loss(drawn(spheres.x.shape[1]))

    return each_pair(x, y, a, b, workers, one)


@dataclass
class _Spheres:
    """Two sets of unit vectors with their weights, and the power of the distance."""

    x: Array  # (n, d)
    y: Array  # (m, d)
    lengths: tuple[Array, Array]  # (n, 1), (m, 1): of the points that were given
    a: Weights | None
    b: Weights | None
    p: float
    threads: int  # for what is asked of it later, too
    home: Home | None

    @classmethod
    def of(cls, x: Any, y: Any, a: Any, b: Any, p: float, threads: int) -> _Spheres:
        points = both_clouds(x, y)
        if points[0].shape[1] == 1:
            raise ValueError("points on a sphere should have two coordinates or more; got one. Pass (n, d) arrays.")
        lengths = []
        for each, name in zip(points, ("x", "y"), strict=True):
            largest = np.abs(each).max(axis=1, keepdims=True)
            if not largest.all():
                raise ValueError(f"{name} should hold points off the origin; {name}[{int(largest.argmin())}] is zero.")
            lengths.append(largest * np.linalg.norm(each / largest, axis=1, keepdims=True))
        weights = check_weights(a, b, len(points[0]), len(points[1]))
        sides = on_sphere(points[0]), on_sphere(points[1]), (lengths[0], lengths[1])
        return cls(*sides, *weights, min(p, _LARGEST_POWER), threads, home_of_any(x, y, a, b))

    def angles(self, plane: Array) -> tuple[Array, Array]:
        """Of the projections (n,) and (m,) to a plane (2, d), in turns."""
        return _angles(self.x @ plane.T), _angles(self.y @ plane.T)

    def loss(self, planes: Array) -> SphericalLoss:
        """The root of the mean over planes (k, 2, d)."""
        distances = np.array(list(self._each(self._distance, planes)))
        largest = float(distances.max())
        mean = math.fsum((distances / largest) ** self.p) / len(planes) if largest > 0.0 else 0.0
        return SphericalLoss(largest * mean ** (1.0 / self.p), self, planes, distances)

    def _distance(self, plane: Array) -> float:
        mean, unit = mean_power(*self.angles(plane), self.a, self.b, self.p, 1.0, 1)
        return float(_TURN * unit * mean ** (1.0 / self.p))

    def slopes(self, value: float, planes: Array) -> tuple[Array, Array]:
        """Derivatives (n, d), (m, d) of the loss with respect to the points of both spheres."""
        found = np.zeros_like(self.x), np.zeros_like(self.y)
        for plane, turns in zip(planes, self._each(partial(self._turns, value), planes), strict=True):
            for total, turn in zip(found, turns, strict=True):
                total += turn @ plane
        return found[0] / len(planes), found[1] / len(planes)

    def _turns(self, value: float, plane: Array) -> tuple[Array, Array]:
        """Of one circle: how the loss changes with the coordinates (n, 2), (m, 2) of the projections in the plane."""
        at = self.x @ plane.T, self.y @ plane.T
        _, _, rows, cols, mass, apart = self._line(value, *map(_angles, at))
        with np.errstate(under="ignore"):
            pull = mass / mass.sum() * np.sign(apart) * np.abs(apart) ** (self.p - 1.0)
        found = []
        for points, places, sign in ((at[0], rows, 1.0), (at[1], cols, -1.0)):
            by_angle = np.bincount(places, sign * pull, len(points))
            square = (points**2).sum(axis=1)
            by_angle = np.divide(by_angle, square, out=np.zeros_like(square), where=square > 0.0)
            found.append(np.stack([-by_angle * points[:, 1], by_angle * points[:, 0]], axis=1))
        return found[0], found[1]

    def potentials(self, value: float, planes: Array) -> tuple[Array, Array]:
        """The mean (n,), (m,) of those on all circles, for distances over the loss."""
        found = np.zeros(len(self.x)), np.zeros(len(self.y))
        for each in self._each(lambda plane: self._line(value, *self.angles(plane))[:2], planes):
            for total, potential in zip(found, each, strict=True):
                total += potential
        return found[0] / len(planes), found[1] / len(planes)

    def _line(self, value: float, x: Array, y: Array) -> tuple[Array, Array, Any, Any, Array, Array]:
        """Potentials, entries of the plan, and how far x is ahead of y in each, with the loss as the unit: powers of
        distances that matter are then in range."""
        turn = _TURN / value
        x, y = _below(turn * x, turn), _below(turn * y, turn)
        _, f, g, rows, cols, mass = _univariate.transport(x, y, self.a, self.b, self.p, turn, 1)
        apart = x[rows] - y[cols]
        return f, g, rows, cols, mass, apart - turn * np.round(apart / turn)

    def _each(self, solve: Callable[[Array], T], planes: Array) -> Iterator[T]:
        """What `solve` says of each plane, in their order."""
        if self.threads == 1 or len(planes) == 1:
            yield from map(solve, planes)
            return
        with ThreadPoolExecutor(min(self.threads, len(planes))) as pool:
            for first in range(0, len(planes), 4 * self.threads):  # few results wait to be added up
                yield from pool.map(solve, planes[first : first + 4 * self.threads])


def _angles(points: Array) -> Array:
    """Of points (n, 2), in turns from 0 to below 1."""
    turns = np.arctan2(points[:, 1], points[:, 0]) / _TURN
    return _below(np.where(turns < 0.0, turns + 1.0, turns), 1.0)


def _below(places: Array, period: float) -> Array:
    """Those that were rounded to the period are at zero."""
    return np.where(places < period, places, 0.0)


class SphericalLoss(Loss):
    """The root of the mean over great circles of the p-th power of the distance; see `spherical_sliced_wasserstein`.

    Attributes
    ----------
    frames : ndarray (k, 2, d)
        Two orthonormal vectors in the plane of each great circle.
    distances : ndarray (k,)
        W_p of the projections to each, in radians.
    """

    def __init__(self, value: float, spheres: _Spheres, planes: Array, distances: Array) -> None:
        self.frames, self.distances = planes, distances
        self.home = spheres.home
        self._spheres = spheres

    @property
    def threads(self) -> int:
        """On how many derivatives are computed."""
        return self._spheres.threads

    @threads.setter
    def threads(self, threads: int) -> None:
        self._spheres.threads = threads

    @cached_property
    def _point_gradients(self) -> tuple[Array, Array]:
        spheres = self._spheres
        if self == 0.0:
            return np.zeros_like(spheres.x), np.zeros_like(spheres.y)
        grad_x, grad_y = spheres.slopes(float(self), self.frames)
        return grad_x / spheres.lengths[0], grad_y / spheres.lengths[1]

    @cached_property
    def _weight_gradients(self) -> tuple[Array, Array]:
        spheres, value = self._spheres, float(self)
        if value == 0.0:
            return np.zeros(len(spheres.x)), np.zeros(len(spheres.y))
        f, g = spheres.potentials(value, self.frames)
        slope = value / spheres.p
        return tangent(slope * f, spheres.a), tangent(slope * g, spheres.b)
