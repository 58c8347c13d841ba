"""What a model lowers: the first slot of the training loop.

A functional of the law that the map makes is known by samples alone, in one of two ways. Either it is the loss of two
batches, or it is the largest value that a potential reaches, a second network that is trained in turn with the map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from monge.neural.draws import Draws
from monge.neural.penalties import Penalty, Unconstrained

__all__ = ["Ascent", "Functional", "IntegralMetric", "JensenShannon", "Kantorovich", "scores"]


class Ascent(NamedTuple):
    """A loss of the potential, and what the functional is according to it, without penalties."""

    loss: Tensor  # scalar, which the potential's step lowers
    value: Tensor  # scalar


def scores(potential: Any, points: Tensor) -> Tensor:
    """What the potential says of each point, (n,). ValueError for a network that says more, or less."""
    found = potential(points)
    if found.numel() != len(points):
        raise ValueError(
            f"potential should give one number for each sample; of {len(points)} samples it made {tuple(found.shape)}. "
            "Let its last layer have one output."
        )
    return found.reshape(len(points))


class Functional:
    """Interface of functionals. `cost` is what the anchor says of each moved sample, computed when called."""

    penalty: Penalty = Unconstrained()
    adversarial: bool = True  # whether there is a potential

    def evaluate(self, potential: Any, points: Tensor) -> Tensor:
        """What the potential makes of points: numbers, or ValueError if it makes something else of them."""
        return scores(potential, points)

    def ascent(self, potential: Any, real: Tensor, moved: Tensor, cost: Callable[[], Tensor], draws: Draws) -> Ascent:
        """The loss of the potential, with its penalty, at samples that it is not to move. Only with a potential."""
        raise NotImplementedError

    def descent(self, potential: Any, real: Tensor, moved: Tensor, draws: Draws) -> Tensor:
        """The scalar that the map's step lowers, together with the mean of the anchor's cost."""
        raise NotImplementedError


class IntegralMetric(Functional):
    """The largest E f(moved) - E f(real) of a class of functions f: an integral probability metric (Mueller 1997).

    `Kantorovich` takes those with slopes of at most one, `TotalVariation` those between -1/2 and 1/2, `KernelBall` the
    unit ball of a reproducing kernel's space. The map lowers E f(moved), with f held: where f is best, that is the
    metric's gradient (Theorem 3 of Arjovsky, Chintala, Bottou 2017, which only uses that f is the best).
    """

    def witness(self, potential: Any, real: Tensor, moved: Tensor) -> Callable[[Tensor], Tensor]:
        """f, from points to (n,): the potential as a function of the class, or one that the two batches say is best."""
        raise NotImplementedError

    def ascent(self, potential: Any, real: Tensor, moved: Tensor, cost: Callable[[], Tensor], draws: Draws) -> Ascent:
        """See `Functional`."""
        f = self.witness(potential, real, moved)
        value = f(moved).mean() - f(real).mean()
        return Ascent(self.penalty(potential, real, moved, draws) - value, value)

    def descent(self, potential: Any, real: Tensor, moved: Tensor, draws: Draws) -> Tensor:
        """See `Functional`."""
        return self.witness(potential, real, moved)(moved).mean()


@dataclass(frozen=True)
class Kantorovich(IntegralMetric):
    """W1 by its dual: the largest E D(moved) - E D(real) of functions D with slopes of at most one.

    The penalty asks for the slopes: without one the value would have no end. The map lowers E D(moved), Theorem 3 of
    Arjovsky, Chintala, Bottou 2017.

    Parameters
    ----------
    penalty : Penalty
        ``GradientPenalty(weight, one_sided)`` or ``Clip(limit)``.
    """

    penalty: Penalty = field()  # the interface has one that asks for nothing

    def witness(self, potential: Any, real: Tensor, moved: Tensor) -> Callable[[Tensor], Tensor]:
        """See `IntegralMetric`."""
        return lambda points: scores(potential, points)


@dataclass(frozen=True)
class JensenShannon(Functional):
    """The Jensen-Shannon divergence by a classifier's logits w, positive for real samples (Goodfellow et al. 2014).

    Its value is log 2 less the mean cross entropy, at most log 2, which `monge.js` is of laws that share no point. The
    map lowers E softplus(-w(moved)), the paper's non-saturating loss (section 3), or, with `saturating`, the value.
    """

    penalty: Penalty = field(default_factory=Unconstrained)
    saturating: bool = False

    def ascent(self, potential: Any, real: Tensor, moved: Tensor, cost: Callable[[], Tensor], draws: Draws) -> Ascent:
        """See `Functional`."""
        loss = softplus(-scores(potential, real)).mean() + softplus(scores(potential, moved)).mean()
        return Ascent(loss + self.penalty(potential, real, moved, draws), torch.log(loss.new_tensor(2.0)) - 0.5 * loss)

    def descent(self, potential: Any, real: Tensor, moved: Tensor, draws: Draws) -> Tensor:
        """See `Functional`."""
        found = scores(potential, moved)
        return -0.5 * softplus(found).mean() if self.saturating else softplus(-found).mean()
