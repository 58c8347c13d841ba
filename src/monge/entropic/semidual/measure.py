"""What potentials are worth: the mean of the dual on points that did not make them, and the masses they lead to.

chi2(m | b) = sum_j m_j^2 / b_j - 1,   m_j = E s_j(x)

The square of a measured mass is too large by its variance. The mean of s_j(x) s_j(x') over pairs of different points is
not (arXiv 2509.25519, equation 3.5), and by sums over points it takes no longer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.entropic.semidual.atoms import Atoms, parts
from monge.entropic.semidual.draws import Draws
from monge.spread.blocks import run_blocks
from monge.spread.sources import Source

__all__ = ["Measured", "Plan", "blocks_of", "measure"]

Array = NDArray[np.float64]

# Pairs of a block: some tenths of a second.
_BLOCK = 2**26


@dataclass(frozen=True)
class Plan:
    """Which points to look at: `count` fresh ones, or all rows of the source where it has so few (`whole`)."""

    draws: Draws
    count: int
    whole: bool
    rows: int  # of a block

    @property
    def blocks(self) -> int:
        """Into how many blocks they are cut."""
        return -(-self.count // self.rows)

    def points(self, block: int, rng: np.random.Generator, source: Source) -> tuple[Array, Array | None]:
        """Those of a block, and their weights; None for one each."""
        first = block * self.rows
        last = min(first + self.rows, self.count)
        if self.whole:
            return self.draws.range(source, first, last)
        return self.draws.draw(source, rng, last - first), None


def blocks_of(draws: Draws, count: int, whole: bool, atoms: Atoms) -> Plan:
    """The same cut for any number of workers."""
    return Plan(draws, count, whole, max(1, min(count, _BLOCK // atoms.size)))


class Sums(NamedTuple):
    """Over some points: of weights, of f and its square, of shares s_j (m,), and of sum_j s_j^2 / b_j."""

    weight: float
    f: float
    squares: float
    shares: Array
    own: float


@dataclass(frozen=True)
class _Task:
    plan: Plan
    atoms: Atoms
    g: Array

    def __call__(self, block: int, rng: np.random.Generator, source: Source) -> Sums:
        x, a = self.plan.points(block, rng, source)
        atoms, transform = self.atoms, self.atoms.transform(self.g)
        weight = f = squares = own = 0.0
        shares = np.zeros(atoms.size)
        for some in parts(len(x), atoms.size):
            sent = transform(x[some])
            weights = None if a is None else a[some]
            one = np.ones(len(sent.f)) if weights is None else weights
            weight, f, squares = weight + float(one.sum()), f + float(one @ sent.f), squares + float(one @ sent.f**2)
            shares += sent.masses(atoms.size, weights)
            if a is None:
                own += float(((1.0 / atoms.b)[sent.to] if sent.single else (sent.to**2) @ (1.0 / atoms.b)).sum())
        return Sums(weight, f, squares, shares, own)


@dataclass(frozen=True)
class Measured:
    """Of potentials: the dual value and its standard error, the masses (m,) and their chi-squared."""

    value: float
    standard_error: float
    masses: Array
    chi2: float
    count: int


def measure(
    g: Array, atoms: Atoms, source: Source, plan: Plan, seed: np.random.SeedSequence, n_jobs: int | None
) -> Measured:
    """The dual value and the masses of potentials g (m,), over the blocks of `plan`."""
    task = _Task(plan, atoms, g)
    sums = _added(run_blocks(task, plan.blocks, seed=seed, sources=(source,), n_jobs=n_jobs, what="semidual"))
    n = sums.weight
    mean, masses = sums.f / n, sums.shares / n
    squares = float((masses * masses / atoms.b).sum())
    error = 0.0
    if not plan.whole:
        error = math.sqrt(max(sums.squares / n - mean * mean, 0.0) / (n - 1.0)) if n > 1.0 else math.inf
        squares = (squares * n * n - sums.own) / (n * (n - 1.0)) if n > 1.0 else math.nan
    return Measured(mean + float(atoms.b @ g), error, masses, squares - 1.0, plan.count)


def _added(each: Iterable[Sums]) -> Sums:
    weight, f, squares, shares, own = zip(*each, strict=True)  # in the order of the blocks
    return Sums(sum(weight), sum(f), sum(squares), np.sum(shares, axis=0), sum(own))
