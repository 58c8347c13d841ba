"""The loop of `iteration`, compiled."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from monge.entropic import iteration
from monge.entropic.kernels.jit import jit

__all__ = ["iterate"]


def _compiled(names: tuple[str, ...], using: dict[str, Any]) -> dict[str, Any]:
    """The functions of `iteration`, compiled; each may call those in `using`."""
    namespace = {**vars(iteration), **using}
    return {name: jit()(FunctionType(getattr(iteration, name).__code__, namespace, name)) for name in names}


_steps = _compiled(("measure", "noise_floor", "translation", "extrapolate"), {})
_steps |= _compiled(("plain_step",), _steps)
iterate = _compiled(("iterate",), _steps)["iterate"]
