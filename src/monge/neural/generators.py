"""Generators that learn from the loss of two minibatches: what they made, and real samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from monge.neural.draws import Draws
from monge.neural.functionals import Ascent, Functional
from monge.neural.losses import Loss, loss_of
from monge.neural.model import Model
from monge.neural.nets import MLP, widths
from monge.neural.penalties import Clip, Penalty, Unconstrained
from monge.neural.settings import rate
from monge.neural.training import Slots
from monge.neural.unrolled import power
from monge.problem.arrays import positive_integer

__all__ = ["MinibatchGenerator", "Minibatches"]

# Features of a learned cost.
_FEATURES = 16


@dataclass(frozen=True)
class Minibatches(Functional):
    """The mean loss of some pairs of minibatches; with features beside them, where there is a potential to raise it."""

    loss: Loss
    count: int = 1
    adversarial: bool = False
    penalty: Penalty = field(default_factory=Unconstrained)

    def evaluate(self, potential: Any, points: Tensor) -> Tensor:
        """Features of each point beside its own coordinates, (n, d + k)."""
        found: Tensor = potential(points)
        if found.ndim < 2 or len(found) != len(points):
            raise ValueError(
                f"potential should make features (n, k) of n samples; of {tuple(points.shape)} it made "
                f"{tuple(found.shape)}."
            )
        return torch.cat([points.flatten(1), found.flatten(1)], dim=1)

    def ascent(self, potential: Any, real: Tensor, moved: Tensor, cost: Callable[[], Tensor], draws: Draws) -> Ascent:
        """See `Functional`."""
        value = self.descent(potential, real, moved, draws)
        return Ascent(self.penalty(potential, real, moved, draws) - value, value)

    def descent(self, potential: Any, real: Tensor, moved: Tensor, draws: Draws) -> Tensor:
        """See `Functional`."""
        x, y = (moved, real) if potential is None else (self.evaluate(potential, each) for each in (moved, real))
        if not bool(x.isfinite().all() and y.isfinite().all()):
            # A solver would refuse these points; the loop knows what to do about a loss that is not finite.
            return x.sum() + y.sum()
        x, y = (points.reshape(self.count, len(points) // self.count, -1) for points in (x, y))
        return self.loss(x, y, draws).mean()


@dataclass(kw_only=True, eq=False, repr=False)
class MinibatchGenerator(Model):
    """A generator that lowers the loss of two minibatches, of what it made and of real samples, by no critic.

    Each step lowers ``mean over k pairs of L(T(z), y)``, with fresh minibatches of noise z and of real samples y:

    ============  =================================================  ===========================================
    loss          L                                                  settings
    ============  =================================================  ===========================================
    "emd"         W_p^p, exactly (Fatras et al. 2020)                p
    "sinkhorn"    the Sinkhorn divergence, solved                    p, eps (a 400th of the mean cost between
                                                                     real samples)
    "unrolled"    2 W(x, y) - W(x, x) - W(y, y) of `n_iter` steps    p, eps (a 20th of it), n_iter (10)
                  of Sinkhorn's, `UnrolledSinkhorn` (Genevay et
                  al. 2018)
    "sliced"      SW_p^p, directions new in each step (Deshpande,    p, n_projections (50)
                  Zhang, Schwing 2018)
    "energy"      2 E|x - y| - E|x - x'| - E|y - y'|, x != x'
    "mmd"         the same with a sum of kernels                     bandwidth (six, .02 to 1 times what real
                  -exp(-r^2 / (2 h^2)) (Li, Swersky, Zemel 2015)     samples are apart)
    ============  =================================================  ===========================================

    The cost is |x - y|^p. Two minibatches of one law differ: W, the divergence and SW of them are not zero then, and
    are least, on average, for a generator whose samples lie closer together than the target's (Bellemare et al. 2017,
    section 3), the more so the smaller the batch and the more dimensions there are. "energy" and "mmd" leave out the
    pairs of a point and itself: their mean over minibatches is the distance of the laws.

    Parameters
    ----------
    loss : str or callable
        A name of the table; or a function of two tensors of points (m, d), samples of any shape in rows, that returns a
        scalar tensor, such as the modules of ``monge.torch``.
    p, eps, n_iter, n_projections, bandwidth : float, float, int, int, float or sequence of float, optional
        Settings of the loss that has them, None for its own choice; p is 2 then. eps is in units of the cost, bandwidth
        in those of the samples.
    n_minibatches : int
        Pairs of minibatches in a step, k; `batch_size` is the size of one minibatch.
    learned_cost : bool
        The loss is that of phi(x) and phi(y), with phi trained to raise it: the cost is |phi(x) - phi(y)|^p (Genevay
        et al. 2018, section 3.3). Here phi(x) = (x, features of x), so that no features can make points equal that are
        far apart. The features are the potential, by itself a network with 16 outputs, whose steps, `potential_steps`
        for each of the map, are RMSProp's. For samples whose distances say little, such as images; it learns more
        slowly than a fixed cost.
    clip : float
        Largest weight of the features. Where they are many times as large as x they decide alone, and modes are missed.
    map, potential, n_steps, batch_size, lr, potential_lr, final_lr, betas, ema, potential_steps, latent, rng, device
        As of all models: see `Model`. Without `latent` there is as much noise as a sample has numbers; much more of it
        than that leaves samples on the way from one cluster to the next.

    Attributes
    ----------
    history : History
        ``value`` is the loss of each step's minibatches.
    status : TrainingStatus
        Why training ended.
    map_ : torch.nn.Module
        The network that samples are made by.
    potential_ : torch.nn.Module or None
        The features, without the point beside them.

    Raises
    ------
    ValueError, TypeError
        For a loss that is not known, a setting that it has not, or one out of range.

    See Also
    --------
    UnrolledSinkhorn : The loss of that name.
    monge.torch.Minibatch : A loss of batches within the batch, debiased on request.

    Notes
    -----
    K. Fatras, Y. Zine, R. Flamary, R. Gribonval, N. Courty, "Learning with minibatch Wasserstein: asymptotic and
    gradient properties", AISTATS 2020; A. Genevay, G. Peyré, M. Cuturi, "Learning generative models with Sinkhorn
    divergences", AISTATS 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from monge.neural import MinibatchGenerator
    >>> target = np.random.default_rng(0).normal(size=(500, 1)) + 3.0
    >>> model = MinibatchGenerator(loss="energy", n_steps=100, batch_size=64, ema=0.9, rng=0).fit(target)
    >>> bool(abs(model.sample(1000, rng=0).mean() - 3.0) < 0.3)
    True
    """

    loss: Any = "emd"
    p: float | None = None
    eps: float | None = None
    n_iter: int | None = None
    n_projections: int | None = None
    bandwidth: float | Sequence[float] | None = None
    n_minibatches: int = 1
    learned_cost: bool = False
    clip: float = 0.03
    n_steps: int = 3000
    latent: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, check in _CHECKS.items():
            if getattr(self, name) is not None:
                setattr(self, name, check(getattr(self, name), name))
        if self.potential is not None and not self.learned_cost:
            raise ValueError(
                "potential is the network of a learned cost, which was not asked for. Leave it out, or pass "
                "learned_cost=True."
            )
        if self.batch_size < 2:
            raise ValueError("batch_size should be 2 or more: losses compare the samples of one side, too; got 1.")
        self._functional()  # which knows what settings the loss has

    def _functional(self) -> Functional:
        settings = {name: getattr(self, name) for name in ("p", "eps", "n_iter", "n_projections", "bandwidth")}
        return Minibatches(
            loss=loss_of(self.loss, **settings),
            count=self.n_minibatches,
            adversarial=self.learned_cost,
            penalty=Clip(self.clip),
        )

    def _slots(self) -> Slots:
        return replace(super()._slots(), batch_size=self.batch_size * self.n_minibatches)

    def _new_potential(self, target: tuple[int, ...]) -> Any:
        return MLP(target, _FEATURES, hidden=widths(target))

    def _optimizer(self, network: Any, name: str) -> Any:
        if name == "map":
            return super()._optimizer(network, name)
        learned = [each for each in network.parameters() if each.requires_grad]
        return torch.optim.RMSprop(learned, lr=self.lr if self.potential_lr is None else self.potential_lr)


def _bandwidths(value: Any, name: str) -> float | tuple[float, ...]:
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value):
        return tuple(rate(each, name) for each in value)
    return rate(value, name)


_CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "p": lambda value, name: power(value),
    "eps": rate,
    "n_iter": positive_integer,
    "n_projections": positive_integer,
    "bandwidth": _bandwidths,
    "n_minibatches": positive_integer,
    "clip": rate,
}
