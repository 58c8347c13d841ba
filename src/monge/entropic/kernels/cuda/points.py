"""Points as the device takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.cuda.device import cuda
from monge.problem.ground import scale_of

__all__ = ["Taken", "centred", "on_device", "taken"]

Array = NDArray[np.float64]


class Taken(NamedTuple):
    """C_ij = factor c(x_i, y_j)."""

    x: Array  # (n, d)
    y: Array  # (m, d)
    factor: float
    unit: float  # of the coordinates, over that of these


def taken(cost: Any) -> Taken:
    """The points of a cloud. Those of a built-in cost are about their middle, over a power of two: their differences
    and squares suit single precision."""
    if cost.formed is None:
        return Taken(cost.x.astype(np.float64), cost.y.astype(np.float64), 1.0, 1.0)
    x, y = (points.astype(np.float64) for points in cost.placed)
    middle = (np.ones(len(x)) @ x) / len(x)  # as a product, which is ten times as fast as a mean along the first axis
    scale = scale_of(cost.farthest)
    x -= middle
    y -= middle
    form = cost.ground.form(x, y, scale)
    return Taken(form.x, form.y, form.factor, 2.0**-scale)


def centred(ground: Any, x: Array, y: Array, scales: Sequence[int]) -> tuple[Array, Array, Array]:
    """The same for many problems at once: placed points x (problems, n, d), y (problems, m, d), over two to the power
    of the scales, and the factors (problems,)."""
    middle = np.einsum("knd->kd", x)[:, np.newaxis] / x.shape[1]
    over = np.ldexp(1.0, np.negative(scales))[:, np.newaxis, np.newaxis]
    factors = ground.factor * np.exp2(np.multiply(scales, ground.power))
    return (x - middle) * over, (y - middle) * over, factors


def on_device(values: NDArray[Any], stream: Any = 0) -> Any:
    """An array, as a vector."""
    return cuda.to_device(np.ascontiguousarray(values).ravel(), stream=stream)
