"""Kernels that were compiled, kept on disk.

By itself Numba would look for a kernel by the addresses of what it closes over, and never find it. Here it is kept
under a digest of what makes it what it is: the files of this folder, the versions of the compiler, and the arguments it
was made with, a user's function with all it refers to among them.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import sys
from pathlib import Path
from typing import Any

import numba
import numba_cuda
from numba.cuda.dispatcher import CUDACache

from monge.entropic.kernels.cuda.grounds import described

__all__ = ["keep"]


class _Kept(CUDACache):
    """What the digest in the function's name tells apart. A kernel that cannot be kept is compiled again."""

    def _index_key(self, signature: Any, codegen: Any) -> Any:
        return signature, codegen.magic_tuple()

    def load_overload(self, signature: Any, target: Any) -> Any:
        with contextlib.suppress(Exception):
            return super().load_overload(signature, target)  # type: ignore[no-untyped-call]
        return None

    def save_overload(self, signature: Any, kernel: Any) -> None:
        with contextlib.suppress(Exception):
            super().save_overload(signature, kernel)  # type: ignore[no-untyped-call]


def keep(dispatcher: Any, *made_with: Any) -> Any:
    """A kernel that is going to be compiled, whose machine code is kept."""
    function = dispatcher.py_func
    key = hashlib.sha256((_house() + repr([described(part) for part in made_with])).encode()).hexdigest()[:32]
    function.__qualname__ = f"{function.__name__}_{key}"
    with contextlib.suppress(RuntimeError):  # no directory can be written to
        dispatcher._cache = _Kept(function)  # type: ignore[no-untyped-call]
    return dispatcher


@functools.cache
def _house() -> str:
    hashed = hashlib.sha256(repr((sys.version_info[:2], numba.__version__, numba_cuda.__version__)).encode())
    room = Path(__file__).parent
    # Beside what is here, whatever constants are taken into kernels from, and what copies functions.
    others = room / "../reference.py", room / "../../iteration.py", room / "../../../problem/narrow.py"
    for source in (*sorted(room.glob("*.py")), *others, room / "../../../problem/user_cost.py"):
        hashed.update(source.read_bytes())
    return hashed.hexdigest()
