"""The benchmarks on several builds of monge, in turns: what a slow spell of the machine hits, it hits in all.

    python -m benchmarks.guard.interleaved VENV_A VENV_B VENV_C
    python -m benchmarks.guard.interleaved VENV_BASE VENV_HEAD --check --since BASE

A build is an environment in which monge, pytest and pytest-benchmark are installed. Each has a process of its own, and
these take turns: benchmark by benchmark, each time another one first, in several rounds with new processes; the least
seconds count. Prints them, and the ratios to the first build. With --output, what pytest-benchmark would write for each
build goes to a file of that folder. With --check, there are two builds, a version and one that is to be no worse: see
compare.py. What looks slower is then measured again, up to MOST_ROUNDS times, before it is called worse. With
--instructions, callgrind counts the instructions of small solves, too.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, TextIO

from benchmarks.guard.compare import Allowance, compare, compare_times, declared_since
from benchmarks.guard.instructions import ROOT, SINGLE_THREADED, instructions

ROUNDS, MOST_ROUNDS = 3, 5
SELECTED = "benchmarks -m 'not large'"

Results = dict[str, dict[str, Any]]  # what pytest-benchmark wrote for each benchmark, by its name for pytest


class Worker:
    """A process that runs benchmarks with one build."""

    def __init__(self, python: Path, log: TextIO) -> None:
        command = [python, "-m", "benchmarks.guard.worker"]
        pipe = subprocess.PIPE
        environment = os.environ | SINGLE_THREADED
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=log, text=True, cwd=ROOT, env=environment
        )
        self._log = log

    def ask(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        reply = json.loads(line) if line else {"failed": "the process ended"}
        if isinstance(reply, dict) and "failed" in reply:
            self._log.seek(0)
            raise SystemExit(f"{self._log.read()[-4000:]}\n{reply['failed']}")
        return reply

    def close(self) -> None:
        self._process.communicate()


def python_of(environment: Path) -> Path:
    """The interpreter of an environment."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def run_round(pythons: list[Path], names: list[str], turn: int, results: list[Results]) -> None:
    """One more measurement of these benchmarks by each build; of what each measured so far, the least stays."""
    with tempfile.TemporaryFile("w+") as log:
        workers = [Worker(python, log) for python in pythons]
        for k, name in enumerate(names):
            for step in range(len(workers)):
                which = (turn + k + step) % len(workers)
                _keep(results[which], name, workers[which].ask({"run": name}))
        for worker in workers:
            worker.close()


def _keep(results: Results, name: str, found: dict[str, Any]) -> None:
    if name not in results or found["stats"]["min"] < results[name]["stats"]["min"]:
        results[name] = found


def select(python: Path, arguments: list[str]) -> list[str]:
    """The names of the benchmarks that pytest selects."""
    with tempfile.TemporaryFile("w+") as log:
        worker = Worker(python, log)
        names = worker.ask({"select": arguments})
        worker.close()
    return list(names)


def as_run(results: Results) -> dict[str, Any]:
    """Results as pytest-benchmark writes them."""
    return {"benchmarks": list(results.values())}


def measure_again(
    pythons: list[Path], names: list[str], rounds: int, results: list[Results], allowances: list[Allowance]
) -> None:
    """More rounds of the groups in which the second build looks slower than the first, until none does."""
    for turn in range(rounds, MOST_ROUNDS):
        groups = {times.group for times in compare_times(*map(as_run, results), allowances) if times.worse}
        if not groups:
            return
        print(f"once more: {', '.join(sorted(groups))}", flush=True)
        run_round(pythons, [name for name in names if results[1][name]["group"] in groups], turn, results)


def table(titles: list[str], rows: dict[str, list[float]], unit: str) -> str:
    """A line for each row, with the ratios to the first column, and the geometric means of these."""
    lines = [
        f"{unit:64}" + "".join(f"{title:>12}" for title in titles) + "".join(f"{title:>9}" for title in titles[1:])
    ]
    for name, values in rows.items():
        ratios = "".join(f"{value / values[0]:9.3f}" for value in values[1:])
        lines.append(f"{name:64}" + "".join(f"{value:12.5g}" for value in values) + ratios)
    means = [math.exp(sum(math.log(v[k] / v[0]) for v in rows.values()) / len(rows)) for k in range(1, len(titles))]
    lines.append(
        f"{f'geometric mean of {len(rows)}':64}" + " " * 12 * len(titles) + "".join(f"{r:9.3f}" for r in means)
    )
    return "\n".join(lines)


def print_tables(titles: list[str], results: list[Results]) -> None:
    """The least seconds, group by group."""
    groups: dict[str, list[str]] = {}
    for name in results[0]:
        groups.setdefault(results[0][name]["group"] or "others", []).append(name)
    for group, members in groups.items():
        rows = {n.rpartition("::")[2]: [1e3 * r[n]["stats"]["min"] for r in results] for n in members}
        print(table(titles, rows, f"{group}, milliseconds"), end="\n\n")
    everything = {n: [r[n]["stats"]["min"] for r in results] for n in results[0]}
    print(table(titles, everything, "all, seconds").splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environments", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"(default: {ROUNDS})")
    parser.add_argument("--pytest", default=SELECTED, help=f"what it selects (default: {SELECTED})")
    parser.add_argument("--output", type=Path, help="a folder")
    parser.add_argument("--check", action="store_true", help="fail if the second build is worse than the first")
    parser.add_argument("--since", help="with --check, the commit of the base, after which trailers count")
    parser.add_argument("--instructions", action="store_true", help="count those, too")
    options = parser.parse_args()
    pythons = [python_of(environment.absolute()) for environment in options.environments]
    titles = [environment.name for environment in options.environments]
    if options.check and len(pythons) != 2:
        parser.error("--check takes two environments")

    names = select(pythons[-1], shlex.split(options.pytest))
    results: list[Results] = [{} for _ in pythons]
    for turn in range(options.rounds):
        run_round(pythons, names, turn, results)
    allowances = declared_since(options.since) if options.since else []
    if options.check:
        measure_again(pythons, names, options.rounds, results, allowances)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        for title, found in zip(titles, results, strict=True):
            (options.output / f"{title}.json").write_text(json.dumps(as_run(found), indent=1) + "\n")
    print_tables(titles, results)
    if options.instructions:
        counted = [instructions(str(python)) for python in pythons]
        for what in ("core", "all"):
            shared = [name for name in counted[0][what] if all(name in counts[what] for counts in counted)]
            rows = {name: [counts[what][name] / 1e6 for counts in counted] for name in shared}
            print(table(titles, rows, f"millions of instructions, {what}"), end="\n\n")
    if options.check:
        report = compare(*map(as_run, results), allowances)
        print(report)
        if report.worse:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
