"""What the card can do at most: exponentials and bytes a second, and what it costs to start a kernel."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import float32, types

from benchmarks.gpu.machine import smi
from benchmarks.gpu.run import SIMULATED, Run
from monge.entropic.kernels.cuda.device import cuda

__all__ = ["ceilings", "device_milliseconds"]

# Copied at once, far more than the caches hold.
COPIED = 64 if SIMULATED else 2**28  # numbers
LAUNCHES = 5 if SIMULATED else 2000
IN_GRAPH = 100
# A chain of exponentials ends at the fixed point of 2^-a; single precision, and `ex2.approx` with it, is this close.
FIXED_POINT, CLOSE = 0.6411857, 1e-4


def device_milliseconds(launch: Callable[[], object], repeat: int = 20, warm: int = 3) -> float:
    """Median of what `launch` takes on the device."""
    if SIMULATED:
        start = time.perf_counter()
        launch()
        return 1e3 * (time.perf_counter() - start)
    for _ in range(warm):
        launch()
    times = []
    for _ in range(repeat):
        begin, end = cuda.event(), cuda.event()
        begin.record()
        launch()
        end.record()
        end.synchronize()
        times.append(cuda.event_elapsed_time(begin, end))
    return float(np.median(times))


def _sms() -> int:
    return 2 if SIMULATED else int(cuda.get_current_device().MULTIPROCESSOR_COUNT)


def ceilings(run: Run, out: dict[str, Any]) -> None:
    """Each part on its own: one that fails leaves the others."""
    if not (run.gpu or SIMULATED):
        out["skipped"] = "needs a GPU, or NUMBA_ENABLE_CUDASIM=1"
        return
    for name, part in (("exponentials", _exponentials), ("copy", _copy), ("grid_sync", _grid_sync)):
        try:
            out[name] = part()
        except Exception as error:  # recorded: the others do not need it
            out[name] = {"error": f"{type(error).__name__}: {error}"[:1000]}
    out["launch"] = {}
    _launches(out["launch"])


def _exponentials() -> dict[str, Any]:
    """exp2 a second: eight independent chains a thread, nothing else."""
    threads, blocks, loops = (4, 2, 3) if SIMULATED else (256, 8 * _sms(), 2000)

    @cuda.jit(fastmath=True)  # type: ignore[untyped-decorator]
    def chains(sums: Any, loops: Any) -> None:
        a = cuda.local.array(8, float32)
        for r in range(8):
            a[r] = float32(cuda.grid(1) % 7) * float32(0.01) + float32(0.1 * r)
        for _ in range(loops):
            for r in range(8):
                a[r] = math.exp2(-a[r])
        total = float32(0.0)
        for r in range(8):
            total += a[r]
        sums[cuda.grid(1)] = total

    sums = cuda.device_array(threads * blocks, np.float32)
    milliseconds = device_milliseconds(lambda: chains[blocks, threads](sums, loops))
    off = float(np.abs(sums.copy_to_host() / 8 - FIXED_POINT).max())
    if not SIMULATED and off > CLOSE:
        raise ArithmeticError(f"chains of exponentials end {off:.1e} beside their fixed point")
    clock = smi().get("clocks.sm", "") if not SIMULATED else ""  # just after the work
    return {"per_second": threads * blocks * loops * 8 / milliseconds * 1e3, "clock": clock}


def _copy() -> dict[str, float]:
    source, target = cuda.to_device(np.zeros(COPIED, np.float32)), cuda.device_array(COPIED, np.float32)
    milliseconds = device_milliseconds(lambda: target.copy_to_device(source))
    return {"bytes_per_second": 8 * COPIED / milliseconds * 1e3}  # read and written


def _grid_sync() -> dict[str, float]:
    """Microseconds in which all blocks of a cooperative launch wait for each other, by threads a block."""

    @cuda.jit  # type: ignore[untyped-decorator]
    def meet(times: Any) -> None:
        grid = cuda.cg.this_grid()
        for _ in range(times):
            grid.sync()

    if SIMULATED:
        return {}
    sms, times = _sms(), 1000
    return {
        str(threads): (device_milliseconds(lambda t=threads: meet[sms, t](times)) * 1e3) / times  # type: ignore[misc]
        for threads in (128, 512)
    }


def _launches(out: dict[str, Any]) -> None:
    """Microseconds a launch, on the host and until the device is done, by what is passed and how."""

    def cost(call: Callable[[], object], synchronize: Callable[[], object]) -> dict[str, float]:
        call()
        synchronize()
        start = time.perf_counter()
        for _ in range(LAUNCHES):
            call()
        host = time.perf_counter() - start
        synchronize()
        return {"host_us": 1e6 * host / LAUNCHES, "device_us": 1e6 * (time.perf_counter() - start) / LAUNCHES}

    def body(a: Any, b: Any, c: Any, d: Any) -> None:
        if cuda.grid(1) < 0:
            a[0] = b[0] + c[0] + d[0]

    arrays = [cuda.device_array(8, np.float32) for _ in range(4)]
    lazy = cuda.jit(body)[1, 32]
    out["four arrays"] = cost(lambda: lazy(*arrays), cuda.synchronize)
    if SIMULATED:
        return
    typed = cuda.jit((types.Array(float32, 1, "C"),) * 4)(body)[1, 32]
    out["four arrays, signature"] = cost(lambda: typed(*arrays), cuda.synchronize)
    pointers = [array.__cuda_array_interface__["data"][0] for array in arrays]
    raw = cuda.jit((types.CPointer(float32),) * 4)(body)
    bound = raw[1, 32]
    out["four pointers"] = cost(lambda: bound(*pointers), cuda.synchronize)

    from cuda.core import Device, LaunchConfig, launch

    card = Device()
    card.set_current()
    stream = card.create_stream()
    config = LaunchConfig(grid=(1, 1, 1), block=(32, 1, 1))
    kernel = next(iter(raw.overloads.values()))._codelibrary.get_cufunc().kernel
    out["four pointers, cuda.core"] = cost(lambda: launch(stream, config, kernel, *pointers), stream.sync)
    builder = stream.create_graph_builder().begin_building()
    for _ in range(IN_GRAPH):
        launch(builder, config, kernel, *pointers)
    graph = builder.end_building().complete()
    whole = cost(lambda: graph.launch(stream), stream.sync)
    out[f"one of a graph of {IN_GRAPH}"] = {name: value / IN_GRAPH for name, value in whole.items()}
    out[f"a graph of {IN_GRAPH}"] = whole
