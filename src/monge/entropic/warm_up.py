"""Compiling ahead: small problems that between them call every kernel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from monge.entropic.marginals import KL, TV
from monge.entropic.sinkhorn import sinkhorn
from monge.problem.costs import Grid, PointCloud

__all__ = ["kept_in", "warm_up"]

# The first is reached in single precision, the second is not.
_TOLERANCES = (1e-2, 1e-9)
# Places on either side: smaller problems need nothing compiled.
_PLACES = 1100


def warm_up() -> Iterator[tuple[str, float]]:
    """Calls the kernels for one kind of problem after the other; yields its name and the seconds that took.

    What is compiled is kept on disk for the processes to come, where a directory for it can be written to.
    """
    for name, run in _problems():
        start = time.perf_counter()
        run()
        yield name, time.perf_counter() - start


def kept_in() -> str | None:
    """The directory of the compiled code; None if none can be written to."""
    from monge.entropic.kernels import grid

    path: str | None = grid._convolve.stats.cache_path
    return path


def _problems() -> Iterator[tuple[str, Callable[[], Any]]]:
    rng = np.random.default_rng(0)
    C = rng.random((_PLACES, _PLACES))
    (x, y), (u, v) = rng.random((2, _PLACES, 2)), rng.random((2, _PLACES, 64))
    for cost in ("sqeuclidean", "euclidean", "cityblock", "cosine"):
        yield f"points, {cost}", partial(_solve, PointCloud(x, y, cost))
    yield "points, many coordinates", partial(_solve, PointCloud(u, v))
    yield "matrix, float64", partial(_solve, C)
    yield "matrix, float32", partial(_solve, C.astype(np.float32))
    yield "KL marginals", partial(_solve, C, marginals=KL(1.0))
    yield "TV marginals", partial(_solve, C, marginals=TV(1.0))
    yield "grid", partial(_solve, Grid((4, 6), spacing=0.2))
    yield "grid, rounded", lambda: sinkhorn(Grid((4, 6), spacing=0.2), eps=0.1).rounded().gap


def _solve(cost: Any, **options: Any) -> None:
    for tol in _TOLERANCES:
        sinkhorn(cost, eps=0.1, tol=tol, **options)
