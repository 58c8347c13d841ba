"""What tasks take rows from, wherever the rows are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import real_array

__all__ = ["Source", "finite_rows", "read_as"]


class Source(ABC):
    """Rows of numbers, and how a task gets at some of them.

    What comes out of a file is checked where it comes out: files are too long to be read for it beforehand. A source
    that is `sent` travels with every task, so it is small then: it says where the rows are.

    Attributes
    ----------
    name : str
        As the caller knows it, for errors.
    rows : int or None
        Number of rows; None for a sampler, which has no end.
    columns : int
        Numbers in a row.
    dtype : numpy.dtype
        float32 or float64, of what comes out.
    checked : bool
        Whether the numbers were looked at before, and are what they should be.
    """

    name: str
    rows: int | None
    columns: int
    dtype: np.dtype[Any]
    checked: bool = False

    def take(self, indices: Any) -> NDArray[Any]:
        """The rows (k, d) at these places, in this order; places may repeat."""
        places = np.asarray(indices)
        points = np.ascontiguousarray(self._rows(places), dtype=self.dtype)
        if not self.checked:
            finite_rows(points, lambda at: f"{self.name}[{int(places[at[0]])}, {at[1]}]")
        return points

    def draw(self, rng: np.random.Generator, k: int) -> NDArray[Any]:
        """k rows (k, d), each equally likely, with replacement."""
        assert self.rows is not None
        return self.take(rng.integers(self.rows, size=k))

    def sent(self) -> Source:
        """The same rows, for tasks in other processes. This source should live as long as they need them."""
        return self

    @abstractmethod
    def _rows(self, places: NDArray[Any]) -> NDArray[Any]:
        """The rows (k, d), of any type."""


def finite_rows(points: NDArray[Any], named: Any) -> None:
    """Raises ValueError if some of the points (k, d) are not finite; `named` says what stands in a place."""
    if not np.isfinite(points).all():
        at = tuple(int(k) for k in np.argwhere(~np.isfinite(points))[0])
        raise ValueError(f"points should have finite coordinates; {named(at)} = {points[at]}.")


def read_as(dtype: Any, name: str) -> np.dtype[Any]:
    """The type that numbers stored as `dtype` are read as. TypeError for what is no real number."""
    return real_array(np.empty((0, 1), dtype), name, 2, "rows of shape (n, d)").dtype
