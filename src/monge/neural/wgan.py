"""Wasserstein generative adversarial networks with clipped weights (Arjovsky, Chintala, Bottou 2017).

min_G max_D  E D(G(z)) - E D(y),   every weight of D in [-clip, clip]                     (Algorithm 1)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from monge.neural.functionals import Functional, Kantorovich
from monge.neural.model import Model
from monge.neural.penalties import Clip
from monge.neural.settings import rate
from monge.problem.arrays import positive_integer

__all__ = ["WGAN"]

# The critic of the authors' program is trained for longer in the first iterations, and once in so many.
_FIRST, _EVERY = 25, 500


@dataclass(kw_only=True, eq=False, repr=False)
class WGAN(Model):
    """A generator and a critic whose weights are clipped: W1 up to a factor that nobody knows.

    With weights in a box, the critic D is a Lipschitz function, of some constant K that depends on the network. It
    maximises ``E D(G(z)) - E D(y)``, which then is at most K W1; the generator G minimises E D(G(z)). Neither has
    momentum: the steps are RMSProp's (Algorithm 1).

    Parameters
    ----------
    clip : float
        The bound of each weight of the critic. Too small a box makes D almost constant, too large a one takes long to
        be filled; 0.01 in the paper.
    thorough : int
        Steps of the critic in each of the first 25 iterations and in every 500th, where they are more than
        `potential_steps`: 100 in the authors' program.
    n_steps : int
        Iterations, each of them one step of the generator.
    batch_size : int
        Samples of a batch; 64 in the paper.
    potential_steps : int
        Steps of the critic in all other iterations, n_critic.
    lr, potential_lr : float
        Learning rates of generator and critic; 5e-5 in the paper. None for the same.
    final_lr : float
        Share of these at the end of a cosine; the paper's are constant, 1.
    ema : float
        Share of the past in the average of the generator's weights; the paper has none, 0.
    map, potential, latent, rng, device
        As in all models: see `Model`. A `potential` of your own should have no batch normalisation.

    Attributes
    ----------
    history : History
        ``value`` is the critic's estimate, E D(G(z)) - E D(y): zero or more once D is trained, smaller the better the
        samples are, in no unit, and comparable only under the same critic and clip. ``smoothed()`` ranks samples.
    map_, potential_ : torch.nn.Module
        The averaged generator, and the critic.
    status : TrainingStatus
        Why training ended.

    Raises
    ------
    ValueError, TypeError
        Settings out of range; samples as `fit` says.

    See Also
    --------
    WGANGP : A penalty in place of the box, after which the estimate is W1.

    Notes
    -----
    Arjovsky, Chintala and Bottou 2017, "Wasserstein generative adversarial networks", Algorithm 1. The paper's own
    settings are ``WGAN(clip=0.01, lr=5e-5, final_lr=1.0, ema=0.0, batch_size=64, thorough=100)``. The sign is the
    opposite of theirs: D is high at what is generated, so that the value is an estimate of a distance.

    Examples
    --------
    Every weight stays in its box:

    >>> import numpy as np, monge.neural
    >>> target = np.random.default_rng(0).normal(size=(500, 2)) + [3.0, 0.0]
    >>> model = monge.neural.WGAN(n_steps=20, clip=0.05, rng=0).fit(target)
    >>> max(float(weights.detach().abs().max()) for weights in model.potential_.parameters()) <= 0.0500001
    True
    >>> model.sample(4, rng=1).shape
    (4, 2)
    """

    clip: float = 0.1
    thorough: int = 5
    n_steps: int = 3000
    potential_steps: int = 5
    lr: float = 5e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        self.clip = rate(self.clip, "clip")
        self.thorough = positive_integer(self.thorough, "thorough")

    def _functional(self) -> Functional:
        return Kantorovich(Clip(self.clip))

    def _steps_of_potential(self, step: int) -> int:
        more = step < _FIRST or step % _EVERY == 0
        return max(self.potential_steps, self.thorough) if more else self.potential_steps

    def _rule(self, parameters: list[Any], rate: float) -> Any:
        return torch.optim.RMSprop(parameters, lr=rate)
