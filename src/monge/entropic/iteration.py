"""Sinkhorn's algorithm, written once.

maximise  phi_a(f) + phi_b(g) - eps sum_ij a_i b_j exp((f_i + g_j - C_ij) / eps)

where phi is the concave conjugate of each side's marginal: <a, f> for a balanced one, rho <a, 1 - exp(-f / rho)>
for KL(rho), <a, min(f, rho)> with f >= -rho for TV(rho). One pass over the pairs maximises in f for the given g and
finds the softmin s that would be the next g of a balanced problem. It costs one exponential per pair, and yields the
marginals of the plan at (f, g) on the way: those of the rows are right by construction, those of the columns are
b exp((g - s) / eps). So the stopping test is free, and it is the truth about the potentials that are returned.

`iterate` decides and sees numbers alone. Potentials are in `steps`, costs in `pairs`, on whatever device;
`kernels.reference` specifies both.

- eps is annealed (Kosowsky and Yuille 1994): from a share of the size of the costs, by factors of four.
- Anderson acceleration of type II (Walker and Ni 2011, section 2) of the map g -> next g. A step that lowers the dual
  without halving the error is shortened, then taken back.
- KL marginals are translated to the best common shift f + t, g - t after each half step (Sejourne, Vialard and Peyre
  2022, "Faster unbalanced optimal transport: translation invariant Sinkhorn", section 3), which is where plain
  iterations lose their time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = [
    "ANNEAL",
    "LONGEST_PAUSE",
    "NOISY",
    "PATIENCE",
    "SHORTEN",
    "SHORTER",
    "SINGLE_FLOOR",
    "SINGLE_MASS",
    "STAGE_ERROR",
    "START",
    "Found",
    "Schedule",
    "iterate",
    "memory_depth",
    "noise_floor",
]

# Share of the size of the costs where eps starts: above it the plan is next to the product of the weights. And the
# factor between values of eps; 8 is as good.
START, ANNEAL = 1 / 4, 4.0
# Marginal error at which an eps that is not the last has done its work.
STAGE_ERROR = 0.03
# Steps that acceleration looks back on, and below which tolerance it looks further: more than 8 help only there.
_MEMORY, _LONG_MEMORY, _PRECISE = 8, 20, 1e-5
# A step that lowers the dual is shortened by this factor, so often, before it is taken back.
SHORTEN, SHORTER = 0.25, 1
# One taken back after the other is followed by plain steps, twice as many each time, at most 2 to the power of this.
LONGEST_PAUSE = 5
# Single precision that adds more than this to the error is no help.
NOISY = 0.01
# Noise over eps from which single precision will do for the value too: the mass, which enters it times eps, is off by
# 3e-7, and noise is 5e-8 of the largest cost. So this is where eps is some thirty times as large.
SINGLE_MASS = 1.5e-9
# Single precision is given up after so many passes without progress.
PATIENCE = 15
# Passes that may go by what an earlier one found to matter, before that is looked at anew.
_REFRESH = 15
# What single precision adds to the error by its sums and its exponential.
SINGLE_FLOOR = 3e-7
# Passes whose error is kept.
_HISTORY = 10_000


class Schedule(NamedTuple):
    """From eps = `first` down to `last`, in at most `max_iter` passes, to a marginal error of `tol`."""

    first: float
    last: float
    tol: float
    max_iter: int


@dataclass
class Found:
    """How far the passes came."""

    converged: bool = False
    passes: int = 0
    error: float = 0.0  # in the marginals
    dual: float = 0.0  # value of the potentials
    errors: list[float] = field(default_factory=list)  # after each of the first passes


def memory_depth(tol: float) -> int:
    """Steps that acceleration looks back on."""
    return _LONG_MEMORY if tol < _PRECISE else _MEMORY


def noise_floor(noise: float, eps: float) -> float:
    """What single precision adds to the error: by its sums and its exponential, and by what it knows of the costs."""
    return SINGLE_FLOOR + noise / eps


def iterate(
    pairs: Any,
    steps: Any,
    schedule: Schedule,
    report: Callable[[int, float, float], None] | None = None,
    restart: Callable[[float], None] | None = None,
) -> Found:
    """Leaves potentials at the last eps in `steps`, which holds the start.

    `report` is called after each pass with the passes before it, eps and the marginal error. If the error at some eps
    is not halved in as many passes as the pairs have patience for, `restart` is called with that eps, once, to put
    other potentials in the place of those in `steps`.
    """
    found, (_, last, tol, max_iter) = Found(), schedule
    eps = last
    while eps * ANNEAL <= schedule.first:
        eps *= ANNEAL
    while True:
        # The last pass that is allowed is made at the eps that was asked for.
        final = eps <= last or found.passes + 1 >= max_iter
        if final:
            eps = last
        goal = (tol if final else max(STAGE_ERROR, tol)) - pairs.skipped
        floor = noise_floor(pairs.noise, eps)
        # Single precision will do where its noise is no more than half of what is asked for; else for most of the way:
        # a pass in double precision tells whether it was all of it.
        enough = goal > 2.0 * floor
        single = (enough or floor < NOISY) and SINGLE_MASS * eps < pairs.noise
        enough = enough and single
        stop = goal - floor if enough else max(0.9 * goal, floor)
        steps.keep_digits(eps)
        steps.forget()
        accelerated, shorter, refused, pause = False, 0, 0, 0
        safe_dual, safe_error, best, waiting = -math.inf, math.inf, math.inf, 0
        complete, unsure, error = False, 0, math.inf
        halving = _Halving(pairs.patience, tol)
        while True:
            if restart is not None and halving.takes_too_long(found.error):
                restart(eps)
                restart = None
                break
            was_complete = pairs.run(steps, eps, single, complete or found.passes + 1 >= max_iter)
            if report is not None:
                report(found.passes, eps, found.error)
            found.passes += 1
            unsure = 0 if was_complete else unsure + 1
            before, (error, mass, value_a, value_b) = error, steps.measure(eps)
            dual = value_a + value_b + eps * (1.0 - mass)
            found.error, found.dual = error, dual
            if found.passes <= _HISTORY:
                found.errors.append(error)
            done = error <= (stop if single else goal) and (enough or not single)
            if done and unsure > 0 and found.passes < max_iter:
                complete = True
                continue  # the same potentials again, with all pairs
            # So does one that seems to be the last at this eps: it is to be about all pairs.
            ending = error * error <= (stop if single else goal) * before < math.inf
            complete = unsure >= _REFRESH or ending
            if final and done:
                found.converged = True
                return found
            if found.passes >= max_iter:
                return found
            if done or (not final and found.passes + 1 >= max_iter):
                # The plain step of the last potentials starts the next eps.
                steps.advance(eps)
                eps = max(eps / ANNEAL, last)
                break
            waiting = waiting + 1 if error > 0.9 * best else 0
            best = min(best, error)
            if single and (error <= stop or (waiting > PATIENCE and error < 0.1)):
                steps.forget()
                single, accelerated, shorter = False, False, 0
                safe_dual, safe_error, best, waiting = -math.inf, math.inf, math.inf, 0
                continue  # the same potentials again, in double precision

            slack = eps * mass * (floor + 1e-6) if single else 1e-12 * (abs(value_a) + abs(value_b) + eps * mass)
            if accelerated and not (dual >= safe_dual - slack or error <= 0.5 * safe_error):
                shorter += 1
                if shorter <= SHORTER:
                    steps.shorten(SHORTEN)
                else:  # the changes are forgotten, but not the step they led away from
                    steps.take_back()
                    accelerated, shorter = False, 0
                    pause = 2 ** min(refused, LONGEST_PAUSE) - 1
                    refused += 1
                continue
            if accelerated:
                refused = 0
            shorter = 0
            safe_dual, safe_error = dual, error
            accelerated = steps.accelerate(eps, pause > 0)
            pause = max(pause - 1, 0)


class _Halving:
    """Watches how many passes at one eps go by until the error is halved."""

    def __init__(self, patience: int, tol: float) -> None:
        self.patience, self.tol = patience, tol
        self.best, self.waited, self.begun = math.inf, 0, False

    def takes_too_long(self, error: float) -> bool:
        """Asked before each pass. Twice the patience is due where less than a halving is left to do."""
        if not self.begun:
            self.begun = True
            return False
        if error < 0.5 * self.best:
            self.best, self.waited = error, 0
            return False
        self.waited += 1
        return self.waited > self.patience * (1 if self.best > 2.0 * self.tol else 2)
