"""Points as the device takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.cuda.device import cuda
from monge.problem.ground import scale_of

__all__ = ["on_device", "taken"]

Array = NDArray[np.float64]


def taken(cost: Any) -> tuple[Array, Array, float]:
    """Points x (n, d) and y (m, d) of a cloud, and the factor from the cost between them to cost units.

    Those of a built-in cost are taken about their middle, over a power of two: their differences suit single precision.
    """
    if cost.formed is None:
        return cost.x.astype(np.float64), cost.y.astype(np.float64), 1.0
    x, y = (points.astype(np.float64) for points in cost.placed)
    middle = (np.ones(len(x)) @ x) / len(x)  # as a product, which is ten times as fast as a mean along the first axis
    x -= middle
    y -= middle
    form = cost.ground.form(x, y, scale_of(cost.reach))
    return form.x, form.y, form.factor


def on_device(values: NDArray[Any], stream: Any = 0) -> Any:
    """An array, as a vector."""
    return cuda.to_device(np.ascontiguousarray(values).ravel(), stream=stream)
