"""What is asked of the driver itself, since it is asked in every round: copies, and work that is sent again."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.cuda.device import SIMULATED, cuda

__all__ = ["Copy", "Sending", "default_stream", "pinned", "recorded"]

Array = NDArray[np.float64]

# What is sent to the default stream waits for all others, which is not allowed while one of them is recorded.
default_stream = RLock()

if not SIMULATED:
    from cuda.bindings import driver


def pinned(shape: Any) -> Array:
    """Memory of the host that the device copies to and from by itself."""
    return np.zeros(shape) if SIMULATED else cuda.pinned_array(shape, np.float64)


def _done(answer: Any) -> Any:
    status, *rest = answer
    if int(status) != 0:
        raise RuntimeError(f"the CUDA driver answers {status.name}; see `nvidia-smi` for the state of the GPU.")
    return rest[0] if rest else None


def _at(array: Any) -> int:
    return int(array.__cuda_array_interface__["data"][0])


def _handle(stream: Any) -> int:
    return int(getattr(stream.handle, "value", stream.handle))


class Copy:
    """Copies an array of the device to pinned memory, `host`, when its turn in a stream comes."""

    def __init__(self, array: Any, host: Array) -> None:
        self.array, self.host = array, host
        if not SIMULATED:
            self.arguments = host.ctypes.data, _at(array), host.nbytes

    def __call__(self, stream: Any) -> None:
        if SIMULATED:
            self.array.copy_to_host(self.host)
        else:
            _done(driver.cuMemcpyDtoHAsync(*self.arguments, _handle(stream)))


class Sending:
    """Copies pinned memory to an array of the device."""

    def __init__(self, array: Any, host: Array) -> None:
        self.array, self.host = array, host
        if not SIMULATED:
            self.arguments = _at(array), host.ctypes.data, host.nbytes

    def __call__(self, stream: Any) -> None:
        if SIMULATED:
            self.array.copy_to_device(self.host)
        else:
            _done(driver.cuMemcpyHtoDAsync(*self.arguments, _handle(stream)))


def recorded(stream: Any, send: Callable[[], object]) -> Callable[[], None]:
    """What `send` sends to the stream, to be sent again at once, as a graph."""
    if SIMULATED:
        return lambda: (send(), None)[1]
    handle = _handle(stream)
    with default_stream:
        _done(driver.cuStreamBeginCapture(handle, driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED))
        try:
            send()
        finally:
            graph = _done(driver.cuStreamEndCapture(handle))
    ready = _done(driver.cuGraphInstantiate(graph, 0))
    _done(driver.cuGraphDestroy(graph))
    replay = functools.partial(_replay, ready, handle)
    # When nothing can send it again; at the end of the process the driver frees all by itself.
    weakref.finalize(replay, driver.cuGraphExecDestroy, ready).atexit = False
    return replay


def _replay(graph: Any, stream: int) -> None:
    _done(driver.cuGraphLaunch(graph, stream))
