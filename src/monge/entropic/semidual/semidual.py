"""Transport from any measure that can be sampled to finitely many atoms, by the semi-dual.

maximise  E g^(c,eps)(x) + <b, g>  over g (m,)          (Genevay, Cuturi, Peyre and Bach 2016)
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic.semidual.atoms import different
from monge.entropic.semidual.draws import Draws
from monge.entropic.semidual.problem import CLIMBS, Problem
from monge.entropic.semidual.result import SemiDual, Stop
from monge.problem.arrays import positive, positive_integer, real_array, real_number, seconds, shown
from monge.problem.costs import as_points
from monge.problem.home import home_of_any
from monge.problem.measures import check_weights
from monge.problem.progress import step_bar
from monge.problem.transport import ConvergenceWarning
from monge.problem.user_cost import GroundCost
from monge.spread.blocks import seed_of
from monge.spread.sources import Source, source_of

__all__ = ["semidual"]

Array = NDArray[np.float64]


def semidual(
    source: Any,
    y: Any,
    b: Any = None,
    *,
    a: Any = None,
    eps: float | None = None,
    cost: str | tuple[str, float] | GroundCost | Callable[..., Any] = "sqeuclidean",
    method: str = "sgd",
    init: Any = None,
    start: int | None = None,
    samples: int | None = None,
    tol: float = 1e-2,
    max_iter: int = 20_000,
    rng: Any = None,
    n_jobs: int | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> SemiDual:
    """Transport from a measure that can be sampled to atoms: semi-discrete, with entropy or without.

    Maximises ``E g^(c,eps)(x) + <b, g>`` over potentials g of the atoms, where x is drawn from the source and
    ``g^(c,eps)(x) = -eps log sum_j b_j exp((g_j - c(x, y_j)) / eps)``, or ``min_j c(x, y_j) - g_j`` for eps = 0. The
    maximum is that of ``<P, c> + eps KL(P | a x b)`` over plans. The source need not be finite, and the answer is a
    function of any point: its potential, its atom, its image.

    Parameters
    ----------
    source : array_like (n, d), path, numpy.memmap, dask array, or callable
        What the mass comes from. A ``sampler(rng, n)`` returns n independent points (n, d) for a numpy Generator;
        arrays and .npy files are measures on their rows.
    y : array_like (m, d)
        The atoms; a vector stands for points on the line. Those at one place share what arrives there.
    b : array_like (m,), optional
        Weights of the atoms; None for uniform ones. Their total is taken for one.
    a : array_like (n,), optional
        Weights of the rows of a source that has rows.
    eps : float, optional
        Strength of the entropy in units of the cost; None or 0 for none.
    cost : str, (str, float), callable or GroundCost
        As `PointCloud` takes it.
    method : {"sgd", "sag"}
        Averaged stochastic gradients; or, for a source with rows and eps > 0, gradients of groups of rows that are
        remembered, which end at the optimum for these rows and not near it.
    init : SemiDual or array_like (m,), optional
        A former result, or potentials, to go on from. In place of the sample that is solved exactly.
    start : int, optional
        Points of the source that are transported exactly for a start: by `emd`, on the line by `emd_1d`, with entropy
        by `sinkhorn`. None for eight for each atom, or up to 20,000 for few atoms, and on the line 100,000. A source
        with no more rows than that is solved by them alone, unless `method` is "sag" or `init` is given.
    samples : int, optional
        Fresh points for `value` and `masses`; None for 100,000, or fewer for many atoms. A source with no more rows
        than that is looked at as a whole, and the standard error is zero.
    tol : float
        Largest chi-squared of the masses, sum_j m_j^2 / b_j - 1. At 0.01 masses are off by a tenth, in the mean square.
    max_iter : int
        Largest number of steps after the start.
    rng : None, int or numpy.random.Generator
        What draws the points (SPEC 7). The same seed gives the same answer, for any number of workers.
    n_jobs : int, optional
        Workers for the points that are measured: None follows an active joblib configuration, and is threads
        without one. The ascent itself goes one step after the other.
    time_limit : float, optional
        Seconds after which the ascent ends with what it has; the start and the measurement are not cut short.
    progress : bool
        Show steps (needs tqdm).

    Returns
    -------
    SemiDual
        ``value`` with ``standard_error``, ``gap``, ``g``, ``masses``, ``chi2``, ``status``, and the functions
        ``potential(x)``, ``assign(x)`` and ``map(x)``.

    Raises
    ------
    ValueError
        Points that are not finite or differ in dimension, a sampler of another shape, weights that are negative, NaN or
        all zero, ``a`` for a sampler, "sag" without rows or without entropy, numbers that are not positive.
    TypeError
        Arguments that are not what is expected above.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` or `time_limit` ended the ascent before chi2 came below `tol`.

    Notes
    -----
    Genevay, Cuturi, Peyre and Bach 2016, "Stochastic optimization for large-scale optimal transport", Algorithms 1 and
    2. A sample of n points leaves masses with a chi-squared of about (m - 1) / n, and so does an ascent over n points,
    where a point takes less time. So the start is short. Steps are in proportion to 1 / b_j and to how far apart the
    two best atoms of a point are; they get shorter in stretches, each twice as long as the one before and started from
    its average, and potentials are kept at mean zero. Between stretches fresh points say whether chi2, without the bias
    that the square of a measured mass has, is within `tol`.

    Examples
    --------
    Mass that is spread over [0, 1] goes to three places. Cells are a quarter, a half and a quarter long:

    >>> import numpy as np, monge
    >>> def uniform(rng, n):
    ...     return rng.random((n, 1))
    >>> found = monge.semidual(uniform, [0.1, 0.5, 0.9], b=[0.25, 0.5, 0.25], rng=0)
    >>> found.converged, found.masses.round(2)
    (True, array([0.25, 0.5 , 0.25]))
    >>> found.assign([0.2, 0.3, 0.7, 0.8])
    array([0, 1, 1, 2])
    >>> exact = (0.15**3 + 0.1**3) / 3 * 2 + 0.25**3 / 3 * 2
    >>> bool(abs(found.value - exact) < 4 * found.standard_error)
    True
    """
    strength = 0.0 if eps is None else real_number(eps, "eps", "a finite number >= 0, or None for no entropy")
    if not 0.0 <= strength < math.inf:
        raise ValueError(f"eps should be a finite number >= 0, or None for no entropy; got {shown(eps)}.")
    tol, max_iter = positive(tol, "tol"), positive_integer(max_iter, "max_iter")
    start, samples = (k if k is None else positive_integer(k, n) for k, n in ((start, "start"), (samples, "samples")))
    if samples == 1:
        raise ValueError("samples should be at least 2, of which the spread and chi2 are known; got 1.")
    if method not in CLIMBS:
        raise ValueError(f"method should be one of {', '.join(map(repr, CLIMBS))}; got {shown(method)}.")
    seed, begun = seed_of(rng), time.monotonic()
    deadline = begun + seconds(time_limit)
    home = home_of_any(source, y, a, b)
    rows, points = source_of(source, "source"), as_points(y, "y").astype(np.float64)
    if rows.columns != points.shape[1]:
        raise ValueError(
            f"source and y should have points of the same dimension; got {rows.columns} and {points.shape[1]} "
            "coordinates."
        )
    weights, masses = _weights(a, b, rows, len(points))
    if method == "sag" and (rows.rows is None or strength == 0.0):
        raise ValueError(
            'method="sag" is for a source with rows and eps > 0, where its sum of smooth functions is; got '
            f'{"a sampler" if rows.rows is None else "no entropy"}. Take "sgd".'
        )
    used = np.flatnonzero(masses > 0.0)
    # Atoms at one place are one, whose mass they share: no potentials could part points between them.
    first, place = different(points[used])
    first, total = used[first], np.bincount(place, masses[used]).astype(np.float64)
    known = None if init is None else _potentials(init, len(points), used, place)
    problem = Problem.of(rows, Draws(weights), points[first], total, strength, cost, samples, seed, n_jobs)
    before = init.iterations + init.stats["before"] if isinstance(init, SemiDual) else 0
    with step_bar(progress, "semidual") as report:
        found = problem.solve(method, known, start, tol, max_iter, deadline, report, before)
    if found.status in (Stop.MAX_ITER, Stop.TIME_LIMIT):
        chi2 = f"chi2 {found.measured.chi2:.3g}"
        warnings.warn(f"semidual: {found.status.value} ({chi2}).", ConvergenceWarning, stacklevel=2)
    g, received = np.full(len(points), -math.inf), np.zeros(len(points))
    g[used], received[used] = found.g[place], found.measured.masses[place] * (masses[used] / total[place])
    return SemiDual(
        value=found.measured.value,
        standard_error=found.measured.standard_error,
        gap=found.gap,
        chi2=found.measured.chi2,
        status=found.status,
        iterations=found.iterations,
        eps=strength,
        samples=found.measured.count,
        stats={"start": found.start, "before": before, "seconds_total": time.monotonic() - begun},
        on_host={"g": g, "masses": received, "y": points, "b": masses},
        atoms=problem.atoms,
        rows=first,
        home=home,
    )


def _weights(a: Any, b: Any, source: Source, m: int) -> tuple[Array | None, Array]:
    """Both as probabilities; None for rows that are all alike."""
    if a is not None and source.rows is None:
        raise ValueError("a is for a source with rows; got a sampler. Let the sampler draw by the weights instead.")
    weights = None if a is None else check_weights(a, None, source.rows or 1, m)[0]
    masses = check_weights(None, b, 1, m)[1]
    return None if weights is None else weights / weights.sum(), (
        np.full(m, 1.0 / m) if masses is None else masses / masses.sum()
    )


def _potentials(init: Any, m: int, used: NDArray[np.intp], place: NDArray[np.intp]) -> Array:
    """One for each place, the highest there."""
    g = init.on_host["g"] if isinstance(init, SemiDual) else real_array(init, "init", 1, f"potentials of shape ({m},)")
    if g.shape != (m,):
        raise ValueError(f"init should hold one potential per atom, shape ({m},); got {g.shape}.")
    if not np.isfinite(g[used]).all():
        raise ValueError("init should hold finite potentials, but where b is zero; got NaN or infinite ones.")
    highest = np.full(place.max() + 1, -math.inf)
    np.maximum.at(highest, place, g[used])
    return highest
