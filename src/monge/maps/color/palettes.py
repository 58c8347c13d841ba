"""Palettes: some colours, and how many pixels each stands for, in place of a picture.

Boxes of colour space are cut at their mean, across the channel that varies most, the worst boxes first (Wan, Wong and
Prusinkiewicz 1988, "An algorithm for multidimensional data clustering"). Pixels of one colour stay together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.maps.color.pictures import LEVELS, Picture
from monge.maps.color.sides import Side
from monge.maps.color.spaces import RGB

__all__ = ["boxes", "means", "palette"]

Array = NDArray[np.float64]

# Of a box of two colours that differ by a level in one channel the squared deviations add up to half of its square.
_ONE_COLOUR = 0.25


def palette(image: Any, size: int) -> tuple[Array, Array]:
    """The colours (k, 3), in [0, 1], and their weights (k,) that stand for a picture (h, w, 3), with k <= size."""
    side = Side(Picture.read(image, "image"), RGB)
    box, mass = boxes(side.points, side.count, size)
    return means(side.points, side.count, box), mass / mass.sum()


def boxes(points: Array, weight: Array, size: int) -> tuple[NDArray[np.intp], Array]:
    """The box (n,) of each point (n, d), of at most `size` boxes; and the weights (k,) of the boxes."""
    channels = np.ascontiguousarray(points.T) * LEVELS  # whole numbers in RGB: means and ties are exact
    box = np.zeros(len(points), dtype=np.intp)
    count = 1
    while True:
        mass: Array = np.bincount(box, weight).astype(np.float64)
        mean = np.stack([np.bincount(box, weight * c) for c in channels]) / mass  # (d, boxes)
        # Of differences, not of squares, whose rounding in a box of a million pixels is more than a level's square.
        away = [channel - center[box] for channel, center in zip(channels, mean, strict=True)]
        deviation = np.stack([np.bincount(box, weight * c**2) for c in away])
        widest, error = deviation.argmax(axis=0), deviation.max(axis=0)
        # Half of the boxes in a round: near enough to one after the other, in a dozen and a half of rounds.
        cuts = min(size - count, (count + 1) // 2, int((error > _ONE_COLOUR).sum()))
        if cuts == 0:
            return box, mass
        worst = np.argsort(-error, kind="stable")[:cuts]
        upper = np.full(count, -1)  # the new box of what lies above the cut
        upper[worst] = count + np.arange(cuts)
        above = (upper[box] >= 0) & (np.choose(widest[box], away) > 0.0)
        box[above] = upper[box[above]]
        count += cuts


def means(values: Array, weight: Array, box: NDArray[np.intp]) -> Array:
    """The mean (k, d) over each box of values (n, d)."""
    mass = np.bincount(box, weight)
    return np.stack([np.bincount(box, weight * column) / mass for column in values.T], axis=1)
