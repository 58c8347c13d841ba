"""Rows of a pass for the ground cost that a user wrote: what csrc/entropic/pairs.hpp says of `SinkhornRows`.

Costs are filled in for some rows at a time, and handed to the core as a matrix. In single precision, in which most
passes are made, the pass itself is compiled around the cost, which saves a third of the time where the cost is a cheap
one: it goes from registers into its exponential. What is rare there is left to the core, since all that is compiled
makes the first call longer.

Importing this imports the compiler.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic._pairs import sinkhorn_rows
from monge.entropic.kernels.all_pairs import cut
from monge.problem.compiled import Costs, blocks_of, loop
from monge.problem.single import exp2

__all__ = ["stripes", "vectorised"]

Array = NDArray[np.float64]

# Pairs that are filled in at a time: few enough to stay in cache, and enough for what it takes to begin.
_STRIPE = 2**18
# Columns whose powers are added up in single precision: so few that for each of the sums that work side by side what
# all of them round in one direction stays below what single precision is said to add to the error. And the rows whose
# columns are.
_TILE, _FLUSH = 1024, 64
# Sums of a row, with the shift of the pass before, that need no better shift; and the logarithm of a row's factor
# beyond which the lift has not done its work.
_SAFE_LOW, _SAFE_HIGH, _LARGEST_SCALE = 1e-5, 1e30, 20.0
_ZERO: Any = np.float32(0.0)


def stripes(costs: Costs) -> Callable[..., None]:
    """`sinkhorn_rows` of costs, in their precision."""
    rooms: list[NDArray[Any]] = []  # to be used again: memory that is new takes longer to get than costs to compute

    def some_rows(
        beta: NDArray[Any], inverse: float, reference: float, log_a: Array, damp: float, cap: float, lift: float,
        first: int, last: int, shift: Array, f: Array, sums: Array,
    ) -> None:  # fmt: skip
        m = len(sums)
        tall = max(1, _STRIPE // m)
        room, part = rooms.pop() if rooms else np.empty((tall, m), costs.dtype), np.empty(m)
        sums[:] = 0.0
        for rows in cut(slice(first, last), tall):
            stripe = room[: rows.stop - rows.start]
            costs.fill(rows.start, stripe)
            sinkhorn_rows(
                (stripe,), beta, inverse, reference, log_a[rows], damp, cap, lift, 0, len(stripe), shift[rows],
                f[rows], part,
            )  # fmt: skip
            sums += part
        rooms.append(room)

    return some_rows


def vectorised(costs: Costs) -> Callable[..., None]:
    """The same in single precision. From the first row on whose shift is no good any more, rows are left to stripes."""
    loops, others = costs.loops, stripes(costs)
    function = loops.cost.function
    safe_rows = loops.kept("pass", lambda: _safe_rows(loops.copy(function, True), loops.d), function, __file__)

    def some_rows(
        beta: NDArray[np.float32], inverse: float, reference: float, log_a: Array, damp: float, cap: float,
        lift: float, first: int, last: int, shift: Array, f: Array, sums: Array,
    ) -> None:  # fmt: skip
        settings = np.array([inverse, reference, damp, cap, lift])
        done = loops.call(safe_rows, costs.x, costs.y, beta[: len(sums)], log_a, settings, first, last, shift, f, sums)
        if done < last:
            rest = np.empty_like(sums)
            others(beta, inverse, reference, log_a, damp, cap, lift, done, last, shift, f, rest)
            sums += rest

    return some_rows


def _safe_rows(c: Any, d: int) -> Any:
    block, point, at = blocks_of(d)

    def rows(x, y, beta, log_a, settings, first, last, shift, f, sums):  # type: ignore[no-untyped-def]
        """Returns the row where it stopped, because with its shift the sum is not safe, or `last`."""
        inverse, reference, damp, cap, lift = settings
        k, m, done = np.float32(inverse), len(beta), first
        powers, columns = np.empty(m, np.float32), np.zeros(m, np.float32)
        sums[:] = 0.0
        while done < last:
            here, guess, total = point(x, done), np.float32(shift[done] - reference), 0.0
            for begin in range(0, m, _TILE):
                end = min(begin + _TILE, m)
                there, beta_there, powers_there, part = block(y, begin, end), beta[begin:end], powers[begin:end], _ZERO
                for j in range(len(beta_there)):
                    power = exp2((beta_there[j] + guess) - k * c(here, at(there, j)))
                    powers_there[j] = power
                    part += power
                total += part
            if not (total > _SAFE_LOW and total < _SAFE_HIGH):
                break
            log_total = math.log2(total)
            shift[done] = guess - log_total + reference
            f[done] = min(max(damp * shift[done], -cap), cap)
            # With a lift that is far too low, what was cut off would count: then columns are computed again.
            scale = log_a[done] + (f[done] - shift[done]) - log_total - lift
            factor = np.float32(2.0**scale if scale < _LARGEST_SCALE else np.inf)
            for j in range(m):
                columns[j] += factor * powers[j]
            done += 1
            if (done - first) % _FLUSH == 0:
                for j in range(m):
                    sums[j] += columns[j]
                    columns[j] = _ZERO
        for j in range(m):
            sums[j] += columns[j]
        return done

    return loop(rows, True)
