"""Which kernels a problem is solved with, chosen once."""

from __future__ import annotations

from typing import Any

from monge.entropic.marginals import Marginal
from monge.problem.costs import Grid, PointCloud

__all__ = ["check_device", "choose", "is_low"]

# Dimensions in which points that are far apart are worth skipping.
_LOW = 3
# Powers for which coordinates can be scaled so that distances become costs over eps.
_LEAST_POWER = 0.125


def check_device(device: Any) -> None:
    """ValueError for a device without kernels."""
    if device not in (None, "cpu"):
        raise ValueError(f"device should be None or 'cpu'; got {device!r}.")


def is_low(cost: Any) -> bool:
    """Whether `levels` solves it, on kernels of its own."""
    return isinstance(cost, PointCloud) and cost.x.shape[1] <= _LOW and cost.power >= _LEAST_POWER


def choose(cost: Any, a: Any, b: Any, rows: Marginal, threads: int) -> Any:
    """The kernel for this cost. That for grids imports the compiler, which `import monge` must not."""
    if isinstance(cost, Grid):
        from monge.entropic.kernels.grid import GridKernel

        return GridKernel(cost, a, b, rows, threads)
    from monge.entropic.kernels.cpu import CpuKernel

    return CpuKernel(cost, a, b, rows, threads)
