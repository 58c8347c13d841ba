"""What is to follow a pass: the decisions of `iteration.iterate`, made by one thread from what the loop knows."""

from __future__ import annotations

import math
from typing import Any

from monge.entropic.iteration import (
    LONGEST_PAUSE,
    NOISY,
    PATIENCE,
    SHORTER,
    SINGLE_FLOOR,
    SINGLE_MASS,
    STAGE_ERROR,
)
from monge.entropic.kernels.cuda import layout
from monge.entropic.kernels.cuda.device import exact

__all__ = ["ACCELERATE", "ADVANCE", "NOTHING", "SHORTEN_IT", "TAKE_BACK", "decide", "enter"]

# What a step can be.
NOTHING, ADVANCE, ACCELERATE, SHORTEN_IT, TAKE_BACK = range(5)

L = layout


@exact
def enter(ctl: Any) -> None:
    """A new eps has begun: what is asked for, and of which precision."""
    eps = ctl[L.EPS]
    final = 1.0 if eps <= ctl[L.LAST] or ctl[L.PASSES] + 1.0 >= ctl[L.MAX_ITER] else 0.0
    if final != 0.0:
        eps = ctl[L.LAST]
        ctl[L.EPS] = eps
    ctl[L.FINAL] = final
    goal = ctl[L.TOL] if final != 0.0 else max(STAGE_ERROR, ctl[L.TOL])
    floor = SINGLE_FLOOR + ctl[L.NOISE] / eps
    enough = goal > 2.0 * floor
    single = (enough or floor < NOISY) and SINGLE_MASS * eps < ctl[L.NOISE]
    enough = enough and single
    ctl[L.GOAL], ctl[L.FLOOR] = goal, floor
    ctl[L.ENOUGH] = 1.0 if enough else 0.0
    ctl[L.SINGLE] = 1.0 if single else 0.0
    ctl[L.STOP] = goal - floor if enough else max(0.9 * goal, floor)
    ctl[L.TAKEN], ctl[L.REFUSED], ctl[L.PAUSE] = 0.0, 0.0, 0.0
    _anew(ctl)


@exact
def _anew(ctl: Any) -> None:
    """Nothing is known of the potentials."""
    ctl[L.ACCELERATED], ctl[L.SHORTER], ctl[L.WAITING] = 0.0, 0.0, 0.0
    ctl[L.SAFE_DUAL], ctl[L.SAFE_ERROR], ctl[L.BEST] = -math.inf, math.inf, math.inf


@exact
def decide(ctl: Any, errors: Any, error: Any, mass: Any, value_a: Any, value_b: Any) -> Any:
    """The step that is to follow a pass."""
    eps = ctl[L.EPS]
    final, single, enough = ctl[L.FINAL] != 0.0, ctl[L.SINGLE] != 0.0, ctl[L.ENOUGH] != 0.0
    passes = ctl[L.PASSES]
    if passes < ctl[L.KEPT]:
        errors[int(passes)] = error
    passes += 1.0
    dual = value_a + value_b + eps * (1.0 - mass)
    ctl[L.PASSES], ctl[L.ERROR], ctl[L.DUAL] = passes, error, dual
    done = error <= (ctl[L.STOP] if single else ctl[L.GOAL]) and (enough or not single)
    if final and done:
        ctl[L.DONE], ctl[L.CONVERGED] = 1.0, 1.0
        return NOTHING
    if passes >= ctl[L.MAX_ITER]:
        ctl[L.DONE] = 1.0
        return NOTHING
    if done or (not final and passes + 1.0 >= ctl[L.MAX_ITER]):
        return ADVANCE
    ctl[L.WAITING] = ctl[L.WAITING] + 1.0 if error > 0.9 * ctl[L.BEST] else 0.0
    ctl[L.BEST] = min(ctl[L.BEST], error)
    if single and (error <= ctl[L.STOP] or (ctl[L.WAITING] > PATIENCE and error < 0.1)):
        ctl[L.SINGLE], ctl[L.TAKEN] = 0.0, 0.0
        _anew(ctl)
        return NOTHING  # the same potentials again, in double precision
    slack = eps * mass * (ctl[L.FLOOR] + 1e-6) if single else 1e-12 * (abs(value_a) + abs(value_b) + eps * mass)
    accelerated = ctl[L.ACCELERATED] != 0.0
    if accelerated and not (dual >= ctl[L.SAFE_DUAL] - slack or error <= 0.5 * ctl[L.SAFE_ERROR]):
        ctl[L.SHORTER] += 1.0
        if ctl[L.SHORTER] <= SHORTER:
            return SHORTEN_IT
        ctl[L.ACCELERATED], ctl[L.SHORTER], ctl[L.TAKEN] = 0.0, 0.0, 1.0
        pause = 1.0
        for _ in range(int(min(ctl[L.REFUSED], LONGEST_PAUSE))):
            pause *= 2.0
        ctl[L.PAUSE] = pause - 1.0
        ctl[L.REFUSED] += 1.0
        return TAKE_BACK
    if accelerated:
        ctl[L.REFUSED] = 0.0
    ctl[L.SHORTER] = 0.0
    ctl[L.SAFE_DUAL], ctl[L.SAFE_ERROR] = dual, error
    if ctl[L.PAUSE] > 0.0:
        ctl[L.TAKEN] = 0.0
        ctl[L.PAUSE] -= 1.0
    return ACCELERATE
