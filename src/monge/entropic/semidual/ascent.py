"""Ascents on the semi-dual: averaged stochastic gradients, and gradients that are remembered.

The derivative of E f(x) + <b, g> with respect to g_j is b_j - E s_j(x). A step of length t is t w (b_j - m_j) / b_j
for masses m that some points give, with w the width by which potentials change masses by all there is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from monge.entropic.semidual.atoms import Atoms, Transform, parts
from monge.entropic.semidual.draws import Draws
from monge.spread.sources import Source

__all__ = ["averaged", "batch_of", "remembered"]

Array = NDArray[np.float64]

# Steps of the first stretch; each one is twice as long as the one before.
_FIRST = 256
# Points that are drawn at once.
_DRAWN = 2**14
# The length of a step that follows all groups.
_REMEMBERED = 0.5
# Points of a batch: for each of so many atoms one, and between these bounds.
_PER_POINT, _LEAST, _MOST = 8, 64, 1024


def batch_of(size: int) -> int:
    """Points of a step, for so many atoms."""
    return min(max(size // _PER_POINT, _LEAST), _MOST)


def averaged(
    g: Array, width: float, atoms: Atoms, draws: Draws, source: Source, rng: np.random.Generator,
    batch: int, most: int, deadline: float, before: int = 0,
) -> Iterator[tuple[Array, int]]:  # fmt: skip
    """Averaged stochastic gradients (Genevay et al. 2016, Algorithm 2), in stretches: the potentials and the steps so
    far after each of them, until there are `most` or the time is over.

    A stretch starts from the average of the one before and takes twice the steps, shorter by the root of two. After so
    many steps `before`, of a former ascent, that goes on where it was.
    """
    transform, size, done = atoms.transform(g), atoms.size, 0
    stages = int(math.log2(1.0 + before / _FIRST))
    length, stretch = width * min(0.5, 0.5 * batch / size) * 0.5 ** (0.5 * stages), _FIRST * 2**stages
    at_once = max(1, _DRAWN // batch)
    while done < most:
        steps, total, taken = min(stretch, most - done), np.zeros(size), 0
        pull = length / (batch * atoms.b)
        while taken < steps and (taken == 0 or time.monotonic() < deadline):
            count = min(at_once, steps - taken)
            x = draws.draw(source, rng, count * batch)
            for k in range(count):
                g = g + (length - pull * transform(x[k * batch : (k + 1) * batch]).masses(size))
                g -= atoms.b @ g  # onto those of mean zero: a constant changes nothing
                transform.g = g
                total += g
            taken += count
        g = transform.g = total / taken
        done += taken
        yield g, done
        stretch, length = 2 * stretch, length * math.sqrt(0.5)
        if time.monotonic() >= deadline:
            return


def remembered(
    g: Array, width: float, atoms: Atoms, draws: Draws, source: Source, rng: np.random.Generator,
    batch: int, most: int, deadline: float, before: int = 0,
) -> Iterator[tuple[Array, int]]:  # fmt: skip
    """The stochastic averaged gradient (Genevay et al. 2016, Algorithm 1), of groups of points; as `averaged`.

    The rows, in random order, are cut into groups. The masses that a group gave when it was last looked at are kept,
    and a step follows the sum over all groups. What is kept takes a `batch`-th of the paper's memory.
    """
    assert source.rows is not None
    order = rng.permutation(source.rows)
    groups = [order[first : first + batch] for first in range(0, source.rows, batch)]
    weights = draws.part(source.rows, 0, source.rows)
    transform, size, done = atoms.transform(g), atoms.size, 0
    masses, total = np.zeros((len(groups), size)), np.zeros(size)
    # At first all groups are looked at once.
    for k, group in enumerate(groups):
        masses[k] = _masses(transform, source, group, weights)
        total += masses[k]
    stretch = len(groups)
    while done < most:
        for k in rng.integers(len(groups), size=min(stretch, most - done)):
            new = _masses(transform, source, groups[k], weights)
            total += new - masses[k]
            masses[k] = new
            g = g + _REMEMBERED * width * (1.0 - total / atoms.b)
            g -= atoms.b @ g
            transform.g = g
            done += 1
            if time.monotonic() >= deadline:
                break
        total = masses.sum(axis=0)  # without what rounding has added up
        yield g, done
        stretch *= 2
        if time.monotonic() >= deadline:
            return


def _masses(transform: Transform, source: Source, rows: NDArray[np.intp], weights: Array) -> Array:
    x = source.take(rows).astype(np.float64, copy=False)
    found = np.zeros(transform.atoms.size)
    for some in parts(len(x), len(found)):
        found += transform(x[some]).masses(len(found), weights[rows[some]])
    return found
