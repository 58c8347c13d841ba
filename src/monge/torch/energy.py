"""The energy distance, as a function of tensors; see `monge.energy_distance`."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from monge.distances import energy as plain
from monge.torch.first_order import FirstOrder, loss_of, packed, seed_of, unpacked
from monge.torch.kind import Settings

__all__ = ["energy_distance"]


def energy_distance(
    x: Tensor,
    y: Tensor,
    a: Tensor | None = None,
    b: Tensor | None = None,
    *,
    biased: bool = True,
    projections: int | None = None,
    rng: Any = None,
    threads: int | None = None,
) -> Tensor:
    """The energy distance 2 E|x - y| - E|x - x'| - E|y - y'| of two weighted point clouds, differentiable once.

    See `monge.energy_distance`.

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
    biased : bool
        Whether pairs of a point and itself count.
    projections : int, optional
        Along so many directions the points are sorted, in place of going through all pairs.
    rng : int or numpy.random.Generator, optional
        Turns the directions; None for new ones in each call.
    threads : int, optional
        As in `monge.energy_distance`.

    Returns
    -------
    Tensor (...)
        Of the type and on the device of the inputs; it is computed on the host.

    Raises
    ------
    ValueError, TypeError
        As `monge.energy_distance` does; for tensors of several types or devices, leading dimensions that do not
        broadcast, and empty batches.
    RuntimeError
        In a second derivative.

    Examples
    --------
    >>> import torch, monge.torch
    >>> x = torch.tensor([[0.0, 0.0]], requires_grad=True)
    >>> loss = monge.torch.energy_distance(x, torch.tensor([[3.0, 4.0]]))
    >>> loss.item(), torch.autograd.grad(loss, x)
    (10.0, (tensor([[-1.2000, -1.6000]]),))
    """
    numbers = float(biased), packed(projections), packed(seed_of(rng)), threads or 0
    return loss_of("energy_distance", (x, y), (a, b), "", *numbers)


class _EnergyDistance(FirstOrder):
    name = "energy_distance"

    def call(self, x: Any, y: Any, a: Any, b: Any, settings: Settings) -> Any:
        biased, projections, seed, threads = settings.numbers[2:]
        return plain.energy_distance(
            x, y, a, b, biased=bool(biased), projections=unpacked(projections),
            rng=unpacked(seed), threads=int(threads) or None,
        )  # fmt: skip
