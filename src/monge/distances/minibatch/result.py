"""What `minibatch` returns."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.distances.loss import Loss
from monge.distances.minibatch.sampled import Estimate, warn_of_shortfalls
from monge.problem.at_home import at_home
from monge.problem.home import Home

__all__ = ["Debiased", "Minibatch"]

Array = NDArray[np.float64]

_NO_WEIGHTS = (
    "there is no derivative with respect to weights: they are the chances with which points are drawn. Use monge.emd "
    "or monge.sinkhorn of all points for grad_a and grad_b."
)


class Minibatch(Loss):
    """Optimal transport between minibatches: the mean U(a, b) over pairs of batches; see `Loss`.

    It is no distance: U(a, a) > 0, and on average it is above the transport between all points. ``debiased`` takes that
    out. Derivatives and the plan are computed when asked for, and read the points again then: do not change them
    before.

    Attributes
    ----------
    standard_error : float
        Of the value, as an estimate of the mean over all pairs of batches there are; 0 if those were taken, and NaN of
        a single epoch or pair, which says nothing of how far others would be.
    debiased : Loss
        U(a, b) - (U(a, a) + U(b, b)) / 2, with its own standard error and derivatives.
    plan : scipy.sparse.coo_array (n, m)
        The mean of the plans between batches: of total mass one, but under penalties.
    grad_x, grad_y : ndarray (n, d), (m, d)
        The mean of the derivatives of the pairs: an unbiased estimate of that of the mean over all pairs.
    n_batches : int
        Pairs of batches that were solved.
    converged : bool
        Whether all pairs that were asked for were, as precisely as they should be.
    """

    def __init__(self, value: float, estimate: Estimate, home: Home | None) -> None:
        self._estimate, self.home = estimate, home

    @property
    def standard_error(self) -> float:
        """That of the value."""
        return _standard_error(self._estimate.units) if self._estimate.drawn else 0.0

    @property
    def n_batches(self) -> int:
        """Pairs of batches that were solved."""
        return self._estimate.count

    @property
    def converged(self) -> bool:
        """Whether all pairs that were asked for were solved, as precisely as they should be."""
        return self._estimate.whole and self._estimate.late == 0

    @property
    def plan(self) -> Any:
        """The mean plan (n, m) as a scipy.sparse.coo_array.

        With epochs, and as many points on either side, its sums are the weights. Otherwise they are so on average. Of
        entropic transport the pairs are solved again for it.
        """
        return at_home(self._plan, self.home)

    @cached_property
    def _plan(self) -> Any:
        from scipy.sparse import coo_array

        rows, columns, mass = self._estimate.entries
        plan = coo_array((mass, (rows, columns)), shape=self._estimate.shape)
        plan.sum_duplicates()
        return plan

    @cached_property
    def debiased(self) -> Debiased:
        """U(a, b) - (U(a, a) + U(b, b)) / 2, with as many pairs of batches for each, drawn from the same seed.

        Of a measure and the same one moved by t it is |t|^2 at the squared distance, with any batch size. It may be
        negative.
        """
        within = self._estimate.within(0), self._estimate.within(1)
        for estimate in within:
            warn_of_shortfalls(estimate, 4)
        value = self._estimate.value - 0.5 * (within[0].value + within[1].value)
        return Debiased(value, (self._estimate, *within), self.home)

    @property
    def grad_x(self) -> Any:
        """The mean derivative with respect to x, (n, d)."""
        return self._at_home(self._estimate.slopes(0))

    @property
    def grad_y(self) -> Any:
        """The mean derivative with respect to y, (m, d)."""
        return self._at_home(self._estimate.slopes(1))

    @property
    def _weight_gradients(self) -> tuple[Array, Array]:
        raise TypeError(_NO_WEIGHTS)


class Debiased(Loss):
    """Transport between minibatches without what two batches of one measure cost; see `Loss`.

    Attributes
    ----------
    standard_error : float
        Of the value, as that of `Minibatch`.
    terms : tuple of float
        U(a, b), U(a, a) and U(b, b).
    """

    def __init__(self, value: float, estimates: tuple[Estimate, Estimate, Estimate], home: Home | None) -> None:
        self._estimates, self.home = estimates, home

    @property
    def terms(self) -> tuple[float, float, float]:
        """U(a, b), U(a, a) and U(b, b)."""
        across, of_x, of_y = self._estimates
        return across.value, of_x.value, of_y.value

    @property
    def standard_error(self) -> float:
        """That of the value, from the pairs or epochs that the three terms have in common draws."""
        if not self._estimates[0].drawn:
            return 0.0
        count = min(len(one.units) for one in self._estimates)
        across, of_x, of_y = (one.units[:count] for one in self._estimates)
        return _standard_error(across - 0.5 * (of_x + of_y))

    @property
    def grad_x(self) -> Any:
        """The derivative with respect to x, (n, d): both batches of U(a, a) move with it."""
        return self._at_home(self._slopes(0))

    @property
    def grad_y(self) -> Any:
        """The derivative with respect to y, (m, d)."""
        return self._at_home(self._slopes(1))

    def _slopes(self, side: int) -> Array:
        own = self._estimates[1 + side]
        return self._estimates[0].slopes(side) - 0.5 * (own.slopes(0) + own.slopes(1))

    @property
    def _weight_gradients(self) -> tuple[Array, Array]:
        raise TypeError(_NO_WEIGHTS)


def _standard_error(units: Array) -> float:
    return float(units.std(ddof=1)) / math.sqrt(len(units)) if len(units) > 1 else math.nan
