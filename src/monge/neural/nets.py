"""Networks that models take where none are given: for points, and a convolutional pair for images.

Any other `torch.nn.Module` will do. These can tell how they were made, so that a file of weights is enough to have them
again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor, nn

__all__ = ["MLP", "ConvCritic", "ConvGenerator", "build", "recipe_of", "widths"]

_ACTIVATIONS = {"relu": nn.ReLU, "silu": nn.SiLU, "leaky_relu": lambda: nn.LeakyReLU(0.2), "tanh": nn.Tanh}


class _Recipe(nn.Module):
    """A network with the arguments that made it."""

    recipe: dict[str, Any]


class MLP(_Recipe):
    """Fully connected layers, from samples of one shape to samples of another.

    Parameters
    ----------
    inputs, outputs : int or sequence of int
        Shapes of one sample.
    hidden : sequence of int
        Widths of the layers between.
    activation : {"relu", "silu", "leaky_relu", "tanh"}
        After each of these.
    residual : bool
        The network returns x + MLP(x), of the first inputs where there are more of them than outputs.
    batch_norm : bool
        Batch normalisation before each activation but the first layer's.

    Examples
    --------
    >>> import torch
    >>> from monge.neural import MLP
    >>> MLP(2, 1)(torch.zeros(5, 2)).shape
    torch.Size([5, 1])
    """

    def __init__(
        self,
        inputs: int | Sequence[int],
        outputs: int | Sequence[int],
        *,
        hidden: Sequence[int] = (128, 128, 128),
        activation: str = "relu",
        residual: bool = False,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        inputs, outputs = _shape(inputs), _shape(outputs)
        self.recipe = {
            "inputs": inputs,
            "outputs": outputs,
            "hidden": tuple(map(int, hidden)),
            "activation": activation,
            "residual": residual,
            "batch_norm": batch_norm,
        }
        if activation not in _ACTIVATIONS:
            raise ValueError(f"activation should be one of {', '.join(_ACTIVATIONS)}; got {activation!r}.")
        if residual and math.prod(inputs) < math.prod(outputs):
            raise ValueError(f"a residual network needs as many inputs as outputs; got {inputs} and {outputs}.")
        self._outputs, self._residual = outputs, residual
        layers: list[nn.Module] = []
        widths = [math.prod(inputs), *hidden]
        for number, (before, after) in enumerate(pairwise(widths)):
            layers.append(nn.Linear(before, after))
            if batch_norm and number:
                layers.append(nn.BatchNorm1d(after))
            layers.append(_ACTIVATIONS[activation]())
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], math.prod(outputs)))

    def forward(self, x: Tensor) -> Tensor:
        """(n, *inputs) to (n, *outputs)."""
        flat = x.flatten(1)
        made = self.layers(flat)
        if self._residual:
            made = flat[:, : made.shape[1]] + made
        return made.reshape(len(x), *self._outputs)


class ConvGenerator(_Recipe):
    """Images from a vector of noise: small feature maps, twice as large and half as many twice over.

    Parameters
    ----------
    inputs : int
        Length of the vector.
    outputs : sequence of int
        (height, width) or (channels, height, width) of the images.
    channels : int
        Feature maps of the last but one layer.
    batch_norm : bool
        Batch normalisation after each layer but the last (Radford, Metz, Chintala 2016). Samples are made with its
        running statistics, which lag behind weights that still move, and fit an average of weights badly: on digits,
        300 iterations of WGAN-GP made samples with a quarter of the true deviation, without it with all of it.
    """

    def __init__(
        self, inputs: int | Sequence[int], outputs: Sequence[int], *, channels: int = 32, batch_norm: bool = False
    ) -> None:
        super().__init__()
        inputs, outputs = _shape(inputs), _image(outputs)
        self.recipe = {"inputs": inputs, "outputs": outputs, "channels": channels, "batch_norm": batch_norm}
        self._outputs = outputs
        colors, height, width = (1, *outputs)[-3:]
        # What is left over by two doublings is cut off at the end.
        self._small = (4 * channels, -(-height // 4), -(-width // 4))

        def normalised(count: int) -> nn.Module:
            return nn.BatchNorm2d(count) if batch_norm else nn.Identity()

        self.first = nn.Linear(math.prod(inputs), math.prod(self._small))
        self.layers = nn.Sequential(
            normalised(4 * channels),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(4 * channels, 2 * channels, 3, padding=1),
            normalised(2 * channels),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(2 * channels, channels, 3, padding=1),
            normalised(channels),
            nn.ReLU(),
            nn.Conv2d(channels, colors, 3, padding=1),
        )

    def forward(self, z: Tensor) -> Tensor:
        """(n, inputs) to (n, *outputs)."""
        images = self.layers(self.first(z.flatten(1)).reshape(len(z), *self._small))
        return images[:, :, : self._outputs[-2], : self._outputs[-1]].reshape(len(z), *self._outputs)


class ConvCritic(_Recipe):
    """A number from an image: convolutions without normalisation, as gradient penalties ask (Gulrajani et al. 2017).

    Parameters
    ----------
    inputs : sequence of int
        (height, width) or (channels, height, width) of the images.
    outputs : int
        How many numbers.
    channels : int
        Feature maps of the first layer.
    """

    def __init__(self, inputs: Sequence[int], outputs: int | Sequence[int] = 1, *, channels: int = 32) -> None:
        super().__init__()
        inputs, outputs = _image(inputs), _shape(outputs)
        self.recipe = {"inputs": inputs, "outputs": outputs, "channels": channels}
        self._inputs = (1, *inputs)[-3:]
        height, width = (-(-side // 4) for side in inputs[-2:])
        self.layers = nn.Sequential(
            nn.Conv2d(self._inputs[0], channels, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * channels, 4 * channels, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(4 * channels * height * width, math.prod(outputs)),
        )

    def forward(self, images: Tensor) -> Tensor:
        """(n, *inputs) to (n, outputs)."""
        return self.layers(images.reshape(len(images), *self._inputs))


def widths(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of the hidden layers of a network for samples of that shape, where none is given."""
    return (128,) * 3 if math.prod(shape) <= 16 else (256,) * 3


_NETWORKS = {network.__name__: network for network in (MLP, ConvGenerator, ConvCritic)}


def recipe_of(network: Any) -> tuple[str, dict[str, Any]] | None:
    """What `build` makes the network again from, without its weights; None if it is not of this file."""
    name = type(network).__name__
    return (name, dict(network.recipe)) if _NETWORKS.get(name) is type(network) else None


def build(recipe: tuple[str, dict[str, Any]]) -> Any:
    """The network of a recipe, with fresh weights."""
    name, arguments = recipe
    return _NETWORKS[name](**arguments)


def _shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    return (int(shape),) if isinstance(shape, int | np.integer) else tuple(int(side) for side in shape)


def _image(shape: Sequence[int]) -> tuple[int, ...]:
    found = _shape(shape)
    if len(found) not in (2, 3):
        raise ValueError(f"images should be (height, width) or (channels, height, width); got {found}.")
    return found
