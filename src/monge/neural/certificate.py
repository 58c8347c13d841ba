"""What any function is worth as a Kantorovich-Rubinstein potential: a lower bound of W1 that needs no trust in it.

max over t >= 0 of   sum_i a_i min_j (|x_i - y_j| + t D(y_j)) - t sum_j b_j D(y_j)

f = min_j |x_i - y_j| - g_j, with g = -t D, is dual feasible whatever D is, and so is what a second transform makes of
it, g'_j = min_i |x_i - y_j| - f_i >= g_j. Then u(z) = min_j |z - y_j| - g'_j is 1-Lipschitz, with u(x_i) = f_i and
u(y_j) = -g'_j: the bound is E u(x) - E u(y).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.select import Route, pairs_of
from monge.entropic.kernels.threads import Threads
from monge.entropic.marginals import as_marginals
from monge.problem.arrays import sampled
from monge.problem.costs import PointCloud

__all__ = ["Certificate", "certified", "nearest"]

Array = NDArray[np.float64]

# Points of a side that the scale is looked for on: any scale makes a bound, a good one need not know them all.
_LOOKED_AT = 2048
# Halvings of the scale, and steps of the search from the best one, each of which leaves .618 of an interval.
_POWERS, _STEPS = 10, 24
# Scales that are tried before that.
_MOST = 64
# Pairs whose distances are held at a time.
_AT_ONCE = 2**20
# Roundings of a distance, of two transforms and of two sums, generously.
_ROUNDINGS = 8.0 * float(np.finfo(np.float64).eps)

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


class Certificate(NamedTuple):
    """A lower bound of W1 and the potential that is its proof, g (m,) at the second cloud; D was divided by `scale`."""

    bound: float
    scale: float
    g: Array


class _Clouds(NamedTuple):
    """Two clouds with weights, each of which adds up to one, the values of a function at their points, and the size of
    a box around both."""

    x: Array
    y: Array
    a: Array
    b: Array
    at_x: Array
    at_y: Array
    reach: float

    @property
    def turned(self) -> _Clouds:
        """From y to x, where the negative of the function does what the function did."""
        return _Clouds(self.y, self.x, self.b, self.a, -self.at_y, -self.at_x, self.reach)

    @property
    def thinned(self) -> _Clouds:
        """Some of the points of either side."""
        rows, columns = sampled(len(self.x), _LOOKED_AT), sampled(len(self.y), _LOOKED_AT)
        a, b = self.a[rows], self.b[columns]
        at_x, at_y = self.at_x[rows], self.at_y[columns]
        return _Clouds(self.x[rows], self.y[columns], a / a.sum(), b / b.sum(), at_x, at_y, self.reach)

    def transforms(self, threads: Threads) -> Callable[[Array], tuple[Array, Array]]:
        """From g (m,) to f_i = min_j |x_i - y_j| - g_j, and g'_j = min_i |x_i - y_j| - f_i."""
        cloud = PointCloud(self.x, self.y, "euclidean")
        pairs = pairs_of(Route.PASSES, cloud, self.a, self.b, as_marginals(None), threads)
        found: Callable[[Array], tuple[Array, Array]] = pairs.transforms
        return found


def certified(x: Array, y: Array, a: Array, b: Array, at_x: Array, at_y: Array, threads: int) -> Certificate:
    """The best bound that a function gives, from its values (n,) and (m,) at points of positive weights.

    The function may be any: one whose values are not finite counts for nothing. It is transformed from y and from x,
    and the better of the two is taken.
    """
    if not (np.isfinite(at_x).all() and np.isfinite(at_y).all()):
        at_x, at_y = np.zeros(len(x)), np.zeros(len(y))
    level = 0.5 * (float(a @ at_x) + float(b @ at_y))  # a constant says nothing, and small numbers round by less
    clouds = _Clouds(x, y, a, b, at_x - level, at_y - level, PointCloud(x, y, "euclidean").reach)
    with Threads(threads) as shared:
        found = [_one_way(one, back, shared) for one, back in ((clouds, False), (clouds.turned, True))]
    return max(found, key=lambda each: each.bound)


def _one_way(clouds: _Clouds, back: bool, threads: Threads) -> Certificate:
    slope = _slope(clouds.thinned, threads)
    f, g = clouds.transforms(threads)(-slope * clouds.at_y)
    return Certificate(max(_bound(clouds, f, g), 0.0), 1.0 / slope if slope > 0.0 else math.inf, f if back else g)


def _bound(clouds: _Clouds, f: Array, g: Array) -> float:
    """a.f + b.g, less all that may have been lost to rounding."""
    paid, received = clouds.a * f, clouds.b * g
    noise = _ROUNDINGS * (float(np.abs(paid).sum() + np.abs(received).sum()) + clouds.reach)
    return math.fsum(paid) + math.fsum(received) - noise


def _slope(clouds: _Clouds, threads: Threads) -> float:
    """The t >= 0 of the best bound.

    What one transform proves is a minimum of linear functions of t, and so concave. The second one makes up for values
    that are far off. Then there may be several maxima, so powers of two come first, and a golden section after them.
    """
    spread = float(np.ptp(clouds.at_y))
    unit = clouds.reach / spread if spread > 0.0 else math.inf  # then values differ by what points do
    if not 0.0 < unit < math.inf:
        return 0.0
    transforms = clouds.transforms(threads)

    def bound(slope: float) -> float:
        return _bound(clouds, *transforms(-slope * clouds.at_y))

    found = {slope: bound(slope) for slope in (0.0, *(unit * 2.0**-k for k in range(_POWERS, -1, -1)))}
    # A few outliers may have all of the spread; beyond any digits of theirs there is nothing to be had.
    while max(found, key=lambda slope: found[slope]) == unit and len(found) < _MOST:
        unit *= 2.0
        found[unit] = bound(unit)
    best = max(found, key=lambda slope: found[slope])
    low, high = 0.5 * best, 2.0 * best
    for _ in range(_STEPS if best > 0.0 else 0):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        for slope in (left, right):
            if slope not in found:
                found[slope] = bound(slope)
        low, high = (left, high) if found[left] < found[right] else (low, right)
    return max(found, key=lambda slope: found[slope])


def nearest(z: Array, y: Array, g: Array) -> tuple[Array, NDArray[np.intp]]:
    """u(z) = min_j |z - y_j| - g_j at points z (k, d), and the first j that has it, a few rows at a time."""
    cloud = PointCloud(z, y, "euclidean")
    low, place = np.empty(len(z)), np.empty(len(z), dtype=np.intp)
    step = max(1, _AT_ONCE // len(y))
    for first in range(0, len(z), step):
        rows = slice(first, min(first + step, len(z)))
        beyond = cloud.block(rows) - g
        place[rows] = beyond.argmin(axis=1)
        low[rows] = beyond[np.arange(len(beyond)), place[rows]]
    return low, place
