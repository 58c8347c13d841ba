"""Arrays as the solvers want them, from whatever the caller has.

Anything that NumPy can read is taken: lists, NumPy arrays of any layout, data frames, and arrays of other libraries on
any device (`home`). float32 and float64 stay what they are; float16 and bfloat16 become float32, integers and booleans
float64. Nothing is rounded in silence.
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.home import is_bfloat16, on_host

__all__ = [
    "available_memory",
    "available_threads",
    "items",
    "positive",
    "positive_integer",
    "real_array",
    "real_number",
    "require_memory",
    "sampled",
    "seconds",
    "shown",
    "stride",
]

_NATIVE = (np.dtype(np.float64), np.dtype(np.float32))

# Integers beyond this are not all float64 numbers.
_EXACT_INTEGER = 2**53

# Where a library transforms or compiles the function around a call, arrays have no numbers yet.
_TRANSFORMED = {
    "jax": "inside jax.jit, grad and vmap use the functions of monge.jax. ",
    "torch": "inside torch.func and torch.compile use the functions of monge.torch. ",
}

# Of a sample that tells the scale of the costs: at most so many rows and so many columns.
_SAMPLE = 64

# The core takes no more (csrc/common/workers.hpp): a request for a million threads is not meant.
_MOST_THREADS = 256


def real_array(values: Any, name: str, ndim: int | tuple[int, ...] | None, expected: str) -> NDArray[Any]:
    """`values` as a float32 or float64 array of `ndim` dimensions (or one of several
    numbers of them, or any for None) in native byte order, not copied where it is one.

    `expected` says in words what the argument should be, for the error text.
    """
    if (
        type(values) is np.ndarray
        and values.dtype in _NATIVE
        and (values.ndim == ndim or (type(ndim) is tuple and values.ndim in ndim))
    ):
        return values  # most callers': the checks below take longer than to solve a small problem
    array = _read(values, name, expected)
    if np.ma.is_masked(values):
        raise TypeError(
            f"{name} should be {expected}, but is masked: what should its masked entries count for? "
            "Say so with .filled(value)."
        )
    kind = array.dtype.kind
    if kind == "O" and array.ndim == 0:  # a generator, a dict, a set, None
        raise TypeError(
            f"{name} should be {expected}, of real numbers; got {type(values).__name__}. "
            "Pass an array or a list; list(...) makes one of an iterator."
        )
    if kind not in "fiub" or array.dtype.itemsize > 8:
        raise TypeError(
            f"{name} should be {expected}, of real numbers; got dtype {array.dtype}. "
            "Convert it, for example with numpy.asarray(values, dtype=float)."
        )
    if ndim is not None and array.ndim not in ((ndim,) if isinstance(ndim, int) else ndim):
        raise ValueError(f"{name} should be {expected}; got shape {array.shape}.")
    wide = kind in "iu" and array.dtype.itemsize == 8 and array.size > 0
    if wide and max(abs(int(array.min())), abs(int(array.max()))) > _EXACT_INTEGER:
        raise ValueError(
            f"{name} holds integers beyond 2**53, which float64 cannot hold exactly. "
            "Scale them down, or convert to float64 yourself if rounding is harmless."
        )
    target = np.float32 if kind == "f" and array.dtype.itemsize <= 4 else np.float64
    return array.astype(target, copy=False)


def items(values: Any, name: str, expected: str) -> Any:
    """What stands along the first axis of `values`, to be counted, numbered from zero and gone through.

    Lists, tuples and arrays can do that themselves. What else NumPy reads may count by other names, as data frames do.
    """
    if isinstance(values, list | tuple | np.ndarray):
        return values
    return list(values) if is_bfloat16(values) else _read(values, name, expected)  # items that say how they are rounded


def _read(values: Any, name: str, expected: str) -> NDArray[Any]:
    try:
        array = np.asarray(on_host(values))
        return array.astype(np.float32) if is_bfloat16(array) else array  # a type that JAX adds to NumPy's
    except (ValueError, TypeError, RuntimeError) as error:
        library = type(values).__module__.partition(".")[0]
        remedy = _TRANSFORMED.get(library, "")
        raise TypeError(
            f"{name} should be {expected}; {remedy}NumPy cannot read {type(values).__name__}: {error}"
        ) from error


def real_number(value: Any, name: str, expected: str) -> float:
    """`value` as a float. TypeError where it is not a real number, is one in words, or is a tensor of torch's whose
    derivative is asked for, which a float forgets; ValueError beyond float64."""
    if getattr(value, "requires_grad", False):
        raise TypeError(
            f"{name} should be {expected}; got a tensor that requires a gradient, and there is no derivative with "
            "respect to it. Pass a number, as from its .item()."
        )
    try:
        if isinstance(value, str | bytes) or getattr(value, "ndim", 0) != 0:
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} should be {expected}; got {shown(value)}.") from None
    except OverflowError:
        raise ValueError(f"{name} should be {expected}; got an integer beyond float64.") from None


def positive(value: Any, name: str) -> float:
    """`value` as a float that is positive and finite."""
    number = real_number(value, name, "positive and finite")
    if not 0.0 < number < math.inf:
        raise ValueError(f"{name} should be positive and finite; got {number!r}.")
    return number


def positive_integer(value: Any, name: str) -> int:
    """`value` as an int that is positive."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} should be a positive integer; got {shown(value)}.")
    return int(value)


def shown(value: Any) -> str:
    """`value` in the text of an error, with numbers of NumPy's as Python writes them: nan, not np.float64(nan)."""
    with np.printoptions(legacy="1.25"):
        return repr(value)


def available_threads(threads: int | None) -> int:
    """The number of threads to use, at most 256: `threads`, or all processors this process may run on."""
    if threads is None:
        if hasattr(os, "sched_getaffinity"):
            return min(len(os.sched_getaffinity(0)), _MOST_THREADS)
        return min(os.cpu_count() or 1, _MOST_THREADS)
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer) or threads < 1:
        raise ValueError(f"threads should be a positive integer, or None for all processors; got {shown(threads)}.")
    return min(int(threads), _MOST_THREADS)


def seconds(time_limit: float | None) -> float:
    """A time limit in seconds; infinity for None."""
    limit = (
        math.inf if time_limit is None else real_number(time_limit, "time_limit", "a number of seconds >= 0, or None")
    )
    if not limit >= 0.0:
        raise ValueError(f"time_limit should be a number of seconds >= 0, or None; got {shown(time_limit)}.")
    return limit


def available_memory() -> int | None:
    """Bytes that can still be allocated without swapping, or None where the system does not say."""
    try:
        with open("/proc/meminfo") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def require_memory(wanted: int, what: str, remedy: str) -> None:
    """Raises MemoryError if `what`, of `wanted` bytes, would not fit."""
    available = available_memory()
    if available is not None and wanted > available:
        raise MemoryError(
            f"{what} takes {wanted / 2**30:.1f} GiB, and {available / 2**30:.1f} GiB of memory are available. {remedy}"
        )


def stride(size: int, most: int = _SAMPLE) -> int:
    """From one place of a sample of `size` to the next."""
    return -(-size // most)


def sampled(size: int, most: int = _SAMPLE) -> NDArray[np.intp]:
    """Some places of `size`, evenly spread."""
    return np.arange(0, size, stride(size, most))
