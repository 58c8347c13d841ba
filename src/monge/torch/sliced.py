"""Sliced Wasserstein distances, as functions of tensors; see `monge.sliced_wasserstein`."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from monge.distances import max_sliced
from monge.distances import sliced as plain
from monge.torch.first_order import FirstOrder, loss_of, packed, seed_of, unpacked
from monge.torch.kind import Settings

__all__ = ["max_sliced_wasserstein", "sliced_wasserstein"]


def sliced_wasserstein(
    x: Tensor,
    y: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    p: float = 2,
    n_projections: int = 100,
    rng: Any = None,
    threads: int | None = None,
) -> Tensor:
    """The sliced Wasserstein distance ``(mean over directions of W_p^p)^(1/p)``, differentiable once.

    See `monge.sliced_wasserstein`.

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
    p : float
        Exponent, >= 1.
    n_projections : int
        Number of directions.
    rng : int or numpy.random.Generator, optional
        Turns the directions; None for new ones in each call.
    threads : int, optional
        As in `monge.sliced_wasserstein`.

    Returns
    -------
    Tensor (...)
        Of the type and on the device of the inputs; it is computed on the host.

    Raises
    ------
    ValueError, TypeError
        As `monge.sliced_wasserstein` does; for tensors of several types or devices, leading dimensions that do not
        broadcast, and empty batches.
    RuntimeError
        In a second derivative.

    Examples
    --------
    >>> import torch, monge.torch
    >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0]], requires_grad=True)
    >>> loss = monge.torch.sliced_wasserstein(x, x.detach() + 1.0)  # the root of |t|^2 / d
    >>> round(loss.item(), 6)
    1.0
    >>> torch.autograd.grad(loss, x)[0]
    tensor([[-0.2500, -0.2500],
            [-0.2500, -0.2500]])
    """
    return loss_of("sliced_wasserstein", (x, y), (a, b), "", p, n_projections, packed(seed_of(rng)), threads or 0)


def max_sliced_wasserstein(
    x: Tensor,
    y: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    p: float = 2,
    n_projections: int = 100,
    rng: Any = None,
    threads: int | None = None,
) -> Tensor:
    """The largest W_p along a direction, differentiable once: at the direction that was found.

    See `monge.max_sliced_wasserstein`.

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
    p : float
        Exponent, >= 1.
    n_projections : int
        Number of directions that are looked at; ascents start from the best.
    rng : int or numpy.random.Generator, optional
        Draws them; None for new ones in each call.
    threads : int, optional
        As in `monge.max_sliced_wasserstein`.

    Returns
    -------
    Tensor (...)
        Of the type and on the device of the inputs; it is computed on the host.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As `sliced_wasserstein` does.

    Examples
    --------
    >>> import torch, monge.torch
    >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    >>> round(monge.torch.max_sliced_wasserstein(x, x + torch.tensor([3.0, 4.0])).item(), 5)
    5.0
    """
    return loss_of("max_sliced_wasserstein", (x, y), (a, b), "", p, n_projections, packed(seed_of(rng)), threads or 0)


class _SlicedWasserstein(FirstOrder):
    name = "sliced_wasserstein"

    def call(self, x: Any, y: Any, a: Any, b: Any, settings: Settings) -> Any:
        p, n_projections, seed, threads = settings.numbers[2:]
        return plain.sliced_wasserstein(
            x, y, a, b, p=p, n_projections=unpacked(float(n_projections)), rng=unpacked(seed),
            threads=int(threads) or None,
        )  # fmt: skip


class _MaxSlicedWasserstein(FirstOrder):
    name = "max_sliced_wasserstein"

    def call(self, x: Any, y: Any, a: Any, b: Any, settings: Settings) -> Any:
        p, n_projections, seed, threads = settings.numbers[2:]
        return max_sliced.max_sliced_wasserstein(
            x, y, a, b, p=p, n_projections=unpacked(float(n_projections)), rng=unpacked(seed),
            threads=int(threads) or None,
        )  # fmt: skip
