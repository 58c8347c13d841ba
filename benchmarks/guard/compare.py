"""Has a version become worse than another? By two files that pytest-benchmark wrote for them.

    python -m benchmarks.guard.compare base.json head.json [--since BASE]

Counters, which benchmarks state as extra_info, may not grow. The least seconds may grow by little: `GROUP` in the
geometric mean of a group of benchmarks, `ONE` in a single one. Such files say something about seconds if both versions
were measured in turns on one machine; interleaved.py does that.

A change that is meant to cost something declares it in the message of its commit, by a trailer for each thing that may
grow: a part of the names of benchmarks, a counter or "seconds", and the largest ratio.

    Allow-worse: test_sinkhorn[near passes 1.10

With --since, the trailers of the commits after that one count, so that what is declared is allowed once.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.guard.counters import ENTROPIC, EXACT
from benchmarks.guard.verdict import Report, percent

# What two measurements of the same version differ by, with a margin: relative, and for one benchmark also seconds, as
# many as a call from Python takes. On a shared machine of two processors, after seven rounds, that was up to 5 % for a
# group and 30 % for one benchmark: where arrays lie in memory stays the same for a process. Instructions say the rest.
GROUP, ONE, SLACK = 0.08, 0.5, 2e-6


class Allowance(NamedTuple):
    benchmark: str  # a part of its name
    figure: str
    ratio: float

    @classmethod
    def parse(cls, text: str) -> Allowance:
        benchmark, figure, ratio = text.rsplit(maxsplit=2)
        return cls(benchmark, figure, float(ratio))


def allowed(allowances: Iterable[Allowance], benchmark: str, figure: str) -> float:
    """The ratio up to which a figure of a benchmark may grow, as declared; 1 where it is not."""
    ratios = [a.ratio for a in allowances if a.benchmark in benchmark and a.figure == figure]
    return max(ratios, default=1.0)


def declared_since(base: str) -> list[Allowance]:
    """What the commits after `base` declare."""
    command = ["git", "log", "--format=%(trailers:key=Allow-worse,valueonly)", f"{base}..HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [Allowance.parse(line) for line in done.stdout.splitlines() if line.strip()]


@dataclass(frozen=True)
class Times:
    """How the least seconds of a group of benchmarks stand against those of another version."""

    group: str
    pairs: dict[str, tuple[float, float]]  # benchmark: its seconds before, times what is allowed, and after

    @property
    def mean(self) -> float:
        """The geometric mean of the ratios."""
        return math.exp(sum(math.log(after / before) for before, after in self.pairs.values()) / len(self.pairs))

    @property
    def slower(self) -> dict[str, tuple[float, float]]:
        """The benchmarks that are, each on its own."""
        return {name: (old, new) for name, (old, new) in self.pairs.items() if new > old * (1 + ONE) + SLACK}

    @property
    def worse(self) -> bool:
        return self.mean > 1 + GROUP or bool(self.slower)


def compare_times(base: dict[str, Any], head: dict[str, Any], allowances: list[Allowance]) -> list[Times]:
    """For each group of benchmarks that both files have."""
    before = {b["fullname"]: b["stats"]["min"] for b in base["benchmarks"]}
    groups: dict[str, dict[str, tuple[float, float]]] = {}
    for b in head["benchmarks"]:
        name = b["fullname"]
        if name in before:
            old = before[name] * allowed(allowances, name, "seconds")
            groups.setdefault(b["group"] or "others", {})[name] = old, b["stats"]["min"]
    return [Times(group, pairs) for group, pairs in groups.items()]


def compare(base: dict[str, Any], head: dict[str, Any], allowances: list[Allowance]) -> Report:
    """What pytest-benchmark wrote for a version, against what it wrote for another."""
    report = Report()
    old, new = ({b["fullname"]: b["extra_info"] for b in run["benchmarks"]} for run in (base, head))
    for words, names in (("new", new.keys() - old.keys()), ("no longer there", old.keys() - new.keys())):
        if names:
            report.notes.append(f"{words}: {', '.join(sorted(names))}")
    for name in (name for name in new if name in old):
        _compare_counters(name, old[name], new[name], allowances, report)
    for times in compare_times(base, head, allowances):
        text = f"seconds: {times.group}: {percent(times.mean)} in the geometric mean of {len(times.pairs)}"
        if times.mean > 1 + GROUP:
            report.worse.append(f"{text}, at most {percent(1 + GROUP)} is allowed")
        else:
            report.notes.append(text)
        for name, (before, after) in times.slower.items():
            report.worse.append(f"seconds: {name}: {before:.3g} -> {after:.3g} ({percent(after / before)})")
    return report


def _compare_counters(
    name: str, old: dict[str, Any], new: dict[str, Any], allowances: list[Allowance], report: Report
) -> None:
    for counter in (*EXACT, *ENTROPIC):
        if counter not in old or counter not in new or new[counter] == old[counter]:
            continue
        change = f"{counter}: {name}: {old[counter]} -> {new[counter]}"
        if new[counter] > old[counter] * allowed(allowances, name, counter):
            report.worse.append(change)
        else:
            (report.better if new[counter] < old[counter] else report.notes).append(change)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path)
    parser.add_argument("head", type=Path)
    parser.add_argument("--since", help="the commit of the base, after which trailers count")
    options = parser.parse_args()
    base, head = (json.loads(path.read_text()) for path in (options.base, options.head))
    report = compare(base, head, declared_since(options.since) if options.since else [])
    print(report)
    if report.worse:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
