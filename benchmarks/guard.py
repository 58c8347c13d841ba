"""Has the exact solver become worse? By what it does, never by the clock.

    python benchmarks/guard.py check      # compare with baseline.json; fails if something got worse
    python benchmarks/guard.py update     # accept what is measured now as the baseline

Two kinds of figures. Counters of solves (pivots, arcs priced, sweeps) depend on the problem alone: not on the machine,
the instruction set or the threads. Instruction counts, by callgrind, cover what counters do not see: the work per pivot
and per call. They depend on the compiler, so they are compared if the baseline's was the same; to compare two
versions on any machine, write one's figures with `update --baseline FILE` and check the other against that file.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import motion
import numpy as np
import problems
import scipy.sparse

import monge

HERE = Path(__file__).resolve().parent
BASELINE = HERE / "baseline.json"

# What is solved for the counters: families of all kinds, tall, wide and tiny. Counts are sums over a few seeds, since
# those of one instance jump with any change.
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
COUNTERS = ("pivots", "arcs_priced", "sweeps")

# What the driver solves under callgrind: FAMILY N M SEED REPEATS. About a second each.
DRIVES = (
    "squared 400 400 1 1",
    "distance 400 400 1 1",
    "iid 400 400 1 1",
    "integers 300 300 1 1",
    "squared 50 2000 1 1",
    "moving 400 400 1 5",
    "squared 32 32 1 20",
    "iid 8 8 1 50",
)


@dataclass(frozen=True)
class Limits:
    """How much worse is too much."""

    mean: float  # the geometric mean over all instances, relative
    one: float  # one instance, relative ...
    slack: float  # ... beyond this much in units: small counts jump


LIMITS = {
    "pivots": Limits(0.10, 0.25, 50),
    "arcs_priced": Limits(0.10, 0.25, 5000),
    "sweeps": Limits(0.10, 0.25, 1),
    "instructions": Limits(0.05, 0.10, 10_000),
}


@dataclass
class Report:
    worse: list[str] = field(default_factory=list)
    better: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [*self.notes, *(f"better: {text}" for text in self.better), *(f"WORSE: {text}" for text in self.worse)]
        if self.worse:
            lines.append("If it is meant, or worth it, accept it: python benchmarks/guard.py update")
        elif self.better:
            lines.append("Keep the improvement: python benchmarks/guard.py update")
        return "\n".join(lines)


def compare(what: str, old: dict[str, int], new: dict[str, int], report: Report) -> None:
    """Adds to the report how `new`, a count for each instance, stands against `old`."""
    limits = LIMITS[what]
    missing = sorted(new.keys() - old.keys())
    if missing:
        report.worse.append(f"{what}: the baseline lacks {', '.join(missing)}")
    # One is added so that a count of zero has a logarithm.
    logs = {name: math.log((new[name] + 1) / (old[name] + 1)) for name in new if name in old}
    if not logs:
        return
    mean = math.exp(sum(logs.values()) / len(logs))
    text = f"{what}: {_percent(mean)} in the geometric mean of {len(logs)} instances"
    if mean > 1 + limits.mean:
        report.worse.append(f"{text}, at most {_percent(1 + limits.mean)} is allowed")
    elif mean < 1 - limits.mean / 2:
        report.better.append(text)
    else:
        report.notes.append(text)
    for name in sorted(logs, key=logs.__getitem__):
        change = f"{what}: {name}: {old[name]} -> {new[name]} ({_percent(new[name] / max(old[name], 1))})"
        if new[name] > old[name] * (1 + limits.one) + limits.slack:
            report.worse.append(change)
        elif new[name] < old[name] / (1 + limits.one) - limits.slack:
            report.better.append(change)


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %"


def count() -> dict[str, dict[str, int]]:
    """The counters: {counter: {instance: count}}."""
    counted: dict[str, dict[str, int]] = {counter: {} for counter in COUNTERS}

    def add(name: str, t: monge.Transport) -> None:
        for counter in COUNTERS:
            counted[counter][name] = counted[counter].get(name, 0) + t.stats[counter]

    def solve(p: problems.Instance, name: str | None, init: monge.Transport | None = None) -> monge.Transport:
        # A solver that loops should fail the guard, not hang it.
        t = monge.emd(p.C, p.a, p.b, init=init, threads=1, time_limit=20.0)
        if name is not None:
            add(name, t)
        return t

    for family, shape in INSTANCES:
        for p in (problems.make(family, shape, seed) for seed in SEEDS):
            solve(p, p.name)
    for clouds, way, n in MOVING:
        t = None
        for p, answer in motion.problems_in_motion(clouds, way, n, seed=0):
            t = solve(p, None if t is None else f"{clouds} {n} from the last, {way}", t)
            answer(t)
    for family, n in PARTIAL:
        p = problems.make(family, n)
        add(f"half of {p.name}", monge.partial(p.C, p.a, p.b, mass=0.5, threads=1, time_limit=20.0))
    for family, n in SPARSE:
        p, weights = problems.make(family, n), np.random.default_rng(0).random(n)
        # The same weights on both sides: the diagonal alone is then a plan.
        add(f"nearest of {p.name}", monge.emd(_nearest(p.C, 20), weights, weights, time_limit=20.0))
    return counted


def _nearest(C: Any, k: int) -> Any:
    n = len(C)
    rows = np.concatenate([np.repeat(np.arange(n), k), np.arange(n)])
    cols = np.concatenate([np.argpartition(C, k, axis=1)[:, :k].ravel(), np.arange(n)])
    rows, cols = np.unique(np.stack([rows, cols]), axis=1)
    return scipy.sparse.coo_array((C[rows, cols], (rows, cols)), shape=C.shape)


def check_counters(baseline: dict[str, Any], report: Report) -> None:
    for counter, counts in count().items():
        compare(counter, baseline["counters"][counter], counts, report)


def missing_tool() -> str | None:
    """The name of a program that counting instructions needs and that is not there."""
    for tool in ("valgrind", "cmake"):
        if _which(tool) is None:
            return tool
    return None


def _which(tool: str) -> str | None:
    """A program on the path, or among the scripts of this environment, where pip installs cmake and ninja."""
    return shutil.which(tool) or shutil.which(tool, path=sysconfig.get_path("scripts"))


def instructions() -> dict[str, Any]:
    """Instructions inside monge::solve: {"compiler": its version, "counts": {drive: count}}."""
    with tempfile.TemporaryDirectory() as folder:
        driver = _build(Path(folder))
        compiler = subprocess.run([driver], capture_output=True, text=True, check=True).stdout.strip()
        return {"compiler": compiler, "counts": {drive: _instructions_of(driver, drive) for drive in DRIVES}}


def _build(folder: Path) -> Path:
    cmake = _which("cmake")
    assert cmake is not None
    options = ["-DMONGE_CALLGRIND_DRIVER=ON", "-DCMAKE_BUILD_TYPE=Release"]
    for command in ([cmake, "-S", HERE.parent, "-B", folder, *options], [cmake, "--build", folder, "--parallel", "2"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"the driver does not build:\n{done.stdout}{done.stderr}")
    return folder / "callgrind_driver"


def _instructions_of(driver: Path, drive: str) -> int:
    output = driver.with_name("callgrind.out")
    command = [
        _which("valgrind"),
        "--tool=callgrind",
        f"--callgrind-out-file={output}",
        "--toggle-collect=monge::solve(*",
    ]
    # valgrind knows no AVX-512.
    environment = {**os.environ, "MONGE_SIMD": "avx2"}
    done = subprocess.run(
        [*command, driver, *drive.split()], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode != 0:
        raise SystemExit(f"callgrind_driver {drive} failed:\n{done.stdout}{done.stderr}")
    for line in output.read_text().splitlines():
        if line.startswith(("totals:", "summary:")):
            return int(line.split(":")[1])
    raise SystemExit(f"callgrind wrote no total for {drive}")


def check_instructions(baseline: dict[str, Any], report: Report) -> None:
    if tool := missing_tool():
        report.notes.append(f"instructions: not counted, there is no {tool} here")
        return
    measured, known = instructions(), baseline.get("instructions")
    if known is None:
        report.notes.append("instructions: not compared, the baseline was made without valgrind")
    elif known["compiler"] != measured["compiler"]:
        report.notes.append(
            f"instructions: not compared, the baseline's compiler is {known['compiler']}, not {measured['compiler']}"
        )
    else:
        compare("instructions", known["counts"], measured["counts"], report)


def update(path: Path, with_instructions: bool) -> None:
    figures: dict[str, Any] = {"counters": count()}
    if not with_instructions or missing_tool():
        print(f"instructions are left out: {missing_tool() or 'not asked for'}", file=sys.stderr)
    else:
        figures["instructions"] = instructions()
    path.write_text(json.dumps(figures, indent=1) + "\n")
    print(f"wrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["check", "update"])
    parser.add_argument("--baseline", type=Path, default=BASELINE)
    parser.add_argument("--counters-only", action="store_true", help="leave callgrind out")
    options = parser.parse_args()
    if options.what == "update":
        update(options.baseline, not options.counters_only)
        return
    baseline, report = json.loads(options.baseline.read_text()), Report()
    check_counters(baseline, report)
    if not options.counters_only:
        check_instructions(baseline, report)
    print(report)
    if report.worse:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
