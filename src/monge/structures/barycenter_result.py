"""The result of averaging structures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import positive, positive_integer
from monge.problem.at_home import at_home
from monge.problem.home import Home
from monge.structures.result import GromovStatus

__all__ = ["GromovBarycenter"]

Array = NDArray[np.float64]


class GromovBarycenter:
    """A structure in the middle of others; see `gromov_barycenter`.

    Attributes
    ----------
    structure : ndarray (n, n)
        What it has for each pair of its points, in the units of the structures that were averaged.
    weights : ndarray (n,)
        The masses of its points, 1 / n each.
    features : ndarray (n, d) or None
        The features of its points, where there are features.
    value : float
        sum_s w_s of what it is from each structure, as `gromov_wasserstein` has it; a local optimum.
    values : ndarray (iterations,)
        The objective after each turn, which does not rise: `value`, and with eps the entropies of the plans.
    plans : list of scipy.sparse.coo_array (n, n_s)
        Between its points and those of each structure; with entropy each a `LazyPlan`.
    starts : ndarray (k,)
        The objectives that all starts ended at, the best one first.
    status : GromovStatus
        Why it ended; ``status.value`` is advice.
    converged : bool
        Whether the objective has come to rest.
    iterations : int
        Turns, each of one new structure and of new plans to all.
    stats : dict
        ``seconds``.

    Methods
    -------
    points(dim, power=2)
        Points whose distances are about those of the structure.
    """

    _home: Home | None = None

    def __init__(
        self,
        *,
        structure: Array,
        weights: Array,
        features: Array | None,
        value: float,
        values: Array,
        plans: list[Any],
        starts: Array,
        status: GromovStatus,
        stats: Mapping[str, Any],
    ) -> None:
        self.structure, self.weights, self.features = structure, weights, features
        self._on_host = structure
        self.value, self.values, self.plans, self.starts = value, values, plans, starts
        self.status, self.stats = status, dict(stats)

    @property
    def converged(self) -> bool:
        """Whether the objective has come to rest."""
        return self.status is GromovStatus.STATIONARY

    @property
    def iterations(self) -> int:
        """Turns, each of one new structure and of new plans to all."""
        return len(self.values)

    def brought(self, home: Home | None) -> GromovBarycenter:
        """The same, with its arrays where the caller's are."""
        self.structure, self.weights = at_home(self.structure, home), at_home(self.weights, home)
        self.features, self.plans = at_home(self.features, home), at_home(self.plans, home)
        self._home = home
        return self

    def points(self, dim: int, power: float = 2.0) -> Any:
        """Make points whose distances, to the power, are about the structure: classical scaling (Torgerson 1952).

        Parameters
        ----------
        dim : int
            Their dimension, at most n.
        power : float
            Which power of distances the structure has: 2 for averages of clouds, 1 for those of distances.

        Returns
        -------
        ndarray (n, dim)
            About their mean, along their principal axes, whose signs are arbitrary.

        Raises
        ------
        ValueError
            For a dimension below one or above n, or a power that is not positive.
        """
        dim, power = positive_integer(dim, "dim"), positive(power, "power")
        n = len(self._on_host)
        if dim > n:
            raise ValueError(f"dim should be at most {n}, the number of points; got {dim}.")
        squares = np.maximum(self._on_host, 0.0) ** (2.0 / power)
        squares -= squares.mean(axis=0)
        squares -= squares.mean(axis=1, keepdims=True)
        variance, axes = np.linalg.eigh(-0.25 * (squares + squares.T))
        best = np.argsort(-variance)[:dim]
        return at_home(axes[:, best] * np.sqrt(np.maximum(variance[best], 0.0)), self._home)

    def __repr__(self) -> str:
        k = len(self.plans)
        return (
            f"GromovBarycenter({len(self._on_host)} points of {k} structure{'s' if k > 1 else ''}, "
            f"value={self.value:.6g}, {self.status.name}, {self.iterations} iterations)"
        )
