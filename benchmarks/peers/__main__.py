"""monge beside its peers, in one run on one machine.

    python -m benchmarks.peers exact --families main --sizes 1000,2000,500x20000
    python -m benchmarks.peers exact --set rectangles
    python -m benchmarks.peers exact --set large --threads 2
    python -m benchmarks.peers small
    python -m benchmarks.peers draws --draws 200 --seed 0
    python -m benchmarks.peers warm --sizes 500,1000,2000,4000
    python -m benchmarks.peers entropic --families middle --threads 2 --readme benchmarks/RESULTS.md
    python -m benchmarks.peers losses --threads 2

`exact` prints, for every instance, the median seconds of each solver, the ratio to monge's, the accuracy that was
reached (monge's certified gap, and how far the peer's value is off, both relative to the value), and monge's counters.
Solvers take turns, so that a slow spell of the machine falls on all of them. `small` times single calls on tiny
problems. `draws` looks for the worst case: random families, sizes, weights and scales, against POT. `warm` moves points
a little at a time and compares monge from its last answer with monge afresh. `entropic` compares `monge.sinkhorn` with
POT, OTT and GeomLoss, those that are installed, at the same measured marginal error; and monge's pairs per second and
core with the exponentials that a core could take, and do nothing else. `losses` compares divergences with their
gradients, at the same error of these, with GeomLoss and OTT; sliced distances with POT; and calls in torch with the
core.

`--readme FILE` puts the table of `exact` or of `entropic` between the marks in that file.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

TARGETS = ["exact", "small", "draws", "warm", "entropic", "losses"]

# Where it is not said which.
SIZES = {"entropic": "1000,4000"}
PEERS = {"entropic": "pot,pot_log,ott,ott_momentum,ott_anderson,geomloss", "losses": "geomloss,ott,pot"}

# Who writes the table of benchmarks/RESULTS.md.
REPORTS = {"exact": "exact.report", "entropic": "entropic.report"}


def sizes(text: str) -> list[tuple[int, int]]:
    """'1000,500x20000' -> [(1000, 1000), (500, 20000)]."""
    shapes = []
    for word in text.split(","):
        n, _, m = word.partition("x")
        shapes.append((int(n), int(m or n)))
    return shapes


def between(text: str) -> tuple[int, int]:
    """'200,3000' -> (200, 3000)."""
    smallest, largest = map(int, text.split(","))
    return smallest, largest


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=TARGETS)
    parser.add_argument(
        "--families", default="main", help="families and groups of problems.py, or of entropic/timing.py"
    )
    parser.add_argument("--sizes", type=sizes, help="n or NxM, separated by commas (default: 1000,2000,4000)")
    parser.add_argument("--set", help="rectangles or large, instead of families and sizes")
    parser.add_argument("--threads", type=int, default=1, help="for monge; exact peers have one (default: 1)")
    parser.add_argument("--repeat", type=int, default=5, help="at most; slow solves are repeated less (default: 5)")
    parser.add_argument("--peers", help="separated by commas; '' for none (default: all)")
    parser.add_argument("--patience", type=float, default=120.0, help="skip, or stop, a peer that takes more seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draws", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--first", type=int, default=0, help="the index of the first draw (default: 0)")
    parser.add_argument("--between", type=between, default=(200, 3000), help="sizes of draws (default: 200,3000)")
    parser.add_argument("--tol", type=float, default=1e-3, help="marginal error of entropic plans (default: 1e-3)")
    parser.add_argument("--batch", type=int, default=256, help="problems of a batch (default: 256)")
    parser.add_argument("--single", action="store_true", help="give monge the costs in float32")
    parser.add_argument("--memory", action="store_true", help="measure peak memory too, in new processes")
    parser.add_argument("--smoke", action="store_true", help="losses of small sizes, to see that they run")
    parser.add_argument("--readme", type=Path, help="replace the table between the marks in this file")
    parser.add_argument("--json", type=Path, help="write all results to this file")
    options = parser.parse_args()
    options.sizes = options.sizes or sizes(SIZES.get(options.what, "1000,2000,4000"))
    options.peers = PEERS.get(options.what, "pot,scipy,lapx") if options.peers is None else options.peers
    return options


def machine() -> str:
    """The processor, in words."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def put_between(path: Path, what: str, table: str) -> None:
    """Replaces what stands between the marks for this table."""
    begin, end = f"<!-- {what}:begin -->", f"<!-- {what}:end -->"
    before, found_begin, rest = path.read_text(encoding="utf-8").partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise SystemExit(f"{path} should contain {begin} and, after it, {end}: the table goes between them.")
    path.write_text(f"{before}{begin}\n{table}\n{end}{after}", encoding="utf-8")


def main() -> None:
    options = arguments()
    # Before anything that reads them is imported.
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM", "NUMEXPR"):
        os.environ[f"{name}_NUM_THREADS"] = str(options.threads)
    if options.what in ("entropic", "losses") and hasattr(os, "sched_setaffinity"):
        # What counts its threads by the processors it may use, as OTT and monge do.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    if options.what == "small":
        from benchmarks.peers.exact import report, timing

        print(report.small_table(timing.small(options.repeat)))
        return
    if options.what == "draws":
        from benchmarks.peers.exact import draws

        rows = draws.draws(options)
    elif options.what == "warm":
        from benchmarks.peers.exact import warm

        rows = warm.warm(options)
    elif options.what == "entropic":
        from benchmarks.peers.entropic import timing as entropic_timing

        rows = entropic_timing.entropic(options)
    elif options.what == "losses":
        from benchmarks.peers import losses

        rows = losses.losses(options)
    else:
        from benchmarks.peers.exact import report, timing

        rows = timing.exact(options)
        print(report.summary(rows))
    results: dict[str, Any] = {
        "command": "python -m benchmarks.peers " + shlex.join(sys.argv[1:]),
        "machine": machine(),
        "threads": options.threads,
        "rows": rows,
    }
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    if options.readme and options.what in REPORTS:
        report_of = importlib.import_module(f"benchmarks.peers.{REPORTS[options.what]}")
        put_between(options.readme, options.what, report_of.markdown(results))


if __name__ == "__main__":
    main()
