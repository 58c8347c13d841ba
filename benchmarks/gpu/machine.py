"""What the figures were measured with."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from typing import Any

import numpy as np

from benchmarks.gpu.run import Run

__all__ = ["machine", "smi"]


def machine(run: Run, out: dict[str, Any]) -> None:
    """Versions, and the card."""
    out |= {"python": platform.python_version(), "numpy": np.__version__}
    for name in ("monge", "numba", "llvmlite", "numba_cuda", "cuda.core", "cuda.bindings", "cuda.pathfinder"):
        out[name] = _version(name)
    if not run.gpu:
        return
    for name in ("torch", "jax", "triton", "cupy", "ott", "geomloss", "pykeops", "flash_sinkhorn"):
        out[name] = _version(name.replace("_", "-") if name == "flash_sinkhorn" else name)
    out["smi"] = smi()
    from numba import cuda
    from numba.cuda.cuda_paths import get_cuda_paths

    device = cuda.get_current_device()
    name = device.name
    out |= {
        "device": name.decode() if isinstance(name, bytes) else str(name),
        "capability": list(device.compute_capability),
        "sms": device.MULTIPROCESSOR_COUNT,
    }
    # Where the compiler's parts were found.
    out["libraries"] = {name: [found.by, str(found.info)] for name, found in get_cuda_paths().items()}


def _version(name: str) -> str:
    # From what is installed where that says it: to import all peers takes half a minute.
    package = {"ott": "ott-jax", "cupy": "cupy-cuda13x"}.get(name, name.replace("_", "-").replace(".", "-"))
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def smi() -> dict[str, str]:
    fields = "name,driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.limit,memory.total"
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"]
    try:
        line = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        return {"error": repr(error)}
    return dict(zip(fields.split(","), map(str.strip, line.split(",")), strict=False))
