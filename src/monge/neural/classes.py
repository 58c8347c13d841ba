"""Function classes other than the Lipschitz functions, over which a difference of means is made as large as possible.

sup_f  E f(moved) - E f(real)            (Mueller 1997; Arjovsky, Chintala, Bottou 2017, section 5)

Bounded functions see whether two laws overlap, and nothing of how far they are apart. Those of a reproducing kernel see
what is nearer than its bandwidth, and need no training: the best one is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from monge.neural.draws import Draws
from monge.neural.functionals import Ascent, IntegralMetric, scores
from monge.neural.penalties import Penalty, Unconstrained
from monge.neural.settings import rate
from monge.problem.arrays import shown

__all__ = ["EnergyHinge", "KernelBall", "TotalVariation", "unbiased_mmd"]

# A discrepancy below it is rounding of single precision, by which nothing is divided.
_ROUNDING = 1e-12
# Pairs of points whose kernels are held at a time by a function of the ball.
_PAIRS = 2**24


@dataclass(frozen=True)
class TotalVariation(IntegralMetric):
    """The total variation, by functions f = tanh(D) / 2: at most one, which it is of laws that share no point.

    As `monge.tv`, sup |P(A) - Q(A)|, half of the L1 distance of densities.

    Parameters
    ----------
    penalty : Penalty, optional
        Beside the bound; the class has none.
    """

    penalty: Penalty = field(default_factory=Unconstrained)

    def witness(self, potential: Any, real: Tensor, moved: Tensor) -> Callable[[Tensor], Tensor]:
        """See `IntegralMetric`."""
        return lambda points: 0.5 * torch.tanh(scores(potential, points))


@dataclass(frozen=True)
class EnergyHinge(IntegralMetric):
    """The total variation by an energy e >= 0, low at real samples (Zhao, Mathieu, LeCun 2017, equations 1 and 2).

    Its potential lowers E e(real) + E max(margin - e(moved), 0), which is margin (1 - TV) at its least; the value is
    the TV that follows. The map lowers E e(moved), which goes on where the hinge ends. The paper's energy is the error
    of an autoencoder; here it is softplus(D) of any network.

    Parameters
    ----------
    margin : float
        The energy from which on a sample counts as told apart.
    penalty : Penalty, optional
        Beside the hinge; the class has none.
    """

    margin: float = 1.0
    penalty: Penalty = field(default_factory=Unconstrained)

    def __post_init__(self) -> None:
        object.__setattr__(self, "margin", rate(self.margin, "margin"))

    def witness(self, potential: Any, real: Tensor, moved: Tensor) -> Callable[[Tensor], Tensor]:
        """See `IntegralMetric`."""
        return lambda points: softplus(scores(potential, points)).clamp(max=self.margin) / self.margin - 0.5

    def ascent(self, potential: Any, real: Tensor, moved: Tensor, cost: Callable[[], Tensor], draws: Draws) -> Ascent:
        """See `Functional`."""
        low, high = (softplus(scores(potential, points)) for points in (real, moved))
        loss = low.mean() + (self.margin - high).clamp(min=0.0).mean()
        return Ascent(loss + self.penalty(potential, real, moved, draws), 1.0 - loss / self.margin)

    def descent(self, potential: Any, real: Tensor, moved: Tensor, draws: Draws) -> Tensor:
        """See `Functional`."""
        return softplus(scores(potential, moved)).mean()


@dataclass(frozen=True)
class KernelBall(IntegralMetric):
    """The maximum mean discrepancy, by functions of norm one in the space of a sum of Gaussian kernels.

    k(x, y) = sum_h exp(-|x - y|^2 / (2 h^2)). The best function is known, f(z) = (E k(z, moved) - E k(z, real)) / MMD
    (Gretton et al. 2012, section 2.3), so there is no potential. The map lowers MMD^2 of its batch without the pairs of
    a point and itself, whose mean over batches is that of the laws (Lemma 6 there; Li, Swersky, Zemel 2015).

    Parameters
    ----------
    bandwidths : sequence of float
        The h of each kernel, in the unit of the coordinates.
    """

    bandwidths: Sequence[float]
    adversarial = False

    def __post_init__(self) -> None:
        if isinstance(self.bandwidths, str) or not isinstance(self.bandwidths, Iterable):
            raise TypeError(f"bandwidths should be a sequence of numbers; got {shown(self.bandwidths)}.")
        found = tuple(rate(h, "each of bandwidths") for h in self.bandwidths)
        if not found:
            raise ValueError("bandwidths should hold at least one number; got none.")
        object.__setattr__(self, "bandwidths", found)

    def witness(self, potential: Any, real: Tensor, moved: Tensor) -> Callable[[Tensor], Tensor]:
        """See `IntegralMetric`. The batches themselves are held."""
        real, moved = real.detach(), moved.detach()

        step = max(1, _PAIRS // max(len(moved), len(real)))

        def apart(points: Tensor) -> Tensor:
            return torch.cat([near(part, moved) - near(part, real) for part in points.split(step)])

        def near(points: Tensor, others: Tensor) -> Tensor:
            return _kernel(points, others, self.bandwidths).mean(1)

        square = apart(moved).mean() - apart(real).mean()
        norm = square.clamp(min=_ROUNDING).sqrt()
        return lambda points: apart(points) / norm

    def descent(self, potential: Any, real: Tensor, moved: Tensor, draws: Draws) -> Tensor:
        """See `Functional`."""
        return unbiased_mmd(moved, real, self.bandwidths)


def unbiased_mmd(x: Tensor, y: Tensor, bandwidths: Sequence[float]) -> Tensor:
    """MMD^2 of two batches, without the pairs of a point and itself."""

    def alone(points: Tensor) -> Tensor:
        n, itself = len(points), float(len(bandwidths))
        return (_kernel(points, points, bandwidths).sum() - n * itself) / (n * (n - 1))

    return alone(x) + alone(y) - 2.0 * _kernel(x, y, bandwidths).mean()


def _kernel(x: Tensor, y: Tensor, bandwidths: Sequence[float]) -> Tensor:
    """Of all pairs, (n, m)."""
    x, y = x.flatten(1), y.flatten(1)
    middle = y.detach().mean(dim=0)  # squares of what is far from zero have no digits left for what is near
    x, y = x - middle, y - middle
    squares = (x.square().sum(1)[:, None] + y.square().sum(1) - 2.0 * x @ y.T).clamp(min=0.0)
    return sum((torch.exp(squares * (-0.5 / h**2)) for h in bandwidths), torch.zeros_like(squares))
