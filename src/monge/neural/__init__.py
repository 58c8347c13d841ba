"""Generative models by transport, in PyTorch."""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError("monge.neural needs PyTorch: pip install 'monge[torch]'.", name="torch") from error

from monge.neural.callbacks import Every, Watch
from monge.neural.generators import MinibatchGenerator
from monge.neural.history import History
from monge.neural.model import Model, load
from monge.neural.nets import MLP, ConvCritic, ConvGenerator
from monge.neural.training import TrainingStatus
from monge.neural.unrolled import UnrolledSinkhorn
from monge.neural.wgan import WGAN

__all__ = [
    "MLP",
    "WGAN",
    "ConvCritic",
    "ConvGenerator",
    "Every",
    "History",
    "MinibatchGenerator",
    "Model",
    "TrainingStatus",
    "UnrolledSinkhorn",
    "Watch",
    "load",
]
