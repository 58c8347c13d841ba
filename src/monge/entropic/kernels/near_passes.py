"""Passes over points in up to three dimensions, in which pairs too far apart to matter are left out.

`csrc/entropic/near.hpp` tells how, `reference` what a pass is. Points are in the order of a k-d tree; `near` is for
points in any order, and goes on to what a plan is asked for.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic._near import BLOCK, Bounds, Lists, Pass
from monge.entropic.kernels.scale import NOISE, Scale, cost_scale
from monge.entropic.kernels.threads import CHUNKS, Threads
from monge.entropic.marginals import Marginal
from monge.problem.costs import PointCloud

__all__ = ["NearPasses", "form"]

Array = NDArray[np.float64]

# The fraction of all pairs from which passes go over all.
_MOST = 0.5
# By how much, in units of eps, pairs may become more likely before they are listed anew.
_DRIFT = 16.0
# In units of eps, by how much more one row of a block may fall short of its weight than another.
_UNEVEN = 5.0
# What columns get that want less, as a share of the mean; and the largest exponent that is taken at its word.
_LEAST, _FARTHEST = 0.01, 300.0
# A column that is short of its weight by more than this, over what may be skipped of it, is summed again.
_LOST = 100.0
# Pairs that may be spent on that, as a fraction of those of the pass.
_REPAIRS = 0.1
# Largest scale of coordinates in each precision; eps that are smaller are as good as zero.
_FINEST = (1e17, 1e120)

# The cost from the middle of a block to one of its rows, over eps, whose rounding adds 1e-7 to an exponent.
_WIDE = 1e9
# The ratio of the largest possible cost to the mean from which some blocks may be wide.
_OUTLYING = 1e3

_LN2 = math.log(2.0)


class NearPasses:
    """The passes of one problem, whose points are in the order of a k-d tree and whose weights are positive.

    `skipped` bounds the marginal error that passes may leave out, `shift` (n,) is a guess of the first potentials of
    the rows. A pass that need not be complete may go by the lists of an earlier one; it returns whether it did not.
    """

    patience = 30

    def __init__(
        self, cost: PointCloud, a: Array, b: Array, marginals: tuple[Marginal, Marginal], threads: Threads,
        skipped: float, shift: Array, scale: Scale | None = None,
    ) -> None:  # fmt: skip
        self.a, self.b, self.skipped, self.threads = a, b, skipped, threads
        self.rows, self.columns = marginals
        self._cost, self._known_scale = cost, scale
        self._x, self._y, self._metric, self._power, self._per_unit = form(cost)
        self._log_a, self._log_b = np.log2(a), np.log2(b)
        n, m = cost.shape
        self._shift = shift.copy()
        self._chunks = max(1, min(CHUNKS, n // 1000))
        self._cuts = [k * (n // BLOCK) // self._chunks * BLOCK for k in range(self._chunks)] + [n]
        self._sums = np.empty((self._chunks, m))
        self._lists: tuple[float, bool, list[Lists | None]] | None = None
        self._listed = np.zeros(m)
        self._dense = math.inf
        self._last_pairs = n * m
        self.pairs = 0

    @cached_property
    def _cost_scale(self) -> Scale:
        return cost_scale(self._cost) if self._known_scale is None else self._known_scale

    @property
    def size(self) -> float:
        """The size of the costs."""
        return self._cost_scale.size

    @property
    def exact_below(self) -> float:
        """The eps below which exact potentials are the better start."""
        return self._cost_scale.exact_below

    @cached_property
    def noise(self) -> float:
        """What single precision adds to the marginal error, times eps. Coordinates and potentials are local, and small,
        unless mass has far to go or a block is wide."""
        _, mean, _, size, nearest, noise = self._cost_scale
        noise = (0.2 + 0.8 * nearest / mean) * noise if mean > 0.0 else noise
        if self._reach <= _OUTLYING * size:
            return noise
        own = self.a @ np.repeat(self._radii, BLOCK)[: len(self.a)] / self.a.sum()
        return max(noise, NOISE * float(own))

    def restart(self, shift: Array) -> None:
        """Forgets what it knows of earlier potentials; `shift` (n,) are new ones of the rows."""
        self._shift, self._lists, self._dense = shift.copy(), None, math.inf

    def run(self, steps: Any, eps: float, single: bool, complete: bool) -> bool:
        """One pass."""
        f, g, s = steps.f, steps.g, steps.s
        n, m = len(f), len(g)
        unit = eps * _LN2
        scale = min((self._per_unit / unit) ** (1.0 / self._power), _FINEST[0 if single else 1])
        by_list = (
            not complete and self._lists is not None and self._lists[:2] == (eps, single) and self._near(g, f, eps)
        )
        wanted = self._wanted(g)
        rows, shift, beta = f / unit, self._shift / unit, g / unit  # in the core's units
        damp, cap = 1.0 / (1.0 + eps / self.rows.kl), self.rows.cap / unit
        whole = not by_list and eps >= self._dense
        chunks, cuts = self._chunks, self._cuts
        bounds = None
        if not by_list and not whole:
            heights = beta if wanted is self.b else beta + np.maximum(np.log2(self.b / wanted), 0.0)
            bounds = Bounds(self._y, heights, self._log_b + math.log2(m), scale, self._cost.squared)
        beta += self._log_b
        metric = self._exact_metric(eps)
        common = Pass(self._x, self._y, scale, metric, beta, self._log_a, wanted, damp, cap, shift, rows, single)
        pairs, needed = [0] * chunks, [0] * chunks
        lists: list[Lists | None] = self._lists[2] if self._lists is not None else [None] * chunks

        def work(k: int) -> None:
            chunk, sums = (cuts[k], cuts[k + 1]), self._sums[k]
            if bounds is not None:
                pairs[k], needed[k], lists[k] = common.screened(*chunk, bounds, math.log2(self.skipped), sums, lists[k])
            else:
                pairs[k] = common.listed(*chunk, lists[k] if by_list else None, sums)

        self.threads.share(chunks, work, self._last_pairs)
        done = sum(pairs)
        self.pairs += done
        self._last_pairs = done
        if bounds is not None:
            self._lists, self._listed = (eps, single, lists), g.copy()
            if sum(needed) > _MOST * n * m:
                self._dense, self._lists = eps, None
        share = 1e-20 if whole else _LOST * self.skipped
        repairs = max(16, int(_REPAIRS * done / n))
        common.columns(self._sums, self._log_b, g, unit, share, repairs, s)
        np.multiply(rows, unit, out=f)
        np.multiply(shift, unit, out=self._shift)
        return not by_list

    def _exact_metric(self, eps: float) -> tuple[int, float, bool]:
        """The metric in a form whose rounding is nothing beside eps. Squares are quickest as products of coordinates
        about the middle of a block, which hide what is small beside a wide block, such as one with an outlier."""
        if self._cost.squared and self._reach > _WIDE * eps and self._widest > _WIDE * eps:
            return (*self._metric[:2], True)
        return self._metric

    @property
    def _reach(self) -> float:
        """What no cost between two rows exceeds: their coordinates are scaled to a box of that size."""
        return float(3.0 ** max(1.0, self._power) * self._per_unit)

    @cached_property
    def _widest(self) -> float:
        return float(self._radii.max())

    @cached_property
    def _radii(self) -> Array:
        """For each block of rows, the largest cost from its middle to one of them."""
        starts, n = np.arange(0, len(self.a), BLOCK), len(self.a)
        sizes = np.diff([*starts, n])
        middles = np.repeat(np.add.reduceat(self._x, starts, axis=1) / sizes, sizes, axis=1)
        squares = np.maximum.reduceat(((self._x - middles) ** 2).sum(axis=0), starts)
        return np.asarray(self._per_unit * squares ** (0.5 * self._power))

    def _wanted(self, g: Array) -> Array:
        """The column sums that g calls for, or more: what is skipped has to be little beside these."""
        if math.isinf(self.columns.kl):
            return self.b
        factors = np.exp(np.clip(-g / self.columns.kl, -_FARTHEST, _FARTHEST))
        return self.b * np.maximum(factors, _LEAST * float(self.b @ factors) / float(self.b.sum()))

    def _near(self, g: Array, f: Array, eps: float) -> bool:
        """Whether pairs that are not listed do not matter, to any row or column."""
        moved = g - self._listed  # and the rows by no more than the opposite
        if float(moved.max() - moved.min()) > _DRIFT * eps:
            return False
        if self.rows.fixed:
            return True
        # Rows that send next to nothing have no say in what their block lists.
        short, starts = self._shift - f, np.arange(0, len(f), BLOCK)
        uneven = np.maximum.reduceat(short, starts) - np.minimum.reduceat(short, starts)
        return float(uneven.max()) <= _UNEVEN * eps


def form(cost: PointCloud) -> tuple[Array, Array, tuple[int, float, bool], float, float]:
    """Coordinates (3, n) and (3, m) about their middle, the metric as the core knows it, the power of its distance, and
    the factor from its numbers to cost units."""
    x, y, base, exponent, per_unit = cost.centred()
    return _three(x), _three(y), (base, exponent, False), cost.power, per_unit


def _three(points: Array) -> Array:
    out = np.zeros((3, len(points)))
    out[: points.shape[1]] = points.T
    return out
