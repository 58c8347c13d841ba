"""Two clouds, whose structures are squared distances: no array over pairs of points.

For Cx_ik = |x_i - x_k|^2 and Cy_jl = |y_j - y_l|^2, with u = |x|^2 and v = |y|^2 about the means of the plan's sums and
A = sum_ij P_ij x_i y_j', the derivative is

2 sum_kl (Cx_ik - Cy_jl)^2 P_kl = r_i + s_j - 4 m u_i v_j - 16 x_i' A y_j,   m = sum P

that is 2 |phi_i - psi_j|^2 for phi = (m^1/2 u, 4 A' x), psi = (m^1/2 v, y), up to other r and s: a cloud in one more
dimension. The objective needs some moments of the plan alone, which are linear in it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.costs import PointCloud
from monge.structures.forms import Evaluated, Form

__all__ = ["CloudForm"]

Array = NDArray[np.float64]


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

    def product(self, other: Moments) -> float:
        """sum (Cx_ik - Cy_jl)^2 P_ij Q_kl."""
        p, q = self, other
        squares_x = p.uu * q.one + q.uu * p.one + 2.0 * p.u * q.u + 4.0 * _dot(p.xx, q.xx)
        squares_x -= 4.0 * float(p.ux @ q.x + q.ux @ p.x)
        squares_y = p.vv * q.one + q.vv * p.one + 2.0 * p.v * q.v + 4.0 * _dot(p.yy, q.yy)
        squares_y -= 4.0 * float(p.vy @ q.y + q.vy @ p.y)
        across = p.one * q.uv + q.one * p.uv + p.u * q.v + q.u * p.v + 4.0 * _dot(p.xy, q.xy)
        across -= 2.0 * float(p.uy @ q.y + q.uy @ p.y + p.xv @ q.x + q.xv @ p.x)
        return float(squares_x + squares_y - 2.0 * across)


class CloudForm(Form):
    """Of clouds x (n, d) and y (m, e), which should be about their means: that keeps digits."""

    def __init__(self, x: Array, y: Array) -> None:
        self.x, self.y = x, y
        self.u, self.v = (x**2).sum(axis=1), (y**2).sum(axis=1)
        self.shape = len(x), len(y)

    def at(self, plan: Any) -> CloudsAt:
        return CloudsAt(self, plan, self.moments(plan))

    def moments(self, plan: Any) -> Moments:
        x, y, u, v = self.x, self.y, self.u, self.v
        sent = plan @ np.column_stack([np.ones(len(y)), v, y])  # (n, 2 + e)
        p, pv, py = sent[:, 0], sent[:, 1], sent[:, 2:]
        q = plan.T @ np.ones(len(x))
        return Moments(
            float(p.sum()),
            *(float(u @ p), float((u * u) @ p), x.T @ p, x.T @ (u * p), (x.T * p) @ x),
            *(float(v @ q), float((v * v) @ q), y.T @ q, y.T @ (v * q), (y.T * q) @ y),
            *(float(u @ pv), x.T @ pv, u @ py, x.T @ py),
        )


class CloudsAt(Evaluated):
    """A form of clouds at a plan."""

    def __init__(self, form: CloudForm, plan: Any, moments: Moments) -> None:
        self.form, self.plan, self.moments = form, plan, moments
        self.value = moments.product(moments)

    def cost(self) -> PointCloud:
        m, form = self.moments, self.form
        middle_x, middle_y = m.x / m.one, m.y / m.one
        x, y = form.x - middle_x, form.y - middle_y
        A = m.xy - np.multiply.outer(m.x, middle_y)
        u, v = (x**2).sum(axis=1), (y**2).sum(axis=1)
        scale, root = np.sqrt(2.0), np.sqrt(m.one)
        phi = scale * np.column_stack([root * u, 4.0 * x @ A])
        psi = scale * np.column_stack([root * v, y])
        return PointCloud(phi, psi)

    def along(self, other: Any) -> tuple[float, float]:
        across = self.moments.product(other.moments)
        return 2.0 * (across - self.value), self.value - 2.0 * across + float(other.value)

    def mixed(self, t: float, other: Any) -> CloudsAt:
        return CloudsAt(self.form, _mixture(t, self.plan, other.plan), self.moments.mixed(t, other.moments))


def _mixture(t: float, plan: Any, other: Any) -> Any:
    return other if t == 1.0 else plan * (1.0 - t) + other * t


def _dot(one: Array, other: Array) -> float:
    return float((one * other).sum())
