"""Named instances of entropic transport: seeded, the same on every call, and one for each way they are solved.

>>> from benchmarks.entropic_problems import make
>>> cost, a, b, options = make("plane")
>>> t = monge.sinkhorn(cost, a, b, **options)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import monge
from benchmarks import problems

Array = np.typing.NDArray[np.float64]


class Entropic(NamedTuple):
    cost: Any  # of one problem, or of a batch
    a: Any  # None for uniform weights
    b: Any
    options: dict[str, Any]  # eps, tol, marginals


def _rng(name: str) -> np.random.Generator:
    return np.random.default_rng([0, *name.encode()])


def _matrix(family: str, n: int, relative: float, tol: float, dtype: Any = np.float64) -> Entropic:
    """Stored costs of a family of `problems`; eps relative to the mean cost."""
    _, C, a, b = problems.make(family, n)
    return Entropic(C.astype(dtype), a, b, {"eps": relative * float(C.mean()), "tol": tol})


def _cloud(d: int, n: int, relative: float, tol: float, ground: Any = "sqeuclidean", penalty: Any = None) -> Entropic:
    """Weighted points in the unit cube of d dimensions; eps relative to the mean of a few costs, penalties too."""
    rng = _rng(f"cloud {d}")
    x, y, a, b = rng.random((n, d)), rng.random((n, d)), problems.weights(rng, n), problems.weights(rng, n)
    # All mass of a single place goes to all others.
    mean = float(np.mean([monge.emd(monge.PointCloud(x[i : i + 1], y[:64], ground)).value for i in range(16)]))
    options = {"eps": relative * mean, "tol": tol}
    if penalty is not None:
        options["marginals"] = penalty(mean)
    return Entropic(monge.PointCloud(x, y, ground), a, b, options)


def _batch(count: int, n: int) -> Entropic:
    _, costs, a, b = zip(*(problems.make("weighted2d", n, seed) for seed in range(count)), strict=True)
    return Entropic(np.stack(costs), np.stack(a), np.stack(b), {"eps": 0.02, "tol": 1e-4})


def _batch_of_clouds(count: int, n: int) -> Entropic:
    rng = _rng("clouds")
    clouds = [monge.PointCloud(rng.random((n, 3)), rng.random((n, 3))) for _ in range(count)]
    return Entropic(clouds, None, None, {"eps": 0.01, "tol": 1e-4})


def _grid(sides: tuple[int, ...], power: float, relative: float, tol: float) -> Entropic:
    """Two random images; eps relative to the largest cost along an axis."""
    rng = _rng("grid")
    size = int(np.prod(sides))
    a, b = problems.weights(rng, size), problems.weights(rng, size)
    return Entropic(monge.Grid(sides, power), a, b, {"eps": relative * max(sides) ** power, "tol": tol})


# By what solves them: the core as a whole, where the kernel matrix is small or large; passes over all pairs, or over
# those that matter; or axis by axis.
GROUPS: dict[str, dict[str, Callable[[], Entropic]]] = {
    "small": {
        "matrix-16": lambda: _matrix("weighted2d", 16, 0.02, 1e-4),
        "matrix-100": lambda: _matrix("weighted2d", 100, 0.01, 1e-6),
        "matrix-400": lambda: _matrix("iid", 400, 0.02, 1e-3),
        "points-200": lambda: _cloud(3, 200, 0.01, 1e-4),
        "unbalanced-200": lambda: _cloud(3, 200, 0.01, 1e-4, penalty=monge.KL),
        "batch-of-matrices": lambda: _batch(64, 32),
        "batch-of-clouds": lambda: _batch_of_clouds(16, 64),
    },
    "stored": {
        "matrix": lambda: _matrix("iid", 900, 0.02, 1e-3),
        "float32": lambda: _matrix("weighted2d", 900, 0.01, 1e-3, np.float32),
        "precise": lambda: _cloud(6, 1100, 0.05, 1e-7),
        "high": lambda: _cloud(64, 900, 0.02, 1e-3),
        "many": lambda: _cloud(8, 2500, 0.01, 1e-3),
        "cityblock": lambda: _cloud(8, 900, 0.02, 1e-3, "cityblock"),
        "unbalanced": lambda: _cloud(8, 900, 0.02, 1e-3, penalty=monge.TV),
    },
    "pairs": {
        "large": lambda: _cloud(6, 6000, 0.05, 1e-2),
    },
    "near": {
        "plane": lambda: _cloud(2, 3000, 0.01, 1e-3),
        "space-precise": lambda: _cloud(3, 2100, 0.01, 1e-6),
        "distance": lambda: _cloud(2, 2000, 0.02, 1e-3, "euclidean"),
        "unbalanced": lambda: _cloud(2, 2000, 0.01, 1e-3, penalty=monge.KL),
    },
    "grid": {
        "image": lambda: _grid((48, 48), 2.0, 0.01, 1e-4),
        "cube": lambda: _grid((12, 12, 12), 1.0, 0.05, 1e-4),
    },
}


def make(group: str, name: str) -> Entropic:
    return GROUPS[group][name]()
