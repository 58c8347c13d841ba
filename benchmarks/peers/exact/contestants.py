"""The solvers that are compared, behind one signature: solve(instance) -> Answer.

Import this module only after the number of threads is set in the environment: its imports read it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import lap
import numpy as np
import ot
from scipy.optimize import linear_sum_assignment

import monge
from benchmarks.problems import Instance


@dataclass(frozen=True)
class Answer:
    seconds: float
    value: float  # <P, C>
    gap: float = float("nan")  # certified, for those that certify
    stats: dict[str, Any] = field(default_factory=dict)


Solver = Callable[[Instance], Answer]


def run_monge(threads: int) -> Solver:
    def solve(p: Instance) -> Answer:
        start = time.perf_counter()
        t = monge.emd(p.C, p.a, p.b, threads=threads)
        return Answer(time.perf_counter() - start, t.value, t.gap, t.stats)

    return solve


def run_pot(p: Instance) -> Answer:
    n, m = p.C.shape
    a = np.full(n, 1.0 / n) if p.a is None else p.a
    b = np.full(m, 1.0 / m) if p.b is None else p.b
    start = time.perf_counter()
    _, log = ot.emd(a, b, p.C, numItermax=10**9, log=True)
    seconds = time.perf_counter() - start
    if log["warning"]:
        raise RuntimeError(f"POT on {p.name}: {log['warning']}")
    return Answer(seconds, float(log["cost"]))


def run_scipy(p: Instance) -> Answer:
    start = time.perf_counter()
    rows, cols = linear_sum_assignment(p.C)
    return Answer(time.perf_counter() - start, float(p.C[rows, cols].mean()))


def run_lapx(p: Instance) -> Answer:
    start = time.perf_counter()
    _, cols, _ = lap.lapjv(p.C)
    return Answer(time.perf_counter() - start, float(p.C[np.arange(len(cols)), cols].mean()))


def contestants(threads: int) -> dict[str, Solver]:
    """All of them, monge first. The peers run on one thread whatever is asked for: they have no more."""
    return {"monge": run_monge(threads), "pot": run_pot, "scipy": run_scipy, "lapx": run_lapx}


ASSIGNMENT_ONLY = {"scipy", "lapx"}
TITLES = {"monge": "monge", "pot": "POT", "scipy": "SciPy", "lapx": "lapx"}
