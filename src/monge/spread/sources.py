"""What a caller hands over as rows: arrays, files, arrays of dask, samplers."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from monge.problem.costs import as_points
from monge.spread.base import Source
from monge.spread.chunks import ChunkSource, is_chunked
from monge.spread.files import mapped, opened
from monge.spread.memory import ArraySource
from monge.spread.sampler import SamplerSource

__all__ = ["Source", "source_of"]


def source_of(data: Any, name: str) -> Source:
    """The rows that `data` stands for.

    Parameters
    ----------
    data : array_like (n, d), str or path, numpy.memmap, dask array, or callable
        An array of any library; the path of a .npy file, which is never read as a whole; a mapped file, likewise; an
        array of dask; or a sampler(rng, n) -> (n, d). A vector stands for points on the line.
    name : str
        What the caller calls it, for errors.

    Raises
    ------
    ValueError, TypeError
        As `PointCloud` does for points; for a file that is no .npy, or a sampler whose first sample has the wrong shape
        or numbers that are not finite. Files, arrays of dask and later samples are checked as rows are taken.
    """
    if isinstance(data, Source):
        return data
    if isinstance(data, str | os.PathLike):
        return opened(data, name)
    if isinstance(data, np.memmap):
        file = mapped(data, name)
        return file or ArraySource(data if data.ndim == 2 else data.reshape(-1, 1), name, checked=False)
    if is_chunked(data):
        return ChunkSource(data, name)
    if callable(data):
        return SamplerSource(data, name)
    return ArraySource(as_points(data, name), name)
