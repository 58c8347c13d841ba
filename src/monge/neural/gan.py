"""Generative adversarial networks (Goodfellow et al. 2014).

min_G max_D  log 2 - (E softplus(-D(y)) + E softplus(D(G(z)))) / 2                        (equation 1, as a divergence)
"""

from __future__ import annotations

from dataclasses import dataclass

from monge.neural.functionals import Functional, JensenShannon
from monge.neural.model import Model
from monge.neural.penalties import R1
from monge.neural.settings import flag, weight

__all__ = ["GAN"]


@dataclass(kw_only=True, eq=False, repr=False)
class GAN(Model):
    """A generator and a classifier of real and generated samples: the Jensen-Shannon divergence, for comparison.

    The classifier's logits D minimise the mean cross entropy; log 2 less that is at most the divergence between the law
    of the samples and that of the data, and equal to it for the best D. It is log 2 wherever the two share no point:
    then it says nothing of how far they are apart, and its gradient vanishes.

    Parameters
    ----------
    saturating : bool
        Whether G minimises the divergence itself. If not, it minimises ``E softplus(-D(G(z)))``, whose gradient does
        not vanish where D is sure, as the paper advises (section 3).
    r1 : float
        Weight of ``r1 / 2 E |grad D(y)|^2`` at real samples (Mescheder, Geiger, Nowozin 2018), which keeps the game
        from going round; 0 for a plain GAN.
    n_steps, batch_size, potential_steps, lr, potential_lr, final_lr, betas, ema, map, potential, latent, rng, device
        As in all models: see `Model`.

    Attributes
    ----------
    history : History
        ``value`` is the estimate of the Jensen-Shannon divergence, at most log 2, as `monge.js` is. It says little
        about the quality of samples.
    map_, potential_ : torch.nn.Module
        The averaged generator, and the classifier.
    status : TrainingStatus
        Why training ended.

    Raises
    ------
    ValueError, TypeError
        Settings out of range; samples as `fit` says.

    Notes
    -----
    Goodfellow et al. 2014, "Generative adversarial nets". Of the models here it is the one to expect collapse of: see
    `WGANGP`.

    Examples
    --------
    Far from its target, what is generated is told apart for sure:

    >>> import numpy as np, monge.neural
    >>> target = np.random.default_rng(0).normal(size=(500, 2)) + [40.0, 0.0]
    >>> model = monge.neural.GAN(n_steps=20, lr=1e-5, potential_lr=1e-2, rng=0).fit(target)
    >>> bool(0.99 * np.log(2.0) < model.history.value[-1] <= np.log(2.0))
    True
    """

    saturating: bool = False
    r1: float = 0.0
    n_steps: int = 6000

    def __post_init__(self) -> None:
        super().__post_init__()
        self.saturating, self.r1 = flag(self.saturating, "saturating"), weight(self.r1, "r1")

    def _functional(self) -> Functional:
        return JensenShannon(R1(self.r1), self.saturating)
