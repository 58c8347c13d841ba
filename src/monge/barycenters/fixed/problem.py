"""One barycenter problem of a fixed support: what a call asks for, checked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.inputs import as_histograms, one_total
from monge.barycenters.kernels.select import kernel_of
from monge.entropic.kernels.threads import Threads
from monge.entropic.marginals import as_marginals
from monge.problem.arrays import require_memory
from monge.problem.costs import Cost
from monge.problem.measures import as_mixture
from monge.problem.transport import InfeasibleError

__all__ = ["Problem"]

Array = NDArray[np.float64]

# Arrays (k, n) that the loop keeps: two for each step that it looks back on, and those it works on.
_ARRAYS = 20
# The ratio of costs to eps beyond which exponents say nothing but which cost is the least: float64 has so many digits.
_DIGITS = 1e14


class Problem:
    """Histograms a_k, their weights w_k, and a cost, checked.

    Attributes
    ----------
    histograms : ndarray (k, n)
        Of one total, unless the marginals let totals differ.
    weights : ndarray (k,)
        They sum to one.
    rows, columns : Marginal
        What is asked of the plans' first marginals, and how far the second ones may be from the barycenter.
    total : float
        Of a histogram; the mean of them where they differ.
    forbidden : bool
        Whether some arcs are.
    """

    def __init__(self, histograms: Any, cost: Cost, weights: Any, marginals: Any, debias: bool) -> None:
        n, m = cost.shape
        self.cost, self.debias = cost, debias
        self.histograms = as_histograms(histograms, n)
        k = len(self.histograms)
        require_memory(
            8 * k * max(n, m) * _ARRAYS,
            f"a barycenter of {k} histograms on {n} places, with the steps it looks back on,",
            "Take fewer histograms at a time, or coarser ones.",
        )
        self.weights = as_mixture(weights, k)
        self.rows, self.columns = as_marginals(marginals)
        if self.columns.cap < math.inf:
            raise ValueError(
                f"marginals should have None or monge.KL(rho) on the side of the barycenter; got {self.columns!r}. "
                "monge.TV(rho) is for the side of the histograms: marginals=(monge.TV(rho), None)."
            )
        self.balanced = self.rows.fixed and self.columns.fixed
        if debias:
            if not self.balanced:
                raise ValueError(
                    "debias=True is for histograms of one total; got marginals=. Leave out one of the two."
                )
            try:
                cost.require_symmetric()
            except ValueError as error:
                raise ValueError(
                    "debias=True needs the costs of one set of places to itself, a square and symmetric matrix, "
                    f"PointCloud(x, x) or a Grid. Give such a cost, or leave out debias. {error}"
                ) from error
        if self.balanced:
            self.total = one_total(
                self.histograms, histograms, "Rescale them, or let masses differ with marginals=monge.KL(rho)."
            )
        else:
            self.total = float(self.weights @ self.histograms.sum(axis=1))
        arcs, _ = cost.checked()
        self.forbidden = arcs is not None
        if arcs is not None and self.rows.fixed:
            stuck = (self.histograms[self.weights > 0.0] > 0.0) & arcs.all(axis=1)
            if stuck.any():
                raise InfeasibleError(
                    f"all arcs from place {int(np.argmax(stuck.any(axis=0)))} are forbidden (cost +inf), and a "
                    "histogram has mass there. Give them a large finite cost, or let masses differ with marginals=."
                )
        with np.errstate(divide="ignore"):
            self.log_histograms: Array = np.log(self.histograms)

    def kernel(self, eps: float, threads: Threads) -> Any:
        """exp(-C / eps)."""
        return kernel_of(self.cost, eps, threads)

    def require_digits(self, eps: float) -> None:
        """ValueError for an eps that is nothing beside the costs."""
        largest = self.cost.largest(eps)
        if largest > _DIGITS * eps:
            raise ValueError(
                f"eps = {eps!r} is below the digits of the costs, of up to {largest:.3g}. Raise eps, or take eps=None, "
                "the barycenter without entropy."
            )
