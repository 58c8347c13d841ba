"""Costs that are the same there and back, which a divergence needs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["require_same", "require_square"]

# How far the two may be apart, in units of their rounding.
_ROUNDING = 64.0


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
    with np.errstate(invalid="ignore"):
        apart = np.abs(there - back) > rounding * np.maximum(np.abs(there), np.abs(back))
    apart |= np.isinf(there) != np.isinf(back)
    if apart.any():
        i, j = (int(k) for k in np.unravel_index(np.argmax(apart), apart.shape))
        raise ValueError(
            f"{name} should be symmetric; it is {float(there[i, j])!r} from {i} to {j}, and {float(back[i, j])!r} "
            f"back. {remedy}"
        )
