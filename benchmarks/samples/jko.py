"""Flows of densities: seconds, beside how far they are from the closed form of a Gaussian's steps.

    python -m benchmarks.samples.jko
    python -m benchmarks.samples.jko --smoke

With F = entropy + strength |x|^2 / 2 a Gaussian stays one, and a step takes the standard deviation s to
(s + sqrt(s^2 + 4 step (1 + strength step))) / (2 (1 + strength step)) along each axis. Errors are those of the standard
deviation of 500 quantiles after 10 steps, and of the variance on a grid after 20, relative. The equation itself is
another thing: the scheme is of order one in the step, and a line says how far it is off at the end.

On the grid two schemes: the debiased one, and that of Peyre 2015, which blurs by about eps / 2 in each step. No other
library has a flow as a call, so there is nothing to compare the times with but what was wanted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import norm

import monge

WANTED_SECONDS, WANTED_QUANTILES, WANTED_GRID = 10.0, 1e-3, 0.02
WELL = monge.Potential(lambda x: 0.5 * (x**2).reshape(len(x), -1).sum(axis=1), lambda x: x)


def closed(std: float, step: float, n_steps: int, strength: float) -> float:
    """Of a Gaussian after so many steps."""
    stiff = 1.0 + strength * step
    for _ in range(n_steps):
        std = (std + np.sqrt(std**2 + 4.0 * step * stiff)) / (2.0 * stiff)
    return std


def best_of(repeats: int, call: Callable[[], Any]) -> tuple[float, Any]:
    """The least time of some calls, in seconds, and what the last returned."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - start)
    return min(times), result


def verdict(good: bool) -> str:
    return "" if good else "   NOT REACHED"


def quantiles(n: int, repeats: int) -> None:
    step, n_steps = 0.1, 10
    x0 = norm.ppf((np.arange(n) + 0.5) / n)
    for name, strength in (("heat", 0.0), ("Ornstein-Uhlenbeck", 1.0)):
        x = x0 if strength == 0.0 else 1.0 + 0.5 * x0
        energy = monge.Entropy() + strength * WELL
        seconds, flow = best_of(repeats, lambda e=energy, x=x: monge.jko(x, e, step=step, n_steps=n_steps))
        error = abs(flow.points.std() / closed(x.std(), step, n_steps, strength) - 1.0)
        true = abs(flow.points.std() / closed(1.0 if strength == 0.0 else 0.5, step, n_steps, strength) - 1.0)
        print(
            f"{n} quantiles, {n_steps} steps, {name}: {seconds:.4f} s, std off by {error:.1e} "
            f"({true:.1e} with the error of the start; wanted {WANTED_QUANTILES:g})"
            f"{verdict(true < WANTED_QUANTILES and flow.converged)}"
        )


def grid(side: int, n_steps: int, repeats: int) -> None:
    step, std = 0.02, 0.5
    x = np.linspace(-4.0, 4.0, side)
    density = np.outer(norm.pdf(x, scale=std), norm.pdf(x, scale=std))
    for debias in (True, False):
        seconds, flow = best_of(
            repeats,
            lambda debias=debias: monge.jko(
                density, monge.Entropy(), step=step, n_steps=n_steps, grid=(x, x), debias=debias, threads=2
            ),
        )
        p = flow.density.sum(axis=1) / flow.density.sum()
        variance = float(p @ x**2)
        error = variance / closed(std, step, n_steps, 0.0) ** 2 - 1.0
        to_equation = variance / (std**2 + 2.0 * step * n_steps) - 1.0
        good = not debias or (abs(to_equation) < WANTED_GRID and seconds < WANTED_SECONDS and flow.converged)
        print(
            f"{side} x {side} cells, {n_steps} steps, {'debiased' if debias else 'Peyre 2015'}, eps {flow.eps:.4f}: "
            f"{seconds:.2f} s (wanted {WANTED_SECONDS:g}), variance off by {error:+.1e} from the steps', by "
            f"{to_equation:+.1e} from the equation's (wanted {WANTED_GRID:g}){verdict(good)}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    smoke = parser.parse_args().smoke
    quantiles(500, 1 if smoke else 5)
    grid(32 if smoke else 64, 2 if smoke else 20, 1 if smoke else 3)
