"""A potential trained between two laws that stay as they are: the loop of models, with a map that learns nothing."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn

from monge.neural.anchors import Free
from monge.neural.draws import Draws
from monge.neural.functionals import IntegralMetric
from monge.neural.history import History
from monge.neural.running import train
from monge.neural.samples import Samples
from monge.neural.training import Slots, TrainingStatus, cosine, start, takes, uncounted
from monge.problem.transport import ConvergenceWarning

__all__ = ["estimated"]

# Of the learning rate, what is left at the end of its cosine; and Adam's averages, short as for all networks in a game.
_LAST, _BETAS = 0.05, (0.5, 0.9)


def estimated(
    name: str,
    functions: IntegralMetric,
    network: Any,
    sides: tuple[Samples, Samples],
    draws: Draws,
    *,
    n_steps: int,
    batch_size: int,
    lr: float,
    limit: float,
    progress: bool,
    advice: dict[TrainingStatus, str],
) -> tuple[TrainingStatus, History]:
    """Train the network itself to be high at the first side and low at the second; then it learns no more.

    ValueError, before anything is learned, for one that does not take the points; ConvergenceWarning of the user's
    caller, by `name` and with `advice`, where training ends early.
    """
    points = torch.zeros(2, *sides[0].shape, device=draws.device)
    takes("network", network, points, functions.evaluate)
    functions.penalty.check(network)

    def adam(net: Any, role: str) -> Any:
        if role == "map":
            return None
        return torch.optim.Adam([each for each in net.parameters() if each.requires_grad], lr=lr, betas=_BETAS)

    state = start(nn.Identity(), network, Free(), draws, adam)
    slots = Slots(functions, batch_size, (n_steps,), lambda _: 1, cosine(_LAST), 0.0)
    status, reason = train(name, state, slots, *sides, limit, progress)
    if status in advice:
        warnings.warn(f"{name}: {reason}: {advice[status]}.", ConvergenceWarning, stacklevel=3)
    uncounted(network).eval().requires_grad_(False)
    return status, state.history
