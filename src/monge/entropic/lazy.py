"""What plans that are never stored have in common: what they take, and how they become arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import real_array, shown

__all__ = ["Lazy"]

Array = NDArray[np.float64]


class Lazy(ABC):
    """A matrix (n, m) of which entries are computed when they are looked at.

    A class of it has ``shape``, ``T``, ``@`` and ``toarray()``, and ``_rows_at(index)`` and ``_marginal(axis)``.
    """

    ndim = 2
    dtype = np.dtype(np.float64)
    __array_ufunc__ = None  # v @ P is for __rmatmul__

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """(n, m)."""

    @abstractmethod
    def toarray(self) -> Array:
        """All entries, as an array (n, m)."""

    @abstractmethod
    def _rows_at(self, index: NDArray[np.intp]) -> Array:
        """The rows (k, m) of an index (k,)."""

    @abstractmethod
    def _marginal(self, axis: int) -> Array:
        """The marginal, a new array: (m,) for axis 0, (n,) for axis 1."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a lazy plan is computed when it becomes an array; copy=False is not possible.")
        return self.toarray() if dtype is None else self.toarray().astype(dtype)

    def __getitem__(self, rows: Any) -> Array:
        """Rows, as an array: (m,) for an integer, (k, m) for a slice, a mask or a list of integers."""
        if isinstance(rows, tuple):
            raise TypeError("a lazy plan gives whole rows, plan[i] or plan[2:5]; take columns of those, or of plan.T.")
        index = np.arange(self.shape[0])[rows]
        entries = self._rows_at(np.atleast_1d(index))
        return entries if index.ndim else entries[0]

    def sum(self, axis: int | None = None) -> Any:
        """The total mass, or a marginal.

        Parameters
        ----------
        axis : int, optional
            0 for what each target receives, 1 for what each source sends; None for all.

        Returns
        -------
        float or ndarray
            The mass; or (m,) for axis 0, (n,) for axis 1.
        """
        if axis is None:
            return float(self._marginal(1).sum())
        if isinstance(axis, bool) or not isinstance(axis, int | np.integer) or not -2 <= axis < 2:
            raise ValueError(f"axis should be None, 0 or 1; got {shown(axis)}.")
        return self._marginal(int(axis) % 2)

    def _operand(self, values: Any, side: int) -> NDArray[Any]:
        """What the plan is multiplied with, whose rows meet its columns (side 1) or its rows (side 0)."""
        array = real_array(values, "the operand of @", (1, 2), "a vector or a matrix")
        if len(array) != self.shape[side]:
            raise ValueError(
                f"@ should get {self.shape[side]} rows for a plan of shape {self.shape}; got shape {array.shape}."
            )
        return array
