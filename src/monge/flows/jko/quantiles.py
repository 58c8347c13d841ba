"""A step on the line, where W_2 is a distance of quantiles.

minimise over x_1 <= ... <= x_n   1/n sum_i (x_i - q_i)^2 / (2 step) + F(x)

n points of mass 1/n are quantiles of levels (i + 1/2) / n, and between two of them the density is 1 / (n gap).
Internal energies are int e(log rho(X(u))) du over these levels, by the values in the gaps; half a gap's mass beyond
either end is counted with the outermost gap. So the factors of all gaps add up to one, and the virial of the entropy,
the sum of x_i dF/dx_i, is -1 as it is for a density: the variance of a cloud grows at the right rate for any n.

In this form internal energies are convex, and so is the problem for convex potentials. Newton's method; its Hessian is
tridiagonal, with no more than the diagonal of an interaction, which the step makes small beside the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from monge.flows.jko.energies import Parts
from monge.flows.jko.pulls import Pulls
from monge.flows.jko.result import Advance

__all__ = ["Quantiles"]

Array = NDArray[np.float64]

# Steps of Newton's at most; the share of the way to where two quantiles would meet that one may go; and what of the
# promised descent it must keep.
_STEPS, _NEAR, _ARMIJO = 500, 0.9, 1e-4
# Halvings of a step, after which rounding hides what it would gain.
_HALVINGS = 40


class Quantiles:
    """The scheme for n points on the line, in increasing order, (n,) or (n, 1)."""

    eps, bandwidth = None, None

    def __init__(self, points: Array, parts: Parts, step: float, tol: float) -> None:
        self.start, self.step, self.tol = np.sort(points, axis=0), step, tol
        self.parts, self.pulls = parts, Pulls(parts, points)
        n = len(points)
        self.shares = np.ones(max(n - 1, 0))  # n times the factors of the gaps
        if n > 1:
            self.shares[0] += 0.5
            self.shares[-1] += 0.5
        if parts.internal and (n < 2 or np.diff(self.start, axis=0).min() <= 0.0):
            raise ValueError(
                f"{parts.internal[0][1]!r} needs at least two quantiles, all different; in x0 some are equal, where "
                "the density is infinite. Spread them, as numpy.quantile and quantile functions do, or use grid=."
            )

    def value(self, x: Array) -> float:
        """F."""
        return (self._internal(x.reshape(-1)) + self.pulls.value(x)) / len(x)

    def advance(self, points: Array, check: Callable[[], None]) -> Advance:
        """The next quantiles."""
        start, n, step = points.reshape(-1), len(points), self.step
        x = start
        worth = self._objective(x, start)
        done = False
        for _ in range(_STEPS):
            check()
            gradient = (x - start) / step + self.pulls.gradient(x)
            diagonal = 1.0 / step + self.pulls.curvature(x)
            beside = np.zeros(max(n - 1, 0))
            if self.parts.internal:
                gaps = np.diff(x)
                _, first, second = self.parts.of_log(-np.log(n * gaps))
                slope, bend = -self.shares * first / gaps, self.shares * (first + second) / gaps**2
                gradient[:-1] -= slope
                gradient[1:] += slope
                beside = -bend
                diagonal[:-1] += bend
                diagonal[1:] += bend
            move = -_solved(diagonal, beside, gradient, 1.0 / step)
            done = float(np.abs(move).max()) <= self.tol * max(float(np.ptp(start)), float(np.abs(x - start).max()))
            x, worth, moved = self._line_search(x, start, move, worth, float(gradient @ move))
            if done or not moved:
                break
        x = np.sort(x)  # a measure does not know which is which, and this is nearer to the start
        return Advance(x.reshape(points.shape), math.sqrt(float(np.mean((x - start) ** 2))), done)

    def _line_search(
        self, x: Array, start: Array, move: Array, worth: float, slope: float
    ) -> tuple[Array, float, bool]:
        length = 1.0
        if self.parts.internal:
            closing = -np.diff(move) / np.diff(x)
            if closing.max() > 0.0:
                length = min(1.0, _NEAR / float(closing.max()))
        slack = 1e-14 * (abs(worth) + len(x))
        for _ in range(_HALVINGS):
            further = x + length * move
            if not self.parts.internal or np.diff(further).min() > 0.0:
                gained = self._objective(further, start)
                if gained <= worth + _ARMIJO * length * slope + slack:
                    return further, gained, True
            length *= 0.5
        return x, worth, False

    def _objective(self, x: Array, start: Array) -> float:
        nearby = float(((x - start) ** 2).sum()) / (2.0 * self.step)
        return nearby + self._internal(x) + self.pulls.value(x)

    def _internal(self, x: Array) -> float:
        """n times the internal energies."""
        if not self.parts.internal:
            return 0.0
        e, _, _ = self.parts.of_log(-np.log(len(x) * np.diff(x)))
        return float(self.shares @ e)


def _solved(diagonal: Array, beside: Array, right: Array, least: float) -> Array:
    """Of the tridiagonal system; where it is not positive definite, with more on its diagonal."""
    from scipy.linalg import solveh_banded

    if len(diagonal) == 1:
        return right / np.maximum(diagonal, least)
    more = 0.0
    while True:
        banded = np.zeros((2, len(diagonal)))
        banded[0, 1:], banded[1] = beside, diagonal + more
        try:
            return np.asarray(solveh_banded(banded, right))
        except np.linalg.LinAlgError:
            more = max(least, 4.0 * more)
