"""The cells of a density: where they are, and what energies say of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.flows.jko.energies import Parts
from monge.flows.jko.pulls import evaluated, require_even
from monge.problem.grid import Grid, axes_of

__all__ = ["Cells"]

Array = NDArray[np.float64]


class Cells:
    """Cells around the points of a regular grid.

    Attributes
    ----------
    grid : Grid
        The squared distances between them.
    volume : float
        Of a cell: the product of the spacings.
    """

    def __init__(self, grid: Any, sides: tuple[int, ...]) -> None:
        """From a `Grid`, or the coordinates along each axis, for a density of these sides."""
        self.axes, self.spacing = axes_of(grid)
        self.sides = tuple(len(axis) for axis in self.axes)
        if self.sides != sides:
            raise ValueError(
                f"the grid should have the shape of the density x0, {sides}; got {self.sides}. For axes as of "
                "numpy.meshgrid, index the density with indexing='ij'."
            )
        self.grid = Grid(self.sides, spacing=self.spacing)
        self.volume = math.prod(self.spacing)

    def potential(self, parts: Parts) -> Array:
        """V in all cells, (n,)."""
        total = np.zeros(math.prod(self.sides))
        if not parts.potential:
            return total
        places = _points(self.axes)
        for weight, term in parts.potential:
            values = term.function
            if callable(values):
                values = np.asarray(values(places), dtype=np.float64)
                if values.shape != places.shape[:1]:
                    raise ValueError(
                        f"the potential should return shape {places.shape[:1]} for an array {places.shape}; got "
                        f"{values.shape}."
                    )
            elif values.shape != self.sides:
                raise ValueError(
                    f"the values of a Potential should have the shape of the grid, {self.sides}; got {values.shape}."
                )
            if np.isnan(values).any() or (weight * values == -math.inf).any():
                raise ValueError("a potential should be a number or +inf, a wall, in all cells of the grid.")
            total += weight * values.reshape(-1)
        return total

    def interaction(self, parts: Parts) -> Callable[[Array], Array]:
        """The function of masses p (n,) that returns sum_j W(x_i - x_j) p_j, (n,), by a fast Fourier transform."""
        if not parts.interaction:
            nothing = np.zeros(math.prod(self.sides))
            return lambda p: nothing
        from scipy.fft import irfftn, next_fast_len, rfftn

        steps: list[Array] = [h * np.arange(1.0 - n, n) for n, h in zip(self.sides, self.spacing, strict=True)]
        z = _points(steps)
        W = sum(w * evaluated(term.function, z, len(z), "the interaction") for w, term in parts.interaction)
        shape = [next_fast_len(2 * n - 1, real=True) for n in self.sides]
        require_even(np.asarray(W), np.asarray(W)[::-1])
        kernel = rfftn(np.asarray(W).reshape([len(s) for s in steps]), shape)
        middle = tuple(slice(n - 1, 2 * n - 1) for n in self.sides)
        return lambda p: np.ascontiguousarray(
            irfftn(kernel * rfftn(p.reshape(self.sides), shape), shape)[middle]
        ).reshape(-1)


def _points(axes: list[Array]) -> Array:
    """All combinations, (n, d), or (n,) of one axis."""
    if len(axes) == 1:
        return axes[0]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
