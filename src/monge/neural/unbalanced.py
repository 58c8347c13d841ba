"""Functionals of transport that may leave mass behind, by their duals.

Unbalanced transport, with c what the anchor says that moving costs and D1, D2 two divergences of entropies:

    inf over rho of  C(rho) + D1(rho_1 | mu) + D2(rho_2 | nu)
      = sup over v of  -E_mu Psi1*(v(Tx) - c(x, Tx)) - E_nu Psi2*(-v(y)),    where Tx minimises c(x, .) - v(.)

(Choi, Choi, Kang 2023, section 4). With Psi1* linear the source is kept, and the functional is that of a JKO step,
c + D2 (Choi, Choi, Kang 2024, section 4); with both it is the dual of optimal transport.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from monge.neural.draws import Draws
from monge.neural.entropies import Entropy
from monge.neural.functionals import Ascent, Functional, scores
from monge.neural.penalties import Penalty, Unconstrained

__all__ = ["Divergence", "UnbalancedDual"]


@dataclass(frozen=True)
class Divergence(Functional):
    """D(moved | real) of an entropy: the largest -E v(moved) - E Psi*(-v(real)).

    The value is that, which the potential raises to the divergence from below; the map lowers -E v(moved).
    """

    entropy: Entropy
    penalty: Penalty = field(default_factory=Unconstrained)

    def ascent(self, potential: Any, real: Tensor, moved: Tensor, cost: Callable[[], Tensor], draws: Draws) -> Ascent:
        """See `Functional`."""
        left = self.entropy.conjugate(-scores(potential, real)).mean()
        value = -scores(potential, moved).mean() - left
        return Ascent(self.penalty(potential, real, moved, draws) - value, value)

    def descent(self, potential: Any, real: Tensor, moved: Tensor, draws: Draws) -> Tensor:
        """See `Functional`."""
        return -scores(potential, moved).mean()


@dataclass(frozen=True)
class UnbalancedDual(Functional):
    """Transport to the real samples, with an entropy for what is left of the source and one for the target.

    The value is the whole of it: what moving costs, and both divergences. With a linear entropy of the source the steps
    are those of `Divergence`, of which the value then exceeds by E c.
    """

    source: Entropy
    target: Entropy
    penalty: Penalty = field(default_factory=Unconstrained)

    def ascent(self, potential: Any, real: Tensor, moved: Tensor, cost: Callable[[], Tensor], draws: Draws) -> Ascent:
        """See `Functional`."""
        left = self.target.conjugate(-scores(potential, real)).mean()
        value = -self.source.conjugate(scores(potential, moved) - cost()).mean() - left
        return Ascent(self.penalty(potential, real, moved, draws) - value, value)

    def descent(self, potential: Any, real: Tensor, moved: Tensor, draws: Draws) -> Tensor:
        """See `Functional`."""
        return -scores(potential, moved).mean()
