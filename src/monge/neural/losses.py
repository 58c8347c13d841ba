"""Losses of two minibatches that a model can name, with settings that are numbers.

Each is a function of points x and y, (k, m, d), k pairs of minibatches at once, and returns the k losses. `draws` is
what random directions come from. What stands after the asterisk are the settings it has.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from monge.neural.classes import unbiased_mmd
from monge.neural.draws import Draws
from monge.neural.unrolled import UnrolledSinkhorn, powers
from monge.problem.arrays import shown
from monge.torch.divergence import sinkhorn_divergence
from monge.torch.emd import emd
from monge.torch.sliced import sliced_wasserstein

__all__ = ["LOSSES", "Loss", "loss_of"]

Loss = Callable[[Tensor, Tensor, Draws], Tensor]

# Where no eps or bandwidth is given it is a share of what the target's samples are apart, so that units do not matter:
# of the mean cost between two of them,
_DIVERGENCE, _UNROLLED = 0.0025, 0.05
# and of the root of the mean squared distance, from details to the whole.
_BANDWIDTHS = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
# A target that is one point has no such scale; then it is this share of how far apart the other side's points are.
_LEAST = 0.1


def _emd(x: Tensor, y: Tensor, draws: Draws, *, p: float = 2) -> Tensor:
    """W_p^p of the two minibatches, exactly."""
    return emd(x, y, cost=("euclidean", p))


def _sinkhorn(x: Tensor, y: Tensor, draws: Draws, *, p: float = 2, eps: float | None = None) -> Tensor:
    """The Sinkhorn divergence, its gradient that of the solution."""
    eps = _DIVERGENCE * _scale(x, y) ** p if eps is None else eps
    return sinkhorn_divergence(x, y, eps=eps, cost=("euclidean", p))


def _unrolled(
    x: Tensor, y: Tensor, draws: Draws, *, p: float = 2, eps: float | None = None, n_iter: int = 10
) -> Tensor:
    """2 W - W - W after some iterations of Sinkhorn's."""
    return UnrolledSinkhorn(eps=_UNROLLED * _scale(x, y) ** p if eps is None else eps, n_iter=n_iter, p=p)(x, y)


def _sliced(x: Tensor, y: Tensor, draws: Draws, *, p: float = 2, n_projections: int = 50) -> Tensor:
    """SW_p^p along directions that are new in each step."""
    # Its root would have a slope of the same length near the goal as far from it.
    return sliced_wasserstein(x, y, p=p, n_projections=n_projections, rng=draws.numbers, threads=1).pow(p)


def _energy(x: Tensor, y: Tensor, draws: Draws) -> Tensor:
    """The energy distance, unbiased: its mean over minibatches is that of the laws."""

    def within(points: Tensor) -> Tensor:
        n = points.shape[1]
        return powers(points, points, 1.0).sum(dim=(1, 2)) / (n * (n - 1))

    return 2.0 * powers(x, y, 1.0).mean(dim=(1, 2)) - within(x) - within(y)


def _mmd(x: Tensor, y: Tensor, draws: Draws, *, bandwidth: float | Sequence[float] | None = None) -> Tensor:
    """The squared maximum mean discrepancy, unbiased, of a sum of Gaussian kernels."""
    if bandwidth is None:
        bandwidth = [share * _scale(x, y) for share in _BANDWIDTHS]
    bandwidths = bandwidth if isinstance(bandwidth, Sequence) else (bandwidth,)
    return torch.stack([unbiased_mmd(*pair, bandwidths) for pair in zip(x, y, strict=True)])


LOSSES: dict[str, Callable[..., Tensor]] = {
    "emd": _emd,
    "sinkhorn": _sinkhorn,
    "unrolled": _unrolled,
    "sliced": _sliced,
    "energy": _energy,
    "mmd": _mmd,
}


def loss_of(loss: Any, **settings: Any) -> Loss:
    """The loss of a name with these settings, of which None is its own choice; or that of a user's function."""
    given = {name: value for name, value in settings.items() if value is not None}
    if isinstance(loss, str) and loss in LOSSES:
        known = [
            name for name, each in inspect.signature(LOSSES[loss]).parameters.items() if each.kind is each.KEYWORD_ONLY
        ]
        told = f"loss={loss!r} has the settings {', '.join(known)}" if known else f"loss={loss!r} has no settings"
        found: Loss = partial(LOSSES[loss], **given)
    elif callable(loss):
        known, told, found = [], "a loss of your own keeps its settings itself", _Own(loss)
    else:
        raise ValueError(
            f"loss should be one of {', '.join(map(repr, LOSSES))}, or a function of two tensors of points; got "
            f"{shown(loss)}."
        )
    for name in given:
        if name not in known:
            raise ValueError(f"{name} is not used: {told}. Leave it out.")
    return found


class _Own:
    """A function of x (m, d) and y (m, d), called for one pair of minibatches after the other."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.function = function

    def __call__(self, x: Tensor, y: Tensor, draws: Draws) -> Tensor:
        return torch.stack([self._one(*pair) for pair in zip(x, y, strict=True)])

    def _one(self, x: Tensor, y: Tensor) -> Tensor:
        found = self.function(x, y)
        if not (isinstance(found, Tensor) and found.numel() == 1):
            raise ValueError(
                f"loss should return one number, as a tensor, of two tensors of points {tuple(x.shape)}; got "
                f"{tuple(found.shape) if isinstance(found, Tensor) else shown(found)}."
            )
        return found.reshape(())


def _scale(x: Tensor, y: Tensor) -> float:
    """The root of the mean squared distance between different points of y (k, m, d); never zero."""
    mine, others = (float(points.detach().var(dim=1).sum(dim=-1).mean().mul(2.0).sqrt()) for points in (y, x))
    return max(mine, _LEAST * others) or 1.0
