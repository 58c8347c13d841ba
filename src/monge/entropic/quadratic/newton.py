"""Newton's method for the dual of L2-regularised transport.

maximise  D(h, k) = <h, a> + <k, b> - 1/2 sum_ij (h_i + k_j - c_ij)_+^2

where a, b are eps times the weights and c are reduced costs. D is concave and once differentiable; its second
derivative, where it has one, is minus [[diag(S 1), S], [S', diag(S' 1)]] for the matrix S of active arcs, whose z_ij =
h_i + k_j - c_ij is positive (Lorenz, Manns and Meyer 2021, "Quadratically regularized optimal transport", section 3).
As D is quadratic between kinks, a step that meets none ends at the maximum.

A step costs one pass over the costs, which lists the arcs that are active at either of its ends. All else, the system
and the search along the step, is sums over that list.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.arcs import BYTES, Arcs, Full, Links, Loads, Steps, loads, slopes
from monge.entropic.kernels.threads import Threads
from monge.problem.arrays import available_memory

__all__ = ["Ascent", "Ended", "ascend"]

Array = NDArray[np.float64]

# The second derivative is singular: potentials may move by a constant on each group of places that arcs connect. So
# much of its diagonal is added to it, per marginal error (of 2 to 0) and at least. Less lets groups jump far beyond the
# next kink, more takes steps that are too short: 1e-3 to 1e-2 took the fewest passes over seven sizes of eps.
_SHIFT, _LEAST_SHIFT = 1e-3, 1e-12
# Active arcs per place up to which the system is factorised. Such sparse graphs are almost trees, with little fill-in
# and a condition that conjugate gradients would need thousands of steps for; beyond, these need some dozens.
_SPARSE = 1.5
# Places on one side up to which it is known in which order to factorise: the other side first. Minimum degree, which is
# right elsewhere, takes 0.4 s for one place that is linked to 20,000 others.
_FEW = 64
# Conjugate gradients: the part of the residual that may be left, per marginal error, and its bounds; and most steps.
_FORCING, _LOOSEST, _TIGHTEST, _MOST_STEPS = 0.1, 1e-2, 1e-10, 4000
# Arcs that may be listed for a step, per active one and per place, at first; a step that needs more is cut to a
# quarter, for it leads far from where the active arcs say anything.
_GROWTH, _PER_PLACE = 8, 4
_SHORTEST = 2.0**-60
# Steps without a lower error after which rounding is what is left of it. Groups of places that find each other one by
# one have taken 10.
_PATIENCE = 100
# The search along a step ends where the slope is this small a part of what it was, or after so many sums.
_FLAT, _MOST_SUMS = 0.1, 60

Listing = Callable[[Steps, Steps, int], Arcs]


class Ascent(NamedTuple):
    """Where the method ended."""

    here: Steps
    arcs: Arcs
    error: float  # |sent - a|_1 + |received - b|_1, relative to the total
    ended: Ended
    steps: int
    passes: int


class Ended(NamedTuple):
    """Why it ended: the first of these that is true."""

    converged: bool = False
    out_of_steps: bool = False
    out_of_time: bool = False
    rounded: bool = False  # no step makes the error smaller, as far as numbers can tell


def ascend(
    listing: Listing, a: Array, b: Array, here: Steps, tol: float, max_iter: int, deadline: float, threads: Threads,
    report: Callable[[int, float], None] | None = None,
) -> Ascent:  # fmt: skip
    """Steps from `here` until the marginal error is at most `tol`.

    ``listing(here, there, most)`` lists the arcs that are active at either step, or raises `Full`.
    """
    most = _PER_PLACE * (len(a) + len(b))
    room = (available_memory() or 2**62) // BYTES
    passes, steps, total = 1, 0, float(a.sum())
    least, since = np.inf, 0
    while True:
        try:
            arcs = listing(here, here, most)
            break
        except Full:
            most *= _GROWTH
            _require(most // _GROWTH, room)
    while True:
        carried = loads(arcs, here, threads)
        short = a - carried.sent, b - carried.received
        error = float(np.abs(short[0]).sum() + np.abs(short[1]).sum()) / total
        if report is not None:
            report(passes, error)
        ended = Ended(error <= tol, error > tol and steps >= max_iter, error > tol and time.perf_counter() >= deadline)
        least, since = (error, 0) if error < least else (least, since + 1)
        if any(ended):
            break
        step = _direction(carried, short, error, threads)
        rise = float(short[0] @ step[0] + short[1] @ step[1])
        if not 0.0 < rise < np.inf or since > _PATIENCE:
            ended = Ended(rounded=True)
            break
        most = max(most, _GROWTH * len(carried.links.col) + _PER_PLACE * (len(a) + len(b)))
        end = 1.0
        while True:
            passes += 1
            try:
                arcs = listing(here, _moved(here, step, end), min(most, room))
                break
            except Full:
                end *= 0.25
                if end < _SHORTEST:
                    _require(room + 1, room)
        t = _search(arcs, here, step, float(a @ step[0] + b @ step[1]), rise, end, threads)
        here, steps = _moved(here, step, t), steps + 1
    return Ascent(here, arcs, error, ended, steps, passes)


def _moved(here: Steps, step: Steps, t: float) -> Steps:
    return here[0] + t * step[0], here[1] + t * step[1]


def _require(arcs: int, room: int) -> None:
    if arcs > room:
        raise MemoryError(
            f"a list of more than {room} arcs that may carry mass does not fit into memory. Take a smaller eps, whose "
            "plans have fewer, or aggregate points."
        )


def _direction(carried: Loads, short: Steps, error: float, threads: Threads) -> Steps:
    """Where the dual rises: of the second derivative with a larger diagonal, the inverse times the derivative."""
    links, shift = carried.links, max(_SHIFT * error, _LEAST_SHIFT)
    out, into = (active + shift * np.maximum(active, 1.0) for active in (links.out, links.into))
    if len(links.col) <= _SPARSE * (len(links.out) + len(links.into)):
        return _factorised(links, (out, into), short)
    return _conjugate_gradients(links, (out, into), short, min(max(_FORCING * error, _TIGHTEST), _LOOSEST), threads)


def _factorised(links: Links, diagonal: Steps, short: Steps) -> Steps:
    from scipy.sparse import block_array, csc_array, csr_array, diags_array
    from scipy.sparse.linalg import splu

    n, m = map(len, short)
    S = csr_array((np.ones(len(links.col)), links.col, links.begin), shape=(n, m))
    few = min(n, m) <= _FEW
    if turned := few and n < m:
        S, diagonal, short = S.T, diagonal[::-1], short[::-1]
    system = csc_array(block_array([[diags_array(diagonal[0]), S], [S.T, diags_array(diagonal[1])]]))
    # Positive definite: pivots stay on the diagonal.
    order = {"permc_spec": "NATURAL" if few else "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0}
    found = splu(system, options={"SymmetricMode": True}, **order).solve(np.concatenate(short))
    rows, columns = np.split(found, [len(short[0])])
    return (columns, rows) if turned else (rows, columns)


def _conjugate_gradients(links: Links, diagonal: Steps, short: Steps, left: float, threads: Threads) -> Steps:
    n = len(short[0])
    weights, residual = np.concatenate(diagonal), np.concatenate(short)
    found, scaled = np.zeros_like(residual), residual / weights
    search, size = scaled.copy(), float(residual @ scaled)
    enough = left * left * size
    for _ in range(_MOST_STEPS):
        image = weights * search
        rows, columns = links.times(search[:n], search[n:], threads)
        image[:n] += rows
        image[n:] += columns
        along = size / float(search @ image)
        found += along * search
        residual -= along * image
        scaled = residual / weights
        before, size = size, float(residual @ scaled)
        if not size > enough:
            break
        search *= size / before
        search += scaled
    return found[:n], found[n:]


def _search(
    arcs: Arcs, here: Steps, step: Steps, linear: float, rise: float, end: float, threads: Threads
) -> float:  # fmt: skip
    """Where on the step, up to `end`, D is about largest: its slope there, linear - sum z dz, falls from `rise`."""
    t, low, high = end, 0.0, end
    for _ in range(_MOST_SUMS):
        carried, curve = slopes(arcs, here, step, t, threads)
        slope = linear - carried
        if abs(slope) <= _FLAT * rise or (t == end and slope >= 0.0):
            break
        low, high = (t, high) if slope > 0.0 else (low, t)
        t = t + slope / curve if curve > 0.0 else high
        if not low < t < high:
            t = 0.5 * (low + high)
    return t
