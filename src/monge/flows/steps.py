"""One step of a gradient flow: from a state to the next one, or the reason why there is none.

x_i <- x_i - s grad_i / mass_i        the explicit Euler step of  dx_i/dt = -grad_i / mass_i

which is the gradient of the loss in the metric sum_i mass_i |dx_i|^2 of Wasserstein (Ambrosio, Gigli and Savare 2008,
"Gradient Flows", section 8.4). `HeavyBall` goes with the same s each time, and some of the motion before (Polyak 1964,
"Some methods of speeding up the convergence of iteration methods"); `LineSearch` halves s until the loss falls by a
share of what the gradient promises (Armijo 1966, "Minimization of functions having Lipschitz continuous first partial
derivatives").

Each has `init` and `step`, functions of the state alone; the loop around them is in `gradient_flow`. No array is
changed in place once a loss has seen it: results are lazy, and the caller may keep them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.flows.flow import FlowStatus
from monge.flows.objective import Objective, Place, all_finite

__all__ = ["HeavyBall", "LineSearch", "State"]

Array = NDArray[Any]

# The share of the promised fall that a step must bring, below a half, with which the best step on a parabola would
# hang on rounding. With a quarter, steps reach up to three halves of that best one.
_SHARE = 0.25
# Halvings before the search gives up: a step of a millionth of the largest that was asked for.
_HALVINGS = 20
# What the largest step promises, over the largest value on the way, below which a loss that does not fall is at its
# minimum.
_VISIBLE = 1e-6
# How far two values of the same points may differ: by the order of sums in single precision, not by chance.
_SAME = 1e-5


class State(NamedTuple):
    """What the next step starts from."""

    place: Place
    time: float  # the sum of the steps so far
    last_step: float  # the size of the last one
    velocity: Array | None = None  # the motion of the last one, (n, d), if there is momentum
    scale: float = 0.0  # the largest value of the loss so far, without its sign, if values are compared


@dataclass(frozen=True)
class HeavyBall:
    """Steps of one size: v <- momentum v - size grad / mass, x <- x + v."""

    objective: Objective
    masses: Array | float  # (n, 1), or one for all
    size: float
    momentum: float

    def init(self, x: Array) -> State:
        return State(self.objective(x), 0.0, self.size)

    def step(self, state: State) -> State | FlowStatus:
        place = state.place
        move = _along(self.objective.gradient(place), -self.size / self.masses, place.x)
        velocity = None
        with np.errstate(over="ignore", invalid="ignore"):
            if self.momentum:
                if state.velocity is not None:
                    move += self.momentum * state.velocity
                velocity = move
                x = place.x + move
            else:
                x = np.add(place.x, move, out=move)
        if not all_finite(x):
            return FlowStatus.DIVERGED
        there = self.objective(x, place)
        if not math.isfinite(there.value):
            return FlowStatus.DIVERGED
        return State(there, state.time + self.size, self.size, velocity)


@dataclass(frozen=True)
class LineSearch:
    """Steps of at most `size` that lower the loss; each begins with twice the last one."""

    objective: Objective
    masses: Array | float  # (n, 1), or one for all
    size: float

    def init(self, x: Array) -> State:
        first, again = self.objective(x), self.objective(x)
        if not math.isclose(first.value, again.value, rel_tol=_SAME):
            raise ValueError(
                "line_search compares values of the loss, so the same points must have the same one; got "
                f"{first.value!r} and then {again.value!r}. Take steps of a fixed size for a loss that draws samples, "
                "or give it the same rng= in each call."
            )
        return State(first, 0.0, self.size, scale=abs(first.value))

    def step(self, state: State) -> State | FlowStatus:
        place, size = state.place, min(self.size, 2.0 * state.last_step)
        gradient = self.objective.gradient(place)
        if not all_finite(gradient):
            return FlowStatus.DIVERGED
        with np.errstate(over="ignore", invalid="ignore"):
            slope = float((gradient * (gradient / self.masses)).sum(dtype=np.float64))  # the fall per time, at first
        if slope == 0.0:
            return FlowStatus.MINIMUM
        for _ in range(_HALVINGS):
            x = _along(gradient, -size / self.masses, place.x)
            x += place.x
            if all_finite(x):
                there = self.objective(x, place)
                # The second comparison counts where the promise is below the rounding of the value.
                if there.value <= place.value - _SHARE * size * slope and there.value < place.value:
                    return State(there, state.time + size, size, scale=max(state.scale, abs(there.value)))
            size *= 0.5
        return FlowStatus.STALLED if self.size * slope > _VISIBLE * state.scale else FlowStatus.MINIMUM


def _along(gradient: Array, rate: Array | float, x: Array) -> Array:
    """rate * gradient as a new array of the type of x."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.multiply(gradient, rate, out=np.empty_like(x), casting="same_kind")
