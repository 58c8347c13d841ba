"""Averages of structures: graphs, distance matrices or shapes that share no space and no order of their points.

minimise over C (n, n)  sum_s w_s min_P sum_ijkl (C_ik - Cs_jl)^2 P_ij P_kl          (Peyre, Cuturi and Solomon 2016)

For given plans the best structure is closed, C = sum_s w_s P_s Cs P_s' / (p p') with p the masses of its points; and so
are the best features, F = sum_s w_s P_s Fs / p (Vayer et al. 2020, section 4.4). For a given structure each plan goes
down from where it was. So the objective never rises.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.exact.dense import dense
from monge.problem.arrays import (
    available_threads,
    items,
    positive,
    positive_integer,
    require_memory,
    seconds,
)  # fmt: skip
from monge.problem.batch import naming
from monge.problem.costs import CostMatrix, PointCloud, as_points, is_sparse
from monge.problem.home import home_of_any
from monge.problem.measures import as_mixture, check_weights
from monge.problem.progress import step_bar
from monge.problem.transport import ConvergenceWarning
from monge.structures.barycenter_result import GromovBarycenter
from monge.structures.gromov import gromov_wasserstein
from monge.structures.matrices import as_structure
from monge.structures.result import GromovStatus

__all__ = ["gromov_barycenter"]

Array = NDArray[np.float64]


def gromov_barycenter(
    structures: Sequence[Any],
    masses: Sequence[Any] | None = None,
    weights: Any = None,
    *,
    n_points: int | None = None,
    init: Any = None,
    features: Sequence[Any] | None = None,
    alpha: float = 0.5,
    eps: float | None = None,
    n_starts: int = 1,
    rng: Any = None,
    tol: float = 1e-7,
    max_iter: int = 100,
    threads: int | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> GromovBarycenter:
    """The structure of least distance, in the sense of Gromov and Wasserstein, from several ones.

    Minimises ``sum_s w_s min_P E_s(P)`` over structures C (n, n), where P has the sums 1 / n and a_s, and E_s(P) =
    ``sum_ijkl (C_ik - Cs_jl)^2 P_ij P_kl``; with features over those of C, too, and (1 - alpha) <P, M_s> + alpha E_s(P)
    in the place of E_s; with `eps`, eps KL(P | a x b) is added. The problem is not convex: this is a local optimum.

    Parameters
    ----------
    structures : sequence of array_like (n_s, d), or of CostMatrix or sparse (n_s, n_s)
        Each one a cloud, which stands for its squared distances, or a matrix: distances, or an adjacency.
    masses : sequence of array_like (n_s,), optional
        Weights of their points, None for uniform ones. They are normalised to probabilities.
    weights : array_like (k,), optional
        Shares w_s of the structures, not negative, which sum to one. None for equal ones.
    n_points : int, optional
        Size n of the average. None for that of `init`, or the largest of the structures.
    init : array_like (n, n), optional
        A structure to begin with. None begins with one of those given, or points drawn from it.
    features : sequence of array_like (n_s, f), optional
        Of the points of each structure, one row each.
    alpha : float
        The share of the structures where there are features, from 0 to 1.
    eps : float, optional
        Strength of the entropy of the plans, in the units of E. None for none.
    n_starts : int
        Beginnings, from different structures and points; the best end is returned.
    rng : None, int or numpy.random.Generator
        Draws the points to begin with (SPEC 7).
    tol : float
        It ends where a turn lowers the objective by less than this part of the squares of the structures.
    max_iter : int
        Largest number of turns.
    threads : int, optional
        As in `gromov_wasserstein`.
    time_limit : float, optional
        Seconds, looked at between turns. When they are over, the best so far is returned, with a ConvergenceWarning.
    progress : bool
        Show the turns (needs tqdm).

    Returns
    -------
    GromovBarycenter
        ``structure`` (n, n), ``weights``, ``features``, ``value``, ``plans``, and ``points(dim)``, a picture of it. Of
        arrays of another library than NumPy it has such arrays, as `emd` says.

    Raises
    ------
    ValueError
        No structures, or lists of other lengths; structures and weights as for `gromov_wasserstein`; shares that are
        negative or do not sum to one; features of other sizes.
    TypeError
        What holds no real numbers.
    MemoryError
        If the matrices would not fit.

    Notes
    -----
    Peyre, Cuturi and Solomon 2016, "Gromov-Wasserstein averaging of kernel and distance matrices", section 4; with
    features Vayer et al. 2020, "Fused Gromov-Wasserstein distance for structured objects", section 4.4. An average of
    distances need not be one: where plans split masses, ``structure`` may not be zero on its diagonal.

    Examples
    --------
    Two ways to list the corners of one rectangle, and their average, which is that rectangle again:

    >>> import numpy as np, monge
    >>> x = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]])
    >>> average = monge.gromov_barycenter([x, x[[2, 0, 3, 1]] + 5.0])
    >>> round(average.value, 9), np.sort(average.structure[0]).round(6)
    (0.0, array([0., 1., 4., 5.]))

    A long and a short bar, as distances; that of least distance from both has the mean of their lengths:

    >>> bars = [monge.CostMatrix([[0.0, length], [length, 0.0]]) for length in (1.0, 3.0)]
    >>> monge.gromov_barycenter(bars).structure
    array([[0., 2.],
           [2., 0.]])
    """
    began = time.monotonic()
    deadline = began + seconds(time_limit)
    tol, max_iter = positive(tol, "tol"), positive_integer(max_iter, "max_iter")
    starts, strength = positive_integer(n_starts, "n_starts"), None if eps is None else positive(eps, "eps")
    workers, generator = available_threads(threads), np.random.default_rng(rng)
    home = home_of_any(
        *(home_of_any(each) for each in (structures, masses, features) if isinstance(each, list | tuple))
    )
    problem = _Problem(structures, masses, weights, features, alpha, strength, workers)
    first = None if init is None else _matrix(init, "init")
    size = len(first) if first is not None else max(len(C) for C in problem.C)
    if n_points is not None:
        size = positive_integer(n_points, "n_points")
        if first is not None and len(first) != size:
            raise ValueError(f"init should be a structure of n_points = {size} points; got {len(first)}.")
    require_memory(4 * 8 * size**2, f"an average of {size} points", "Take fewer n_points.")
    ends = []
    with step_bar(progress, "gromov_barycenter") as report:
        for start in range(starts):
            begin = problem.begin(size, first if start == 0 else None, start, generator)
            ends.append(problem.descend(begin, generator, tol, max_iter, deadline, report))
            if time.monotonic() >= deadline:
                break
    ends.sort(key=lambda end: end.values[-1])
    best = ends[0]
    best.starts = np.array([end.values[-1] for end in ends])
    best.stats["seconds"] = time.monotonic() - began
    if not best.converged:
        warnings.warn(f"gromov_barycenter: {best.status.value}.", ConvergenceWarning, stacklevel=2)
    return best.brought(home)


class _Problem:
    """Structures C, their masses a and shares w, features F; and how to go down."""

    def __init__(
        self, structures: Any, masses: Any, weights: Any, features: Any, alpha: float, eps: float | None, threads: int
    ) -> None:
        given = items(structures, "structures", "a list of structures")
        count = len(given)
        if count == 0:
            raise ValueError("structures should hold at least one structure; got none.")
        self.C = [_structure(values, f"structures[{s}]", threads) for s, values in enumerate(given)]
        self.a = [
            _masses(a, len(C), s) for s, (a, C) in enumerate(zip(_each(masses, count, "masses"), self.C, strict=True))
        ]
        self.w = as_mixture(weights, count)
        self.F = None
        if features is not None:
            self.F = [as_points(f, f"features[{s}]") for s, f in enumerate(_each(features, count, "features"))]
            for s, (f, C) in enumerate(zip(self.F, self.C, strict=True)):
                if f.shape != (len(C), self.F[0].shape[1]):
                    raise ValueError(
                        f"features[{s}] should have shape {(len(C), self.F[0].shape[1])}, a row for each point of the "
                        f"structure and as many columns as features[0]; got {f.shape}."
                    )
        self.alpha, self.eps, self.threads = alpha, eps, threads
        # What values are small beside.
        self.size = sum(
            w * float(a @ (C.astype(float) ** 2) @ a) for w, a, C in zip(self.w, self.a, self.C, strict=True)
        )

    def begin(self, n: int, init: Array | None, start: int, rng: np.random.Generator) -> tuple[Array, Array | None]:
        """A structure (n, n) to begin with, and features: those of points of one that was given."""
        s = int(np.argsort(-self.w, kind="stable")[start % len(self.w)])
        C, a = self.C[s], self.a[s]
        if n == len(C) and start < len(self.w):
            chosen = np.arange(n)
        else:  # evenly by mass, so that masses are about equal
            places = (np.arange(n) + rng.random()) / n
            order = rng.permutation(len(C))
            chosen = order[np.minimum(np.searchsorted(np.cumsum(a[order]), places * a.sum()), len(C) - 1)]
        features = None if self.F is None else self.F[s][chosen].astype(np.float64)
        return (C[np.ix_(chosen, chosen)].astype(np.float64) if init is None else init), features

    def descend(
        self, begin: tuple[Array, Array | None], rng: np.random.Generator, tol: float, max_iter: int, deadline: float,
        report: Any,
    ) -> GromovBarycenter:  # fmt: skip
        C, F = begin
        n = len(C)
        p = np.full(n, 1.0 / n)
        plans: list[Any] = [None] * len(self.C)
        objectives: list[float] = []
        status = GromovStatus.MAX_ITER
        while len(objectives) < max_iter:
            found = [self._match(C, F, s, plans[s], p, rng) for s in range(len(self.C))]
            plans = [t.plan for t in found]
            objectives.append(float(self.w @ [t.objective for t in found]))
            value = float(self.w @ [t.value for t in found])
            here = C, F
            C, F = self._mean(plans, p)
            if report is not None:
                report(len(objectives))
            if len(objectives) > 1 and objectives[-2] - objectives[-1] <= tol * self.size:
                status = GromovStatus.STATIONARY
                break
            if time.monotonic() >= deadline:
                status = GromovStatus.TIME_LIMIT
                break
        return GromovBarycenter(
            structure=here[0],
            weights=p,
            features=here[1],
            value=value,
            values=np.array(objectives),
            plans=plans,
            starts=np.array(objectives[-1:]),
            status=status,
            stats={},
        )

    def _match(self, C: Array, F: Array | None, s: int, init: Any, p: Array, rng: np.random.Generator) -> Any:
        features = None if self.F is None or F is None else (F, self.F[s])
        return gromov_wasserstein(
            CostMatrix(C), CostMatrix(self.C[s]), p, self.a[s], features=features, alpha=self.alpha, eps=self.eps,
            init=init, rng=rng, threads=self.threads,
        )  # fmt: skip

    def _mean(self, plans: list[Any], p: Array) -> tuple[Array, Array | None]:
        """The best structure and features for given plans."""
        C = sum(w * (P @ (P @ Cs.T).T) for w, P, Cs in zip(self.w, plans, self.C, strict=True))  # P Cs P'
        F = None
        if self.F is not None:
            F = sum(w * (P @ f) for w, P, f in zip(self.w, plans, self.F, strict=True)) / p[:, np.newaxis]
        return np.asarray(C) / np.multiply.outer(p, p), F


def _structure(values: Any, name: str, threads: int) -> NDArray[Any]:
    if hasattr(values, "stored"):  # a cost
        return _matrix(dense(values, threads), name)
    if is_sparse(values):
        return _matrix(values.toarray(), name)
    points = as_points(values, name)
    require_memory(16 * len(points) ** 2, f"distances within {name}", "Subsample the points.")
    return dense(PointCloud(points, points), threads)


def _matrix(values: Any, name: str) -> NDArray[Any]:
    return np.asarray(as_structure(values, name))


def _each(values: Any, count: int, name: str) -> Any:
    if values is None:
        return [None] * count
    each = items(values, name, "a list with one entry for each structure")
    if len(each) != count:
        raise ValueError(f"{name} should have one entry for each of the {count} structures; got {len(each)}.")
    return each


def _masses(values: Any, size: int, s: int) -> Array:
    with naming("structure", s):
        a, _ = check_weights(values, None, size, size)
    return np.full(size, 1.0 / size) if a is None else a / math.fsum(a)
