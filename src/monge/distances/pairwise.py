"""All distances within a set of measures, or between two sets.

D_st = min_P <P, C>                                        for histograms mu_s over places with the costs C
D_st = W_p(mu_s, nu_t) = ( min_P  sum_ij P_ij |x_i - y_j|^p )^(1/p)     for point clouds
"""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.distances.pairs import Cloud, Distance, InSpace, OnTheLine, Run, Written, histogram_pairs, triangle
from monge.distances.spread_pairs import Where, spread_clouds, spread_histograms
from monge.exact.dense import dense
from monge.exact.univariate import check_power, check_range
from monge.problem.arrays import available_threads, items, seconds, shown
from monge.problem.at_home import at_home
from monge.problem.batch import naming
from monge.problem.costs import Cost, PointCloud, as_cost, as_points
from monge.problem.ground import Ground, power_of, scale_of
from monge.problem.home import home_of_any, is_bfloat16, on_host
from monge.problem.measures import Weights, check_weights, rounding_of
from monge.problem.progress import count_bar
from monge.problem.transport import ConvergenceWarning, Status
from monge.problem.user_cost import GroundCost
from monge.spread.blocks import workers

__all__ = ["pairwise"]

Array = NDArray[np.float64]


class _Set(NamedTuple):
    clouds: list[Cloud]
    given: list[Any]  # their weights before they became float64, which tell how far they are rounded


def pairwise(
    measures: Any,
    other: Any = None,
    *,
    cost: Any = None,
    p: float | None = None,
    ground: str | GroundCost | Callable[..., Any] | None = None,
    n_jobs: int | None = None,
    threads: int | None = None,
    progress: bool = False,
    time_limit: float | None = None,
) -> Array:
    """The matrix of exact transport distances between measures.

    With `cost`, the measures are histograms over the same places, and the matrix holds the transport costs <P, C>.
    Without, they are point clouds of any sizes, and it holds the Wasserstein distances W_p.

    Without `other`, and with a symmetric cost, each pair is solved once. Where the distance of a measure to itself is
    zero, it is not computed but known: mass that stays in place costs C_ii = 0, and no plan costs less than that if no
    cost is negative.

    Parameters
    ----------
    measures : array_like (k, n), or list of k point clouds
        Histograms, one per row; or, without `cost`, points (n_i, d), as an array or a list, each alone for uniform
        weights or as a tuple (points, weights) with weights (n_i,). A vector of points stands for points on the line.
        In place of points or weights may stand the path of a .npy file.
    other : likewise (l, m), or list of l point clouds, optional
        The second set. None compares the measures with each other.
    cost : array_like (n, m), CostMatrix, PointCloud or Grid, optional
        Costs between the places of the histograms. All weights need the same total.
    p : float, optional
        Exponent of W_p, >= 1; None stands for 2. For point clouds only: the power of a distance between places belongs
        into `cost`.
    ground : str, callable or GroundCost, optional
        The distance between points that is raised to p, as in `wasserstein`; None stands for "euclidean". For point
        clouds only, too. With a function each pair is solved twice, in both orders, and one after the other.
    n_jobs : int, optional
        Number of workers, where a configuration of joblib's is active: within ``joblib.parallel_config("dask")`` the
        pairs are spread over a cluster, in parts that a lost worker can be without. None for all it has. Without a
        configuration it is a number of threads.
    threads : int, optional
        Pairs are spread over the threads; None for all processors, or of a worker for one thread. The answer has the
        same bits for any number, and on any number of workers.
    progress : bool
        Show a progress bar over the pairs, or parts of the matrix (needs tqdm).
    time_limit : float, optional
        Seconds after which no further pairs are begun. The distances of those that are missing are NaN.

    Returns
    -------
    ndarray (k, k) or (k, l)
        Transport costs in the unit of `cost` times that of the weights; distances in the unit of the coordinates, for
        weights normalised to probabilities. Of arrays of another library it is such an array, as `emd` says.

    Raises
    ------
    ValueError, TypeError
        As `emd` and `PointCloud` do, naming the measure or the pair; for `p` or `ground` together with `cost`;
        for a tuple of two tuples of numbers, which may be points and weights or two points.
    InfeasibleError
        If forbidden arcs, costs of +inf, leave no plan for a pair.

    Warns
    -----
    ConvergenceWarning
        If costs of some pairs differ so much in size that their distances may be too large (``Status.INEXACT``), or if
        the time limit left pairs out.

    Notes
    -----
    W_p is a metric: Villani 2009, "Optimal Transport, Old and New", Definition 6.1. The cost matrices of point clouds
    are computed a few at a time, as float32 if all points are, else as float64. Points with one coordinate need none:
    each set is sorted once, and a pair takes the time of walking through both (see `wasserstein_1d`).

    Examples
    --------
    >>> import numpy as np, monge
    >>> monge.pairwise([[[0.0, 0.0]], [[3.0, 4.0]], [[0.0, 1.0], [0.0, -1.0]]])[0]
    array([0., 5., 1.])
    >>> places = np.arange(3.0)
    >>> monge.pairwise([[1, 0, 0], [0, 1, 0], [0, 0, 1]], cost=abs(places[:, None] - places))
    array([[0., 1., 2.],
           [1., 0., 1.],
           [2., 1., 0.]])
    """
    elsewhere, jobs = workers(n_jobs)
    own = available_threads(threads) if threads is not None else 1 if elsewhere else jobs
    where = Where(elsewhere, n_jobs, own, progress, seconds(time_limit))
    home = home_of_any(measures, other, cost)
    D, inexact, count = _distances(measures, other, cost, p, ground, where)
    missing = int(np.isnan(D).sum())
    if inexact:
        text = f"pairwise: {inexact} of {count} pairs: {Status.INEXACT.value}."
        warnings.warn(text, ConvergenceWarning, stacklevel=2)
    if missing:
        text = f"pairwise: {missing} of {D.size} distances are NaN: time_limit ran out. Raise it."
        warnings.warn(text, ConvergenceWarning, stacklevel=2)
    return at_home(D, home)


def _distances(
    measures: Any, other: Any, cost: Any, p: float | None, ground: Any, where: Where
) -> tuple[Array, int, int]:
    """The matrix; of how many pairs, of how many that were solved, the distance is inexact."""
    if cost is None:
        return _between_clouds(measures, other, ground, check_power(2.0 if p is None else p), where)
    if ground is not None:
        raise ValueError(
            f"ground belongs to point clouds; got ground={shown(ground)} and a cost, which says it already."
        )
    if p is not None:
        raise ValueError(
            f"p belongs to point clouds; got p={shown(p)} and a cost. Put the power into the cost: cost**p."
        )
    return _between_histograms(measures, other, as_cost(cost), where)


def _between_histograms(measures: Any, other: Any, cost: Cost, where: Where) -> tuple[Array, int, int]:
    n, m = cost.shape
    if other is None and n != m:
        raise ValueError(f"cost should be square to compare the measures with each other; got shape {cost.shape}.")
    a, given_a = _histograms(measures, "measures", n)
    b, given_b = (a, given_a) if other is None else _histograms(other, "other", m)
    _check_totals(given_a, given_b)
    roundings = [rounding_of(row) for row in given_a], [rounding_of(row) for row in given_b]
    C = dense(cost, where.threads)
    symmetric = other is None and np.array_equal(C, C.T)
    zero = symmetric and not C.diagonal().any() and bool((C >= 0).all())
    after = int(zero) if symmetric else None
    if where.elsewhere and a and b:
        D, inexact = spread_histograms(a, b, roundings, C, after, where)
    else:
        wanted = triangle(range(len(a)), range(len(b)), after)
        with _run(where, wanted) as run:
            D, inexact = histogram_pairs(a, b, roundings, C, wanted, run)
    return (_mirrored(D, zero) if symmetric else D), inexact, _count(D, after)


def _between_clouds(measures: Any, other: Any, ground: Any, p: float, where: Where) -> tuple[Array, int, int]:
    written = callable(ground) or isinstance(ground, GroundCost)
    built_in = None if written else power_of("euclidean" if ground is None else ground, p)
    sources = _clouds(measures, "measures")
    targets = sources if other is None else _clouds(other, "other")
    _check_totals(sources.given, targets.given)
    x, y = sources.clouds, targets.clouds
    if len(x) == 0 or len(y) == 0:
        return np.zeros((len(x), len(y))), 0, 0
    # A function is not known to be symmetric, nor to be zero between a point and itself.
    same = other is None and not written
    after = 1 if same else None
    _check_dimensions(x, y)
    distance = Written(ground, p) if built_in is None else _shared(x, y, same, built_in)
    if where.elsewhere:
        D, inexact = spread_clouds(distance, x, y, after, where)
    else:
        wanted = triangle(range(len(x)), range(len(y)), after)
        with _run(where, wanted) as run:
            D, inexact = distance.between(x, y, wanted, run)
    return (_mirrored(D, True) if same else D), inexact, _count(D, after)


def _shared(sources: list[Cloud], targets: list[Cloud], same: bool, ground: Ground) -> Distance:
    """The distance that is the p-th root of means of a ground cost, with what all pairs have in common."""
    if sources[0].points.shape[1] == 1:
        _check_line(sources, targets, same)
        return OnTheLine(ground.power)
    # A box has the reach of all points in it.
    x = _box(sources)
    y = x if targets is sources else _box(targets)
    return InSpace(ground, scale_of(PointCloud(x, y, ground.name).reach), np.result_type(x, y))


def _box(clouds: list[Cloud]) -> NDArray[Any]:
    """Two corners of the box around all points."""
    points = np.concatenate([cloud.points for cloud in clouds])
    return np.stack([points.min(axis=0), points.max(axis=0)])


def _check_dimensions(sources: list[Cloud], targets: list[Cloud]) -> None:
    d = sources[0].points.shape[1]
    for clouds, name in ((sources, "measures"), (targets, "other")):
        for k, cloud in enumerate(clouds):
            if cloud.points.shape[1] != d:
                raise ValueError(
                    f"all points should have the same dimension; got {d} in measures[0] and "
                    f"{cloud.points.shape[1]} in {name}[{k}]."
                )


def _check_line(sources: list[Cloud], targets: list[Cloud], same: bool) -> None:
    lows, highs = (
        [[float(extreme(cloud.points)) for cloud in clouds] for clouds in (sources, targets)]
        for extreme in (np.min, np.max)
    )
    if not max(map(max, highs)) - min(map(min, lows)) < math.inf:  # perhaps of no pair
        for s in range(len(sources)):
            for t in range(s + 1 if same else 0, len(targets)):
                with naming("pair", (s, t)):
                    check_range(min(lows[0][s], lows[1][t]), max(highs[0][s], highs[1][t]))


@contextmanager
def _run(where: Where, wanted: Sequence[range]) -> Iterator[Run]:
    """How pairs are solved in this process."""
    deadline = time.monotonic() + where.limit
    with count_bar(where.progress, sum(map(len, wanted)), "pairwise", "pairs") as show:
        yield Run(where.threads, show, deadline)


def _count(D: Array, after: int | None) -> int:
    """Of the pairs that are solved."""
    return D.size if after is None else sum(map(len, triangle(range(len(D)), range(len(D)), after)))


def _mirrored(D: Array, zero: bool) -> Array:
    """The whole of a symmetric matrix, of which the upper triangle is known, and the diagonal, or that it is zero."""
    whole = np.triu(D, 1) + np.triu(D, 1).T
    np.fill_diagonal(whole, 0.0 if zero else D.diagonal())
    return whole


def _histograms(values: Any, name: str, size: int) -> tuple[list[Weights], list[NDArray[Any]]]:
    """The histograms, and the same as they were given, which tells how far they are rounded."""
    rows, given = [], []
    for k, row in enumerate(items(values, name, "histograms, one per row")):
        with naming(f"{name}[{k}]"):
            weights, _ = check_weights(row, None, size, 1)
            assert weights is not None
            rows.append(weights)
            given.append(_as_given(row))
    return rows, given


def _as_given(weights: Any) -> Any:
    """The weights in a type that tells how far they are rounded, in NumPy's where it has it."""
    return weights if weights is None or is_bfloat16(weights) else np.asarray(on_host(weights))


def _clouds(values: Any, name: str) -> _Set:
    expected = "a list of point clouds, each (n, d) or a tuple (points, weights)"
    each = items(values, name, expected)
    if isinstance(each, np.ndarray) and each.ndim != 3:
        raise ValueError(
            f"{name} should be {expected}; got {type(values).__name__} of shape {each.shape}. "
            "For histograms, pass cost=."
        )
    found = _Set([], [])
    for k, item in enumerate(each):
        with naming(f"{name}[{k}]"):
            points, given = map(_read, _points_and_weights(item))
            points = as_points(points, "points")
            weights, _ = check_weights(given, None, len(points), 1)
        found.clouds.append(Cloud(points, weights))
        found.given.append(_as_given(given))
    return found


def _read(values: Any) -> Any:
    """What a .npy file holds, for its path."""
    if not isinstance(values, str | os.PathLike):
        return values
    try:
        with open(values, "rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"expected a .npy file, as numpy.save writes it; {values} is none: {error}") from None


def _points_and_weights(item: Any) -> tuple[Any, Any]:
    """A tuple of two is (points, weights). Two tuples of numbers might also be two points: an error."""
    if not isinstance(item, tuple) or len(item) != 2:
        return item, None
    if all(isinstance(part, tuple) and all(np.ndim(number) == 0 for number in part) for part in item):
        points, weights = (list(part) for part in item)
        raise ValueError(
            "a tuple of two stands for (points, weights), and this one could be two points as well; got "
            f"{shown(item)}. Write [{shown(points)}, {shown(weights)}] for two points, ({shown(points)}, "
            f"{shown(weights)}) for points on the line and their weights."
        )
    return item


def _check_totals(a: Sequence[NDArray[Any] | None], b: Sequence[NDArray[Any] | None]) -> None:
    """Raises ValueError, naming a pair, if some weights in a and some in b have totals that differ."""
    totals_a, totals_b = ({k: math.fsum(w) for k, w in enumerate(side) if w is not None} for side in (a, b))
    if totals_a and totals_b:
        for least, most in ((min, max), (max, min)):
            s, t = least(totals_a, key=totals_a.__getitem__), most(totals_b, key=totals_b.__getitem__)
            with naming("pair", (s, t)):
                check_weights(a[s], b[t], *(len(w) for w in (a[s], b[t]) if w is not None))
