"""Histograms: checks, before any work starts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem._ground import LARGEST_TOTAL, SMALLEST_TOTAL, total_tolerance
from monge.problem.arrays import real_array
from monge.problem.measures import rounding_of

__all__ = ["as_histograms", "one_total"]

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


def one_total(
    histograms: Array, given: Any, remedy: str, name: str = "histograms", wanted: tuple[float, str] | None = None
) -> float:
    """The total that all have, to which those that differ by rounding are rescaled in place; `given` is what the caller
    passed, whose type tells what rounding is. It is that of the first, or the one that is wanted, and called so.
    ValueError, with the remedy, for totals that differ by more."""
    totals = histograms.sum(axis=1)
    total, called = wanted or (float(totals[0]), f"{name}[0].sum()")
    k = int(np.argmax(np.abs(totals - total)))
    allowed = total_tolerance(rounding_of(given), 2 * histograms.shape[1]) * max(total, float(totals.max()))
    if abs(float(totals[k]) - total) > allowed:
        raise ValueError(
            f"{name} should have the same total mass; {called} = {total!r} and {name}[{k}].sum() = "
            f"{float(totals[k])!r}. {remedy}"
        )
    histograms *= (total / totals)[:, np.newaxis]
    return total
