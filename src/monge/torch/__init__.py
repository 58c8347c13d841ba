"""Transport as losses for PyTorch: tensors in, a differentiable scalar out, or one for each leading batch index.

>>> import torch, monge.torch
>>> x = torch.tensor([[0.0, 0.0], [1.0, 1.0]], requires_grad=True)
>>> y = torch.tensor([[1.0, 2.0], [0.0, 1.0]])
>>> loss = monge.torch.emd(x, y)
>>> loss.backward()
>>> loss.item(), x.grad
(1.0, tensor([[ 0., -1.],
        [ 0., -1.]]))
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError("monge.torch needs PyTorch: pip install 'monge[torch]'.", name="torch") from error

from monge.torch.barycenter import barycenter
from monge.torch.divergence import sinkhorn_divergence
from monge.torch.emd import emd
from monge.torch.energy import energy_distance
from monge.torch.minibatch import minibatch
from monge.torch.mmd import mmd
from monge.torch.modules import MMD, Minibatch, SinkhornDivergence, SlicedWasserstein
from monge.torch.sinkhorn import sinkhorn
from monge.torch.sliced import max_sliced_wasserstein, sliced_wasserstein
from monge.torch.wasserstein_loss import WassersteinLoss, wasserstein_loss

__all__ = [
    "MMD",
    "Minibatch",
    "SinkhornDivergence",
    "SlicedWasserstein",
    "WassersteinLoss",
    "barycenter",
    "emd",
    "energy_distance",
    "max_sliced_wasserstein",
    "minibatch",
    "mmd",
    "sinkhorn",
    "sinkhorn_divergence",
    "sliced_wasserstein",
    "wasserstein_loss",
]
