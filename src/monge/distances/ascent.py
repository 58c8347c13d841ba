"""Ascents on the sphere, of a function that has kinks.

F(theta) = min_P sum_ij P_ij |<x_i - y_j, theta>|^p is smooth as long as the plan stays the same. Many clouds have so
many plans, each so near the next, that F is smooth for all that matters; of few points its summits are often on a ridge
where plans meet, and there a gradient shows the way to one side only. So an ascent climbs by conjugate gradients first,
and then goes on with gradients averaged over directions nearby (Burke, Lewis and Overton 2005, "A robust gradient
sampling algorithm for nonsmooth, nonconvex optimization"), nearer and nearer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monge.distances.slices import Slices

__all__ = ["Summit", "apart", "climb", "polish"]

Array = NDArray[np.float64]

# After so many steps only the highest so many climbs go on; and the last step.
_TRIAL, _LEADERS, _LAST = 4, 4, 40
# Those whose angle has a cosine above this are on their way to the same summit.
_SAME = 0.99
# A climb ends where so many steps in a row gain less than this part of F, or where it turns by less than this angle.
_LEAST_GAIN, _SMALL_GAINS, _LEAST_ANGLE = 1e-10, 3, 1e-9
# Angles that are tried along a great circle, in units of one that should be good.
_TRIALS = np.array([0.125, 0.5, 1.0, 2.0])
_QUARTER = 0.5 * np.pi
# The cosine of the angle between a direction and a way from it, at most.
_LEAST_RIGHT = 1e-3
# Angles between a direction and those nearby: the first, and the last.
_WIDE, _NARROW = 0.1, 1e-6
# Directions nearby, for each coordinate and at most.
_NEARBY, _MOST_NEARBY = 4, 64
# How many are looked at altogether, times points, which takes half a second; and at least and at most.
_WORK = 2**26
_FEWEST, _MOST = 256, 4096


class Summit:
    """Directions theta (s, d), F and its gradients there, as far as they have come up."""

    def __init__(self, slices: Slices, unit: float, theta: Array) -> None:
        self.slices, self.unit, self.theta = slices, unit, theta
        self.height, self.turn = self.gradients(theta)

    def heights(self, theta: Array) -> Array:
        """F / unit^p along directions (..., d)."""
        return self.slices.sums(theta.reshape(-1, theta.shape[-1]), self.unit)["means"].reshape(theta.shape[:-1])

    def gradients(self, theta: Array) -> tuple[Array, Array]:
        """The same, and its derivatives (..., d) over p / unit."""
        found = self.slices.sums(theta.reshape(-1, theta.shape[-1]), self.unit, turns=True)
        return found["means"].reshape(theta.shape[:-1]), found["turns"].reshape(theta.shape)

    def move(self, k: NDArray[np.intp], theta: Array, height: Array, turn: Array) -> None:
        """Some of them to other places."""
        self.theta[k], self.height[k], self.turn[k] = _unit(theta), height, turn

    def best(self) -> Array:
        """The highest direction, (1, d)."""
        at = int(self.height.argmax())
        return self.theta[at : at + 1]


def apart(theta: Array, height: Array, count: int, near: float) -> list[int]:
    """The highest few of directions (s, d), without those that make an angle with a higher one whose cosine is above
    `near`."""
    chosen: list[int] = []
    for k in np.argsort(-height, kind="stable").tolist():
        if len(chosen) < count and (np.abs(theta[chosen] @ theta[k]) < near).all():
            chosen.append(k)
    return chosen


def climb(summit: Summit) -> None:
    """By conjugate gradients (Fletcher and Reeves 1964) on the sphere. F never falls; all are computed in one call."""
    count, d = summit.theta.shape
    way = np.zeros((count, d))  # of the last steps, at right angles to theta
    square = np.ones(count)  # |tangent|^2 where the last steps began
    angle = np.zeros(count)  # of the last steps; zero: not known yet
    small = np.zeros(count, dtype=int)  # small gains in a row
    on = np.arange(count)  # that go on
    for step in range(_LAST):
        if step == _TRIAL:
            on = on[np.isin(on, apart(summit.theta, summit.height, _LEADERS, _SAME))]
        if on.size == 0:
            return
        theta, turn, height = summit.theta[on], summit.turn[on], summit.height[on]
        outward = _dot(turn, theta)
        tangent = turn - outward[:, np.newaxis] * theta
        new_square = _dot(tangent, tangent)
        new_way = tangent + (new_square / square[on])[:, np.newaxis] * way[on]
        new_way = np.where((_dot(new_way, tangent) > 0.0)[:, np.newaxis], new_way, tangent)
        length, ahead = _ahead(theta, new_way)
        # As far as the power method would go, or else as far as the last step went.
        first = np.where(angle[on] == 0.0, np.arctan2(np.sqrt(new_square), np.abs(outward)), angle[on])
        slope = summit.slices.p / summit.unit * _dot(tangent, ahead)
        by, to, new_height, new_turn = _search(summit, theta, ahead, height, slope, first)
        better = new_height > height
        small[on] = np.where(new_height > (1.0 + _LEAST_GAIN) * height, 0, small[on] + 1)
        go, stay = on[better], on[~better]
        summit.move(go, to[better], new_height[better], new_turn[better])
        # Where the way points to from the new direction.
        moved = np.cos(by)[:, np.newaxis] * ahead - np.sin(by)[:, np.newaxis] * theta
        way[go], square[go], angle[go] = (length[:, np.newaxis] * moved)[better], new_square[better], by[better]
        # Where no angle was good: first straight up, then less far.
        straight = way[stay].any(axis=1)
        way[stay], angle[stay] = 0.0, np.where(straight, first[~better], first[~better] / 16.0)
        on = on[(length > 0.0) & (small[on] < _SMALL_GAINS) & (angle[on] > _LEAST_ANGLE)]


def _search(
    summit: Summit, theta: Array, ahead: Array, height: Array, slope: Array, first: Array
) -> tuple[Array, Array, Array, Array]:
    """The best of some angles (s,) along great circles, the directions there, F and its gradients."""
    angles = np.minimum(first[:, np.newaxis] * _TRIALS, _QUARTER)  # (s, t)
    heights = summit.heights(_along(theta, ahead, angles))
    rows, pick = np.arange(len(theta)), heights.argmax(axis=1)
    good, rise = angles[rows, pick], heights[rows, pick] - height
    # The top of the parabola through F here, its slope, and F there.
    bend = rise - slope * good
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        top = np.where(bend < 0.0, -0.5 * slope * good**2 / bend, good)
    top = np.minimum(np.nan_to_num(top), np.minimum(4.0 * good, _QUARTER))
    angles = np.stack([good, top], axis=1)  # (s, 2)
    places = _along(theta, ahead, angles)
    heights, turns = summit.gradients(places)
    pick = heights.argmax(axis=1)
    return angles[rows, pick], places[rows, pick], heights[rows, pick], turns[rows, pick]


def polish(summit: Summit, rng: np.random.Generator) -> None:
    """Goes on from the highest, with the mean gradient of directions nearby. Leaves only that one."""
    slices = summit.slices
    theta, height = summit.best()[0], float(summit.height.max())
    d = len(theta)
    count = min(_NEARBY * d, _MOST_NEARBY)
    left = min(max(_WORK // (len(slices.x) + len(slices.y)), _FEWEST), _MOST)
    near = _WIDE
    while near > _NARROW and left > 0:
        nearby = _unit(theta + near / d**0.5 * rng.normal(size=(count, d)))
        heights, turns = summit.gradients(nearby)
        mean = turns.mean(axis=0)
        tangent = mean - (mean @ theta) * theta
        _, way = _ahead(theta[np.newaxis], tangent[np.newaxis])
        ahead = _along(theta[np.newaxis], way, near * _TRIALS[np.newaxis])[0]
        places, heights = np.concatenate([nearby, ahead]), np.concatenate([heights, summit.heights(ahead)])
        at = int(heights.argmax())
        if heights[at] > height * (1.0 + _LEAST_GAIN):
            theta, height = places[at], float(heights[at])
        else:
            near /= 2.0
        left -= len(places)
    summit.theta, summit.height = _unit(theta[np.newaxis]), np.array([height])


def _along(theta: Array, ahead: Array, angles: Array) -> Array:
    """Points (s, t, d) of great circles through theta (s, d), at angles (s, t)."""
    cosines, sines = np.cos(angles)[:, :, np.newaxis], np.sin(angles)[:, :, np.newaxis]
    return _unit(cosines * theta[:, np.newaxis] + sines * ahead[:, np.newaxis])


def _ahead(theta: Array, way: Array) -> tuple[Array, Array]:
    """The lengths (s,) of ways (s, d) and their directions, at right angles to theta; zero where a way is rounding, as
    that up from a summit, which may point anywhere."""
    length = np.linalg.norm(way, axis=1)
    ahead = way / np.where(length > 0.0, length, 1.0)[:, np.newaxis]
    outward = _dot(ahead, theta)
    rounding = np.abs(outward) > _LEAST_RIGHT
    ahead -= outward[:, np.newaxis] * theta
    return np.where(rounding, 0.0, length), np.where(rounding[:, np.newaxis], 0.0, ahead)


def _dot(u: Array, v: Array) -> Array:
    """<u_k, v_k>."""
    return np.asarray((u * v).sum(axis=1))


def _unit(theta: Array) -> Array:
    return np.asarray(theta / np.linalg.norm(theta, axis=-1, keepdims=True))
