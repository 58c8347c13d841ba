"""Which kernel a cost has: chosen once."""

from __future__ import annotations

from typing import Any

from monge.barycenters.kernels.pairs import PairsKernel
from monge.entropic.kernels.threads import Threads
from monge.problem.costs import Cost, Grid

__all__ = ["kernel_of"]


def kernel_of(cost: Cost, eps: float, threads: Threads) -> Any:
    """exp(-C / eps), to be summed against in logarithms; see `reference` for what it offers."""
    if isinstance(cost, Grid):
        from monge.barycenters.kernels.grid import GridKernel  # which imports the compiler; `import monge` must not

        return GridKernel(cost, eps, threads)
    return PairsKernel(cost, eps, threads)
