"""Wasserstein generative adversarial networks with clipped weights (Arjovsky, Chintala, Bottou 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from monge.neural.functionals import Functional, Kantorovich
from monge.neural.model import Model
from monge.neural.penalties import Clip

__all__ = ["WGAN"]


@dataclass(kw_only=True, eq=False, repr=False)
class WGAN(Model):
    """WGAN."""

    clip: float = 0.1
    n_steps: int = 3000
    potential_steps: int = 5
    lr: float = 5e-4
    latent: int | None = 10

    def _functional(self) -> Functional:
        return Kantorovich(Clip(self.clip))

    def _rule(self, parameters: list[Any], rate: float) -> Any:
        return torch.optim.RMSprop(parameters, lr=rate)
