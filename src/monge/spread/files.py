"""Rows of a file, of which a task reads those it takes."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.spread.base import Source, read_as

__all__ = ["FileSource", "mapped", "opened"]


class FileSource(Source):
    """Where rows are in a file. Each process maps it for itself, when it first takes some."""

    def __init__(
        self,
        path: str,
        dtype: np.dtype[Any],
        offset: int,
        shape: tuple[int, ...],
        order: Any,
        name: str,
        checked: bool = False,
        temporary: bool = False,
    ) -> None:
        if len(shape) not in (1, 2) or 0 in shape:
            raise ValueError(
                f"{name} should hold at least one row of at least one number, shape (n, d) or (n,); "
                f"the file {path} has shape {shape}."
            )
        self.path, self.stored, self.offset, self.shape, self.order = path, dtype, offset, shape, order
        self.name, self.checked, self.temporary, self.dtype = name, checked, temporary, read_as(dtype, name)
        self.rows, self.columns = shape[0], shape[1] if len(shape) == 2 else 1
        self._map: NDArray[Any] | None = None

    def _rows(self, places: NDArray[Any]) -> NDArray[Any]:
        if self._map is None:
            self._map = self._opened()
        return np.asarray(self._map[places]).reshape(len(places), self.columns)

    def _opened(self) -> NDArray[Any]:
        try:
            return np.memmap(self.path, self.stored, "r", self.offset, self.shape, self.order)
        except FileNotFoundError:
            remedy = (
                "Name a folder that all workers share in the environment variable JOBLIB_TEMP_FOLDER"
                if self.temporary
                else "Put it where all workers find it under this path"
            )
            raise FileNotFoundError(
                f"the rows of {self.name} are in the file {self.path}, which a worker does not see. {remedy}."
            ) from None

    def __reduce__(self) -> Any:
        where = self.path, self.stored, self.offset, self.shape, self.order
        return FileSource, (*where, self.name, self.checked, self.temporary)


def opened(path: str | os.PathLike[str], name: str) -> FileSource:
    """The rows of a .npy file."""
    place = os.path.abspath(os.fspath(path))
    try:
        found = np.lib.format.open_memmap(place, mode="r")
    except FileNotFoundError:
        raise FileNotFoundError(f"{name}: there is no file {place}.") from None
    except ValueError as error:
        raise ValueError(
            f"{name} should be the path of a .npy file, as numpy.save writes it; {place} is none that can be mapped: "
            f"{error}"
        ) from None
    source = mapped(found, name)
    assert source is not None
    return source


def mapped(array: np.memmap[Any, Any], name: str) -> FileSource | None:
    """The rows of a mapped file, or of a contiguous part of it; None where no file says what the array holds.

    That is so for other parts, for a map without a file, and for one that keeps changes to itself.
    """
    root: Any = array
    while isinstance(root.base, np.memmap):
        root = root.base
    contiguous = array.flags.c_contiguous or array.flags.f_contiguous
    if root.filename is None or root.mode == "c" or not contiguous:
        return None
    if array.flags.writeable:
        root.flush()
    begin = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    order = "C" if array.flags.c_contiguous else "F"
    return FileSource(os.path.abspath(root.filename), array.dtype, root.offset + begin, array.shape, order, name)
