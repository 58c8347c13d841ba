"""Which of many starts to go on with.

Each of a pool of likely and of drawn starts is followed down where that takes little time: between structures of a few
hundred places, or between samples of so many points of larger clouds. There the small matrix A of the plan, which does
not depend on the number of points, says where to begin between the whole clouds. The likeliest starts are tried beside
these: between copies of one cloud they lead to the copy, where a sample comes near it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.exact.emd import emd
from monge.problem.arrays import sampled
from monge.problem.transport import Transport
from monge.spread.threads import in_threads
from monge.structures.clouds import CloudForm
from monge.structures.descent import descend
from monge.structures.forms import Evaluated, Toward
from monge.structures.fused import FusedForm
from monge.structures.sides import Sides
from monge.structures.starts import cloud_starts, row_starts

__all__ = ["chosen", "exact_solver"]

Array = NDArray[np.float64]

# Up to so many places all starts are followed; so many points of larger clouds are a sample.
_SMALL = 300
# Starts in the pool, per descent that is wanted and at least, and steps that are made from each.
_POOL, _AT_LEAST, _STEPS = 2, 8, 100
# So many of the likeliest are tried beside those that a sample shows.
_LIKELIEST = 2
# Values that differ by less of the size of the objective are those of one optimum.
_SAME = 1e-9


def chosen(sides: Sides, count: int, rng: np.random.Generator, deadline: float, workers: int) -> list[Evaluated]:
    """`count` starts, or fewer if they come to the same or the time is over, the best one first."""
    wanted, small = max(_POOL * count, _AT_LEAST), max(sides.form.shape) <= _SMALL
    if small:
        return _best(_followed(sides, _pool(sides, wanted, rng), _STEPS, deadline, workers), count)
    if isinstance(sides.inner, CloudForm):
        likely = _by_sample(sides, sides.inner, wanted, count, rng, deadline, workers)
        return _best(_followed(sides, likely, 1, deadline, workers), count)
    return _pool(sides, count, rng)[:count]


def _pool(sides: Sides, count: int, rng: np.random.Generator) -> list[Evaluated]:
    """`count` starts and one or two more, the likeliest first; with features that by these alone is the first."""
    form = sides.form
    if isinstance(sides.inner, CloudForm):
        starts: list[Evaluated] = [*cloud_starts(sides.inner, count, rng), sides.inner.toward(sides.inner.product)]
    else:
        starts = row_starts(sides.x, sides.y, count, rng)
    if isinstance(form, FusedForm):
        return [Toward(form.features.beside(None, 0.0)), *(form.around(start) for start in starts)]
    return starts


def _by_sample(
    sides: Sides, form: CloudForm, wanted: int, count: int, rng: np.random.Generator, deadline: float, workers: int
) -> list[Evaluated]:
    """Starts between large clouds: the likeliest, and where descents between samples ended."""
    pool = _pool(sides, wanted, rng)
    if isinstance(sides.form, FusedForm):
        return pool[: _LIKELIEST + count]
    places = [sampled(len(side), _SMALL) for side in (form.x, form.y)]
    x, y = form.x.some(places[0]), form.y.some(places[1])
    few = CloudForm(x, y)
    ends = _followed(Sides(x, y, few, few, True), [few.toward(each.A) for each in pool], _STEPS, deadline, workers)
    return pool[:_LIKELIEST] + [form.toward(end.A) for end in _best(ends, count)]


def exact_solver(a: Array, b: Array, threads: int) -> Callable[[Any, Any], Transport]:
    """The transport for a cost, from that for another."""

    def solve(cost: Any, last: Any) -> Transport:
        return emd(cost, a, b, init=last, threads=threads)

    return solve


def _followed(sides: Sides, starts: Sequence[Any], steps: int, deadline: float, workers: int) -> list[Any]:
    form, solve = sides.form, exact_solver(*sides.weights, 1)

    def one(k: int) -> Evaluated:
        return descend(starts[k], form.walk(), solve, 0.0, steps, deadline).at

    return list(in_threads(one, len(starts), workers, deadline))


def _best(found: list[Any], count: int) -> list[Any]:
    """The best of them, without such as have the same value."""
    best: list[Any] = []
    for at in sorted(found, key=lambda at: float(at.value)):
        if len(best) < count and (not best or at.value - best[-1].value > _SAME * at.size):
            best.append(at)
    return best
