"""Machine code of loops around functions that users write, kept on disk.

Numba knows a function by the date of its file, and one that is closed over by its address, so what is compiled for one
process is never found by another. Here code is kept under a digest of all that it depends on: the user's function with
what it refers to, and what goes into the loops around it. Each is in files of its own, so that no two processes that
write at the same time can mix them up. Where no directory can be written to, nothing is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.caching import FunctionCache

from monge.problem.narrow import Functions, names_in

__all__ = ["digest", "keep"]

# Of these the text says all; and of what these packages define, the name.
_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...), np.dtype, np.generic)
_KNOWN = ("builtins", "math", "numpy", "numba")


def digest(function: Any, *sources: str) -> str:
    """Of a function, with what its code refers to, of source files, and of the versions of what compiles them."""
    hashed = hashlib.sha256(repr((sys.version_info[:2], numba.__version__, np.__version__)).encode())
    for source in sources:
        hashed.update(Path(source).read_bytes())
    _Eater(hashed).eat(function)
    return hashed.hexdigest()[:32]


class _Eater:
    def __init__(self, hashed: Any) -> None:
        self.hashed = hashed
        self.seen: dict[Any, int] = {}  # functions, which may call each other

    def eat(self, value: Any, names: frozenset[str] | set[str] = frozenset()) -> None:
        """What is referred to by code with these names."""
        value = getattr(value, "py_func", value)
        self.hashed.update(type(value).__qualname__.encode() + b"(")
        if isinstance(value, types.FunctionType):
            self._eat_function(value)
        elif isinstance(value, types.CodeType):
            self.hashed.update(value.co_code + repr((value.co_names, value.co_varnames, value.co_freevars)).encode())
            self.eat(value.co_consts, names)
        elif isinstance(value, types.ModuleType):
            self.hashed.update(value.__name__.encode())
            if value not in (math, np) and not isinstance(value, Functions):
                for name in sorted(names & vars(value).keys()):
                    self.hashed.update(name.encode())
                    self.eat(getattr(value, name), names)
        elif isinstance(value, np.ndarray):
            self.hashed.update(repr((value.dtype.str, value.shape)).encode() + value.tobytes())
        elif isinstance(value, tuple | list):
            self.hashed.update(repr(getattr(value, "_fields", "")).encode())
            for one in value:
                self.eat(one, names)
        elif isinstance(value, frozenset):
            self.hashed.update(repr(sorted(map(repr, value))).encode())
        elif isinstance(value, _PLAIN):
            self.hashed.update(repr(value).encode())
        elif isinstance(value, np.ufunc) or (
            isinstance(value, type | types.BuiltinFunctionType) and str(value.__module__).split(".")[0] in _KNOWN
        ):
            self.hashed.update(repr((getattr(value, "__module__", ""), value.__name__)).encode())
        else:  # nothing is known of it: never the same again
            self.hashed.update(os.urandom(32))
        self.hashed.update(b")")

    def _eat_function(self, function: types.FunctionType) -> None:
        if function in self.seen:
            self.hashed.update(str(self.seen[function]).encode())
            return
        self.seen[function] = len(self.seen)
        names = names_in(function.__code__)
        self.eat(function.__code__, names)
        self.eat(function.__defaults__ or ())
        for name in sorted(names & function.__globals__.keys()):
            self.hashed.update(name.encode())
            self.eat(function.__globals__[name], names)
        for cell in function.__closure__ or ():
            self.eat(cell.cell_contents, names)


class _Kept(FunctionCache):
    """What a digest in the function's name tells apart, and not the addresses of what it closes over."""

    def _index_key(self, signature: Any, codegen: Any) -> Any:
        return signature, codegen.magic_tuple()

    def save_overload(self, signature: Any, data: Any) -> None:
        with warnings.catch_warnings():  # for large arrays that a function refers to, which cannot be kept
            warnings.simplefilter("ignore")
            super().save_overload(signature, data)  # type: ignore[no-untyped-call]


def keep(dispatcher: Any, key: str) -> Any:
    """A function that Numba is going to compile for one signature, whose machine code is kept under this key."""
    function = getattr(dispatcher, "py_func", None)
    if function is None:  # Numba was told not to compile
        return dispatcher
    function.__qualname__ = f"{function.__name__}_{key}"
    with contextlib.suppress(RuntimeError):  # no directory can be written to
        dispatcher._cache = _Kept(function)  # type: ignore[no-untyped-call]
    return dispatcher
