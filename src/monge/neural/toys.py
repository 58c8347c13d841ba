"""Laws to try models on, of which the truth is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.distances.directions import check_rng
from monge.problem.arrays import positive_integer

__all__ = ["EIGHT_CENTERS", "EIGHT_SD", "eight_gaussians"]

# Where the eight Gaussians lie, (8, 2): on a circle of radius 2, the first one to the right.
EIGHT_CENTERS = np.column_stack([f(np.arange(8) * math.pi / 4.0) for f in (np.cos, np.sin)]) * 2.0

# The standard deviation of each, in each coordinate.
EIGHT_SD = math.sqrt(0.02)


def eight_gaussians(n: int, rng: Any = None) -> NDArray[np.float64]:
    """Points of eight small Gaussians on a circle, each as likely as any other.

    The mean of N(c_k, 0.02 I) over the eight points c_k at angles k pi / 4 on the circle of radius 2. A model that
    makes points of three of them only, or many between them, is seen to fail at a glance.

    Parameters
    ----------
    n : int
        How many points.
    rng : None, int or numpy.random.Generator
        Source of the draw (SPEC 7).

    Returns
    -------
    ndarray (n, 2)
        float64. The centres are `EIGHT_CENTERS`, (8, 2), and the standard deviation of each is `EIGHT_SD`.

    Raises
    ------
    ValueError, TypeError
        n that is no positive integer; an rng of the wrong type.

    Notes
    -----
    As in the experiments of Fatras, Zine, Flamary, Gribonval and Courty 2020, "Learning with minibatch Wasserstein".

    Examples
    --------
    >>> from monge.neural.toys import EIGHT_CENTERS, eight_gaussians
    >>> points = eight_gaussians(8000, rng=0)
    >>> nearest = ((points[:, None] - EIGHT_CENTERS) ** 2).sum(axis=2).argmin(axis=1)
    >>> bool(((nearest == 3).mean() - 1 / 8) ** 2 < 0.01**2)
    True
    """
    generator = check_rng(rng)
    centers = EIGHT_CENTERS[generator.integers(8, size=positive_integer(n, "n"))]
    return np.asarray(centers + EIGHT_SD * generator.standard_normal(centers.shape))
