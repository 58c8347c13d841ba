"""Passes over points in up to three dimensions, in which pairs that are too far apart to matter are skipped.

Points lie in the order of a k-d tree. A block of rows works on a packed copy of the columns that it can reach, moved to
the middle of the block, and with potentials relative to its own: what is left of the exponents is small, and single
precision loses next to nothing. One exponential per pair serves both half steps, as in `passes`.

Which columns a block can reach is found by bounds (`screened`): over the columns of a node, potentials lie below a
linear function, and for each row the largest value of that, minus the cost, over the box around the node has a closed
form. With r the potentials of the rows and weights of total 1, a pair is left out where

    2^(r_i + g_j - C_ij) max(a_i n, b_j m) <= tau,

so that what a row or a column loses is at most tau of its weight. The same pass writes the lists that `listed` goes
by: the columns, as runs, of which a block of rows holds more than that.

All is in log2 units: costs and potentials over eps log 2, coordinates scaled so that `ground` gives such costs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

from monge.entropic.kernels.exp2 import HIGH, LOW, exp2
from monge.entropic.kernels.jit import EXACT, jit

__all__ = ["BLOCK", "LARGE_BLOCK", "LEAF", "LEVELS", "bounds", "columns", "listed", "screened"]

# Columns of a leaf, of a node, and of a node of nodes; rows of a block, and of a block that reaches all columns.
LEAF, LEVELS = 16, (16, 256, 4096)
BLOCK, LARGE_BLOCK = 16, 256
# Packed columns are filled up to a multiple of this, for vectors.
_ROUND = 32
# Runs of columns that are so close are joined.
_JOIN = 4
# Sums of a row, with the potential of the pass before, that need no better shift.
_SAFE_LOW, _SAFE_HIGH = 1e-8, 1e30
# The logarithm of the mass of rows, over that of those before in their block, from which sums are scaled anew.
_LARGEST_RISE = 10.0
# By how much a row's potential may be above that by which its columns were chosen, before they are chosen again.
_SLACK = 0.5
# Places of a node's bound: its box, its slope, its middle, its height, its largest weight.
_LOW, _HIGH, _SLOPE, _MIDDLE, _TOP, _WEIGHT = 0, 3, 6, 9, 12, 13


def ground(u: Any, v: Any, w: Any, metric: Any) -> Any:
    """The cost of a difference of points, for compiled callers; the length of the tuple `metric` tells which."""
    raise NotImplementedError("ground is for compiled code")


@overload(ground, inline="always")
def _ground(u, v, w, metric):  # type: ignore[no-untyped-def]
    if len(metric) == 1:  # squared Euclidean
        return lambda u, v, w, metric: u * u + v * v + w * w
    if len(metric) == 2:  # Euclidean
        return lambda u, v, w, metric: np.sqrt(u * u + v * v + w * w)
    if len(metric) == 3:  # cityblock
        return lambda u, v, w, metric: abs(u) + abs(v) + abs(w)
    if len(metric) == 4:  # a power of the Euclidean distance
        return lambda u, v, w, metric: (u * u + v * v + w * w) ** (0.5 * metric[0])
    return lambda u, v, w, metric: (abs(u) + abs(v) + abs(w)) ** metric[0]


@jit()
def _row(u, v, w, y, beta, shift, metric, out):  # type: ignore[no-untyped-def]
    """out_j = 2^(beta_j + shift - cost_j), within the limits of the type; returns its sum."""
    real = out.dtype.type
    low, high = real(LOW[out.itemsize // 8]), real(HIGH[out.itemsize // 8])
    y0, y1, y2 = y[0], y[1], y[2]
    total = real(0.0)
    for j in range(len(out)):
        t = (beta[j] + shift) - ground(u - y0[j], v - y1[j], w - y2[j], metric)
        t = low if t < low else t
        t = high if t > high else t
        power = exp2(t)
        out[j] = power
        total += power
    return total


@jit()
def _peak(u, v, w, y, beta, metric, size):  # type: ignore[no-untyped-def]
    """max_j beta_j - cost_j over the first `size` columns."""
    y0, y1, y2 = y[0], y[1], y[2]
    highest = beta.dtype.type(-np.inf)
    for j in range(size):
        t = beta[j] - ground(u - y0[j], v - y1[j], w - y2[j], metric)
        highest = t if t > highest else highest
    return highest


@jit()
def _pack(Y, beta, runs, middle, scale, reference, y, packed):  # type: ignore[no-untyped-def]
    """The columns of `runs`, one after the other, and as many that weigh nothing as vectors like; returns how many."""
    at = 0
    for k in range(len(runs)):
        first, last = runs[k, 0], runs[k, 1]
        size = last - first
        for c in range(3):
            source, target, origin = Y[c, first:last], y[c, at : at + size], middle[c]
            for j in range(size):
                target[j] = (source[j] - origin) * scale
        weights, out = beta[first:last], packed[at : at + size]
        for j in range(size):
            out[j] = weights[j] + reference
        at += size
    while at % _ROUND != 0:
        y[0, at] = y[1, at] = y[2, at] = 0.0
        packed[at] = -1e30
        at += 1
    return at


@jit()
def _block(X, scale, middle, first, last, y, beta, reference, log_a, damp, cap, metric, shift, f, powers, partial, factors):  # type: ignore[no-untyped-def]
    """A pass of rows first to last over packed columns; partial_j = sum of P_ij / 2^lift, and returns the lift.

    f_i = clip(damp r_i, -cap, cap), with r_i = -log2 sum_j 2^(beta_j - reference - cost_ij), which goes to `shift`.
    """
    real = beta.dtype.type
    size = len(beta)
    lift = -np.inf
    for j in range(size):
        partial[j] = real(0.0)
    for four in range(first, last, 4):
        highest = -np.inf
        for k in range(4):
            i = four + k
            factors[k] = -np.inf
            if i >= last:
                continue
            u, v, w = real((X[0, i] - middle[0]) * scale), real((X[1, i] - middle[1]) * scale), real((X[2, i] - middle[2]) * scale)
            guess = real(shift[i] - reference)
            total = np.float64(_row(u, v, w, y, beta, guess, metric, powers[k, :size]))
            if not _SAFE_LOW < total < _SAFE_HIGH:
                guess = -_peak(u, v, w, y, beta, metric, size)
                total = np.float64(_row(u, v, w, y, beta, guess, metric, powers[k, :size]))
            less = np.log2(total)
            r = (np.float64(guess) + reference) - less
            shift[i] = r
            f[i] = min(max(damp * r, -cap), cap)
            factors[k] = log_a[i] + (f[i] - r) - less
            highest = max(highest, log_a[i] + (f[i] - r))
        if highest > lift + _LARGEST_RISE:
            lower = real(np.exp2(max(lift - highest, -120.0)))
            for j in range(size):
                partial[j] *= lower
            lift = highest
        w0, w1 = real(np.exp2(factors[0] - lift)), real(np.exp2(factors[1] - lift))
        w2, w3 = real(np.exp2(factors[2] - lift)), real(np.exp2(factors[3] - lift))
        p0, p1, p2, p3 = powers[0], powers[1], powers[2], powers[3]
        for j in range(size):
            partial[j] += (w0 * p0[j] + w1 * p1[j]) + (w2 * p2[j] + w3 * p3[j])
    return lift


@jit()
def _middle(X, first, last, shift, middle):  # type: ignore[no-untyped-def]
    """The middle of rows first to last, and their highest potential."""
    for c in range(3):
        total = 0.0
        for i in range(first, last):
            total += X[c, i]
        middle[c] = total / (last - first)
    highest = -np.inf
    for i in range(first, last):
        highest = max(highest, shift[i])
    return highest


@jit()
def _scatter(runs, partial, lift, sums):  # type: ignore[no-untyped-def]
    factor = np.exp2(lift)
    at = 0
    for k in range(len(runs)):
        first, last = runs[k, 0], runs[k, 1]
        target, source = sums[first:last], partial[at : at + (last - first)]
        for j in range(last - first):
            target[j] += factor * source[j]
        at += last - first


@jit()
def listed(X, Y, scale, beta, log_a, damp, cap, metric, first, last, rows, starts, runs, shift, f, sums, like):  # type: ignore[no-untyped-def]
    """The rows from first to last of a pass, block after block of so many rows, over the runs that are listed for each.

    `sums` (m,) is filled with the column sums of these rows. Returns the pairs.
    """
    m = Y.shape[1]
    y, packed = np.empty((3, m + _ROUND), like.dtype), np.empty(m + _ROUND, like.dtype)
    powers, partial = np.empty((4, m + _ROUND), like.dtype), np.empty(m + _ROUND, like.dtype)
    factors, middle = np.empty(4), np.empty(3)
    for j in range(m):
        sums[j] = 0.0
    pairs = 0
    for block in range((last - first + rows - 1) // rows):
        start, stop = first + block * rows, min(first + (block + 1) * rows, last)
        mine = runs[starts[block] : starts[block + 1]]
        reference = _middle(X, start, stop, shift, middle)
        size = _pack(Y, beta, mine, middle, scale, reference, y, packed)
        lift = _block(
            X, scale, middle, start, stop, y, packed[:size], reference, log_a, damp, cap, metric, shift, f,
            powers, partial, factors,
        )  # fmt: skip
        _scatter(mine, partial, lift, sums)
        pairs += size * (stop - start)
    return pairs


@jit(EXACT)
def bounds(Y, g, log_weight, scale, linear, size):  # type: ignore[no-untyped-def]
    """For each `size` columns in their order a bound of their potentials; see the places above."""
    m = len(g)
    count = (m + size - 1) // size
    out = np.empty((count, 14))
    rest = np.empty(size)
    for node in range(count):
        first, last = node * size, min((node + 1) * size, m)
        bound = out[node]
        inside = last - first
        total, weight = 0.0, -np.inf
        for j in range(inside):
            total += g[first + j]
            weight = max(weight, log_weight[first + j])
        height = total / inside
        for j in range(inside):
            rest[j] = g[first + j] - height
        for c in range(3):
            low, high, mean = np.inf, -np.inf, 0.0
            for j in range(first, last):
                at = Y[c, j] * scale
                low, high, mean = min(low, at), max(high, at), mean + at
            bound[_LOW + c], bound[_HIGH + c], bound[_MIDDLE + c], bound[_SLOPE + c] = low, high, mean / inside, 0.0
        # Any slopes give a bound; those of least squares, found one after the other, give a good one.
        for turn in range(3 if linear else 0):
            for c in range(3):
                squares, product, mean = 0.0, 0.0, bound[_MIDDLE + c]
                for j in range(inside):
                    away = Y[c, first + j] * scale - mean
                    squares += away * away
                    product += away * rest[j]
                if squares > 0.0:
                    slope = product / squares
                    bound[_SLOPE + c] += slope
                    for j in range(inside):
                        rest[j] -= slope * (Y[c, first + j] * scale - mean)
        highest = -np.inf
        for j in range(inside):
            highest = max(highest, rest[j])
        bound[_TOP], bound[_WEIGHT] = height + highest, weight
    return out


@jit()
def _reach(bound, x, shift, metric, weight):  # type: ignore[no-untyped-def]
    """The largest r_i + g_j - C_ij + the larger of both weights, over rows x (3, R) and the columns of a node."""
    low0, low1, low2, high0, high1, high2 = bound[0], bound[1], bound[2], bound[3], bound[4], bound[5]
    slope0, slope1, slope2, at0, at1, at2 = bound[6], bound[7], bound[8], bound[9], bound[10], bound[11]
    x0, x1, x2 = x[0], x[1], x[2]
    best = -np.inf
    for i in range(len(shift)):
        # The highest point of slope y - (x - y)^2 over the box; with no slope, the nearest point.
        y0 = min(max(x0[i] + 0.5 * slope0, low0), high0)
        y1 = min(max(x1[i] + 0.5 * slope1, low1), high1)
        y2 = min(max(x2[i] + 0.5 * slope2, low2), high2)
        value = shift[i] - ground(x0[i] - y0, x1[i] - y1, x2[i] - y2, metric)
        value += slope0 * (y0 - at0) + slope1 * (y1 - at1) + slope2 * (y2 - at2)
        best = value if value > best else best
    return best + bound[_TOP] + max(bound[_WEIGHT], weight)


@jit()
def _choose(leaves, nodes, large, m, x, shift, metric, weight, least, runs):  # type: ignore[no-untyped-def]
    """Writes the runs of columns that rows x may reach; returns how many."""
    found = 0
    best, best_leaf = -np.inf, 0
    inner, outer = LEVELS[1] // LEVELS[0], LEVELS[2] // LEVELS[1]
    for k in range(len(large)):
        if _reach(large[k], x, shift, metric, weight) <= least:
            continue
        for i in range(k * outer, min((k + 1) * outer, len(nodes))):
            if _reach(nodes[i], x, shift, metric, weight) <= least:
                continue
            for j in range(i * inner, min((i + 1) * inner, len(leaves))):
                height = _reach(leaves[j], x, shift, metric, weight)
                if height > best:
                    best, best_leaf = height, j
                if height > least:
                    start, stop = j * LEAF, min((j + 1) * LEAF, m)
                    if found > 0 and runs[found - 1, 1] == start:
                        runs[found - 1, 1] = stop
                    else:
                        runs[found, 0], runs[found, 1] = start, stop
                        found += 1
    if found == 0:  # all potentials are too low: the row sums of one leaf will say where they are
        runs[0, 0], runs[0, 1] = best_leaf * LEAF, min((best_leaf + 1) * LEAF, m)
        found = 1
    return found


@jit()
def screened(X, Y, scale, beta, log_a, log_b, damp, cap, metric, first, last, tables, log_tau, shift, f, sums, like):  # type: ignore[no-untyped-def]
    """As `listed`, over all pairs but those that are too small to matter; returns the pairs
    that it went over, those that the last choice of columns had, and starts and runs for `listed`."""
    n, m = X.shape[1], Y.shape[1]
    leaves, nodes, large = tables
    y, packed = np.empty((3, m + _ROUND), like.dtype), np.empty(m + _ROUND, like.dtype)
    powers, partial = np.empty((4, m + _ROUND), like.dtype), np.empty(m + _ROUND, like.dtype)
    factors, middle, x = np.empty(4), np.empty(3), np.empty((3, BLOCK))
    chosen = np.empty((len(leaves) + 1, 2), np.int32)
    blocks = (last - first + BLOCK - 1) // BLOCK
    starts = np.zeros(blocks + 1, np.int64)
    runs = np.empty((16 * blocks, 2), np.int32)
    used = np.empty(BLOCK)
    for j in range(m):
        sums[j] = 0.0
    pairs, needed, listed = 0, 0, 0
    for block in range(blocks):
        start, stop = first + block * BLOCK, min(first + (block + 1) * BLOCK, last)
        weight = -np.inf
        for i in range(start, stop):
            weight = max(weight, log_a[i])
            for c in range(3):
                x[c, i - start] = X[c, i] * scale
        weight += np.log2(n)
        again, found, size, lift = True, 0, 0, 0.0
        while again:
            for i in range(start, stop):
                used[i - start] = shift[i] + _SLACK
            found = _choose(leaves, nodes, large, m, x[:, : stop - start], used[: stop - start], metric, weight, log_tau, chosen)
            reference = _middle(X, start, stop, shift, middle)
            size = _pack(Y, beta, chosen[:found], middle, scale, reference, y, packed)
            lift = _block(
                X, scale, middle, start, stop, y, packed[:size], reference, log_a, damp, cap, metric, shift,
                f, powers, partial, factors,
            )  # fmt: skip
            pairs += size * (stop - start)
            again = False
            for i in range(start, stop):
                again = again or shift[i] > used[i - start]
        needed += size * (stop - start)
        _scatter(chosen[:found], partial, lift, sums)

        # The columns of which these rows hold more than the fraction tau that is theirs.
        mass = -np.inf
        for i in range(start, stop):
            mass = max(mass, log_a[i] + (f[i] - shift[i]))
        share_of_all = np.exp2(log_tau + mass - lift) * (stop - start)
        row_share, column_share = share_of_all / m, share_of_all / np.exp2(weight)
        at, kept = 0, -(_JOIN + 2)
        for k in range(found):
            begin = chosen[k, 0]
            for j in range(chosen[k, 1] - begin):
                share = np.float64(partial[at + j])
                if share > row_share or share > column_share * np.exp2(log_b[begin + j]):
                    if starts[block] < listed and begin + j - kept <= _JOIN:
                        runs[listed - 1, 1] = begin + j + 1
                    else:
                        if listed == len(runs):
                            more = np.empty((2 * listed, 2), np.int32)
                            more[:listed] = runs
                            runs = more
                        runs[listed, 0], runs[listed, 1] = begin + j, begin + j + 1
                        listed += 1
                    kept = begin + j
            at += chosen[k, 1] - begin
        starts[block + 1] = listed
    return pairs, needed, starts, runs[:listed].copy()


@jit(EXACT)
def columns(X, Y, scale, unit, log_a, log_b, metric, f, g, chunk_sums, lost_share, repairs, like, s):  # type: ignore[no-untyped-def]
    """Column sums of all chunks, in their order, to softmins s (m,) in cost units; f is in log2 units.

    A column that got less than `lost_share` of its weight may have lost most of its sum to what was skipped or cut off.
    The first `repairs` of those are summed again; others are moved by what is certain. Returns how many were lost.
    """
    chunks, m = chunk_sums.shape
    n = len(f)
    lost = 0
    for j in range(m):
        total = 0.0
        for chunk in range(chunks):
            total += chunk_sums[chunk, j]
        least = lost_share * np.exp2(log_b[j])
        if least < total < np.inf:
            s[j] = unit * (log_b[j] - np.log2(total)) + g[j]
            continue
        lost += 1
        if lost > repairs:
            s[j] = unit * (log_b[j] - np.log2(min(max(total, least), 1e30))) + g[j]
            continue
        highest = -np.inf
        for i in range(n):
            t = (log_a[i] + f[i]) - ground((X[0, i] - Y[0, j]) * scale, (X[1, i] - Y[1, j]) * scale, (X[2, i] - Y[2, j]) * scale, metric)
            highest = max(highest, t)
        total = 0.0
        for i in range(n):
            t = (log_a[i] + f[i]) - ground((X[0, i] - Y[0, j]) * scale, (X[1, i] - Y[1, j]) * scale, (X[2, i] - Y[2, j]) * scale, metric)
            total += np.exp2(t - highest)
        s[j] = -unit * (highest + np.log2(total))
    return lost
