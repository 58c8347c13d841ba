"""Point clouds from coarse to fine.

At a large eps the plan does not see details: groups of points near each other, each as one point of their weight, give
nearly the same potentials for a fraction of the pairs (Schmitzer 2019, "Stabilized sparse scaling algorithms for
entropy regularized transport problems", section 3.4). So eps is annealed on coarse clouds, each as far as its groups
are small against the blur of that eps, and potentials go down to the next finer one by a softmin. The groups are the
boxes of a k-d tree.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.entropic import iteration
from monge.entropic.drive import drive
from monge.entropic.kernels.clouds import CloudKernel
from monge.entropic.kernels.threads import Threads
from monge.entropic.marginals import Balanced, Marginal
from monge.exact._core import kd_order
from monge.exact.emd import emd
from monge.problem.costs import PointCloud

__all__ = ["solve_cloud"]

Array = NDArray[np.float64]

# Points of a group, and how few points are not grouped.
_GROUP, _FEW = 4, 2000
# Mean square radius of the groups, in units that make it a cost, over the smallest eps they serve for.
_BLUR = 1.0
# The marginal error to which a coarse problem is solved.
_ROUGH = 0.005
# Points of a coarse problem that is solved exactly.
_EXACT = 1000
# What passes may skip: of the weights at a coarse level, and of the tolerance at the last.
_SKIPPED, _SKIPPED_OF_TOL = 1e-5, 0.01


class _Side(NamedTuple):
    """Points of one side, in the order of a k-d tree, with positive weights."""

    points: Array  # (n, d)
    weights: Array  # (n,)

    def grouped(self) -> _Side:
        starts = np.arange(0, len(self.points), _GROUP)
        weights = np.add.reduceat(self.weights, starts)
        return _Side(np.add.reduceat(self.points * self.weights[:, np.newaxis], starts) / weights[:, np.newaxis], weights)


def solve_cloud(
    cost: PointCloud, a: Array, b: Array, demands: tuple[Marginal, Marginal], eps: float, g: Array | None, tol: float,
    max_iter: int, workers: int, history: Array, outcome: Array, report: Callable[[int, float, float], None] | None,
) -> tuple[Array, Array, dict[str, Any]]:  # fmt: skip
    """Potentials f (n,) and g (m,), zero where there is no weight, and counters; g is a start."""
    orders = []
    sides = []
    for points, weights in ((cost.x, a), (cost.y, b)):
        kept = np.flatnonzero(weights > 0.0)
        inside = np.ascontiguousarray(points[kept], dtype=np.float64)
        order = kept[kd_order(inside)]
        orders.append(order)
        sides.append(_Side(points[order].astype(np.float64), weights[order]))
    levels = [tuple(sides)]
    while g is None and min(len(side.points) for side in levels[-1]) > _FEW:
        levels.append(tuple(side.grouped() for side in levels[-1]))

    stats: dict[str, Any] = {"pairs": 0, "coarse_passes": 0}
    with Threads(workers) as threads:
        f_shift = np.zeros(len(levels[-1][0].points))
        g = np.zeros(len(levels[-1][1].points)) if g is None else g[orders[1]]
        first = None
        for depth in range(len(levels) - 1, -1, -1):
            x, y = levels[depth]
            now = PointCloud(x.points, y.points, cost.cost)
            skipped = _SKIPPED if depth > 0 else min(_SKIPPED, _SKIPPED_OF_TOL * tol)
            kernel = CloudKernel(now, x.weights, y.weights, demands[0], threads, skipped, f_shift)
            if first is None:
                first = kernel.scale if len(levels) > 1 or not g.any() else eps
            last = eps if depth == 0 else _last(levels[depth - 1], levels[depth], cost, eps, first)
            f = f_shift.copy()
            goal = tol if depth == 0 else max(_ROUGH, tol)
            options = x.weights, y.weights, demands, last
            balanced = demands[0].fixed and demands[1].fixed
            if drive(kernel, *options, first, goal, max_iter, f, g, history, outcome, report, impatient=balanced):
                if os.environ.get('DBG'): print('stalled', len(x.points),'eps',outcome[iteration.EPS],'err',outcome[iteration.ERROR],outcome[iteration.PASSES])
                f[:], g[:] = _exact(levels[depth], cost, outcome[iteration.EPS], threads)
                kernel.restart(f)
                drive(kernel, *options, float(outcome[iteration.EPS]), goal, max_iter, f, g, history, outcome, report)
            stats["pairs"] += kernel.pairs
            if os.environ.get('DBG'): print('level',len(x.points),'eps',first,last,'passes',outcome[iteration.PASSES],'err',outcome[iteration.ERROR], 'pairs/nm',kernel.pairs/len(x.points)/len(y.points), history[:int(outcome[iteration.PASSES])].round(5).tolist())
            if depth > 0:
                stats["coarse_passes"] += int(outcome[iteration.PASSES])
                f_shift, g = _lift(levels[depth], levels[depth - 1], cost, f, g, demands, last, threads)
                first = max(last / 4.0, eps)
    out = []
    for potential, order, size in ((f, orders[0], len(a)), (g, orders[1], len(b))):
        full = np.zeros(size)
        full[order] = potential
        out.append(full)
    return out[0], out[1], stats


def _last(fine: Any, coarse: Any, cost: PointCloud, eps: float, first: float) -> float:
    """The last eps for which the groups are small enough: eps times a power of four."""
    blur = 0.0
    for small, large in zip(fine, coarse, strict=True):
        parents = np.repeat(np.arange(len(large.points)), _GROUP)[: len(small.points)]
        square = ((small.points - large.points[parents]) ** 2).sum(axis=1)
        blur = max(blur, float((small.weights * square ** (cost.power / 2.0)).sum() / small.weights.sum()))
    last = eps
    while last < _BLUR * blur and last * 4.0 <= first:
        last *= 4.0
    return last


def _exact(sides: Any, cost: PointCloud, eps: float, threads: Threads) -> tuple[Array, Array]:
    """Potentials from the exact solution of a coarse problem.

    Parts of the clouds that are far from each other, on the scale of eps, exchange so little mass that passes take long
    to tell how far their potentials are apart. The exact solver finds that at once.
    """
    levels = [sides]
    while max(len(side.points) for side in levels[-1]) > _EXACT:
        levels.append(tuple(side.grouped() for side in levels[-1]))
    x, y = levels[-1]
    t = emd(PointCloud(x.points, y.points, cost.cost), x.weights, y.weights * (x.weights.sum() / y.weights.sum()), threads=threads.number)
    f, g = t.f, t.g
    for fine, coarse in zip(levels[-2::-1], levels[:0:-1], strict=True):
        f, g = _lift(coarse, fine, cost, f, g, (Balanced(), Balanced()), eps, threads)
    return f, g


def _lift(
    coarse: Any, fine: Any, cost: PointCloud, f: Array, g: Array, demands: tuple[Marginal, Marginal], eps: float,
    threads: Threads,
) -> tuple[Array, Array]:  # fmt: skip
    """Potentials of the finer level: those of the groups for f, softmins over the coarse rows for g."""
    x, y = coarse[0], fine[1]
    guess = np.repeat(g, _GROUP)[: len(y.points)]
    kernel = CloudKernel(PointCloud(y.points, x.points, cost.cost), y.weights, x.weights, demands[1], threads, _SKIPPED, guess)
    lifted = guess.copy()
    kernel.sweep(f, eps, True, True, lifted, np.empty(len(f)))
    return np.repeat(f, _GROUP)[: len(fine[0].points)], lifted
