"""Two clouds, whose structures are squared distances: no array over pairs of points.

With both clouds around their means, u = |x|^2, v = |y|^2, and A = X' P Y (d, e) for a plan P of mass m,

    2 sum_kl (|x_i - x_k|^2 - |y_j - y_l|^2)^2 P_kl  =  r_i + s_j - 4 m u_i v_j - 16 x_i' A y_j

for some r and s, since sums over the other index vanish. With A = U S V' the products are those of points with one
coordinate more than the smaller dimension, 2 |phi_i - psi_j|^2 up to other r and s for

    phi = (m^1/2 u, 2 X U S^1/2),  psi = (m^1/2 v, 2 Y V S^1/2)

and all that a plan does to the next problem is the small matrix A (Rioux, Goldfeld and Kato 2023, "Entropic
Gromov-Wasserstein distances: stability and algorithms", section 2.2). Between plans of the same sums the objective is
concave: -8 |X' D Y|^2 for the difference D of two.

The objective is a sum of three squares, of which none cancels, so that of isometric clouds is zero but for squares of
rounding:

    2 m sum_ij P_ij (u_i - v_j)^2 + 2 (sum u - sum v)^2 + 4 sum_ijkl (<x_i, x_k> - <y_j, y_l>)^2 P_ij P_kl
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.costs import PointCloud
from monge.structures.forms import Evaluated, Form, Toward

__all__ = ["Cloud", "CloudForm", "CloudsAt", "TowardClouds", "lifted"]

Array = NDArray[np.float64]


class Cloud:
    """One of the two, as a structure of squared distances.

    Attributes
    ----------
    x : ndarray (n, d)
        The points around their mean.
    u : ndarray (n,)
        |x_i|^2.
    weights : ndarray (n,)
        Their masses.
    mass : float
        The sum of these.
    """

    def __init__(self, points: Array, weights: Array) -> None:
        self.weights, self.mass = weights, float(weights.sum())
        x = points.astype(np.float64)
        for _ in range(2):  # far from the origin the first mean is rounded
            x -= weights @ x / self.mass
        self.x, self.u = x, np.einsum("nd,nd->n", x, x)

    def __len__(self) -> int:
        return len(self.x)

    @cached_property
    def scatter(self) -> Array:
        """sum_i a_i x_i x_i', (d, d)."""
        return (self.x.T * self.weights) @ self.x

    @cached_property
    def squares(self) -> float:
        """sum_ik |x_i - x_k|^4 a_i a_k."""
        a, u = self.weights, self.u
        return float(2.0 * self.mass * (a @ u**2) + 2.0 * (a @ u) ** 2 + 4.0 * np.vdot(self.scatter, self.scatter))

    def some(self, places: NDArray[np.intp]) -> Cloud:
        """A sample of its points, with the same mass."""
        weights = self.weights[places]
        return Cloud(self.x[places], weights * (self.mass / weights.sum()))

    def rows(self, some: slice) -> Array:
        """|x_i - x_k|^2 for some i, (k, n)."""
        return PointCloud(self.x[some], self.x).block(slice(0, len(self.x[some])))

    def moments(self) -> tuple[Array, Array]:
        """Mean and deviation of each row, from moments of the cloud: |x_i - x|^2 is u_i + |x|^2 - 2 <x_i, x>."""
        a, x, u = self.weights / self.mass, self.x, self.u
        mean = float(a @ u)
        skew, spread = x.T @ (a * u), float(a @ (u - mean) ** 2)
        variance = spread + 4.0 * np.einsum("nd,nd->n", x @ (self.scatter / self.mass), x) - 4.0 * (x @ skew)
        return u + mean, np.sqrt(np.maximum(variance, 0.0))


class CloudForm(Form):
    """Of clouds with masses, of the same total: for plans that have these as sums, as far as they are not rounded."""

    def __init__(self, x: Cloud, y: Cloud) -> None:
        self.x, self.y = x, y
        self.shape = len(x), len(y)

    @property
    def product(self) -> Array:
        """The A of the product of the weights."""
        return np.zeros((self.x.x.shape[1], self.y.x.shape[1]))

    def at(self, plan: Any) -> CloudsAt:
        """At a plan, sparse or whatever takes part in products."""
        x, y = self.x, self.y
        if hasattr(plan, "tocoo"):
            entries = plan.tocoo()
            mass, i, j = entries.data, entries.row, entries.col
            A = x.x[i].T @ (mass[:, np.newaxis] * y.x[j])
            return CloudsAt(self, plan, A, float(mass @ (x.u[i] - y.u[j]) ** 2), self._turned(i, j, mass))
        sent = plan @ np.column_stack([y.u, y.x])
        apart = float(x.weights @ x.u**2 + y.weights @ y.u**2 - 2.0 * (x.u @ sent[:, 0]))
        return CloudsAt(self, plan, x.x.T @ sent[:, 1:], max(apart, 0.0))

    def toward(self, A: Array) -> TowardClouds:
        """What begins at a matrix A, without a plan."""
        return TowardClouds(self, A)

    def cost(self, A: Array) -> PointCloud:
        """The derivative at plans with this A, up to terms r_i + s_j."""
        # What is the same for all points of a side does not matter; around the middle costs have more digits.
        u, v = (side.u - side.weights @ side.u / side.mass for side in (self.x, self.y))
        return PointCloud(*lifted(u, self.x.x, v, self.y.x, A, self.x.mass))

    def _turned(self, i: Array, j: Array, mass: Array) -> float:
        """sum (<x_i, x_k> - <y_j, y_l>)^2 P_ij P_kl, for X = (Q R)_1 and Y = (Q R)_2 that of R_1 R_1' - R_2 R_2'."""
        root, d = np.sqrt(mass)[:, np.newaxis], self.x.x.shape[1]
        R: Any = np.linalg.qr(root * np.hstack([self.x.x[i], self.y.x[j]]), mode="r")
        return float(np.sum((R[:, :d] @ R[:, :d].T - R[:, d:] @ R[:, d:].T) ** 2))


def lifted(u: Array, x: Array, v: Array, y: Array, A: Array, mass: float) -> tuple[Array, Array]:
    """2^1/2 phi (n, k) and 2^1/2 psi (m, k), whose squared distances are the derivative up to terms r_i + s_j."""
    U, S, Vt = np.linalg.svd(A, full_matrices=False)  # of min(d, e) coordinates, and no more
    root, by = 2.0 * np.sqrt(S), np.sqrt(mass)
    phi, psi = np.column_stack([by * u, x @ (U * root)]), np.column_stack([by * v, y @ (Vt.T * root)])
    return 2.0**0.5 * phi, 2.0**0.5 * psi


class CloudsAt(Evaluated):
    """A form of clouds at a plan P: A = X' P Y, sum_ij P_ij (u_i - v_j)^2, and the last of the squares where known."""

    def __init__(self, form: CloudForm, plan: Any, A: Array, apart: float, turned: float | None = None) -> None:
        self.form, self.plan, self.A, self.apart, self._turned = form, plan, A, apart, turned

    @property
    def size(self) -> float:  # type: ignore[override]
        return self.form.x.squares + self.form.y.squares

    @property
    def value(self) -> float:  # type: ignore[override]
        x, y = self.form.x, self.form.y
        turned = self._turned
        if turned is None:
            turned = max(float(np.vdot(x.scatter, x.scatter) + np.vdot(y.scatter, y.scatter)) - 2.0 * _dot(self.A), 0.0)
        moved = float(x.weights @ x.u - y.weights @ y.u)
        return 2.0 * x.mass * self.apart + 2.0 * moved**2 + 4.0 * turned

    def cost(self) -> PointCloud:
        return self.form.cost(self.A)

    def along(self, other: Any) -> tuple[float, float]:
        D = other.A - self.A
        slope = 2.0 * self.form.x.mass * (other.apart - self.apart) - 16.0 * float(np.vdot(self.A, D))
        return slope, -8.0 * _dot(D)

    def mixed(self, t: float, other: Any) -> CloudsAt:
        if t == 1.0:
            assert isinstance(other, CloudsAt)
            return other
        # Of plans that are never stored there is no mixture but by what is known of it.
        plan = self.plan * (1.0 - t) + other.plan * t if hasattr(self.plan, "tocoo") else None
        A, apart = ((1.0 - t) * mine + t * theirs for mine, theirs in ((self.A, other.A), (self.apart, other.apart)))
        return CloudsAt(self.form, plan, A, apart)


class TowardClouds(Toward):
    """Where a descent between clouds begins that knows a matrix A alone."""

    def __init__(self, form: CloudForm, A: Array) -> None:
        super().__init__(form.cost(A))
        self.A = A


def _dot(A: Array) -> float:
    return float(np.vdot(A, A))
