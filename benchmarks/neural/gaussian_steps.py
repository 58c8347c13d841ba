"""The JKO steps of a Gaussian to another one, with Kullback and Leibler's divergence, in closed form."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Gaussian(NamedTuple):
    mean: Any  # (d,), or a number
    sd: float  # in each coordinate


def gaussian_steps(start: Gaussian, target: Gaussian, h: float, n_outer: int) -> list[Gaussian]:
    """What minimises KL(rho | target) + W2^2(rho, rho_(k-1)) / (2 h) in each step, from rho_0 = start.

    With W2^2 = |m - m'|^2 + d (s - s')^2 both terms are functions of the mean and the deviation, of which each solves
    an equation of its own, with v the target's variance: (m - m') / h = (target's mean - m) / v, and (s - s') / h =
    1 / s - s / v.
    """
    (mean, sd), rate, found = start, h / target.sd**2, []
    for _ in range(n_outer):
        mean = (np.asarray(mean) + rate * np.asarray(target.mean)) / (1.0 + rate)
        sd = float((sd + np.sqrt(sd**2 + 4.0 * h * (1.0 + rate))) / (2.0 * (1.0 + rate)))
        found.append(Gaussian(mean, sd))
    return found
