"""How large costs are, and what single precision makes of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.problem.costs import CostMatrix, PointCloud

__all__ = ["EXACT_BELOW", "FLAT", "HELD", "NOISE", "Scale", "cost_scale"]

# Error in the marginals that single precision makes, per largest cost over eps.
NOISE = 5e-8
# Costs from here to its inverse keep clear of the ends of single precision's range.
HELD = 1e-25
# Powers below which distances that single precision takes for zero have costs that count.
FLAT = 1.0

# The share of the size of the costs below which eps is not annealed: from exact potentials, passes at eps itself do not
# grow in number as eps falls. With the exact solver, 600 to 3000 points in 5 to 64 dimensions and independent costs
# took 0.6 to 1.25 times as long at 1/5000, 1.1 to 1.8 times at 1/2000, and a tenth to a hundredth at 1/100,000.
EXACT_BELOW = 2e-4
# The mean over the median, both above the least, from which tails are heavy: 1 to 3 for squared distances between
# Gaussians, uniform clouds and clusters in any dimension.
_HEAVY = 4.0


class Scale(NamedTuple):
    """Of some of the costs."""

    least: float
    mean: float
    median: float
    size: float  # the mean of all costs above the least: a common part does not matter
    nearest: float  # the mean of what the least costs of the rows are, or of the columns if that is more
    noise: float  # what single precision adds to the marginal error, times eps; inf if it has none

    @property
    def middle(self) -> float:
        """The median above the least, where tails are heavy; else zero. An eps below it is small for most pairs, long
        before it is small beside the mean."""
        middle = self.median - self.least
        return middle if self.size > _HEAVY * middle else 0.0

    @property
    def exact_below(self) -> float:
        """The eps below which exact potentials are the better start."""
        return max(EXACT_BELOW * self.size, self.middle)


def cost_scale(cost: CostMatrix | PointCloud) -> Scale:
    """That of a sample of the costs."""
    some = cost.sample()
    finite = some[np.isfinite(some)]
    if not finite.size:
        return Scale(0.0, 0.0, 0.0, 0.0, 0.0, np.inf)
    low, mean = float(finite.min()), float(finite.mean())
    nearest = max(float(least[least < np.inf].mean()) for least in (some.min(axis=0), some.min(axis=1)))
    size = float(np.abs(finite).max())
    points = cost.formed
    held = points.power >= FLAT if points is not None else HELD < size < 1.0 / HELD
    median = float(np.median(finite[::4]))  # of a part, since it takes longer than the rest
    whole = _mean_square(points) if points is not None and points.squared else mean
    noise = NOISE * size + cost.error_in_single if held else np.inf
    return Scale(low, mean, median, whole - low, nearest, noise)


def _mean_square(cost: PointCloud) -> float:
    """The mean of |x - y|^2 over all pairs. A sample may miss what makes up most of it."""
    origin = cost.x[0]
    (x, square_x), (y, square_y) = (_moments(points - origin) for points in (cost.x, cost.y))
    return square_x + square_y - 2.0 * float(x @ y)


def _moments(points: NDArray[Any]) -> tuple[NDArray[np.float64], float]:
    """The mean of points (n, d), and that of their squared lengths."""
    points = points.astype(np.float64, copy=False)
    return points.mean(axis=0), float(np.einsum("ij,ij", points, points)) / len(points)  # no threads of a library
