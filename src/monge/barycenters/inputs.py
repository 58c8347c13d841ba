"""Histograms and the weights with which they are mixed: checks, before any work starts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem._ground import LARGEST_TOTAL, SMALLEST_TOTAL, total_tolerance
from monge.problem.arrays import real_array, shown
from monge.problem.measures import rounding_of

__all__ = ["as_histograms", "as_mixture", "one_total"]

Array = NDArray[np.float64]


def as_histograms(values: Any, size: int, name: str = "histograms") -> Array:
    """Histograms as a new float64 array (k, size), k at least one, with mass in each.

    Raises TypeError for what holds no real numbers, ValueError for other shapes, weights that are negative or not
    finite, and for histograms without mass.
    """
    expected = f"histograms of shape (k, {size}), one row each, with a weight per place of the cost"
    array = real_array(values, name, 2, f"{expected}; images go in as images.reshape(len(images), -1)")
    if len(array) < 1 or array.shape[1] != size:
        raise ValueError(f"{name} should be {expected}, at least one; got shape {array.shape}.")
    array = np.array(array, dtype=np.float64, order="C")
    bad = ~((array >= 0.0) & (array < np.inf))
    if bad.any():
        k, j = (int(place) for place in np.argwhere(bad)[0])
        raise ValueError(
            f"{name} should hold finite weights that are not negative; {name}[{k}, {j}] = {float(array[k, j])}."
        )
    totals = array.sum(axis=1)
    for k, total in enumerate(totals):
        if total == 0.0:
            raise ValueError(f"{name} should each have some mass; all weights of {name}[{k}] are zero. Leave it out.")
        if not SMALLEST_TOTAL <= total <= LARGEST_TOTAL:
            raise ValueError(
                f"{name} should have totals between {SMALLEST_TOTAL} and {LARGEST_TOTAL}; that of {name}[{k}] is "
                f"{float(total)!r}. Rescale them."
            )
    return array


def one_total(histograms: Array, given: Any, remedy: str, name: str = "histograms") -> float:
    """The total that all have, to which those that differ by rounding are rescaled in place; `given` is what the caller
    passed, whose type tells what rounding is. ValueError, with the remedy, for totals that differ by more."""
    totals = histograms.sum(axis=1)
    total = float(totals[0])
    away = np.abs(totals - total)
    if float(away.max()) > total_tolerance(rounding_of(given), 2 * histograms.shape[1]) * float(totals.max()):
        k = int(np.argmax(away))
        raise ValueError(
            f"{name} should have the same total mass; {name}[0].sum() = {total!r} and {name}[{k}].sum() = "
            f"{float(totals[k])!r}. {remedy}"
        )
    histograms *= (total / totals)[:, np.newaxis]
    return total


def as_mixture(weights: Any, count: int, name: str = "weights") -> Array:
    """The weights (count,) with which `count` measures are mixed, which sum to one; None for equal ones."""
    if weights is None:
        return np.full(count, 1.0 / count)
    array = real_array(weights, name, 1, f"mixing weights of shape ({count},), one per measure")
    if array.shape != (count,):
        raise ValueError(f"{name} should have shape ({count},), one per measure; got {array.shape}.")
    array = np.array(array, dtype=np.float64)
    remedy = "They are the shares of the measures in the average: pass weights / weights.sum(), or None for equal ones."
    if not ((array >= 0.0) & (array < np.inf)).all():
        raise ValueError(f"{name} should be finite and not negative; got {shown(array)}. {remedy}")
    total = float(array.sum())
    if not abs(total - 1.0) <= max(64.0 * count * rounding_of(weights), 1e-12):
        raise ValueError(f"{name} should sum to one; they sum to {total!r}. {remedy}")
    array /= total
    return array
