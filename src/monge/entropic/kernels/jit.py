"""Compilation, kept on disk.

Numba keeps machine code beside the source, or in the user's cache directory, or in NUMBA_CACHE_DIR. It looks at one
file's date only, and would serve code that was compiled with older functions of another file. So the names under which
code is kept carry a digest of all sources that are compiled.

Each function takes those that it calls into itself. Otherwise every module of machine code has a copy of them, each
optimised in its own way, and the first to be loaded serves all: a process that compiles and one that loads what was
compiled would round differently.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit

__all__ = ["EXACT", "FAST", "jit"]

# Sums in any order, which vector sums need. Not nnan and ninf: zero weights have the logarithm -inf.
FAST = frozenset({"reassoc", "contract", "nsz", "arcp", "afn"})
# For rounding tricks, which another order of operations would undo.
EXACT = frozenset({"contract"})

_HERE = Path(__file__).parent
_DIGEST = hashlib.sha256(
    b"".join(path.read_bytes() for path in (*sorted(_HERE.glob("*.py")), _HERE.parent / "iteration.py"))
).hexdigest()[:12]


def jit(fastmath: frozenset[str] = FAST) -> Callable[[Callable[..., Any]], Any]:
    """Compiles a function at its first call, lets go of the interpreter while it runs, and keeps the machine code."""

    def decorate(function: Callable[..., Any]) -> Any:
        function.__qualname__ = f"{function.__name__}_{_DIGEST}"
        options: Any = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath), "forceinline": True}
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # no directory can be written to
            return njit(**options)(function)

    return decorate
