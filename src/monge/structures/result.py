"""What is found between two structures: a plan, its value, and how much lower others might be."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.transport import Transport

__all__ = ["GromovStatus", "GromovTransport"]

Array = NDArray[np.float64]


class GromovStatus(enum.Enum):
    """Why a descent ended. The value is the advice.

    Attributes
    ----------
    value : str
        What it means, and what to do about it if the descent should not have ended.
    """

    STATIONARY = (
        "no plan is better to first order: a local optimum. gap says how much lower the optimum may be; n_starts= "
        "tries others"
    )
    MAX_ITER = (
        "max_iter, or with a very small eps passes over the pairs, ran out before the plan was stationary. Raise "
        "max_iter, tol or eps, or go on with init="
    )
    TIME_LIMIT = "time_limit ran out before the plan was stationary. Raise time_limit, or go on with init="


class GromovTransport(Transport):
    """A plan between two structures that is a local optimum; see `gromov_wasserstein`.

    Attributes
    ----------
    value : float
        sum_ijkl (Cx_ik - Cy_jl)^2 P_ij P_kl, without a root; with features (1 - alpha) <P, M> + alpha times that.
    cost : float
        The same as `value`.
    objective : float
        What was minimised: `value`, and eps KL(P | a x b) where there is an eps.
    plan : scipy.sparse.coo_array (n, m)
        The masses P_ij; with entropy a `LazyPlan`, or what the solver for the structures has.
    lower_bound : float
        What no plan with these marginals gets below; computed when first asked for.
    gap : float
        ``value - lower_bound``: the optimum may be that much lower. It need not be: the bounds are seldom reached.
    f, g : ndarray (n,), (m,)
        Potentials of the last linear problem, whose cost is the derivative of the objective, up to terms that are the
        same along a row or a column.
    grad_x, grad_y : ndarray (n, d), (m, e), or (n, n), (m, m)
        Derivatives of `objective` with respect to points, or to structures that are given as matrices.
    grad_a, grad_b : ndarray (n,), (m,)
        Those with respect to the weights. Where both totals must be equal they are defined up to a constant.
    grad_features : pair of ndarray (n, f), (m, f), or ndarray (n, m)
        Those with respect to features.
    grad_alpha : float
        That with respect to the share of the structures.
    starts : ndarray (k,)
        The objectives that the descents from all starts ended at, the best one first.
    eps : float or None
        Strength of the entropy.
    status : GromovStatus
        Why the descent ended; ``status.value`` is advice.
    converged : bool
        Whether the plan is stationary, within tol.
    iterations : int
        Linear problems that were solved from the best start on.
    stats : dict
        Of the best descent ``stationarity``, by how much the last linear problem promised a better objective, to first
        order (with entropy, how far its cost was from that before, over eps); and ``seconds``, ``starts`` and their
        ``iterations``.
    weights : (ndarray (n,), ndarray (m,))
        Those that the plan is between.
    marginal_error : float
        How far the sums of the plan are from the weights, measured, relative to the total mass.
    shape : (int, int)
        Numbers of places of the structures, (n, m).

    Methods
    -------
    map(y)
        Where each place of the first structure goes on average.
    """

    status: GromovStatus  # type: ignore[assignment]
    stats: dict[str, Any]
    plan: Any = None
    slopes: Any = None  # of the objective, where `gromov_wasserstein` has put them

    def __init__(
        self,
        *,
        value: float,
        objective: float,
        plan: Any,
        f: Array,
        g: Array,
        status: GromovStatus,
        iterations: int,
        stats: Mapping[str, Any],
        weights: tuple[Array, Array],
        starts: Array,
        bound: Callable[[], float] | None = None,
        eps: float | None = None,
        mass: float | None = None,
    ) -> None:
        self.value = self.cost = value
        self.objective = objective
        self.plan, self.f, self.g = plan, f, g
        self.status, self.iterations, self.stats = status, iterations, dict(stats)
        self.starts, self.eps = starts, eps
        self.weights, self._bound = weights, bound
        self._entries, self._listed, self._mass, self._cloud = None, None, mass, None

    @property
    def converged(self) -> bool:
        """Whether the plan is stationary, within tol."""
        return self.status is GromovStatus.STATIONARY

    @property
    def grad_x(self) -> Any:
        """Derivative of `objective` with respect to the points x (n, d), or to the matrix Cx (n, n).

        The plan need not be differentiated, since no other is better to first order (Danskin 1967, "The Theory of
        Max-Min"). With respect to a matrix it is 2 (Cx * p p' - P Cy P') for the sums p of the plan, entry by entry:
        what moves C_ik and C_ki alike has the derivatives of both.

        Examples
        --------
        Of two bars, 1 and 3 long, the shorter one should grow:

        >>> import monge
        >>> monge.gromov_wasserstein([[0.0], [1.0]], [[0.0], [3.0]]).grad_x
        array([[ 16.],
               [-16.]])
        """
        return self._point_gradients[0]

    @property
    def grad_y(self) -> Any:
        """Derivative of `objective` with respect to the points y (m, e), or to the matrix Cy (m, m); see `grad_x`."""
        return self._point_gradients[1]

    @property
    def grad_features(self) -> Any:
        """Derivatives of `objective` with respect to both clouds of features, a pair, or to the matrix M (n, m)."""
        return self.slopes.features

    @property
    def grad_alpha(self) -> float:
        """Derivative of `objective` with respect to alpha: E - <P, M>."""
        return float(self.slopes.alpha)

    @property
    def _point_gradients(self) -> tuple[Array, Array]:
        x, y = self.slopes.structures
        return x, y

    @property
    def _weight_gradients(self) -> tuple[Array, Array]:
        a, b = self.slopes.weights
        return a, b

    @cached_property
    def lower_bound(self) -> float:
        """What no plan with these marginals gets below.

        The best of the lower bounds of Memoli 2011, by means and deviations of distances from each place, by all
        distances together, and by quantiles of distances from each place, of structures with up to 3000 places; of
        larger ones the first, by sorting. With features the least <P, M> counts as well. It is at most `value`: bounds
        that rounding puts above are taken down to it. Where masses need not be matched, zero.
        """
        return 0.0 if self._bound is None else max(min(self._bound(), self.value), 0.0)

    @cached_property
    def gap(self) -> float:  # type: ignore[override]
        """`value` - `lower_bound`."""
        return self.value - self.lower_bound

    @cached_property
    def marginal_error(self) -> float:
        """(|P 1 - a|_1 + |P' 1 - b|_1) / total mass, measured on the plan.

        For a part of the mass, as `partial` has it; with penalties it says how far the sums are from the weights.
        """
        (a, b), plan = self.weights, self.plan
        assert a is not None
        assert b is not None
        off_a, off_b = np.asarray(plan.sum(axis=1)) - a, np.asarray(plan.sum(axis=0)) - b
        if self._mass is not None:
            over = np.maximum(off_a, 0.0).sum() + np.maximum(off_b, 0.0).sum()
            return float((over + abs(float(plan.sum()) - self._mass)) / self._mass)
        return float((np.abs(off_a).sum() + np.abs(off_b).sum()) / a.sum())

    def __repr__(self) -> str:
        n, m = self.shape
        eps = "" if self.eps is None else f"eps={self.eps:.3g}, "
        return (
            f"GromovTransport({n} x {m}, value={self.value:.6g}, {eps}{self.status.name}, "
            f"{self.iterations} iterations, {len(self.starts)} start{'s' if len(self.starts) > 1 else ''})"
        )
