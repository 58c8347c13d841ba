"""The result of every solver: a plan, its price, and the proof of how good it is."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import real_array
from monge.problem.plan_slopes import plan_slopes

__all__ = ["ConvergenceWarning", "InfeasibleError", "Status", "Transport"]

Array = NDArray[np.float64]


class ConvergenceWarning(UserWarning):
    """A solver stopped before it reached what was asked for; the text says what to change."""


class InfeasibleError(ValueError):
    """No plan moves the mass without using a forbidden arc, one whose cost is +inf."""


class Status(enum.Enum):
    """Why a solver stopped. The value is the advice.

    Attributes
    ----------
    value : str
        What it means, and what to do about it if the solver should not have stopped.
    """

    OPTIMAL = "the plan is optimal; the gap certifies it"
    CONVERGED = "the marginal error is within tol"
    MAX_ITER = (
        "max_iter ran out before the marginal error came below tol: marginal_error says how far the plan is from its "
        "weights. Raise max_iter, tol or eps, or go on from this result with init="
    )
    ROUNDED = (
        "eps is so small beside the costs that potentials have too few digits for it: marginal_error, which was "
        "measured, stays above tol. Raise eps or tol, take a common part out of the costs, or use emd"
    )
    FEASIBLE = (
        "the plan is feasible and its gap says how far it may be from the optimum; a smaller eps makes it smaller, "
        "and emd gives the optimum"
    )
    INEXACT = (
        "costs that differ in size by more than the digits of a number are in use: the plan is feasible and its gap "
        "says how far it may be from the optimum. Write inf, not a large number, for an arc that must not be used"
    )
    TIME_LIMIT = (
        "time_limit ran out: the plan is feasible and its gap says how far it may be from the optimum. "
        "Raise time_limit, or start from this result with init="
    )
    OUT_OF_TIME = (
        "time_limit ran out before the marginal error came below tol: marginal_error says how far the plan is from its "
        "weights. Raise time_limit or tol, or go on from this result with init="
    )


class Transport:
    """A transport plan P with marginals a and b, dual potentials, and a certificate.

    Attributes
    ----------
    value : float
        The minimised objective; for `emd` the same as `cost`, for `sinkhorn` the dual value of f and g.
    cost : float
        <P, C>, in cost units times mass units.
    f, g : ndarray (n,), (m,)
        Potentials, in cost units. For `emd` and `partial` they are dual feasible, f_i + g_j <= C_ij, also where a
        weight is zero.
    gap : float
        Certified primal-dual gap, >= 0: no plan costs less than `cost - gap`.
    status : Status
        Why the solver stopped; ``status.value`` is advice.
    converged : bool
        Whether it reached what was asked for.
    iterations : int
        Pivots of the simplex; passes over the costs for `sinkhorn`.
    stats : dict
        Counters and seconds by phase.
    grad_x, grad_y : ndarray (n, d), (m, d)
        Derivatives of `value` with respect to the points of a `PointCloud`; with respect to a matrix of costs it is the
        plan.
    grad_a, grad_b : ndarray (n,), (m,)
        Derivatives of `value` with respect to the weights.
    plan : scipy.sparse.coo_array (n, m)
        The masses P_ij; for `sinkhorn` a `LazyPlan`.
    marginal_error : float
        How far the sums of the plan are from the weights, measured, relative to the total mass.
    shape : (int, int)
        Numbers of sources and targets, (n, m).

    Methods
    -------
    map(y)
        Where each source goes on average.
    """

    def __init__(
        self,
        *,
        value: float,
        cost: float,
        f: Array,
        g: Array,
        gap: float,
        status: Status,
        iterations: int,
        stats: Mapping[str, Any],
        weights: tuple[Array | None, Array | None],
        entries: tuple[NDArray[np.int64], NDArray[np.int64], Array] | None,
        listed: tuple[NDArray[np.int32], NDArray[np.int32]] | None = None,
        mass: float | None = None,
        cloud: Any = None,
    ) -> None:
        self.value, self.cost = value, cost
        self.f, self.g = f, g
        self.gap = gap
        self.status = status
        self.iterations = iterations
        self.stats = stats
        self._weights = weights
        self._mass = mass  # of a partial plan, whose marginals may stay below the weights
        self._entries = entries  # rows, columns and masses of the plan
        self._listed = listed  # arcs that `emd` should look at first when it starts from here
        self._cloud = cloud  # the PointCloud that the costs come from, if there is one

    @property
    def converged(self) -> bool:
        """Whether the solver reached what was asked for."""
        return self.status in (Status.OPTIMAL, Status.CONVERGED, Status.FEASIBLE)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        return len(self.f), len(self.g)

    @cached_property
    def plan(self) -> Any:
        """The plan P (n, m) as a scipy.sparse.coo_array, with at most n + m - 1 entries for `emd` and `partial`."""
        from scipy.sparse import coo_array

        assert self._entries is not None
        rows, cols, mass = self._entries
        return coo_array((mass, (rows, cols)), shape=self.shape)

    @cached_property
    def marginal_error(self) -> float:
        """(|P 1 - a|_1 + |P' 1 - b|_1) / total mass, measured on the plan.

        For `partial`, whose marginals are bounds, (|max(P 1 - a, 0)|_1 + |max(P' 1 - b, 0)|_1 + |sum P - mass|) / mass.
        """
        assert self._entries is not None
        rows, cols, mass = self._entries
        (n, m), total = self.shape, float(mass.sum())
        a, b = self._weights
        sent, received = np.bincount(rows, mass, n), np.bincount(cols, mass, m)
        if self._mass is not None:
            over_a = np.maximum(sent - (1.0 / n if a is None else a), 0.0).sum()
            over_b = np.maximum(received - (1.0 / m if b is None else b), 0.0).sum()
            return float((over_a + over_b + abs(total - self._mass)) / self._mass)
        error = (
            np.abs(sent - (total / n if a is None else a)).sum()
            + np.abs(received - (total / m if b is None else b)).sum()
        )
        return float(error / total)

    @property
    def grad_x(self) -> Array:
        """Derivative d value / d x_i = sum_j P_ij dc(x_i, y_j) / dx_i, (n, d), in cost units times mass per unit of x.

        The envelope theorem (Danskin 1967, "The Theory of Max-Min"): the plan and the potentials need not be
        differentiated, since they are optimal. For `emd` it is a subgradient where several plans are optimal. A pair
        whose cost has no derivative, such as |x - y| of equal points, contributes nothing.

        Raises
        ------
        TypeError
            If the costs are not those of points, or the plan is not optimal, as that of `rounded()`.

        Examples
        --------
        >>> import monge
        >>> monge.emd(monge.PointCloud([[0.0], [5.0]], [[1.0], [9.0]])).grad_x
        array([[-1.],
               [-4.]])
        """
        return self._point_gradients[0]

    @property
    def grad_y(self) -> Array:
        """Derivative d value / d y_j, (m, d); see `grad_x`."""
        return self._point_gradients[1]

    @property
    def grad_a(self) -> Array:
        """Derivative d value / d a_i, (n,), in cost units.

        Where both totals must stay equal, as for `emd`, the derivatives are defined up to a constant that grad_a and
        grad_b have with opposite signs. It is chosen so that <grad_a, a> / sum a = <grad_b, b> / sum b. For `emd`,
        <grad_a, a> + <grad_b, b> is the value, and where several potentials are optimal this is a subgradient.

        Examples
        --------
        >>> import monge
        >>> t = monge.emd([[2.0]], [3.0], [3.0])
        >>> t.grad_a, t.grad_b
        (array([1.]), array([1.]))
        """
        return self._weight_gradients[0]

    @property
    def grad_b(self) -> Array:
        """Derivative d value / d b_j, (m,); see `grad_a`."""
        return self._weight_gradients[1]

    @cached_property
    def _point_gradients(self) -> tuple[Array, Array]:
        cloud = self._points_of("grad_x and grad_y")
        assert self._entries is not None
        along_x, along_y = plan_slopes(cloud.ground, cloud.x, cloud.y, self._entries)
        return along_x, along_y

    @cached_property
    def _weight_gradients(self) -> tuple[Array, Array]:
        if self._mass is not None:  # one more unit of weight saves what it costs to move the dearest one elsewhere
            return np.asarray(self.f - self.f.max()), np.asarray(self.g - self.g.max())
        n, m = self.shape
        a, b = self._weights
        weights_a, weights_b = (np.ones(k) if w is None else w.astype(np.float64) for k, w in ((n, a), (m, b)))
        return balanced_gradients(self.f, self.g, weights_a, weights_b)

    def _points_of(self, names: str) -> Any:
        if self._cloud is None:
            raise TypeError(
                f"{names} need a cost between points, monge.PointCloud; this one has none. The derivative with respect "
                "to a matrix of costs is the plan."
            )
        return self._cloud

    def map(self, y: Any) -> NDArray[Any]:
        """The barycentric projection T(x_i) = sum_j P_ij y_j / sum_j P_ij (Ferradans et al. 2014, section 2.3).

        Parameters
        ----------
        y : array_like (m, d) or (m,)
            Target points, or any values attached to them.

        Returns
        -------
        ndarray (n, d) or (n,)
            Images of the sources; NaN for sources without mass, which go nowhere.

        Examples
        --------
        >>> import numpy as np, monge
        >>> x = np.array([[0.0, 0.0], [1.0, 0.0]])
        >>> t = monge.emd(monge.PointCloud(x, x[::-1] + 10.0))
        >>> t.map(x[::-1] + 10.0)
        array([[10., 10.],
               [11., 10.]])
        """
        points = real_array(y, "y", (1, 2), f"values of shape ({self.shape[1]}, d)")
        if len(points) != self.shape[1]:
            raise ValueError(f"y should have {self.shape[1]} rows, one per target; got shape {points.shape}.")
        sent = self.plan.sum(axis=1)
        with np.errstate(invalid="ignore"):
            images: NDArray[Any] = (self.plan @ points) / (sent[:, np.newaxis] if points.ndim == 2 else sent)
        return images

    def __repr__(self) -> str:
        n, m = self.shape
        return (
            f"Transport({n} x {m}, value={self.value:.6g}, gap={self.gap:.2g}, "
            f"{self.status.name}, {self.iterations} iterations)"
        )


def balanced_gradients(f: Array, g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """f + t and g - t, with the t for which <f, a> / sum a = <g, b> / sum b."""
    t = 0.5 * float(g @ b / b.sum() - f @ a / a.sum())
    return f + t, g - t
