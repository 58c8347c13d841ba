"""Functions of a reproducing kernel, in random features: a step takes the same time after any number of steps.

k(x, x') = E 2 cos(<w, x> + t) cos(<w, x'> + t),   w from the kernel's spectrum, t uniform    (Rahimi and Recht 2007)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["KERNELS", "Features", "Fit"]

Array = NDArray[np.float64]

# exp(-|x - x'|^2 / (2 s^2)) has normal frequencies, exp(-|x - x'|_1 / s) such of Cauchy.
KERNELS = ("gaussian", "laplacian")
# Beside the mean square of values: what the size of coefficients counts. So what few points see is left alone.
_RIDGE = 5e-3
# Points that tell the median distance.
_LOOKED_AT = 500


@dataclass(frozen=True)
class Features:
    """x -> (1, sqrt(2 / k) cos(<w, x> + t)), with frequencies w (d, k) and phases t (k,)."""

    frequencies: Array
    phases: Array

    @property
    def columns(self) -> int:
        """Coordinates of the points, d."""
        return len(self.frequencies)

    @property
    def size(self) -> int:
        """How many there are."""
        return 1 + len(self.phases)

    @classmethod
    def of(cls, kernel: str, bandwidth: float | None, x: Array, count: int, rng: np.random.Generator) -> Features:
        """For a kernel of this width, None for the median distance of the points x (n, d)."""
        width = median_distance(x) if bandwidth is None else bandwidth
        size = (x.shape[1], count)
        frequencies = rng.standard_normal(size) if kernel == "gaussian" else rng.standard_cauchy(size)
        return cls(frequencies / width, rng.uniform(0.0, 2.0 * np.pi, count))

    def __call__(self, x: Array) -> Array:
        """At points (n, d): (n, 1 + k)."""
        count = len(self.phases)
        values = np.empty((len(x), 1 + count))
        values[:, 0] = 1.0
        np.cos(x @ self.frequencies + self.phases, out=values[:, 1:])
        values[:, 1:] *= np.sqrt(2.0 / count)
        return values


class Fit:
    """Changes of coefficients that follow a gradient in the mean square of values, not of coefficients."""

    def __init__(self, features: Features, x: Array) -> None:
        from scipy.linalg import cho_factor

        values = features(x)
        square = values.T @ values / len(x)
        square[np.diag_indices_from(square)] += _RIDGE * np.trace(square)
        self._factor = cho_factor(square)

    def along(self, gradient: Array) -> Array:
        """The change for a gradient with respect to coefficients (1 + k,)."""
        from scipy.linalg import cho_solve

        return np.asarray(cho_solve(self._factor, gradient))


def median_distance(x: Array) -> float:
    """Of some of the points; one where they are all the same, or there is but one."""
    some = x[:_LOOKED_AT]
    if len(some) == 1:
        return 1.0
    apart = np.sqrt(((some[: len(some) // 2, np.newaxis] - some[len(some) // 2 :]) ** 2).sum(axis=2))
    return float(np.median(apart)) or 1.0
