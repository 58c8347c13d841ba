"""Rows of a pass for the ground cost that a user wrote: what csrc/entropic/pairs.hpp says of `SinkhornRows`.

In double precision costs are filled in for some rows at a time, and handed to the core as a matrix. In single
precision, in which most passes are made, the whole pass is compiled around the cost, which saves a third of the time
where the cost is a cheap one: it goes from registers into its exponential.

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
from monge.problem.single import exp2, fast

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
_NONE: Any = np.float32(-np.inf)


def stripes(costs: Costs) -> Callable[..., None]:
    """`sinkhorn_rows` of costs in double precision."""
    rooms: list[Array] = []  # to be used again: memory that is new takes longer to get than costs take to compute

    def some_rows(
        beta: Array, inverse: float, reference: float, log_a: Array, damp: float, cap: float, lift: float,
        first: int, last: int, shift: Array, f: Array, sums: Array,
    ) -> None:  # fmt: skip
        m = len(sums)
        tall = max(1, _STRIPE // m)
        room, part = rooms.pop() if rooms else np.empty((tall, m)), np.empty(m)
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
    """`sinkhorn_rows` of costs in single precision."""
    loops = costs.loops
    compiled = loops.kept(
        "pass", lambda: _pass(loops.copy(loops.cost.function, True), loops.d), loops.cost.function, __file__
    )

    def some_rows(
        beta: NDArray[np.float32], inverse: float, reference: float, log_a: Array, damp: float, cap: float,
        lift: float, first: int, last: int, shift: Array, f: Array, sums: Array,
    ) -> None:  # fmt: skip
        settings = np.array([inverse, reference, damp, cap, lift])
        loops.call(compiled, costs.x, costs.y, beta[: len(sums)], log_a, settings, first, last, shift, f, sums)

    return some_rows


def _pass(c: Any, d: int) -> Any:
    block, point, at = blocks_of(d)

    @fast
    def exponentiate(x, y, beta, inverse, guess, row, powers):  # type: ignore[no-untyped-def]
        """powers_j = 2^(beta_j + guess - inverse c(x_row, y_j)), and their sum."""
        here, total = point(x, row), 0.0
        for begin in range(0, len(beta), _TILE):
            end = min(begin + _TILE, len(beta))
            there, beta_there, powers_there, part = block(y, begin, end), beta[begin:end], powers[begin:end], _ZERO
            for j in range(len(beta_there)):
                power = exp2((beta_there[j] + guess) - inverse * c(here, at(there, j)))
                powers_there[j] = power
                part += power
            total += part
        return total

    @fast
    def peak(x, y, beta, inverse, row):  # type: ignore[no-untyped-def]
        """-max_j beta_j - inverse c(x_row, y_j); zero where no column is in reach."""
        here, there, top = point(x, row), block(y, 0, len(beta)), _NONE
        for j in range(len(beta)):
            top = max(top, beta[j] - inverse * c(here, at(there, j)))
        return -top if top > _NONE else _ZERO

    def rows(x, y, beta, log_a, settings, first, last, shift, f, sums):  # type: ignore[no-untyped-def]
        inverse, reference, damp, cap, lift = settings
        k, m = np.float32(inverse), len(beta)
        powers, columns = np.empty(m, np.float32), np.zeros(m, np.float32)
        sums[:] = 0.0
        for row in range(first, last):
            guess = np.float32(shift[row] - reference)
            total = exponentiate(x, y, beta, k, guess, row, powers)
            if not (total > _SAFE_LOW and total < _SAFE_HIGH):
                guess = peak(x, y, beta, k, row)
                total = exponentiate(x, y, beta, k, guess, row, powers)
            if total > _SAFE_LOW:
                log_total = math.log2(total)
                shift[row] = guess - log_total + reference
                f[row] = min(max(damp * shift[row], -cap), cap)
                # With a lift that is far too low, what was cut off would count: then columns are computed again.
                scale = log_a[row] + (f[row] - shift[row]) - log_total - lift
                factor = np.float32(2.0**scale if scale < _LARGEST_SCALE else np.inf)
                for j in range(m):
                    columns[j] += factor * powers[j]
            else:  # no column in reach
                f[row] = shift[row] = 0.0
            if (row - first) % _FLUSH == _FLUSH - 1 or row == last - 1:
                for j in range(m):
                    sums[j] += columns[j]
                    columns[j] = _ZERO

    return loop(rows, True)
