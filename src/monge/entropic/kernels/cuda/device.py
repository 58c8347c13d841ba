"""Numba's CUDA target: imported here alone, and what its compiler and its simulator are asked differently."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

_shimmed = not hasattr(np, "row_stack")
if _shimmed:  # which numba-cuda overloads when it first compiles, and NumPy 2.5 no longer has
    np.vstack = np.vstack  # type: ignore[attr-defined]
try:
    from numba import config, cuda

    SIMULATED = bool(config.ENABLE_CUDASIM)
    if not SIMULATED:
        import numba.cuda.np.arrayobj  # noqa: F401
finally:
    if _shimmed:
        del np.vstack  # type: ignore[attr-defined]

__all__ = ["SIMULATED", "cuda", "device_function", "exp2", "kernel", "multiprocessors", "power", "root"]


@functools.cache
def multiprocessors() -> int:
    """Of the device in use."""
    return 2 if SIMULATED else int(cuda.get_current_device().MULTIPROCESSOR_COUNT)


def device_function(function: Callable[..., Any], fast: bool = True) -> Any:
    """A function that kernels call, taken into them."""
    options: dict[str, Any] = {} if SIMULATED else {"forceinline": True}
    return cuda.jit(device=True, fastmath=fast, **options)(function)


def kernel(function: Callable[..., Any], fast: bool, registers: int | None = None) -> Any:
    """A kernel. `fast` allows approximate functions and sums in any order of writing, but in the same one each time;
    `registers` is the most that a thread may have."""
    options: dict[str, Any] = {} if SIMULATED or registers is None else {"max_registers": registers}
    return cuda.jit(fastmath=fast, **options)(function)


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
