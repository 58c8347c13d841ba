"""Where batches come from: the rows of an array, a function that draws, or noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from monge.neural.draws import Draws
from monge.problem.arrays import real_array
from monge.problem.home import on_host

__all__ = ["Noise", "Rows", "Sampler", "Samples", "Widened", "points_of", "samples_of"]


class Samples(Protocol):
    """A law that can be drawn from."""

    shape: tuple[int, ...]  # of one sample

    def draw(self, k: int, draws: Draws) -> Tensor:
        """k samples, (k, *shape), float32, on the device of `draws`."""
        ...


class Noise:
    """Independent standard normal numbers."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def draw(self, k: int, draws: Draws) -> Tensor:
        """k samples."""
        return draws.normal(k, *self.shape)


class Rows:
    """Rows of an array, each drawn with the same probability, with replacement."""

    def __init__(self, values: Any, name: str, device: Any) -> None:
        array = real_array(values, name, None, "an array of samples, (n, d) or (n, ..., height, width)")
        if array.ndim == 0 or 0 in array.shape:
            raise ValueError(
                f"{name} should hold at least one sample, along its first axis; got an array of shape {array.shape}."
            )
        array = array[:, None] if array.ndim == 1 else array  # numbers are points on the line
        # No copy of what is float32 already would follow the caller's later changes.
        self.values = _single(array, device)
        if not bool(torch.isfinite(self.values).all()):
            raise ValueError(f"{name} holds NaN, or numbers beyond single precision; remove or mend these samples.")
        self.shape = tuple(array.shape[1:])

    def draw(self, k: int, draws: Draws) -> Tensor:
        """k rows."""
        return self.values[draws.rows(len(self.values), k)]


class Sampler:
    """What a function ``sampler(rng, n)`` returns, checked each time."""

    def __init__(self, function: Callable[[np.random.Generator, int], Any], name: str, device: Any) -> None:
        self._function, self._name = function, name
        self.shape: tuple[int, ...] = ()
        # Tells the shape; with numbers of its own, so that a run that is resumed goes on with those it had.
        self.shape = tuple(self.draw(1, Draws(0, device)).shape[1:])

    def draw(self, k: int, draws: Draws) -> Tensor:
        """k samples."""
        try:
            drawn = on_host(self._function(draws.numbers, k))
        except StopIteration:
            drawn = np.empty((0,))
        array = real_array(drawn, f"{self._name}(rng, {k})", None, f"an array of {k} samples along its first axis")
        array = array[:, None] if array.ndim == 1 else array
        if array.ndim == 0 or len(array) < k:
            raise ValueError(
                f"{self._name}: the sampler ran dry: {k} samples were asked for, {len(array) if array.ndim else 0} "
                "came. A sampler returns as many as it is asked for, each time: let it begin again when it is through, "
                "or pass its samples as an array. The model is as it was before; go on with resume()."
            )
        if len(array) > k or (self.shape and array.shape[1:] != self.shape):
            wanted = ", ".join(map(str, (k, *(self.shape or ("...",)))))
            raise ValueError(f"{self._name}: the sampler should return ({wanted}); got {array.shape}.")
        values = _single(array, draws.device)
        if not bool(torch.isfinite(values).all()):
            raise ValueError(f"{self._name}: the sampler returned NaN or infinite numbers. Mend it, then resume().")
        return values


class Widened:
    """Samples of another law, made vectors, with so many columns of noise behind them."""

    def __init__(self, samples: Samples, columns: int) -> None:
        self._samples, self._columns = samples, columns
        self.shape: tuple[int, ...] = (math.prod(samples.shape) + columns,)

    def draw(self, k: int, draws: Draws) -> Tensor:
        """k samples."""
        return torch.cat([self._samples.draw(k, draws).flatten(1), draws.normal(k, self._columns)], dim=1)


def _single(array: Any, device: Any) -> Tensor:
    with np.errstate(over="ignore"):  # infinite, which is refused
        return torch.from_numpy(np.array(array, dtype=np.float32)).to(device)


def points_of(
    values: Any, name: str, shape: tuple[int, ...], device: Any, *, what: str = "samples of shape", flat: bool = False
) -> Tensor:
    """Samples of an array, (n, *shape). ValueError for those of another shape, in which `what` says what is expected.

    With `flat` any shape of as many numbers will do, and becomes a vector.
    """
    given = Rows(values, name, device).values
    points = given.flatten(1) if flat else given
    if points.shape[1:] != shape:
        raise ValueError(f"{name} should hold {what} {tuple(shape)} along its first axis; got {tuple(given.shape)}.")
    return points


def samples_of(values: Any, name: str, device: Any) -> Samples:
    """Samples of an array, or of a sampler."""
    return Sampler(values, name, device) if callable(values) else Rows(values, name, device)
