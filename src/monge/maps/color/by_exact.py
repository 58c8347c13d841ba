"""Colour transfer by the exact plan between all colours of two pictures.

    minimise  sum_ij P_ij |x_i - y_j|^2   subject to   sum_j P_ij = a_i,  sum_i P_ij = b_j

with x_i and y_j the different colours and a_i and b_j the parts of the pixels that have them. A pixel moves to the
barycenter of where the mass of its colour goes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monge.exact.emd import emd
from monge.maps.color.fits import KnownPoints
from monge.maps.color.method import Map, Method, Work, images
from monge.maps.color.sides import Side
from monge.problem.arrays import seconds
from monge.problem.costs import PointCloud

__all__ = ["ByExact"]

# Most colours of a picture: the costs between so many, in single precision, are 1.5 GiB, and take a minute or two.
_MOST = 20_000


@dataclass(frozen=True)
class ByExact(Method):
    """The exact plan between up to 20,000 different colours each, with their multiplicities."""

    time_limit: float | None = None

    def __post_init__(self) -> None:
        seconds(self.time_limit)

    def maps(self, x: Side, y: Side, work: Work) -> tuple[Map, Map]:
        """Barycenters at the colours of the pictures, and affine fits of these at all others."""
        n, m = len(x.points), len(y.points)
        if max(n, m) > _MOST:
            raise ValueError(
                f"method='exact' takes up to {_MOST:,} different colours of each picture; the source has {n:,} and the "
                f"target {m:,}. Use method='palette' or 'minibatch', leave pixels out by source_mask= and "
                "target_mask=, or make the pictures smaller."
            )
        cloud = PointCloud(x.points.astype(np.float32), y.points.astype(np.float32))
        a, b = x.count / x.count.sum(), y.count / y.count.sum()
        t = emd(cloud, a, b, threads=work.threads, time_limit=self.time_limit, progress=work.progress)
        there, back = images(t, x.points, y.points)
        return KnownPoints(x.points, there), KnownPoints(y.points, back)
