"""A network as an estimator of W1: trained on minibatches, and certified on all points.

maximise  E D(x) - E D(y)  over D with slopes of at most one                    (Kantorovich and Rubinstein)
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from monge.neural.certificate import certified
from monge.neural.critic_result import Critic, Standardised
from monge.neural.draws import Draws, device_of
from monge.neural.estimate import estimated
from monge.neural.functionals import Kantorovich
from monge.neural.nets import MLP, widths
from monge.neural.penalties import Clip, GradientPenalty, Unconstrained
from monge.neural.samples import Samples, samples_of
from monge.neural.settings import rate
from monge.neural.training import TrainingStatus
from monge.neural.training import own as copied
from monge.problem.arrays import available_threads, positive_integer, seconds, shown
from monge.problem.costs import PointCloud
from monge.problem.home import home_of_any
from monge.problem.measures import check_weights
from monge.spread.sources import Source, source_of

__all__ = ["critic"]

Array = NDArray[np.float64]

PENALTIES: dict[str, Unconstrained] = {
    "lipschitz": GradientPenalty(10.0, one_sided=True),
    "gradient": GradientPenalty(10.0),
    "clip": Clip(0.1),
}

_ADVICE = {
    TrainingStatus.TIME_LIMIT: "time_limit ran out. Go on with init=, or raise time_limit",
    TrainingStatus.DIVERGED: (
        "a loss or its gradient was not finite: the network is that of the step before. Lower lr, or the weight of the "
        "penalty"
    ),
}


def critic(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    penalty: str | Unconstrained = "lipschitz",
    network: Any = None,
    init: Critic | None = None,
    n_steps: int = 1000,
    batch_size: int = 256,
    lr: float = 1e-3,
    samples: int = 4096,
    rng: Any = None,
    device: Any = None,
    threads: int | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> Critic:
    """W1 of two measures, and a potential, by a network that tells one from the other.

    Maximises ``E D(x) - E D(y)`` over networks D, on minibatches, less a penalty on slopes above one: D is high at x
    and low at y. What comes out is an estimate, on either side of W1. Then D is made to obey the constraint: with the
    best scale s, ``f(x_i) = min_j |x_i - y_j| + D(y_j) / s`` and the transform of that at y are feasible for the dual,
    so that they prove a lower bound of the W1 that `emd` would find.

    Parameters
    ----------
    x, y : array_like (n, d) and (m, d), path of a .npy file, or callable
        The two measures. A ``sampler(rng, n)`` returns n independent points (n, d) for a numpy Generator.
    a, b : array_like (n,) and (m,), optional
        Weights of the rows, of any total, which is taken for one; None for uniform ones. Not for samplers.
    penalty : {"lipschitz", "gradient", "clip"} or Penalty
        What keeps slopes down: ``10 E max(|grad D| - 1, 0)^2`` at points between x and y, one-sided, which leaves the
        best D as it is; ``10 E (|grad D| - 1)^2``, which also asks that D be steep where nothing is to be told apart;
        or weights cut to [-0.1, 0.1], after which the estimate has no known scale. Others are made by
        ``monge.neural.GradientPenalty(weight, one_sided)`` and ``Clip(limit)``.
    network : torch.nn.Module, optional
        From points (k, d) to k numbers; a copy of it is trained, in single precision. It sees points about the middle
        of both clouds, over their standard deviation, and its values count in that unit: so nothing depends on the unit
        of x and y. None for three layers of 128 ReLUs, or of 256 beyond 16 coordinates.
    init : Critic, optional
        A former result, whose network goes on, with its middle and its unit.
    n_steps : int
        Steps of the network, 4 to 10 ms each with the one that is supplied.
    batch_size : int
        Points of either side in a step.
    lr : float
        Adam's rate at the start, which falls to a twentieth by a cosine.
    samples : int
        Points that are drawn from a sampler for `value` and `lower_bound`; the network is trained on others.
    rng : None, int or numpy.random.Generator
        Source of all randomness, first weights included. The same seed gives the same result on one machine, with the
        same number of torch's threads.
    device : str or torch.device, optional
        Where to train; None for the CPU.
    threads : int, optional
        For the certificate; torch has its own.
    time_limit : float, optional
        Seconds of training; the certificate is not cut short.
    progress : bool
        Show steps (needs tqdm).

    Returns
    -------
    Critic
        ``value``, ``lower_bound``, the certified ``potential(z)`` and ``gradient(z)``, ``network``, ``scale``,
        ``status``, ``history``.

    Raises
    ------
    ValueError
        Points that are not finite or differ in dimension, weights that are negative, NaN or all zero, weights for a
        sampler, a network with other than one output, numbers that are not positive.
    TypeError
        Arguments that are not what is expected above.

    Warns
    -----
    ConvergenceWarning
        If `time_limit`, or a loss that is not finite, ended training. The bound holds all the same.

    Notes
    -----
    Arjovsky, Chintala and Bottou 2017 (clipped weights), Gulrajani et al. 2017 (the two-sided penalty), Petzka,
    Fischer and Lukovnicov 2018 (the one-sided one). The lower bound is that of the two clouds, or of the samples that
    were drawn; W1 of samples is on average above that of their laws, by some n^(-1/d). All n m pairs are looked at
    twice, and those of two thousand points of either side often, for the scale.

    Examples
    --------
    Two Gaussians, a shift of length 2 apart:

    >>> import numpy as np, monge.neural
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> y = x + [2.0, 0.0]
    >>> found = monge.neural.critic(x, y, n_steps=100, rng=0)
    >>> bool(1.8 < found.lower_bound <= 2.0)
    True
    >>> u = found.potential
    >>> bool(abs(u(x).mean() - u(y).mean() - found.lower_bound) < 1e-9)
    True
    """
    rule = _penalty(penalty)
    n_steps, batch_size = positive_integer(n_steps, "n_steps"), positive_integer(batch_size, "batch_size")
    step, samples = rate(lr, "lr"), positive_integer(samples, "samples")
    number, limit = available_threads(threads), seconds(time_limit)
    home, place = home_of_any(x, y, a, b), device_of(device)
    sides = source_of(x, "x"), source_of(y, "y")
    if sides[0].columns != sides[1].columns:
        raise ValueError(
            f"x and y should have points of the same dimension; got {sides[0].columns} and {sides[1].columns} "
            "coordinates."
        )
    weights = _weights(a, b, sides)
    draws = Draws(rng, place)
    points = [_points(side, samples, draws) for side in sides]
    PointCloud(points[0], points[1], "euclidean").checked()
    own = _network(network, init, points, draws)
    first, second = (
        _samples(side, held, weight, own, name, place)
        for side, held, weight, name in zip(sides, points, weights, ("x", "y"), strict=True)
    )
    status, history = estimated(
        "critic",
        Kantorovich(rule),
        own.inner,
        (first, second),
        draws,
        n_steps=n_steps,
        batch_size=batch_size,
        lr=step,
        limit=limit,
        progress=progress,
        advice=_ADVICE,
    )
    own.eval()
    masses = [np.full(len(p), 1.0 / len(p)) if w is None else w for p, w in zip(points, weights, strict=True)]
    used = [np.flatnonzero(mass > 0.0) for mass in masses]
    (x_used, y_used), (a_used, b_used) = (
        [values[rows] for values, rows in zip(both, used, strict=True)] for both in (points, masses)
    )
    at_x, at_y = own.values(x_used), own.values(y_used)
    found = certified(x_used, y_used, a_used, b_used, at_x, at_y, number)
    return Critic(
        value=float(a_used @ at_x - b_used @ at_y),
        lower_bound=found.bound,
        scale=found.scale,
        status=status,
        network=own,
        history=history,
        on_host={"x": points[0], "y": points[1], "a": masses[0], "b": masses[1], "anchors": y_used, "g": found.g},
        home=home,
    )


def _penalty(penalty: Any) -> Unconstrained:
    if isinstance(penalty, str):
        if penalty in PENALTIES:
            return PENALTIES[penalty]
    elif isinstance(penalty, Unconstrained):
        return penalty
    raise ValueError(
        f"penalty should be one of {', '.join(map(repr, PENALTIES))}, or such as GradientPenalty(1.0, "
        f"one_sided=True) or Clip(0.1) of monge.neural; got {shown(penalty)}."
    )


def _weights(a: Any, b: Any, sides: tuple[Source, Source]) -> list[Array | None]:
    """Both as probabilities; None for rows that are all alike."""
    found: list[Array | None] = []
    for values, side, name in zip((a, b), sides, "ab", strict=True):
        if values is None:
            found.append(None)
            continue
        if side.rows is None:
            raise ValueError(
                f"{name} is for rows; {side.name} is a sampler. Let the sampler draw by the weights instead."
            )
        either = check_weights(values, None, side.rows, 1) if name == "a" else check_weights(None, values, 1, side.rows)
        weights = either[0] if name == "a" else either[1]
        assert weights is not None
        found.append(weights / weights.sum())
    return found


def _points(side: Source, samples: int, draws: Draws) -> Array:
    """All rows, or as many points of a sampler, in double precision."""
    drawn = side.draw(draws.numbers, samples) if side.rows is None else side.take(np.arange(side.rows))
    return drawn.astype(np.float64)


def _network(network: Any, init: Any, points: list[Array], draws: Draws) -> Standardised:
    """The one that is trained, a copy."""
    d = points[0].shape[1]
    if init is not None:
        if not isinstance(init, Critic):
            raise TypeError(f"init should be what critic returned, or None; got {type(init).__name__}.")
        if network is not None:
            raise ValueError("network and init are both given; init has a network. Pass one of them.")
        if len(init.network.middle) != d:
            raise ValueError(f"init is a critic of points with {len(init.network.middle)} coordinates; x has {d}.")
        own = copy.deepcopy(init.network).requires_grad_(True)
    elif network is None:
        with draws.of_torch():
            inner = MLP(d, 1, hidden=widths((d,)))
        own = Standardised.about(inner, np.concatenate(points))
    elif isinstance(network, nn.Module):
        own = Standardised.about(copied(network).float(), np.concatenate(points))
    else:
        raise TypeError(f"network should be a torch.nn.Module, or None; got {shown(network)}.")
    found: Standardised = own.to(draws.device)
    return found


def _samples(side: Source, points: Array, weights: Array | None, own: Standardised, name: str, place: Any) -> Samples:
    """What the inner network is trained on."""
    if side.rows is None:
        return samples_of(lambda rng, k: own.standard(side.draw(rng, k)), name, place)
    rows = own.standard(points)
    if weights is None:
        return samples_of(rows, name, place)
    below = np.cumsum(weights)
    below /= below[-1]
    return samples_of(lambda rng, k: rows[np.searchsorted(below, rng.random(k), side="right")], name, place)
