"""Loops over pairs of points around a ground cost that a user wrote, compiled by Numba.

The cost goes into a loop as a copy, with its numbers in double or in single precision, and with functions of `math` and
`numpy` replaced by such that become vector instructions. A loop over columns is all that the compiler gets to see, and
no branches but the user's own. Points of few coordinates are stored coordinate by coordinate, and put together to
tuples that end up in registers; longer ones are rows of an array.

Importing this imports the compiler.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from monge.problem import double, single
from monge.problem import narrow as copies
from monge.problem.kept import digest, keep
from monge.problem.narrow import narrow
from monge.problem.user_cost import MOST_TUPLE

if TYPE_CHECKING:
    from monge.problem.user_cost import GroundCost

__all__ = ["Costs", "Loops", "blocks_of", "loop"]

Array = NDArray[np.float64]
Function = Callable[..., Any]

# Pairs of a matrix that a thread takes at a time, and those from which threads are worth their start.
_AT_ONCE, _PARALLEL = 2**18, 2**20

_SOURCES = (__file__, str(copies.__file__), str(double.__file__), str(single.__file__))

# What was compiled in this process: the same function is often handed over anew.
_made: dict[tuple[str, str], Any] = {}


class Loops:
    """Those over points of d coordinates, for one cost. Each is compiled when it is first called."""

    def __init__(self, cost: GroundCost, d: int) -> None:
        self.cost, self.d = cost, d
        self._own: dict[str, Any] = {}

    def between(self, x: NDArray[Any], y: NDArray[Any], dtype: Any) -> Costs:
        """The costs between points x (n, d) and y (m, d) in this precision, a few rows at a time."""
        return Costs(self, x, y, dtype)

    def matrix(self, x: NDArray[Any], y: NDArray[Any], dtype: Any, threads: int) -> NDArray[Any]:
        """All costs (n, m), computed in double precision and stored as `dtype`."""
        n, m = len(x), len(y)
        out, fill = np.empty((n, m), dtype), self.filler(False, dtype)
        laid, tall = (self.laid(x, np.float64), self.laid(y, np.float64)), max(1, _AT_ONCE // m)

        def work(first: int) -> None:
            self.call(fill, *laid, first, out[first : first + tall])

        if threads == 1 or n * m < _PARALLEL:
            for first in range(0, n, tall):
                work(first)
            return out
        with ThreadPoolExecutor(threads) as pool:
            try:
                list(pool.map(work, range(0, n, tall)))
            finally:  # after an interrupt
                pool.shutdown(cancel_futures=True)
        return out

    def pairs(self, x: NDArray[Any], y: NDArray[Any]) -> Array:
        """The costs (k,) between points x_k and y_k (k, d)."""
        out = np.empty(len(x))
        self.call(self._pairs, self.laid(x, np.float64), self.laid(y, np.float64), out)
        return out

    def derivatives(self, x: NDArray[Any], y: NDArray[Any]) -> tuple[Array, Array]:
        """dc/dx and dc/dy (k, d) at the same pairs."""
        dx, dy = np.zeros((2, *x.shape))
        each = np.arange(len(x))
        self.between(x, y, np.float64).pull(each, each, np.ones(len(x)), dx, dy)
        return dx, dy

    def laid(self, points: NDArray[Any], dtype: Any) -> NDArray[Any]:
        """Points (n, d) as the loops take them."""
        return np.ascontiguousarray(points.T if self.d <= MOST_TUPLE else points, dtype=dtype)

    def call(self, loop: Any, *arguments: Any) -> Any:
        """What a loop returns. TypeError where the user's function cannot be compiled, ValueError where it fails."""
        try:
            return loop(*arguments)
        except MemoryError:
            raise
        except Exception as error:
            raise _explained(error, self.cost.name) from error

    def filler(self, narrowed: bool, dtype: Any) -> Any:
        """fill(x, y, first, out) writes the costs of the rows from `first` on into `out` (k, m) of this type."""

        def make() -> Any:
            c, point = self.copy(self.cost.function, narrowed), point_of(self.d)

            def fill(x, y, first, out):  # type: ignore[no-untyped-def]
                for i in range(out.shape[0]):
                    here, row = point(x, first + i), out[i]
                    for j in range(len(row)):
                        row[j] = c(here, point(y, j))

            return loop(fill, narrowed)

        name = f"fill_{'single' if narrowed else 'double'}_{np.dtype(dtype).itemsize}"
        return self.kept(name, make, self.cost.function)

    @property
    def _pairs(self) -> Any:
        """pairs(x, y, out) writes the costs of pairs into `out` (k,)."""

        def make() -> Any:
            c, point = self.copy(self.cost.function, False), point_of(self.d)

            def pairs(x, y, out):  # type: ignore[no-untyped-def]
                for k in range(len(out)):
                    out[k] = c(point(x, k), point(y, k))

            return loop(pairs, False)

        return self.kept("pairs", make, self.cost.function)

    @property
    def pull(self) -> Any:
        """pull(x, y, rows, columns, masses, grad_x, grad_y) adds derivatives at pairs times masses to gradients."""
        self.cost.require_gradient()
        assert self.cost.gradients is not None
        gradients = self.cost.gradients

        def make() -> Any:
            (dcx, dcy), point = (self.copy(one, False) for one in gradients), point_of(self.d)

            def pull(x, y, rows, columns, masses, grad_x, grad_y):  # type: ignore[no-untyped-def]
                out = np.zeros(grad_x.shape[1])
                for k in range(len(masses)):
                    i, j = rows[k], columns[k]
                    here, there = point(x, i), point(y, j)
                    dcx(here, there, out)
                    _add(masses[k], out, grad_x[i])
                    dcy(here, there, out)
                    _add(masses[k], out, grad_y[j])

            return loop(pull, False)

        return self.kept("pull", make, gradients)

    def copy(self, function: Any, narrowed: bool) -> Any:
        """A compiled copy of a user's function, to be called by a loop."""
        if narrowed:
            return single.fast(narrow(function, single.SINGLE, single.fast))
        return double.exact(narrow(function, double.DOUBLE, double.exact))

    def kept(self, name: str, make: Callable[[], Any], depends: Any, *sources: str) -> Any:
        """The loop of this name, whose code depends on some of a user's functions and some files."""
        if name not in self._own:
            key = f"{digest(depends, *_SOURCES, *sources)}_{min(self.d, MOST_TUPLE + 1)}"
            if (name, key) not in _made:
                _made[name, key] = keep(make(), key)
            self._own[name] = _made[name, key]
        return self._own[name]


class Costs:
    """The costs between two clouds, a few rows at a time."""

    def __init__(self, loops: Loops, x: NDArray[Any], y: NDArray[Any], dtype: Any) -> None:
        self.loops, self.dtype = loops, dtype
        self.x, self.y = loops.laid(x, dtype), loops.laid(y, dtype)

    @cached_property
    def _filler(self) -> Any:
        return self.loops.filler(self.dtype == np.float32, self.dtype)

    def fill(self, first: int, out: NDArray[Any]) -> None:
        """Writes the costs of the rows from `first` on into `out` (k, m)."""
        self.loops.call(self._filler, self.x, self.y, first, out)

    def pull(
        self, rows: NDArray[np.intp], columns: NDArray[np.intp], masses: Array, grad_x: Array, grad_y: Array
    ) -> None:
        """Adds masses (k,) times dc/dx at these pairs to rows of grad_x (n, d), and times dc/dy to those of grad_y."""
        self.loops.call(self.loops.pull, self.x, self.y, rows, columns, masses, grad_x, grad_y)


def loop(function: Any, narrowed: bool) -> Any:
    """A function that lets go of the interpreter, around copies in single or in double precision."""
    flags = single.FLAGS if narrowed else double.FLAGS
    return njit(fastmath=flags, error_model="numpy", nogil=True)(function)


def point_of(d: int) -> Any:
    """A compiled function of points, as loops take them, and a number: one of them, as users' functions take it."""
    if d > MOST_TUPLE:
        return double.exact(lambda points, k: points[k])
    return double.exact(eval("lambda points, k: (" + "".join(f"points[{q}, k], " for q in range(d)) + ")"))


def blocks_of(d: int) -> tuple[Any, Any, Any]:
    """Three functions of that kind: of points and two numbers, those in between; of points and a number, that one; and
    the same for points in between. A loop over these begins at zero, which a compiler has to see."""
    if d > MOST_TUPLE:
        return double.exact(lambda points, begin, end: points[begin:end]), point_of(d), point_of(d)
    block, at = (
        f"lambda points, {some}: (" + "".join(f"points[{q}][{of}], " for q in range(d)) + ")"
        for some, of in (("begin, end", "begin:end"), ("k", "k"))
    )
    return double.exact(eval(block)), point_of(d), double.exact(eval(at))


@double.exact
def _add(mass, slopes, gradient):  # type: ignore[no-untyped-def]
    """Adds those slopes that exist, and sets all to zero."""
    for q in range(len(slopes)):
        if slopes[q] == slopes[q]:
            gradient[q] += mass * slopes[q]
        slopes[q] = 0.0


# Of Numba's text: what is wrong, and the line above the first mark.
_WHERE = re.compile(r'^File "(?P<file>[^"]*)", line \d+:\n(?:.*\n)*?(?P<line>.*)\n\s*\^', re.MULTILINE)


def _explained(error: Exception, name: str) -> Exception:
    """The error of a loop, in terms of the user's function."""
    if not type(error).__module__.startswith("numba"):
        return ValueError(f"the cost {name} failed: {type(error).__name__}: {error}")
    lines = [line.strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line and not line.startswith("Failed in nopython mode")] or [""]
    reason = re.sub(r"Raised from \S* \((\d+)\)", r"Line \1", " ".join(lines[: 2 if lines[0].endswith(":") else 1]))
    where = _WHERE.search(str(error))
    quoted = ""
    if where is not None and not where["file"].endswith("compiled.py"):
        quoted = f", in the line {where['line'].strip()!r}"
    return TypeError(
        f"Numba cannot compile the cost {name}{quoted}: {reason.rstrip(' .')}. Numba reads plain Python with numbers, "
        "tuples and arrays, math and numpy: index the coordinates or loop over them, and return one number."
    )
