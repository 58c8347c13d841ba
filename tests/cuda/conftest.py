"""The kernels for GPUs: on a GPU, or on Numba's simulator of one.

    NUMBA_ENABLE_CUDASIM=1 pytest tests/cuda        # anywhere, with numba-cuda
    pytest tests/cuda                               # with a GPU; -m gpu leaves those that the simulator can run
    pytest tests/cuda/test_machine_code.py          # anywhere, with NVIDIA's assembler; not on the simulator

The simulator takes the place of `numba.cuda` for a whole process, so the two cannot be had in one.
"""

from __future__ import annotations

import functools
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

# The contract of all kernels, which test_device_pairs runs for those of a device.
pytest.register_assert_rewrite("entropic.test_contract")

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")
HERE = Path(__file__).parent


@functools.cache
def missing() -> str | None:
    """What the tests lack that run kernels."""
    if find_spec("numba_cuda") is None:
        return "needs numba-cuda: pip install 'monge[cuda]'"
    if not SIMULATED:
        from monge.entropic.kernels.cuda.device import cuda

        if not cuda.is_available():
            return "needs an NVIDIA GPU, or NUMBA_ENABLE_CUDASIM=1 for Numba's simulator"
    return None


@functools.cache
def missing_assembler() -> str | None:
    """What the tests lack that look at machine code."""
    if find_spec("numba_cuda") is None:
        return "needs numba-cuda: pip install 'monge[cuda]'"
    if SIMULATED:
        return "the simulator compiles nothing: run it without NUMBA_ENABLE_CUDASIM"
    from machine_code import lacking

    packages = lacking()
    return f"needs {', '.join(packages)}: pip install {' '.join(packages)}" if packages else None


class _Skipped(pytest.Module):
    """A file of tests that is not imported."""

    reason = ""

    def collect(self) -> Any:
        pytest.skip(self.reason, allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Files are left out whole: what they import may not be there."""
    reason = missing_assembler() if module_path.stem == "test_machine_code" else missing()
    if reason is None:
        return None
    skipped: _Skipped = _Skipped.from_parent(parent, path=module_path)
    skipped.reason = reason
    return skipped


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if SIMULATED:
        for item in items:
            if HERE in item.path.parents and item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU; the simulator would take hours"))
