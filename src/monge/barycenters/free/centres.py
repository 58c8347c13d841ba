"""The best place for points to be sent to: argmin_z sum_e q_e c(z, y_e), for many groups of weighted points at once.

For |z - y|^2 it is the mean, for |z - y| the geometric median, for sum_k |z_k - y_k| the median of each coordinate.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import shown
from monge.problem.ground import Ground, as_ground

__all__ = ["Centre", "Groups", "centre_of"]

Array = NDArray[np.float64]

# Newton steps for a group, halvings of each, and steps of the conjugate gradients that find it.
_STEPS, _HALVINGS, _CONJUGATE = 60, 12, 30
# Shares of a value and of a mass that are rounding.
_VISIBLE, _ROUNDING = 4e-16, 1e-12


class Groups(NamedTuple):
    """Weighted points that stand one group after the other; none of the groups is empty."""

    begin: NDArray[np.intp]  # (r,): where each begins
    points: Array  # (e, d)
    masses: Array  # (e,)

    @property
    def of(self) -> NDArray[np.intp]:
        """The group of each point, (e,)."""
        sizes = np.diff(self.begin, append=len(self.masses))
        return np.repeat(np.arange(len(self.begin)), sizes)

    def sum(self, values: Array) -> Array:
        """The sum of values (e, ...) over each group, (r, ...)."""
        return np.asarray(np.add.reduceat(values, self.begin, axis=0))


# From places (r, d) to better ones; where no place is better than that, and for groups of one, the best.
Centre: TypeAlias = Callable[[Array, Groups], Array]


def centre_of(cost: Any, d: int) -> tuple[Ground, Centre]:
    """A ground cost for points of d coordinates, and how its best places are found. ValueError where there is no way
    to them here."""
    if isinstance(cost, str | tuple):
        ground = as_ground(cost)
        name = "euclidean" if d == 1 and not ground.directions else ground.name  # all distances are the same there
        if ground.squared:
            return ground, _mean
        if ground.power == 1.0 and (name == "cityblock" or (name == "euclidean" and d == 1)):
            return ground, _medians
        if ground.power >= 1.0 and name == "euclidean":
            return ground, partial(_power_mean, p=ground.power)  # and no lambda, which cannot be pickled
    raise ValueError(
        "cost should be 'sqeuclidean', 'euclidean', ('euclidean', p) with p >= 1, or 'cityblock' here, for which the "
        f"best place between points is known; got {shown(cost)}. For others, move the points by gradients: "
        "monge.gradient_flow with the sum of their monge.emd as loss."
    )


def _mean(_: Array, groups: Groups) -> Array:
    return groups.sum(groups.masses[:, np.newaxis] * groups.points) / groups.sum(groups.masses)[:, np.newaxis]


def _medians(_: Array, groups: Groups) -> Array:
    """The median of each coordinate; where there are two, the middle between them."""
    of, out = groups.of, np.empty((len(groups.begin), groups.points.shape[1]))
    half = 0.5 * groups.sum(groups.masses)
    last = np.append(groups.begin[1:], len(of)) - 1
    for q, values in enumerate(groups.points.T):
        order = np.lexsort((values, of))
        values, masses = values[order], groups.masses[order]
        sums = np.cumsum(masses)
        sums -= (sums[groups.begin] - masses[groups.begin])[of]
        low, high = (
            np.minimum(groups.begin + groups.sum((sums < (half * factor)[of]).astype(np.intp)), last)
            for factor in (1.0 - _ROUNDING, 1.0 + _ROUNDING)
        )
        out[:, q] = values[low] + 0.5 * (values[high] - values[low])
    return out


def _power_mean(places: Array, groups: Groups, p: float) -> Array:
    """argmin_z sum_e q_e |z - y_e|^p, p >= 1, by Newton steps that never go up.

    For p = 1 the value has a kink at each of the points, where a step ends if the point is the best place, and which it
    leaves the way of Vardi and Zhang 2000, "The multivariate L1-median and associated data depth", if it is not. Where
    Newton steps go up, those of Weiszfeld 1937 go down for p <= 2.
    """
    of = groups.of
    middle = _mean(places, groups)
    # Each group about its mean and in units of its size, so that no power is out of range.
    apart = groups.points - middle[of]
    unit = np.maximum.reduceat(np.abs(apart).max(axis=1), groups.begin)[:, np.newaxis]
    unit[unit == 0.0] = 1.0
    total = groups.sum(groups.masses)
    problem = _PowerMean(Groups(groups.begin, apart / unit[of], groups.masses / total[of]), of, p)
    start = (places - middle) / unit
    with np.errstate(over="ignore", invalid="ignore"):
        closer = problem.values(start) < problem.values(np.zeros_like(start))
    return middle + unit * problem.solve(np.where(closer[:, np.newaxis], start, 0.0))


class _PowerMean:
    def __init__(self, groups: Groups, of: NDArray[np.intp], p: float) -> None:
        self.groups, self.of, self.p = groups, of, p

    def values(self, z: Array) -> Array:
        """The means of the powers, (r,)."""
        return self.groups.sum(self.groups.masses * self._distances(z) ** self.p)

    def solve(self, z: Array) -> Array:
        value = self.values(z)
        for _ in range(_STEPS):
            before = value
            if self.p < 2.0:
                z, value = self._better(self._nearest(z), z, value)
            step, safe = self._steps(z)
            for _ in range(_HALVINGS):
                z, now = self._better(z + step, z, value)
                went = (now < value)[:, np.newaxis]
                value, step, safe = now, np.where(went, 0.0, 0.5 * step), np.where(went, 0.0, safe)
                if not step.any():
                    break
            if self.p < 2.0:
                z, value = self._better(z + safe, z, value)
            if (before - value <= _VISIBLE * before).all():
                break
        return z

    def _better(self, tried: Array, z: Array, value: Array) -> tuple[Array, Array]:
        at = self.values(tried)
        lower = at < value
        return np.where(lower[:, np.newaxis], tried, z), np.where(lower, at, value)

    def _distances(self, z: Array) -> Array:
        return np.asarray(np.sqrt(((z[self.of] - self.groups.points) ** 2).sum(axis=1)))

    def _nearest(self, z: Array) -> Array:
        order = np.lexsort((self._distances(z), self.of))
        return self.groups.points[order[self.groups.begin]]

    def _steps(self, z: Array) -> tuple[Array, Array]:
        """A Newton step (r, d), and one that cannot go up for p <= 2."""
        groups, of, p = self.groups, self.of, self.p
        apart, distances = z[of] - groups.points, self._distances(z)
        met = distances == 0.0
        pull = np.where(met, 0.0, groups.masses * p * np.where(met, 1.0, distances) ** (p - 2.0))
        gradient, bend = groups.sum(pull[:, np.newaxis] * apart), groups.sum(pull)[:, np.newaxis]
        directions = apart / np.where(met, 1.0, distances)[:, np.newaxis]
        own = groups.sum(np.where(met, groups.masses, 0.0))[:, np.newaxis]  # of points that are where z is
        size = np.sqrt((gradient**2).sum(axis=1, keepdims=True))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            plain = np.where(bend > 0.0, gradient / bend, 0.0)
            if p == 1.0:
                share = np.where(size > own, 1.0 - own / size, 0.0)
            elif p < 2.0:
                share = np.minimum(1.0, (size / (p * own)) ** (1.0 / (p - 1.0)) * bend / size)
            else:
                share = np.ones_like(size)
        safe = -plain * np.where(size > 0.0, share, 0.0)

        def product(v: Array) -> Array:
            along = (directions * v[of]).sum(axis=1)
            return bend * v + (p - 2.0) * groups.sum((pull * along)[:, np.newaxis] * directions) + 1e-12 * bend * v

        newton = -_solved(product, gradient)
        longest = np.sqrt((newton**2).sum(axis=1, keepdims=True))
        newton = newton / np.maximum(longest, 1.0)  # the size of the group
        return (np.where(own > 0.0, safe, newton) if p < 2.0 else newton), safe


def _solved(product: Callable[[Array], Array], right: Array) -> Array:
    """Solutions (r, d) of positive semidefinite equations, by conjugate gradients, each as far as it gets."""
    x, rest = np.zeros_like(right), right.copy()
    way, left = rest.copy(), (rest**2).sum(axis=1)
    enough = 1e-24 * left
    for _ in range(min(right.shape[1], _CONJUGATE)):
        going = left > enough
        if not going.any():
            break
        image = product(way)
        bend = (way * image).sum(axis=1)
        going &= bend > 0.0
        step = np.where(going, left, 0.0) / np.where(going, bend, 1.0)
        x += step[:, np.newaxis] * way
        rest -= step[:, np.newaxis] * image
        now = (rest**2).sum(axis=1)
        way = rest + np.where(going, now / np.where(left > 0.0, left, 1.0), 0.0)[:, np.newaxis] * way
        left = np.where(going, now, 0.0)
    return x
