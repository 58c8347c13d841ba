"""The stopwatch of the exact solvers."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import ot
from tqdm import tqdm

import monge
from benchmarks import problems
from benchmarks.peers.exact import memory, report
from benchmarks.peers.exact.contestants import ASSIGNMENT_ONLY, TITLES, Answer, Solver, contestants

# Seconds that the repeats of one solver on one instance may take together.
BUDGET = 6.0


def take_turns(solvers: dict[str, Solver], instance: problems.Instance, most: int) -> dict[str, list[Answer]]:
    """The answers of each solver, which are called in turn; fewer from slow ones."""
    answers: dict[str, list[Answer]] = {name: [] for name in solvers}
    for turn in range(most):
        for name, solve in solvers.items():
            first = answers[name][0].seconds if turn else 0.0
            if turn * first < BUDGET:
                answers[name].append(solve(instance))
    return answers


def instances(options: argparse.Namespace) -> Iterator[problems.Case]:
    if options.set:
        if options.set not in problems.SETS:
            raise SystemExit(f"no set {options.set}; there are {', '.join(problems.SETS)}.")
        yield from problems.SETS[options.set]
        return
    families = list(problems.resolve(options.families.split(",")))
    for shape in options.sizes:
        for family in families:
            if shape[0] == shape[1] or family not in problems.SQUARE_ONLY:
                yield problems.Case(family, shape, options.single)


def relative(x: float, p: problems.Instance, value: float) -> float:
    """x relative to the value; to the mean cost where the value is zero."""
    return abs(x) / (abs(value) or float(np.abs(p.C).mean()))


def exact(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row of results for each instance, printed as they come."""
    everyone = contestants(options.threads)
    peers = options.peers.split(",") if options.peers else []
    unknown = sorted(set(peers) - set(everyone))
    if unknown:
        raise SystemExit(f"no peer {', '.join(unknown)}; there are {', '.join(list(everyone)[1:])}.")
    warm_up = problems.make("iid", 32)
    for solve in everyone.values():
        solve(warm_up)
    rows = []
    last: dict[tuple[str, str], tuple[int, float]] = {}  # (family, solver) -> arcs and seconds
    print(report.header(options.memory))
    with tqdm(list(instances(options)), desc="instances", unit="") as bar:
        for family, shape, single in bar:
            bar.set_postfix_str(f"{family} {shape[0]} x {shape[1]}")
            p = problems.make(family, shape, options.seed)
            names = ["monge"]
            for name in peers:
                arcs, seconds = last.get((family, name), (1, 0.0))
                # Cubic in n, the usual worst case.
                expected = seconds * (p.C.size / arcs) ** 1.5
                if expected <= options.patience and (p.is_assignment or name not in ASSIGNMENT_ONLY):
                    names.append(name)
            row = measure(p, single, {name: everyone[name] for name in names}, options)
            row |= {"family": family, "asked": list(shape), "shape": list(p.C.shape)}
            for name in names:
                last[family, name] = p.C.size, row["seconds"][name]
            rows.append(row)
            tqdm.write(report.line(row, options.memory))
    return rows


def measure(
    p: problems.Instance, in_single: bool, solvers: dict[str, Solver], options: argparse.Namespace
) -> dict[str, Any]:
    single = p._replace(C=p.C.astype(np.float32)) if in_single else p
    playing = dict(solvers)
    if in_single:
        playing["monge"] = lambda _: solvers["monge"](single)
    answers = take_turns(playing, p, options.repeat)
    ours, peers = answers["monge"][0], [name for name in solvers if name != "monge"]
    seconds = {name: statistics.median(answer.seconds for answer in runs) for name, runs in answers.items()}
    row: dict[str, Any] = {
        "name": p.name + " float32" * in_single,
        "seconds": seconds,
        "ratios": {name: seconds[name] / seconds["monge"] for name in peers},
        "repeats": {name: len(runs) for name, runs in answers.items()},
        "value": ours.value,
        "gap": relative(ours.gap, p, ours.value),
        "differences": {name: relative(answers[name][0].value - ours.value, p, ours.value) for name in peers},
        "stats": ours.stats,
    }
    if options.memory:
        row["memory"] = {
            name: memory.peak_beyond_cost(name, single if name == "monge" else p, options.threads) for name in solvers
        }
    return row


def small(repeat: int) -> list[dict[str, Any]]:
    """Microseconds of one call of emd and of ot.emd2 on tiny problems, each a median over batches that take turns."""
    rows = []
    for n in (8, 16, 32, 128):
        batch = [problems.make("weighted2d", n, seed) for seed in range(max(8, 512 // n))]
        calls: dict[str, Callable[[problems.Instance], Any]] = {
            "monge": lambda p: monge.emd(p.C, p.a, p.b, threads=1),
            "pot": lambda p: ot.emd2(p.a, p.b, p.C),
        }
        for call in calls.values():
            for p in batch:
                call(p)
        times: dict[str, list[float]] = {name: [] for name in calls}
        for _ in tqdm(range(max(repeat, 5) * 4), desc=f"n = {n}", unit="batch", leave=False):
            for name, call in calls.items():
                start = time.perf_counter()
                for p in batch:
                    call(p)
                times[name].append((time.perf_counter() - start) / len(batch))
        ours = [monge.emd(p.C, p.a, p.b, threads=1) for p in batch]
        micro = {TITLES[name]: 1e6 * statistics.median(values) for name, values in times.items()}
        gap = max(relative(t.gap, p, t.value) for t, p in zip(ours, batch, strict=True))
        difference = max(abs(t.value - calls["pot"](p)) / t.value for t, p in zip(ours, batch, strict=True))
        rows.append({"n": n, "microseconds": micro, "gap": gap, "difference": difference})
    return rows
