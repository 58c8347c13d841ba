"""Anderson's mixing of the map from potentials to the next ones, of type II (Walker and Ni 2011, section 2).

What is added to the next potentials is that combination of their last changes for which the residual, the next
potentials less the last ones, is the least: by least squares, in the norm of the masses. Of a large barycenter it is
looked at in a sample of places, in which a place comes up in proportion to its mass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mixing"]

Array = NDArray[np.float64]

# Steps that are looked back on; the clip of what is added, in units of eps; what is added to the diagonal of the least
# squares problem, whose columns have length one; and entries of the residual that are looked at.
_DEPTH, _LONGEST_STEP, _RIDGE, _SAMPLE = 5, 40.0, 1e-13, 2**17


class Mixing:
    """Remembers changes of potentials (k, m), whose rows count as much as `rows` (k,) says.

    With `infinite`, potentials may be -inf, where nothing is mixed.
    """

    def __init__(self, rows: Array, infinite: bool) -> None:
        self._rows, self._infinite = rows, infinite
        self._steps = np.empty(0)  # (depth, k, m), changes of the next potentials, in no order
        self._residuals: list[Array] = []  # the changes of the residual, in the sample
        self._count = 0
        self._following: Array | None = None
        self._residual = np.empty(0)
        self._places: NDArray[np.intp] = np.empty(0, dtype=np.intp)
        self._masses = np.empty(0)

    def forget(self) -> None:
        """All of it."""
        self.forget_changes()
        self._following = None

    def forget_changes(self) -> None:
        """All but where the last step led from."""
        self._residuals, self._count = [], 0

    def step(self, v: Array, following: Array, alpha: Array) -> Array | None:
        """What to add to the next potentials, a new array; None if there is nothing to go by yet.

        `following` is remembered, not copied; `alpha` are the masses.
        """
        if self._following is None:
            self._look_at(alpha)
        elif len(self._places) == len(alpha):
            self._masses = alpha  # as they are now, where all places are looked at
        residual = self.difference(following[:, self._places], v[:, self._places])
        before, self._following = self._following, following
        last, self._residual = self._residual, residual
        if before is None:
            return None
        if len(self._steps) == 0:
            self._steps = np.empty((_DEPTH, *v.shape))
        at = self._count % _DEPTH
        self.difference(following, before, self._steps[at])
        self._residuals[at : at + 1] = [residual - last]
        self._count += 1
        shares = self._shares()
        if shares is None:
            return None
        step = np.einsum("i,ikm->km", shares, self._steps[: len(shares)])
        np.clip(step, -_LONGEST_STEP, _LONGEST_STEP, out=step)
        return np.asarray(step)

    def _look_at(self, alpha: Array) -> None:
        """Chooses the places, and their masses in the sample."""
        size = max(_SAMPLE // len(self._rows), 1)
        self._places, self._masses = np.arange(len(alpha)), alpha
        if size < len(alpha):
            sums = np.cumsum(alpha)
            drawn = np.searchsorted(sums, (np.arange(size) + 0.5) * (sums[-1] / size))
            self._places, times = np.unique(np.minimum(drawn, len(alpha) - 1), return_counts=True)
            self._masses = times * (sums[-1] / size)

    def _shares(self) -> Array | None:
        """Of the changes, in the step: least squares."""
        count = len(self._residuals)
        norm = np.multiply.outer(self._rows, self._masses)
        gram, against = np.empty((count, count)), np.empty(count)
        for i, change in enumerate(self._residuals):
            weighted = change * norm
            against[i] = _dot(weighted, self._residual)
            for j in range(i + 1):
                gram[i, j] = gram[j, i] = _dot(weighted, self._residuals[j])
        lengths = np.sqrt(np.diag(gram))
        if not (lengths > 0.0).all():
            return None
        scaled = gram / np.outer(lengths, lengths) + _RIDGE * np.eye(count)
        return np.asarray(-np.linalg.solve(scaled, against / lengths) / lengths)

    def difference(self, v: Array, other: Array, out: Array | None = None) -> Array:
        """v - other, zero where one is infinite."""
        if not self._infinite:
            return np.subtract(v, other, out=out)
        found = np.zeros_like(v) if out is None else out
        found[...] = 0.0
        return np.subtract(v, other, out=found, where=np.isfinite(v) & np.isfinite(other))


def _dot(v: Array, other: Array) -> float:
    """By one thread, and so always with the same bits."""
    return float(np.einsum("km,km->", v, other))
