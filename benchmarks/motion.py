"""Points that move a little at a time, for warm starts: each problem is near the one before.

Each step moves the sources by 1 % of the width of the cloud: at random ("jitter"), or towards where the plan takes them
("flow"), as a gradient flow does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

import monge
from benchmarks import problems

STEPS, STEP = 10, 0.01

Array = np.typing.NDArray[np.float64]


class Clouds(NamedTuple):
    x: Array
    y: Array
    cost: str
    weighted: bool


def _square(n: int, rng: np.random.Generator) -> Clouds:
    return Clouds(rng.random((n, 2)), rng.random((n, 2)), "sqeuclidean", False)


def _gaussians(n: int, rng: np.random.Generator) -> Clouds:
    return Clouds(rng.normal(size=(n, 2)), rng.normal(size=(n, 2)) + 3.0, "sqeuclidean", False)


def _weighted(n: int, rng: np.random.Generator) -> Clouds:
    return _square(n, rng)._replace(weighted=True)


def _distance(n: int, rng: np.random.Generator) -> Clouds:
    return _square(n, rng)._replace(cost="euclidean", weighted=True)


def _space(n: int, rng: np.random.Generator) -> Clouds:
    return Clouds(rng.random((n, 64)), rng.random((n, 64)), "sqeuclidean", True)


def _clusters(n: int, rng: np.random.Generator) -> Clouds:
    x, y = (rng.random((10, 3))[rng.integers(10, size=n)] + 0.03 * rng.normal(size=(n, 3)) for _ in range(2))
    return Clouds(x, y, "sqeuclidean", True)


CLOUDS: dict[str, Callable[[int, np.random.Generator], Clouds]] = {
    "uniform2d": _square,
    "gaussians2d": _gaussians,
    "weighted2d": _weighted,
    "euclidean2d": _distance,
    "weighted64d": _space,
    "clusters": _clusters,
}
MOTIONS = ["jitter", "flow"]


def problems_in_motion(
    family: str, motion: str, n: int, seed: int
) -> Iterator[tuple[problems.Instance, Callable[[monge.Transport], None]]]:
    """STEPS + 1 problems; the second item is to be called with the answer before the next is asked for."""
    rng = np.random.default_rng([seed, *family.encode()])
    x, y, cost, weighted = CLOUDS[family](n, rng)
    a, b = (problems.weights(rng, n), problems.weights(rng, n)) if weighted else (None, None)
    length = STEP * float(np.ptp(y, axis=0).max())
    answers: list[monge.Transport] = []
    for step in range(STEPS + 1):
        if step > 0:
            way = rng.normal(size=x.shape) if motion == "jitter" else answers[-1].map(y) - x
            x = x + length * way / np.sqrt((way**2).sum(axis=1).mean())
        yield problems.Instance(family, cdist(x, y, cost), a, b), answers.append
