"""Structures whose points have features, too: what they are, besides how they lie.

(1 - alpha) <P, M> + alpha sum_ijkl (Cx_ik - Cy_jl)^2 P_ij P_kl          (Vayer et al. 2020)

The derivative has (1 - alpha) M more. Of clouds, features with squared distances between them become more coordinates
of the cloud whose squared distances are the derivative: no array over pairs. Any other M is added as a matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from monge.exact.dense import dense
from monge.problem.arrays import real_array, real_number, shown
from monge.problem.costs import Cost, CostMatrix, PointCloud, as_points, is_sparse
from monge.structures.forms import Evaluated, Form, Free, Toward
from monge.structures.products import priced, sums_of

__all__ = ["FusedAt", "FusedForm", "fused"]

Array = NDArray[np.float64]


class Features(Protocol):
    """M, and what is done with it."""

    size: float  # about how large its entries are

    def priced(self, plan: Any) -> float:
        """<P, M>."""

    def beside(self, cost: Any, weight: float) -> Cost:
        """(1 - weight) M + weight times the cost, up to terms r_i + s_j of the latter alone."""

    def gradients(self, plan: Any) -> Any:
        """The derivative of <P, M> with respect to what M was made from."""


def fused(form: Form, features: Any, alpha: Any, clouds: bool, threads: int = 1) -> Form:
    """The form with features beside the structures.

    Parameters
    ----------
    form : Form
        Of the structures.
    features : None, tuple (fx, fy) or array_like (n, m)
        Two clouds of features, of which M has the squared distances, or M.
    alpha : float
        The share of the structures, from 0 to 1; of no account without features.
    clouds : bool
        Whether the costs of `form` are those of points.
    """
    if features is None:
        return form
    share = real_number(alpha, "alpha", "the share of the structures, from 0 to 1")
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"alpha should be the share of the structures, from 0 to 1; got {shown(alpha)}.")
    if not isinstance(features, tuple):
        return FusedForm(form, FeatureMatrix(_matrix(features, form.shape), threads), share)
    if len(features) != 2:
        raise ValueError(
            "features should be a pair (fx, fy) of clouds, one feature vector for each point of x and of y, or a "
            f"matrix (n, m) of costs between them; got a tuple of {len(features)}."
        )
    cloud = PointCloud(as_points(features[0], "fx"), as_points(features[1], "fy"))
    if cloud.shape != form.shape:
        raise ValueError(
            f"features should have one feature vector for each point; there are {form.shape[0]} and {form.shape[1]} "
            f"points, and {cloud.shape[0]} and {cloud.shape[1]} vectors."
        )
    return FusedForm(form, (FeaturePoints if clouds else FeatureClouds)(cloud, threads), share)


def _matrix(M: Any, shape: tuple[int, int]) -> NDArray[Any]:
    expected = f"a pair (fx, fy) of clouds, or a matrix of costs of shape {shape}"
    if is_sparse(M):
        raise TypeError(f"features should be {expected}; a sparse matrix has no costs where it has no entries.")
    matrix = real_array(M, "features", 2, expected)
    if matrix.shape != shape:
        raise ValueError(f"features should be {expected}; got shape {matrix.shape}.")
    if not np.isfinite(matrix).all():
        raise ValueError(f"features should be {expected}, of finite numbers; some are NaN or infinite.")
    return matrix


class FusedForm(Form):
    """(1 - alpha) <P, M> + alpha times the form of the structures."""

    def __init__(self, form: Form, features: Features, alpha: float) -> None:
        self.form, self.features, self.alpha = form, features, alpha
        self.shape = form.shape

    def at(self, plan: Any) -> FusedAt:
        return FusedAt(self, self.form.at(plan), self.features.priced(plan))

    def walk(self) -> Callable[[Any], FusedAt]:
        inner = self.form.walk()
        return lambda plan: FusedAt(self, inner(plan), self.features.priced(plan))

    def gradients(self, plan: Any) -> tuple[Array, Array]:
        x, y = self.form.gradients(plan)
        return self.alpha * x, self.alpha * y

    def around(self, structures: Evaluated) -> FusedAt:
        """The same, with features, as the structures alone at a plan, or before there is one."""
        price = 0.0 if structures.plan is None else self.features.priced(structures.plan)
        return FusedAt(self, structures, price)


class FusedAt(Free):
    """A fused form at a plan."""

    def __init__(self, form: FusedForm, structures: Evaluated, price: float) -> None:
        self.form, self.structures, self.price = form, structures, price

    @property
    def plan(self) -> Any:
        return self.structures.plan

    @property
    def value(self) -> float:  # type: ignore[override]
        alpha = self.form.alpha
        return (1.0 - alpha) * self.price + alpha * self.structures.value

    def linear(self, plan: Any) -> float:
        alpha = self.form.alpha
        return (1.0 - alpha) * self.form.features.priced(plan) if alpha < 1.0 else 0.0

    @property
    def size(self) -> float:  # type: ignore[override]
        alpha = self.form.alpha
        return (1.0 - alpha) * self.form.features.size + alpha * self.structures.size

    def exact(self) -> float:
        alpha = self.form.alpha
        return (1.0 - alpha) * self.price + alpha * self.structures.exact()

    def cost(self) -> Cost:
        return self.form.features.beside(self.structures.cost(), self.form.alpha)

    def sides(self) -> tuple[Array, Array]:
        assert isinstance(self.structures, Free)
        r, s = self.structures.sides()
        return self.form.alpha * r, self.form.alpha * s

    def along(self, other: Any) -> tuple[float, float]:
        if isinstance(self.structures, Toward):
            return -np.inf, 0.0  # there is no plan yet: all the way
        alpha = self.form.alpha
        slope, curve = self.structures.along(other.structures)
        return (1.0 - alpha) * (other.price - self.price) + alpha * slope, alpha * curve

    def mixed(self, t: float, other: Any) -> FusedAt:
        if t == 1.0:
            assert isinstance(other, FusedAt)
            return other
        price = (1.0 - t) * self.price + t * other.price
        return FusedAt(self.form, self.structures.mixed(t, other.structures), price)


class FeatureMatrix:
    """M as a matrix, beside costs of any kind."""

    def __init__(self, M: NDArray[Any], threads: int = 1) -> None:
        self.M, self.threads = M, threads
        self.size = float(np.abs(M).max())

    def priced(self, plan: Any) -> float:
        return priced(plan, self.M)

    def beside(self, cost: Any, weight: float) -> Cost:
        if weight == 0.0:
            return CostMatrix(self.M)
        return CostMatrix((1.0 - weight) * self.M + weight * dense(cost, self.threads))

    def gradients(self, plan: Any) -> Any:
        return np.asarray(plan.toarray() if hasattr(plan, "toarray") else plan)


class FeatureClouds(FeatureMatrix):
    """M of squared distances between features, as a matrix, beside that of structures."""

    def __init__(self, cloud: PointCloud, threads: int = 1) -> None:
        super().__init__(dense(cloud, threads), threads)
        self.cloud = cloud

    def gradients(self, plan: Any) -> tuple[Array, Array]:
        return _slopes(self.cloud, plan)


class FeaturePoints:
    """M of squared distances between features, beside costs of points: more coordinates of these."""

    def __init__(self, cloud: PointCloud, threads: int = 1) -> None:
        self.cloud = cloud
        middle = cloud.x.mean(axis=0, dtype=np.float64)
        self.fx, self.fy = cloud.x - middle, cloud.y - middle
        self.size = float((self.fx**2).sum(axis=1).max() + (self.fy**2).sum(axis=1).max())

    def priced(self, plan: Any) -> float:
        fx, fy = self.fx, self.fy
        if is_sparse(plan):
            entries = plan.tocoo()
            return float(entries.data @ ((fx[entries.row] - fy[entries.col]) ** 2).sum(axis=1))
        sent, received = sums_of(plan)
        across = float(np.vdot(fx, plan @ fy))
        return float((fx**2).sum(axis=1) @ sent + (fy**2).sum(axis=1) @ received) - 2.0 * across

    def beside(self, cost: Any, weight: float) -> Cost:
        mine, theirs = (1.0 - weight) ** 0.5, weight**0.5
        if weight == 0.0:
            return PointCloud(self.fx, self.fy)
        phi, psi = (
            np.column_stack([mine * self.fx, theirs * cost.x]),
            np.column_stack([mine * self.fy, theirs * cost.y]),
        )
        return PointCloud(phi, psi)

    def gradients(self, plan: Any) -> tuple[Array, Array]:
        return _slopes(self.cloud, plan)


def _slopes(cloud: PointCloud, plan: Any) -> tuple[Array, Array]:
    """The derivatives of <P, M> with respect to the points (n, d) and (m, d) whose squared distances are M."""
    middle = cloud.x.mean(axis=0, dtype=np.float64)
    fx, fy = cloud.x - middle, cloud.y - middle
    sent, received = sums_of(plan)
    return (
        2.0 * (sent[:, np.newaxis] * fx - plan @ fy),
        2.0 * (received[:, np.newaxis] * fy - plan.T @ fx),
    )
