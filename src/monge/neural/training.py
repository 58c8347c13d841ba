"""The training loop of every model: what must go on from step to step, and one step.

    for each outer step:                    the anchor takes over the map of the last one
        for each iteration:
            some steps of the potential     lower functional.ascent
            a step of the map               lowers E anchor.cost + functional.descent

A GAN, a proximal step and a transport map differ in what stands in the slots.
"""

from __future__ import annotations

import copy
import enum
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from monge.neural.anchors import Anchor
from monge.neural.draws import Draws
from monge.neural.functionals import Functional
from monge.neural.history import History
from monge.neural.samples import Samples

__all__ = ["Diverged", "Slots", "State", "TrainingStatus", "iterate", "start"]

# The average of the map forgets its first, random weights: its share of the past is at most (1 + t) / (10 + t).
_WARM_UP = 10


class TrainingStatus(enum.Enum):
    """Why training ended. The value is the advice.

    Attributes
    ----------
    value : str
        What it means, and what to do about it if training should not have ended.
    """

    DONE = "all iterations were done"
    STOPPED = "a callback ended it"
    DIVERGED = (
        "a loss or its gradient was not finite: the networks are those of the step before, which were. Lower lr, raise "
        "the weight of the penalty, or look for outliers in the samples; then fit anew"
    )
    TIME_LIMIT = "time_limit ran out: go on with resume(), or raise time_limit"
    UNFINISHED = "it was interrupted: go on with resume()"


class Diverged(ArithmeticError):
    """A loss, or a gradient, that is not finite; raised before a network is changed by it."""


@dataclass(frozen=True)
class Slots:
    """What makes one model of the loop: its functional, and how many steps of what rate it takes.

    Attributes
    ----------
    functional : Functional
        What is lowered.
    batch_size : int
        Samples of a batch.
    phases : tuple of int
        Iterations of each outer step.
    potential_steps : function of int
        Steps of the potential in iteration number t, from 0.
    rate : function of float
        Share of the first learning rates that is left where a share of all iterations is done.
    ema : float
        Share of the past in the map's average.
    """

    functional: Functional
    batch_size: int
    phases: tuple[int, ...]
    potential_steps: Callable[[int], int]
    rate: Callable[[float], float]
    ema: float

    def starts(self, step: int) -> bool:
        """Whether an outer step, not the first, begins with iteration `step`."""
        done = 0
        for length in self.phases[:-1]:
            done += length
            if done == step:
                return True
        return False


@dataclass
class State:
    """What goes on from step to step, all of which is kept in a checkpoint."""

    map: Any
    potential: Any  # None where the functional needs none
    anchor: Anchor
    average: Any  # the map with the mean of its last weights: what samples are made by
    map_optimizer: Any
    potential_optimizer: Any
    draws: Draws
    threads: int = field(default_factory=torch.get_num_threads)  # which sums of torch depend on, by rounding
    torch_state: Any = None  # of torch's generator, which layers such as dropout draw from
    step: int = 0
    phase: int = 1
    history: History = field(default_factory=History)
    evaluations: dict[str, int] = field(default_factory=lambda: {"map": 0, "potential": 0})


def start(network: Any, potential: Any, anchor: Anchor, draws: Draws, optimizers: Callable[[Any, str], Any]) -> State:
    """The state before the first step, of networks that belong to it alone."""
    state = State(
        map=network,
        potential=potential,
        anchor=anchor,
        average=None,
        map_optimizer=optimizers(network, "map"),
        potential_optimizer=None if potential is None else optimizers(potential, "potential"),
        draws=draws,
    )
    for optimizer in (state.map_optimizer, state.potential_optimizer):
        for group in [] if optimizer is None else optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    _count(network, "map", state.evaluations)
    state.average = copy.deepcopy(network).eval().requires_grad_(False)
    if potential is not None:
        _count(potential, "potential", state.evaluations)
    return state


def _count(network: Any, name: str, evaluations: dict[str, int]) -> None:
    # A plain function, so that copies of the network, which are old maps, are counted in the same place.
    def count(*_: Any) -> None:
        evaluations[name] += 1

    network.register_forward_hook(count)


def iterate(state: State, slots: Slots, source: Samples, target: Samples) -> None:
    """One iteration. Diverged, with everything as it was before that step, where a loss is not finite."""
    if slots.starts(state.step):
        state.anchor.advance(state.map)
        state.phase += 1
    began, before = time.perf_counter(), state.evaluations["map"]
    rate = slots.rate(state.step / sum(slots.phases))
    potential_loss = value = math.nan
    if state.potential is not None:
        for _ in range(slots.potential_steps(state.step)):
            potential_loss, value = _potential_step(state, slots, source, target, rate)
    map_loss = moved = math.nan
    if state.map_optimizer is not None:  # else the map has nothing to learn
        map_loss, moved = _map_step(state, slots, source, target, rate)
        _average(state, slots.ema)
    state.step += 1
    seconds = state.history._columns["seconds"]
    state.history.add(
        phase=state.phase,
        value=moved if state.potential is None else value,
        potential_loss=potential_loss,
        map_loss=map_loss,
        evaluations=state.evaluations["map"] - before,
        seconds=(seconds[-1] if seconds else 0.0) + time.perf_counter() - began,
    )


def _potential_step(state: State, slots: Slots, source: Samples, target: Samples, rate: float) -> tuple[float, float]:
    x = state.anchor.source(source.draw(slots.batch_size, state.draws))
    real = target.draw(slots.batch_size, state.draws)
    with torch.no_grad():
        moved = _moved(state.map, x, real)

    def cost() -> Tensor:
        return state.anchor.cost(x, moved)

    found = slots.functional.ascent(state.potential, real, moved, cost, state.draws)
    _descend(state.potential, state.potential_optimizer, found.loss, rate, "potential")
    slots.functional.penalty.constrain(state.potential)
    return float(found.loss.detach()), float(found.value.detach())


def _map_step(state: State, slots: Slots, source: Samples, target: Samples, rate: float) -> tuple[float, float]:
    x = state.anchor.source(source.draw(slots.batch_size, state.draws))
    real = target.draw(slots.batch_size, state.draws)
    moved = _moved(state.map, x, real)
    value = slots.functional.descent(state.potential, real, moved, state.draws)
    loss = state.anchor.cost(x, moved).mean() + value
    _descend(state.map, state.map_optimizer, loss, rate, "map")
    return float(loss.detach()), float(value.detach())


def _moved(network: Any, x: Tensor, real: Tensor) -> Tensor:
    moved: Tensor = network(x)
    if moved.shape != real.shape:
        raise ValueError(
            f"map should make samples of the target's shape {tuple(real.shape[1:])}; of {tuple(x.shape)} it made "
            f"{tuple(moved.shape)}. Give a network whose outputs have that shape."
        )
    return moved


def _descend(network: Any, optimizer: Any, loss: Tensor, rate: float, name: str) -> None:
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer.zero_grad()
    # Gradients of the other network's weights, through which the loss goes, are not computed.
    loss.backward(inputs=parameters)
    size = torch.stack(torch._foreach_norm([each.grad for each in parameters if each.grad is not None])).sum()
    if not math.isfinite(float(loss.detach() + size)):
        raise Diverged(f"the {name}'s loss is {float(loss.detach()):.6g}, its gradient's size {float(size):.6g}")
    for group in optimizer.param_groups:
        group["lr"] = rate * group["initial_lr"]
    optimizer.step()


def _average(state: State, share: float) -> None:
    share = min(share, (1 + state.step) / (_WARM_UP + state.step))
    with torch.no_grad():
        torch._foreach_lerp_(list(state.average.parameters()), list(state.map.parameters()), 1.0 - share)
        for mean, now in zip(state.average.buffers(), state.map.buffers(), strict=True):
            mean.copy_(now)
