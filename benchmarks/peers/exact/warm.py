"""What a warm start is worth: points that move a little at a time, solved afresh and from the answer before."""

from __future__ import annotations

import argparse
import time
from typing import Any

from tqdm import tqdm

import monge
from benchmarks import problems
from benchmarks.motion import CLOUDS, MOTIONS, STEPS, problems_in_motion
from benchmarks.peers.exact.report import geometric_mean
from benchmarks.peers.exact.timing import relative


def timed(p: problems.Instance, init: monge.Transport | None, options: argparse.Namespace) -> tuple[float, Any]:
    """The least seconds of a few runs, and the answer."""
    best = float("inf")
    for _ in range(min(options.repeat, 3)):
        start = time.perf_counter()
        t = monge.emd(p.C, p.a, p.b, init=init, threads=options.threads)
        best = min(best, time.perf_counter() - start)
    return best, t


def measure(family: str, motion: str, n: int, options: argparse.Namespace) -> dict[str, Any]:
    row: dict[str, Any] = {"name": f"{family} {n}, {motion}", "gap": 0.0, "difference": 0.0}
    row |= {"seconds": {"cold": 0.0, "warm": 0.0}, "stats": {"cold": {}, "warm": {}}}
    previous = None
    for p, answer in problems_in_motion(family, motion, n, options.seed):
        if previous is None:
            previous = monge.emd(p.C, p.a, p.b, threads=options.threads)
        else:
            answers = {}
            for name, init in (("cold", None), ("warm", previous)):
                seconds, t = timed(p, init, options)
                row["seconds"][name] += seconds / STEPS
                for counter in ("pivots", "coarse_pivots", "sweeps"):
                    counted = row["stats"][name]
                    counted[counter] = counted.get(counter, 0.0) + t.stats[counter] / STEPS
                row["gap"] = max(row["gap"], relative(t.gap, p, t.value))
                answers[name] = t
            change = answers["warm"].value - answers["cold"].value
            row["difference"] = max(row["difference"], relative(change, p, answers["cold"].value))
            previous = answers["warm"]
        answer(previous)
    row["ratio"] = row["seconds"]["cold"] / row["seconds"]["warm"]
    return row


def line(row: dict[str, Any]) -> str:
    text = f"{row['name']:28}"
    for name in ("cold", "warm"):
        text += (
            f"{1e3 * row['seconds'][name]:10.2f}{row['stats'][name]['pivots']:9.0f}{row['stats'][name]['sweeps']:7.1f}"
        )
    return text + f"{row['ratio']:7.1f}x{row['gap']:9.0e}{row['difference']:9.0e}"


def warm(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row of results for each family, motion and size, printed as they come, and a summary."""
    families = CLOUDS if options.families == "main" else options.families.split(",")
    unknown = sorted(set(families) - set(CLOUDS))
    if unknown:
        raise SystemExit(f"no moving clouds {', '.join(unknown)}; there are {', '.join(CLOUDS)}.")
    cases = [(family, motion, n) for n, _ in options.sizes for family in families for motion in MOTIONS]
    rows = []
    print(f"means over {STEPS} steps; gap, off by: largest, relative to the value")
    print(f"{'':28}{'cold: ms':>10}{'pivots':>9}{'sweeps':>7}{'warm: ms':>10}{'pivots':>9}{'sweeps':>7}", end="")
    print(f"{'ratio':>8}{'gap':>9}{'off by':>9}")
    with tqdm(cases, desc="moving clouds", unit="") as bar:
        for case in bar:
            rows.append(measure(*case, options))
            tqdm.write(line(rows[-1]))
    ratios = [row["ratio"] for row in rows]
    print(f"\na cold start takes {geometric_mean(ratios):.1f} times as long in the geometric mean, ", end="")
    print(f"at least {min(ratios):.1f} times ({min(rows, key=lambda row: row['ratio'])['name']})")
    return rows
