"""What keeps a critic from growing without bounds.

A penalty is called beside each loss of the critic, which it is added to, and `constrain` after each of its steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from monge.neural.draws import Draws
from monge.neural.settings import flag, rate, weight

__all__ = ["R1", "Clip", "GradientPenalty", "Penalty", "Unconstrained", "gradients"]


class Penalty(Protocol):
    """Interface of this file's classes."""

    def __call__(self, potential: Any, real: Tensor, moved: Tensor, draws: Draws) -> Tensor | float:
        """A scalar, to be added to the loss of the potential."""
        ...

    def constrain(self, potential: Any) -> None:
        """Called after each step of the potential."""
        ...

    def check(self, potential: Any) -> None:
        """Called once before training; ValueError for a network that the penalty makes no sense of."""
        ...


def gradients(potential: Any, points: Tensor) -> Tensor:
    """The potential's gradient at each point, (n, d), differentiable once more."""
    points = points.detach().requires_grad_(True)
    # The sum's gradient is each point's own, unless the network looks at the batch (as batch normalisation does).
    (found,) = torch.autograd.grad(potential(points).sum(), points, create_graph=True)
    return found.flatten(1)


@dataclass(frozen=True)
class Unconstrained:
    """No penalty."""

    def __call__(self, potential: Any, real: Tensor, moved: Tensor, draws: Draws) -> Tensor | float:
        """Nothing."""
        return 0.0

    def constrain(self, potential: Any) -> None:
        """Nothing."""

    def check(self, potential: Any) -> None:
        """Any will do."""


@dataclass(frozen=True)
class Clip(Unconstrained):
    """Weights cut to [-limit, limit] after each step (Arjovsky, Chintala, Bottou 2017, Algorithm 1, line 7).

    Parameters
    ----------
    limit : float
        The bound.
    """

    limit: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "limit", rate(self.limit, "limit"))

    def constrain(self, potential: Any) -> None:
        """Cut."""
        with torch.no_grad():
            torch._foreach_clamp_max_(list(potential.parameters()), self.limit)
            torch._foreach_clamp_min_(list(potential.parameters()), -self.limit)


@dataclass(frozen=True)
class GradientPenalty(Unconstrained):
    """The penalty weight E (|grad D| - 1)^2 between real and moved samples (Gulrajani et al. 2017, equation 3).

    One-sided, weight E max(|grad D| - 1, 0)^2 (Petzka, Fischer, Lukovnicov 2018, equation 7), it asks for a Lipschitz
    function and no more: an optimal one need not have slope one everywhere.

    Parameters
    ----------
    weight : float
        Often called lambda. Of a shift by t the best critic has the slope 1 + t / (2 weight).
    one_sided : bool
        Only slopes above one are penalised.
    """

    weight: float
    one_sided: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", rate(self.weight, "weight"))
        object.__setattr__(self, "one_sided", flag(self.one_sided, "one_sided"))

    def check(self, potential: Any) -> None:
        """See `Penalty`."""
        _one_by_one(potential)

    def __call__(self, potential: Any, real: Tensor, moved: Tensor, draws: Draws) -> Tensor:
        """The penalty."""
        share = draws.uniform(len(real), *[1] * (real.ndim - 1))
        excess = gradients(potential, torch.lerp(moved, real, share)).norm(dim=1) - 1.0
        return self.weight * (excess.clamp(min=0.0) if self.one_sided else excess).square().mean()


@dataclass(frozen=True)
class R1(Unconstrained):
    """(weight / 2) E |grad D|^2 at real samples (Mescheder, Geiger, Nowozin 2018, equation 9)."""

    weight: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", weight(self.weight, "r1"))

    def check(self, potential: Any) -> None:
        """See `Penalty`."""
        if self.weight:
            _one_by_one(potential)

    def __call__(self, potential: Any, real: Tensor, moved: Tensor, draws: Draws) -> Tensor | float:
        """The penalty."""
        return 0.5 * self.weight * gradients(potential, real).square().sum(dim=1).mean() if self.weight else 0.0


def _one_by_one(potential: Any) -> None:
    if any(isinstance(part, _BatchNorm) for part in potential.modules()):
        raise ValueError(
            "potential should have no batch normalisation: the penalty is on its slope at each sample alone. Use "
            "torch.nn.LayerNorm, or none; or leave the penalty out, where the model allows that."
        )
