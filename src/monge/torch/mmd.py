"""The maximum mean discrepancy, as a function of tensors; see `monge.mmd`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from monge.distances import mmd as plain
from monge.torch.first_order import FirstOrder, loss_of
from monge.torch.kind import Settings

__all__ = ["mmd"]


def mmd(
    x: Tensor,
    y: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    kernel: Any = "gaussian",
    bandwidth: float | Sequence[float] | None = None,
    biased: bool = True,
    threads: int | None = None,
) -> Tensor:
    """The squared maximum mean discrepancy of two weighted point clouds, differentiable once; see `monge.mmd`.

    Parameters
    ----------
    x : Tensor (..., n, d)
        Points of the first measure; leading dimensions are those of a batch, and broadcast.
    y : Tensor (..., m, d)
        Points of the second.
    a : Tensor (..., n), optional
        Weights, of equal totals, which are normalised to probabilities; None for uniform ones.
    b : Tensor (..., m), optional
        Likewise.
    kernel : str, callable or GroundCost
        As in `monge.mmd`.
    bandwidth : float, or sequence of floats, optional
        That of the kernel; None for the median of distances, for each problem, which derivatives hold fixed.
    biased : bool
        Whether pairs of a point and itself count.
    threads : int, optional
        As in `monge.mmd`.

    Returns
    -------
    Tensor (...)
        Of the type and on the device of the inputs; it is computed on the host.

    Raises
    ------
    ValueError, TypeError
        As `monge.mmd` does; for tensors of several types or devices, leading dimensions that do not broadcast, and
        empty batches.
    RuntimeError
        In a second derivative.

    Examples
    --------
    >>> import torch, monge.torch
    >>> x = torch.tensor([[0.0, 0.0]], requires_grad=True)
    >>> loss = monge.torch.mmd(x, torch.tensor([[3.0, 4.0]]), bandwidth=5.0)
    >>> torch.autograd.grad(loss, x)
    (tensor([[-0.1456, -0.1941]]),)
    """
    several: Any = () if bandwidth is None else bandwidth if isinstance(bandwidth, list | tuple) else (bandwidth,)
    return loss_of("mmd", (x, y), (a, b), kernel, float(biased), threads or 0, *several)


class _Mmd(FirstOrder):
    name = "mmd"

    def call(self, x: Any, y: Any, a: Any, b: Any, settings: Settings) -> Any:
        _, _, biased, threads, *bandwidth = settings.numbers
        return plain.mmd(
            x, y, a, b, kernel=settings.ground, bandwidth=bandwidth or None, biased=bool(biased),
            threads=int(threads) or None,
        )  # fmt: skip
