"""How strictly a plan's marginals must agree with the weights.

Each side of an entropic problem carries a penalty on its marginal p against the weights a, as in Chizat, Peyre,
Schmitzer and Vialard 2018, "Scaling algorithms for unbalanced optimal transport problems", sections 4 and 5:

    Balanced   p = a                       f <- s
    KL(rho)    rho KL(p | a)               f <- s / (1 + eps / rho)
    TV(rho)    rho |p - a|_1               f <- min(max(s, -rho), rho)

where s is the softmin that the other potential gives. All three are `f <- clip(s / (1 + eps / kl), -cap, cap)`, with
infinity for what does not apply, so kernels take the two numbers and know no names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.problem.arrays import real_number, shown

__all__ = ["KL", "TV", "Balanced", "Marginal", "as_marginals"]


@dataclass(frozen=True)
class Marginal:
    """What one side of the problem asks of the plan; `Balanced`, `KL` and `TV` make these."""

    kl: float = math.inf  # weight of the Kullback-Leibler penalty
    cap: float = math.inf  # weight of the total variation penalty

    @property
    def fixed(self) -> bool:
        """Whether the plan's marginal must be the weights."""
        return math.isinf(self.kl) and math.isinf(self.cap)

    def potential(self, softmin: NDArray[np.float64], eps: float) -> NDArray[np.float64]:
        """The best potential of this side, where a balanced one would be `softmin`."""
        return np.clip(softmin / (1.0 + eps / self.kl), -self.cap, self.cap)


class Balanced(Marginal):
    """The plan's marginal is exactly the weights.

    Examples
    --------
    >>> from monge.entropic.marginals import Balanced
    >>> Balanced()
    Balanced()
    """

    def __init__(self) -> None:
        super().__init__()

    def __repr__(self) -> str:
        return "Balanced()"


class KL(Marginal):
    """The marginal p may differ from the weights a at the price rho KL(p | a) = rho sum(p log(p / a) - p + a).

    Parameters
    ----------
    rho : float
        Cost units per unit of mass, positive. Infinity is the balanced problem.

    Examples
    --------
    >>> import monge
    >>> monge.KL(2)
    KL(2.0)
    """

    def __init__(self, rho: float) -> None:
        super().__init__(kl=_price(rho, "KL"))

    def __repr__(self) -> str:
        return f"KL({self.kl!r})"


class TV(Marginal):
    """The marginal p may differ from the weights a at the price rho |p - a|_1.

    No mass is moved where that costs more than 2 rho, the price of leaving it out on both sides.

    Parameters
    ----------
    rho : float
        Cost units per unit of mass, positive. Infinity is the balanced problem.

    Examples
    --------
    >>> import monge
    >>> monge.TV(2)
    TV(2.0)
    """

    def __init__(self, rho: float) -> None:
        super().__init__(cap=_price(rho, "TV"))

    def __repr__(self) -> str:
        return f"TV({self.cap!r})"


_BALANCED = Balanced()


def as_marginals(marginals: Any) -> tuple[Marginal, Marginal]:
    """What is asked of the rows and on the columns, from one for both sides, a pair, or None for balanced ones."""
    if marginals is None:
        return _BALANCED, _BALANCED
    pair = marginals if isinstance(marginals, tuple | list) else (marginals, marginals)
    pair = tuple(Balanced() if side is None else side for side in pair)
    if len(pair) != 2 or not all(isinstance(side, Marginal) for side in pair):
        raise TypeError(
            "marginals should be None, monge.KL(rho), monge.TV(rho), or a pair of them, one for the rows and one for "
            f"the columns; got {marginals!r}."
        )
    return pair[0], pair[1]


def _price(rho: Any, name: str) -> float:
    price = real_number(rho, f"the rho of monge.{name}", "a positive number")
    if not price > 0.0:
        raise ValueError(f"the rho of monge.{name} should be positive; got {shown(rho)}.")
    return price
