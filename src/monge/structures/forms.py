"""What is minimised over plans between two structures, and what of it a descent has to know.

E(P) = sum_ijkl (Cx_ik - Cy_jl)^2 P_ij P_kl

A form is such an objective, quadratic in the plan, of two structures. `at` evaluates it at a plan; of this the descent
knows the value, the derivative, which is the cost of a linear transport problem, and the parabola on the way to another
plan. With the sums of the plan fixed, E is linear in them and the derivative matters up to terms r_i + s_j.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from monge.problem.costs import Cost

__all__ = ["Evaluated", "Form", "Free", "Toward"]


class Form(ABC):
    """An objective over plans (n, m)."""

    shape: tuple[int, int]

    @abstractmethod
    def at(self, plan: Any) -> Evaluated:
        """The objective at a plan: a sparse or dense array (n, m), or what has products and sums as these have."""

    def walk(self) -> Callable[[Any], Evaluated]:
        """`at` for a sequence of plans, each of which may be near the one before."""
        return self.at

    def gradients(self, plan: Any) -> tuple[Any, Any]:
        """The derivatives at a plan with respect to both structures."""
        raise NotImplementedError


class Evaluated(ABC):
    """An objective at a plan.

    Attributes
    ----------
    plan
        The plan.
    value : float
        The objective there.
    size : float
        What values and gaps are small beside: the squares of both structures.
    """

    plan: Any
    value: float
    size: float

    @abstractmethod
    def cost(self) -> Cost:
        """The derivative of the objective with respect to the plan, up to terms r_i + s_j."""

    def exact(self) -> float:
        """The objective with all digits that the plan gives it, also where it is next to nothing; not negative."""
        return max(self.value, 0.0)

    @abstractmethod
    def along(self, other: Any) -> tuple[float, float]:
        """(slope, curve) on the way to another plan Q: E((1 - t) P + t Q) = value + slope t + curve t^2."""

    @abstractmethod
    def mixed(self, t: float, other: Any) -> Evaluated:
        """At the plan (1 - t) P + t Q."""


class Free(Evaluated):
    """An objective at a plan whose sums are not fixed, so that all of the derivative matters."""

    @abstractmethod
    def sides(self) -> tuple[Any, Any]:
        """r (n,) and s (m,): the derivative is r_i + s_j + `cost()`_ij."""

    def linear(self, plan: Any) -> float:
        """What of the objective at another plan is linear in it; the rest is quadratic."""
        return 0.0


class Toward(Evaluated):
    """Where a descent begins that has no plan yet, but the cost of a first problem: it goes all the way to its plan."""

    plan, value, size = None, math.inf, math.inf

    def __init__(self, cost: Cost) -> None:
        self._cost = cost

    def cost(self) -> Cost:
        return self._cost

    def along(self, other: Any) -> tuple[float, float]:
        return -math.inf, 0.0

    def mixed(self, t: float, other: Any) -> Evaluated:
        assert isinstance(other, Evaluated)
        return other
