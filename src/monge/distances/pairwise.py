"""All distances within a set of measures, or between two sets.

D_st = min_P <P, C>                                        for histograms mu_s over places with the costs C
D_st = W_p(mu_s, nu_t) = ( min_P  sum_ij P_ij |x_i - y_j|^p )^(1/p)     for point clouds
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monge.distances.wasserstein import smallest_mean, wasserstein
from monge.exact import _core
from monge.exact.dense import dense
from monge.exact.result import check_solved
from monge.exact.univariate import check_power, check_range, in_order, mean_powers
from monge.problem._ground import cost_matrix
from monge.problem.arrays import available_threads, items, require_memory, shown
from monge.problem.at_home import at_home
from monge.problem.batch import naming
from monge.problem.costs import Cost, PointCloud, as_cost, as_points
from monge.problem.ground import Ground, power_of, scale_of, scaled
from monge.problem.home import home_of_any, is_bfloat16, on_host
from monge.problem.measures import Weights, check_value, check_weights, rounding_of, total_mass
from monge.problem.progress import count_bar
from monge.problem.transport import ConvergenceWarning, Status
from monge.problem.user_cost import GroundCost

__all__ = ["pairwise"]

# Numbers that may be held at a time for the pairs in work: their cost matrices, where they are computed, and their
# solutions. 64 MiB of float64, and at least thousands of small pairs, which keeps many threads busy.
_CHUNK = 1 << 23
# Pairs on the line that are solved in one call: some milliseconds at least, and their solutions take 10 MiB.
_PAIRS = 1 << 16
# Of the solution of a pair: what is there per row and column, and what is there in any case.
_PER_PLACE, _PER_PAIR = 5, 64

Array = NDArray[np.float64]


class _Pair(NamedTuple):
    at: tuple[int, int]  # place in the matrix of distances
    C: NDArray[Any]  # (n, m)
    a: Weights | None  # (n,)
    b: Weights | None  # (m,)
    computed: bool  # whether C exists for this pair alone
    mass: float  # by which <P, C> is divided
    rounding: float  # of the numbers that a and b were made from


class _Cloud(NamedTuple):
    points: NDArray[Any]  # (n, d)
    weights: Weights | None  # (n,)
    given: Any  # the weights before they became float64, which tell how far they are rounded


def pairwise(
    measures: Any,
    other: Any = None,
    *,
    cost: Any = None,
    p: float | None = None,
    ground: str | GroundCost | Callable[..., Any] | None = None,
    threads: int | None = None,
    progress: bool = False,
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
    threads : int, optional
        Pairs are spread over the threads; None for all processors. The answer has the same bits for any number.
    progress : bool
        Show a progress bar over the pairs (needs tqdm).

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
        If costs of some pairs differ so much in size that their distances may be too large (``Status.INEXACT``).

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
    workers, home = available_threads(threads), home_of_any(measures, other, cost)
    return at_home(_distances(measures, other, cost, p, ground, workers, progress), home)


def _distances(
    measures: Any, other: Any, cost: Any, p: float | None, ground: Any, workers: int, progress: bool
) -> Array:
    if cost is None:
        if callable(ground) or isinstance(ground, GroundCost):
            return _with_function(measures, other, ground, 2.0 if p is None else p, workers, progress)
        cost = power_of("euclidean" if ground is None else ground, check_power(2.0 if p is None else p))
        return _between_clouds(measures, other, cost, workers, progress)
    if ground is not None:
        raise ValueError(
            f"ground belongs to point clouds; got ground={shown(ground)} and a cost, which says it already."
        )
    if p is not None:
        raise ValueError(
            f"p belongs to point clouds; got p={shown(p)} and a cost. Put the power into the cost: cost**p."
        )
    return _between_histograms(measures, other, as_cost(cost), workers, progress)


def _between_histograms(measures: Any, other: Any, cost: Cost, threads: int, progress: bool) -> Array:
    n, m = cost.shape
    if other is None and n != m:
        raise ValueError(f"cost should be square to compare the measures with each other; got shape {cost.shape}.")
    a, given_a = _histograms(measures, "measures", n)
    b, given_b = (a, given_a) if other is None else _histograms(other, "other", m)
    _check_totals(given_a, given_b)
    rounding_a, rounding_b = ([rounding_of(row) for row in given] for given in (given_a, given_b))
    C = dense(cost, threads)
    symmetric = other is None and np.array_equal(C, C.T)
    zero = symmetric and not C.diagonal().any() and bool((C >= 0).all())
    D = np.zeros((len(a), len(b)))
    upper = [range(s + zero if symmetric else 0, len(b)) for s in range(len(a))]
    pairs = (
        _Pair((s, t), C, a[s], b[t], False, 1.0, max(rounding_a[s], rounding_b[t]))
        for s in range(len(a))
        for t in upper[s]
    )
    _solve(pairs, sum(map(len, upper)), 1.0, D, threads, progress)
    return _mirrored(D) if symmetric else D


def _with_function(measures: Any, other: Any, ground: Any, p: float, threads: int, progress: bool) -> Array:
    sources = _clouds(measures, "measures")
    targets = sources if other is None else _clouds(other, "other")
    _check_totals([cloud.given for cloud in sources], [cloud.given for cloud in targets])
    D = np.zeros((len(sources), len(targets)))
    with count_bar(progress, D.size, "pairwise", "pairs") as show:
        for done, at in enumerate(np.ndindex(D.shape), start=1):
            (own, a, _), (to, b, _) = sources[at[0]], targets[at[1]]
            with naming("pair", at):
                D[at] = wasserstein(own, to, a, b, p=p, ground=ground, threads=threads)
            if show is not None:
                show(done)
    return D


def _between_clouds(measures: Any, other: Any, ground: Ground, threads: int, progress: bool) -> Array:
    p, distance = ground.power, ground.name
    sources = _clouds(measures, "measures")
    targets = sources if other is None else _clouds(other, "other")
    _check_totals([cloud.given for cloud in sources], [cloud.given for cloud in targets])
    D = np.zeros((len(sources), len(targets)))
    if D.size == 0:
        return D
    d = sources[0].points.shape[1]
    for clouds, name in ((sources, "measures"), (targets, "other")):
        for k, cloud in enumerate(clouds):
            if cloud.points.shape[1] != d:
                raise ValueError(
                    f"all points should have the same dimension; got {d} in measures[0] and "
                    f"{cloud.points.shape[1]} in {name}[{k}]."
                )
    if d == 1:
        _on_the_line(sources, targets, other is None, p, D, threads, progress)
        return _mirrored(D) if other is None else D
    dtype = np.result_type(*(cloud.points for cloud in sources + targets))
    x, y = (np.concatenate([cloud.points for cloud in clouds], dtype=dtype) for clouds in (sources, targets))
    # As in `wasserstein`: powers of distances between rescaled points neither overflow nor vanish.
    scale = scale_of(PointCloud(x, y, distance).reach)
    x, y = (np.ascontiguousarray(scaled(points, scale)) for points in (x, y))
    begins = np.cumsum([0, *(len(cloud.points) for cloud in sources)]).tolist()
    ends = np.cumsum([0, *(len(cloud.points) for cloud in targets)]).tolist()
    upper = [range(s + 1 if other is None else 0, len(targets)) for s in range(len(sources))]

    def pairs() -> Iterator[_Pair]:
        for s, source in enumerate(sources):
            own = x[begins[s] : begins[s + 1]]
            for group in _groups(upper[s], ends, _CHUNK // len(own)):
                # One call for many small matrices, side by side, so that it is worth the threads' while.
                start, end = ends[group.start], ends[group.stop]
                entries = len(own) * (end - start)
                if entries > _CHUNK:
                    require_memory(entries * dtype.itemsize, "one cost matrix", "Subsample or aggregate the points.")
                block = cost_matrix(own, y[start:end], ground.code, ground.exponent, 1.0, threads)
                for t in group:
                    C = block[:, ends[t] - start : ends[t + 1] - start]
                    a, b = source.weights, targets[t].weights
                    mass = total_mass(a if a is not None else b)
                    yield _Pair((s, t), C, a, b, True, mass, 0.0)  # no arc is forbidden

    count = sum(map(len, upper))
    least = smallest_mean(p, dtype)
    if least < math.inf:
        _solve(pairs(), count, 1.0 / p, D, threads, progress)
    lost = [(s, t) for s in range(len(sources)) for t in upper[s] if D[s, t] <= least ** (1.0 / p)]
    D = np.ldexp(D, scale)
    with count_bar(progress and least == math.inf, count, "pairwise", "pairs") as show:
        for done, (s, t) in enumerate(lost, start=1):
            (own, a, _), (to, b, _) = sources[s], targets[t]
            with naming("pair", (s, t)):
                D[s, t] = wasserstein(own, to, a, b, p=p, ground=distance, threads=threads)
            if show is not None:
                show(done)
    return _mirrored(D) if other is None else D


def _on_the_line(
    sources: list[_Cloud], targets: list[_Cloud], same: bool, p: float, D: Array, threads: int, progress: bool
) -> None:
    """W_p of points with one coordinate, each set of which is sorted once. Modifies D (s, t) in place."""
    lows, highs = (
        [[float(extreme(cloud.points)) for cloud in clouds] for clouds in (sources, targets)]
        for extreme in (np.min, np.max)
    )
    if not max(map(max, highs)) - min(map(min, lows)) < math.inf:  # perhaps of no pair
        for s in range(len(sources)):
            for t in range(s + 1 if same else 0, len(targets)):
                with naming("pair", (s, t)):
                    check_range(min(lows[0][s], lows[1][t]), max(highs[0][s], highs[1][t]))
    x = [in_order(cloud.points[:, 0], cloud.weights) for cloud in sources]
    y = x if same else [in_order(cloud.points[:, 0], cloud.weights) for cloud in targets]
    places = [(s, t) for s in range(len(x)) for t in range(s + 1 if same else 0, len(y))]
    with count_bar(progress, len(places), "pairwise", "pairs") as show:
        for first in range(0, len(places), _PAIRS):
            some = places[first : first + _PAIRS]
            report = None if show is None else (lambda done, show=show, first=first: show(first + done))
            means = mean_powers([(x[s], y[t]) for s, t in some], p, threads, report)
            for at, (mean, unit) in zip(some, means, strict=True):
                D[at] = unit * mean ** (1.0 / p)
            if show is not None:
                show(first + len(some))


def _groups(targets: range, ends: list[int], most: int) -> Iterator[range]:
    """Runs of targets with at most so many points together, but at least one target each."""
    start = targets.start
    for t in targets:
        if t > start and ends[t + 1] - ends[start] > most:
            yield range(start, t)
            start = t
    if start < targets.stop:
        yield range(start, targets.stop)


def _solve(pairs: Iterable[_Pair], count: int, root: float, D: Array, threads: int, progress: bool) -> None:
    """Writes (<P, C> / mass)^root of each pair into D (s, t), a chunk of pairs at a time. Modifies D in place."""
    with count_bar(progress, count, "pairwise", "pairs") as show:
        done = inexact = 0
        for chunk in _chunks(pairs):
            costs, a, b = [pair.C for pair in chunk], [pair.a for pair in chunk], [pair.b for pair in chunk]
            roundings = [pair.rounding for pair in chunk]
            solved = _core.emd_values(costs, a, b, roundings, threads, _report(show, done))
            for pair, (code, value) in zip(chunk, solved, strict=True):
                with naming("pair", pair.at):
                    check_solved(code, pair.C, (pair.a, pair.b))
                    check_value(value, pair.a, pair.b)
                inexact += code == _core.INEXACT
                # On Python's floats, as `wasserstein` does: NumPy's power of an array may round another way.
                D[pair.at] = (value / pair.mass) ** root
            done += len(chunk)
            if show is not None:
                show(done)
    if inexact:
        text = f"pairwise: {inexact} of {count} pairs: {Status.INEXACT.value}."
        warnings.warn(text, ConvergenceWarning, stacklevel=5)


def _report(show: Callable[[int], None] | None, before: int) -> Callable[[int, int, float], None] | None:
    return None if show is None else lambda done, _sweeps, _violation: show(before + done)


def _chunks(pairs: Iterable[_Pair]) -> Iterator[list[_Pair]]:
    chunk: list[_Pair] = []
    held = 0
    for pair in pairs:
        chunk.append(pair)
        held += _PER_PAIR + _PER_PLACE * sum(pair.C.shape) + (pair.C.size if pair.computed else 0)
        if held >= _CHUNK:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


def _mirrored(D: Array) -> Array:
    return np.triu(D) + np.triu(D, 1).T


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


def _clouds(values: Any, name: str) -> list[_Cloud]:
    expected = "a list of point clouds, each (n, d) or a tuple (points, weights)"
    each = items(values, name, expected)
    if isinstance(each, np.ndarray) and each.ndim != 3:
        raise ValueError(
            f"{name} should be {expected}; got {type(values).__name__} of shape {each.shape}. "
            "For histograms, pass cost=."
        )
    clouds = []
    for k, item in enumerate(each):
        with naming(f"{name}[{k}]"):
            points, given = _points_and_weights(item)
            points = as_points(points, "points")
            weights, _ = check_weights(given, None, len(points), 1)
        clouds.append(_Cloud(points, weights, _as_given(given)))
    return clouds


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
