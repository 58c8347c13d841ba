"""What the sections of a run share: the device, the time that is left, and the results, written as they come."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["SIMULATED", "Run", "rounded"]

# Numba's simulator runs the kernels in Python, which a machine without a GPU can do at tiny sizes.
SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"


@dataclass
class Run:
    """A section is a function of this and of a dictionary, which it fills as it goes: what is there counts, should it
    fail or be stopped."""

    path: Path
    seconds: float  # that all sections together may take
    device: str  # what monge is asked for
    smoke: bool  # tiny sizes
    seed: int
    started: float = field(default_factory=time.perf_counter)
    results: dict[str, Any] = field(default_factory=dict)
    until: float = math.inf  # when the section at work should end

    @property
    def gpu(self) -> bool:
        """Whether there is a GPU to measure with."""
        return self.device == "cuda" and not SIMULATED

    def left(self) -> float:
        """Seconds that the section may still take."""
        return min(self.started + self.seconds, self.until) - time.perf_counter()

    def allot(self, share: float) -> None:
        """Give the section at work this share of all seconds, counted from now."""
        self.until = time.perf_counter() + share * self.seconds

    def room(self, out: dict[str, Any], name: str, needed: float = 0.0) -> bool:
        """Whether there is time for a part of a section; if not, the section says what it left out."""
        if self.left() > needed:
            return True
        out.setdefault("left_out", []).append(f"{name}: {needed:.3g} s wanted, {max(0.0, self.left()):.3g} s left")
        return False

    def save(self) -> None:
        """Write what there is, in one step, so that a run which is killed leaves a whole file."""
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(rounded(self.results), indent=1, default=str) + "\n")
        part.replace(self.path)


def rounded(value: Any) -> Any:
    """Five digits, and no NaN or infinity, which JSON does not have."""
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(name): rounded(part) for name, part in value.items()}
    return [rounded(part) for part in value] if isinstance(value, list | tuple) else value
