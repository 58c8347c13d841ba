"""Anderson acceleration of a fixed point, of type II (Walker and Ni 2011, section 2).

For z = G(z): of the last points and their images, that mixture of the images is next whose points and images, mixed in
the same way, differ least. Differences are weighted: of the logarithm of a density, only that counts where mass is.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mixing"]

Array = NDArray[np.float64]

# Points that are looked back on; the rise of the difference after which they are forgotten; and the share of the
# squares' sum that keeps the factors of the mixture small.
_MEMORY, _WORSE, _RIDGE = 6, 2.0, 1e-12
# One mixture that led astray after the other is followed by plain steps, twice as many each time, up to so many.
_LONGEST = 256


class Mixing:
    """Remembers points z (n,) and their images."""

    def __init__(self) -> None:
        self._images: list[Array] = []
        self._differences: list[Array] = []
        self._best, self._safe = math.inf, np.empty(0)  # the least difference, and the image there
        self._pause, self._astray = 0, 0

    def next(self, z: Array, image: Array, weights: Array) -> Array:
        """Where to go on, from a point and its image, which are infinite at most where the weights are zero."""
        seen = weights > 0.0
        difference = np.zeros(len(z))
        with np.errstate(over="ignore", invalid="ignore"):
            difference[seen] = np.sqrt(weights[seen]) * (image[seen] - z[seen])
            size = float(np.sqrt((difference**2).sum()))
        if not size < math.inf and not self._images:
            return image
        if not size <= _WORSE * self._best and self._images:
            self._images, self._differences = [], []
            self._astray += 1
            self._pause = min(2**self._astray, _LONGEST)
            return self._safe
        if size < self._best or not self._images:
            self._best, self._safe = size, image
        if self._pause > 0:
            self._pause -= 1
            return image
        self._images = [*self._images, image][-_MEMORY - 1 :]
        self._differences = [*self._differences, difference][-_MEMORY - 1 :]
        if len(self._images) == 1:
            return image
        changes = np.stack([difference - other for other in self._differences[:-1]], axis=1)  # (n, k)
        squares = changes.T @ changes
        squares[np.diag_indices_from(squares)] += _RIDGE * np.trace(squares) + np.finfo(float).tiny
        shares = np.linalg.solve(squares, changes.T @ difference)
        with np.errstate(invalid="ignore"):
            mixed = image.copy()
            for share, other in zip(shares, self._images[:-1], strict=True):
                mixed += share * (other - image)
        return np.where(np.isfinite(mixed), mixed, image)
