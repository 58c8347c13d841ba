"""Generative moment matching networks (Li, Swersky, Zemel 2015).

min_G  MMD^2(law of G(z), law of y),   k(x, y) = sum_h exp(-|x - y|^2 / (2 h^2))                   (equations 4 and 6)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monge.neural.classes import KernelBall
from monge.neural.functionals import Functional
from monge.neural.model import Model

__all__ = ["GMMN"]


@dataclass(kw_only=True, eq=False, repr=False)
class GMMN(Model):
    """A generator alone: its critic is the best function of a reproducing kernel's ball, which needs no training.

    Parameters
    ----------
    bandwidths : sequence of float
        The h of the Gaussian kernels, in the unit of the samples: from the finest detail that matters to the size of
        the whole.
    n_steps, batch_size, lr, final_lr, betas, ema, map, latent, rng, device
        As in all models: see `Model`. A batch of at least two.

    Attributes
    ----------
    history : History
        ``value`` is MMD^2 of the batch without the pairs of a point and itself, whose mean is that of the laws; it may
        be negative.
    map_ : torch.nn.Module
        The averaged generator.
    status : TrainingStatus
        Why training ended.

    Raises
    ------
    ValueError, TypeError
        Settings out of range; samples as `fit` says.

    Notes
    -----
    Li, Swersky and Zemel 2015, "Generative moment matching networks", who lower the root of the biased statistic on
    batches of 1000; Dziugaite, Roy and Ghahramani 2015 lower the unbiased one, as here.

    Examples
    --------
    >>> import numpy as np, monge.neural
    >>> target = np.random.default_rng(0).normal(size=(500, 2)) + [2.0, 0.0]
    >>> model = monge.neural.GMMN(bandwidths=(1.0, 2.0), n_steps=150, rng=0).fit(target)
    >>> monge.mmd(model.sample(500, rng=1), target, bandwidth=(1.0, 2.0)) < 0.1
    True
    """

    bandwidths: Sequence[float] = (0.1, 0.2, 0.5, 1.0, 2.0)
    n_steps: int = 3000

    def __post_init__(self) -> None:
        super().__post_init__()
        self.bandwidths = KernelBall(self.bandwidths).bandwidths
        if self.batch_size < 2:
            raise ValueError("batch_size should be at least 2: pairs of a point and itself are left out; got 1.")

    def _functional(self) -> Functional:
        return KernelBall(self.bandwidths)
