"""What a map is held by: the second slot of the training loop.

Each step of a proximal scheme minimises a functional of what the map makes of its source, plus a cost of moving. An
anchor knows that cost, and where its samples start from.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Anchor", "Composed", "Free", "Outer", "Rebased", "Squared", "frozen"]


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


class Outer(Anchor):
    """|y - T(x)|^2 / (2 h), with y what the outer steps before have made of x. The maps of all of them are kept."""

    def __init__(self, h: float) -> None:
        super().__init__()
        self.h = h
        self.maps = nn.ModuleList()

    def advance(self, network: Any) -> None:
        """One more map."""
        self.maps.append(frozen(network))

    def during(self, step: int) -> Outer:
        """As it was in outer step `step`, from 1, one that has begun."""
        found = type(self)(self.h)
        found.maps = self.maps[: step - 1]
        return found

    def before(self, x: Tensor) -> Tensor:
        """y, of what `source` returned."""
        return x

    def cost(self, x: Tensor, moved: Tensor) -> Tensor:
        """Of each sample."""
        with torch.no_grad():
            before = self.before(x)
        return _squared(before, moved) / (2.0 * self.h)


class Rebased(Outer):
    """|T_old(x) - T(x)|^2 / (2 h), with x of the first source in all outer steps; T_old is the map of the last one.

    A step costs as many evaluations of networks whichever it is (Choi, Choi, Kang 2024, section 4).
    """

    def before(self, x: Tensor) -> Tensor:
        """T_old(x), and x in the first outer step."""
        return self.maps[-1](x) if self.maps else x


class Composed(Outer):
    """|x_k - T(x_k)|^2 / (2 h), with x_k the source moved by the maps of all outer steps before.

    The k-th step evaluates k - 1 old maps for each sample (Fan, Zhang, Taghvaei, Chen 2022).
    """

    def source(self, x: Tensor) -> Tensor:
        """x_k."""
        with torch.no_grad():
            for network in self.maps:
                x = network(x)
        return x
