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
    compat = _compat()
    library, device = compat.array_namespace(values), compat.device(values)

    def home(array: NDArray[Any]) -> Any:
        return library.asarray(np.ascontiguousarray(array), device=device)

    return home


def on_host(values: Any) -> Any:
    """The numbers of an array on a GPU, as NumPy has them; anything else as it is."""
    if not _on_gpu(values):
        return values
    values = values.detach() if hasattr(values, "detach") else values  # a tensor that remembers where it came from
    return np.asarray(_compat().to_device(values, "cpu"))


def _compat() -> Any:
    try:
        import array_api_compat
    except ImportError as error:
        raise ImportError(
            "arrays on a GPU need the package array-api-compat: pip install 'monge[cuda]', or pass NumPy arrays."
        ) from error
    return array_api_compat
