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
_PLACES = 24


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
    x, y = rng.random((_PLACES, 2)), rng.random((_PLACES, 2))
    C = rng.random((_PLACES, _PLACES))
    for cost in ("sqeuclidean", "euclidean", "cityblock", "cosine"):
        yield f"points, {cost}", partial(_solve, PointCloud(x, y, cost))
    yield "points of many coordinates", lambda: _solve(PointCloud(*rng.random((2, _PLACES, 64))))
    yield "matrix, float64", lambda: _solve(C)
    yield "matrix, float32", lambda: _solve(C.astype(np.float32))
    yield "grid", lambda: _solve(Grid((4, 6)))
    yield "KL marginals", lambda: _solve(C, marginals=KL(1.0))
    yield "TV marginals", lambda: _solve(C, marginals=TV(1.0))
    yield "batch", lambda: sinkhorn([C, C], eps=0.1)


def _solve(cost: Any, **options: Any) -> None:
    for tol in _TOLERANCES:
        t = sinkhorn(cost, eps=0.1 * 30.0 ** isinstance(cost, Grid), tol=tol, **options)
        t.plan @ np.ones(t.shape[1])
        t.plan.toarray()
