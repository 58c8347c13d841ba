"""Where the mass of a point goes on average, in the sense of the cost.

T(x_i) = argmin_z  sum_j P_ij c(z, y_j)

For |x - y|^2 that is the mean, for |x - y| the geometric median, for the cityblock distance a median in each
coordinate: the places that points of barycenters go to, too. For other costs a mean would be wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.free.centres import Groups, centre_of
from monge.problem.costs import PointCloud

__all__ = ["check_mean", "means_of"]

Array = NDArray[np.float64]


def check_mean(cloud: PointCloud) -> None:
    """ValueError for a cost whose means are not known."""
    if cloud.formed is None or cloud.distance not in ("euclidean", "cityblock") or cloud.power < 1.0:
        known = False
    else:
        known = cloud.distance == "euclidean" or cloud.power == 1.0
    if not known:
        raise ValueError(
            "an image is the place with the least cost to where the mass goes, which is known for the costs "
            f"'sqeuclidean', 'euclidean', ('euclidean', p) with p >= 1, and 'cityblock'; got {cloud.cost!r}. "
            "Use one of these, or the plan of monge.emd."
        )


def means_of(cloud: PointCloud, plan: Any) -> Array:
    """The images (n, d) of the sources, each of which has some mass, under a sparse plan."""
    from scipy.sparse import csr_array

    P, (x, y) = csr_array(plan), (points.astype(np.float64) for points in (cloud.x, cloud.y))
    _, centre = centre_of(cloud.cost, y.shape[1])
    return np.asarray(centre(x, Groups(P.indptr[:-1].astype(np.intp), y[P.indices], P.data)))
