"""What a method of colour transfer is: from two pictures to a map each way, and to where every pixel goes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from monge.maps.color.sides import Side
from monge.problem.transport import Transport

__all__ = ["Map", "Method", "Work", "images"]

Array = NDArray[np.float64]

# map(points, threads): the images (n, d) of points (n, d), wherever they are. Of a picklable class.
Map: TypeAlias = Callable[[Array, int], Array]


@dataclass(frozen=True)
class Work:
    """How a method works, which does not change what comes out but for the numbers that `rng` draws."""

    rng: Any
    n_jobs: int | None
    threads: int
    progress: bool


class Method(ABC):
    """A method with its options, which are checked where it is made."""

    @abstractmethod
    def maps(self, x: Side, y: Side, work: Work) -> tuple[Map, Map]:
        """The map from the colours of x to those of y, and the one back, from one plan."""

    def moved(self, x: Side, y: Side, work: Work, both: bool) -> list[Array]:
        """Where the pixels (n, d) of x go and, for `both`, those of y."""
        sides = (x, y) if both else (x,)
        # Pictures repeat their colours: each is looked up once.
        return [
            image(side.points, work.threads)[side.where]
            for side, image in zip(sides, self.maps(x, y, work), strict=False)
        ]


def images(t: Transport, x: Array, y: Array) -> tuple[Array, Array]:
    """Where the points x (n, d) and y (m, d) of a transport go, on average, each among the other."""
    received = t.plan.sum(axis=0)
    return t.map(y), (t.plan.T @ x) / received[:, np.newaxis]
