"""By means and covariances alone: the optimal map between normal distributions, which is affine.

T(x) = n + B^{1/2} (B^{1/2} A B^{1/2})^{-1/2} B^{1/2} (x - m)      from N(m, A) to N(n, B)     (see `monge.bures`)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monge.distances.bures import bures
from monge.maps.transport_map.problem import Fitted, Problem

__all__ = ["Affine", "gaussian"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Affine:
    """x -> image + (x - middle) @ matrix."""

    middle: Array
    image: Array
    matrix: Array

    def __call__(self, points: Array, threads: int) -> Array:
        """The images (n, d) of points (n, d)."""
        return np.asarray(self.image + (points - self.middle) @ self.matrix)


def gaussian(problem: Problem) -> Fitted:
    """The map and the one back, each other's inverse as far as the covariances reach."""
    x, y = problem.x, problem.y
    loss = bures(x.mean, x.covariance, y.mean, y.covariance)
    there, back = np.eye(len(x.mean)) - loss.grad_cov_x, np.eye(len(x.mean)) - loss.grad_cov_y
    return Fitted(Affine(x.mean, y.mean, there), Affine(y.mean, x.mean, back), {"coef_": there})
