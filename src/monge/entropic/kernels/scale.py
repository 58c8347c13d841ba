"""How large costs are, and what single precision makes of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from monge.entropic.blocks import sampled_costs
from monge.problem.costs import CostMatrix, PointCloud

__all__ = ["Scale", "cost_scale"]

# Error in the marginals that single precision makes, per largest cost over eps.
_NOISE = 5e-8
# Costs from here to its inverse keep clear of the ends of single precision's range.
_HELD = 1e-25
# Powers below which distances that single precision takes for zero have costs that count.
_FLAT = 1.0


class Scale(NamedTuple):
    """Of some of the costs."""

    least: float
    mean: float
    nearest: float  # the mean of what the least costs of the rows are, or of the columns if that is more
    noise: float  # what single precision adds to the marginal error, times eps; inf if it has none

    @property
    def size(self) -> float:
        """The mean above the least: a common part of all costs does not matter."""
        return self.mean - self.least


def cost_scale(cost: CostMatrix | PointCloud) -> Scale:
    """That of a sample of the costs."""
    some = sampled_costs(cost)
    finite = some[np.isfinite(some)]
    if not finite.size:
        return Scale(0.0, 0.0, 0.0, np.inf)
    low, mean = float(finite.min()), float(finite.mean())
    nearest = max(float(least[least < np.inf].mean()) for least in (some.min(axis=0), some.min(axis=1)))
    size = float(np.abs(finite).max())
    held = cost.power >= _FLAT if isinstance(cost, PointCloud) else _HELD < size < 1.0 / _HELD
    return Scale(low, mean, nearest, _NOISE * size if held else np.inf)
