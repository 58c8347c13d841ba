"""Copies of a Python function, with its numbers in another precision and with other functions in place of `math`'s.

A compiler takes the number 0.5 for a double, `math.pi` too, and `math.exp` for a call into a library: in a loop in
single precision that costs a factor of 10 to 30 on a CPU, and of 2 to 64 on a GPU. So the code of a ground cost is
copied with its constants, and those of what it refers to, as numbers of the precision that is wanted, and with `math`
and `numpy` replaced by a namespace of functions that suit the device.

A copy holds on to the values that it was made with, whatever becomes of the variables they came from.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Functions", "frozen", "names_in", "narrow"]


class Functions(types.ModuleType):
    """Stands for `math` and `numpy` in a cost: what is not set here is what these hold, constants as `real`."""

    def __init__(self, real: type, **functions: Any) -> None:
        super().__init__("functions")
        self.real = real
        vars(self).update(functions)

    def __getattr__(self, name: str) -> Any:
        for module in (math, np):
            if hasattr(module, name):
                value = getattr(module, name)
                return self.real(value) if isinstance(value, float) else value
        raise AttributeError(f"neither math nor numpy has {name!r}")


def narrow(cost: Any, functions: Functions, compiled: Callable[[Any], Any]) -> Any:
    """A copy of the plain or compiled function `cost`, and `compiled` copies of those that it calls."""
    return _Copies(functions, compiled).of(cost)


def frozen(cost: Any) -> Any:
    """A copy of a function that can be called as it can, and that no later change of a variable reaches."""
    return narrow(cost, Functions(float), lambda function: function)


def names_in(code: types.CodeType) -> set[str]:
    """All names of globals and attributes in a function's code, and in that of functions within it."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= names_in(constant)
    return names


class _Copies:
    def __init__(self, functions: Functions, compiled: Callable[[Any], Any]) -> None:
        self.functions, self.compiled = functions, compiled
        self.known: dict[Any, Any] = {}  # function -> its copy; one that calls itself is met again

    def of(self, function: Any) -> Any:
        function = getattr(function, "py_func", function)
        if function in self.known:
            return self.known[function]
        names, here = names_in(function.__code__), function.__globals__
        cells = tuple(types.CellType() for _ in function.__closure__ or ())
        # Of this module: machine code that is kept on disk asks for it, and that of the caller may be gone by then.
        globals_: dict[str, Any] = {"__builtins__": here["__builtins__"], "__name__": __name__}
        code = self._value(function.__code__, names)
        copy = types.FunctionType(code, globals_, function.__name__, None, cells or None)
        copy.__qualname__, copy.__doc__ = function.__qualname__, function.__doc__
        self.known[function] = copy
        copy.__defaults__ = self._value(function.__defaults__, names)
        for cell, given in zip(cells, function.__closure__ or (), strict=True):
            cell.cell_contents = self._value(given.cell_contents, names)
        globals_.update({name: self._value(here[name], names) for name in sorted(names & here.keys())})
        return copy

    def _value(self, value: Any, names: set[str]) -> Any:
        """The same for the copy of a function with these names in its code."""
        real = self.functions.real
        if value is math or value is np or isinstance(value, Functions):
            return self.functions
        if isinstance(value, types.ModuleType):
            return self._module(value, names)
        if isinstance(value, float):  # np.float64 among them
            return real(value)
        if isinstance(value, np.ndarray):
            return value.astype(real if value.dtype == np.float64 else value.dtype)
        if isinstance(value, tuple):
            each = [self._value(one, names) for one in value]
            return type(value)(*each) if hasattr(value, "_fields") else tuple(each)
        if isinstance(value, types.CodeType):
            return value.replace(co_consts=self._value(value.co_consts, names))
        if isinstance(value, types.FunctionType) or hasattr(value, "py_func"):
            return self.compiled(self.of(value))
        name = getattr(value, "__name__", None)
        if isinstance(name, str) and any(getattr(module, name, None) is value for module in (math, np)):
            return getattr(self.functions, name)  # from math import exp
        return value

    def _module(self, module: types.ModuleType, names: set[str]) -> types.ModuleType:
        """Of another module, what the function may ask it for."""
        copy = types.ModuleType(module.__name__)
        for name in sorted(names):
            if hasattr(module, name):
                setattr(copy, name, self._value(getattr(module, name), names))
        return copy
