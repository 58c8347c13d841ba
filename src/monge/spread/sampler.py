"""Rows from a function that draws them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import real_array, shown
from monge.spread.base import Source, finite_rows

__all__ = ["SamplerSource"]

# Rows of the first sample, which tells the number of columns.
_FIRST = 2


class SamplerSource(Source):
    """A function sampler(rng, n) -> (n, d). A vector (n,) stands for points on the line."""

    rows = None

    def __init__(self, sampler: Callable[[np.random.Generator, int], Any], name: str) -> None:
        self.sampler, self.name = sampler, name
        first = self._sample(np.random.default_rng(0), _FIRST)
        self.columns, self.dtype = first.shape[1], first.dtype

    def draw(self, rng: np.random.Generator, k: int) -> NDArray[Any]:
        points = self._sample(rng, k)
        if points.shape[1] != self.columns:
            raise ValueError(
                f"{self._called(k)} should always return points of the same dimension; got {points.shape[1]} "
                f"coordinates, and {self.columns} the first time."
            )
        return np.ascontiguousarray(points, dtype=self.dtype)

    def _sample(self, rng: np.random.Generator, k: int) -> NDArray[Any]:
        called, expected = self._called(k), f"points of shape ({k}, d), finite numbers"
        points = real_array(self.sampler(rng, k), f"what {called} returns", (1, 2), expected)
        if len(points) != k or points.size == 0:
            raise ValueError(f"{called} should return {expected}; got shape {points.shape}.")
        points = points.reshape(k, -1)
        finite_rows(points, lambda at: f"{called}[{at[0]}, {at[1]}]")
        return points

    def _rows(self, places: NDArray[Any]) -> NDArray[Any]:
        raise TypeError(f"{self.name} is a sampler, which has no rows to choose from. Pass an array of its samples.")

    def _called(self, k: int) -> str:
        return f"the sampler {self.name}={getattr(self.sampler, '__name__', shown(self.sampler))}(rng, {k})"
