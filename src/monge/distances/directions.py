"""Directions and great circles over which a distance is averaged, spread better than independent ones.

How they are drawn decides how far the mean over some of them is from that over all: at d = 3 a spiral has a thirtieth
of the error of independent directions, and orthogonal ones half of it or less from d = 10 on. All are turned at random,
so that one picked from them by chance is uniform on the sphere, and means are unbiased.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import shown

__all__ = ["check_rng", "directions", "drawing", "frames"]

Array = NDArray[np.float64]

# From one point of the spiral to the next, in turns: the number that fractions are worst at.
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


def directions(d: int, count: int, rng: np.random.Generator) -> Array:
    """Unit vectors (count, d), for functions that are the same for a vector and its opposite; one on the line.

    In the plane equal angles with a random first one; in space a spiral from pole to pole (Swinbank and Purser 2006,
    "Fibonacci grids"), turned at random; else blocks of d orthogonal directions, each block turned at random (Rowland
    et al. 2019, "Orthogonal estimation of Wasserstein distances").
    """
    if d == 1:
        return np.ones((1, 1))
    if d == 2:
        angles = np.pi * (np.arange(count) + rng.random()) / count  # half a turn: the other half is its opposite
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)
    if d == 3:
        k = np.arange(count)
        height, turns = 1.0 - (2.0 * k + 1.0) / count, 2.0 * np.pi * (_GOLDEN * k % 1.0)
        around = np.sqrt(1.0 - height**2)
        spiral = np.stack([around * np.cos(turns), around * np.sin(turns), height], axis=1)
        return np.ascontiguousarray(spiral @ _orthogonal(3, 3, rng))
    blocks = [_orthogonal(d, min(d, count - first), rng) for first in range(0, count, d)]
    return np.concatenate(blocks)


def frames(d: int, count: int, rng: np.random.Generator) -> Array:
    """Pairs of orthogonal unit vectors (count, 2, d): planes whose great circles are uniform. One is enough for d = 2.

    In space the normals of the planes are those of `directions`; else blocks of d // 2 planes are orthogonal.
    """
    if d == 2:
        return np.eye(2)[np.newaxis]
    if d == 3:
        normal = directions(3, count, rng)
        # With the axis that a normal is furthest from it spans a parallelogram that is not thin.
        axis = np.eye(3)[np.abs(normal).argmin(axis=1)]
        first = np.cross(normal, axis)
        first /= np.linalg.norm(first, axis=1, keepdims=True)
        return np.stack([first, np.cross(normal, first)], axis=1)
    each = d // 2
    blocks = [_orthogonal(d, 2 * min(each, count - first), rng) for first in range(0, count, each)]
    return np.concatenate(blocks).reshape(count, 2, d)


def _orthogonal(d: int, count: int, rng: np.random.Generator) -> Array:
    """Orthonormal rows (count, d), count <= d, as likely in any rotation (Mezzadri 2007, "How to generate random
    matrices from the classical compact groups")."""
    q, r = np.linalg.qr(rng.normal(size=(d, count)))
    return np.ascontiguousarray((q * np.where(np.diag(r) < 0.0, -1.0, 1.0)).T)


def drawing(draw: Callable[[int, int, np.random.Generator], Array], count: int, rng: Any) -> Callable[[int], Array]:
    """What `draw` draws for each dimension, `directions` or `frames`: one number from `rng` decides on all of them.

    The problems of a batch have the same, then, whichever of them comes first.
    """
    seed = int(check_rng(rng).integers(2**63))
    return cache(lambda d: draw(d, count, np.random.default_rng(seed)))


def check_rng(rng: Any) -> np.random.Generator:
    """The generator that `rng` stands for (SPEC 7): itself, one from a seed, or one from fresh entropy for None."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"rng should be None, a seed that is an integer >= 0, or a numpy.random.Generator; got {shown(rng)}."
        ) from None
