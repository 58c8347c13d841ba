"""monge beside its peers, in one run on one machine.

    python benchmarks/peers.py exact --families main --sizes 1000,2000,500x20000
    python benchmarks/peers.py small

`exact` prints, for every instance, the median seconds of each solver, the ratio to monge's, the accuracy that was
reached (monge's certified gap, and how far the peer's value is off, both relative to the value), and monge's counters.
Solvers take turns, so that a slow spell of the machine falls on all of them. `small` times single calls on tiny
problems.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

TARGETS = ["exact", "small"]


def sizes(text: str) -> list[tuple[int, int]]:
    """'1000,500x20000' -> [(1000, 1000), (500, 20000)]."""
    shapes = []
    for word in text.split(","):
        n, _, m = word.partition("x")
        shapes.append((int(n), int(m or n)))
    return shapes


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=TARGETS)
    parser.add_argument("--families", default="main", help="families and groups of problems.py, separated by commas")
    parser.add_argument("--sizes", type=sizes, default=sizes("1000,2000,4000"), help="n or NxM, separated by commas")
    parser.add_argument("--threads", type=int, default=1, help="for monge; the peers have one (default: 1)")
    parser.add_argument("--repeat", type=int, default=5, help="at most; slow solves are repeated less (default: 5)")
    parser.add_argument("--peers", default="pot,scipy,lapx", help="separated by commas")
    parser.add_argument("--patience", type=float, default=120.0, help="skip a peer expected to take more seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--single", action="store_true", help="give monge the costs in float32")
    parser.add_argument("--memory", action="store_true", help="measure peak memory too, in new processes")
    parser.add_argument("--readme", type=Path, help="replace the table between the marks in this file")
    parser.add_argument("--json", type=Path, help="write all results to this file")
    return parser.parse_args()


def machine() -> str:
    """The processor, in words."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def main() -> None:
    options = arguments()
    # Before anything that reads them is imported.
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM", "NUMEXPR"):
        os.environ[f"{name}_NUM_THREADS"] = str(options.threads)
    import report
    import timing

    if options.what == "small":
        print(report.small_table(timing.small(options.repeat)))
        return
    rows = timing.exact(options)
    results: dict[str, Any] = {
        "command": "python " + shlex.join(sys.argv),
        "machine": machine(),
        "threads": options.threads,
        "rows": rows,
    }
    print(report.summary(rows))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    if options.readme:
        report.write_readme(options.readme, results)


if __name__ == "__main__":
    main()
