"""Directions to project points on. A stand-in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["directions"]


def directions(d: int, count: int, rng: Any) -> NDArray[np.float64]:
    """Unit vectors (count, d)."""
    rng = np.random.default_rng(rng)
    if d == 2:
        angles = np.pi * (np.arange(count) + rng.random()) / count
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)
    blocks = [np.linalg.qr(rng.normal(size=(d, d)))[0] for _ in range(-(-count // d))]
    return np.concatenate(blocks)[:count]
