"""Whether there is a GPU to work on, and what to do if there is none."""

from __future__ import annotations

import functools

__all__ = ["require_cuda"]


def require_cuda() -> None:
    """RuntimeError that says what is missing and how to get it."""
    missing = _missing()
    if missing is not None:
        raise RuntimeError(f"device='cuda' needs {missing}, or leave device out to solve on the CPU.")


@functools.cache
def _missing() -> str | None:
    try:
        from monge.entropic.kernels.cuda.device import cuda
    except ImportError as error:
        return (
            f"the package numba-cuda ({error}). Install it with the CUDA toolkit of your driver, "
            "pip install 'monge[cuda]' 'numba-cuda[cu13]' (or [cu12])"
        )
    if not cuda.is_available():
        reason = " ".join(str(getattr(cuda, "cuda_error", str)() or "").split())
        return (
            "an NVIDIA GPU with its driver, and found none"
            f"{f' ({reason})' if reason else ''}; see `monge info` and `nvidia-smi`. Mend the driver"
        )
    return None
