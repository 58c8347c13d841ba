"""What models have in common that move samples of the target's shape at a cost, against a potential."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from monge.neural.model import Model
from monge.neural.nets import MLP
from monge.neural.penalties import R1
from monge.neural.samples import Samples
from monge.neural.settings import weight
from monge.problem.arrays import shown

__all__ = ["Moving"]


# Up to so many coordinates a map begins near the identity. Beyond, noise is no sample nearly, and has to be forgotten:
# after 1,000 iterations on digits W2 was 1.29 times that of true samples for MLP(x), 1.47 for x + MLP(x); on eight
# Gaussians, in the end, 1.5 and 1.1.
_NEAR = 16


@dataclass(kw_only=True, eq=False, repr=False)
class Moving(Model):
    """A map from a source in the target's space, since what it costs to move x is |x - Tx|^2.

    Parameters
    ----------
    r1 : float
        Weight of (r1 / 2) E |grad v(y)|^2 at samples of the target, in the loss of v.
    """

    r1: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.r1 = weight(self.r1, "r1")
        if self.potential is not None:
            R1(self.r1).check(self.potential)
        if self.latent is not None:
            raise ValueError(
                f"latent should be None: the map moves samples of the target's shape, at a cost of |x - Tx|^2; got "
                f"{shown(self.latent)}."
            )

    def _new_map(self, source: tuple[int, ...], target: tuple[int, ...]) -> Any:
        near = math.prod(target) <= _NEAR
        return MLP(**{**super()._new_map(source, target).recipe, "residual": near})

    def _sources(self, source: Any, target: tuple[int, ...]) -> Samples:
        found = super()._sources(source, target)
        if found.shape != target:
            raise ValueError(
                f"source: samples should have the target's shape {target}, since the map moves them at a cost of "
                f"|x - Tx|^2; these have {found.shape}."
            )
        return found
