"""What it costs that mass is not kept: entropies Psi, and the conjugates that potentials are trained by.

D_Psi(rho | nu) = E_nu Psi(d rho / d nu),        Psi*(s) = sup_t s t - Psi(t)

All have Psi*(0) = 0 and Psi*'(0) = 1, so a potential of zero keeps the law as it is and losses of different entropies
can be compared (Choi, Choi, Kang 2023, where they lack some of these constants).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

__all__ = ["KL", "Chi2", "Entropy", "Linear", "Softplus", "entropy_of"]

# exp goes on as a straight line from here: its square, which Adam keeps, is far from float32's largest, and no batch
# tells a density of 5e8 from a larger one. It is the conjugate of KL among densities below that one.
_STRAIGHT = 20.0


class Entropy:
    """Interface of the others."""

    def __call__(self, t: Tensor) -> Tensor:
        """Psi(t), of densities t >= 0, elementwise; inf where t is not allowed."""
        raise NotImplementedError

    def conjugate(self, s: Tensor) -> Tensor:
        """Psi*(s), elementwise, convex and increasing."""
        raise NotImplementedError

    def density(self, s: Tensor) -> Tensor:
        """Psi*'(s): the density t at which s t - Psi(t) is largest, which a potential of s leaves a law with."""
        raise NotImplementedError


class KL(Entropy):
    """t log t - t + 1, with e^s - 1: of Kullback and Leibler. Beyond s = 20, its tangent there."""

    def __call__(self, t: Tensor) -> Tensor:
        """Psi."""
        return torch.xlogy(t, t) - t + 1.0

    def conjugate(self, s: Tensor) -> Tensor:
        """Psi*."""
        # relu, whose slope at its corner is zero: there that of the clamped exponential is counted.
        return torch.expm1(s.clamp(max=_STRAIGHT)) + math.exp(_STRAIGHT) * torch.relu(s - _STRAIGHT)

    def density(self, s: Tensor) -> Tensor:
        """Psi*'."""
        return torch.exp(s.clamp(max=_STRAIGHT))


class Chi2(Entropy):
    """(t - 1)^2, with s^2 / 4 + s, and -1 below s = -2, where nothing is left."""

    def __call__(self, t: Tensor) -> Tensor:
        """Psi."""
        return (t - 1.0).square()

    def conjugate(self, s: Tensor) -> Tensor:
        """Psi*."""
        s = s.clamp(min=-2.0)
        return s.square() / 4.0 + s

    def density(self, s: Tensor) -> Tensor:
        """Psi*'."""
        return (1.0 + 0.5 * s).clamp(min=0.0)


class Softplus(Entropy):
    """t log t + (2 - t) log(2 - t) on [0, 2], with 2 log(1 + e^s) - 2 log 2: no density exceeds two."""

    def __call__(self, t: Tensor) -> Tensor:
        """Psi."""
        left = (2.0 - t).clamp(min=0.0)
        return torch.where(t <= 2.0, torch.xlogy(t, t) + torch.xlogy(left, left), math.inf)

    def conjugate(self, s: Tensor) -> Tensor:
        """Psi*."""
        return 2.0 * softplus(s) - 2.0 * math.log(2.0)

    def density(self, s: Tensor) -> Tensor:
        """Psi*'."""
        return 2.0 * torch.sigmoid(s)


class Linear(Entropy):
    """0 at t = 1 and inf elsewhere, with s: the law is kept."""

    def __call__(self, t: Tensor) -> Tensor:
        """Psi."""
        return torch.where(t == 1.0, 0.0, math.inf)

    def conjugate(self, s: Tensor) -> Tensor:
        """Psi*."""
        return s

    def density(self, s: Tensor) -> Tensor:
        """Psi*'."""
        return torch.ones_like(s)


_ENTROPIES: dict[str, Entropy] = {"kl": KL(), "chi2": Chi2(), "softplus": Softplus(), "linear": Linear()}


def entropy_of(given: object) -> Entropy:
    """The entropy of a word; another one as it is. ValueError for other words."""
    if isinstance(given, Entropy):
        return given
    if not (isinstance(given, str) and given in _ENTROPIES):
        raise ValueError(f"entropy should be one of {', '.join(map(repr, _ENTROPIES))}; got {given!r}.")
    return _ENTROPIES[given]
