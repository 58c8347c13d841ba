"""Arrays of other libraries that lie on a GPU: what they hold, and how results get back to where they came from.

Points, weights and potentials are few numbers beside the pairs of points, so they make the way over the host.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Home", "home_of", "on_host"]

# Puts an array of NumPy where another one lies, as an array of that one's library.
Home = Callable[[NDArray[Any]], Any]

# The devices of DLPack that are GPUs: CUDA's memory, and CUDA's managed memory.
_GPUS = (2, 13)


def _on_gpu(values: Any) -> bool:
    if type(values) is np.ndarray or not hasattr(values, "__dlpack_device__"):
        return False
    return int(values.__dlpack_device__()[0]) in _GPUS


def home_of(values: Any) -> Home | None:
    """For an array on a GPU; None for anything else."""
    if not _on_gpu(values):
        return None
    library, device = _namespace_and_device(values)

    def home(array: NDArray[Any]) -> Any:
        return library.asarray(np.ascontiguousarray(array), device=device)

    return home


def on_host(values: Any) -> Any:
    """The numbers of an array on a GPU, as NumPy has them; anything else as it is."""
    if not _on_gpu(values):
        return values
    for leave in ("detach", "cpu", "get"):  # torch's two, of which the first forgets how a tensor came about; CuPy's
        values = getattr(values, leave)() if hasattr(values, leave) else values
    return np.asarray(values)


def _namespace_and_device(values: Any) -> tuple[Any, Any]:
    try:
        import array_api_compat
    except ImportError as error:
        raise ImportError(
            "arrays on a GPU need the package array-api-compat: pip install 'monge[cuda]', or pass NumPy arrays."
        ) from error
    return array_api_compat.array_namespace(values), array_api_compat.device(values)
