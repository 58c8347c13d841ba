"""The other side: a plan that is feasible, from one that is almost.

Potentials send a sample of the source to the atoms by masses m that are not quite b. Moving what one atom has too much
to those that have too little, from atom to atom at the least cost, makes a plan between that very sample and b. What it
costs is at least the optimum between the two, and so, on average over samples, at least the optimum for the source:

E[dual of the sample]  <=  optimum for the source  <=  E[optimum for the sample]  <=  E[cost of the plan]
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from monge.entropic.semidual.atoms import Atoms, parts
from monge.entropic.semidual.measure import Plan
from monge.exact.emd import emd
from monge.problem.costs import PointCloud
from monge.spread.blocks import run_blocks
from monge.spread.sources import Source

__all__ = ["gap_of"]

Array = NDArray[np.float64]

# More atoms than this have too many pairs among themselves.
_MOST = 8192


@dataclass(frozen=True)
class _Task:
    plan: Plan
    atoms: Atoms
    g: Array
    moves: Any  # a sparse (m, m) array

    def __call__(self, block: int, rng: np.random.Generator, source: Source) -> tuple[float, float]:
        """What the plan pays at the points of a block beyond the potentials, and the weight of the points."""
        x, a = self.plan.points(block, rng, source)
        atoms, transform = self.atoms, self.atoms.transform(self.g)
        beyond = weight = 0.0
        for some in parts(len(x), atoms.size):
            sent = transform(x[some])
            one = np.ones(len(sent.f)) if a is None else a[some]
            left = transform.beyond(x[some]) - sent.f[:, np.newaxis]
            if sent.single:
                paid = self.moves[sent.to].multiply(left).sum(axis=1)
            else:
                shares = sent.to @ self.moves
                paid = (shares * left).sum(axis=1) + atoms.eps * rel_entr(shares, atoms.b).sum(axis=1)
            beyond, weight = beyond + float(one @ paid), weight + float(one.sum())
        return beyond, weight


def gap_of(
    g: Array, masses: Array, atoms: Atoms, source: Source, plan: Plan, seed: np.random.SeedSequence, n_jobs: int | None
) -> float:
    """By how much a feasible plan for the points of `plan` costs more than their dual value; not negative.

    `masses` (m,) are what `measure` found with the same plan and seed. Infinite where there are too many atoms.
    """
    if atoms.size > _MOST:
        return math.inf
    task = _Task(plan, atoms, g, _moves(masses, atoms))
    each = list(run_blocks(task, plan.blocks, seed=seed, sources=(source,), n_jobs=n_jobs, what="semidual"))
    return max(0.0, sum(beyond for beyond, _ in each) / sum(weight for _, weight in each))


def _moves(masses: Array, atoms: Atoms) -> Any:
    """Which part of the mass of an atom ends at which: rows that add up to one, with masses @ moves = b.

    All of the mass takes part, and not only what is too much: for the squared distance many short ways are cheaper than
    a long one, and an atom passes on what it gets.
    """
    from scipy.sparse import csr_array

    some = masses > 0.0
    cloud = PointCloud(atoms.y[some], atoms.y, atoms.cost)
    found = emd(cloud, masses[some] / masses.sum(), atoms.b).plan
    rows = np.flatnonzero(some)[found.row]
    return csr_array((found.data / masses[rows], (rows, found.col)), shape=(atoms.size, atoms.size))
