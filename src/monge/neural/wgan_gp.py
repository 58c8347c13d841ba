"""Wasserstein generative adversarial networks with a penalty on the critic's slopes (Gulrajani et al. 2017).

min_G max_D  E D(G(z)) - E D(y) - weight E (|grad D(u)| - 1)^2,   u on the segments between G(z) and y    (equation 3)
"""

from __future__ import annotations

from dataclasses import dataclass

from monge.neural.functionals import Functional, Kantorovich
from monge.neural.model import Model
from monge.neural.penalties import GradientPenalty
from monge.neural.settings import flag, rate

__all__ = ["WGANGP"]


@dataclass(kw_only=True, eq=False, repr=False)
class WGANGP(Model):
    """A generator and a critic whose slopes are penalised: its loss is an estimate of W1.

    The critic D maximises ``E D(G(z)) - E D(y)`` less a penalty on slopes other than one, at points of segments between
    generated samples and real ones; the generator G minimises E D(G(z)).

    Parameters
    ----------
    penalty : float
        The weight, lambda: the larger, the nearer slopes are kept to one, and the slower the critic learns. 10 in the
        paper, 0.1 in its authors' own experiments with points in the plane; with 10, their small learning rate and few
        steps three of eight Gaussians were found.
    one_sided : bool
        Penalise ``max(|grad D| - 1, 0)^2`` alone (WGAN-LP, Petzka, Fischer, Lukovnicov 2018): all that the dual asks
        for, which depends less on the weight.
    n_steps : int
        Iterations, each of them one step of the generator.
    batch_size : int
        Samples of a batch.
    potential_steps : int
        Steps of the critic for each of the generator's.
    lr, potential_lr : float
        Adam's learning rates of generator and critic; 1e-4 in the paper. None for the same.
    final_lr : float
        Share of these at the end of a cosine.
    betas : pair of float
        Adam's; (0, 0.9) in the paper, (0.5, 0.9) in its authors' experiments in the plane.
    ema : float
        Share of the past in the average of the generator's weights.
    map, potential, latent, rng, device
        As in all models: see `Model`.

    Attributes
    ----------
    history : History
        ``value`` is the critic's estimate of W1, without the penalty, positive and in the unit of the samples. Of a
        shift by W1 it is ``W1 (1 + W1 / (2 penalty))``: too large at first, right once W1 is small beside the penalty.
        ``potential_loss`` is the penalty less the value, mostly negative. ``smoothed()`` ranks samples.
    map_, potential_ : torch.nn.Module
        The averaged generator, and the critic, high at what is generated.
    status : TrainingStatus
        Why training ended.

    Raises
    ------
    ValueError, TypeError
        Settings out of range, a `potential` with batch normalisation, which makes the slope at a sample that of all;
        samples as `fit` says.

    Notes
    -----
    Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville 2017, "Improved training of Wasserstein GANs", Algorithm 1. The
    paper's own settings are ``WGANGP(penalty=10.0, lr=1e-4, betas=(0.0, 0.9), final_lr=1.0, ema=0.0, batch_size=64)``.

    Examples
    --------
    The value is about W1, here of a map that starts near zero and samples at a distance of 4:

    >>> import numpy as np, monge.neural
    >>> target = np.random.default_rng(0).normal(size=(500, 2)) + [4.0, 0.0]
    >>> settings = {"n_steps": 15, "lr": 1e-4, "potential_lr": 2e-3, "batch_size": 64}
    >>> model = monge.neural.WGANGP(**settings, penalty=10.0, rng=0).fit(target)
    >>> bool(3.0 < model.history.value[-1] < 5.5)
    True
    """

    penalty: float = 1.0
    one_sided: bool = False
    n_steps: int = 1900
    potential_steps: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.penalty, self.one_sided = rate(self.penalty, "penalty"), flag(self.one_sided, "one_sided")
        if self.potential is not None:
            self._functional().penalty.check(self.potential)

    def _functional(self) -> Functional:
        return Kantorovich(GradientPenalty(self.penalty, self.one_sided))
