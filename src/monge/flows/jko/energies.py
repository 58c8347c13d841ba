"""Energies of densities, to be added up and multiplied, as in `Entropy() + 2 * Potential(V, gradient)`.

    Entropy             int rho log rho
    PorousMedium(m)     int rho^m / (m - 1)
    Potential(V)        int V rho
    Interaction(W)      1/2 int int W(x - y) rho(x) rho(y)          (Ambrosio, Gigli and Savare 2008, section 9.3)

The first two are internal: int rho e(log rho), a mean of something that depends on the density where one is. So one
function of the logarithm of the density, e with two derivatives, is all that a discretisation has to know of them, and
underflow of a density harms none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import positive, real_array, real_number, shown

__all__ = ["Energy", "Entropy", "Interaction", "Internal", "Parts", "PorousMedium", "Potential", "as_parts"]

Array = NDArray[np.float64]
Kind = TypeVar("Kind", bound="Energy")


class Energy:
    """What `jko` lowers: one of `Entropy`, `PorousMedium`, `Potential` and `Interaction`, or a sum of their multiples.

    Examples
    --------
    >>> import monge
    >>> monge.Entropy() + 0.5 * monge.PorousMedium(2)
    Entropy() + 0.5 * PorousMedium(2)
    """

    @property
    def terms(self) -> tuple[tuple[float, Energy], ...]:
        """The factors and the single energies of the sum."""
        return ((1.0, self),)

    def __add__(self, other: Any) -> Energy:
        return _Sum(self.terms + other.terms) if isinstance(other, Energy) else NotImplemented

    def __mul__(self, factor: Any) -> Energy:
        if isinstance(factor, Energy):
            raise TypeError("energies can be added, and multiplied by numbers, but not by each other.")
        times = real_number(factor, "the factor of an energy", "a finite number")
        if not math.isfinite(times):
            raise ValueError(f"the factor of an energy should be finite; got {shown(factor)}.")
        return _Sum(tuple((times * weight, term) for weight, term in self.terms))

    __rmul__ = __mul__


class _Sum(Energy):
    def __init__(self, terms: tuple[tuple[float, Energy], ...]) -> None:
        for weight, term in terms:
            if isinstance(term, Internal) and weight < 0.0:
                raise ValueError(
                    f"the factor of {term!r} should not be negative: mass would run together into points. "
                    f"Got {weight!r}; negative factors are for Potential and Interaction."
                )
        self._terms = terms

    @property
    def terms(self) -> tuple[tuple[float, Energy], ...]:
        return self._terms

    def __repr__(self) -> str:
        return " + ".join(f"{term!r}" if weight == 1.0 else f"{weight:g} * {term!r}" for weight, term in self.terms)


class Internal(Energy):
    """int rho e(log rho)."""

    def of_log(self, log_density: Array) -> tuple[Array, Array, Array]:
        """e and its first and second derivative."""
        raise NotImplementedError

    def bound(self, slope: Array) -> Array:
        """Where e + e', the first variation of the energy, is `slope`: at which logarithm of the density."""
        raise NotImplementedError


class Entropy(Internal):
    """The entropy, int rho log rho, in nats: its flow is the heat equation, d rho / dt = Laplacian of rho.

    With a `Potential` V it is the Fokker-Planck equation, whose stationary law is exp(-V) up to a constant, and the
    energy is then the Kullback-Leibler divergence to that law, up to a constant.

    Examples
    --------
    >>> import monge
    >>> 0.5 * monge.Entropy()
    0.5 * Entropy()
    """

    def of_log(self, log_density: Array) -> tuple[Array, Array, Array]:
        return log_density, np.ones_like(log_density), np.zeros_like(log_density)

    def bound(self, slope: Array) -> Array:
        return slope - 1.0

    def __repr__(self) -> str:
        return "Entropy()"


class PorousMedium(Internal):
    """The energy int rho^m / (m - 1) of the porous medium equation, d rho / dt = Laplacian of rho^m.

    Unlike heat, mass that is within bounds stays so: its front moves at a finite speed.

    Parameters
    ----------
    m : float
        The exponent, > 1.

    Examples
    --------
    >>> import monge
    >>> monge.PorousMedium(2)
    PorousMedium(2)
    """

    def __init__(self, m: float) -> None:
        self.m = positive(m, "the exponent of a porous medium")
        if not self.m > 1.0:
            raise ValueError(
                f"the exponent of a porous medium should be larger than 1; got {shown(m)}. Its limit at 1 is Entropy()."
            )

    def of_log(self, log_density: Array) -> tuple[Array, Array, Array]:
        power = np.exp((self.m - 1.0) * log_density)
        return power / (self.m - 1.0), power, (self.m - 1.0) * power

    def bound(self, slope: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.log(np.maximum(slope * (self.m - 1.0) / self.m, 0.0)) / (self.m - 1.0)

    def __repr__(self) -> str:
        return f"PorousMedium({self.m:g})"


class Potential(Energy):
    """The potential energy int V rho: mass runs down the slope of V.

    Parameters
    ----------
    potential : callable or array_like
        V: a function of points (k, d) that returns (k,); of points (k,) where x0 or the grid is on the line and has one
        axis. It is given NumPy arrays. On a grid also the values in its cells, of the shape of the density; +inf is a
        wall, a cell without mass.
    gradient : callable, optional
        Its gradient, of points (k, d) to (k, d), or (k,) to (k,). Particles and quantiles need it, grids do not.

    Examples
    --------
    >>> import monge
    >>> monge.Potential(lambda x: 0.5 * x**2, lambda x: x)
    Potential()
    """

    def __init__(self, potential: Any, gradient: Callable[[Any], Any] | None = None) -> None:
        self.function = _function(gradient, "Potential", potential)
        self.gradient = gradient

    def __repr__(self) -> str:
        return "Potential()"


class Interaction(Energy):
    """The interaction energy 1/2 int int W(x - y) rho(x) rho(y): mass attracts mass where W rises with the distance.

    Parameters
    ----------
    interaction : callable
        W, with W(-z) = W(z): a function of differences (k, d) that returns (k,); of (k,) where x0 or the grid has one
        axis. It is given NumPy arrays, and has to be finite at zero, too.
    gradient : callable, optional
        Its gradient, of differences (k, d) to (k, d), or (k,) to (k,). Particles and quantiles need it, grids do not.

    Examples
    --------
    >>> import monge
    >>> monge.Interaction(lambda z: 0.5 * z**2, lambda z: z)
    Interaction()
    """

    def __init__(self, interaction: Callable[[Any], Any], gradient: Callable[[Any], Any] | None = None) -> None:
        if not callable(interaction):
            raise TypeError(f"Interaction takes a function W of differences x - y; got {type(interaction).__name__}.")
        self.function = _function(gradient, "Interaction", interaction)
        self.gradient = gradient

    def __repr__(self) -> str:
        return "Interaction()"


def _function(gradient: Any, name: str, function: Any) -> Any:
    """The function itself, or the array of its values."""
    if gradient is not None and not callable(gradient):
        raise TypeError(f"the gradient of {name} should be a function, or None; got {type(gradient).__name__}.")
    if callable(function):
        return function
    return np.array(
        real_array(function, "the values of a Potential", None, "a function, or values in the cells"), float
    )


class Parts(NamedTuple):
    """An energy, by kinds, each with its factor."""

    internal: list[tuple[float, Internal]]
    potential: list[tuple[float, Potential]]
    interaction: list[tuple[float, Interaction]]

    def of_log(self, log_density: Array) -> tuple[Array, Array, Array]:
        """The sum of the internal energies' e, with two derivatives."""
        e, first, second = (np.zeros_like(log_density) for _ in range(3))
        for weight, term in self.internal:
            of_term = term.of_log(log_density)
            e += weight * of_term[0]
            first += weight * of_term[1]
            second += weight * of_term[2]
        return e, first, second

    def require_gradients(self) -> None:
        """TypeError unless all functions have theirs, and ValueError for values on a grid."""
        terms: list[Potential | Interaction] = [term for _, term in self.potential]
        terms += [term for _, term in self.interaction]
        for term in terms:
            if not callable(term.function):
                raise TypeError(
                    "a Potential of values in cells goes with a density on a grid; points need "
                    "Potential(V, gradient), with functions of points."
                )
            if term.gradient is None:
                name = type(term).__name__
                raise TypeError(
                    f"points move along gradients, and this {name} has none: write {name}(function, gradient). "
                    "Differences of values would be too coarse for it."
                )


def as_parts(energy: Any) -> Parts:
    """An energy by kinds, without terms of factor zero. TypeError for what is no energy."""
    if not isinstance(energy, Energy):
        raise TypeError(
            "energy should be a sum of monge.Entropy(), PorousMedium(m), Potential(V, gradient) and "
            f"Interaction(W, gradient), each with a factor or without; got {type(energy).__name__}."
        )
    return Parts(_of(Internal, energy), _of(Potential, energy), _of(Interaction, energy))


def _of(kind: type[Kind], energy: Energy) -> list[tuple[float, Kind]]:
    return [(weight, term) for weight, term in energy.terms if isinstance(term, kind) and weight != 0.0]
