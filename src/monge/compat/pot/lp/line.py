"""What both solvers of `ot.lp` need: weights of points, and plans as SciPy's matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.compat.pot.arrays import MarginalError, matched, on_host
from monge.problem.arrays import real_array
from monge.problem.transport import Transport

__all__ = ["sparse", "weights_of_points"]

Array = NDArray[Any]


def weights_of_points(a: Any, b: Any, n: int, m: int, check: bool) -> tuple[Array | None, Array | None]:
    """The weights of n and of m points on the line, with equal totals; None for uniform ones on both sides."""
    found: list[Array | None] = []
    for values, size, name in ((a, n, "a"), (b, m, "b")):
        values = on_host(values, name)
        if values is None or np.size(values) == 0:
            found.append(None)
            continue
        array = real_array(values, name, 1, f"weights of shape ({size},)")
        if len(array) != size:
            raise MarginalError(
                f"Dimension mismatch: {name} should have {size} weights, one per point; got {len(array)}."
            )
        found.append(array)
    if found[0] is None and found[1] is None:
        return None, None
    each = zip(found, (n, m), strict=True)
    weights_a, weights_b = (np.full(size, 1.0 / size) if weights is None else weights for weights, size in each)
    return weights_a, matched(weights_a, weights_b, check)


def sparse(t: Transport, dtype: np.dtype[Any]) -> Any:
    """The plan as a scipy.sparse.coo_array that may be written to, with its entries in this type."""
    from scipy.sparse import coo_array

    rows, cols = t.plan.row.astype(np.int64), t.plan.col.astype(np.int64)
    return coo_array((t.plan.data.astype(dtype), (rows, cols)), shape=t.shape)
