"""How far two clouds are apart, as a class of functions sees it: one interface for three classes.

sup_f  E f(x) - E f(y)

    Kantorovich(penalty)      slopes of at most one             W1
    TotalVariation()          values between -1/2 and 1/2       total variation
    KernelBall(bandwidths)    a reproducing kernel's ball       MMD, whose best f is known
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from monge.neural.draws import Draws, device_of
from monge.neural.estimate import estimated
from monge.neural.functionals import IntegralMetric
from monge.neural.history import History
from monge.neural.nets import MLP, widths
from monge.neural.samples import Rows, Samples, points_of, samples_of
from monge.neural.settings import rate
from monge.neural.training import TrainingStatus
from monge.neural.training import own as copied
from monge.problem.arrays import positive_integer, seconds, shown
from monge.problem.at_home import at_home
from monge.problem.home import home_of_any

__all__ = ["Discrepancy", "discrepancy"]

_ADVICE = {
    TrainingStatus.TIME_LIMIT: "time_limit ran out; raise it",
    TrainingStatus.DIVERGED: (
        "a loss or its gradient was not finite: the network is that of the step before. Lower lr, or look for outliers"
    ),
}

# Points that go through a function at once when it is used.
_AT_ONCE = 4096


@dataclass(frozen=True)
class Discrepancy:
    """What `discrepancy` found.

    Attributes
    ----------
    value : float
        E f(x) - E f(y).
    status : TrainingStatus
        Why training ended; DONE where there is none.
    history : History
        ``value`` is the estimate of each batch; empty where nothing is trained.

    Methods
    -------
    witness(z)
        f, of points (n, ...).
    """

    value: float
    status: TrainingStatus
    history: History = field(repr=False)
    functions: IntegralMetric = field(repr=False)
    network: Any = field(repr=False)
    clouds: tuple[Tensor, Tensor] = field(repr=False)  # real and moved

    def witness(self, z: Any) -> Any:
        """The function f of the class that tells x from y: high at x, low at y.

        Parameters
        ----------
        z : array_like (n, ...)
            Points.

        Returns
        -------
        array (n,)
            In float32, in the library that z is an array of.
        """
        home, (real, _) = home_of_any(z), self.clouds
        points = points_of(z, "z", real.shape[1:], real.device, what="points of shape")
        return at_home(_values(self.functions.witness(self.network, *self.clouds), points), home)


def discrepancy(
    x: Any,
    y: Any,
    functions: IntegralMetric,
    *,
    network: Any = None,
    n_steps: int = 1000,
    batch_size: int = 256,
    lr: float = 1e-3,
    samples: int = 4096,
    rng: Any = None,
    device: Any = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> Discrepancy:
    """The largest difference of means E f(x) - E f(y), of functions f of a class: an integral probability metric.

    The class decides what is seen. Lipschitz functions see how far mass has to go (W1); bounded ones whether the laws
    overlap (total variation); those of a kernel's ball what is nearer than its bandwidth (MMD).

    Parameters
    ----------
    x, y : array_like (n, ...), (m, ...), or callable
        Points of both laws, along the first axis; or samplers, ``x(rng, n)`` with a `numpy.random.Generator`.
    functions : IntegralMetric
        What f may be: ``Kantorovich(GradientPenalty(weight, one_sided=True))``, ``Kantorovich(Clip(limit))``,
        ``TotalVariation()``, ``EnergyHinge(margin)`` or ``KernelBall(bandwidths)``.
    network : torch.nn.Module, optional
        From points (k, ...) to k numbers; a copy of it is trained. None for three layers of
        128 ReLUs, or of 256 beyond 16 coordinates.
    n_steps : int
        Steps of the network; a kernel's ball needs none.
    batch_size : int
        Points of either side in a step.
    lr : float
        Adam's rate at the start, which falls to a twentieth by a cosine.
    samples : int
        Points that are drawn from a sampler for `value`, and of a kernel's ball for f.
    rng : None, int or numpy.random.Generator
        Source of all randomness, first weights included.
    device : str or torch.device, optional
        Where to compute; None for the CPU.
    time_limit : float, optional
        Seconds of training.
    progress : bool
        Show steps (needs tqdm).

    Returns
    -------
    Discrepancy
        ``value``, ``witness(z)``, ``status``, ``history``.

    Raises
    ------
    ValueError, TypeError
        Points that are not finite, or of two shapes; functions of another kind; numbers that are not positive.

    Warns
    -----
    ConvergenceWarning
        If `time_limit`, or a loss that is not finite, ended training: the value is that of the network until then.

    Notes
    -----
    Mueller 1997, "Integral probability metrics and their generating classes of functions"; Arjovsky, Chintala and
    Bottou 2017, section 5. What a network reaches is the value of the function that it is: below the metric as far as
    it was trained too little, above it as far as it leaves the class or learns the points by heart. A penalty of weight
    w on slopes finds a shift by t to be ``t (1 + t / (2 w))``: the best of s t - w (s - 1)^2. For W1 with a
    proof see `critic`, and for clouds that are small enough the exact `wasserstein` and `mmd`.

    Examples
    --------
    Two parallel segments, three apart: W1 is 3, the total variation 1, and kernels see no difference between far and
    farther:

    >>> import numpy as np, monge.neural
    >>> from monge.neural import KernelBall, TotalVariation
    >>> heights = np.linspace(0.0, 1.0, 100)
    >>> x, y = (np.column_stack([np.full(100, place), heights]) for place in (0.0, 3.0))
    >>> found = monge.neural.discrepancy(x, y, TotalVariation(), n_steps=50, rng=0)
    >>> 0.95 < found.value <= 1.0
    True
    >>> ball = KernelBall((0.5,))
    >>> [round(monge.neural.discrepancy(x, y + [further, 0.0], ball).value, 3) for further in (0.0, 5.0)]
    [1.233, 1.233]
    """
    if not isinstance(functions, IntegralMetric):
        raise TypeError(
            "functions should be a class of functions, such as Kantorovich(GradientPenalty(1.0, one_sided=True)), "
            f"TotalVariation() or KernelBall((1.0,)); got {shown(functions)}."
        )
    if not (network is None or isinstance(network, nn.Module)):
        raise TypeError(f"network should be a torch.nn.Module, or None; got {shown(network)}.")
    n_steps, batch_size = positive_integer(n_steps, "n_steps"), positive_integer(batch_size, "batch_size")
    step, samples = rate(lr, "lr"), positive_integer(samples, "samples")
    limit = seconds(time_limit)
    place = device_of(device)
    draws = Draws(rng, place)
    sides = samples_of(x, "x", place), samples_of(y, "y", place)
    if sides[0].shape != sides[1].shape:
        raise ValueError(f"x and y should hold points of one shape; got {sides[0].shape} and {sides[1].shape}.")
    moved, real = (_all(side, samples, draws) for side in sides)
    if not functions.adversarial:
        return _found(functions, None, moved, real, TrainingStatus.DONE, History())

    with draws.of_torch():  # from which layers take their first weights
        own = MLP(sides[0].shape, 1, hidden=widths(sides[0].shape)) if network is None else copied(network)
    own = own.to(place)
    status, history = estimated(
        "discrepancy",
        functions,
        own,
        sides,
        draws,
        n_steps=n_steps,
        batch_size=batch_size,
        lr=step,
        limit=limit,
        progress=progress,
        advice=_ADVICE,
    )
    return _found(functions, own, moved, real, status, history)


def _all(side: Samples, samples: int, draws: Draws) -> Tensor:
    return side.values if isinstance(side, Rows) else side.draw(samples, draws)


def _found(
    functions: IntegralMetric, network: Any, moved: Tensor, real: Tensor, status: TrainingStatus, history: History
) -> Discrepancy:
    f = functions.witness(network, real, moved)
    value = float(_values(f, moved).mean(dtype=np.float64) - _values(f, real).mean(dtype=np.float64))
    return Discrepancy(value, status, history, functions, network, (real, moved))


def _values(f: Any, points: Tensor) -> NDArray[np.float32]:
    with torch.no_grad():
        return np.concatenate([f(part).cpu().numpy() for part in points.split(_AT_ONCE)])
