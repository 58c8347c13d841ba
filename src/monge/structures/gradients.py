"""Derivatives of what is minimised between two structures.

The plan is optimal, or at least no other is better to first order, so it need not be differentiated (Danskin 1967, "The
Theory of Max-Min"): with respect to the structures they are those of E at the plan, and with respect to the weights the
potentials of the linear problem there, for the whole derivative of E.

    dE/dCx = 2 (Cx * p p' - P Cy P'),   p = P 1

Points get theirs by the chain rule. For squared distances, a matrix over pairs is a sum of few columns by few rows, and
so is what is multiplied with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.sinkhorn import sinkhorn
from monge.exact.emd import emd
from monge.problem.plan_slopes import plan_slopes
from monge.problem.transport import balanced_gradients
from monge.structures.forms import Free

__all__ = ["chained", "cloud_gradients", "weight_gradients"]

Array = NDArray[np.float64]


def cloud_gradients(x: Array, y: Array, plan: Any) -> tuple[Array, Array]:
    """The derivatives of E with respect to points (n, d) and (m, e), for squared distances within each cloud."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    p, q = plan @ np.ones(len(y)), plan.T @ np.ones(len(x))
    return _one_side(x, y, p, plan), _one_side(y, x, q, plan.T)


def _one_side(x: Array, y: Array, p: Array, plan: Any) -> Array:
    """4 sum_k D_ik (x_i - x_k), for D = dE/dCx."""
    z = np.column_stack([np.ones(len(x)), x])
    own = p[:, np.newaxis] * _squared_times(x, p[:, np.newaxis] * z)
    D = 2.0 * (own - plan @ _squared_times(y, plan.T @ z))
    return np.asarray(4.0 * (x * D[:, :1] - D[:, 1:]))


def _squared_times(x: Array, z: Array) -> Array:
    """sum_k |x_i - x_k|^2 z_k."""
    u = (x**2).sum(axis=1)
    return np.asarray(np.multiply.outer(u, z.sum(axis=0)) + u @ z - 2.0 * x @ (x.T @ z))


def chained(ground: Any, x: NDArray[Any], D: Array) -> Array:
    """The derivatives with respect to points x (n, d), from those D (n, n) with respect to the costs within them."""
    rows, columns = (index.ravel() for index in np.indices(D.shape))
    sent, received = plan_slopes(ground, x, x, (rows, columns, D.ravel()))
    return np.asarray(sent + received)


def weight_gradients(here: Free, a: Array, b: Array, eps: float | None, threads: int) -> tuple[Array, Array]:
    """The derivatives with respect to the weights, of the objective at the plan where `here` is.

    They are defined up to a constant that both have with opposite signs, and which is chosen as by `Transport`.
    """
    cost = here.cost()
    t = emd(cost, a, b, threads=threads) if eps is None else sinkhorn(cost, a, b, eps=eps, tol=1e-6, threads=threads)
    r, s = here.sides()
    return balanced_gradients(t.f + r, t.g + s, a, b)
