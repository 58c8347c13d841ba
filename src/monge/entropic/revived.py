"""A result of `sinkhorn` from its potentials alone, for whoever keeps those and computes the rest when it is needed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.kernels.select import route
from monge.entropic.marginals import Marginal
from monge.entropic.problem import weights_of
from monge.entropic.result import EntropicTransport
from monge.problem.costs import Cost
from monge.problem.transport import Status

__all__ = ["revived"]


def revived(
    cost: Cost,
    a: Any,
    b: Any,
    marginals: tuple[Marginal, Marginal],
    eps: float,
    potentials: tuple[NDArray[np.float64], NDArray[np.float64]],
    device: str | None = None,
    threads: int = 1,
) -> EntropicTransport:
    """The Transport with these potentials, f (n,) and g (m,), of a problem that was solved at this eps.

    Its value is not known; derivatives, the plan and what is measured on it are.
    """
    n, m = cost.shape
    weights_a, weights_b, _ = weights_of(a, b, n, m, marginals[0].fixed and marginals[1].fixed)
    return EntropicTransport(
        cost,
        (weights_a, weights_b),
        marginals,
        eps,
        *potentials,
        value=math.nan,
        status=Status.CONVERGED,
        iterations=0,
        stats={},
        way=route(cost, eps, device),
        threads=threads,
    )
