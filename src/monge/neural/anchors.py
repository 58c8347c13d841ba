"""What a map is held by: the second slot of the training loop.

Each step of a proximal scheme minimises a functional of what the map makes of its source, plus a cost of moving. An
anchor knows that cost, and where its samples start from.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Anchor", "Composed", "Free", "Rebased", "Squared", "frozen"]


def frozen(network: Any) -> Any:
    """A copy that learns no more."""
    return copy.deepcopy(network).eval().requires_grad_(False)


def _squared(start: Tensor, moved: Tensor) -> Tensor:
    """|x - T(x)|^2 of each sample. Coordinates that only x has are noise, and come last."""
    start, moved = start.flatten(1), moved.flatten(1)
    if start.shape[1] < moved.shape[1]:
        raise ValueError(
            f"source: its samples should have as many coordinates as the target's, or more, for what it costs to move "
            f"them; got {start.shape[1]} and {moved.shape[1]}."
        )
    return (start[:, : moved.shape[1]] - moved).square().sum(dim=1)


class Anchor(nn.Module):
    """No cost at all; the interface of the others. Its networks are part of a checkpoint."""

    def advance(self, network: Any) -> None:
        """The next outer step begins, and `network` is the map that the last one ended with."""

    def source(self, x: Tensor) -> Tensor:
        """Where the map takes samples x of the source from."""
        return x

    def cost(self, x: Tensor, moved: Tensor) -> Tensor:
        """What it costs that the map moves each of x to `moved`, (n,). x is what `source` returned."""
        return moved.new_zeros(len(moved))


class Free(Anchor):
    """Nothing holds the map: a generator."""


class Squared(Anchor):
    """tau |x - T(x)|^2, of points of the source itself.

    Where x has more coordinates than T(x), they are noise that the map may use, and come last.
    """

    def __init__(self, tau: float) -> None:
        super().__init__()
        self.tau = tau

    def cost(self, x: Tensor, moved: Tensor) -> Tensor:
        """Of each sample."""
        return self.tau * _squared(x, moved)


class Rebased(Anchor):
    """|T_old(x) - T(x)|^2 / (2 h), with x of the first source in all outer steps; T_old is the map of the last one.

    A step costs as many evaluations of networks whichever it is (Choi, Choi, Kang 2024, section 4).
    """

    def __init__(self, h: float) -> None:
        super().__init__()
        self.h = h
        self.old: nn.Module = nn.Identity()

    def advance(self, network: Any) -> None:
        """The map becomes the old one."""
        self.old = frozen(network)

    def cost(self, x: Tensor, moved: Tensor) -> Tensor:
        """Of each sample."""
        with torch.no_grad():
            before = self.old(x)
        return _squared(before, moved) / (2.0 * self.h)


class Composed(Anchor):
    """|x_k - T(x_k)|^2 / (2 h), with x_k the source moved by the maps of all outer steps before.

    The k-th step evaluates k - 1 old maps for each sample (Fan, Zhang, Taghvaei, Chen 2022).
    """

    def __init__(self, h: float) -> None:
        super().__init__()
        self.h = h
        self.chain = nn.ModuleList()

    def advance(self, network: Any) -> None:
        """One more map in the chain."""
        self.chain.append(frozen(network))

    def source(self, x: Tensor) -> Tensor:
        """Moved by the chain."""
        with torch.no_grad():
            for network in self.chain:
                x = network(x)
        return x

    def cost(self, x: Tensor, moved: Tensor) -> Tensor:
        """Of each sample."""
        return _squared(x, moved) / (2.0 * self.h)
