"""The solver does no more work than it did: pivots, arcs priced and sweeps against benchmarks/baseline.json."""

from __future__ import annotations

import json

import guard


def test_counters_have_not_grown() -> None:
    report = guard.Report()
    guard.check_counters(json.loads(guard.BASELINE.read_text()), report)
    assert not report.worse, f"\n{report}"


def test_the_guard_sees_what_gets_worse() -> None:
    old = {"x": 1000, "y": 1000, "z": 1000}
    for new, verdict in (
        (old, (0, 0)),
        ({**old, "x": 1400}, (2, 0)),  # the one, and the mean with it
        ({**old, "x": 1240}, (0, 0)),
        (dict.fromkeys(old, 1120), (1, 0)),
        (dict.fromkeys(old, 500), (0, 4)),
        ({**old, "new": 5}, (1, 0)),
    ):
        report = guard.Report()
        guard.compare("pivots", old, new, report)
        assert (len(report.worse), len(report.better)) == verdict, report
