"""The loop of `iteration`, with what it does between passes in compiled code: the same functions, from the C++ core."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from monge.entropic import _steps, iteration

__all__ = ["iterate"]

_native = {"measure": _steps.measure, "plain_step": _steps.plain_step, "extrapolate": _steps.extrapolate}

iterate: Any = FunctionType(iteration.iterate.__code__, {**vars(iteration), **_native}, "iterate")
