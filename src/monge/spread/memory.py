"""Rows of an array in this process; written to a file, once, for tasks in other processes."""

from __future__ import annotations

import contextlib
import os
import tempfile
import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.spread.base import Source, read_as
from monge.spread.files import FileSource

__all__ = ["ArraySource", "spilled"]

# Arrays of no more bytes travel with each task.
_SMALL = 1 << 14
# Bytes that are written at a time.
_WRITTEN = 1 << 24


class ArraySource(Source):
    """An array (n, d) of NumPy's."""

    def __init__(self, array: NDArray[Any], name: str, checked: bool = True) -> None:
        self.array, self.name, self.checked, self.dtype = array, name, checked, read_as(array.dtype, name)
        self.rows, self.columns = array.shape
        self._spill: FileSource | None = None

    def _rows(self, places: NDArray[Any]) -> NDArray[Any]:
        if len(places) == self.rows and (places == np.arange(self.rows)).all():
            return np.asarray(self.array)  # to be read, as all that comes out: a copy would take as long as its use
        return np.asarray(self.array[places])

    def sent(self) -> Source:
        if self.array.nbytes <= _SMALL:
            return ArraySource(np.array(self.array), self.name, self.checked)  # its own numbers, not a view of many
        if self._spill is None:
            step = max(1, _WRITTEN // (self.array.itemsize * self.columns))
            pieces = (np.asarray(self.array[k : k + step], self.dtype) for k in range(0, len(self.array), step))
            self._spill = spilled(pieces, self)
        return self._spill

    def __reduce__(self) -> Any:
        return ArraySource, (self.array, self.name, self.checked)


def spilled(pieces: Iterable[NDArray[Any]], owner: Source) -> FileSource:
    """The rows of a source, piece by piece, in a temporary file that goes with it, or at the latest with this process.

    It is in the folder that joblib uses for its own, JOBLIB_TEMP_FOLDER, or else where temporary files are.
    """
    assert owner.rows is not None
    handle, path = tempfile.mkstemp(".rows", "monge-", os.environ.get("JOBLIB_TEMP_FOLDER"))
    weakref.finalize(owner, _remove, path, os.getpid())
    with os.fdopen(handle, "wb") as file:
        for piece in pieces:
            file.write(np.ascontiguousarray(piece, owner.dtype).data)
    return FileSource(path, owner.dtype, 0, (owner.rows, owner.columns), "C", owner.name, owner.checked, temporary=True)


def _remove(path: str, of: int) -> None:
    if os.getpid() != of:  # a fork, whose copy of the owner is none of the file's
        return
    with contextlib.suppress(OSError):  # on Windows, where a worker still reads it
        os.remove(path)
