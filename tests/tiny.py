"""Small models of `monge.neural`, which fill the slots of its training loop, and a fingerprint of all that one is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from monge.neural import Model
from monge.neural.anchors import Composed, Free, Rebased
from monge.neural.checkpoint import pack
from monge.neural.functionals import Functional, Kantorovich
from monge.neural.penalties import R1


class Means(Functional):
    """Without a potential: the squared distance of two means."""

    adversarial = False

    def descent(self, potential: Any, real: Any, moved: Any, draws: Any) -> Any:
        return (moved.mean(dim=0) - real.mean(dim=0)).square().sum()


@dataclass(kw_only=True, eq=False, repr=False)
class Primal(Model):
    n_steps: int = 4
    batch_size: int = 8
    latent: int | None = 2

    def _functional(self) -> Functional:
        return Means()


@dataclass(kw_only=True, eq=False, repr=False)
class Dual(Model):
    """With a potential, a penalty, and outer steps that an anchor ties together."""

    n_steps: int = 4
    n_outer: int = 1
    batch_size: int = 8
    potential_steps: int = 2
    anchor: str = "free"

    def _functional(self) -> Functional:
        return Kantorovich(R1(0.1))

    def _anchor(self) -> Any:
        return {"free": Free, "rebased": lambda: Rebased(0.5), "composed": lambda: Composed(0.5)}[self.anchor]()

    def _phases(self) -> tuple[int, ...]:
        return (self.n_steps,) * self.n_outer


class Noisy(nn.Module):
    """A network of a user's: dropout, batch normalisation, a layer that is never used, and one that does not learn."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))
        self.unused = nn.Linear(3, 3)
        self.fixed = nn.Linear(2, 2).requires_grad_(False)

    def forward(self, x: Any) -> Any:
        return self.layers(self.fixed(x))


def noisy(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Noisy()


def sampler(rng: np.random.Generator, n: int) -> Any:
    return rng.normal(size=(n, 2)) + 1.0


def fingerprint(model: Model) -> str:
    """A hash of all weights, old maps, averages, optimisers, generators and figures, but seconds."""
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            digest.update(f"{value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.cpu().numpy().tobytes())
        elif isinstance(value, dict):
            for name in value:
                if name != "seconds":
                    digest.update(repr(name).encode())
                    add(value[name])
        elif isinstance(value, list | tuple):
            for each in value:
                add(each)
        else:
            digest.update(repr(value).encode())

    add(pack(model._fitted("fingerprint")))
    return digest.hexdigest()
