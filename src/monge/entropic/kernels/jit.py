"""Compilation, kept on disk.

Numba keeps machine code beside the source, or in the user's cache directory, or in NUMBA_CACHE_DIR, and knows the code
of a function by the date of its file. The names under which code is kept carry a digest of that file too: an older one
that is put back, or a copy that has the same date, is never served what was compiled from another.

Each function takes those that it calls, which must be of its own file, into itself. Otherwise a process that compiles
and one that loads what was compiled could bind other copies of them, and would round differently.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit

__all__ = ["jit"]


def jit(function: Callable[..., Any]) -> Any:
    """Compiles a function at its first call, lets go of the interpreter while it runs, and keeps the machine code."""
    sources = (Path(function.__code__.co_filename), Path(__file__))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    function.__qualname__ = f"{function.__name__}_{digest}"
    # Products may be fused into sums, and sums keep their order.
    options: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}, "forceinline": True}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no directory can be written to
        return njit(**options)(function)
