"""Of two structures the parts that fit: plans of a given mass, whose sums may stay below the weights.

minimise  sum_ijkl (Cx_ik - Cy_jl)^2 P_ij P_kl  subject to  P >= 0,  P 1 <= a,  P' 1 <= b,  sum P = mass

The linear problem of each step is `monge.partial`, for the whole derivative: its terms r_i + s_j matter where a part of
a row's mass may stay (Chapel, Alaya and Gasso 2020, "Partial optimal transport with applications on
positive-unlabeled learning", section 3.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.exact.dense import dense
from monge.exact.partial import partial
from monge.problem.costs import CostMatrix
from monge.structures.descent import Step, steps
from monge.structures.forms import Evaluated, Form, Free, Toward
from monge.structures.products import sums_of

__all__ = ["partial_steps", "whole_derivative"]

Array = NDArray[np.float64]

# By which part of the mass the sums of a plan may be off by rounding.
_EXACT = 1e-12


def partial_steps(form: Form, a: Array, b: Array, mass: float, start: Any, threads: int) -> Iterator[Step]:
    """The descent over plans of this mass, from a plan or, for None, from the product of the weights.

    Parameters
    ----------
    form : Form
        Whose evaluations are `Free`.
    a, b : ndarray (n,), (m,)
        Weights.
    mass : float
        How much to move.
    start : sparse or dense array (n, m) or None
        A plan. One of another mass, or above the weights, is left at once for the best one there to first order.
    threads : int
    """
    walk = form.walk()
    plan = np.multiply.outer(a, b) * (mass / (a.sum() * b.sum())) if start is None else start
    first: Evaluated = _Whole(walk(plan), threads)
    sent, received = sums_of(plan)
    over = np.maximum(sent - a, 0.0).sum() + np.maximum(received - b, 0.0).sum() + abs(sent.sum() - mass)
    if over > _EXACT * mass:
        first = Toward(first.cost())
    return steps(
        first,
        lambda plan: _Whole(walk(plan), threads),
        lambda cost, last: partial(cost, a, b, mass=mass, threads=threads),
    )


def whole_derivative(here: Free, threads: int) -> Array:
    """The derivative of the objective with respect to the plan, (n, m), with all its terms."""
    r, s = here.sides()
    derivative = np.array(dense(here.cost(), threads), dtype=np.float64)
    derivative += r[:, np.newaxis]
    derivative += s
    return derivative


class _Whole(Evaluated):
    """The same at a plan, with the whole derivative as its cost."""

    def __init__(self, inner: Evaluated, threads: int) -> None:
        self.inner, self.threads = inner, threads
        self.plan, self.value, self.size = inner.plan, inner.value, inner.size

    def cost(self) -> CostMatrix:
        assert isinstance(self.inner, Free)
        return CostMatrix(whole_derivative(self.inner, self.threads))

    def exact(self) -> float:
        return self.inner.exact()

    def along(self, other: Any) -> tuple[float, float]:
        return self.inner.along(other.inner)

    def mixed(self, t: float, other: Any) -> _Whole:
        return _Whole(self.inner.mixed(t, other.inner), self.threads)
