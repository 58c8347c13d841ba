"""Weights of the two measures: checks and normalisation."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import real_array, real_number

__all__ = ["Weights", "check_partial", "check_weights", "total_mass"]

# Masses are multiplied by 2**60, and by costs: beyond these totals such products would overflow.
_SMALLEST_TOTAL, _LARGEST_TOTAL = 1e-280, 1e280

Weights: TypeAlias = NDArray[np.float64]


def check_weights(a: Any, b: Any, n: int, m: int) -> tuple[Weights | None, Weights | None]:
    """The weights as contiguous float64 arrays, or None for uniform ones.

    Raises ValueError for a wrong length, negative, NaN, infinite or all-zero weights, and for totals that differ by
    more than rounding explains; a smaller difference is left for the solver to rescale.
    """
    weights_a, rounding_a = _check_side(a, n, "a", "row")
    weights_b, rounding_b = _check_side(b, m, "b", "column")
    if weights_a is not None and weights_b is not None:
        total_a, total_b = float(weights_a.sum()), float(weights_b.sum())
        # Each weight is off by half a unit in its last place, and so is the sum by which it was normalised, to which a
        # plain loop over float32 adds about the square root of the number of terms.
        allowed = max(rounding_a, rounding_b) * (8.0 + (n + m) ** 0.5)
        if abs(total_a - total_b) > allowed * max(total_a, total_b):
            raise ValueError(
                f"a and b should have the same total mass; a.sum() = {total_a!r} and b.sum() = {total_b!r}. "
                "Normalise them if only shapes matter (a / a.sum()); use monge.partial to move a given mass, or "
                "monge.sinkhorn with marginals= to let masses differ."
            )
    return weights_a, weights_b


def check_partial(
    a: Any, b: Any, n: int, m: int, mass: Any
) -> tuple[Weights | None, Weights | None, float, bool, bool]:
    """The weights as above, of totals that may differ; the mass to move; whether that is all of a, and all of b.

    Raises ValueError for bad weights, and for a mass that is not positive or exceeds a total by more than rounding.
    """
    weights_a, rounding_a = _check_side(a, n, "a", "row")
    weights_b, rounding_b = _check_side(b, m, "b", "column")
    total_a, total_b = total_mass(weights_a), total_mass(weights_b)
    moved = real_number(mass, "mass", "a positive number, the mass to move")
    allowed = max(rounding_a, rounding_b, float(np.finfo(np.float64).eps)) * (8.0 + (n + m) ** 0.5)
    most = min(total_a, total_b)
    if not _SMALLEST_TOTAL <= moved <= most * (1.0 + allowed):
        raise ValueError(
            f"mass should be positive and at most the smaller total, {most!r} (a.sum() = {total_a!r}, "
            f"b.sum() = {total_b!r}); got {mass!r}."
        )
    return weights_a, weights_b, moved, moved >= total_a * (1.0 - allowed), moved >= total_b * (1.0 - allowed)


def total_mass(weights: Weights | None) -> float:
    """The sum of the weights, correctly rounded; one for uniform weights."""
    return 1.0 if weights is None else math.fsum(weights)


def _check_side(values: Any, size: int, name: str, place: str) -> tuple[Weights | None, float]:
    if values is None:
        return None, 0.0
    array = real_array(values, name, 1, f"weights of shape ({size},), one per {place} of the cost,")
    if array.shape != (size,):
        raise ValueError(f"{name} should have shape ({size},), one weight per {place} of the cost; got {array.shape}.")
    source = np.asarray(values).dtype
    rounding = float(np.finfo(source).eps) if source.kind == "f" else float(np.finfo(np.float64).eps)
    # A copy: the result measures its marginals against these, whatever becomes of the caller's array.
    weights = np.array(array, dtype=np.float64, order="C")
    with np.errstate(over="ignore"):
        total = float(weights.sum())
    if not _SMALLEST_TOTAL <= total <= _LARGEST_TOTAL or float(weights.min()) < 0.0:
        _explain(weights, total, name)
    return weights, rounding


def _explain(weights: Weights, total: float, name: str) -> None:
    bad = ~(weights >= 0.0) | np.isinf(weights)
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(f"{name} should hold finite weights that are not negative; {name}[{at}] = {weights[at]!r}.")
    if not weights.any():
        raise ValueError(f"{name} should have some mass; all {weights.size} weights are zero.")
    raise ValueError(
        f"{name} should have a total between {_SMALLEST_TOTAL} and {_LARGEST_TOTAL}; its weights add up to {total!r}. "
        "Rescale them."
    )
