"""The max-sliced Wasserstein distance: the largest distance between projections, by an ascent on the sphere.

max over theta, |theta| = 1, of  F(theta) = min_P  sum_ij P_ij |<x_i - y_j, theta>|^p          (Deshpande et al. 2019)

For a plan P that is kept, the sum is a convex function of theta, whose ascent by theta <- gradient / |gradient| never
falls (Journee et al. 2010, "Generalized power method for sparse principal component analysis"); for p = 2 its maximum
is the leading eigenvector of the displacements' second moment. But F is the least over all plans, and may fall where
the plan changes. So that step only says how far to look along a great circle; `ascent` goes to where F itself is
largest.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.distances.ascent import Summit, apart, climb, polish
from monge.distances.clouds import each_pair
from monge.distances.directions import check_rng, directions
from monge.distances.ridge import sides_of
from monge.distances.slices import SlicedLoss, Slices
from monge.exact.univariate import check_power
from monge.problem.arrays import available_threads, positive_integer

__all__ = ["MaxSlicedLoss", "max_sliced_wasserstein"]

Array = NDArray[np.float64]

# Of the directions that are looked at, the best so many begin an ascent, beside those that are known to be good.
_STARTS = 12
# The cosine of the angle below which two of these are taken for one.
_NEAR = 0.8
# Second moments are (d, d), and their eigenvectors take d^3 steps: none beyond.
_LARGEST_MOMENT = 512


class MaxSlicedLoss(SlicedLoss):
    """The largest W_p of projections that was found; see `max_sliced_wasserstein`.

    Attributes
    ----------
    direction : ndarray (d,)
        The unit vector it is found along. Its coordinate of the largest size is positive.
    """

    @property
    def direction(self) -> Array:
        """The unit vector (d,) along which the distance is largest."""
        return np.asarray(self.directions[0])

    @cached_property
    def _sides(self) -> list[tuple[float, SlicedLoss]]:
        """Of a summit on a ridge: shares, and the losses along directions on its sides. Else none."""
        if self._mean == 0.0:
            return []
        places, shares = sides_of(self._slices, self.direction, self._unit)
        if len(shares) == 1:
            return []
        return [
            (share, self._slices.loss(place[np.newaxis])) for share, place in zip(shares.tolist(), places, strict=True)
        ]

    @cached_property
    def _point_gradients(self) -> tuple[Array, Array]:
        if not self._sides:
            return super()._point_gradients
        return _mixed([(share, loss._point_gradients) for share, loss in self._sides])

    @cached_property
    def _weight_gradients(self) -> tuple[Array, Array]:
        if not self._sides:
            return super()._weight_gradients
        return _mixed([(share, loss._weight_gradients) for share, loss in self._sides])


def _mixed(parts: list[tuple[float, tuple[Array, Array]]]) -> tuple[Array, Array]:
    first, second = (sum(share * pair[k] for share, pair in parts) for k in range(2))
    return np.asarray(first), np.asarray(second)


def max_sliced_wasserstein(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    p: float = 2,
    n_projections: int = 100,
    rng: Any = None,
    threads: int | None = None,
) -> Any:
    """The max-sliced Wasserstein distance between two weighted point clouds: W_p of their projections to one line.

    ``max_theta (min_P sum_ij P_ij |<x_i - y_j, theta>|^p)^(1/p)`` over unit vectors theta. It is a metric, at most W_p,
    and at least the distance of the means. The maximum is looked for by ascents from several starts: what is found is a
    local maximum, and a lower bound of the largest.

    Parameters
    ----------
    x : array_like (n, d)
        Points of the first measure; a vector stands for points on the line. Batches as for `sliced_wasserstein`.
    y : array_like (m, d)
        Points of the second.
    a, b : array_like (n,), (m,), optional
        Weights, of equal totals; None for uniform ones. They are normalised to probabilities.
    p : float
        Exponent, >= 1.
    n_projections : int
        Number of directions of `sliced_wasserstein` that are looked at first, the best of which begin an ascent. Others
        begin at the difference of the means, and where the second moments differ most.
    rng : None, int or numpy.random.Generator
        What draws these directions (SPEC 7).
    threads : int, optional
        As in `sliced_wasserstein`.

    Returns
    -------
    Loss, or list of Loss for a batch
        A float in the unit of the coordinates, with ``direction`` (d,) and, by the envelope theorem, ``grad_x``,
        ``grad_y``, ``grad_a`` and ``grad_b``: those along this direction, as `sliced_wasserstein` has them. The
        largest slice of a few points is often at a ridge, where several matchings are as good as each other; there they
        are those of the mixture of these along which the slice has no slope.

    Raises
    ------
    ValueError, TypeError, MemoryError
        As `sliced_wasserstein` does.

    Notes
    -----
    Deshpande et al. 2019, "Max-sliced Wasserstein distance and its use for GANs", section 3.2. The best of random
    directions is no substitute: in d dimensions they are at right angles to any given one, up to 1 / sqrt(d).

    Examples
    --------
    >>> import numpy as np, monge
    >>> x = np.random.default_rng(0).normal(size=(50, 20))
    >>> loss = monge.max_sliced_wasserstein(x, x + 2.0 * np.eye(20)[7], rng=0)
    >>> round(loss, 9), int(loss.direction.argmax())
    (2.0, 7)
    """
    power, count, workers = check_power(p), positive_integer(n_projections, "n_projections"), available_threads(threads)

    seed = int(check_rng(rng).integers(2**63))

    def one(x: Any, y: Any, a: Any, b: Any, threads: int) -> MaxSlicedLoss:
        slices, own = Slices.of(x, y, a, b, power, threads), np.random.default_rng(seed)
        return _solve(slices, directions(slices.x.shape[1], count, own), own)

    return each_pair(x, y, a, b, workers, one)


def _solve(slices: Slices, looked_at: Array, rng: np.random.Generator) -> MaxSlicedLoss:
    best = looked_at[:1]
    if slices.x.shape[1] > 1:
        best = _highest(slices, looked_at, rng)
    largest = best[0, np.abs(best[0]).argmax()]
    loss = slices.loss(best if largest > 0.0 else -best, MaxSlicedLoss)
    assert isinstance(loss, MaxSlicedLoss)
    return loss


def _highest(slices: Slices, looked_at: Array, rng: np.random.Generator) -> Array:
    """The best direction (1, d) that ascents from the best starts find."""
    found = slices.sums(looked_at)
    unit = float(found["reaches"].max()) or 1.0  # in which powers of distances do not vanish
    heights = slices.sums(looked_at, unit)["means"]
    seen = apart(looked_at, heights, _STARTS, _NEAR)
    summit = Summit(slices, unit, np.concatenate([_promising(slices), looked_at[seen]]))
    climb(summit)
    polish(summit, rng)
    return summit.best()


def _promising(slices: Slices) -> Array:
    """Directions (k, d) that often are near a maximum: that between the means, and those along which the second moments
    about the means differ most, either way."""
    x, y = slices.placed(slices.x), slices.placed(slices.y)
    moments, means = [], []
    for points, weights in ((x, slices.a), (y, slices.b)):
        shares = np.full(len(points), 1.0 / len(points)) if weights is None else weights / weights.sum()
        means.append(shares @ points)
        if points.shape[1] <= _LARGEST_MOMENT:
            apart = points - means[-1]
            moments.append((apart * shares[:, np.newaxis]).T @ apart)
    found = [means[0] - means[1]]
    if moments:
        found += list(np.linalg.eigh(moments[0] - moments[1])[1][:, [0, -1]].T)
    lengths = [float(np.linalg.norm(each)) for each in found]
    return np.array([each / length for each, length in zip(found, lengths, strict=True) if length > 0.0]).reshape(
        -1, x.shape[1]
    )
