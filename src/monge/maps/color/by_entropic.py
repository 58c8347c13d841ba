"""Colour transfer by an entropic plan between palettes, whose potentials give the map of any colour.

    minimise  sum_ij P_ij |x_i - y_j|^2 + eps KL(P | a x b)
    T(x) = sum_j b_j exp((g_j - |x - y_j|^2) / eps) y_j / sum_j b_j exp((g_j - |x - y_j|^2) / eps)

At the colours of the palette this is the barycentric map of the plan. It is smooth, and its blur, of about the root of
eps, makes the colours that come out less diverse than the target's (Pooladian and Niles-Weed 2021, "Entropic
estimation of optimal transport maps").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.select import pairs_of, route
from monge.entropic.kernels.threads import Threads
from monge.entropic.marginals import as_marginals
from monge.entropic.plan import LazyPlan
from monge.entropic.sinkhorn import sinkhorn
from monge.maps.color.by_palette import palette_of
from monge.maps.color.method import Map, Method, Work
from monge.maps.color.sides import Side
from monge.problem.arrays import positive, positive_integer
from monge.problem.costs import PointCloud

__all__ = ["ByEntropic", "EntropicMap"]

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


@dataclass(frozen=True)
class ByEntropic(Method):
    """The entropic plan between palettes of at most `colors` colours; of fewer, between the colours themselves."""

    eps: float = 1e-3
    colors: int = 4096

    def __post_init__(self) -> None:
        positive(self.eps, "eps")
        positive_integer(self.colors, "colors")

    def maps(self, x: Side, y: Side, work: Work) -> tuple[Map, Map]:
        """The maps of both potentials."""
        (p, a), (q, b) = palette_of(x, self.colors), palette_of(y, self.colors)
        t = sinkhorn(PointCloud(p, q), a, b, eps=self.eps, threads=work.threads, progress=work.progress)
        return EntropicMap(q, b, t.g, t.eps), EntropicMap(p, a, t.f, t.eps)
