"""The divergences that benchmarks and the guard solve: each route, every kind of marginal, a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import monge

__all__ = ["PROBLEMS"]


def _clouds(n: int, m: int, d: int, **options: Any) -> Callable[[], dict[str, Any]]:
    def make() -> dict[str, Any]:
        rng = np.random.default_rng([n, m, d])
        return {"x": rng.random((n, d)), "y": rng.random((m, d)), **options}

    return make


def _batch(count: int, n: int, d: int, **options: Any) -> Callable[[], dict[str, Any]]:
    def make() -> dict[str, Any]:
        rng = np.random.default_rng([count, n, d])
        return {"x": rng.random((count, n, d)), "y": rng.random((count, n, d)), **options}

    return make


def _images(side: int, **options: Any) -> Callable[[], dict[str, Any]]:
    def make() -> dict[str, Any]:
        a, b = np.random.default_rng(side).random((2, side * side))
        return {"a": a / a.sum(), "b": b / b.sum(), "cost": monge.Grid((side, side)), **options}

    return make


# Arguments of `monge.sinkhorn_divergence`, by name.
PROBLEMS: dict[str, Callable[[], dict[str, Any]]] = {
    "call 16": _clouds(16, 16, 2, eps=0.05),
    "stored 300 x 200": _clouds(300, 200, 3, eps=0.01),
    "stored 1000": _clouds(1000, 1000, 3, eps=0.005),
    "stored 300 x 200, KL": _clouds(300, 200, 3, eps=0.01, marginals=monge.KL(0.3)),
    "stored 300 x 200, TV": _clouds(300, 200, 3, eps=0.01, marginals=monge.TV(0.3)),
    "stored 64-D": _clouds(400, 300, 64, eps=0.3),
    "near 3000": _clouds(3000, 3000, 3, eps=0.005),
    "near plane 4000": _clouds(4000, 4000, 2, eps=0.001),
    "grid 32 x 32": _images(32, eps=4.0),
    "batch of 64": _batch(64, 64, 3, eps=0.01),
}
