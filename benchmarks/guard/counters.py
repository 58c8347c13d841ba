"""What solves count: pivots, arcs priced and sweeps; passes, pairs, steps of Newton's method and kernel matrices.

Those of the exact solver depend on the problem alone: not on the machine, the instruction set or the threads. Entropic
sums are rounded differently by each instruction set, so that a pass more or less is possible on another machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import scipy.sparse

import monge
from benchmarks import entropic_problems, motion, problems
from benchmarks.divergence_problems import PROBLEMS

EXACT = ("pivots", "arcs_priced", "sweeps")
ENTROPIC = ("passes", "pairs", "newton_steps", "kernels")

# Families of all kinds, tall, wide and tiny. Counts are sums over a few seeds, since those of one instance jump with
# any change.
INSTANCES: list[tuple[str, int | tuple[int, int]]] = [
    *((family, 400) for family in problems.FAMILIES),
    *((family, 900) for family in problems.GROUPS["main"]),
    *(("weighted2d", shape) for shape in ((50, 2000), (2000, 50), (32, 32), (8, 8))),
    *(("iid", shape) for shape in ((300, 3000), (128, 128), (32, 32))),
]
SEEDS = (0, 1, 2)

# Points that move, each problem started from the answer before: (clouds, motion, size).
MOVING = [(clouds, way, 400) for clouds in motion.CLOUDS for way in motion.MOTIONS]

# Half of the mass to move, and costs of which only the cheapest 20 per row and the diagonal are stored.
PARTIAL = [(family, size) for family in ("uniform2d", "clusters", "iid") for size in (100, 600)]
SPARSE = [(family, 1500) for family in ("uniform2d", "clusters", "iid")]

# A solver that loops should fail the guard, not hang it.
TIME_LIMIT = 20.0


def counters(answers: Iterable[monge.Transport]) -> dict[str, int]:
    """The sums of what the answers counted."""
    total: dict[str, int] = {}
    for t in answers:
        for name in (*EXACT, *ENTROPIC):
            if name in t.stats:
                total[name] = total.get(name, 0) + int(t.stats[name])
    return total


def count() -> dict[str, dict[str, int]]:
    """{counter: {instance: count}}."""
    counted: dict[str, dict[str, int]] = {}
    for name, answers in (*_exact(), *_entropic(), *_divergences()):
        for counter, value in counters(answers).items():
            counted.setdefault(counter, {})[name] = value
    return counted


def _exact() -> Iterator[tuple[str, list[monge.Transport]]]:
    def solve(p: problems.Instance, init: monge.Transport | None = None) -> monge.Transport:
        return monge.emd(p.C, p.a, p.b, init=init, threads=1, time_limit=TIME_LIMIT)

    for family, shape in INSTANCES:
        instances = [problems.make(family, shape, seed) for seed in SEEDS]
        yield instances[0].name, [solve(p) for p in instances]
    for clouds, way, n in MOVING:
        answers: list[monge.Transport] = []
        for p, answer in motion.problems_in_motion(clouds, way, n, seed=0):
            answers.append(solve(p, answers[-1] if answers else None))
            answer(answers[-1])
        yield f"{clouds} {n} from the last, {way}", answers[1:]
    for family, n in PARTIAL:
        p = problems.make(family, n)
        yield f"half of {p.name}", [monge.partial(p.C, p.a, p.b, mass=0.5, threads=1, time_limit=TIME_LIMIT)]
    for family, n in SPARSE:
        p, weights = problems.make(family, n), np.random.default_rng(0).random(n)
        # The same weights on both sides: the diagonal alone is then a plan.
        yield f"nearest of {p.name}", [monge.emd(nearest(p.C, 20), weights, weights, time_limit=TIME_LIMIT)]


def _entropic() -> Iterator[tuple[str, list[monge.Transport]]]:
    for group, names in entropic_problems.GROUPS.items():
        for name in names:
            cost, a, b, options = entropic_problems.make(group, name)
            answers = monge.sinkhorn(cost, a, b, threads=1, **options)
            yield f"{group}: {name}", answers if isinstance(answers, list) else [answers]


def _divergences() -> Iterator[tuple[str, list[monge.Transport]]]:
    """The transports of measures to themselves, which should take three passes or four."""
    for name, make in PROBLEMS.items():
        found = monge.sinkhorn_divergence(threads=1, **make())
        losses = found if isinstance(found, list) else [found]
        yield f"self terms: {name}", [t for loss in losses for t in loss.terms[1:]]


def nearest(C: Any, k: int) -> scipy.sparse.coo_array:
    """Of costs (n, n), the least k of each row and the diagonal."""
    n = len(C)
    rows = np.concatenate([np.repeat(np.arange(n), k), np.arange(n)])
    cols = np.concatenate([np.argpartition(C, k, axis=1)[:, :k].ravel(), np.arange(n)])
    rows, cols = np.unique(np.stack([rows, cols]), axis=1)
    return scipy.sparse.coo_array((C[rows, cols], (rows, cols)), shape=C.shape)
