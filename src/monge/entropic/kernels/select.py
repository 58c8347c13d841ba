"""How a problem is solved, and by which pairs: chosen once, from the problem alone."""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.threads import Threads
from monge.entropic.marginals import Marginal
from monge.problem.costs import Cost, Grid, PointCloud

__all__ = ["Route", "check_device", "pairs_of", "route"]

Array = NDArray[np.float64]

# Pairs up to which products with a stored kernel matrix, on one thread, are sooner done than exponentials on several;
# the same for points in few dimensions, of which another route leaves most pairs out; and for tolerances below
# `_PRECISE`, which only Newton's method reaches at a small eps.
_SMALL, _SMALL_LOW, _SMALL_PRECISE, _PRECISE = 2**18, 2**17, 2**20, 1e-5
# Dimensions in which points that are far apart are worth leaving out.
_LOW = 3
# Powers for which coordinates can be scaled so that distances become costs over eps.
_LEAST_POWER = 0.125


class Route(Enum):
    """The ways to solve an entropic problem."""

    STORED = "whole, in the C++ core, with a stored kernel matrix"
    MULTISCALE = "from coarse to fine clouds, over the pairs that matter"
    PASSES = "by passes over all pairs"


def check_device(device: Any) -> None:
    """ValueError for a device without kernels."""
    if device not in (None, "cpu"):
        raise ValueError(f"device should be None or 'cpu'; got {device!r}.")


def route(cost: Cost, tol: float, device: str | None = None) -> Route:
    """The one that suits the cost."""
    check_device(device)
    low = isinstance(cost, PointCloud) and cost.x.shape[1] <= _LOW and cost.power >= _LEAST_POWER
    n, m = cost.shape
    most = _SMALL_PRECISE if tol < _PRECISE else _SMALL_LOW if low else _SMALL
    if n * m <= most and not isinstance(cost, Grid):
        return Route.STORED
    return Route.MULTISCALE if low else Route.PASSES


def pairs_of(way: Route, cost: Cost, a: Array, b: Array, marginals: tuple[Marginal, Marginal], threads: Threads) -> Any:
    """The pairs of a problem that is solved this way. Those of grids import the compiler; `import monge` must not."""
    kind: Any
    if isinstance(cost, Grid):
        from monge.entropic.kernels.grid import GridPairs as kind
    elif way is Route.MULTISCALE:
        from monge.entropic.kernels.near import NearPairs as kind
    else:
        from monge.entropic.kernels.native import NativePairs as kind
    return kind(cost, a, b, marginals, threads)
