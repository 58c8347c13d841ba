"""Puts a problem on the device, from one array that the host sends: what the loop knows, points, and what sides start
from."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import float32, float64
from numpy.typing import NDArray

from monge.entropic.kernels.cuda import layout
from monge.entropic.kernels.cuda.device import SIMULATED, cuda, exact, kernel

__all__ = ["THREADS", "load_kernel", "placed", "size_of"]

Array = NDArray[np.float64]

THREADS = 4 if SIMULATED else 128
# Vectors of a side: weights, potentials, softmins.
_VECTORS = 3

L = layout


def size_of(n: int, m: int, d: int) -> int:
    """Numbers that the host sends."""
    return L.CTL + (n + m) * (d + _VECTORS)


def placed(d: int) -> Any:
    """place(points, weights, potentials, softmins, i, V, pack, pack64): point i of a side, which starts from these."""
    D1 = L.width(d)

    @exact
    def place(points: Any, weight: Any, potential: Any, softmin: Any, i: Any, V: Any, pack: Any, pack64: Any) -> None:
        square, square64 = 0.0, 0.0
        for c in range(d):
            z = points[i * d + c]
            near = float64(float32(z))
            square, square64 = square + near * near, square64 + z * z
            pack[i * D1 + c], pack64[i * D1 + c] = float32(z), z
        V[L.LOG, i] = math.log2(weight) if weight > 0.0 else L.FAR
        V[L.WEIGHT, i], V[L.SQUARE, i], V[L.SQUARE64, i] = weight, square, square64
        V[L.SOFTMIN, i], V[L.POTENTIAL, i] = softmin, potential

    return place


@functools.lru_cache(maxsize=32)
def load_kernel(d: int) -> Any:
    """kernel(sent, ctl, A, B, X, X64, Y, Y64, n, m), a thread for each point."""
    place, known, three = placed(d), L.CTL, _VECTORS

    def load(sent, ctl, A, B, X, X64, Y, Y64, n, m):  # type: ignore[no-untyped-def]
        i = cuda.grid(1)
        if i < known:
            ctl[i] = sent[i]
        side = sent[known:]
        if i < n:
            v = n * d + three * i
            place(side, side[v], side[v + 1], side[v + 2], i, A, X, X64)
        elif i < n + m:
            side = sent[known + n * (d + three) :]
            j = i - n
            v = m * d + three * j
            place(side, side[v], side[v + 1], side[v + 2], j, B, Y, Y64)

    return kernel(load, False, d)
