"""Which of many starts to go on with.

Each of a pool of likely and of drawn starts is followed down where that takes little time: between structures of a few
hundred places, or between samples of so many points of larger clouds. There the small matrix A of the plan, which does
not depend on the number of points, says where to begin between the whole clouds. The likeliest starts are tried beside
these: between copies of one cloud they lead to the copy, where a sample comes near it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.exact.emd import emd_within
from monge.problem.arrays import sampled
from monge.problem.costs import Cost
from monge.problem.transport import Transport
from monge.spread.threads import in_threads
from monge.structures.clouds import CloudForm
from monge.structures.descent import descend
from monge.structures.descent import steps as path
from monge.structures.forms import Evaluated, Toward
from monge.structures.fused import FusedForm
from monge.structures.sides import Sides
from monge.structures.starts import best_orders, cloud_starts, drawn_clouds, drawn_costs, row_starts

__all__ = ["chosen", "exact_solver"]

Array = NDArray[np.float64]

# Up to so many places all starts are followed; so many points of larger clouds are a sample.
_SMALL = 300
# Starts in the pool, at least, and more that are drawn for each descent beyond the first; steps from each.
_AT_LEAST, _DRAWN, _STEPS = 9, 2, 100
# So many of the likeliest are tried beside those that a sample shows.
_LIKELIEST = 2
# Steps that are made from each of these between whole clouds of up to so many pairs; from larger ones, one.
_FURTHER, _PAIRS = 8, 4_000_000
# Values that differ by less of the size of the objective are those of one optimum.
_SAME = 1e-9


def chosen(sides: Sides, count: int, rng: np.random.Generator, deadline: float, workers: int) -> list[Evaluated]:
    """`count` starts, or fewer if they come to the same or the time is over, the best one first."""
    if _is_small(sides):
        return _best(_followed(sides, _pool(sides, count, rng), _STEPS, deadline, workers), count)
    if isinstance(sides.inner, CloudForm):
        likely = _by_sample(sides, sides.inner, count, rng, deadline, workers)
        n, m = sides.form.shape
        return _best(_followed(sides, likely, _FURTHER if n * m <= _PAIRS else 1, deadline, workers), count)
    return _pool(sides, count, rng)[:count]


def _is_small(sides: Sides) -> bool:
    return max(sides.form.shape) <= _SMALL


def _pool(sides: Sides, count: int, rng: np.random.Generator) -> list[Any]:
    """Starts, the likeliest first, and last, with features, that by these alone. Of what is drawn, some is always the
    same."""
    form, inner, fixed = sides.form, sides.inner, np.random.default_rng(0)
    likely: list[Any] = best_orders(sides.x, sides.y, count) if form is inner else []
    draw: Callable[[int, np.random.Generator], list[Any]]
    if isinstance(inner, CloudForm):
        likely, draw = likely + cloud_starts(inner), partial(drawn_clouds, inner)
    else:
        likely, draw = likely + row_starts(sides.x, sides.y), partial(drawn_costs, form.shape)
        if sides.near is not None:  # places are points, in some other metric
            likely = [Toward(start.cost()) for start in cloud_starts(sides.near)] + likely
    # Between large matrices each takes as much memory as a cost, and none is only tried.
    least, more = (
        (_AT_LEAST, _DRAWN * (count - 1))
        if _is_small(sides) or isinstance(inner, CloudForm)
        else (0, max(count - len(likely), 0))
    )
    starts = likely + draw(max(least - len(likely), 0), fixed) + draw(more, rng)
    if isinstance(form, FusedForm):
        return [*(form.around(start) for start in starts), Toward(form.features.beside(None, 0.0))]
    return starts


def _by_sample(
    sides: Sides, form: CloudForm, count: int, rng: np.random.Generator, deadline: float, workers: int
) -> list[Evaluated]:
    """Starts between large clouds: the likeliest, and where descents between samples ended."""
    pool = _pool(sides, count, rng)
    if isinstance(sides.form, FusedForm):
        return [*pool[: _LIKELIEST + count], pool[-1]]
    x, y = (side.some(_sample(side.weights)) for side in (form.x, form.y))
    few = CloudForm(x, y)
    ends = _followed(Sides(x, y, few, few), [few.toward(each.A) for each in pool], _STEPS, deadline, workers)
    return [*pool[:_LIKELIEST], form.toward(form.product), *(form.toward(end.A) for end in _best(ends, count + 2))]


def _sample(weights: Array) -> NDArray[np.intp]:
    """Some of the places with weight."""
    some = np.flatnonzero(weights)
    return np.asarray(some[sampled(len(some), _SMALL)])


def exact_solver(a: Array, b: Array, threads: int) -> Callable[[Any, Any], Transport]:
    """The transport for a cost, from that for another."""

    def solve(cost: Cost, last: Transport | None) -> Transport:
        return emd_within(cost, a, b, last, threads)

    return solve


def _followed(sides: Sides, starts: Sequence[Any], steps: int, deadline: float, workers: int) -> list[Any]:
    form, solve = sides.form, exact_solver(*sides.weights, 1)

    def one(k: int) -> Evaluated:
        return descend(path(starts[k], form.walk(), solve), 0.0, steps, deadline).at

    return list(in_threads(one, len(starts), workers, deadline))


def _best(found: list[Any], count: int) -> list[Any]:
    """The best of them, without such as have the same value."""
    best: list[Any] = []
    for at in sorted(found, key=lambda at: float(at.value)):
        if len(best) < count and (not best or at.value - best[-1].value > _SAME * at.size):
            best.append(at)
    return best
