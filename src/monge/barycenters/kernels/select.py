"""Which kernel a cost has: chosen once."""

from __future__ import annotations

from typing import Any

from monge.barycenters.kernels.reference import ReferenceKernel
from monge.entropic.kernels.threads import Threads
from monge.problem.costs import Cost

__all__ = ["kernel_of"]


def kernel_of(cost: Cost, eps: float, threads: Threads) -> Any:
    """exp(-C / eps), to be summed against in logarithms; see `reference` for what it offers."""
    return ReferenceKernel(cost, eps, threads)
