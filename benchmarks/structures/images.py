"""Images to be averaged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["rings"]

Array = NDArray[np.float64]


def rings(count: int, side: int, *, floor: float = 0.0, seed: int = 0) -> Array:
    """Images (count, side, side) of two ellipses, one in the other, with soft edges, each of sum one: like those of
    Cuturi and Doucet 2014, "Fast computation of Wasserstein barycenters", Figure 1. A floor is a share of the mass that
    is spread over all pixels; without one, pixels are zero where nothing is."""
    rng = np.random.default_rng(seed)
    x = (np.arange(side) + 0.5) / side
    images = np.zeros((count, side, side))
    for image in images:
        centre, outer = 0.5 + 0.12 * rng.uniform(-1.0, 1.0, 2), rng.uniform(0.15, 0.33, 2)
        for axes, place in ((outer, centre), (outer * rng.uniform(0.3, 0.6, 2), centre + 0.03 * rng.uniform(-1, 1, 2))):
            radius = np.hypot((x[:, np.newaxis] - place[0]) / axes[0], (x - place[1]) / axes[1])
            image += np.clip(1.0 - np.abs(radius - 1.0) * axes.min() / 0.02, 0.0, 1.0)
        image /= image.sum()
    return (1.0 - floor) * images + floor / side**2
