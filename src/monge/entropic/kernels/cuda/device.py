"""Numba's CUDA target: imported here alone, and what its compiler and its simulator are asked differently."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np

_shimmed = not hasattr(np, "row_stack")
if _shimmed:  # which numba-cuda overloads when it first compiles, and NumPy 2.5 no longer has
    np.row_stack = np.vstack  # noqa: NPY201
try:
    import numba.cuda as _cuda
    from numba.cuda.core import config

    SIMULATED = bool(config.ENABLE_CUDASIM)
    if not SIMULATED:
        import numba.cuda.np.arrayobj  # noqa: F401
finally:
    if _shimmed:
        del np.row_stack  # noqa: NPY201

__all__ = [
    "SIMULATED",
    "cuda",
    "device_function",
    "exact",
    "exp2",
    "free_memory",
    "kernel",
    "launch",
    "log2",
    "multiprocessors",
    "power",
    "root",
]

cuda: Any = _cuda  # of whose functions in kernels nothing is declared
_WARNED = "CUDA_LOW_OCCUPANCY_WARNINGS"


@functools.cache
def multiprocessors() -> int:
    """Of the device in use."""
    return 2 if SIMULATED else int(cuda.get_current_device().MULTIPROCESSOR_COUNT)


def free_memory() -> float:
    """Bytes of the device that are free."""
    return math.inf if SIMULATED else float(cuda.current_context().get_memory_info().free)


_configuring = Lock()


def launch(function: Any, grid: Any, threads: int, stream: Any, *arguments: Any) -> None:
    """Sends a kernel to a stream. That a grid is small is no news: Numba would warn of it."""
    with _configuring:
        warned = getattr(config, _WARNED, None)
        setattr(config, _WARNED, 0)
        try:
            ready = function[grid, threads, stream]
        finally:
            setattr(config, _WARNED, warned)
    ready(*arguments)


def device_function(function: Callable[..., Any], fast: bool = True) -> Any:
    """A function that kernels call, taken into them."""
    options: dict[str, Any] = {} if SIMULATED else {"forceinline": True}
    return cuda.jit(device=True, fastmath=fast, **options)(function)


def exact(function: Callable[..., Any]) -> Any:
    """A device function that rounds as IEEE 754 has it, and knows infinity."""
    return device_function(function, fast=False)


def kernel(function: Callable[..., Any], fast: bool, *made_with: Any, registers: int | None = None) -> Any:
    """A kernel. `fast` allows approximate functions and sums in any order of writing, but in the same one each time;
    `made_with` tells it from others of its name, on disk; `registers` is the most that a thread may have."""
    if SIMULATED:
        return cuda.jit(fastmath=fast)(function)
    from monge.entropic.kernels.cuda.kept import keep  # which needs the compiler itself

    options = {} if registers is None else {"max_registers": registers}
    return keep(cuda.jit(fastmath=fast, **options)(function), fast, registers, *made_with)


if SIMULATED:
    # There functions of one number are Python's, which raise where those of a device have an answer.
    def _quiet(function: Callable[..., Any]) -> Any:
        @device_function
        def quiet(*numbers: Any) -> Any:
            with np.errstate(all="ignore"):
                return function(*numbers)

        return quiet

    exp2, power, root, log2 = _quiet(np.exp2), _quiet(np.power), _quiet(np.sqrt), _quiet(np.log2)
else:
    exp2 = device_function(lambda t: math.exp2(t))
    power = device_function(lambda x, p: math.pow(x, p))
    root = device_function(lambda x: math.sqrt(x))
    log2 = device_function(lambda x: math.log2(x))
