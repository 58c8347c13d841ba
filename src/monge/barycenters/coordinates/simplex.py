"""The least of a quadratic function on the simplex, for few unknowns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["least_on_simplex"]

Array = NDArray[np.float64]

# Slopes below this share of the largest are rounding.
_FLAT = 1e-12


def least_on_simplex(hessian: Array, slope: Array, start: Array) -> Array:
    """The x >= 0 with sum one that minimises x' H x / 2 + slope' x, H positive semidefinite; zeros are exact.

    An active set method: the least on the face that is free, as far as it goes, then the face with the steepest
    descent. Each face is left for one with a lower value, so it ends; the count of rounds is for ties.
    """
    k = len(slope)
    x = np.maximum(start, 0.0) / np.maximum(start, 0.0).sum()
    free = x > 0.0
    for _ in range(50 * k):
        inside = np.flatnonzero(free)
        system = np.ones((len(inside) + 1, len(inside) + 1))
        system[:-1, :-1], system[-1, -1] = hessian[np.ix_(inside, inside)], 0.0
        # Scaled as the matrix is, so that least squares, for a singular one, knows what is small.
        size = float(np.abs(system[:-1, :-1]).max())
        system[-1, :-1] = system[:-1, -1] = size if size > 0.0 else 1.0
        gradient = hessian @ x + slope
        step = np.zeros(k)
        step[inside] = np.linalg.lstsq(system, np.append(-gradient[inside], 0.0), rcond=None)[0][:-1]
        falling = np.flatnonzero(step < 0.0)
        ratios = x[falling] / -step[falling]
        if len(falling) and ratios.min() < 1.0:
            x = np.maximum(x + ratios.min() * step, 0.0)
            out = falling[np.argmin(ratios)]
            x[out], free[out] = 0.0, False
            continue
        x = np.maximum(x + step, 0.0)
        gradient = hessian @ x + slope
        away = gradient - float(gradient[inside].mean())
        away[inside] = 0.0
        if away.min() >= -_FLAT * float(np.abs(gradient).max()):
            break
        free[int(np.argmin(away))] = True
    return np.asarray(x / x.sum())
