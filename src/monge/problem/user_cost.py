"""Ground costs that users write: a plain Python function c(x, y) -> float of two points.

Here is what can be said of one without a compiler. `compiled` makes the loops over points.
"""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import sampled, shown
from monge.problem.narrow import frozen

if TYPE_CHECKING:
    from monge.problem.compiled import Costs, Loops

__all__ = ["MOST_TUPLE", "GroundCost"]

# Points of up to so many coordinates are given to a function as tuples, which a compiler dissolves into registers, and
# of more as arrays: there it gives up on tuples.
MOST_TUPLE = 8
# Pairs of points at which the function is tried, by Python, when a cloud is made: along x and along y.
_TRIED = 4
# Every point is looked at in so many pairs before costs are computed pass after pass.
_LOOKED_AT = 16
# How far c(x, y) and c(y, x) may be apart, beside the larger one, if c is symmetric but for rounding.
_SAME = 1e-9

_REMEDY = (
    "Write a plain function of two points that returns one number: index the coordinates, as in x[0] - y[0], or loop "
    "over them; math and numpy functions of numbers are fine."
)


class GroundCost:
    """A ground cost c(x, y) that is a Python function of two points.

    It is compiled by Numba, and works wherever a built-in cost does. A bare function in place of a cost stands for
    ``GroundCost(function)``.

    Parameters
    ----------
    cost : callable
        The function c(x, y) -> float. Points are tuples of up to eight coordinates, or one-dimensional arrays of more.
        Inside, coordinates are indexed or looped over, with ``if``, ``min``, ``max``, ``abs``, functions of numbers of
        `math` and `numpy`, and helper functions of your own. A lambda, a closure or a function made by ``numba.njit``
        will do. It must not depend on anything but its arguments: what it refers to, such as a global or a variable of
        the function around it, is read when the GroundCost is made and never again. A cost of +inf forbids an arc.
    gradient : callable or (callable, callable), optional
        A function dc(x, y, out), which writes the derivatives of c with respect to the coordinates of x into the array
        out, for ``grad_x`` and ``grad_y`` of a result. One function stands for a symmetric cost, where the derivative
        with respect to y is dc(y, x, out). Otherwise a pair (dcx, dcy), both called with (x, y, out). A derivative that
        is NaN counts as none, and adds nothing.
    name : str, optional
        For messages; that of the function if None.

    Raises
    ------
    TypeError
        If the cost or the gradient is no Python function, or takes another number of arguments.

    Notes
    -----
    Passes of `sinkhorn` over many pairs compute costs in single precision, as far as the tolerance allows it. How fast
    they are is in your hands: coordinates that are indexed or looped over (``for s, t in zip(x, y)``) make vector
    instructions, expressions on whole arrays (``np.abs(x - y).sum()``) do not; numbers want a point, since ``2 * r`` is
    computed in double precision and ``2.0 * r`` is not; powers are fast as ``math.pow(r, 1.7)``, and as ``r**2`` or
    ``r**1.5``, but not as ``r**1.7``. The first call compiles, for a second or so; what is compiled is kept on disk.

    Results hold the function. To pickle them it must be one that pickle finds by its name: at the top level of a
    module, no lambda and no closure. What it refers to is then read anew where the result is loaded.

    Examples
    --------
    Distances along a great circle, between latitudes and longitudes in radians:

    >>> import math, monge
    >>> def great_circle(x, y):
    ...     u, v = math.sin(0.5 * (x[0] - y[0])), math.sin(0.5 * (x[1] - y[1]))
    ...     return 2.0 * math.asin(min(1.0, math.sqrt(u * u + math.cos(x[0]) * math.cos(y[0]) * v * v)))
    >>> pole, equator = [[0.5 * math.pi, 0.0]], [[0.0, 0.0], [0.0, 1.0]]
    >>> round(monge.emd(monge.PointCloud(pole, equator, great_circle)).value, 6)
    1.570796

    The Huber function of the distance, with its derivative:

    >>> def huber(x, y):
    ...     r = math.sqrt((x[0] - y[0]) ** 2 + (x[1] - y[1]) ** 2)
    ...     return 0.5 * r * r if r < 1.0 else r - 0.5
    >>> def slope(x, y, out):
    ...     r = math.sqrt((x[0] - y[0]) ** 2 + (x[1] - y[1]) ** 2)
    ...     for k in range(2):
    ...         out[k] = (x[k] - y[k]) / max(r, 1.0)
    >>> cost = monge.GroundCost(huber, gradient=slope)
    >>> monge.emd(monge.PointCloud([[0.0, 0.0]], [[3.0, 4.0]], cost)).grad_x
    array([[-0.6, -0.8]])
    """

    def __init__(self, cost: Callable[..., Any], gradient: Any = None, name: str | None = None) -> None:
        self._given = cost, gradient
        self.function = frozen(_plain(cost, "cost", "a function c(x, y) of two points", 2))
        self.name = str(getattr(self.function, "__name__", "cost") if name is None else name)
        self.symmetric = gradient is not None and not isinstance(gradient, tuple)
        self.gradients = self._both(gradient)
        self._across: GroundCost | None = None  # of which this is the transposed cost
        self._loops: dict[int, Loops] = {}  # by the number of coordinates

    def _both(self, gradient: Any) -> tuple[Callable[..., Any], Callable[..., Any]] | None:
        """dc/dx and dc/dy, both of (x, y, out)."""
        if gradient is None:
            return None
        if self.symmetric:
            dc = frozen(_plain(gradient, "gradient", "a function dc(x, y, out)", 3))
            return dc, _swapped(dc, True)
        if len(gradient) != 2:
            raise TypeError(
                f"gradient should be a function, or a pair of them, dc/dx and dc/dy; got {len(gradient)} items."
            )
        dcx, dcy = (frozen(_plain(one, "gradient", "a function dc(x, y, out), or a pair", 3)) for one in gradient)
        return dcx, dcy

    @cached_property
    def T(self) -> GroundCost:
        """c'(y, x) = c(x, y); the same, where one gradient says that it is symmetric."""
        if self._across is not None or self.symmetric:
            return self._across or self
        across = GroundCost(_swapped(self.function, False), None, self.name)
        if self.gradients is not None:
            dcx, dcy = self.gradients
            across.gradients = _swapped(dcy, True), _swapped(dcx, True)
        across._across = self
        return across

    def __reduce__(self) -> Any:
        if self._across is not None:
            return _transposed, (self._across,)
        return GroundCost, (*self._given, self.name)

    def __repr__(self) -> str:
        return f"GroundCost({self.name})"

    def check(self, x: NDArray[Any], y: NDArray[Any]) -> None:
        """Calls the functions for some pairs of points (n, d) and (m, d), as Python does. Raises a TypeError or a
        ValueError, with what to do about it, where they cannot be those of a cost."""
        for i in sampled(len(x), _TRIED):
            for j in sampled(len(y), _TRIED):
                here, there = as_point(x[i]), as_point(y[j])
                c = self._called(here, there, f"({self.name} at x[{i}], y[{j}])")
                if self.symmetric:
                    back = self._called(there, here, f"({self.name} at y[{j}], x[{i}])")
                    if not (c == back or abs(c - back) <= _SAME * max(abs(c), abs(back))):
                        raise ValueError(
                            f"one gradient stands for a symmetric cost; {self.name}(x[{i}], y[{j}]) = {c!r}, and with "
                            f"x and y exchanged it is {back!r}. Pass both, gradient=(dcx, dcy)."
                        )
        for one in self.gradients or ():
            self._written(one, as_point(x[0]), as_point(y[-1]))

    def _called(self, x: Any, y: Any, where: str) -> float:
        try:
            value = self.function(x, y)
        except Exception as error:
            raise ValueError(f"the cost failed {where}: {type(error).__name__}: {error}. {_REMEDY}") from error
        if not isinstance(value, int | float | np.bool_ | np.integer | np.floating):
            raise TypeError(f"the cost should return a real number; got {shown(value)} {where}. {_REMEDY}")
        if not value > -math.inf:
            raise _unusable(float(value), where)
        return float(value)

    def _written(self, gradient: Any, x: Any, y: Any) -> None:
        remedy = "Write dc/dx into out, one number per coordinate: out[k] = ..., and return nothing."
        try:
            returned = gradient(x, y, np.zeros(len(x)))
        except Exception as error:
            raise ValueError(f"the gradient failed: {type(error).__name__}: {error}. {remedy}") from error
        if returned is not None:
            raise TypeError(f"the gradient should return nothing; got {shown(returned)}. {remedy}")

    # --- Numbers; the first call imports the compiler -------------------------------------------------------------

    def between(self, x: NDArray[Any], y: NDArray[Any], dtype: Any) -> Costs:
        """The costs between points x (n, d) and y (m, d) in float32 or float64, to be had a few rows at a time."""
        return self._loops_over(x).between(x, y, dtype)

    def matrix(self, x: NDArray[Any], y: NDArray[Any], dtype: Any = np.float64, threads: int = 1) -> NDArray[Any]:
        """All of them (n, m), computed in double precision and stored as `dtype`."""
        return self._loops_over(x).matrix(x, y, dtype, threads)

    def pairs(self, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
        """The costs (k,) between points x_k and y_k (k, d)."""
        return self._loops_over(x).pairs(x, y)

    def derivatives(self, x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """dc/dx and dc/dy (k, d) at the same pairs; zero where there is none."""
        return self._loops_over(x).derivatives(x, y)

    def largest(self, x: NDArray[Any], y: NDArray[Any]) -> float:
        """The largest |cost| of all points with some of the others. ValueError for one that is no number."""
        some_x, some_y = sampled(len(x), _LOOKED_AT), sampled(len(y), _LOOKED_AT)
        largest = 0.0
        for rows, columns in ((np.arange(len(x)), some_y), (some_x, np.arange(len(y)))):
            some = self.matrix(x[rows], y[columns])
            bad = np.argwhere(~np.isfinite(some))
            if bad.size:
                k, q = bad[0]
                raise _unusable(float(some[k, q]), f"({self.name} at x[{rows[k]}], y[{columns[q]}])")
            largest = max(largest, float(np.abs(some).max()))
        return largest

    def error_in_single(self, x: NDArray[Any], y: NDArray[Any]) -> float:
        """How far the same costs are off in single precision; infinite where only that one is no number."""
        error = 0.0
        for here, there in ((x, y[sampled(len(y), _LOOKED_AT)]), (x[sampled(len(x), _LOOKED_AT)], y)):
            single = np.empty((len(here), len(there)), np.float32)
            self.between(here, there, np.float32).fill(0, single)
            with np.errstate(invalid="ignore"):
                off = float(np.abs(single - self.matrix(here, there)).max())
            error = max(error, off) if off >= 0.0 else math.inf
        return error

    def require_gradient(self) -> None:
        """TypeError if there is none."""
        if self.gradients is None:
            raise TypeError(
                f"grad_x and grad_y need the derivative of the cost {self.name}. Pass GroundCost(c, gradient=dc), "
                "where dc(x, y, out) writes dc/dx into out."
            )

    def _loops_over(self, points: NDArray[Any]) -> Loops:
        from monge.problem.compiled import Loops

        d = points.shape[1]
        if d not in self._loops:
            self._loops[d] = Loops(self, d)
        return self._loops[d]


def as_point(coordinates: NDArray[Any]) -> Any:
    """A point (d,) as functions get it."""
    d = len(coordinates)
    return tuple(map(float, coordinates)) if d <= MOST_TUPLE else coordinates.astype(np.float64)


def _plain(function: Any, name: str, expected: str, arguments: int) -> Any:
    plain = getattr(function, "py_func", function)
    if not isinstance(plain, types.FunctionType):
        raise TypeError(f"{name} should be {expected}, made by def or lambda; got {shown(function)}.")
    try:
        inspect.signature(plain).bind(*range(arguments))
    except TypeError:
        raise TypeError(f"{name} should be {expected}; got {plain.__name__}{inspect.signature(plain)}.") from None
    return plain


def _swapped(function: Any, out: bool) -> Any:
    """The same function of (y, x)."""
    if out:
        return frozen(lambda x, y, out: function(y, x, out))
    return frozen(lambda x, y: function(y, x))


def _unusable(cost: float, where: str) -> ValueError:
    if cost == math.inf:
        return ValueError(
            f"arcs can be forbidden, by a cost of +inf, only for so few points that their costs are stored {where}. "
            "Return a large number, or pass a matrix of costs."
        )
    return ValueError(f"the cost should return numbers, not NaN or -inf; got {shown(cost)} {where}.")


def _transposed(cost: GroundCost) -> GroundCost:
    return cost.T
