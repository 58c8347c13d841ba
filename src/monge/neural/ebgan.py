"""Energy-based generative adversarial networks (Zhao, Mathieu, LeCun 2017).

D lowers E e(y) + E max(margin - e(G(z)), 0),  G lowers E e(G(z)),  e = softplus(D)             (equations 1 and 2)
"""

from __future__ import annotations

from dataclasses import dataclass

from monge.neural.classes import EnergyHinge
from monge.neural.functionals import Functional
from monge.neural.model import Model
from monge.neural.penalties import R1
from monge.neural.settings import rate, weight

__all__ = ["EBGAN"]


@dataclass(kw_only=True, eq=False, repr=False)
class EBGAN(Model):
    """A generator and an energy that is low at data: the critic of bounded functions, and the total variation.

    For the best energy the loss of the critic is ``margin (1 - TV)``. As with a `GAN`, that is the same for all laws
    that share no point; but the generator's own loss is not bounded.

    Parameters
    ----------
    margin : float
        The energy from which on generated samples count as told apart.
    r1 : float
        Weight of ``r1 / 2 E |grad D(y)|^2`` at real samples; 0 for none, as in the paper.
    n_steps, batch_size, potential_steps, lr, potential_lr, final_lr, betas, ema, map, potential, latent, rng, device
        As in all models: see `Model`.

    Attributes
    ----------
    history : History
        ``value`` is the estimate of the total variation, 1 - loss / margin, at most one; far below zero for a critic
        that has learned nothing.
    map_, potential_ : torch.nn.Module
        The averaged generator, and D.
    status : TrainingStatus
        Why training ended.

    Raises
    ------
    ValueError, TypeError
        Settings out of range; samples as `fit` says.

    Notes
    -----
    Zhao, Mathieu and LeCun 2017, "Energy-based generative adversarial networks", whose energy is the error of an
    autoencoder; that it is the total variation is noted by Arjovsky, Chintala and Bottou 2017, section 5.

    Examples
    --------
    >>> import numpy as np, monge.neural
    >>> target = np.random.default_rng(0).normal(size=(500, 2)) + [40.0, 0.0]
    >>> model = monge.neural.EBGAN(n_steps=20, lr=1e-5, potential_lr=1e-2, rng=0).fit(target)
    >>> bool(0.9 < model.history.value[-1] <= 1.0)
    True
    """

    margin: float = 1.0
    r1: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.margin, self.r1 = rate(self.margin, "margin"), weight(self.r1, "r1")

    def _functional(self) -> Functional:
        return EnergyHinge(self.margin, R1(self.r1))
