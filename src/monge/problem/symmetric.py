"""Costs that are the same there and back, which a divergence needs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["require_same", "require_square"]

# How far the two may be apart, in units of their rounding; and how many are compared at a time.
_ROUNDING = 64.0
_AT_ONCE = 1 << 20


def require_square(n: int, m: int) -> None:
    """ValueError for costs that are not between the same places."""
    if n != m:
        raise ValueError(
            f"a divergence needs the costs between the same places, (n, n); got {n} x {m}. Pass the points, or costs "
            "over the places of both histograms."
        )


def require_same(there: NDArray[Any], back: NDArray[Any], name: str, remedy: str) -> None:
    """ValueError if costs, and those of the way back, differ by more than rounding."""
    rounding = _ROUNDING * float(np.finfo(there.dtype).eps)
    step = max(1, _AT_ONCE // max(1, there.shape[1]))
    for first in range(0, len(there), step):  # some rows at a time: a matrix may take half of the memory
        one, other = there[first : first + step], back[first : first + step]
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.abs(one - other) > rounding * np.maximum(np.abs(one), np.abs(other))
        apart |= np.isinf(one) != np.isinf(other)
        if apart.any():
            i, j = (int(k) for k in np.unravel_index(np.argmax(apart), apart.shape))
            raise ValueError(
                f"{name} should be symmetric; it is {float(one[i, j])!r} from {first + i} to {j}, and "
                f"{float(other[i, j])!r} back. {remedy}"
            )
