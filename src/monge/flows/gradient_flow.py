"""Particles that go downhill on a loss.

dx_i/dt = -grad_i F(x) / mass_i        (Ambrosio, Gigli and Savare 2008, "Gradient Flows", chapter 11)

`objective` reads the caller's loss, `steps` has one step, `flow` the result. What is here is the loop.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.flows.flow import Flow, FlowStatus
from monge.flows.objective import Objective, all_finite
from monge.flows.steps import HeavyBall, LineSearch
from monge.problem.arrays import (
    positive,
    positive_integer,
    real_array,
    real_number,
    require_memory,
    seconds,
    shown,
)
from monge.problem.at_home import at_home
from monge.problem.costs import as_points
from monge.problem.home import home_of_any
from monge.problem.progress import count_bar
from monge.problem.transport import ConvergenceWarning

__all__ = ["gradient_flow"]

Array = NDArray[Any]


def gradient_flow(
    x0: Any,
    loss: Callable[..., Any],
    a: Any = None,
    *,
    step: float,
    n_steps: int,
    momentum: float = 0.0,
    line_search: bool = False,
    record: int | None = 1,
    time_limit: float | None = None,
    progress: bool = False,
) -> Flow:
    """Let particles follow the gradient of a loss.

    Each particle of mass a_i moves by ``-step * grad_i / a_i``, with grad the derivative of the loss at the points: the
    explicit Euler scheme of the gradient flow of the loss in the Wasserstein metric. With a squared distance as cost,
    grad_i / a_i is twice the way from the goal of the particle: a step of 1/2 goes all of it, one of 0.05 a tenth.

    Parameters
    ----------
    x0 : array_like (n, d)
        Where the particles start; a vector stands for points on the line. float32 stays float32.
    loss : callable
        ``loss(x)`` of the points (n, d), which it leaves as they are: anything with ``.value`` and ``.grad_x`` (n, d),
        such as what `emd`, `sinkhorn`, `sinkhorn_divergence`, `sliced_wasserstein`, `energy_distance` and `mmd` return,
        or a pair (value, gradient). A loss that has a parameter called ``init`` gets there what it returned for the
        points before, and None for the first ones, so that its solver can start from that.
    a : array_like (n,), optional
        Masses of the particles, positive: those that the loss gives them. None for 1 / n each.
    step : float
        Time of one step, positive; of the largest one with `line_search`.
    n_steps : int
        Number of steps.
    momentum : float
        Share of the motion of a step that is added to that of the next, 0 <= momentum < 1 (the heavy ball). Far from
        the goal it is as if steps were 1 / (1 - momentum) times as long.
    line_search : bool
        Halve each step until the loss falls by at least a quarter of what the gradient promises; the next begins with
        twice the size. Only for a loss whose value is the same whenever points are, which is tried at the start.
    record : int, optional
        Every so many steps the points are kept, besides the first and the last ones. None for these alone.
    time_limit : float, optional
        Seconds. When they are over, between two steps, the flow ends, with a ConvergenceWarning.
    progress : bool
        Show a progress bar (needs tqdm).

    Returns
    -------
    Flow
        The ``points`` at the end, the ``trajectory``, ``times``, the ``values`` of the loss, and a ``status`` that says
        why it ended. Where x0 is an array of another library, such as torch, so are the points that the loss gets, the
        gradients it may give, and the points in the result.

    Raises
    ------
    ValueError
        Points or a first gradient that are not finite, masses that are not positive, a gradient of another shape than
        the points, a step that is not positive, a momentum outside [0, 1); momentum and line search together, or line
        search on a loss that changes from call to call.
    TypeError
        If what the loss returns lacks a value or a gradient.
    MemoryError
        If the trajectory would not fit.

    Notes
    -----
    The loss is computed n_steps + 1 times, and its gradient n_steps times. Where points, loss or gradient stop being
    finite on the way, the flow ends at the last ones that were, with a ConvergenceWarning.

    A loss that draws minibatches or directions must draw new ones in each step: let it use one generator,
    ``rng = numpy.random.default_rng(0)`` outside and ``rng=rng`` within. A fixed seed would show it the same few
    batches each time. The flow itself draws nothing.

    A network of torch as loss, here a critic D whose mean the particles lower, with x0 a tensor::

        def loss(x):
            x = x.requires_grad_()
            value = D(x).mean()
            return value.item(), torch.autograd.grad(value, x)[0]

    Ambrosio, Gigli and Savare 2008, "Gradient Flows", chapter 11; Polyak 1964 for the heavy ball, Armijo 1966 for the
    line search.

    Examples
    --------
    Each step of 0.25 takes the points half of the way that is left:

    >>> import monge
    >>> x0, y = [[0.0, 0.0], [0.0, 1.0]], [[8.0, 0.0], [8.0, 1.0]]
    >>> flow = monge.gradient_flow(x0, lambda x: monge.emd(monge.PointCloud(x, y)), step=0.25, n_steps=3)
    >>> flow.points
    array([[7., 0.],
           [7., 1.]])
    >>> flow.values
    array([64., 16.,  4.,  1.])

    Warm starts, by a parameter called init:

    >>> def loss(x, init):
    ...     return monge.emd(monge.PointCloud(x, y), init=init)
    >>> monge.gradient_flow(x0, loss, step=0.25, n_steps=3)
    Flow(2 points in 2-D, 3 steps, value 64 -> 1, DONE)
    """
    x = np.array(as_points(x0, "x0"))  # what becomes of the caller's array does not matter to the flow
    home = home_of_any(x0)
    masses = _masses(a, len(x))
    size, n_steps, limit = positive(step, "step"), positive_integer(n_steps, "n_steps"), seconds(time_limit)
    momentum = real_number(momentum, "momentum", "a number in [0, 1)")
    if not 0.0 <= momentum < 1.0:
        raise ValueError(f"momentum should be in [0, 1); got {shown(momentum)}.")
    if line_search and momentum:
        raise ValueError("momentum carries points uphill at times, which line_search refuses; leave one of them out.")
    every = n_steps if record is None else positive_integer(record, "record")
    moments = -(-n_steps // every) + 1
    require_memory(
        moments * x.nbytes,
        f"a trajectory of {moments} times {x.shape[0]} points in {x.shape[1]}-D",
        f"Keep fewer moments, as with record={10 * every}, or with record=None the first and the last one.",
    )
    started = time.monotonic()
    objective = Objective(loss, home)
    rule = LineSearch(objective, masses, size) if line_search else HeavyBall(objective, masses, size, momentum)
    state = rule.init(x)
    gradient = objective.gradient(state.place)
    if not (np.isfinite(state.place.value) and all_finite(gradient)):
        raise ValueError(
            f"loss should be finite at x0, and so should its gradient; got the value {state.place.value!r} and "
            f"{int((~np.isfinite(gradient)).sum())} derivatives that are not finite."
        )
    trajectory = np.empty((moments, *x.shape), x.dtype)
    trajectory[0] = x
    recorded, times, values = [0], [0.0], [state.place.value]
    status = FlowStatus.DONE
    with count_bar(progress, n_steps, "gradient_flow", "steps") as show:
        for count in range(1, n_steps + 1):
            if time.monotonic() - started > limit:
                status = FlowStatus.TIME_LIMIT
                break
            after = rule.step(state)
            if isinstance(after, FlowStatus):
                status = after
                break
            state = after
            times.append(state.time)
            values.append(state.place.value)
            if count % every == 0 or count == n_steps:
                trajectory[len(recorded)] = state.place.x
                recorded.append(count)
            if show is not None:
                show(count)
    if recorded[-1] != len(values) - 1:
        trajectory[len(recorded)] = state.place.x
        recorded.append(len(values) - 1)
    if status not in (FlowStatus.DONE, FlowStatus.MINIMUM):
        warnings.warn(
            f"gradient_flow: {status.value} ({len(values) - 1} of {n_steps} steps).", ConvergenceWarning, stacklevel=2
        )
    return Flow(
        points=at_home(state.place.x.copy(), home),  # what the loss saw stays as it was, for what is lazy in `last`
        trajectory=at_home(trajectory[: len(recorded)], home),
        recorded=np.array(recorded),
        times=np.array(times),
        values=np.array(values),
        status=status,
        last=state.place.found,
    )


def _masses(a: Any, n: int) -> Array | float:
    """The mass of each particle (n, 1), or that of all."""
    if a is None:
        return 1.0 / n
    masses = real_array(a, "a", 1, f"masses of shape ({n},), one per particle").astype(np.float64)
    if masses.shape != (n,):
        raise ValueError(f"a should have shape ({n},), one mass per particle; got {masses.shape}.")
    bad = ~((masses > 0.0) & np.isfinite(masses))
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(
            f"a should hold positive masses; a[{at}] = {float(masses[at])}. A particle without mass has no part in "
            "the loss, and so no way to go: leave it out."
        )
    return masses[:, np.newaxis]
