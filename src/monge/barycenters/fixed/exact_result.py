"""The barycenter of a fixed support without entropy, as a result."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.fixed.exact import ExactBarycenter
from monge.barycenters.fixed.problem import Problem
from monge.barycenters.fixed.result import Barycenter
from monge.barycenters.fixed.steps import worth
from monge.exact.emd import emd
from monge.problem.transport import Status

__all__ = ["ExactBarycenterResult"]

Array = NDArray[np.float64]


class ExactBarycenterResult(Barycenter):
    """The least sum_k w_k <P_k, C>: what a `Barycenter` is for ``eps=None``.

    Potentials are feasible, f_k(i) + g_k(j) <= C_ij, and sums of them derivatives where those exist, else one of
    several subgradients.
    """

    def __init__(self, problem: Problem, exact: ExactBarycenter, elapsed: float, threads: int) -> None:
        super().__init__(
            problem,
            0.0,
            exact.a,
            np.stack(exact.f),
            exact.g,
            log_d=None,
            marginal_error=0.0,
            status=Status.OPTIMAL,
            iterations=0,
            stats={"seconds_total": elapsed},
            threads=threads,
        )
        self.eps = None  # type: ignore[assignment]
        self._value, self._gap = float(exact.value), float(exact.gap)

    @property
    def value(self) -> float:
        """sum_k w_k <P_k, C>, of plans that are feasible."""
        return self._value

    @property
    def gap(self) -> float:
        """How far `value` may be from the optimum."""
        return self._gap

    @property
    def lower_bound(self) -> float:
        """No histogram has a value below this."""
        return self._value - self._gap

    @property
    def grad_weights(self) -> Array:
        """What each histogram's transport costs, (k,)."""
        problem = self._problem
        return worth(problem.histograms, self.f, problem.rows) + worth(self.weights, self.g, problem.columns)

    @property
    def grad_histograms(self) -> Array:
        """w_k f_k, (k, n); defined up to a constant for each row."""
        return self._problem.weights[:, np.newaxis] * self.f

    def plan(self, k: int) -> Any:
        """The plan (n, m) from a histogram to the barycenter, as a scipy.sparse.coo_array."""
        k = range(len(self.f))[k]
        problem = self._problem
        return emd(problem.cost, problem.histograms[k], self.weights, init=(self.f[k], self.g[k])).plan

    def __repr__(self) -> str:
        k, m = self.g.shape
        return f"Barycenter(of {k}, on {m} places, exact, value={self.value:.6g}, gap={self.gap:.2g})"
