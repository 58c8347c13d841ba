"""The barycenter on the line, in closed form.

Transport for a convex cost of z - y keeps the order, so at each level s the quantile of the barycenter is the best
place between the quantiles of the measures; for |z - y|^2 their mean (Agueh and Carlier 2011, "Barycenters in the
Wasserstein space", section 6.1)

Q(s) = sum_k w_k Q_k(s)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.free.centres import Centre, Groups
from monge.problem.arrays import require_memory
from monge.problem.ground import Ground

__all__ = ["quantile_barycenter"]

Array = NDArray[np.float64]

# Quantiles that are looked at together, and bytes for each point of a measure: sorted levels, places and lists of them.
_AT_ONCE, _BYTES = 2**20, 120
# Levels closer to each other than that share of all mass are the same but for rounding.
_ROUNDING = 2.0**-50


class _Levels(NamedTuple):
    """Of one measure: its points in increasing order, and how many levels each of them holds for."""

    points: Array  # (n,)
    counts: NDArray[np.intp]  # (n,)


def quantile_barycenter(
    points: list[Array], masses: list[Array], weights: Array, ground: Ground, centre: Centre
) -> tuple[Array, Array, float]:
    """The places (n,) and masses (n,) of the barycenter of measures on the line, n <= sum n_k - k + 1, and its value.

    The masses of each sum to one; the weights w (k,) are positive.
    """
    size = sum(map(len, points))
    require_memory(size * _BYTES, f"the levels of {size} points", "Aggregate points, or give n_points.")
    sums = []
    orders = [np.argsort(x, kind="stable") for x in points]
    for own, order in zip(masses, orders, strict=True):
        shares = np.cumsum(own[order])
        sums.append(shares / shares[-1])
    # Where the mass of one of them ends a level ends, for all.
    ends = np.concatenate(sums)
    order = np.argsort(ends, kind="stable")
    ends = ends[order]
    new = np.append(True, np.diff(ends) > _ROUNDING)
    number = np.empty(len(order), np.intp)
    number[order] = np.cumsum(new) - 1  # of the level that ends with each of the sums
    lengths = np.diff(ends[new], prepend=0.0)
    parts, first = [], 0
    for x, by in zip(points, orders, strict=True):
        last = number[first : first + len(x)]
        parts.append(_Levels(x[by], np.diff(last, prepend=-1)))
        first += len(x)
    places = np.zeros(len(lengths))
    if ground.squared:
        for w, part in zip(weights, parts, strict=True):
            places += w * np.repeat(part.points, part.counts)
    else:
        k, tall = len(parts), max(1, _AT_ONCE // len(parts))
        upto = [np.cumsum(part.counts) for part in parts]
        for at in range(0, len(places), tall):
            levels = np.arange(at, min(at + tall, len(places)))
            columns = [p.points[np.searchsorted(u, levels, side="right")] for p, u in zip(parts, upto, strict=True)]
            block = np.stack(columns, axis=1)
            groups = Groups(np.arange(0, block.size, k), block.reshape(-1, 1), np.tile(weights, len(block)))
            places[at : at + tall] = centre((block @ weights)[:, np.newaxis], groups)[:, 0]
    value = 0.0
    for w, part in zip(weights, parts, strict=True):
        apart = np.abs(places - np.repeat(part.points, part.counts))
        value += float(w) * float(lengths @ (apart * apart if ground.squared else apart**ground.power))
    return places, lengths, value
