"""Laws to try models on, of which the truth is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.distances.directions import check_rng
from monge.problem.arrays import positive_integer

__all__ = ["MinFunnels", "eight_gaussians", "min_funnels"]

Array = NDArray[np.float64]

# Where the eight Gaussians lie, (8, 2): on a circle of radius 2, the first one to the right.
EIGHT_CENTERS = np.column_stack([f(np.arange(8) * math.pi / 4.0) for f in (np.cos, np.sin)]) * 2.0

# The standard deviation of each, in each coordinate.
EIGHT_SD = math.sqrt(0.02)


def eight_gaussians(n: int, rng: Any = None) -> NDArray[np.float64]:
    """A sample of eight small Gaussians on a circle, each as likely as any other.

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
        In float64. The centres are ``EIGHT_CENTERS``, (8, 2), and the standard deviation of each is ``EIGHT_SD``.

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


@dataclass(frozen=True)
class MinFunnels:
    """Points x (n, d) and y (n, d), between which W1 is known, and a potential of it.

    Attributes
    ----------
    x, y : ndarray (n, d)
        The two clouds, with uniform weights. The plan that sends x_i to y_i is optimal.
    distance : float
        W1 of these two clouds, the mean of |x_i - y_i|.
    centers : ndarray (k, d)
        The tips of the funnels.
    heights : ndarray (k,)
        How high they are.

    Methods
    -------
    potential(points)
        The 1-Lipschitz function u for which the mean of u(x) less that of u(y) is `distance`.
    """

    x: Array
    y: Array
    distance: float
    centers: Array
    heights: Array

    def potential(self, points: Any) -> Array:
        """Evaluate the potential.

        Parameters
        ----------
        points : array_like (k, d)
            Where, z.

        Returns
        -------
        ndarray (k,)
            The numbers u(z) = min_k |z - a_k| + b_k.
        """
        apart = np.asarray(points, dtype=np.float64)[:, np.newaxis] - self.centers
        found: Array = (np.linalg.norm(apart, axis=2) + self.heights).min(axis=1)
        return found


def min_funnels(n: int, n_funnels: int = 4, dimension: int = 2, rng: Any = None) -> MinFunnels:
    """Two clouds in any dimension whose W1 is known exactly, however many points they have.

    ``u(z) = min_k |z - a_k| + b_k`` is 1-Lipschitz and falls at full slope towards the nearest tip. Points x are
    normal, and each y is its x, sent a random share of the way to its tip: ``y = x - s (x - a_k) / |x - a_k|`` with s
    uniform between 0 and |x - a_k|. Then u(x) - u(y) = s = |x - y|, so u and this plan prove each other optimal.

    Parameters
    ----------
    n : int
        Points of either cloud.
    n_funnels : int
        Number of tips, which are normal, too, with a standard deviation of 2; their heights are uniform in [0, 1].
    dimension : int
        Of the points.
    rng : None, int or numpy.random.Generator
        The same seed gives the same tips for any n.

    Returns
    -------
    MinFunnels
        ``x``, ``y``, ``distance`` and ``potential(points)``.

    Notes
    -----
    Korotin, Kolesov and Burnaev 2022, "Kantorovich strikes back! Wasserstein GANs are not optimal transport?",
    section 4.

    Examples
    --------
    >>> import monge
    >>> from monge.neural.toys import min_funnels
    >>> pair = min_funnels(100, rng=0)
    >>> exact = monge.emd(monge.PointCloud(pair.x, pair.y, cost="euclidean")).value
    >>> bool(abs(exact - pair.distance) < 1e-12)
    True
    """
    n, k, d = (
        positive_integer(n, "n"),
        positive_integer(n_funnels, "n_funnels"),
        positive_integer(dimension, "dimension"),
    )
    generator = check_rng(rng)
    centers, heights = generator.normal(0.0, 2.0, (k, d)), generator.uniform(0.0, 1.0, k)
    x = generator.normal(0.0, 2.0, (n, d))
    apart = x[:, np.newaxis] - centers  # (n, k, d)
    lengths = np.linalg.norm(apart, axis=2)
    tip = (lengths + heights).argmin(axis=1)
    share = generator.random(n)
    y = x - share[:, np.newaxis] * apart[np.arange(n), tip]
    return MinFunnels(x, y, float((share * lengths[np.arange(n), tip]).mean()), centers, heights)
