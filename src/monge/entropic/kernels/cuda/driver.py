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

__all__ = ["Pinned", "default_stream", "recorded"]

Array = NDArray[np.float64]

# What is sent to the default stream waits for all others, which is not allowed while one of them is recorded.
default_stream = RLock()

if not SIMULATED:
    from cuda.bindings import driver


def _done(answer: Any) -> Any:
    status, *rest = answer
    if int(status) != 0:
        raise RuntimeError(f"the CUDA driver answers {status.name}; see `nvidia-smi` for the state of the GPU.")
    return rest[0] if rest else None


def _at(array: Any) -> int:
    return int(array.__cuda_array_interface__["data"][0])


def _handle(stream: Any) -> int:
    return int(getattr(stream.handle, "value", stream.handle))


class Pinned:
    """An array of the device and `host`, memory of the same size that the device copies to and from by itself, when the
    copy's turn in a stream comes."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.host: Array = (np.zeros if SIMULATED else cuda.pinned_array)(array.shape, np.float64)
        if not SIMULATED:  # asked for once, and not in every round
            self.there, self.here, self.size = _at(array), self.host.ctypes.data, self.host.nbytes

    def send(self, stream: Any) -> None:
        """To the device."""
        if SIMULATED:
            self.array.copy_to_device(self.host)
        else:
            _done(driver.cuMemcpyHtoDAsync(self.there, self.here, self.size, _handle(stream)))

    def fetch(self, stream: Any) -> None:
        """From the device."""
        if SIMULATED:
            self.array.copy_to_host(self.host)
        else:
            _done(driver.cuMemcpyDtoHAsync(self.here, self.there, self.size, _handle(stream)))


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
