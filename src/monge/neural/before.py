"""An iteration is done whole, or not at all: what a state was before, in case something is raised on the way.

A loss that is not finite, a sampler that runs dry, Ctrl-C: half an iteration would leave a potential that is steps
ahead of its map, and random numbers that nobody can draw again. A copy takes a fiftieth of an iteration, or less.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

__all__ = ["Before"]


class Before:
    """What a state was when `take` was last called, in memory that is used again the next time."""

    def __init__(self) -> None:
        self._copies: list[Tensor] = []
        self._optimizers: list[tuple[dict[Any, dict[str, Any]], list[float]]] = []
        self._rest: dict[str, Any] = {}

    def take(self, state: Any) -> None:
        """Keep it."""
        self._optimizers = [
            ({each: dict(held) for each, held in found.state.items()}, [group["lr"] for group in found.param_groups])
            for found in _optimizers(state)
        ]
        tensors = list(_tensors(state))
        if [(each.shape, each.dtype) for each in tensors] != [(each.shape, each.dtype) for each in self._copies]:
            self._copies = [torch.empty_like(each) for each in tensors]
        with torch.no_grad():
            torch._foreach_copy_(self._copies, tensors)
        self._rest = {
            "draws": state.draws.state(),
            "step": state.step,
            "evaluations": dict(state.evaluations),
        }

    def restore(self, state: Any) -> None:
        """Have it again."""
        for optimizer, (held, rates) in zip(_optimizers(state), self._optimizers, strict=True):
            optimizer.state.clear()  # of what its first step made, too
            optimizer.state.update({each: dict(values) for each, values in held.items()})
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate
        with torch.no_grad():
            torch._foreach_copy_(list(_tensors(state)), self._copies)
        state.draws.restore(self._rest["draws"])
        state.step = self._rest["step"]
        state.history.cut(state.step)
        state.evaluations.update(self._rest["evaluations"])


def _optimizers(state: Any) -> list[Any]:
    return [each for each in (state.map_optimizer, state.potential_optimizer) if each is not None]


def _tensors(state: Any) -> Iterator[Tensor]:
    for network in (state.map, state.average, state.potential):
        if network is not None:
            yield from network.parameters()
            yield from network.buffers()
    for optimizer in _optimizers(state):
        for held in optimizer.state.values():
            yield from (value for value in held.values() if isinstance(value, Tensor))
