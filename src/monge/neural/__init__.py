"""Generative models by transport, in PyTorch."""

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
