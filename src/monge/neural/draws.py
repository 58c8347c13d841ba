"""Random numbers for training: generators of its own, whose state can be kept, and which are nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from monge.problem.arrays import shown
from monge.spread.blocks import seed_of

__all__ = ["Draws", "device_of"]


def device_of(value: Any) -> torch.device:
    """The device that is meant, the CPU for None. ValueError for one that torch does not compute on here."""
    try:
        device = torch.device("cpu" if value is None else value)
        torch.zeros(1, device=device).item()  # "meta" has no numbers, and a GPU may be missing
    except (RuntimeError, TypeError, NotImplementedError, AssertionError) as problem:
        reason = str(problem).partition("\n")[0]
        raise ValueError(
            f"device should be one that torch computes on here, such as 'cpu' or 'cuda'; got {shown(value)}: {reason}"
        ) from None
    return device


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
        self._torch: dict[str, Tensor] = {}

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers."""
        return self._there(self.numbers.standard_normal(shape, dtype=np.float32))

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers of [0, 1)."""
        return self._there(self.numbers.random(shape, dtype=np.float32))

    def rows(self, count: int, k: int) -> Tensor:
        """k numbers below `count`, with replacement."""
        return self._there(self.numbers.integers(count, size=k))

    @contextmanager
    def of_torch(self) -> Iterator[None]:
        """Lets torch's own generators, which first weights and layers such as dropout draw from, go on from where they
        were when this was last left. Afterwards they are as the caller had them."""
        generators = self._generators()
        callers = {name: generator.get_state() for name, generator in generators.items()}
        missing = [name for name in generators if name not in self._torch]
        seed = int(self.numbers.integers(2**63 - 1)) if missing else 0
        try:
            for name, generator in generators.items():
                if name in missing:
                    generator.manual_seed(seed)
                else:
                    generator.set_state(self._torch[name])
            yield
        finally:
            for name, generator in generators.items():
                self._torch[name] = generator.get_state()
                generator.set_state(callers[name])

    def state(self) -> dict[str, Any]:
        """What must be kept to go on with the same numbers: tensors and plain values."""
        return {"numbers": self.numbers.bit_generator.state, "torch": dict(self._torch)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.numbers.bit_generator.state = state["numbers"]
        self._torch = dict(state["torch"])

    def _generators(self) -> dict[str, Any]:
        found = {"cpu": torch.default_generator}
        if self.device.type == "cuda":
            torch.cuda.init()
            index = torch.cuda.current_device() if self.device.index is None else self.device.index
            found["cuda"] = torch.cuda.default_generators[index]
        return found

    def _there(self, values: Any) -> Tensor:
        return torch.from_numpy(values).to(self.device)
