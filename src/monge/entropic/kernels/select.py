"""How a problem is solved, and by which pairs: chosen once, from the problem alone."""

from __future__ import annotations

import sys
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.scale import cost_scale
from monge.entropic.kernels.threads import Threads
from monge.entropic.marginals import Marginal
from monge.problem.costs import Cost, Grid, PointCloud

__all__ = ["Route", "check_device", "pairs_of", "route"]

Array = NDArray[np.float64]

# Pairs up to which a kernel matrix is stored, 128 MiB in single precision: products with it are sooner done than
# exponentials, from memory by a half for points and at last by nothing for a matrix that is itself read instead.
_STORED = 2**25
# The same for points in few dimensions, of which another route leaves most pairs out; and the share of the size of the
# costs from which eps lets it leave out so few that this is twice as many in two dimensions, four times in three.
_STORED_LOW, _FEW_LEFT_OUT = 2**20, 0.02
# Dimensions in which points that are far apart are worth leaving out.
_LOW = 3
# Powers for which coordinates can be scaled so that distances become costs over eps.
_LEAST_POWER = 0.125


class Route(Enum):
    """The ways to solve an entropic problem."""

    STORED = "whole, in the C++ core, with a stored kernel matrix"
    MULTISCALE = "from coarse to fine clouds, over the pairs that matter"
    PASSES = "by passes over all pairs"
    DEVICE = "by passes over all pairs on a GPU"


def check_device(device: Any) -> None:
    """ValueError for a device that is not known, RuntimeError for one that is not there."""
    if device not in (None, "cpu", "cuda"):
        raise ValueError(f"device should be None, 'cpu' or 'cuda'; got {device!r}.")
    if device == "cuda":
        from monge.entropic.kernels.available import require_cuda

        require_cuda()


def route(cost: Cost, eps: float, device: str | None = None) -> Route:
    """The one that suits the cost and eps."""
    n, m = cost.shape
    if device == "cuda":
        if isinstance(cost, Grid):
            raise ValueError("a Grid is solved on the CPU, where its costs are separable; got device='cuda'.")
        return Route.DEVICE
    if isinstance(cost, Grid):
        return Route.PASSES
    points = cost.formed
    if points is not None and points.x.shape[1] <= _LOW and points.power >= _LEAST_POWER:
        return Route.STORED if n * m <= _stored_low(points, eps) else Route.MULTISCALE
    return Route.STORED if n * m <= _STORED else Route.PASSES


def _stored_low(cost: PointCloud, eps: float) -> float:
    """Pairs up to which a kernel matrix is stored, for points in few dimensions."""
    n, m = cost.shape
    more = float(2 ** (cost.x.shape[1] - 1))
    if not _STORED_LOW < n * m <= more * _STORED_LOW:  # then it depends on the size of the costs
        return _STORED_LOW
    size = max(cost_scale(cost).size, sys.float_info.min)
    return _STORED_LOW * max(1.0, more * min(1.0, eps / (_FEW_LEFT_OUT * size)))


def pairs_of(way: Route, cost: Cost, a: Array, b: Array, marginals: tuple[Marginal, Marginal], threads: Threads) -> Any:
    """The pairs of a problem that is solved this way. Those of grids import the compiler; `import monge` must not."""
    kind: Any
    if isinstance(cost, Grid):
        from monge.entropic.kernels.grid import GridPairs as kind
    elif way is Route.DEVICE:
        from monge.entropic.kernels.cuda.plan import CudaPairs as kind
    elif way is Route.MULTISCALE:
        from monge.entropic.kernels.near import NearPairs as kind
    else:
        from monge.entropic.kernels.native import NativePairs as kind
    return kind(cost, a, b, marginals, threads)
