"""The solvers do no more work than they did, and what guards this sees what gets worse."""

from __future__ import annotations

import json

import pytest

from benchmarks.guard.__main__ import BASELINE, check_counters
from benchmarks.guard.compare import Allowance
from benchmarks.guard.compare import compare as compare_runs
from benchmarks.guard.verdict import Report, compare


def test_counters_have_not_grown() -> None:
    report = Report()
    check_counters(json.loads(BASELINE.read_text()), report)
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
        report = Report()
        compare("pivots", old, new, report)
        assert (len(report.worse), len(report.better)) == verdict, report


def _run(seconds: dict[str, float], **counters: int) -> dict:
    """What pytest-benchmark writes, of which names begin with their group."""
    return {
        "benchmarks": [
            {"fullname": name, "group": name.split("-")[0], "stats": {"min": least}, "extra_info": counters}
            for name, least in seconds.items()
        ]
    }


OLD = {"pairs-1": 0.1, "pairs-2": 0.2, "exact-1": 0.1, "exact-2": 1e-6}


@pytest.mark.parametrize(
    ("new", "worse"),
    [
        (OLD, []),
        (OLD | {"pairs-1": 0.115, "pairs-2": 0.23}, ["pairs"]),  # passes that are 15 % slower
        (OLD | {"pairs-1": 0.16}, ["pairs", "pairs-1"]),
        (OLD | {"pairs-1": 0.107, "pairs-2": 0.214}, []),
        (OLD | {"pairs-1": 0.104}, []),
        (OLD | {"exact-2": 1.07e-6}, []),
        ({"pairs-1": 0.1, "new": 9.9}, []),
    ],
)
def test_runs_that_take_longer(new: dict[str, float], worse: list[str]) -> None:
    report = compare_runs(_run(OLD), _run(new), [])
    assert [text.split(": ")[1] for text in report.worse] == worse, report


def test_counters_of_runs_may_not_grow_unless_that_is_declared() -> None:
    old, new = _run(OLD, passes=100, pivots=100), _run(OLD, passes=101, pivots=99)
    assert len(compare_runs(old, new, []).worse) == len(compare_runs(old, new, []).better) == len(OLD)
    declared = [Allowance.parse("pairs- passes 1.01"), Allowance.parse("exact-1 passes 1.01")]
    assert [text.split(": ")[1] for text in compare_runs(old, new, declared).worse] == ["exact-2"]


def test_slower_runs_may_be_declared() -> None:
    new = {name: 1.15 * seconds for name, seconds in OLD.items()}
    assert compare_runs(_run(OLD), _run(new), []).worse
    assert not compare_runs(_run(OLD), _run(new), [Allowance.parse("- seconds 1.15")]).worse
