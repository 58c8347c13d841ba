"""Entropic transport between two measures that are both seen by samples, by potentials in a reproducing kernel's space.

maximise  E u(x) + E v(y) - eps E (exp((u(x) + v(y) - c(x, y)) / eps) - 1)          (Genevay et al. 2016, section 5)
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.semidual.draws import own_seed
from monge.entropic.semidual.dual import Dual, Look, averaged, mean
from monge.entropic.semidual.features import KERNELS, Features, Fit
from monge.entropic.semidual.result import Stop
from monge.problem.arrays import positive, positive_integer, seconds, shown
from monge.problem.at_home import at_home
from monge.problem.costs import PointCloud, as_points
from monge.problem.home import Home, home_of_any
from monge.problem.progress import step_bar
from monge.problem.transport import ConvergenceWarning
from monge.problem.user_cost import GroundCost
from monge.spread.blocks import run_blocks, seed_of
from monge.spread.sources import source_of

__all__ = ["ContinuousDual", "continuous_dual"]

Array = NDArray[np.float64]

# The marginal error of the sample that is solved for at first.
_TOL = 1e-3
# Blocks of points to look at, and for the value.
_LOOK, _FINAL = 16, 40
# Steps of the first stretch, each one twice as long as the one before, and their length.
_FIRST, _LENGTH = 128, 0.2
# How far apart two measurements of chi-squared may be, beside tol, for an ascent that ended.
_SLACK = 2.0
# What the random numbers are for.
_STARTED, _LOOKED, _VALUED, _ASCENT = range(4)


def continuous_dual(
    source: Any,
    target: Any,
    *,
    eps: float,
    cost: str | tuple[str, float] | GroundCost | Callable[..., Any] = "sqeuclidean",
    kernel: str = "gaussian",
    bandwidth: float | None = None,
    n_features: int = 300,
    start: int = 1000,
    tol: float = 1e-2,
    max_iter: int = 10_000,
    rng: Any = None,
    n_jobs: int | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> ContinuousDual:
    """Entropic transport between two measures that can be sampled, with potentials that are functions.

    Maximises ``E u(x) + E v(y) - eps E (exp((u(x) + v(y) - c(x, y)) / eps) - 1)`` over functions u and v, where x is
    drawn from the source and y from the target, independently: the potentials of a sample, and beside them functions in
    the space of a reproducing kernel. The maximum over all functions is that of ``<P, c> + eps KL(P | a x b)`` over
    plans, as for `sinkhorn`.

    Parameters
    ----------
    source, target : array_like (n, d), path, numpy.memmap, dask array, or callable
        What the mass comes from and goes to, as the source of `semidual`.
    eps : float
        Strength of the entropy, positive, in units of the cost. Below a few percent of the mean cost, gradients are
        mostly noise.
    cost : str, (str, float), callable or GroundCost
        As `PointCloud` takes it.
    kernel : {"gaussian", "laplacian"}
        exp(-|x - x'|^2 / (2 s^2)), or exp(-|x - x'|_1 / s).
    bandwidth : float, optional
        The s of the kernel; None for the median distance of points, on each side.
    n_features : int
        Random features that stand for the kernel: with k of them a step takes O(k^2), whatever came before.
    start : int
        Points of each side that `sinkhorn` solves for at first.
    tol : float
        Largest chi-squared of the marginals, E (E[p(x, y) | x] - 1)^2 and the same for y together, where p is the
        density of the plan. The one that is returned is of other points, and may be up to twice as large.
    max_iter : int
        Largest number of steps after the start.
    rng : None, int or numpy.random.Generator
        What draws the points and the features (SPEC 7).
    n_jobs : int, optional
        Workers for the points that are measured, as in `semidual`.
    time_limit : float, optional
        Seconds after which the ascent ends with what it has.
    progress : bool
        Show steps (needs tqdm).

    Returns
    -------
    ContinuousDual
        ``value`` with ``standard_error``, ``chi2``, ``status``, and the functions ``u(x)``, ``v(y)`` and
        ``density(x, y)``.

    Raises
    ------
    ValueError, TypeError
        As `semidual`; for an unknown kernel, and numbers that are not positive.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` or `time_limit` ended the ascent before chi2 came below `tol`.

    Notes
    -----
    Genevay, Cuturi, Peyre and Bach 2016, "Stochastic optimization for large-scale optimal transport", Algorithm 3,
    which sums the kernel over all points it has met, so that k steps take O(k^2). Random features (Rahimi and Recht
    2007, "Random features for large-scale kernel machines") make that O(k). A step pairs all points of a batch, and is
    measured by what it does to values, not to coefficients. A stretch of steps, of which the average is taken, counts
    only if it makes chi2 smaller; else the next steps are shorter. The value is a lower bound on average, however good
    the functions are.

    Examples
    --------
    Two normal laws, for which the answer is known (Janati et al. 2020, "Entropic optimal transport between unbalanced
    Gaussian measures has a closed form", Theorem 1):

    >>> import numpy as np, monge
    >>> def narrow(rng, n):
    ...     return rng.normal(0.0, 0.5, (n, 1))
    >>> def wide(rng, n):
    ...     return rng.normal(1.0, 1.0, (n, 1))
    >>> found = monge.continuous_dual(narrow, wide, eps=1.0, rng=0)
    >>> d = (4.0 * 0.25 * 1.0 + 0.25) ** 0.5  # eps^2 / 4 beside 4 times the product of the variances
    >>> exact = 1.0 + 0.25 + 1.0 - d + 0.5 * (1.0 - np.log(1.0)) + 0.5 * np.log(d + 0.5)
    >>> bool(abs(found.value / exact - 1.0) < 0.05)
    True
    """
    strength, tol, max_iter = positive(eps, "eps"), positive(tol, "tol"), positive_integer(max_iter, "max_iter")
    count, size = positive_integer(n_features, "n_features"), positive_integer(start, "start")
    width = None if bandwidth is None else positive(bandwidth, "bandwidth")
    if kernel not in KERNELS:
        raise ValueError(f"kernel should be one of {', '.join(map(repr, KERNELS))}; got {shown(kernel)}.")
    seed, begun = seed_of(rng), time.monotonic()
    deadline = begun + seconds(time_limit)
    home = home_of_any(source, target)
    sides = source_of(source, "source"), source_of(target, "target")
    if sides[0].columns != sides[1].columns:
        raise ValueError(
            "source and target should have points of the same dimension; got "
            f"{sides[0].columns} and {sides[1].columns} coordinates."
        )
    rng = np.random.default_rng(own_seed(seed, _STARTED))
    x, y = (side.draw(rng, size).astype(np.float64, copy=False) for side in sides)
    features = [Features.of(kernel, width, points, count, rng) for points in (x, y)]
    fits = [Fit(each, points) for each, points in zip(features, (x, y), strict=True)]
    dual = Dual.of(PointCloud(x, y, cost), strength, tuple(features), _TOL)

    def looked(dual: Dual, blocks: int, *key: int) -> list[tuple[float, float]]:
        own = own_seed(seed, *key)
        return list(run_blocks(Look(dual), blocks, seed=own, sources=sides, n_jobs=n_jobs, what="continuous_dual"))

    generator = np.random.default_rng(own_seed(seed, _ASCENT))
    done, steps, length = 0, _FIRST, _LENGTH
    with step_bar(progress, "continuous_dual") as report:
        least = mean(looked(dual, _LOOK, _LOOKED, 0))[1]
        while not least <= tol and done < max_iter and time.monotonic() < deadline:
            tried, taken = averaged(dual, fits, sides, generator, min(steps, max_iter - done), length, deadline)
            done += taken
            chi2 = mean(looked(tried, _LOOK, _LOOKED, done))[1]
            if chi2 < least:
                dual, least, steps, length = tried, chi2, 2 * steps, length * math.sqrt(0.5)
            else:  # where few points are, noise has gone too far
                length *= 0.25
            if report is not None:
                report(done)
    each = looked(dual, _FINAL, _VALUED)
    value, chi2 = mean(each)
    near = min(least, chi2) <= tol and chi2 <= _SLACK * tol
    status = Stop.CONVERGED if near else Stop.TIME_LIMIT if time.monotonic() >= deadline else Stop.MAX_ITER
    if not near:
        warnings.warn(f"continuous_dual: {status.value} (chi2 {chi2:.3g}).", ConvergenceWarning, stacklevel=2)
    error = float(np.std([worth for worth, _ in each], ddof=1)) / math.sqrt(len(each))
    return ContinuousDual(value, error, chi2, status, done, strength, dual, home)


@dataclass(frozen=True)
class ContinuousDual:
    """Entropic transport between two measures that were seen by samples, as potentials at any point.

    Attributes
    ----------
    value : float
        The dual value on fresh points, in cost units: on average at most the optimum.
    standard_error : float
        Of `value`, from blocks of fresh points.
    chi2 : float
        How far the plan of the potentials is from both marginals, E (E[p(x, y) | x] - 1)^2 and the same for y together,
        without bias: it may come out slightly negative.
    status : Stop
        Why the ascent stopped; ``status.value`` is advice.
    converged : bool
        Whether it reached what was asked for.
    iterations : int
        Steps of the ascent after the start.
    eps : float
        Strength of the entropy.

    Methods
    -------
    u(x)
        The potential of the source.
    v(y)
        The potential of the target.
    density(x, y)
        Of the plan.
    """

    value: float
    standard_error: float
    chi2: float
    status: Stop
    iterations: int
    eps: float
    dual: Dual = field(repr=False)
    home: Home | None = field(repr=False, default=None)

    @property
    def converged(self) -> bool:
        """Whether the ascent reached what was asked for."""
        return self.status is Stop.CONVERGED

    def u(self, x: Any) -> Any:
        """The potential u of the source.

        Parameters
        ----------
        x : array_like (n, d)
            Points.

        Returns
        -------
        ndarray (n,)
            In cost units.
        """
        return self._there(self.dual.potential(0, self._points(x, "x")), x)

    def v(self, y: Any) -> Any:
        """The potential v of the target.

        Parameters
        ----------
        y : array_like (m, d)
            Points.

        Returns
        -------
        ndarray (m,)
            In cost units.
        """
        return self._there(self.dual.potential(1, self._points(y, "y")), y)

    def density(self, x: Any, y: Any) -> Any:
        """The density of the plan with respect to the product of both measures, exp((u(x) + v(y) - c(x, y)) / eps).

        Parameters
        ----------
        x : array_like (n, d)
            Points of the source.
        y : array_like (m, d)
            Points of the target.

        Returns
        -------
        ndarray (n, m)
            At all pairs.
        """
        log = self.dual.log_density(self._points(x, "x"), self._points(y, "y"))
        return self._there(np.exp(log), x, y)

    def _points(self, values: Any, name: str) -> Array:
        points = as_points(values, name).astype(np.float64, copy=False)
        d = self.dual.features[0].columns
        if points.shape[1] != d:
            raise ValueError(f"{name} should have points of {d} coordinates; got shape {points.shape}.")
        return points

    def _there(self, values: Array, *given: Any) -> Any:
        return at_home(values, home_of_any(self.home, *given))
