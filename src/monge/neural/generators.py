"""Generators that learn from the loss of two minibatches: what they made, and real samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from monge.neural.draws import Draws
from monge.neural.functionals import Ascent, Functional
from monge.neural.losses import Loss, loss_of
from monge.neural.model import Model, _widths
from monge.neural.nets import MLP
from monge.neural.penalties import Clip, Penalty, Unconstrained
from monge.neural.training import Slots
from monge.neural.unrolled import power
from monge.problem.arrays import positive, positive_integer

__all__ = ["MinibatchGenerator", "Minibatches"]

# Features of a learned cost.
_FEATURES = 16


@dataclass(frozen=True)
class Minibatches(Functional):
    """The mean loss of some pairs of minibatches; of their features, where there is a potential, which raises it."""

    loss: Loss
    count: int = 1
    adversarial: bool = False
    penalty: Penalty = field(default_factory=Unconstrained)

    def ascent(self, potential: Any, real: Tensor, moved: Tensor, cost: Callable[[], Tensor], draws: Draws) -> Ascent:
        """See `Functional`."""
        value = self.descent(potential, real, moved, draws)
        return Ascent(self.penalty(potential, real, moved, draws) - value, value)

    def descent(self, potential: Any, real: Tensor, moved: Tensor, draws: Draws) -> Tensor:
        """See `Functional`."""
        x, y = (moved, real) if potential is None else (potential(moved), potential(real))
        if not bool(x.isfinite().all()):
            # A solver would refuse these points; the loop knows what to do about a loss that is not finite.
            return x.sum()
        x, y = (points.reshape(self.count, len(points) // self.count, -1) for points in (x, y))
        return self.loss(x, y, draws).mean()


@dataclass(kw_only=True, eq=False, repr=False)
class MinibatchGenerator(Model):
    r"""MinibatchGenerator."""

    loss: Any = "emd"
    p: float | None = None
    eps: float | None = None
    n_iter: int | None = None
    n_projections: int | None = None
    bandwidth: float | Sequence[float] | None = None
    n_minibatches: int = 1
    learned_cost: bool = False
    clip: float = 0.1
    n_steps: int = 3000
    latent: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, check in _CHECKS.items():
            if getattr(self, name) is not None:
                setattr(self, name, check(getattr(self, name), name))
        if self.potential is not None and not self.learned_cost:
            raise ValueError(
                "potential is the network of a learned cost, which was not asked for. Leave it out, or pass "
                "learned_cost=True."
            )
        if self.batch_size < 2:
            raise ValueError("batch_size should be 2 or more: a loss of minibatches compares samples of each side.")
        self._functional()

    def _functional(self) -> Functional:
        settings = {name: getattr(self, name) for name in ("p", "eps", "n_iter", "n_projections", "bandwidth")}
        return Minibatches(
            loss=loss_of(self.loss, **settings),
            count=self.n_minibatches,
            adversarial=self.learned_cost,
            penalty=Clip(self.clip),
        )

    def _slots(self) -> Slots:
        return replace(super()._slots(), batch_size=self.batch_size * self.n_minibatches)

    def _new_potential(self, target: tuple[int, ...]) -> Any:
        return MLP(target, _FEATURES, hidden=_widths(target))

    def _optimizer(self, network: Any, name: str) -> Any:
        if name == "map":
            return super()._optimizer(network, name)
        rate = self.lr if self.potential_lr is None else self.potential_lr
        return torch.optim.RMSprop(network.parameters(), lr=rate)


def _bandwidths(value: Any, name: str) -> float | tuple[float, ...]:
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value):
        return tuple(positive(each, name) for each in value)
    return positive(value, name)


_CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "p": lambda value, name: power(value),
    "eps": positive,
    "n_iter": positive_integer,
    "n_projections": positive_integer,
    "bandwidth": _bandwidths,
    "n_minibatches": positive_integer,
    "clip": positive,
}
