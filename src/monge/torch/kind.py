"""What a loss has to say about itself, in NumPy, to become a function of tensors; `function` does the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.problem.hessian import Direction

__all__ = ["KINDS", "Kind", "Measures", "Settings", "Solved"]

Array = NDArray[np.float64]


class Measures(NamedTuple):
    """One problem: points x (n, d) and y (m, d), or costs C (n, m), and weights; None for what there is none of."""

    x: NDArray[Any] | None
    y: NDArray[Any] | None
    C: NDArray[Any] | None
    a: NDArray[Any] | None
    b: NDArray[Any] | None


class Settings(NamedTuple):
    """What else the problems of a call are given by."""

    ground: Any  # a ground cost, or a cost object
    numbers: Sequence[float]  # whose meaning the kind of loss knows
    device: str | None  # for solvers that can choose


class Solved(NamedTuple):
    """What a kind of loss makes of problems."""

    values: list[float]
    states: list[Array]
    answers: list[Any] | None = None


class Kind:
    """A kind of loss. There is one object of each, in `KINDS` by its name.

    What is solved once and used again for derivatives is the state, numbers (k,) in float64.
    """

    name: str

    def __init_subclass__(cls) -> None:
        if "name" in vars(cls):
            KINDS[cls.name] = cls()

    def state_size(self, n: Any, m: Any, d: Any) -> Any:
        """How many numbers the state has, for n points and m points of d coordinates, zero if there are no points."""
        raise NotImplementedError

    def solve(self, problems: list[Measures], settings: Settings) -> Solved:
        """Values, states, and what was solved if `slopes` knows it."""
        raise NotImplementedError

    def revived(self, problem: Measures, state: Array, settings: Settings) -> Any:
        """What was solved, made again from its state."""
        raise NotImplementedError

    def gradient(self, problem: Measures, state: Array, settings: Settings, wanted: Measures) -> Direction:
        """Derivatives of the value, of which those in `wanted` that are not None are needed."""
        return self.slopes(self.revived(problem, state, settings), wanted)

    def slopes(self, answer: Any, wanted: Measures) -> Direction:
        """The same, of what was solved."""
        return Direction(
            None if wanted.x is None else answer.grad_x,
            None if wanted.y is None else answer.grad_y,
            None if wanted.C is None else self.cost_slopes(answer),
            None if wanted.a is None else answer.grad_a,
            None if wanted.b is None else answer.grad_b,
        )

    def cost_slopes(self, answer: Any) -> Array:
        """The derivative (n, m) with respect to a matrix of costs."""
        plan: Array = answer.plan.toarray()
        return plan

    def product(
        self, problem: Measures, state: Array, settings: Settings, along: Direction, wanted: Direction
    ) -> Direction:
        """How those derivatives change along a direction. RuntimeError where that is not known."""
        raise RuntimeError(
            f"monge.torch.{self.name} has no second derivatives. Detach its gradient from the graph, or leave "
            "create_graph out."
        )


# By name; filled as kinds are defined.
KINDS: dict[str, Kind] = {}
