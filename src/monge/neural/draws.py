"""Random numbers for training: one generator, whose state can be kept, and which is nobody else's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from monge.spread.blocks import seed_of

__all__ = ["Draws"]


class Draws:
    """Numbers from one NumPy generator, as tensors on one device: the same ones whichever the device.

    Parameters
    ----------
    rng : None, int or numpy.random.Generator
        Where the seed comes from.
    device : torch.device
        Where the numbers go.
    """

    def __init__(self, rng: Any, device: Any) -> None:
        self.numbers = np.random.Generator(np.random.PCG64(seed_of(rng)))
        self.device = device

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers."""
        return self._there(self.numbers.standard_normal(shape, dtype=np.float32))

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers of [0, 1)."""
        return self._there(self.numbers.random(shape, dtype=np.float32))

    def rows(self, count: int, k: int) -> Tensor:
        """k numbers below `count`, with replacement."""
        return self._there(self.numbers.integers(count, size=k))

    def seed(self) -> int:
        """A seed for torch's own generator, from which networks take their first weights."""
        return int(self.numbers.integers(2**63 - 1))

    def state(self) -> dict[str, Any]:
        """What must be kept to go on with the same numbers: plain integers and strings."""
        return dict(self.numbers.bit_generator.state)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.numbers.bit_generator.state = state

    def _there(self, values: Any) -> Tensor:
        return torch.from_numpy(values).to(self.device)
