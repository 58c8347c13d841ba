"""Compiling ahead what is compiled when it is first called: sums and minima over grids.

All else is in the C++ core, but for the costs that users write.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from monge.problem.costs import Grid

__all__ = ["kept_in", "warm_up"]


def warm_up() -> Iterator[tuple[str, float]]:
    """Calls what has to be compiled; yields what it is for, and the seconds that took.

    What is compiled is kept on disk for the processes to come, where a directory for it can be written to.
    """
    start = time.perf_counter()
    from monge.entropic.kernels.grid_sums import axis_log_sum, grid_transform

    # Between cells so far apart the sum underflows, and is done in another way.
    axis_log_sum(np.array([[0.0, -np.inf]]), np.array([0.0, -1e4]))
    summed = time.perf_counter()
    yield "solving on grids", summed - start
    grid_transform(Grid((2, 2)), np.zeros(4))
    yield "rounding on grids", time.perf_counter() - summed


def kept_in() -> str | None:
    """The directory of the compiled code; None if none can be written to."""
    from monge.entropic.kernels import grid_sums

    path: str | None = grid_sums._convolve.stats.cache_path
    return path
