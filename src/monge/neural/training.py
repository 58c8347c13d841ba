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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from monge.neural.anchors import Anchor
from monge.neural.before import Before
from monge.neural.draws import Draws
from monge.neural.functionals import Functional
from monge.neural.history import History
from monge.neural.samples import Samples

__all__ = [
    "Diverged",
    "Slots",
    "State",
    "TrainingStatus",
    "aside",
    "cosine",
    "fitting",
    "iterate",
    "own",
    "start",
    "takes",
    "uncounted",
]

# The average of the map forgets its first weights, and those of the outer step before: its share of the past is at most
# (1 + t) / (10 + t), in iteration t of an outer step.
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
        "a loss or its gradient was not finite: the networks are those of the iteration before, which were. Lower lr, "
        "raise the weight of the penalty, or look for outliers in the samples; then fit anew"
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
        Share of the learning rates that an outer step began with which is left where a share of it is done.
    ema : float
        Share of the past in the map's average.
    later : float
        Share of the first learning rates that each outer step but the first begins with.
    """

    functional: Functional
    batch_size: int
    phases: tuple[int, ...]
    potential_steps: Callable[[int], int]
    rate: Callable[[float], float]
    ema: float
    later: float = 1.0

    def phase(self, step: int) -> int:
        """The outer step, from 1, that iteration number `step`, from 0, belongs to."""
        return 1 + sum(end <= step for end in accumulate(self.phases[:-1]))


def cosine(final: float) -> Callable[[float], float]:
    """From one to a share `final`, over what is done of a training, from 0 to 1."""
    return lambda done: final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * done))


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
    evaluations: dict[str, int]  # of networks at a batch, by "map" and "potential"
    threads: int = field(default_factory=torch.get_num_threads)  # which sums of torch depend on, by rounding
    step: int = 0
    phase: int = 1
    history: History = field(default_factory=History)
    kept: dict[str, Any] = field(default_factory=dict)  # by callbacks: tensors and plain values
    before: Before = field(default_factory=Before)  # not in a checkpoint: the last iteration is whole by then


def start(network: Any, potential: Any, anchor: Anchor, draws: Draws, optimizers: Callable[[Any, str], Any]) -> State:
    """The state before the first step, of networks that belong to it alone."""
    evaluations = {"map": 0, "potential": 0}
    network.register_forward_hook(_Count(evaluations, "map"))
    if potential is not None:
        potential.register_forward_hook(_Count(evaluations, "potential"))
    state = State(
        map=network,
        potential=potential,
        anchor=anchor,
        average=copy.deepcopy(network).eval(),
        map_optimizer=optimizers(network, "map"),  # None where it has nothing to learn
        potential_optimizer=None if potential is None else optimizers(potential, "potential"),
        draws=draws,
        evaluations=evaluations,
    )
    for optimizer in (state.map_optimizer, state.potential_optimizer):
        for group in [] if optimizer is None else optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return state


@contextmanager
def aside(state: State) -> Iterator[None]:
    """Networks are used, and not trained: there are no gradients, and evaluations do not count."""
    counted = dict(state.evaluations)
    try:
        with torch.no_grad():
            yield
    finally:
        state.evaluations.update(counted)


def own(network: Any) -> Any:
    """A copy of a user's network, which may be one that another model trained, and counts evaluations of."""
    return uncounted(copy.deepcopy(network))


def uncounted(network: Any) -> Any:
    """The network, of which evaluations count no more."""
    for number, hook in list(network._forward_hooks.items()):
        if isinstance(hook, _Count):
            del network._forward_hooks[number]
    return network


class _Count:
    """Counts how often a network is evaluated, and its copies, which are old maps, in the same place."""

    def __init__(self, evaluations: dict[str, int], name: str) -> None:
        self._evaluations, self._name = evaluations, name

    def __call__(self, *_: Any) -> None:
        self._evaluations[self._name] += 1

    def __deepcopy__(self, _: Any) -> _Count:
        return self


def fitting(
    network: Any,
    potential: Any,
    anchor: Anchor,
    functional: Functional,
    source: tuple[int, ...],
    target: tuple[int, ...],
    device: Any,
) -> None:
    """Checks that networks take samples of these shapes and make such, before anything is learned.

    In eval mode, in which layers such as batch normalisation learn nothing. It also tells lazy layers their shapes.
    """
    x, real = torch.zeros(2, *source, device=device), torch.zeros(2, *target, device=device)
    moved = takes("map", network, x, lambda module, points: _moved(module, points, real))
    anchor.cost(anchor.source(x), moved)
    if potential is not None:
        takes("potential", potential, moved, functional.evaluate)
        functional.penalty.check(potential)


def takes(name: str, network: Any, points: Tensor, call: Callable[[Any, Tensor], Any]) -> Any:
    """What a network that can learn makes of points. ValueError if it does not take them, or has nothing to learn."""
    network.eval()
    try:
        with torch.no_grad():
            found = call(network, points)
    except (RuntimeError, IndexError, TypeError, AttributeError) as problem:
        raise ValueError(
            f"{name}: the network does not take float32 samples of shape {tuple(points.shape)[1:]}: "
            + str(problem).strip().partition("\n")[0]
        ) from problem
    network.train()
    if not any(each.requires_grad for each in network.parameters()):
        raise ValueError(
            f"{name}: the network has no parameters that can be learned. Call its requires_grad_(True), or give "
            "another one."
        )
    return found


def iterate(state: State, slots: Slots, source: Samples, target: Samples) -> None:
    """One iteration, whole or not at all: what is raised on the way leaves all as it was before. Diverged, where a loss
    is not finite."""
    if state.phase < slots.phase(state.step):
        _advance(state)
        state.phase += 1
    state.before.take(state)
    try:
        with state.draws.of_torch():
            _iterate(state, slots, source, target)
    except BaseException:
        state.before.restore(state)
        raise


def _iterate(state: State, slots: Slots, source: Samples, target: Samples) -> None:
    began, before = time.perf_counter(), state.evaluations["map"]
    age = state.step - sum(slots.phases[: state.phase - 1])  # of the outer step
    rate = slots.rate(age / slots.phases[state.phase - 1]) * (1.0 if state.phase == 1 else slots.later)
    potential_loss = value = math.nan
    if state.potential is not None:
        for _ in range(slots.potential_steps(state.step)):
            potential_loss, value = _potential_step(state, slots, source, target, rate)
    map_loss = lowered = math.nan
    if state.map_optimizer is not None:  # else the map has nothing to learn
        map_loss, lowered = _map_step(state, slots, source, target, rate)
        _average(state, slots.ema, age)
    state.step += 1
    state.history.add(
        phase=state.phase,
        value=lowered if state.potential is None else value,
        potential_loss=potential_loss,
        map_loss=map_loss,
        evaluations=state.evaluations["map"] - before,
        seconds=time.perf_counter() - began,
    )


def _potential_step(state: State, slots: Slots, source: Samples, target: Samples, rate: float) -> tuple[float, float]:
    x = state.anchor.source(source.draw(slots.batch_size, state.draws))
    real = target.draw(slots.batch_size, state.draws)
    with torch.no_grad():
        moved = _moved(state.map, x, real)

    def cost() -> Tensor:
        return state.anchor.cost(x, moved)

    found = slots.functional.ascent(state.potential, real, moved, cost, state.draws)
    figures = _descend(state.potential_optimizer, found.loss, found.value, rate, "potential")
    slots.functional.penalty.constrain(state.potential)
    return figures


def _map_step(state: State, slots: Slots, source: Samples, target: Samples, rate: float) -> tuple[float, float]:
    x = state.anchor.source(source.draw(slots.batch_size, state.draws))
    real = target.draw(slots.batch_size, state.draws)
    moved = _moved(state.map, x, real)
    value = slots.functional.descent(state.potential, real, moved, state.draws)
    return _descend(state.map_optimizer, state.anchor.cost(x, moved).mean() + value, value, rate, "map")


def _moved(network: Any, x: Tensor, real: Tensor) -> Tensor:
    moved: Tensor = network(x)
    if moved.shape != real.shape:
        raise ValueError(
            f"map should make samples of the target's shape {tuple(real.shape[1:])}; of {tuple(x.shape)} it made "
            f"{tuple(moved.shape)}. Give a network whose outputs have that shape."
        )
    return moved


def _descend(optimizer: Any, loss: Tensor, value: Tensor, rate: float, name: str) -> tuple[float, float]:
    """A step down; the loss and the value, as numbers."""
    if not loss.requires_grad:
        raise ValueError(f"the {name}'s loss does not depend on its weights: there is nothing to learn from it.")
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    optimizer.zero_grad()
    # Gradients of the other network's weights, through which the loss goes, are not computed.
    loss.backward(inputs=parameters)
    gradients = [each.grad for each in parameters if each.grad is not None]  # not all need have been used
    size = torch.stack(torch._foreach_norm(gradients)).sum() if gradients else torch.zeros_like(loss)
    # At once, as a GPU has to be waited for.
    found, size_, value_ = torch.stack([loss.detach(), size, value.detach()]).tolist()
    if not math.isfinite(found + size_):
        raise Diverged(f"the {name}'s loss is {found:.6g}, its gradient's size {size_:.6g}")
    for group in optimizer.param_groups:
        group["lr"] = rate * group["initial_lr"]
    optimizer.step()
    return found, value_


def _advance(state: State) -> None:
    # What an outer step made is the average of its map, and the next one goes on from there.
    state.map.load_state_dict(state.average.state_dict())
    state.anchor.advance(state.map)


def _average(state: State, share: float, age: int) -> None:
    share = min(share, (1 + age) / (_WARM_UP + age))
    with torch.no_grad():
        torch._foreach_lerp_(list(state.average.parameters()), list(state.map.parameters()), 1.0 - share)
        for mean, now in zip(state.average.buffers(), state.map.buffers(), strict=True):
            mean.copy_(now)
