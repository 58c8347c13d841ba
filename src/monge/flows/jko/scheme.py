"""The flow of a density down an energy in the metric W_2 (Jordan, Kinderlehrer and Otto 1998).

rho_(k+1)  minimises  F(rho) + W_2^2(rho, rho_k) / (2 step)

A scheme, one of `Quantiles`, `Particles` and `GridScheme`, has a `start`, the energy `value` of a state, and `advance`,
the step; the loop around it is here.
"""

from __future__ import annotations

import math
import time
import warnings
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from monge.flows.jko.cells import Cells
from monge.flows.jko.energies import Parts, as_parts
from monge.flows.jko.particles import Particles
from monge.flows.jko.quantiles import Quantiles
from monge.flows.jko.result import Advance, JKOFlow, JKOStatus
from monge.problem.arrays import available_threads, positive, positive_integer, real_array, seconds
from monge.problem.at_home import at_home
from monge.problem.costs import as_points
from monge.problem.home import home_of_any
from monge.problem.progress import count_bar
from monge.problem.transport import ConvergenceWarning

__all__ = ["jko"]

Array = NDArray[np.float64]

# The default blur on a grid, in squared spacings. From there on the kernel is resolved by the cells: for Gaussians the
# variance of a flow of ten steps is right to 1e-4 then, and off by a percent at a half. Rounds are about as many as a
# step over eps, so a large step takes this share of it, whose square is nothing beside the error of so large a step.
_BLUR, _SHARE = 2.0, 1 / 20


class _Scheme(Protocol):
    @property
    def start(self) -> Array: ...

    @property
    def eps(self) -> float | None: ...

    @property
    def bandwidth(self) -> float | None: ...

    def value(self, state: Array) -> float: ...

    def advance(self, state: Array, check: Any) -> Advance: ...


def jko(
    x0: Any,
    energy: Any,
    *,
    step: float,
    n_steps: int,
    grid: Any = None,
    eps: float | None = None,
    debias: bool = True,
    bandwidth: float | None = None,
    tol: float = 1e-7,
    threads: int | None = None,
    progress: bool = False,
    time_limit: float | None = None,
) -> JKOFlow:
    """The flow of a density, or of particles, down an energy, by the implicit scheme of Jordan, Kinderlehrer and Otto.

    Each step goes to the minimum of ``F(rho) + W_2^2(rho, rho_k) / (2 step)``. With the step to zero this is the
    equation d rho / dt = div(rho grad of F's first variation): heat for an `Entropy`, Fokker-Planck with a `Potential`,
    porous media, attraction and repulsion. The error is in proportion to the step; the energy falls at any step.

    What x0 is decides how the steps are solved:

    - points on the line, (n,) or (n, 1): quantiles, for which W_2 is exact. The most precise, and the fastest.
    - a density with ``grid=``: by entropic scaling in one to three dimensions.
    - points (n, d): particles. Potentials and interactions need no density, and are exact; for internal energies it is
      estimated with a kernel.

    Parameters
    ----------
    x0 : array_like (n,), (n, d), or of the shape of the grid
        The start: points of mass 1/n each, or with ``grid=`` a density, not negative, of any total mass.
    energy : Energy
        A sum of `Entropy`, `PorousMedium`, `Potential` and `Interaction` with factors.
    step : float
        The time of a step, > 0, in squared length per unit of energy.
    n_steps : int
        Number of steps.
    grid : Grid, or sequence of array_like, optional
        Where the cells of a density are: the coordinates of their middles along each axis, evenly spaced, such as
        (xs, ys), or one array for one axis; or a `Grid`, whose first cell is at the origin. No mass leaves it.
    eps : float, optional
        On a grid, the strength of the entropic term, in units of squared length, as for `sinkhorn`. None is twice the
        squared spacing, the widest one, or a twentieth of the step if that is more. A larger eps takes fewer rounds;
        the error is of order eps^2.
    debias : bool
        On a grid, whether W_2^2 is the Sinkhorn divergence at eps, which hardly blurs. False is the step of Peyre 2015,
        which blurs by a variance of about eps / 2 along each axis in each step: eps should then be small beside the
        step.
    bandwidth : float, optional
        Of the density estimate for internal energies of particles, a length; None for Scott's rule at x0.
    tol : float
        How exactly a step is solved: on a grid the L1 error of marginals and of the last change, relative to the mass;
        for points the size of the last change, relative to that of the cloud.
    threads : int, optional
        On a grid, threads for sums over cells; None for all processors. The answer has the same bits for any number.
    progress : bool
        Show steps (needs tqdm).
    time_limit : float, optional
        Seconds after which no more is done; the flow ends at the last whole step then, with a warning.

    Returns
    -------
    JKOFlow
        ``points`` or ``density`` at the end, ``trajectory``, ``values`` of the energy, ``distances``, ``times``,
        ``status``. Points and densities are arrays of the library of x0.

    Raises
    ------
    ValueError
        Points that are not finite, a negative density or one without mass, a grid of another shape or unevenly spaced,
        a step that is not positive, options of another kind of x0, equal quantiles with an internal energy, functions
        that return other shapes or numbers that are not finite.
    TypeError
        An energy that is none, points with a Potential or Interaction without gradient, or with values on a grid.
    MemoryError
        If the density estimate of so many particles would not fit.

    Notes
    -----
    Jordan, Kinderlehrer and Otto 1998, "The variational formulation of the Fokker-Planck equation"; Peyre 2015,
    "Entropic approximation of Wasserstein gradient flows". On a grid the reference measure of the entropic term is
    uniform on pairs of cells, as in the latter, not the product of the marginals, of which one is sought; with
    ``debias=True`` the two are the same. Since each step is a minimum, F(rho_k) - F(rho_(k+1)) is at least
    distances[k]^2 / (2 step). For points, minima are local ones where the energy is not convex along transport. The
    first call with a grid compiles, for some seconds.

    Examples
    --------
    Heat from a Gaussian of variance one: after the time one it is near three, up to the error of the step.

    >>> import numpy as np, monge
    >>> from scipy.stats import norm
    >>> x0 = norm.ppf((np.arange(500) + 0.5) / 500)
    >>> flow = monge.jko(x0, monge.Entropy(), step=0.1, n_steps=10)
    >>> print(round(flow.points.var(), 2))
    2.94

    With a potential it comes to rest, at the standard normal law for this one:

    >>> attracted = monge.Entropy() + monge.Potential(lambda x: x**2 / 2, lambda x: x)
    >>> flow = monge.jko(3.0 + 0.2 * x0, attracted, step=0.5, n_steps=40)
    >>> print(round(flow.points.mean(), 2), round(flow.points.var(), 2))
    0.0 1.0
    """
    parts, step, tol = as_parts(energy), positive(step, "step"), positive(tol, "tol")
    count, limit, workers = positive_integer(n_steps, "n_steps"), seconds(time_limit), available_threads(threads)
    home = home_of_any(x0)
    scheme: _Scheme
    if grid is not None:
        if bandwidth is not None:
            raise ValueError("bandwidth is for particles; a density on a grid needs none. Leave it out.")
        density, cells = _density(x0, grid)
        blur = max(_BLUR * max(cells.spacing) ** 2, _SHARE * step) if eps is None else positive(eps, "eps")
        scheme = _on_grid(density, cells, parts, step, tol, blur, debias, workers)
    else:
        if eps is not None or not debias:
            raise ValueError("eps and debias are for densities on a grid; got none. Pass grid=, or leave them out.")
        parts.require_gradients()
        points = np.array(as_points(x0, "x0"), dtype=np.float64)
        if points.shape[1] > 1:
            width = None if bandwidth is None else positive(bandwidth, "bandwidth")
            scheme = Particles(points, parts, step, tol, width)
        elif bandwidth is not None:
            raise ValueError("bandwidth is for particles in the plane and beyond; quantiles need none. Leave it out.")
        else:
            flat = np.ndim(x0) == 1
            scheme = Quantiles(points.reshape(-1) if flat else points, parts, step, tol)
    with count_bar(progress, count, "jko", "steps") as show:
        return _run(scheme, step, count, limit, show, home, grid is not None)


class _TimeIsOver(Exception):
    pass


def _run(
    scheme: _Scheme, step: float, count: int, limit: float, show: Any, home: Any, on_grid: bool
) -> JKOFlow:  # fmt: skip
    end = time.monotonic() + limit

    def check() -> None:
        if time.monotonic() > end:
            raise _TimeIsOver

    states, values = [scheme.start], [scheme.value(scheme.start)]
    taken: list[Advance] = []
    status = JKOStatus.DONE
    try:
        for k in range(count):
            check()
            taken.append(scheme.advance(states[-1], check))
            states.append(taken[-1].state)
            values.append(scheme.value(states[-1]))
            if show is not None:
                show(k + 1)
    except _TimeIsOver:
        status = JKOStatus.TIME_LIMIT
    solved = np.array([one.solved for one in taken], dtype=bool)
    if status is JKOStatus.DONE and not solved.all():
        status = JKOStatus.INEXACT
    if status is not JKOStatus.DONE:
        warnings.warn(
            f"jko: {len(taken)} of {count} steps, {int(solved.sum())} of them to their minimum: {status.value}.",
            ConvergenceWarning,
            stacklevel=3,
        )
    return JKOFlow(
        at_home(np.stack(states), home), np.array(values), np.array([one.distance for one in taken]), solved, status,
        step, on_grid, scheme.eps, scheme.bandwidth,
    )  # fmt: skip


def _density(x0: Any, grid: Any) -> tuple[Array, Cells]:
    """The density, checked, and its cells."""
    density = np.array(real_array(x0, "x0", (1, 2, 3), "a density on a grid of one to three axes"), dtype=np.float64)
    if density.size == 0:
        raise ValueError(f"x0 should be a density in at least one cell; got shape {density.shape}.")
    cells = Cells(grid, density.shape)
    if not (density.min() >= 0.0 and density.max() < math.inf):
        raise ValueError(
            "x0 should be a density, finite and not negative, since grid= is given; some of it is not. For points, "
            "leave grid out."
        )
    if not density.max() > 0.0:
        raise ValueError("x0 should have some mass; the density is zero everywhere.")
    return density, cells


def _on_grid(
    density: Array, cells: Cells, parts: Parts, step: float, tol: float, eps: float, debias: bool, threads: int
) -> _Scheme:
    from monge.entropic.kernels.threads import Threads
    from monge.flows.jko.grid import GridScheme  # which imports the compiler

    return GridScheme(density, cells, parts, step, tol, eps, debias, Threads(threads))
