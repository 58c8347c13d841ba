"""What both kinds of entropic transport say of their plans: how precise, how large, at which cost."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FINEST", "MANY", "loss"]

Array = NDArray[Any]

# Below this, rounding decides on the marginal error.
FINEST = 1e-14
# Plans of fewer entries are not worth a look at the free memory.
MANY = 2**24


def loss(plan: Array, M: Array) -> float:
    """<P, M>, to which forbidden arcs add nothing."""
    with np.errstate(invalid="ignore"):
        value = float(np.vdot(plan, M))
    if math.isnan(value):
        value = float(np.sum(np.multiply(plan, M, out=np.zeros_like(plan), where=plan > 0.0)))
    return value
