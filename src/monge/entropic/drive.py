"""Running `iteration.iterate` over a kernel."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic import iteration
from monge.entropic.marginals import Marginal

__all__ = ["drive"]

Array = NDArray[np.float64]

_WAIT = 50


def drive(
    kernel: Any, a: Array, b: Array, demands: tuple[Marginal, Marginal], eps: float, first: float, tol: float,
    max_iter: int, f: Array, g: Array, history: Array, outcome: Array,
    report: Callable[[int, float, float], None] | None = None, impatient: bool = False,
) -> bool:  # fmt: skip
    """From eps = `first` to `eps`; f, g, history and outcome are as `iterate` leaves them.

    Who is impatient stops where the error has not halved for `_WAIT` passes; returns whether that happened.
    """
    rows, columns = demands
    s = np.empty(len(g))
    best, waited = math.inf, 0
    for now, single, sure in kernel.iterate(
        a, b, rows.kl, rows.cap, columns.kl, columns.cap, eps, first, tol, max_iter, kernel.noise, kernel.skipped,
        f, g, s, history, outcome,
    ):  # fmt: skip
        outcome[iteration.COMPLETE] = kernel.sweep(g, now, single, sure, f, s)
        if report is not None:
            report(int(outcome[iteration.PASSES]), now, float(outcome[iteration.ERROR]))
        # The error of the pass before, for this one's is only known to the loop.
        error = float(outcome[iteration.ERROR])
        if error < 0.5 * best or now != outcome[iteration.EPS]:
            best, waited = error, 0
        waited += 1
        if impatient and waited > _WAIT:
            return True
    return False
