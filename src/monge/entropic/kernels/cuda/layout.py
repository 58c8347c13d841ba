"""How a problem lies on the device.

A side's vectors are the rows of one array (`ROWS`, size), all float64; potentials and softmins in cost units, so that
they outlast a change of eps. Its points are packed one after the other, `width(d)` numbers each: coordinates, and in
slot d what belongs to the point in the exponent, in units of log 2. Where costs are lifted, that has its square in it.
Places of a cost matrix are points of no coordinates.

What the loop knows is one array of numbers, `CTL`.
"""

from __future__ import annotations

__all__ = ["FAR", "width"]

# Rows of a side's vectors: the logarithm of its weights, to base two; the softmins; the potentials; squares of the
# points, rounded to single precision and in double; weights; the last plain step; room.
LOG, SOFTMIN, POTENTIAL, SQUARE, SQUARE64, WEIGHT, SAFE, ROOM = range(8)
ROWS = 8

# The exponent of what has no weight: its exponential is zero, and sums with it are numbers.
FAR = -1e30

# What the loop knows. First what the host sets: eps to end with, tolerance, passes allowed; noise; the factor from the
# device's costs to cost units; marginals; whether both sides are the same; how many errors are kept.
(
    LAST, TOL, MAX_ITER, NOISE, FACTOR, KL_A, CAP_A, KL_B, CAP_B, SYMMETRIC, KEPT,
    # Where it is: eps, whether this is the last eps, what is asked for, and of which precision.
    EPS, FINAL, GOAL, FLOOR, ENOUGH, SINGLE, STOP,
    # Acceleration and its safeguards.
    ACCELERATED, SHORTER, REFUSED, PAUSE, TAKEN, SAFE_DUAL, SAFE_ERROR, BEST, WAITING,
    # What comes out.
    DONE, CONVERGED, PASSES, ERROR, DUAL, UNSAFE,
) = range(33)  # fmt: skip
CTL = 33


def width(d: int) -> int:
    """Numbers of a packed point: those of few coordinates are loaded sixteen bytes at a time."""
    return {0: 1, 1: 2, 2: 4, 3: 4}.get(d, -(-(d + 1) // 4) * 4)
