"""Generative models by transport, in PyTorch.

Models learn a map that makes samples like yours: out of noise (`GAN`, `WGAN`, `WGANGP`, `EBGAN`, and without a critic
`MinibatchGenerator`, `GMMN`), or out of samples of a source, at the least cost (`OTM`, `UOTM`) or in steps (`JKO`,
`SJKO`). All have `Model`'s settings and methods: fit, sample, transport, save, resume; `load` reads files. `critic` is
W1 of two clouds by a network, with a bound that is certain, `discrepancy` the same for other classes of functions.
`MLP`, `ConvGenerator` and `ConvCritic` are networks to begin with, and any `torch.nn.Module` will do. `Every` and
`Watch` look on while a model learns, and stop it. ``metrics`` judges samples, and ``toys`` are laws whose answer is
known.

>>> import numpy as np, monge.neural
>>> data = np.random.default_rng(0).normal(size=(1000, 2)) + [3.0, 0.0]  # samples in rows, or a function (rng, n)
>>> model = monge.neural.MinibatchGenerator(loss="energy", n_steps=100, batch_size=64, ema=0.9, rng=0)
>>> model.fit(data)
MinibatchGenerator(100 iterations, DONE)
>>> samples = model.sample(500, rng=1)
>>> samples.shape, bool(abs(samples.mean(axis=0) - [3.0, 0.0]).max() < 0.5)
((500, 2), True)
>>> found = monge.neural.critic(samples, data[:500], n_steps=50, batch_size=64, rng=0)
>>> found.lower_bound <= monge.wasserstein(samples, data[:500], p=1)  # W1 itself
True
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError("monge.neural needs PyTorch: pip install 'monge[torch]'.", name="torch") from error

from monge.neural import metrics, toys
from monge.neural.callbacks import Every, Watch
from monge.neural.classes import EnergyHinge, KernelBall, TotalVariation
from monge.neural.critic import critic
from monge.neural.critic_result import Critic
from monge.neural.discrepancy import Discrepancy, discrepancy
from monge.neural.ebgan import EBGAN
from monge.neural.functionals import Kantorovich
from monge.neural.gan import GAN
from monge.neural.generators import MinibatchGenerator
from monge.neural.gmmn import GMMN
from monge.neural.history import History
from monge.neural.jko import JKO, SJKO
from monge.neural.model import Model, load
from monge.neural.nets import MLP, ConvCritic, ConvGenerator
from monge.neural.penalties import Clip, GradientPenalty
from monge.neural.training import TrainingStatus
from monge.neural.unrolled import UnrolledSinkhorn
from monge.neural.uotm import OTM, UOTM
from monge.neural.wgan import WGAN
from monge.neural.wgan_gp import WGANGP

__all__ = [
    "EBGAN",
    "GAN",
    "GMMN",
    "JKO",
    "MLP",
    "OTM",
    "SJKO",
    "UOTM",
    "WGAN",
    "WGANGP",
    "Clip",
    "ConvCritic",
    "ConvGenerator",
    "Critic",
    "Discrepancy",
    "EnergyHinge",
    "Every",
    "GradientPenalty",
    "History",
    "Kantorovich",
    "KernelBall",
    "MinibatchGenerator",
    "Model",
    "TotalVariation",
    "TrainingStatus",
    "UnrolledSinkhorn",
    "Watch",
    "critic",
    "discrepancy",
    "load",
    "metrics",
    "toys",
]
