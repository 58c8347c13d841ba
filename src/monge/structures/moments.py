"""Two clouds of squared distances, and plans whose sums are free: no array over pairs of points either.

The derivative at a plan P of mass m, 2 sum_kl (Cx_ik - Cy_jl)^2 P_kl for Cx_ik = |x_i - x_k|^2 and Cy_jl =
|y_j - y_l|^2, is

    r_i + s_j + 2 |phi_i - psi_j|^2,  phi = (m^1/2 u, 2 S^1/2 U' x),  psi = (m^1/2 v, 2 S^1/2 V' y)

where points are taken about the means of the plan's sums, u = |x|^2, v = |y|^2 and A = sum_ij P_ij x_i y_j' = U S V'.
What r and s are, and the objective, some moments of the plan tell, which are linear in it.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.costs import PointCloud
from monge.structures.clouds import lifted
from monge.structures.forms import Form, Free
from monge.structures.products import sums_of

__all__ = ["MomentForm"]

Array = NDArray[np.float64]

# What part of fourth powers of places a gap that is small is not taken to be below: some 1e7 times rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Moments:
    """Of a plan P with sums p and q, of points x with u = |x|^2 and y with v = |y|^2: sum_ij P_ij of what is named."""

    one: float
    u: float
    uu: float
    x: Array
    ux: Array
    xx: Array
    v: float
    vv: float
    y: Array
    vy: Array
    yy: Array
    uv: float
    xv: Array
    uy: Array
    xy: Array

    def mixed(self, t: float, other: Moments) -> Moments:
        """Of (1 - t) P + t Q."""
        pairs = ((getattr(self, each.name), getattr(other, each.name)) for each in fields(self))
        return Moments(*((1.0 - t) * mine + t * theirs for mine, theirs in pairs))

    def product(self, other: Moments, crossed: float = 1.0) -> float:
        """sum (Cx_ik - Cy_jl)^2 P_ij Q_kl, of which the mixed products Cx_ik Cy_jl may be left out."""
        p, q = self, other
        squares_x = p.uu * q.one + q.uu * p.one + 2.0 * p.u * q.u + 4.0 * _dot(p.xx, q.xx)
        squares_x -= 4.0 * float(p.ux @ q.x + q.ux @ p.x)
        squares_y = p.vv * q.one + q.vv * p.one + 2.0 * p.v * q.v + 4.0 * _dot(p.yy, q.yy)
        squares_y -= 4.0 * float(p.vy @ q.y + q.vy @ p.y)
        across = p.one * q.uv + q.one * p.uv + p.u * q.v + q.u * p.v + 4.0 * _dot(p.xy, q.xy)
        across -= 2.0 * float(p.uy @ q.y + q.uy @ p.y + p.xv @ q.x + q.xv @ p.x)
        return float(squares_x + squares_y - 2.0 * crossed * across)


class MomentForm(Form):
    """Of clouds x (n, d) and y (m, e); about their means, which keeps digits."""

    def __init__(self, x: Array, y: Array) -> None:
        self.x, self.y = x - x.mean(axis=0), y - y.mean(axis=0)
        x, y = self.x, self.y
        self.u, self.v = (x**2).sum(axis=1), (y**2).sum(axis=1)
        self.shape = len(x), len(y)

    def about(self, x: Array, y: Array) -> MomentForm:
        """The same, with the origins there."""
        other = copy(self)
        other.x, other.y = self.x - x, self.y - y
        other.u, other.v = (other.x**2).sum(axis=1), (other.y**2).sum(axis=1)
        return other

    def at(self, plan: Any) -> MomentsAt:
        return MomentsAt(self, plan, self.moments(plan))

    def moments(self, plan: Any) -> Moments:
        x, y, u, v = self.x, self.y, self.u, self.v
        sent = plan @ np.column_stack([np.ones(len(y)), v, y])  # (n, 2 + e)
        p, pv, py = sent[:, 0], sent[:, 1], sent[:, 2:]
        _, q = sums_of(plan)
        return Moments(
            float(p.sum()),
            *(float(u @ p), float((u * u) @ p), x.T @ p, x.T @ (u * p), (x.T * p) @ x),
            *(float(v @ q), float((v * v) @ q), y.T @ q, y.T @ (v * q), (y.T * q) @ y),
            *(float(u @ pv), x.T @ pv, u @ py, x.T @ py),
        )

    def gradients(self, plan: Any) -> tuple[Array, Array]:
        """4 sum_k D_ik (x_i - x_k) for D = dE/dCx = 2 (Cx * p p' - P Cy P'), (n, d), and likewise (m, e)."""
        p, q = sums_of(plan)
        return _one_side(self.x, self.y, p, plan), _one_side(self.y, self.x, q, plan.T)


class MomentsAt(Free):
    """A form of clouds at a plan, of which it knows the moments."""

    def __init__(self, form: MomentForm, plan: Any, moments: Moments) -> None:
        self.form, self.plan, self.moments = form, plan, moments
        self.value = moments.product(moments)
        # Of a plan that has come down to one point nothing is left but rounding, which is small beside its squares.
        self.size = max(moments.product(moments, 0.0), _ROUNDING * moments.one * (moments.uu + moments.vv))

    def cost(self) -> PointCloud:
        return PointCloud(*self._lifted)

    @cached_property
    def _near(self) -> MomentForm:
        """The form about the means of the plan's sums."""
        m = self.moments
        return self.form.about(m.x / m.one, m.y / m.one)

    @cached_property
    def _lifted(self) -> tuple[Array, Array]:
        m, near = self.moments, self._near
        A = m.xy - np.multiply.outer(m.x, m.y / m.one)
        return lifted(near.u, near.x, near.v, near.y, A, m.one)

    def sides(self) -> tuple[Array, Array]:
        (phi, psi), near = self._lifted, self._near
        M = near.moments(self.plan)
        r = 2.0 * (M.uu + 4.0 * _quadratic(near.x, M.xx) + 2.0 * near.u * M.u) - 8.0 * near.x @ M.ux
        s = 2.0 * (M.vv + 4.0 * _quadratic(near.y, M.yy) + 2.0 * near.v * M.v) - 8.0 * near.y @ M.vy
        r += 2.0 * M.one * near.u**2 - 4.0 * near.u * M.v + 8.0 * near.x @ M.xv - 4.0 * M.uv
        s += 2.0 * M.one * near.v**2 - 4.0 * near.v * M.u + 8.0 * near.y @ M.uy
        return r - (phi**2).sum(axis=1), s - (psi**2).sum(axis=1)

    def along(self, other: Any) -> tuple[float, float]:
        across = self.moments.product(other.moments)
        return 2.0 * (across - self.value), self.value - 2.0 * across + float(other.value)

    def mixed(self, t: float, other: Any) -> MomentsAt:
        return MomentsAt(self.form, _mixture(t, self.plan, other.plan), self.moments.mixed(t, other.moments))


def _mixture(t: float, plan: Any, other: Any) -> Any:
    return other if t == 1.0 else plan * (1.0 - t) + other * t


def _one_side(x: Array, y: Array, p: Array, plan: Any) -> Array:
    z = np.column_stack([np.ones(len(x)), x])
    own = p[:, np.newaxis] * _squared_times(x, p[:, np.newaxis] * z)
    D = 2.0 * (own - plan @ _squared_times(y, plan.T @ z))
    return np.asarray(4.0 * (x * D[:, :1] - D[:, 1:]))


def _squared_times(x: Array, z: Array) -> Array:
    """sum_k |x_i - x_k|^2 z_k."""
    u = (x**2).sum(axis=1)
    return np.asarray(np.multiply.outer(u, z.sum(axis=0)) + u @ z - 2.0 * x @ (x.T @ z))


def _quadratic(points: Array, S: Array) -> Array:
    """z' S z for each point z."""
    return np.asarray(((points @ S) * points).sum(axis=1))


def _dot(one: Array, other: Array) -> float:
    return float((one * other).sum())
