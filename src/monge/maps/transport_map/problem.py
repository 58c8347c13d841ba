"""What a method is given and what it returns."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from monge.exact.dense import dense
from monge.maps.transport_map.sides import UNKNOWN, Side
from monge.problem.costs import Cost, CostMatrix, PointCloud

__all__ = ["Fit", "Fitted", "Map", "Options", "Problem"]

Array = NDArray[np.float64]

# map(points, threads): the images (k, d) of points (k, d), wherever they are. Of a picklable class.
Map: TypeAlias = Callable[[Array, int], Array]


@dataclass(frozen=True)
class Options:
    """Numbers that some methods want, checked; None for what follows from the data."""

    eps: float | None
    penalty: float | None
    plan_weight: float
    ridge: float
    bandwidth: float | None
    tol: float | None
    max_iter: int | None
    threads: int
    progress: bool
    deadline: float  # on time.monotonic()

    @property
    def seconds_left(self) -> float | None:
        """None for any number."""
        return None if self.deadline == math.inf else max(self.deadline - time.monotonic(), 0.0)

    @property
    def over(self) -> bool:
        """Whether the time is."""
        return time.monotonic() > self.deadline


@dataclass(frozen=True)
class Problem:
    """Source and target, the ground cost between them, and what it costs more to send one known class to another."""

    x: Side
    y: Side
    ground: Any
    unlike: float
    options: Options

    @cached_property
    def cloud(self) -> PointCloud:
        """The costs of the points alone."""
        return PointCloud(self.x.points, self.y.points, self.ground)

    @cached_property
    def cost(self) -> Cost:
        """What the plan pays."""
        return self.priced(self.cloud, 1.0)

    def priced(self, cost: PointCloud, weight: float) -> Cost:
        """Costs between other points in the place of x and y, and `weight` times what classes cost."""
        if not self.supervised:
            return cost
        C = np.array(dense(cost, self.options.threads))
        for row, of in enumerate(self.x.classes):  # type: ignore[arg-type]
            if of != UNKNOWN:
                C[row, (self.y.classes != of) & (self.y.classes != UNKNOWN)] += weight * self.unlike
        return CostMatrix(C)

    @property
    def supervised(self) -> bool:
        """Whether the plan should keep classes together."""
        return self.x.classes is not None and self.y.classes is not None

    def surcharge(self, plan: Any) -> float:
        """What a sparse plan pays for classes."""
        if not self.supervised or math.isinf(self.unlike):
            return 0.0
        of, to = self.x.classes[plan.row], self.y.classes[plan.col]  # type: ignore[index]
        return self.unlike * float(plan.data[(of != to) & (of != UNKNOWN) & (to != UNKNOWN)].sum())

    @cached_property
    def scale(self) -> float:
        """The mean of |x - y|^2 over all pairs, but for the distance of the means: wherever the target is."""
        return float(np.trace(self.x.covariance) + np.trace(self.y.covariance)) or 1.0


@dataclass(frozen=True)
class Fitted:
    """The map, the one back, and further attributes of the fitted estimator, by name."""

    there: Map
    back: Map
    found: dict[str, Any] = field(default_factory=dict)


Fit: TypeAlias = Callable[[Problem], Fitted]
