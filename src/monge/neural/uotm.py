"""Generative models by a transport map: of all mass (OTM), or of the mass that is worth its way (UOTM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monge.neural.anchors import Anchor, Squared
from monge.neural.draws import Draws
from monge.neural.entropies import Entropy, entropy_of
from monge.neural.functionals import Functional, scores
from monge.neural.model import _AT_ONCE
from monge.neural.moving import Moving
from monge.neural.penalties import R1
from monge.neural.samples import Noise, Samples, Widened, points_of
from monge.neural.settings import rate
from monge.neural.training import State, aside
from monge.neural.unbalanced import UnbalancedDual
from monge.problem.arrays import shown
from monge.problem.at_home import at_home
from monge.problem.home import home_of_any

__all__ = ["OTM", "UOTM"]


@dataclass(kw_only=True, eq=False, repr=False)
class UOTM(Moving):
    """Unbalanced optimal transport from the source to the target, with the map as a generator.

    The map T and the potential v solve

        sup_v  -E Psi1*(v(Tx) - c(x, Tx)) - E Psi2*(-v(y)),   Tx minimises c(x, .) - v(.),   c(x, y) = tau |x - y|^2,

    the dual of transport between two laws near the source and the target: what moves costs c, and what is left out, or
    counted more often, the divergences of Psi1 and Psi2. The cost holds the map, so that modes are not lost as
    in a GAN; outliers of the target, whose way is too far, get few samples.

    Parameters
    ----------
    tau : float
        Cost of a unit of squared distance, against divergences whose unit is one. Where it is large, samples that are
        far from all others are left out, and at last distant modes; where it is small, the map is held by nothing.
    entropy : {"softplus", "kl", "chi2", "linear"}, Entropy, or a pair of these
        Psi of both sides, or of (source, target). "linear" keeps that side as it is: ("linear", "kl") moves all of the
        source, as a JKO step does. The densities of "softplus" are below two, and its slope is bounded; "kl" is e^s - 1
        up to s = 20 and straight beyond.
    r1 : float
        Weight of (r1 / 2) E |grad v(y)|^2 at samples of the target, in the loss of v. It keeps training steady, and the
        map short of where it should go, by little at the default; less is enough on the line.
    noise : int
        Columns of noise that the map gets beside each x and may use: a plan, not a map.
    map, potential, n_steps, batch_size, lr, potential_lr, final_lr, betas, potential_steps, ema, rng, device
        As of all models: see `Model`. Where no map is given it is x + MLP(x), or MLP(x) of samples with more than 16
        numbers. The source has the target's shape; `latent` is not for these models.

    Attributes
    ----------
    history, step, status, map_, potential_
        As of all models. ``history.value`` is the dual's value: what moving costs, and both divergences.

    Methods
    -------
    source_density(x)
        How much of each sample of the source is moved.
    target_density(y)
        How much arrives at each sample of the target.
    divergences(x, y)
        How far both are from the data.
    transport(x)
        The map, with its noise where there is any.

    Raises
    ------
    ValueError, TypeError
        For settings out of range; by `fit` for a source of another shape than the target's.

    See Also
    --------
    OTM : All mass is moved.

    References
    ----------
    Choi, Choi, Kang 2023, "Generative modeling through the semi-dual formulation of unbalanced optimal transport",
    section 4 and Algorithm 1; with tau in the losses of both networks alike, and Psi* of zero 0.

    Examples
    --------
    A standard normal law to another, and some outliers: they get less than their share.

    >>> import numpy as np
    >>> from monge.neural import MLP, UOTM
    >>> rng = np.random.default_rng(0)
    >>> y = np.append(rng.normal(2.0, 0.5, 990), np.full(10, -8.0))
    >>> nets = {"map": MLP(1, 1, hidden=(32,), residual=True), "potential": MLP(1, 1, hidden=(32,))}
    >>> model = UOTM(n_steps=200, batch_size=64, lr=3e-3, rng=0, **nets).fit(y)
    >>> model.sample(4, rng=0).shape
    (4, 1)
    >>> inlier, outlier = model.target_density([2.0, -8.0])
    >>> bool(outlier < 0.5 * inlier)
    True
    """

    tau: float = 0.1
    entropy: Any = "softplus"
    noise: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.tau = rate(self.tau, "tau")
        if isinstance(self.noise, bool) or not isinstance(self.noise, int | np.integer) or self.noise < 0:
            raise ValueError(f"noise should be a number of columns, not negative; got {shown(self.noise)}.")
        self.noise = int(self.noise)
        self._entropies()

    def source_density(self, x: Any, *, rng: Any = None) -> NDArray[np.float64]:
        """How much of each sample of the source is transported: Psi1*'(v(Tx) - c(x, Tx)).

        Parameters
        ----------
        x : array_like (n, ...)
            Samples of the source's shape.
        rng : None, int or numpy.random.Generator
            Source of the noise beside them; needed only with ``noise``.

        Returns
        -------
        ndarray (n,)
            The density of what leaves, with respect to the source: one where the source is kept.
        """
        state, draws = self._fitted("source_density"), Draws(rng, self._device())
        points = self._points(x, draws)
        moved = torch.from_numpy(self._made(state, points, draws)).to(points.device)
        s = _scores(state, moved) - state.anchor.cost(points, moved)
        return _numbers(self._entropies()[0].density(s))

    def target_density(self, y: Any) -> NDArray[np.float64]:
        """How much is transported to each sample of the target: Psi2*'(-v(y)).

        Parameters
        ----------
        y : array_like (n, ...)
            Samples of the target's shape.

        Returns
        -------
        ndarray (n,)
            The density of what arrives, with respect to the target: small at outliers.
        """
        state = self._fitted("target_density")
        points = points_of(y, "y", self._shapes[1], self._device())
        return _numbers(self._entropies()[1].density(-_scores(state, points)))

    def divergences(self, x: Any, y: Any, *, rng: Any = None) -> tuple[float, float]:
        """How far what leaves is from the source, and what arrives from the target.

        Of an optimal potential their sum is at most tau W2^2 of source and target (Theorem 3.3 of the paper).

        Parameters
        ----------
        x, y : array_like (n, ...), (m, ...)
            Samples of the source and of the target.
        rng : None, int or numpy.random.Generator
            As in `source_density`.

        Returns
        -------
        pair of float
            E Psi1 of the one density, and E Psi2 of the other.
        """
        found = self.source_density(x, rng=rng), self.target_density(y)
        source, target = (
            float(entropy(torch.from_numpy(density)).mean())
            for entropy, density in zip(self._entropies(), found, strict=True)
        )
        return source, target

    def transport(self, x: Any, *, rng: Any = None) -> Any:
        """What the map makes of samples of the source.

        Parameters
        ----------
        x : array_like (n, ...)
            Samples of the source's shape.
        rng : None, int or numpy.random.Generator
            Source of the noise beside them; needed only with ``noise``.

        Returns
        -------
        array (n, ...)
            Of the target's shape, float32, in the library that x is an array of.
        """
        state, draws = self._fitted("transport"), Draws(rng, self._device())
        return at_home(self._made(state, self._points(x, draws), draws), home_of_any(x))

    # What fills the slots.

    def _entropies(self) -> tuple[Entropy, Entropy]:
        pair = self.entropy if isinstance(self.entropy, tuple | list) else (self.entropy, self.entropy)
        if len(pair) != 2:
            raise ValueError(f"entropy should be one for both sides, or a pair (source, target); got {self.entropy!r}.")
        return entropy_of(pair[0]), entropy_of(pair[1])

    def _functional(self) -> Functional:
        return UnbalancedDual(*self._entropies(), R1(self.r1))

    def _anchor(self) -> Anchor:
        return Squared(self.tau)

    def _sources(self, source: Any, target: tuple[int, ...]) -> Samples:
        found = super()._sources(source, target)
        if not self.noise:
            return found
        wide: Samples = Widened(found, self.noise)
        if isinstance(found, Noise):  # with more of it is noise, of which files can say that it is
            wide = Noise(wide.shape)
        return wide

    def _points(self, x: Any, draws: Draws) -> Tensor:
        """Samples of the source as the map takes them."""
        if not self.noise:
            return points_of(x, "x", self._shapes[0], self._device())
        points = points_of(x, "x", (self._shapes[0][0] - self.noise,), self._device(), flat=True)
        return torch.cat([points, draws.normal(len(points), self.noise)], dim=1)


@dataclass(kw_only=True, eq=False, repr=False)
class OTM(UOTM):
    """Optimal transport from the source to the target, with the map as a generator: `UOTM` that leaves out nothing.

        sup_v  E c(x, Tx) - E v(Tx) + E v(y),   Tx minimises c(x, .) - v(.),   c(x, y) = tau |x - y|^2

    Parameters
    ----------
    tau, r1, noise
        As of `UOTM`.
    map, potential, n_steps, batch_size, lr, potential_lr, final_lr, betas, potential_steps, ema, rng, device
        As of all models: see `Model`.

    Attributes
    ----------
    history, step, status, map_, potential_
        As of all models. ``history.value`` is the dual's value, tau W2^2 in the end.

    See Also
    --------
    UOTM : Outliers are left out.

    References
    ----------
    Rout, Korotin, Burnaev 2022, "Generative modeling with optimal transport maps", Algorithm 1, between
    spaces of one dimension.

    Examples
    --------
    >>> import numpy as np
    >>> from monge.neural import MLP, OTM
    >>> y = np.random.default_rng(0).normal(2.0, 0.5, 1000)
    >>> nets = {"map": MLP(1, 1, hidden=(32,), residual=True), "potential": MLP(1, 1, hidden=(32,))}
    >>> model = OTM(n_steps=200, batch_size=64, lr=3e-3, rng=0, **nets).fit(y)
    >>> bool(abs(model.sample(1000, rng=0).mean() - 2.0) < 0.2)
    True
    """

    entropy: Any = "linear"

    def __post_init__(self) -> None:
        if self.entropy != "linear":
            raise ValueError(f"OTM moves all mass: its entropy is 'linear'; got {shown(self.entropy)}. Take UOTM.")
        super().__post_init__()


def _scores(state: State, points: Tensor) -> Tensor:
    """What the potential says of each point, whichever others there are; nothing that training depends on changes."""
    state.potential.eval()  # in which layers such as dropout are one function, and learn nothing
    try:
        with aside(state):
            return torch.cat([scores(state.potential, part) for part in points.split(_AT_ONCE)])
    finally:
        state.potential.train()


def _numbers(values: Tensor) -> NDArray[np.float64]:
    return np.asarray(values.cpu(), dtype=np.float64)
