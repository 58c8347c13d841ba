"""Timings of the entropic solver: `pytest benchmarks/test_sinkhorn.py`.

Each case states the marginal error that was reached, and its counters, beside the time, as extra_info.
"""

from __future__ import annotations

from typing import Any

import pytest

import monge
from benchmarks.entropic_problems import GROUPS, make
from benchmarks.guard.counters import counters

CASES = [
    pytest.param(group, name, id=f"{group}-{name}", marks=pytest.mark.benchmark(group=group))
    for group, names in GROUPS.items()
    for name in names
]


@pytest.mark.parametrize(("group", "name"), CASES)
def test_sinkhorn(benchmark: Any, group: str, name: str) -> None:
    cost, a, b, options = make(group, name)
    answers = benchmark(monge.sinkhorn, cost, a, b, threads=1, **options)
    if isinstance(answers, monge.Transport):
        answers = [answers]
    assert all(t.converged for t in answers)
    errors = [t.marginal_error for t in answers]
    assert max(errors) <= options["tol"]
    benchmark.extra_info.update(counters(answers), marginal_error=max(errors))
