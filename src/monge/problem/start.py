"""The potentials that a solver is asked to start from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import real_array
from monge.problem.transport import Transport

__all__ = ["start_potentials"]

Array = NDArray[np.float64]


def start_potentials(init: Any, n: int, m: int) -> tuple[Array, Array] | None:
    """Copies of f (n,) and g (m,), from the result of a similar problem or from a pair of potentials; None for None."""
    if init is None:
        return None
    init = getattr(init, "on_host", init)  # a result whose arrays are on a GPU
    pair = (init.f, init.g) if isinstance(init, Transport) else init
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"init should be a Transport or a pair of potentials (f, g); got {type(init).__name__}.")
    found = []
    for values, name, size in ((pair[0], "f", n), (pair[1], "g", m)):
        array = real_array(values, f"init's {name}", None, f"potentials of shape ({size},)")
        if array.shape != (size,):
            raise ValueError(f"init's {name} should have shape ({size},); got {array.shape}.")
        if not np.isfinite(array).all():
            raise ValueError(f"init's {name} should be finite; drop init= to start afresh.")
        found.append(np.array(array, dtype=np.float64))
    return found[0], found[1]
