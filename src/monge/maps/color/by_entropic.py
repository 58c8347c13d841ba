"""Colour transfer by an entropic plan between palettes, whose potentials give the map of any colour.

    minimise  sum_ij P_ij |x_i - y_j|^2 + eps KL(P | a x b)

The map's blur, of about the root of eps, makes the colours that come out less diverse than the target's.
"""

from __future__ import annotations

from dataclasses import dataclass

from monge.entropic.sinkhorn import sinkhorn
from monge.maps.color.by_palette import palette_of
from monge.maps.color.method import Map, Method, Work
from monge.maps.color.sides import Side
from monge.maps.entropic_map import EntropicMap
from monge.problem.arrays import positive, positive_integer
from monge.problem.costs import PointCloud

__all__ = ["ByEntropic"]


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
