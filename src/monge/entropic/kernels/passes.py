"""Sinkhorn passes in compiled code: one exponential per pair for both half steps.

A row is exponentiated with the softmin of the pass before as its shift, so that no pass for the maximum is needed; its
sum gives the row's potential, and the same numbers, rescaled, are added to the column sums (Gauss-Seidel by rows). All
is in the log2 domain, in single precision where that will do; column sums are passed to double precision every
`_FLUSH` rows. Where the old shift is so far off that a sum leaves `_SAFE`, or a column gets less than single precision
can hold, the softmin is computed again with its own maximum. So no potentials lead to NaN.
"""

from __future__ import annotations

import numpy as np

from monge.entropic.kernels.exp2 import HIGH, LOW, exp2
from monge.entropic.kernels.jit import EXACT, jit

__all__ = [
    "CITYBLOCK",
    "EUCLIDEAN",
    "STORED",
    "costs",
    "explicit",
    "exponentiate",
    "peak",
    "prepare",
    "reduce_columns",
    "rows",
]

# How costs come: a matrix; or coordinates, whose Euclidean or cityblock distance is raised to a power.
STORED, EUCLIDEAN, CITYBLOCK = range(3)

# Columns whose costs are computed before they are exponentiated: they stay in the first cache.
_TILE = 1024
# Rows whose column sums are added up in single precision.
_FLUSH = 256
# Sums of a row, with the shift of the pass before, that need no better shift.
_SAFE_LOW, _SAFE_HIGH = 1e-8, 1e30
# The logarithm of a row's factor beyond which the lift has not done its work.
_LARGEST_SCALE = 20.0
# Column sums, relative to the largest weight, below which too much may have been cut off.
_LOST = 1e-22


@jit()
def costs(cost, i, start, stop, out):  # type: ignore[no-untyped-def]
    """out[:] = the costs of row i to the columns from start to stop, before the factor that `inverse` carries."""
    C, x, y, kind, power = cost
    size = stop - start
    if kind == STORED:
        row = C[i, start:stop]
        for j in range(size):
            out[j] = row[j]
        return
    for k in range(x.shape[1]):
        at, coordinates = x[i, k], y[k, start:stop]
        if kind == EUCLIDEAN:
            if k == 0:
                for j in range(size):
                    out[j] = (coordinates[j] - at) * (coordinates[j] - at)
            else:
                for j in range(size):
                    out[j] += (coordinates[j] - at) * (coordinates[j] - at)
        elif k == 0:
            for j in range(size):
                out[j] = abs(coordinates[j] - at)
        else:
            for j in range(size):
                out[j] += abs(coordinates[j] - at)
    exponent = power * 0.5 if kind == EUCLIDEAN else power
    if exponent == 0.5:
        for j in range(size):
            out[j] = np.sqrt(out[j])
    elif exponent != 1.0:
        for j in range(size):
            out[j] = out[j] ** exponent


@jit()
def exponentiate(cost, i, inverse, beta, shift, out):  # type: ignore[no-untyped-def]
    """out_j = 2^(beta_j + shift - inverse C_ij), within the limits of the type; returns its sum."""
    real = out.dtype.type
    low, high = real(LOW[out.itemsize // 8]), real(HIGH[out.itemsize // 8])
    total = 0.0
    for start in range(0, len(out), _TILE):
        stop = min(start + _TILE, len(out))
        part, weight = out[start:stop], beta[start:stop]
        costs(cost, i, start, stop, part)
        some = real(0.0)
        for j in range(stop - start):
            t = (weight[j] + shift) - inverse * part[j]
            t = low if t < low else t
            t = high if t > high else t
            power = exp2(t)
            part[j] = power
            some += power
        total += some
    return total


@jit()
def peak(cost, i, inverse, beta, out):  # type: ignore[no-untyped-def]
    """max_j beta_j - inverse C_ij; `out` is scratch."""
    highest = out.dtype.type(-np.inf)
    for start in range(0, len(out), _TILE):
        stop = min(start + _TILE, len(out))
        part, weight = out[start:stop], beta[start:stop]
        costs(cost, i, start, stop, part)
        for j in range(stop - start):
            t = weight[j] - inverse * part[j]
            highest = t if t > highest else highest
    return highest


@jit()
def explicit(cost, i, inverse, beta, out):  # type: ignore[no-untyped-def]
    """-log2 sum_j 2^(beta_j - inverse C_ij), whatever the numbers; +inf for an empty sum."""
    highest = peak(cost, i, inverse, beta, out)
    if not highest > -np.inf:
        return np.inf
    return -highest - np.log2(exponentiate(cost, i, inverse, beta, -highest, out))


@jit()
def rows(cost, inverse, beta, reference, log_a, damp, cap, lift, first, last, shift, f, sums):  # type: ignore[no-untyped-def]
    """The rows from first to last of a sweep, in log2 units.

    f_i = clip(damp r_i, -cap, cap) with r_i = reference - log2 sum_j 2^(beta_j - inverse C_ij), and sums_j = the sum
    over i of 2^(log_a_i + f_i + beta_j - reference - inverse C_ij - lift). shift holds a guess of r (n,), and gets r.
    """
    real = beta.dtype.type
    m = len(beta)
    powers = np.zeros((4, m), dtype=beta.dtype)
    scale = np.zeros(4, dtype=beta.dtype)
    partial = np.zeros(m, dtype=beta.dtype)
    for j in range(m):
        sums[j] = 0.0
    factor = real(inverse)
    for block in range(first, last, 4):
        for k in range(4):
            i = block + k
            scale[k] = real(0.0)
            if i >= last:
                continue
            guess = real(shift[i] - reference)
            total = exponentiate(cost, i, factor, beta, guess, powers[k])
            if not _SAFE_LOW < total < _SAFE_HIGH:
                guess = -peak(cost, i, factor, beta, powers[k])
                if not guess < np.inf:  # no column in reach
                    f[i], shift[i] = min(cap, 0.0), 0.0
                    continue
                total = exponentiate(cost, i, factor, beta, guess, powers[k])
            r = guess - np.log2(total) + reference
            shift[i] = r
            f[i] = min(max(damp * r, -cap), cap)
            # With a lift that is far too low, what was cut off would count: then all columns are to be computed again.
            power = log_a[i] + (f[i] - r) - np.log2(total) - lift
            scale[k] = real(exp2(max(power, -1000.0)) if power < _LARGEST_SCALE else np.inf)
        w0, w1, w2, w3 = scale[0], scale[1], scale[2], scale[3]
        p0, p1, p2, p3 = powers[0], powers[1], powers[2], powers[3]
        for j in range(m):
            partial[j] += (w0 * p0[j] + w1 * p1[j]) + (w2 * p2[j] + w3 * p3[j])
        if (block - first) % _FLUSH == _FLUSH - 4 or block + 4 >= last:
            for j in range(m):
                sums[j] += partial[j]
                partial[j] = real(0.0)


@jit(EXACT)
def reduce_columns(cost, inverse, unit, beta, reference, log_a, log_b, lift, f, g, chunk_sums, like, s):  # type: ignore[no-untyped-def]
    """Column sums of all chunks, in their order, to softmins s (m,) in cost units, those that were lost computed again.

    s_j = unit (g_j / unit + log2 b_j - log2 of the sum); g and s are in cost units, f is in log2 units.
    """
    chunks, m = chunk_sums.shape
    lost = np.empty(m, dtype=np.int64)
    found = 0
    for j in range(m):
        total = 0.0
        for chunk in range(chunks):
            total += chunk_sums[chunk, j]
        if not log_b[j] > -np.inf:
            s[j] = g[j]
        elif _LOST < total < np.inf:
            s[j] = unit * (log_b[j] - np.log2(total) - lift) + g[j]
        else:
            lost[found] = j
            found += 1
    if found == 0:
        return
    C, x, y, kind, power = cost
    n, d = len(f), x.shape[1]
    alpha, scratch = np.empty(n, dtype=like.dtype), np.empty(n, dtype=like.dtype)
    top = -np.inf
    for i in range(n):
        top = max(top, log_a[i] + f[i])
    for i in range(n):
        alpha[i] = log_a[i] + f[i] - top
    # A column is the one row of another problem; Numba would compile `explicit` again for a literal 0.
    row = np.int64(0)
    C_j, y_j, x_j = np.empty((1, n), dtype=C.dtype), np.empty((1, d), dtype=x.dtype), np.empty((d, n), dtype=x.dtype)
    for k in range(d):
        for i in range(n):
            x_j[k, i] = x[i, k]
    for at in range(found):
        j = lost[at]
        if kind == STORED:
            for i in range(n):
                C_j[0, i] = C[i, j]
        for k in range(d):
            y_j[0, k] = y[k, j]
        s[j] = unit * (explicit((C_j, y_j, x_j, kind, power), row, like.dtype.type(inverse), alpha, scratch) - top)


@jit(EXACT)
def prepare(unit, log_a, log_b, g, shift, f, like):  # type: ignore[no-untyped-def]
    """(beta, its reference, lift) of a sweep; see `rows`."""
    m = len(g)
    exact = np.empty(m)
    reference = -np.inf
    for j in range(m):
        exact[j] = log_b[j] + g[j] / unit
        reference = max(reference, exact[j])
    beta = np.empty(m, dtype=like.dtype)
    for j in range(m):
        beta[j] = exact[j] - reference
    lift = -np.inf
    for i in range(len(f)):
        lift = max(lift, log_a[i] + (f[i] - shift[i]))
    return beta, -reference, lift
