"""Generative models by the scheme of Jordan, Kinderlehrer and Otto: maps of one source (SJKO), or composed (JKO)."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from monge.neural.anchors import Anchor, Composed, Outer, Rebased
from monge.neural.entropies import entropy_of
from monge.neural.functionals import Functional, JensenShannon
from monge.neural.model import Model
from monge.neural.moving import Moving
from monge.neural.penalties import R1
from monge.neural.settings import rate
from monge.neural.training import Slots
from monge.neural.unbalanced import Divergence
from monge.problem.arrays import positive_integer, shown

__all__ = ["JKO", "SJKO"]

_FUNCTIONALS = ("softplus", "kl", "chi2", "js")

# Iterations of the first outer step over those of a later one: the paper's, for images.
_FIRST = 5


@dataclass(kw_only=True, eq=False, repr=False)
class SJKO(Moving):
    """A flow of the source to the target in a few steps of the JKO scheme, all of them maps of the source (S-JKO).

    With nu the law of the target, and mu that of the source, each outer step lowers a divergence F from nu for the
    price of the way,

        rho_k minimises F(rho | nu) + W2^2(rho, rho_(k-1)) / (2 h),   rho_0 = mu,

    which in the limit of small h is the gradient flow of F. Here rho_k is what a map T_k makes of mu, and F is known by
    its dual, a potential v, as in unbalanced transport:

        sup_v  E |T_(k-1) x - T_k x|^2 / (2 h) - E v(T_k x) - E Psi*(-v(y)),   T_k minimises the first two.

    T_k, v and their optimisers go on from where the step before has left them. As all maps start from the same x, an
    iteration evaluates three networks however many steps there were: K steps take O(K) time.

    Parameters
    ----------
    functional : {"softplus", "kl", "chi2", "js"}
        F, as E Psi of the density rho / nu: t log t + (2 - t) log(2 - t), finite up to a density of two;
        t log t - t + 1, Kullback and Leibler's; (t - 1)^2. Or Jensen's and Shannon's, by a classifier's logits, for
        which T_k lowers E softplus(-v(T_k x)): the steps are then those of 2 KL((rho + nu) / 2 | nu), whose slope does
        not vanish far from the target.
    h : float
        Length of an outer step: squared distance over 2 h is the cost, `UOTM`'s with tau = 1 / (2 h).
    n_outer : int
        Outer steps K. Raise it, and `resume`, for more.
    n_steps : int
        Iterations of each outer step.
    first_steps : int, optional
        Iterations of the first, which has networks to learn from scratch. None for five times `n_steps`.
    later_lr : float
        Share of `lr` and `potential_lr` that each later step begins with. Those have less to learn, and what noise has
        moved from one mode of the target to another does not come back.
    r1 : float
        Weight of (r1 / 2) E |grad v(y)|^2 at samples of the target, in the loss of v.
    map, potential, batch_size, lr, potential_lr, final_lr, betas, potential_steps, ema, rng, device
        As of all models: see `Model`. In each outer step the rates fall, and the average of the map begins, anew: no
        step depends on how many there are. Where no map is given it is `UOTM`'s. The source has the target's
        shape; `latent` is not for these models.

    Attributes
    ----------
    history, step, status, map_, potential_
        As of all models. ``history.phase`` is the outer step of each iteration, ``history.value`` the divergence that
        is left, from below; of "js" that of Jensen and Shannon, at most log 2.

    Methods
    -------
    transport(x, step)
        Where samples of the source are after an outer step.
    sample(n, step)
        Samples after an outer step.

    Raises
    ------
    ValueError, TypeError
        For settings out of range; by `fit` for a source of another shape than the target's.

    See Also
    --------
    JKO : The maps composed.
    UOTM : With K = 1 and a source that is kept, ``UOTM(entropy=("linear", functional), tau=1 / (2 * h))``.
    monge.jko : The scheme for energies that are formulas, without networks, on the line and on grids.

    Notes
    -----
    The map of each outer step is kept, and saved, for `transport` and `sample` to show the flow: K times the weights of
    one, of which training uses the last. They are the averages that the steps ended with.

    References
    ----------
    Choi, Choi, Kang 2024, "Scalable Wasserstein gradient flow for generative modeling through unbalanced optimal
    transport", equation 14 and Algorithm 1; with Psi* of zero 0.

    Examples
    --------
    >>> import numpy as np
    >>> from monge.neural import MLP, SJKO
    >>> y = np.random.default_rng(0).normal(3.0, 0.5, 1000)
    >>> nets = {"map": MLP(1, 1, hidden=(32,), residual=True), "potential": MLP(1, 1, hidden=(32,))}
    >>> steps = {"n_outer": 2, "first_steps": 150, "n_steps": 150, "batch_size": 64, "lr": 1e-2, "later_lr": 0.5}
    >>> model = SJKO(functional="kl", h=0.5, rng=0, **steps, **nets).fit(y)
    >>> means = [float(model.sample(1000, step=k, rng=0).mean()) for k in range(3)]
    >>> bool(abs(means[0]) < 0.1 and 1.5 < means[1] < means[2] < 3.1)
    True
    """

    functional: str = "softplus"
    h: float = 0.5
    n_outer: int = 4
    n_steps: int = 400
    first_steps: int | None = None
    later_lr: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (isinstance(self.functional, str) and self.functional in _FUNCTIONALS):
            raise ValueError(
                f"functional should be one of {', '.join(map(repr, _FUNCTIONALS))}; got {shown(self.functional)}."
            )
        self.h = rate(self.h, "h")
        self.n_outer = positive_integer(self.n_outer, "n_outer")
        if self.first_steps is not None:
            self.first_steps = positive_integer(self.first_steps, "first_steps")
        self.later_lr = rate(self.later_lr, "later_lr")

    def transport(self, x: Any, *, step: int | None = None) -> Any:
        """Where samples of the source are after an outer step.

        Parameters
        ----------
        x : array_like (n, ...)
            Samples of the source's shape.
        step : int, optional
            The outer step, up to the one that was begun last; 0 for x itself. None for the last.

        Returns
        -------
        array (n, ...)
            Of the target's shape, float32, in the library that x is an array of.
        """
        return Model.transport(self._after(step), x)

    def sample(self, n: int, *, step: int | None = None, rng: Any = None) -> NDArray[Any]:
        """Draw samples of the source at random, and move them.

        Parameters
        ----------
        n : int
            How many.
        step : int, optional
            The outer step that they are moved to, as in `transport`: the same `rng` draws the same samples of the
            source.
        rng : None, int or numpy.random.Generator
            Source of the draw.

        Returns
        -------
        ndarray (n, ...)
            In single precision.
        """
        return Model.sample(self._after(step), n, rng=rng)

    def _after(self, step: int | None) -> SJKO:
        """The model as it was when an outer step was over."""
        if step is None:
            return self
        state = self._fitted("step")
        if isinstance(step, bool) or not isinstance(step, int | np.integer) or not 0 <= step <= state.phase:
            raise ValueError(
                f"step should be an outer step, from 0, the source, to {state.phase}, the last that was begun; got "
                f"{shown(step)}."
            )
        if step == state.phase:
            return self
        then, was = copy.copy(self), copy.copy(state)
        assert isinstance(state.anchor, Outer)
        was.anchor = state.anchor.during(max(step, 1))
        was.average = state.anchor.maps[step - 1] if step else nn.Identity()
        then._state = was
        return then

    # What fills the slots.

    def _functional(self) -> Functional:
        penalty = R1(self.r1)
        if self.functional == "js":
            return JensenShannon(penalty)
        return Divergence(entropy_of(self.functional), penalty)

    def _anchor(self) -> Anchor:
        return Rebased(self.h)

    def _phases(self) -> tuple[int, ...]:
        first = self.first_steps or _FIRST * self.n_steps
        return (first, *[self.n_steps] * (self.n_outer - 1))

    def _slots(self) -> Slots:
        return replace(super()._slots(), later=self.later_lr)


@dataclass(kw_only=True, eq=False, repr=False)
class JKO(SJKO):
    """A flow of the source to the target in a few steps of the JKO scheme, each a map of what the one before has made.

    The steps are those of `SJKO`; but the k-th map starts from x_k = T_(k-1) ... T_1 x, at a cost of
    |x_k - T_k x_k|^2 / (2 h). Its samples have to be made by k - 1 maps in each iteration, so that K steps take O(K^2)
    time, and it takes all K maps to make a sample. It is what `SJKO` is compared with.

    Parameters
    ----------
    functional, h, n_outer, n_steps, first_steps, later_lr, r1
        As of `SJKO`.
    map, potential, batch_size, lr, potential_lr, final_lr, betas, potential_steps, ema, rng, device
        As of all models: see `Model`.

    Attributes
    ----------
    history, step, status, map_, potential_
        As of `SJKO`; ``map_`` is the last map, of x_K.

    Raises
    ------
    ValueError, TypeError
        As `SJKO`.

    See Also
    --------
    SJKO : All maps start from the source.

    References
    ----------
    Fan, Zhang, Taghvaei, Chen 2022, "Variational Wasserstein gradient flow", Algorithm 1, with networks that go on from
    step to step.

    Examples
    --------
    >>> import numpy as np
    >>> from monge.neural import JKO, MLP
    >>> y = np.random.default_rng(0).normal(3.0, 0.5, 1000)
    >>> nets = {"map": MLP(1, 1, hidden=(32,), residual=True), "potential": MLP(1, 1, hidden=(32,))}
    >>> model = JKO(functional="kl", h=0.5, n_outer=3, first_steps=10, n_steps=10, rng=0, **nets).fit(y)
    >>> model.history.evaluations[[0, 10, 20]]
    array([2, 4, 6])
    """

    def _anchor(self) -> Anchor:
        return Composed(self.h)
