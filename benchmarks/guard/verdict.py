"""How much worse is too much, of counts that were measured one after the other."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limits:
    mean: float  # the geometric mean over all instances, relative
    one: float  # one instance, relative ...
    slack: float  # ... beyond this much in units: small counts jump


LIMITS = {
    "pivots": Limits(0.10, 0.25, 50),
    "arcs_priced": Limits(0.10, 0.25, 5000),
    "sweeps": Limits(0.10, 0.25, 1),
    "passes": Limits(0.05, 0.10, 2),
    "pairs": Limits(0.05, 0.10, 5000),
    "newton_steps": Limits(0.10, 0.25, 2),
    "kernels": Limits(0.10, 0.25, 2),
    "instructions: core": Limits(0.03, 0.08, 10_000),
    "instructions: all": Limits(0.03, 0.08, 100_000),
}


@dataclass
class Report:
    worse: list[str] = field(default_factory=list)
    better: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [*self.notes, *(f"better: {text}" for text in self.better), *(f"WORSE: {text}" for text in self.worse)]
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
    text = f"{what}: {percent(mean)} in the geometric mean of {len(logs)} instances"
    if mean > 1 + limits.mean:
        report.worse.append(f"{text}, at most {percent(1 + limits.mean)} is allowed")
    elif mean < 1 - limits.mean / 2:
        report.better.append(text)
    else:
        report.notes.append(text)
    for name in sorted(logs, key=logs.__getitem__):
        change = f"{what}: {name}: {old[name]} -> {new[name]} ({percent(new[name] / max(old[name], 1))})"
        if new[name] > old[name] * (1 + limits.one) + limits.slack:
            report.worse.append(change)
        elif new[name] < old[name] / (1 + limits.one) - limits.slack:
            report.better.append(change)


def percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %"
