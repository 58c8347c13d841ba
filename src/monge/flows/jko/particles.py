"""A step of n particles of equal mass in any dimension.

minimise over x_1, ..., x_n   1/n sum_i |x_i - q_i|^2 / (2 step) + F(x)

The energy does not depend on the order of the particles, so no order is better than the one in which W_2 pairs them:
the minimum over positions is the minimum over measures of n equal masses. It is looked for with L-BFGS (Nocedal and
Wright 2006, section 7.2), from where the particles are.

Points have no density, so that of internal energies is a kernel density estimate, itself counted among the points,

    F = 1/n sum_i e(log rho_h(x_i)),   rho_h(x) = 1/n sum_j exp(-|x - x_j|^2 / (2 h^2)) / (2 pi h^2)^(d/2)

as in Carrillo, Craig and Patacchini 2019, "A blob method for diffusion". The bandwidth h is the same in all steps, so
that it is one energy that falls. For a Gaussian of many particles the rate of spread is off by (h / s)^4 alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from monge.flows.jko.energies import Parts
from monge.flows.jko.pulls import Pulls
from monge.flows.jko.result import Advance
from monge.problem.arrays import require_memory

__all__ = ["Particles"]

Array = NDArray[np.float64]

# Iterations of L-BFGS at most, and the changes it remembers.
_ITERATIONS, _MEMORY = 1000, 20


class Particles:
    """The scheme for particles (n, d); None for a bandwidth by Scott's rule, s n^(-1 / (d + 4))."""

    eps = None

    def __init__(self, points: Array, parts: Parts, step: float, tol: float, bandwidth: float | None) -> None:
        self.start, self.step, self.tol = points, step, tol
        self.parts, self.pulls = parts, Pulls(parts, points)
        n, d = points.shape
        spread = math.sqrt(float(points.var(axis=0).mean()))
        self.bandwidth = None
        if parts.internal:
            require_memory(5 * 8 * n * n, f"a density estimate among {n} particles", "Take fewer, or grid=.")
            self.bandwidth = spread * n ** (-1.0 / (d + 4)) if bandwidth is None else bandwidth
            if not self.bandwidth > 0.0:
                raise ValueError(
                    f"{parts.internal[0][1]!r} needs a density, and the particles of x0 are all at one place. Spread "
                    "them, or pass bandwidth=."
                )

    def value(self, x: Array) -> float:
        """F."""
        return (self._internal(x)[0] + self.pulls.value(x)) / len(x)

    def advance(self, start: Array, check: Callable[[], None]) -> Advance:
        """The next positions."""
        from scipy.optimize import minimize

        step = self.step

        def objective(flat: Array) -> tuple[float, Array]:
            check()
            x = flat.reshape(start.shape)
            internal, slopes = self._internal(x)
            nearby = float(((x - start) ** 2).sum()) / (2.0 * step)
            gradient = (x - start) / step + slopes + self.pulls.gradient(x)
            return nearby + internal + self.pulls.value(x), gradient.reshape(-1)

        # The Hessian is about 1 / step, so step times the gradient is about the way that is left.
        size = max(float(np.ptp(start, axis=0).max()), step * float(np.abs(objective(start.reshape(-1))[1]).max()))
        options = {"maxiter": _ITERATIONS, "maxfun": 2 * _ITERATIONS, "maxcor": _MEMORY, "ftol": 0.0,
                   "gtol": self.tol * size / step}  # fmt: skip
        found = minimize(objective, start.reshape(-1), jac=True, method="L-BFGS-B", options=options)
        x = found.x.reshape(start.shape)
        left = step * float(np.abs(found.jac).max())
        return Advance(x, math.sqrt(float(((x - start) ** 2).sum() / len(x))), left <= self.tol * size)

    def _internal(self, x: Array) -> tuple[float, Array]:
        """n times the internal energies, and the gradient."""
        if self.bandwidth is None:
            return 0.0, np.zeros(x.shape)
        (n, d), h2 = x.shape, self.bandwidth**2
        centred = x - x.mean(axis=0)
        squares = (centred**2).sum(axis=1)
        kernel = centred @ centred.T  # (n, n)
        kernel -= 0.5 * squares
        kernel -= 0.5 * squares[:, np.newaxis]
        kernel /= h2  # of which the largest of each row is on the diagonal, zero
        np.exp(np.minimum(kernel, 0.0, out=kernel), out=kernel)
        sums = kernel.sum(axis=1)
        e, first, _ = self.parts.of_log(np.log(sums / n) - 0.5 * d * math.log(2.0 * math.pi * h2))
        kernel *= (first / sums)[:, np.newaxis]
        kernel += kernel.T.copy()
        gradient = (kernel @ centred - kernel.sum(axis=1)[:, np.newaxis] * centred) / h2
        return float(e.sum()), gradient
