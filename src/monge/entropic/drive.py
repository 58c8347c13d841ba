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


def drive(
    kernel: Any, a: Array, b: Array, demands: tuple[Marginal, Marginal], eps: float, first: float, tol: float,
    max_iter: int, f: Array, g: Array, history: Array, outcome: Array,
    report: Callable[[int, float, float], None] | None = None, restart: Callable[[float], None] | None = None,
) -> None:  # fmt: skip
    """From eps = `first` to `eps`; f, g, history and outcome are as `iterate` leaves them.

    If the error is not halved at some eps in as many passes as the kernel has patience for, twice as many if it has
    less than that to go, `restart` is called with it, once; the loop goes on there with the f and g that it leaves.
    """
    if _run(kernel, a, b, demands, eps, first, tol, max_iter, f, g, history, outcome, report, restart is not None):
        assert restart is not None
        spent, now = int(outcome[iteration.PASSES]), float(outcome[iteration.EPS])
        restart(now)
        more = None if report is None else lambda passes, *rest: report(spent + passes, *rest)
        _run(kernel, a, b, demands, eps, now, tol, max_iter - spent, f, g, history[spent:], outcome, more, False)
        outcome[iteration.PASSES] += spent


def _run(
    kernel: Any, a: Array, b: Array, demands: tuple[Marginal, Marginal], eps: float, first: float, tol: float,
    max_iter: int, f: Array, g: Array, history: Array, outcome: Array,
    report: Callable[[int, float, float], None] | None, impatient: bool,
) -> bool:  # fmt: skip
    """Who is impatient stops where the error does not get smaller; returns whether that happened."""
    rows, columns = demands
    s = np.empty(len(g))
    stage, best, waited = 0.0, math.inf, 0
    for now, single, sure in kernel.iterate(
        a, b, rows.kl, rows.cap, columns.kl, columns.cap, eps, first, tol, max_iter, kernel.noise, kernel.skipped,
        f, g, s, history, outcome,
    ):  # fmt: skip
        if now != stage:
            stage, best, waited = now, math.inf, 0
        elif float(outcome[iteration.ERROR]) < 0.5 * best:
            best, waited = float(outcome[iteration.ERROR]), 0
        elif (waited := waited + 1) > kernel.patience * (1 if best > 2.0 * tol else 2) and impatient:
            return True
        outcome[iteration.COMPLETE] = kernel.sweep(g, now, single, sure, f, s)
        if report is not None:
            report(int(outcome[iteration.PASSES]), now, float(outcome[iteration.ERROR]))
    return False
