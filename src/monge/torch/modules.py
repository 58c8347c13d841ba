"""The losses as modules, which keep their settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.nn import Module

from monge.torch.divergence import sinkhorn_divergence
from monge.torch.minibatch import minibatch
from monge.torch.mmd import mmd
from monge.torch.sliced import sliced_wasserstein

__all__ = ["MMD", "Minibatch", "SinkhornDivergence", "SlicedWasserstein"]


class _Loss(Module):
    """loss(x, y, a, b) with settings that were given before."""

    def __init__(self, function: Callable[..., Tensor], **options: Any) -> None:
        super().__init__()
        self._function, self.options = function, options

    def forward(
        self, x: Tensor | None = None, y: Tensor | None = None, a: Tensor | None = None, b: Tensor | None = None
    ) -> Tensor:
        """The loss between x with weights a and y with weights b."""
        return self._function(x, y, a, b, **self.options)

    def extra_repr(self) -> str:
        """The settings."""
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items())


class SinkhornDivergence(_Loss):
    """`sinkhorn_divergence` as a module, called with x, y and, if they are not uniform, weights a, b.

    Parameters
    ----------
    eps, cost, marginals, tol, max_iter, threads : see `sinkhorn_divergence`
        As there.

    Examples
    --------
    >>> import torch, monge.torch
    >>> loss = monge.torch.SinkhornDivergence(eps=0.5, tol=1e-9)
    >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    >>> loss(x, x + 1.0).round(decimals=6)
    tensor(2., dtype=torch.float64)
    """

    def __init__(
        self,
        *,
        eps: float,
        cost: Any = "sqeuclidean",
        marginals: Any = None,
        tol: float = 1e-3,
        max_iter: int = 10_000,
        threads: int | None = None,
    ) -> None:
        super().__init__(
            sinkhorn_divergence, eps=eps, cost=cost, marginals=marginals, tol=tol, max_iter=max_iter, threads=threads
        )


class MMD(_Loss):
    """`mmd` as a module, called with x, y and, if they are not uniform, weights a, b.

    Parameters
    ----------
    kernel, bandwidth, biased, threads : see `mmd`
        As there.

    Examples
    --------
    >>> import torch, monge.torch
    >>> loss = monge.torch.MMD(bandwidth=5.0)
    >>> loss(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
    tensor(0.7869)
    """

    def __init__(
        self,
        *,
        kernel: Any = "gaussian",
        bandwidth: float | Sequence[float] | None = None,
        biased: bool = True,
        threads: int | None = None,
    ) -> None:
        super().__init__(mmd, kernel=kernel, bandwidth=bandwidth, biased=biased, threads=threads)


class SlicedWasserstein(_Loss):
    """`sliced_wasserstein` as a module, called with x, y and, if they are not uniform, weights a, b.

    Parameters
    ----------
    p, n_projections, rng, threads : see `sliced_wasserstein`
        As there. With rng a number, every call has the same directions.

    Examples
    --------
    >>> import torch, monge.torch
    >>> loss = monge.torch.SlicedWasserstein(n_projections=64)
    >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    >>> round(loss(x, x + 1.0).item(), 6)
    1.0
    """

    def __init__(self, *, p: float = 2, n_projections: int = 100, rng: Any = None, threads: int | None = None) -> None:
        super().__init__(sliced_wasserstein, p=p, n_projections=n_projections, rng=rng, threads=threads)


class Minibatch(_Loss):
    """`minibatch` as a module, called with x and y.

    Parameters
    ----------
    batch_size, n_batches, epochs, cost, eps, marginals, replace, debiased, rng, n_jobs : see `minibatch`
        As there. With rng a number, every call draws the same places.

    Examples
    --------
    >>> import torch, monge.torch
    >>> loss = monge.torch.Minibatch(batch_size=8, epochs=1, debiased=True)
    >>> x = torch.randn(32, 2, dtype=torch.float64)
    >>> round(loss(x, x + 1.0).item(), 9)
    2.0
    """

    def __init__(
        self,
        *,
        batch_size: int,
        n_batches: int | str | None = None,
        epochs: int | None = None,
        cost: Any = "sqeuclidean",
        eps: float | None = None,
        marginals: Any = None,
        replace: bool = False,
        debiased: bool = False,
        rng: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(
            minibatch, batch_size=batch_size, n_batches=n_batches, epochs=epochs, cost=cost, eps=eps,
            marginals=marginals, replace=replace, debiased=debiased, rng=rng, n_jobs=n_jobs,
        )  # fmt: skip

    def forward(self, x: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        """The loss between the points x and the points y."""
        return self._function(x, y, **self.options)
