"""How much of a summit of F on the sphere leans to which side.

F is the least of many functions, one for each plan P of a polytope, and at a summit theta on a ridge several are as
small as F. The summit's height has a derivative all the same: that along a mixture of those plans, the one along which
F has no slope at theta (the theorem of the envelope, for a maximum of minima). The mixture is found among directions
nearby, on either side of the ridge, by their slopes: the point of their hull that is nearest to zero, to which one more
is added, that uphill along this point, as long as it is not zero (Wolfe 1975, "A method of conjugate subgradients for
minimizing nondifferentiable functions").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monge.distances.slices import Slices

__all__ = ["sides_of"]

Array = NDArray[np.float64]

# Slopes below this part of the gradient are none: summits are found up to small angles.
_LEVEL = 1e-5
# How far the directions nearby are, first and at most, in angles.
_NEAR, _FAR = 1e-6, 1e-3
# How many there are at most, beside one for each coordinate.
_MORE = 20


def sides_of(slices: Slices, theta: Array, unit: float) -> tuple[Array, Array]:
    """Directions (k, d) beside the summit theta (d,), and their shares (k,), whose sum is one."""

    def slope(at: Array) -> tuple[Array, float]:
        turn = slices.sums(at[np.newaxis], unit, turns=True)["turns"][0]
        return turn - (turn @ theta) * theta, float(np.linalg.norm(turn))

    first, size = slope(theta)
    places, slopes, shares, mixed = [theta], [first], np.ones(1), first
    near, rest = _NEAR, len(theta) + _MORE
    while np.linalg.norm(mixed) > _LEVEL * size and near <= _FAR and rest > 0:
        uphill = theta + near / np.linalg.norm(mixed) * mixed
        uphill /= np.linalg.norm(uphill)
        there = slope(uphill)[0]
        rest -= 1
        if there @ mixed > 0.5 * (mixed @ mixed):  # the same side: the ridge is farther away
            near *= 10.0
            continue
        places.append(uphill)
        slopes.append(there)
        shares = _nearest_to_zero(np.array(slopes) / size)
        mixed = shares @ np.array(slopes)
    kept = shares > 0.0
    return np.array(places)[kept], shares[kept]


def _nearest_to_zero(points: Array) -> Array:
    """The shares (k,) of points (k, d) in the point of their hull that is nearest to zero."""
    from scipy.optimize import nnls

    rows = np.vstack([points.T, np.ones(len(points))])  # shares add up to one, after they are divided by their total
    shares: Array = nnls(rows, np.append(np.zeros(points.shape[1]), 1.0))[0]
    return np.asarray(shares / shares.sum())
