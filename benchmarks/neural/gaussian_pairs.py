"""Unbalanced transport between Gaussians of the line, in closed form but for four numbers: a truth for trained maps."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize


class Truth(NamedTuple):
    slope: float  # of the map, T x = slope x + intercept
    intercept: float
    mass: float  # that is transported
    value: float


def unbalanced_gaussians(mu: tuple[float, float], nu: tuple[float, float], tau: float) -> Truth:
    """The least tau W2^2(a, b) + KL(a | mu) + KL(b | nu) of measures a and b of one mass, for Gaussians (mean, sd).

    The best ones are Gaussians of one mass m, of which the objective is m K + 2 (m log m - m + 1), with K that of their
    normal laws: so these minimise K, and m = exp(-K / 2).
    """

    def kl(mean: float, log_sd: float, of: tuple[float, float]) -> float:
        ratio = np.exp(log_sd) / of[1]
        return float(0.5 * (ratio**2 + ((mean - of[0]) / of[1]) ** 2 - 1.0) - np.log(ratio))

    def per_mass(p: Any) -> float:
        moved = (p[0] - p[2]) ** 2 + (np.exp(p[1]) - np.exp(p[3])) ** 2
        return float(tau * moved) + kl(p[0], p[1], mu) + kl(p[2], p[3], nu)

    found = minimize(per_mass, [mu[0], np.log(mu[1]), nu[0], np.log(nu[1])], options={"gtol": 1e-8})
    slope, mass = float(np.exp(found.x[3] - found.x[1])), float(np.exp(-0.5 * found.fun))
    return Truth(slope, float(found.x[2] - slope * found.x[0]), mass, 2.0 * (1.0 - mass))
