"""The arcs that may carry mass of an L2-regularised plan, and sums over those that do.

An arc carries z_ij = h_i + k_j - c_ij where that is positive, for reduced costs c = C - f - g of some potentials and
steps h, k away from them. z is linear along a step, so an arc that carries nothing at both of its ends carries nothing
in between: those that are listed for a step are all that count on it. A list is row by row: the arcs of row i are
begin[i], ..., begin[i + 1] - 1.

Sums are over chunks of rows that are cut by the size of the problem alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.jit import jit
from monge.entropic.kernels.threads import CHUNKS, Threads

__all__ = ["BYTES", "ROUNDED", "Arcs", "Full", "Links", "Loads", "Steps", "listed", "loads", "slopes"]

Array = NDArray[np.float64]
Steps = tuple[Array, Array]  # h (n,) and k (m,)

# Bytes per arc of a list while it is made and used, and the plan is taken from it.
BYTES = 96
# Costs that are looked at together: a comparison of so many is done by vectors, and most blocks hold no arc.
_BLOCK = 64
# Room for arcs of a chunk, per row, to begin with; it doubles where there are more.
_ROOM = 8
# Sums over fewer arcs are not worth cutting into chunks.
_FEW = 2**14
# Reduced costs that are so small beside the potentials in them are rounding, and zero; and the same with room to spare.
ROUNDED, _NEAR_ROUNDED = 4e-16, 1e-15


class Arcs(NamedTuple):
    """A list of arcs."""

    begin: NDArray[np.int64]  # (n + 1,)
    col: NDArray[np.int32]  # (arcs,)
    cost: Array  # (arcs,): reduced costs c_ij


class Full(Exception):
    """There are more arcs than were allowed."""


class Links(NamedTuple):
    """The matrix S of active arcs, S_ij = 1 where z_ij > 0."""

    begin: NDArray[np.int64]  # (n + 1,)
    col: NDArray[np.int32]  # (active,)
    out: Array  # (n,): S 1
    into: Array  # (m,): S' 1

    def times(self, u: Array, v: Array, threads: Threads) -> tuple[Array, Array]:
        """S v (n,) and S' u (m,)."""
        rows = np.empty(len(u))

        def work(first: int, last: int) -> Array:
            columns = np.zeros(len(v))
            _times(self.begin, self.col, u, v, first, last, rows, columns)
            return columns

        return rows, _summed(_share(work, len(u), len(self.col), threads))


class Loads(NamedTuple):
    """What the arcs of a list carry together."""

    sent: Array  # (n,): sums of z_ij over active arcs
    received: Array  # (m,)
    links: Links


def listed(C: NDArray[Any], base: Steps, unit: float, here: Steps, there: Steps, most: int, threads: Threads) -> Arcs:
    """The arcs that are active at one of the steps `here` and `there`; `Full` where there are more than `most`.

    C (n, m) are the costs, and `base` the potentials that are taken from them; steps and reduced costs are in units of
    `unit`, a power of two.
    """
    n, m = C.shape
    (h, k), (ends_h, ends_k) = ((unit * rows, unit * columns) for rows, columns in (here, there))
    slack = _NEAR_ROUNDED * (np.abs(base[0]) + np.abs(base[1]).max())

    def work(first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.int32], Array]:
        rows = np.ascontiguousarray(C[first:last])
        own = [part[first:last] for part in (base[0], slack, h, ends_h)]
        room = min(_ROOM * (last - first), most) + m
        count, col, cost = np.zeros(last - first, np.int64), np.empty(room, np.int32), np.empty(room)
        done, found = 0, 0
        while True:
            done, found = _list(rows, *own, base[1], k, ends_k, 1.0 / unit, done, found, count, col, cost)
            if found > most:
                raise Full
            if done == last - first:
                return count, col[:found], cost[:found]
            col, cost = np.resize(col, 2 * len(col)), np.resize(cost, 2 * len(cost))

    counts, cols, costs = zip(*_share(work, n, n * m, threads), strict=True)
    if sum(map(len, cols)) > most:
        raise Full
    return Arcs(_begins(np.concatenate(counts)), np.concatenate(cols), np.concatenate(costs))


def loads(arcs: Arcs, here: Steps, threads: Threads) -> Loads:
    """What arcs carry at a step, and which do."""
    n, m = map(len, here)
    sent, out = np.empty(n), np.empty(n)

    def work(first: int, last: int) -> tuple[Array, Array, NDArray[np.int32]]:
        received, into = np.zeros(m), np.zeros(m)
        col = np.empty(arcs.begin[last] - arcs.begin[first], np.int32)
        found = _loads(*arcs, *here, first, last, sent, out, received, into, col)
        return received, into, col[:found]

    received, into, cols = zip(*_share(work, n, len(arcs.col), threads), strict=True)
    return Loads(sent, _summed(received), Links(_begins(out), np.concatenate(cols), out, _summed(into)))


def slopes(arcs: Arcs, here: Steps, step: Steps, t: float, threads: Threads) -> tuple[float, float]:
    """sum z dz and sum dz^2 over the arcs that are active at here + t step, where dz_ij = dh_i + dk_j."""

    def work(first: int, last: int) -> tuple[float, float]:
        slope, curve = _slopes(*arcs, *here, *step, t, first, last)
        return slope, curve

    parts = _share(work, len(here[0]), len(arcs.col), threads)
    return sum(part[0] for part in parts), sum(part[1] for part in parts)


def _share(work: Callable[[int, int], Any], n: int, pairs: int, threads: Threads) -> list[Any]:
    """work(first, last) for chunks of the rows."""
    chunks = min(CHUNKS, n) if pairs >= _FEW else 1
    cuts = [n * k // chunks for k in range(chunks + 1)]
    return threads.share(chunks, lambda k: work(cuts[k], cuts[k + 1]), pairs)


def _begins(counts: NDArray[Any]) -> NDArray[np.int64]:
    begin = np.zeros(len(counts) + 1, np.int64)
    begin[1:] = np.cumsum(counts)
    return begin


def _summed(parts: Any) -> Array:
    return np.asarray(parts[0] if len(parts) == 1 else np.sum(parts, axis=0))


@jit
def _list(  # type: ignore[no-untyped-def]
    C,  # (rows, m)
    f, slack, h, ends_h,  # (rows,)
    g, k, ends_k,  # (m,)
    scale, row, found,
    count,  # (rows,) out
    col, cost,  # (room,) out
):  # fmt: skip
    """From `row` on, as long as a whole row has room; the row and the number of arcs that it came to."""
    n, m = C.shape
    while row < n and found + m <= len(col):
        before = found
        for start in range(0, m, _BLOCK):
            stop = min(start + _BLOCK, m)
            # Views of their own, of which the compiler knows that indices do not wrap around: else no vectors.
            c, base, near, far = C[row, start:stop], g[start:stop], k[start:stop], ends_k[start:stop]
            taken, nearer, farther = f[row], h[row] + slack[row], ends_h[row] + slack[row]
            some = np.int64(0)
            for j in range(stop - start):
                reduced = c[j] - base[j] - taken
                some += np.int64(reduced < nearer + near[j]) | np.int64(reduced < farther + far[j])
            if some == 0:
                continue
            for j in range(stop - start):
                reduced = c[j] - base[j] - taken
                if abs(reduced) <= ROUNDED * (abs(base[j]) + abs(taken)):
                    reduced = 0.0
                if reduced < max(h[row] + near[j], ends_h[row] + far[j]):
                    col[found] = start + j
                    cost[found] = reduced * scale
                    found += 1
        count[row] = found - before
        row += 1
    return row, found


@jit
def _loads(begin, col, cost, h, k, first, last, sent, out, received, into, active):  # type: ignore[no-untyped-def]
    found = 0
    for i in range(first, last):
        total, before = 0.0, found
        for p in range(begin[i], begin[i + 1]):
            j = col[p]
            z = h[i] + k[j] - cost[p]
            if z > 0.0:
                total += z
                received[j] += z
                into[j] += 1.0
                active[found] = j
                found += 1
        sent[i] = total
        out[i] = found - before
    return found


@jit
def _times(begin, col, u, v, first, last, rows, columns):  # type: ignore[no-untyped-def]
    for i in range(first, last):
        total, ui = 0.0, u[i]
        for p in range(begin[i], begin[i + 1]):
            j = col[p]
            total += v[j]
            columns[j] += ui
        rows[i] = total


@jit
def _slopes(begin, col, cost, h, k, dh, dk, t, first, last):  # type: ignore[no-untyped-def]
    slope, curve = 0.0, 0.0
    for i in range(first, last):
        for p in range(begin[i], begin[i + 1]):
            j = col[p]
            dz = dh[i] + dk[j]
            z = h[i] + k[j] - cost[p] + t * dz
            if z > 0.0:
                slope += z * dz
                curve += dz * dz
    return slope, curve
