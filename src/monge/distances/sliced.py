"""The sliced Wasserstein distance: the mean over directions of that between projections.

SW_p^p = mean over theta of  min_P  sum_ij P_ij |<x_i - y_j, theta>|^p          (Bonneel, Rabin, Peyre, Pfister 2015)
"""

from __future__ import annotations

from typing import Any

from monge.distances.clouds import each_pair
from monge.distances.directions import directions, drawing
from monge.distances.slices import SlicedLoss, Slices
from monge.exact.univariate import check_power
from monge.problem.arrays import available_threads, positive_integer

__all__ = ["sliced_wasserstein"]


def sliced_wasserstein(
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
    """The sliced Wasserstein distance SW_p between two weighted point clouds, with its derivatives.

    The p-th power of SW_p is the mean over all directions of that of W_p between the projections of both clouds,
    ``mean_theta min_P sum_ij P_ij |<x_i - y_j, theta>|^p``, here over some directions. It takes the time of sorting,
    k (n + m) log(n + m) for k directions. It never exceeds W_p, and for p = 2 the mean over all directions is at most
    W_2 / sqrt(d).

    Parameters
    ----------
    x : array_like (n, d)
        Points of the first measure; a vector stands for points on the line. An array (B, n, d), or a list of clouds of
        any sizes, is a batch of pairs.
    y : array_like (m, d)
        Points of the second. Where one of the two is a batch, one cloud on the other side stands for all.
    a, b : array_like (n,), (m,), optional
        Weights, of equal totals; None for uniform ones. They are normalised to probabilities. For a batch also (B, n),
        or a list of one array or None per pair.
    p : float
        Exponent, >= 1.
    n_projections : int
        Number of directions. On the line one is enough, and the distance is exact. The pairs of a batch that have as
        many coordinates share them.
    rng : None, int or numpy.random.Generator
        What draws the directions (SPEC 7). The same seed gives the same directions; None fresh ones in each call.
    threads : int, optional
        Directions, or the pairs of a batch, are spread over the threads; None for all processors. The answer has the
        same bits for any number.

    Returns
    -------
    Loss, or list of Loss for a batch
        A float in the unit of the coordinates, of which no power can over- or underflow. ``grad_x`` and ``grad_y`` are
        its derivatives, zero where it is zero, and ``grad_a`` and ``grad_b`` those with respect to the weights before
        they are normalised, so that <grad_a, a> = <grad_b, b> = 0. ``directions`` (k, d) and ``distances`` (k,) are
        what it is the mean of.

    Raises
    ------
    ValueError
        Points that are not finite or differ in dimension, weights as for `emd`, p < 1, no directions, an empty batch.
        In a batch, the text of this and of the other errors begins with the index of the pair.
    TypeError
        Points, weights or an rng of the wrong type.
    MemoryError
        If the projections would not fit.

    Notes
    -----
    Bonneel, Rabin, Peyre and Pfister 2015, "Sliced and Radon Wasserstein barycenters of measures", section 2; Rabin,
    Peyre, Delon and Bernot 2011 for the gradient. Directions are spread: equal angles for d = 2, a spiral for d = 3,
    else orthogonal blocks, each turned at random. All is sorted and added up in double precision. Where two points have
    the same projection the distance has no derivative; what is returned is then one of the limits around. With respect
    to weights it is the mean of the derivatives on both sides.

    Examples
    --------
    >>> import numpy as np, monge
    >>> x = np.random.default_rng(0).normal(size=(50, 2))
    >>> loss = monge.sliced_wasserstein(x, x + [3.0, 4.0], rng=0)  # all moves by 5, of which a direction sees a part
    >>> round(loss, 12), round(5.0 / 2.0**0.5, 12)
    (3.535533905933, 3.535533905933)
    >>> loss.grad_y.sum(axis=0).round(12)  # along (3, 4) / 5, by 1 / sqrt(2)
    array([0.42426407, 0.56568542])
    """
    power, count, workers = check_power(p), positive_integer(n_projections, "n_projections"), available_threads(threads)
    drawn = drawing(directions, count, rng)

    def one(x: Any, y: Any, a: Any, b: Any, threads: int) -> SlicedLoss:
        slices = Slices.of(x, y, a, b, power, threads)
        return slices.loss(drawn(slices.x.shape[1]))

    return each_pair(x, y, a, b, workers, one)
