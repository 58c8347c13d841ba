"""Two structures given as matrices Cx (n, n) and Cy (m, m): one product of matrices for each plan.

The derivative is 2 sum_kl (Cx_ik - Cy_jl)^2 P_kl = r_i + s_j - 4 G_ij for symmetric matrices, G = Cx P Cy. A plan of
`emd` has few entries, so Cx P gathers columns of Cx and one product is left; G is linear in the plan.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.costs import CostMatrix
from monge.structures.forms import Evaluated, Form

__all__ = ["MatrixForm"]

Array = NDArray[np.float64]


class MatrixForm(Form):
    """Of symmetric matrices Cx (n, n), Cy (m, m)."""

    def __init__(self, x: Array, y: Array) -> None:
        self.x, self.y = x, y
        self.squares_x, self.squares_y = x**2, y**2
        self.shape = len(x), len(y)

    def at(self, plan: Any) -> MatricesAt:
        plan = plan if hasattr(plan, "tocoo") or isinstance(plan, np.ndarray) else plan.toarray()
        sent, received = plan @ np.ones(self.shape[1]), plan.T @ np.ones(self.shape[0])
        return MatricesAt(self, plan, (plan.T @ self.x.T).T @ self.y, sent, received)


class MatricesAt(Evaluated):
    """A form of matrices at a plan P, with G = Cx P Cy and the sums of P."""

    def __init__(self, form: MatrixForm, plan: Any, G: Array, sent: Array, received: Array) -> None:
        self.form, self.plan, self.G, self.sent, self.received = form, plan, G, sent, received
        self.value = self.product(self)
        own_x, own_y = sent @ (form.squares_x @ sent), received @ (form.squares_y @ received)
        self.size = float(own_x + own_y)

    def product(self, other: MatricesAt) -> float:
        """sum (Cx_ik - Cy_jl)^2 P_ij Q_kl."""
        own = other.sent @ (self.form.squares_x @ self.sent) + other.received @ (self.form.squares_y @ self.received)
        return float(own - 2.0 * _priced(other.plan, self.G))

    def cost(self) -> CostMatrix:
        return CostMatrix(-4.0 * self.G)

    def along(self, other: Any) -> tuple[float, float]:
        across = self.product(other)
        return 2.0 * (across - self.value), self.value - 2.0 * across + float(other.value)

    def mixed(self, t: float, other: Any) -> MatricesAt:
        plan = other.plan if t == 1.0 else self.plan * (1.0 - t) + other.plan * t
        pairs = ((self.G, other.G), (self.sent, other.sent), (self.received, other.received))
        return MatricesAt(self.form, plan, *((1.0 - t) * mine + t * theirs for mine, theirs in pairs))


def _priced(plan: Any, costs: Array) -> float:
    """<P, C>."""
    if hasattr(plan, "tocoo"):
        entries = plan.tocoo()
        return float(entries.data @ costs[entries.row, entries.col])
    return float((plan * costs).sum())
