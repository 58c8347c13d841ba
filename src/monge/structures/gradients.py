"""Derivatives of what is minimised between two structures.

The plan is optimal, or at least no other is better to first order, so it need not be differentiated (Danskin 1967, "The
Theory of Max-Min"): with respect to the structures they are those of E at the plan, and with respect to the weights the
potentials of the linear problem there, for the whole derivative of E.

    dE/dCx = 2 (Cx * p p' - P Cy P'),   p = P 1

Points get theirs by the chain rule; those of squared distances without the matrices (`moments`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.marginals import Marginal
from monge.entropic.sinkhorn import sinkhorn
from monge.exact.emd import emd
from monge.exact.partial import partial
from monge.problem.costs import CostMatrix
from monge.problem.plan_slopes import plan_slopes
from monge.problem.transport import balanced_gradients
from monge.structures.forms import Form, Free
from monge.structures.fused import FusedForm
from monge.structures.partial import whole_derivative
from monge.structures.products import sums_of

__all__ = ["Slopes"]

Array = NDArray[np.float64]


class Slopes:
    """The derivatives of an objective at a plan, computed when they are asked for.

    Parameters
    ----------
    make : callable
        Makes the form, whose evaluations are `Free`, with features if there are any.
    plan : array (n, m), sparse or lazy
    weights : (ndarray (n,), ndarray (m,))
    origins : (PointCloud or None, PointCloud or None)
        Of which points each matrix has the costs, if it is not the caller's own.
    eps : float, optional
        Strength of the entropy.
    mass : float, optional
        Of a partial plan.
    penalties : (Marginal, Marginal), optional
        Of an unbalanced one.
    threads : int
    """

    def __init__(
        self,
        make: Callable[[], Form],
        plan: Any,
        weights: tuple[Array, Array],
        *,
        origins: tuple[Any, Any] = (None, None),
        eps: float | None = None,
        mass: float | None = None,
        penalties: tuple[Marginal, Marginal] | None = None,
        threads: int = 1,
    ) -> None:
        self.make, self.plan, self.a, self.b = make, plan, *weights
        self.origins, self.eps, self.mass, self.penalties, self.threads = origins, eps, mass, penalties, threads

    @cached_property
    def form(self) -> Form:
        """That of the objective."""
        return self.make()

    @cached_property
    def structures(self) -> tuple[Array, Array]:
        """With respect to points (n, d) and (m, e), or to matrices (n, n) and (m, m)."""
        found = self.form.gradients(self.plan)
        x, y = (
            D if cloud is None else _chained(cloud.ground, cloud.x, D)
            for D, cloud in zip(found, self.origins, strict=True)
        )
        return x, y

    @cached_property
    def weights(self) -> tuple[Array, Array]:
        """With respect to a (n,) and b (m,). Where their totals must be equal, up to a constant that both have with
        opposite signs, and which is chosen as by `Transport`."""
        a, b = self.a, self.b
        if self.penalties is not None:
            return self._of_penalties(self.penalties)
        here = self.form.at(self.plan)
        assert isinstance(here, Free)
        if self.mass is not None:
            t = partial(CostMatrix(whole_derivative(here, self.threads)), a, b, mass=self.mass, threads=self.threads)
            return t.grad_a, t.grad_b
        cost = here.cost()
        if self.eps is None:
            t = emd(cost, a, b, threads=self.threads)
        else:
            t = sinkhorn(cost, a, b, eps=self.eps, tol=1e-6, threads=self.threads)
        r, s = here.sides()
        return balanced_gradients(t.f + r, t.g + s, a, b)

    @cached_property
    def features(self) -> Any:
        """With respect to both clouds of features, (n, d) and (m, d), or to the matrix M (n, m)."""
        found, share = self._fused.features.gradients(self.plan), 1.0 - self._fused.alpha
        return (share * found[0], share * found[1]) if isinstance(found, tuple) else share * found

    @property
    def alpha(self) -> float:
        """With respect to the share of the structures."""
        here = self._fused.at(self.plan)
        return here.structures.exact() - here.price

    @property
    def _fused(self) -> FusedForm:
        if not isinstance(self.form, FusedForm):
            raise TypeError("there are no features, and no derivative with respect to them; give them as features=.")
        return self.form

    def _of_penalties(self, penalties: tuple[Marginal, Marginal]) -> tuple[Array, Array]:
        """Of rho KL(p x p | a x a) + eps KL(P x P | (a x b) x (a x b)): P does not change, and E does not know a."""
        assert self.eps is not None
        sums, found = sums_of(self.plan), []
        for side, p, a, b in zip(penalties, sums, (self.a, self.b), (self.b, self.a), strict=True):
            if side.fixed:
                raise TypeError("a side whose sums are given has no derivative beside one whose sums are not.")
            moved = 2.0 * p.sum() * np.divide(p, a, out=np.zeros_like(a), where=a > 0.0)
            found.append(side.kl * (2.0 * a.sum() - moved) + self.eps * (2.0 * a.sum() * b.sum() ** 2 - moved))
        return found[0], found[1]


def _chained(ground: Any, x: NDArray[Any], D: Array) -> Array:
    """The derivatives with respect to points x (n, d), from those D (n, n) with respect to the costs within them."""
    rows, columns = (index.ravel() for index in np.indices(D.shape))
    sent, received = plan_slopes(ground, x, x, (rows, columns, D.ravel()))
    return np.asarray(sent + received)
