"""The map of an entropic plan, at points that the plan has never seen.

T(x) = sum_j b_j exp((g_j - |x - y_j|^2) / eps) y_j / sum_j b_j exp((g_j - |x - y_j|^2) / eps)

At the sources of the plan this is its barycentric map. It is smooth, and the gradient of a convex function (Pooladian
and Niles-Weed 2021, "Entropic estimation of optimal transport maps", equation 12).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.select import pairs_of, route
from monge.entropic.kernels.threads import Threads
from monge.entropic.marginals import as_marginals
from monge.entropic.plan import LazyPlan
from monge.problem.costs import PointCloud

__all__ = ["EntropicMap"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class EntropicMap:
    """T of the targets y (m, d) with the weights b (m,) and the potential g (m,)."""

    y: Array
    b: Array
    g: Array
    eps: float

    def __call__(self, points: Array, threads: int) -> Array:
        """The images (n, d) of points (n, d)."""
        cloud, a = PointCloud(points, self.y), np.ones(len(points))
        pairs = pairs_of(route(cloud, self.eps), cloud, a, self.b, as_marginals(None), Threads(threads))
        # What stands in for f cancels; this one keeps the largest exponential of each row at one.
        f, _ = pairs.transforms(self.g)
        sums = LazyPlan(pairs, f, self.g, self.eps) @ np.column_stack([self.y, np.ones(len(self.y))])
        return sums[:, :-1] / sums[:, -1:]
