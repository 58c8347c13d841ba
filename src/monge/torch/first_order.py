"""Losses of the library that have first derivatives, as functions of tensors.

Value and derivatives are computed together, since both need the same numbers, and random directions are then the same
for both. Where no derivative can be asked for, there is none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.distances.loss import Loss
from monge.problem.hessian import Direction
from monge.torch.cost import with_same_totals
from monge.torch.function import untransformed, value_of
from monge.torch.kind import Kind, Measures, Settings, Solved
from monge.torch.tensors import checked

__all__ = ["FirstOrder", "loss_of", "packed", "seed_of", "unpacked"]

Array = NDArray[np.float64]

# Stands for None; it is no seed and no count.
_NONE = -0.5


class FirstOrder(Kind):
    """A kind of loss of which nothing but first derivatives is known.

    The state is the derivatives with respect to x, y, a and b. The first numbers of the settings say whether they are
    wanted, one or zero, and what the totals of weights in half precision may differ by.
    """

    def call(self, x: Any, y: Any, a: Any, b: Any, settings: Settings) -> Any:
        """The `Loss`, or a list of them, of two clouds or of lists of clouds."""
        raise NotImplementedError

    def state_size(self, n: Any, m: Any, d: Any) -> Any:
        return (n + m) * (d + 1)

    def solve(self, problems: list[Measures], settings: Settings) -> Solved:
        problems = with_same_totals(problems, settings.numbers[1], True)
        each: list[Any] = [list(parts) for parts in zip(*problems, strict=True)]
        x, y, _, a, b = (parts[0] if len(problems) == 1 else parts for parts in each)
        found = self.call(x, y, a, b, settings)
        losses: list[Loss] = [found] if len(problems) == 1 else found
        states = []
        for loss, problem in zip(losses, problems, strict=True):
            n, m, d = _sizes(problem)
            state = np.full(self.state_size(n, m, d), np.nan)
            if settings.numbers[0]:
                parts = [np.ravel(loss.grad_x), np.ravel(loss.grad_y)]
                if problem.a is not None:
                    parts += [loss.grad_a, loss.grad_b]
                filled = np.concatenate(parts)
                state[: len(filled)] = filled
            states.append(state)
        return Solved([loss.value for loss in losses], states)

    def gradient(self, problem: Measures, state: Array, settings: Settings, wanted: Measures) -> Direction:
        n, m, d = _sizes(problem)
        x, y, a, b = np.split(state, np.cumsum([n * d, m * d, n]))
        return Direction(x.reshape(n, d), y.reshape(m, d), None, a, b)


def loss_of(kind: str, points: tuple[Any, Any], weights: tuple[Any, Any], ground: Any, *numbers: float) -> Tensor:
    """The loss of this kind, with the numbers that it knows what to do with."""
    if points[0] is None or points[1] is None:
        raise TypeError(f"monge.torch.{kind} takes two tensors of points, x and y; got None.")
    measures = checked(*points, None, *weights)
    value = value_of(kind, measures.tensors, ground, (_wanted(measures.tensors), measures.rounding, *numbers))
    return value if value.dtype == measures.dtype else value.to(measures.dtype)


def _wanted(tensors: list[Tensor | None]) -> float:
    """One if derivatives may be asked for."""
    if torch.compiler.is_compiling():
        return 1.0
    if not torch.is_grad_enabled():
        return 0.0
    there = [tensor for tensor in tensors if tensor is not None]
    return float(not untransformed(there[0]) or any(tensor.requires_grad for tensor in there))


def packed(number: float | None) -> float:
    """A number or None as operators take it. `unpacked` makes it again what it was."""
    return _NONE if number is None else number


def unpacked(number: float) -> Any:
    """Whole numbers are integers again, and what stands for None is None."""
    if number == _NONE:
        return None
    return int(number) if isinstance(number, float) and number.is_integer() else number


def seed_of(rng: Any) -> int | None:
    """What stands for an rng in a number: a seed that a generator draws."""
    return int(rng.integers(2**53)) if isinstance(rng, np.random.Generator) else rng


def _sizes(problem: Measures) -> tuple[int, int, int]:
    assert problem.x is not None
    assert problem.y is not None
    return len(problem.x), len(problem.y), problem.x.shape[1]
