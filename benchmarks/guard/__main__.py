"""Has a solver become worse? By what it does, not by the clock.

    python -m benchmarks.guard check      # compare with baseline.json; fails if something got worse
    python -m benchmarks.guard update     # accept what is measured now as the baseline

Two kinds of figures: what solves count, see counters.py, and instructions, see instructions.py. The latter depend on
the compiler, so they are compared if the baseline's was the same; to compare two versions on any machine, write one's
figures with `update --baseline FILE` and check the other against that file. Seconds are compared by interleaved.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.guard.counters import count
from benchmarks.guard.instructions import instructions, missing_tool
from benchmarks.guard.verdict import Report, compare

BASELINE = Path(__file__).resolve().with_name("baseline.json")


def check_counters(baseline: dict[str, Any], report: Report) -> None:
    for counter, counts in count().items():
        compare(counter, baseline["counters"].get(counter, {}), counts, report)


def check_instructions(baseline: dict[str, Any], report: Report) -> None:
    if tool := missing_tool():
        report.notes.append(f"instructions: not counted, there is no {tool} here")
        return
    measured, known = instructions(), baseline.get("instructions")
    if known is None:
        report.notes.append("instructions: not compared, the baseline was made without valgrind")
        return
    for what, needed in (("core", ("compiler",)), ("all", ("compiler", "python"))):
        if different := next((name for name in needed if known[name] != measured[name]), None):
            report.notes.append(
                f"instructions: {what}: not compared, the baseline has {known[different]}, not {measured[different]}"
            )
        else:
            compare(f"instructions: {what}", known[what], measured[what], report)


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
        print("If it is meant, or worth it, accept it: python -m benchmarks.guard update")
        raise SystemExit(1)
    if report.better:
        print("Keep the improvement: python -m benchmarks.guard update")


if __name__ == "__main__":
    main()
