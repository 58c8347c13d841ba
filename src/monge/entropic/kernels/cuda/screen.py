"""Which columns matter to a row: a tile whose every exponent is out of reach is left out.

Points are in the order of a k-d tree, so that tiles are small boxes. An exponent is at most
(top + shift_i) - k C(x_i, z), with top the largest beta_j of the tile and z the point of its box that is next to x_i.
Pairs below 2^-88 / m are left out: all of them together add less than 2^-28 of the least sum that `finish` takes for
safe, and other sums are made again with every pair.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import uint32

from monge.entropic.kernels.cuda import layout
from monge.entropic.kernels.cuda.device import SIMULATED, cuda, device_function, kernel
from monge.entropic.kernels.cuda.grounds import rule_of

__all__ = ["THREADS", "bounds_kernel", "in_reach", "limit_of", "width"]

# Threads of a block, each of which has a tile.
THREADS = 2 if SIMULATED else 64
# The exponent of a sum that does not matter beside a safe one; and what rounding of exponents may add to a bound.
_NEGLIGIBLE, _ROUNDING = -88.0, 1.0


def width(d: int) -> int:
    """Numbers of a tile: the corners of its box, and the largest exponent."""
    return 2 * d + 1


def limit_of(m: int) -> float:
    """Exponents below which pairs of a row with m columns are left out."""
    return _NEGLIGIBLE - _ROUNDING - math.log2(m)


@functools.lru_cache(maxsize=32)
def bounds_kernel(d: int, real: Any, columns: int, lifted: bool) -> Any:
    """kernel(ctl, Y, bounds, m): the box and the largest exponent of each tile of so many of the m columns. Those
    without weight do not count."""
    D1, W = layout.width(d), width(d)
    DONE, SINGLE, EPS, FACTOR = layout.DONE, layout.SINGLE, layout.EPS, layout.FACTOR
    mine, LN2 = 1.0 if real is np.float32 else 0.0, math.log(2.0)
    none, far, huge = real(0.1 * layout.FAR), real(layout.FAR), real(1e30)

    def bounds_of(ctl, Y, bounds, m):  # type: ignore[no-untyped-def]
        i = cuda.grid(1)
        if i * columns >= m or ctl[DONE] != 0.0 or ctl[SINGLE] != mine:
            return
        k = real(ctl[FACTOR] / (ctl[EPS] * LN2))
        low = cuda.local.array(d, real)
        high = cuda.local.array(d, real)
        for c in range(d):
            low[c], high[c] = huge, -huge
        top = far
        for j in range(i * columns, min((i + 1) * columns, m)):
            beta = Y[j * D1 + d]
            if beta > none:
                for c in range(d):
                    y = Y[j * D1 + c]
                    low[c], high[c] = min(low[c], y), max(high[c], y)
                    if lifted:
                        beta += k * y * y
                top = max(top, beta)
        for c in range(d):
            bounds[i * W + c], bounds[i * W + d + c] = low[c], high[c]
        bounds[i * W + 2 * d] = top

    return kernel(bounds_of, real is np.float32, "bounds", d, real, columns, lifted)


def in_reach(ground: Any, d: int, real: Any, stride: int) -> Any:
    """reached(bounds, i, point, r, scale, shift, k, limit): whether row r of a thread may have an exponent above the
    limit in tile i. `point` is as in `grounds`, times 1 / scale; shift is the row's own."""
    cost, W = rule_of(ground, d, real, 1).cost, width(d)

    @device_function
    def reached(bounds: Any, i: Any, point: Any, r: Any, scale: Any, shift: Any, k: Any, limit: Any) -> Any:
        here = cuda.local.array(d, real)
        near = cuda.local.array(d, real)
        for c in range(d):
            x = point[c * stride + r] * scale
            here[c] = x
            near[c] = min(max(x, bounds[i * W + c]), bounds[i * W + d + c])
        return bounds[i * W + 2 * d] + shift - k * cost(here, 0, near, uint32(0)) > limit

    return reached
