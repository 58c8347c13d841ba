"""The barycenter of a fixed support, and what is known of it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.fixed.adjoint import Linearised
from monge.barycenters.fixed.certificate import lower_bound, own_potentials, upper_bound
from monge.barycenters.fixed.problem import Problem
from monge.barycenters.fixed.steps import worth
from monge.entropic.kernels.select import pairs_of, route
from monge.entropic.kernels.threads import Threads
from monge.entropic.marginals import as_marginals
from monge.entropic.plan import LazyPlan
from monge.problem.arrays import real_array
from monge.problem.transport import ConvergenceWarning, Status

__all__ = ["Barycenter"]

Array = NDArray[np.float64]

# The share of the right-hand side that is left above which derivatives come with a warning.
_UNSOLVED = 1e-3


class Barycenter:
    """The barycenter of histograms on given places; see `monge.barycenter` for what it minimises.

    Whatever is not needed to find it is computed when it is first asked for, and kept.

    Attributes
    ----------
    weights : ndarray (m,)
        The barycenter: weights of the places that are the columns of the cost. It is the mean of the plans' second
        marginals, so it has the total of the histograms but for rounding; with ``marginals`` a mass of its own.
    value : float
        The objective at the optimum, in cost units times mass: the dual value of the potentials, which is below it by
        no more than `gap`. With debias the mean Sinkhorn divergence, sum_k w_k S_eps(a_k, alpha), up to the tolerance.
    lower_bound : float
        No histogram has an objective below this: the dual value of potentials that are feasible, less what rounding may
        add.
    gap : float
        The objective of plans that are feasible, minus `lower_bound`; infinite where arcs are forbidden and masses are
        fixed, unless they are met exactly.
    f : ndarray (k, n)
        Potentials of the histograms, in cost units; -inf where a histogram has no mass. Plan k is
        exp((f_k + g_k - C) / eps).
    g : ndarray (k, m)
        Potentials of the barycenter, sum_k w_k g_k = 0; with debias that is eps log d, d the density of the debiasing,
        and with monge.KL(rho) on that side sum_k w_k exp(-g_k / rho) = 1. With fixed marginals f_k + t, g_k - t would
        do as well as f_k, g_k, and t is such that <g_k, alpha> is the same for all k.
    grad_weights : ndarray (k,)
        Derivative of `value` with respect to the mixing weights w: the transport problem's value for each histogram.
    grad_histograms : ndarray (k, n)
        Derivative with respect to the histograms. With fixed marginals each row is defined up to a constant, and the
        one here is that of `f`. Without debias it is -inf where a histogram has no mass: the objective has the
        entropy of the plans in it, whose slope is infinite there.
    marginal_error : float
        The largest of what should vanish, measured on the plans that `plan` gives and over the mass:
        sum_k w_k |P_k' 1 - alpha|_1; |sum alpha - total|; with debias |d (K d) - alpha|_1, K = exp(-C / eps).
    iterations : int
        Passes over all histograms, at all eps on the way.
    status : Status
        Why it stopped; ``status.value`` is advice.
    converged : bool
        Whether the marginal error came below tol.
    eps : float
        Strength of the entropy; None without.
    stats : dict
        ``errors`` after each pass, and seconds.

    Methods
    -------
    plan(k)
        From histogram k to the barycenter.
    vjp(direction)
        Derivatives of <direction, weights> with respect to the mixing weights and the histograms.
    """

    def __init__(
        self,
        problem: Problem,
        eps: float,
        weights: Array,
        f: Array,
        g: Array,
        *,
        log_d: Array | None,
        marginal_error: float,
        status: Status,
        iterations: int,
        stats: Mapping[str, Any],
        threads: int,
    ) -> None:
        self.weights, self.eps, self.f, self.g = weights, eps, f, g
        self.marginal_error, self.status, self.iterations = marginal_error, status, iterations
        self.stats = dict(stats)
        self._problem, self._threads = problem, threads
        self._log_d = log_d  # (m,), of the density of a debiased barycenter

    @property
    def converged(self) -> bool:
        """Whether it reached what was asked for."""
        return self.status in (Status.CONVERGED, Status.OPTIMAL)

    @cached_property
    def _kernel(self) -> Any:
        """exp(-C / eps)."""
        return self._problem.kernel(self.eps, Threads(self._threads))

    @cached_property
    def _sums(self) -> Array:
        """log K exp(g / eps), (k, n)."""
        return np.asarray(self._kernel.log_sum(self.g / self.eps))

    @cached_property
    def _back_sums(self) -> Array:
        """log K' exp(f / eps), (k, m)."""
        return np.asarray(self._kernel.T.log_sum(self.f / self.eps))

    @cached_property
    def _masses(self) -> Array:
        """Of the plans, (k,)."""
        with np.errstate(invalid="ignore"):
            logs = self.g / self.eps + self._back_sums
        return np.asarray(np.exp(np.where(np.isnan(logs), -np.inf, logs)).sum(axis=1))

    @cached_property
    def _kernel_total(self) -> float:
        """Of exp(-C / eps)."""
        with np.errstate(over="ignore"):
            return float(np.exp(self._kernel.log_sum(np.zeros((1, len(self.weights))))).sum())

    @cached_property
    def _own(self) -> Array:
        """log (a_k / d_k) for the d_k with d_k (K d_k) = a_k, (k, n): what debiasing takes from the histograms."""
        return own_potentials(self._kernel, self._problem.log_histograms)

    @property
    def value(self) -> float:
        """The objective: see `monge.barycenter`."""
        weights = self._problem.weights
        some = weights > 0.0
        return float(weights[some] @ self.grad_weights[some])

    @cached_property
    def grad_weights(self) -> Array:
        """Derivative of `value` with respect to the mixing weights, (k,): the value of each histogram's own problem.

        The envelope theorem. Along directions that sum to zero it is the slope of the barycenter's value; it holds for
        weights of zero, too.
        """
        problem, eps = self._problem, self.eps
        if self._log_d is not None:  # what is -inf in both, eps log a, cancels
            return worth(problem.histograms, eps * (self._own - self._sums), problem.rows) + worth(
                self.weights, self.g - eps * self._log_d, problem.columns
            )
        sent = worth(problem.histograms, self.f, problem.rows)
        received = worth(self.weights, self.g, problem.columns)
        return sent + received - eps * self._masses + eps * self._kernel_total

    @cached_property
    def grad_histograms(self) -> Array:
        """Derivative of `value` with respect to the histograms, (k, n); see the class for its constants."""
        problem = self._problem
        some = problem.weights > 0.0
        slopes = np.zeros_like(self.f)
        if self._log_d is not None:
            each = self.eps * (self._own - self._sums)
        elif problem.rows.kl < np.inf:
            with np.errstate(over="ignore"):
                each = -problem.rows.kl * np.expm1(-self.f / problem.rows.kl)
        else:
            each = self.f
        slopes[some] = problem.weights[some, np.newaxis] * each[some]
        return slopes

    @cached_property
    def lower_bound(self) -> float:
        """No histogram has an objective below this.

        Raises
        ------
        TypeError
            For a debiased barycenter. It is a minimum over the density d and a maximum over the potentials, so the
            potentials prove nothing.
        """
        self._require_certificate("lower_bound")
        return lower_bound(self._problem, self._kernel, self.f, self.g, self.eps) + self.eps * self._kernel_total

    @cached_property
    def gap(self) -> float:
        """How far the objective of feasible plans is above `lower_bound`: no histogram does better by more than that.

        Raises
        ------
        TypeError
            For a debiased barycenter; see `lower_bound`.
        """
        self._require_certificate("gap")
        problem, kernel = self._problem, self._kernel
        above = upper_bound(problem, kernel, self.f, self.g, self.weights, self.eps)
        return max(above - lower_bound(problem, kernel, self.f, self.g, self.eps), 0.0)

    def _require_certificate(self, name: str) -> None:
        if self._log_d is not None:
            raise TypeError(
                f"a debiased barycenter has no {name}: it is a minimum over the density d and a maximum over "
                "potentials, which therefore prove nothing. Look at marginal_error."
            )

    def plan(self, k: int) -> Any:
        """The plan P_k from a histogram to the barycenter.

        Parameters
        ----------
        k : int
            Which histogram.

        Returns
        -------
        LazyPlan (n, m)
            Computed where it is looked at. For ``eps=None`` a scipy.sparse.coo_array.
        """
        k = range(len(self.f))[k]
        with np.errstate(under="ignore", invalid="ignore"):
            sums, back = self._sums[k], self._back_sums[k]
            sent, received = np.exp(self.f[k] / self.eps + sums), np.exp(self.g[k] / self.eps + back)
        sent[np.isnan(sent)], received[np.isnan(received)] = 0.0, 0.0
        cost = self._problem.cost
        pairs = pairs_of(route(cost, self.eps), cost, sent, received, as_marginals(None), Threads(self._threads))
        f, g = (-self.eps * np.where(np.isfinite(each), each, 0.0) for each in (sums, back))
        return LazyPlan(pairs, f, g, self.eps)

    def vjp(self, direction: Any) -> tuple[Array, Array]:
        """Return the derivatives of <direction, weights>: how the barycenter itself, not its value, changes.

        Parameters
        ----------
        direction : array_like (m,)
            The derivative of some loss with respect to the weights of the barycenter.

        Returns
        -------
        grad_weights : ndarray (k,)
            Derivative of that loss with respect to the mixing weights w, as of w / sum(w): <grad_weights, w> = 0.
        grad_histograms : ndarray (k, n)
            With respect to the histograms, for changes that keep their totals equal.

        Raises
        ------
        TypeError
            With eps=None, marginals or forbidden arcs, for which there is none.

        Notes
        -----
        Of the exact barycenter, from the equations it solves, by a few iterations of the kind that found it and memory
        for a few arrays (k, m): so it is as precise as the barycenter, tol, is. A `ConvergenceWarning` says if it is
        not, which happens with debias, where a direction that is rough beside the kernel has derivatives without bound.
        """
        direction = real_array(direction, "direction", 1, "one number per place of the barycenter")
        if direction.shape != self.weights.shape or not np.isfinite(direction).all():
            raise ValueError(
                f"direction should hold {len(self.weights)} finite numbers, one per place of the barycenter; got shape "
                f"{direction.shape}."
            )
        if self.eps is None or not self._problem.balanced or self._problem.forbidden:
            raise TypeError(
                "vjp is for barycenters with eps, without marginals= and forbidden arcs; others may have no "
                "derivative, or none that is known here."
            )
        v = self.g / self.eps if self._log_d is None else np.vstack([self.g / self.eps, self._log_d])
        linear = Linearised(self._kernel, self._problem.log_histograms, self._problem.weights, v)
        slopes = linear.vjp(direction.astype(np.float64))
        if linear.residual > _UNSOLVED:
            warnings.warn(
                f"vjp: the equations for derivatives are solved up to {linear.residual:.1e} of their right-hand side. "
                "Smooth the direction by exp(-cost / eps), or take a smaller eps, or debias=False.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return slopes

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_kernel"}  # soon made again

    def __repr__(self) -> str:
        k, m = self.g.shape
        kind = ", debiased" if self._log_d is not None else ""
        return (
            f"Barycenter(of {k}, on {m} places{kind}, eps={self.eps:.3g}, {self.status.name}, "
            f"{self.iterations} iterations)"
        )
