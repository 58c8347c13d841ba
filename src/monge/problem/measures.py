"""Weights of the two measures: checks and normalisation."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from monge.problem._ground import LARGEST_TOTAL, SMALLEST_TOTAL, total_tolerance
from monge.problem.arrays import real_array, real_number, shown
from monge.problem.home import is_bfloat16, on_host

__all__ = [
    "Weights",
    "as_mixture",
    "as_weights",
    "check_partial",
    "check_value",
    "check_weights",
    "rounding_of",
    "total_mass",
    "weights_error",
]

_FLOAT64 = np.dtype(np.float64)
_EPS = float(np.finfo(np.float64).eps)
_EPS_OF_BFLOAT16 = 2.0**-7  # which NumPy lacks

Weights: TypeAlias = NDArray[np.float64]


def check_weights(a: Any, b: Any, n: int, m: int) -> tuple[Weights | None, Weights | None]:
    """The weights as contiguous float64 arrays, or None for uniform ones.

    Raises ValueError for a wrong length, negative, NaN, infinite or all-zero weights, and for totals that differ by
    more than rounding explains; a smaller difference is left for the solver to rescale.
    """
    weights_a, rounding_a = as_weights(a, n, "a", "row")
    weights_b, rounding_b = as_weights(b, m, "b", "column")
    rounding = max(rounding_a, rounding_b)
    _check_values(weights_a, weights_b)
    if weights_a is not None and weights_b is not None:
        total_a, total_b = float(weights_a.sum()), float(weights_b.sum())
        if abs(total_a - total_b) > total_tolerance(rounding, n + m) * max(total_a, total_b):
            raise weights_error(weights_a, weights_b)
    return weights_a, weights_b


def as_weights(values: Any, size: int, name: str, place: str) -> tuple[Weights | None, float]:
    """The weights as a new array, and the relative rounding of the type they came in; None for uniform ones.

    Checks the type and the length, not the values.
    """
    if values is None:
        return None, 0.0
    if type(values) is np.ndarray and values.dtype is _FLOAT64 and values.shape == (size,):
        return values.copy(), _EPS
    array = real_array(values, name, 1, f"weights of shape ({size},), one per {place} of the cost")
    if array.shape != (size,):
        raise ValueError(f"{name} should have shape ({size},), one weight per {place} of the cost; got {array.shape}.")
    # A copy: the result measures its marginals against these, whatever becomes of the caller's array.
    return np.array(array, dtype=np.float64, order="C"), rounding_of(values)


def rounding_of(*weights: Any) -> float:
    """The relative rounding of the types in which weights came, the largest; None stands for uniform ones."""
    return max((_eps_of(values) for values in weights if values is not None), default=_EPS)


def _eps_of(values: Any) -> float:
    if is_bfloat16(values):
        return _EPS_OF_BFLOAT16
    source = np.asarray(on_host(values)).dtype
    return float(np.finfo(source).eps) if source.kind == "f" else _EPS


def check_partial(
    a: Any, b: Any, n: int, m: int, mass: Any
) -> tuple[Weights | None, Weights | None, float, bool, bool]:
    """The weights as above, of totals that may differ; the mass to move; whether that is all of a, and all of b.

    Raises ValueError for bad weights, and for a mass that is not positive or exceeds a total by more than rounding.
    """
    weights_a, rounding_a = as_weights(a, n, "a", "row")
    weights_b, rounding_b = as_weights(b, m, "b", "column")
    _check_values(weights_a, weights_b)
    total_a, total_b = total_mass(weights_a), total_mass(weights_b)
    moved = real_number(mass, "mass", "a positive number, the mass to move")
    allowed = total_tolerance(max(rounding_a, rounding_b, _EPS), n + m)
    most = min(total_a, total_b)
    if not SMALLEST_TOTAL <= moved <= most * (1.0 + allowed):
        raise ValueError(
            f"mass should be positive and at most the smaller total, {most!r} (a.sum() = {total_a!r}, "
            f"b.sum() = {total_b!r}); got {shown(mass)}."
        )
    return weights_a, weights_b, moved, moved >= total_a * (1.0 - allowed), moved >= total_b * (1.0 - allowed)


def as_mixture(weights: Any, count: int, name: str = "weights") -> Weights:
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


def total_mass(weights: Weights | None) -> float:
    """The sum of the weights, correctly rounded; one for uniform weights."""
    return 1.0 if weights is None else math.fsum(weights)


def _check_values(a: Weights | None, b: Weights | None) -> None:
    for weights in (a, b):
        if weights is not None:
            with np.errstate(over="ignore"):
                total = float(weights.sum())
            if not SMALLEST_TOTAL <= total <= LARGEST_TOTAL or float(weights.min()) < 0.0:
                raise weights_error(a, b)


def check_value(value: float, a: Weights | None, b: Weights | None) -> None:
    """Raises ValueError if masses times costs are no number of float64, which only they can say together."""
    if not -math.inf < value < math.inf:
        totals = f"a.sum() = {total_mass(a):.3g} and b.sum() = {total_mass(b):.3g}"
        raise ValueError(
            f"masses times costs overflow float64; got {totals}. "
            "Rescale the weights, for example to a / a.sum(), or the costs."
        )


def weights_error(a: Weights | None, b: Weights | None) -> ValueError:
    """What is wrong with weights that did not pass the check, and the remedy."""
    for weights, name in ((a, "a"), (b, "b")):
        if weights is None:
            continue
        bad = ~(weights >= 0.0) | np.isinf(weights)
        if bad.any():
            at = int(np.argmax(bad))
            return ValueError(
                f"{name} should hold finite weights that are not negative; {name}[{at}] = {float(weights[at])}."
            )
        if not weights.any():
            return ValueError(f"{name} should have some mass; all {weights.size} weights are zero.")
        with np.errstate(over="ignore"):
            total = float(weights.sum())
        if not SMALLEST_TOTAL <= total <= LARGEST_TOTAL:
            return ValueError(
                f"{name} should have a total between {SMALLEST_TOTAL} and {LARGEST_TOTAL}; its weights add up to "
                f"{total!r}. Rescale them."
            )
    return ValueError(
        f"a and b should have the same total mass; a.sum() = {total_mass(a)!r} and b.sum() = {total_mass(b)!r}. "
        "Normalise them if only shapes matter (a / a.sum()); use monge.partial to move a given mass, or "
        "monge.sinkhorn with marginals= to let masses differ."
    )
