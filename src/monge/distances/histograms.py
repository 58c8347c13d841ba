"""How far histograms over the same places are apart, place by place: whatever the distances between places.

KL(p | q) = sum_i p_i log(p_i / q_i)
JS(p, q)  = (KL(p | m) + KL(q | m)) / 2   with m = (p + q) / 2
TV(p, q)  = sum_i |p_i - q_i| / 2 = sup_A |p(A) - q(A)|
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import kl_div

from monge.distances.loss import Loss
from monge.distances.nested import nested
from monge.problem._ground import LARGEST_TOTAL, SMALLEST_TOTAL, total_tolerance
from monge.problem.arrays import real_array
from monge.problem.home import Home, home_of_any
from monge.problem.measures import rounding_of

__all__ = ["js", "kl", "tv"]

Array = NDArray[np.float64]

# Masses that differ by less than this part of themselves are compared by their difference.
_NEAR = 0.1


def kl(p: Any, q: Any) -> Any:
    """The Kullback-Leibler divergence KL(p | q) = sum_i p_i log(p_i / q_i) of two histograms, in nats.

    It is infinite where p has mass that q lacks, however near to that q has some.

    Parameters
    ----------
    p : array_like (n,) or (..., n)
        Masses, not negative; or a batch of histograms, along the last axis. They are normalised to probabilities.
    q : array_like (n,) or (..., n)
        The other ones, of the same totals. One histogram stands for all of a batch.

    Returns
    -------
    Loss, or lists of them
        A float with ``grad_a`` and ``grad_b``, the derivatives with respect to p and q. For a batch one for each pair,
        in lists that are nested as the axes before the last; `numpy.asarray` makes an array of their values.

    Raises
    ------
    ValueError, TypeError
        Negative, NaN, infinite or all-zero masses, shapes that do not fit, totals that differ by more than rounding.

    Notes
    -----
    Kullback and Leibler 1951, "On Information and Sufficiency". As normalising does, derivatives take out what scales
    all masses of a histogram: <grad_a, p> = 0, and <grad_b, q> = 0. Where p_i = 0 the derivative with respect to p_i is
    infinite, that of x log x at zero. An infinite divergence has none, and asking for it is a TypeError.

    Examples
    --------
    >>> import monge
    >>> round(monge.kl([1.0, 1.0], [0.5, 1.5]), 6)
    0.143841
    >>> monge.kl([0.5, 0.5], [0.0, 1.0]), monge.kl([0.0, 1.0], [0.5, 0.5])
    (inf, 0.6931471805599453)
    >>> monge.kl([3.0, 1.0], [2.0, 2.0]).grad_b
    array([-0.125,  0.125])
    """
    return _of_pairs(p, q, _KL)


def js(p: Any, q: Any) -> Any:
    """The Jensen-Shannon divergence of two histograms, in nats: half of each one's KL to the middle of both.

    JS(p, q) = (KL(p | m) + KL(q | m)) / 2 with m = (p + q) / 2. It is at most log 2, which it is for all histograms
    that have no place in common. (Some texts leave the half out.) Its root is a metric.

    Parameters
    ----------
    p : array_like (n,) or (..., n)
        Masses, not negative; or a batch of histograms, along the last axis. They are normalised to probabilities.
    q : array_like (n,) or (..., n)
        The other ones, of the same totals. One histogram stands for all of a batch.

    Returns
    -------
    Loss, or lists of them
        A float with ``grad_a`` and ``grad_b``, the derivatives with respect to p and q. For a batch one for each pair,
        in lists that are nested as the axes before the last; `numpy.asarray` makes an array of their values.

    Raises
    ------
    ValueError, TypeError
        As `kl` does.

    Notes
    -----
    Lin 1991, "Divergence measures based on the Shannon entropy", section IV. <grad_a, p> = <grad_b, q> = 0, as for
    `kl`. The derivative with respect to p_i is minus infinity where p_i = 0 < q_i.

    Examples
    --------
    >>> import monge
    >>> monge.js([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]), monge.js([1.0, 0.0, 0.0], [0.0, 0.0, 1.0])
    (0.6931471805599453, 0.6931471805599453)
    >>> monge.js([2.0, 2.0], [[2.0, 2.0], [4.0, 0.0]])
    [0.0, 0.21576155433883562]
    """
    return _of_pairs(p, q, _JS)


def tv(p: Any, q: Any) -> Any:
    """The total variation distance of two histograms, the largest difference sup_A |p(A) - q(A)| of a probability.

    It is half of sum_i |p_i - q_i|, and at most one, which it is for all histograms that have no place in common. (The
    penalty `monge.TV(rho)` of `sinkhorn` is rho times the whole sum.)

    Parameters
    ----------
    p : array_like (n,) or (..., n)
        Masses, not negative; or a batch of histograms, along the last axis. They are normalised to probabilities.
    q : array_like (n,) or (..., n)
        The other ones, of the same totals. One histogram stands for all of a batch.

    Returns
    -------
    Loss, or lists of them
        A float with ``grad_a`` and ``grad_b``, the derivatives with respect to p and q. For a batch one for each pair,
        in lists that are nested as the axes before the last; `numpy.asarray` makes an array of their values.

    Raises
    ------
    ValueError, TypeError
        As `kl` does.

    Notes
    -----
    <grad_a, p> = <grad_b, q> = 0, as for `kl`. Where p_i = q_i there is no derivative, and this is a subgradient.

    Examples
    --------
    >>> import monge
    >>> monge.tv([2.0, 1.0, 1.0], [1.0, 1.0, 2.0])
    0.25
    >>> monge.tv([2.0, 1.0, 1.0], [1.0, 1.0, 2.0]).grad_a
    array([ 0.09375, -0.03125, -0.15625])
    """
    return _of_pairs(p, q, _TV)


class _HistogramLoss(Loss):
    """Between one pair of histograms."""

    def __init__(self, value: float, p: Array, q: Array, home: Home | None) -> None:
        self._p, self._q = p, q  # (n,), as they were given
        self.home = home

    @staticmethod
    def values(p: Array, q: Array) -> Array:
        """Of probabilities (..., n)."""
        raise NotImplementedError

    @staticmethod
    def slopes(p: Array, q: Array) -> tuple[Array, Array]:
        """Derivatives with respect to probabilities (n,), each up to a constant."""
        raise NotImplementedError

    @cached_property
    def _weight_gradients(self) -> tuple[Array, Array]:
        probabilities = self._p / self._p.sum(), self._q / self._q.sum()
        slopes = self.slopes(*probabilities)
        return _along(slopes[0], probabilities[0], self._p), _along(slopes[1], probabilities[1], self._q)


def _along(slopes: Array, probabilities: Array, masses: Array) -> Array:
    """Derivatives with respect to masses, from those with respect to what they are normalised to."""
    some = probabilities > 0.0
    return np.asarray((slopes - float(probabilities[some] @ slopes[some])) / masses.sum())


def _terms(p: Array, q: Array) -> Array:
    """p log(p / q) - p + q, which is never negative: no small sum is the difference of large numbers."""
    terms = np.maximum(kl_div(p, q), 0.0)
    near = np.abs(q - p) < _NEAR * p
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        part = np.where(near, (q - p) / p, 0.0)
    return np.asarray(np.where(near, p * (part - np.log1p(part)), terms))


class _KL(_HistogramLoss):
    @staticmethod
    def values(p: Array, q: Array) -> Array:
        return np.asarray(_terms(p, q).sum(axis=-1))

    @staticmethod
    def slopes(p: Array, q: Array) -> tuple[Array, Array]:
        if ((p > 0.0) & (q == 0.0)).any():
            raise TypeError(
                "the divergence kl is infinite here, since p has mass where q has none, and has no derivative. Mix "
                "some of p into q, or take monge.js, or monge.wasserstein, which knows distances between places."
            )
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ratio = p / q
            return np.where(q > 0.0, np.log(ratio), np.inf), np.where(p > 0.0, -ratio, 0.0)


class _JS(_HistogramLoss):
    @staticmethod
    def values(p: Array, q: Array) -> Array:
        both = p + q  # twice the middle, which the smallest numbers have none of
        values = 0.25 * (_terms(2.0 * p, both) + _terms(2.0 * q, both)).sum(axis=-1)
        return np.asarray(np.minimum(values, math.log(2.0)))  # it is, but for rounding

    @staticmethod
    def slopes(p: Array, q: Array) -> tuple[Array, Array]:
        both = p + q
        with np.errstate(divide="ignore", invalid="ignore"):
            # Where both are empty, what comes is twice the middle.
            of_p, of_q = (np.where(both > 0.0, np.log(2.0 * s / both), math.log(2.0)) for s in (p, q))
        return 0.5 * of_p, 0.5 * of_q


class _TV(_HistogramLoss):
    @staticmethod
    def values(p: Array, q: Array) -> Array:
        return np.asarray(np.minimum(0.5 * np.abs(p - q).sum(axis=-1), 1.0))

    @staticmethod
    def slopes(p: Array, q: Array) -> tuple[Array, Array]:
        signs = 0.5 * np.sign(p - q)
        return signs, -signs


def _of_pairs(p: Any, q: Any, kind: Callable[..., _HistogramLoss]) -> Any:
    home = home_of_any(p, q)
    expected = "a histogram (n,), or a batch of them (..., n)"
    both = []
    for values, name in ((p, "p"), (q, "q")):
        masses = real_array(values, name, None, expected)
        if masses.ndim == 0 or 0 in masses.shape:
            raise ValueError(f"{name} should be {expected}, with at least one place; got shape {masses.shape}.")
        both.append(np.array(masses, dtype=np.float64))  # copies: derivatives are computed later
    if both[0].shape[-1] != both[1].shape[-1]:
        raise ValueError(
            f"p and q should be histograms over the same places; got {both[0].shape[-1]} and {both[1].shape[-1]} of "
            "them, the length of the last axis."
        )
    try:
        masses_p, masses_q = np.broadcast_arrays(*both)
    except ValueError:
        raise ValueError(
            f"p and q should be batches of the same shape, or one of them a single histogram; got shapes "
            f"{both[0].shape} and {both[1].shape}."
        ) from None
    _check(masses_p, masses_q, rounding_of(p, q))
    values = kind.values(*(s / s.sum(axis=-1, keepdims=True) for s in (masses_p, masses_q)))  # type: ignore[attr-defined]
    return nested(lambda at: kind(float(values[at]), masses_p[at], masses_q[at], home), masses_p.shape[:-1])


def _check(p: Array, q: Array, rounding: float) -> None:
    """Raises ValueError for what are no histograms of the same total, and says which. All are looked at at once."""
    with np.errstate(over="ignore", invalid="ignore"):
        totals_p, totals_q = p.sum(axis=-1), q.sum(axis=-1)
        most = np.maximum(totals_p, totals_q)
        good = np.abs(totals_p - totals_q) <= total_tolerance(rounding, 2 * p.shape[-1]) * most
        for masses, totals in ((p, totals_p), (q, totals_q)):
            good &= (totals >= SMALLEST_TOTAL) & (totals <= LARGEST_TOTAL) & (masses.min(axis=-1) >= 0.0)
    if np.all(good):
        return
    at = tuple(int(k) for k in np.argwhere(~good)[0])
    index = "".join(f"{k}, " for k in at)
    for masses, totals, name in ((p[at], totals_p[at], "p"), (q[at], totals_q[at], "q")):
        bad = ~(masses >= 0.0) | np.isinf(masses)
        if bad.any():
            k = int(np.argmax(bad))
            raise ValueError(
                f"{name} should hold finite masses that are not negative; {name}[{index}{k}] = {float(masses[k])}."
            )
        if not SMALLEST_TOTAL <= totals <= LARGEST_TOTAL:
            which = name + (f"[{index[:-2]}]" if at else "")
            raise ValueError(
                f"{which} should have a total between {SMALLEST_TOTAL} and {LARGEST_TOTAL}; got {float(totals)!r}. "
                "Rescale the masses, and drop histograms without any."
            )
    which = f" of pair {index[:-2]}" if at else ""
    raise ValueError(
        f"p and q should have the same total; the totals{which} are {float(totals_p[at])!r} and "
        f"{float(totals_q[at])!r}. Normalise both if only shapes matter: p / p.sum(axis=-1, keepdims=True)."
    )
