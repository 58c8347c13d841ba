"""A Wasserstein dictionary: a few histograms of which many are barycenters.

minimise  sum_i L(alpha(D, w_i), x_i)  over atoms D, histograms, and mixing weights w_i       (Schmitz et al. 2018)
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.barycenters.coordinates.coordinates import fit, require_all_arcs
from monge.barycenters.coordinates.family import Family
from monge.barycenters.coordinates.misfit import Misfit, misfit_of
from monge.barycenters.fixed.problem import Problem
from monge.barycenters.inputs import as_histograms, one_total
from monge.entropic.kernels.threads import PARALLEL_ONCE, Threads
from monge.problem.arrays import available_threads, positive, positive_integer, require_memory, seconds
from monge.problem.at_home import TransportAtHome
from monge.problem.costs import Cost, as_cost
from monge.problem.home import home_of_any
from monge.problem.progress import count_bar
from monge.problem.transport import ConvergenceWarning, Status

__all__ = ["Dictionary", "dictionary"]

Array = NDArray[np.float64]

# What barycenters are found up to while atoms move, and their derivatives; and the iterations that these may take.
_INNER, _SLOPES, _MOST = 1e-6, 1e-6, 60
# Steps and tolerance of the weights that atoms start with, and of those that they end with.
_FIRST, _LAST = (3, 1e-2), (20, 1e-4)
# Weights are the softmax of what is varied, which has no zeros; that of atoms, relative to the mean of the places'.
_LEAST_WEIGHT, _LEAST = 1e-3, 1e-4
# Pairs of changes that L-BFGS looks back on.
_MEMORY = 10


class Dictionary:
    """Atoms and mixing weights; see `monge.dictionary`.

    Attributes
    ----------
    atoms : ndarray (n_atoms, n)
        Histograms, each with the total of the data.
    weights : ndarray (N, n_atoms)
        The mixing weights of each datum, which sum to one.
    reconstructions : ndarray (N, n)
        The barycenters of the atoms with these weights.
    value : float
        The sum of the losses between data and reconstructions.
    losses : ndarray
        The value after each step of the atoms. The weights are fitted once more after the last of them.
    iterations : int
        Steps of the atoms.
    status : Status
        Why it stopped.
    converged : bool
        Whether the last step lowered the value by no more than tol.
    stats : dict
        ``evaluations`` and ``seconds_total``.

    Methods
    -------
    transform(histograms)
        Mixing weights for other data.
    """

    def __init__(
        self,
        family: Family,
        loss: str,
        atoms: Array,
        weights: Array,
        rebuilt: Array,
        value: float,
        stats: dict[str, Any],
    ) -> None:
        self.atoms, self.weights, self.reconstructions, self.value = atoms, weights, rebuilt, value
        self.losses: Array = stats.pop("losses")
        self.iterations: int = stats.pop("iterations")
        self.status: Status = stats.pop("status")
        self.stats = stats
        self._cost, self._eps, self._debias, self._loss = family.problem.cost, family.eps, family.problem.debias, loss

    @property
    def converged(self) -> bool:
        """Whether the last step lowered the value by no more than tol."""
        return self.status is Status.CONVERGED

    def transform(self, histograms: Any, *, threads: int | None = None, progress: bool = False) -> Array:
        """Find the mixing weights with which the atoms' barycenters are nearest to other data.

        Parameters
        ----------
        histograms : array_like (N, n)
            Each with the total of the atoms.
        threads : int, optional
            Data are spread over the threads; None for all processors.
        progress : bool
            Show how many data are done (needs tqdm).

        Returns
        -------
        ndarray (N, n_atoms)
            Each row sums to one.
        """
        problem = Problem(self.atoms, self._cost, None, None, self._debias)
        data = as_histograms(histograms, self.atoms.shape[1])
        one_total(data, histograms, "Rescale them.", wanted=(problem.total, "that of the atoms"))
        family = Family(problem, self._eps, Threads(1))
        losses = [misfit_of(self._loss, row, self._cost, self._eps, _INNER, 1) for row in data]
        with count_bar(progress, len(data), "transform", "data") as report:
            found = _each(data, available_threads(threads), lambda i: _fitted(family, losses[i], _LAST).weights, report)
        return np.array(found)

    def __repr__(self) -> str:
        k, n = self.atoms.shape
        return (
            f"Dictionary({k} atoms on {n} places, of {len(self.weights)} data, value={self.value:.3g}, "
            f"{self.status.name})"
        )


def dictionary(
    histograms: Any,
    cost: Any,
    n_atoms: int,
    *,
    eps: float,
    loss: str = "l2",
    debias: bool = False,
    rng: Any = None,
    tol: float = 1e-4,
    max_iter: int = 100,
    threads: int | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> Any:
    """A few histograms, the atoms, such that each of many is nearly a barycenter of them.

    Minimises ``sum_i L(alpha(D, w_i), x_i)`` over n_atoms histograms D and mixing weights w_i, where alpha(D, w) is the
    `monge.barycenter` of the atoms with weights w. What a linear factorisation needs an atom for at each place, such as
    a shape that moves, takes two atoms here.

    Parameters
    ----------
    histograms : array_like (N, n)
        The data x_i, of one total. Images go in as ``images.reshape(len(images), -1)``.
    cost : array_like (n, n), CostMatrix, PointCloud or Grid
        Cost per unit of mass between their places.
    n_atoms : int
        How many atoms, at most N.
    eps : float
        As for `monge.barycentric_coordinates`, as are the loss and debias.
    loss : str
        "l2", "kl" or "wasserstein".
    debias : bool
        Barycenters without the blur of entropy, at some ten times the time.
    rng : None, int or numpy.random.Generator
        Draws the datum from which the search for a start begins; atoms start at data that are far from each other.
    tol : float
        It stops when a step lowers the value by at most this share of it.
    max_iter : int
        Largest number of steps of the atoms.
    threads : int, optional
        Data are spread over the threads; None for all processors. The answer has the same bits for any number.
    time_limit : float, optional
        Seconds after which it stops with what it has.
    progress : bool
        Show steps and the value (needs tqdm).

    Returns
    -------
    Dictionary
        ``atoms`` (n_atoms, n), ``weights`` (N, n_atoms), ``reconstructions`` (N, n), ``value``, ``losses``, and
        ``transform`` for other data. Of arrays of another library it has such arrays.

    Raises
    ------
    ValueError
        As `monge.barycenter` does; a cost that is not square; more atoms than data; a loss of another name.
    TypeError
        What holds no real numbers.

    Notes
    -----
    Schmitz et al. 2018, "Wasserstein dictionary learning: optimal transport-based unsupervised nonlinear dictionary
    learning", SIAM J. Imaging Sci. 11(1): atoms and weights are each the softmax of what L-BFGS varies, and barycenters
    start from those before. The problem is not convex, and atoms are not unique: what is between two atoms is
    also between two others that are farther apart.

    Examples
    --------
    >>> import numpy as np, monge
    >>> x = np.arange(20.0)
    >>> bumps = np.exp(-((x - np.linspace(6.0, 13.0, 6)[:, np.newaxis]) ** 2) / 8.0)
    >>> bumps /= bumps.sum(axis=1, keepdims=True)
    >>> found = monge.dictionary(bumps, monge.Grid(20), 2, eps=1.0, rng=0, tol=0.05)
    >>> float(abs(found.reconstructions - bumps).sum(axis=1).max()) < 0.1
    True
    """
    began = time.perf_counter()
    eps, tol, max_iter = positive(eps, "eps"), positive(tol, "tol"), positive_integer(max_iter, "max_iter")
    count, workers = positive_integer(n_atoms, "n_atoms"), available_threads(threads)
    deadline = began + seconds(time_limit)
    one = as_cost(cost)
    home = home_of_any(one.home, histograms)
    if one.shape[0] != one.shape[1]:
        raise ValueError(f"atoms and data are on the same places, so the cost should be square; got shape {one.shape}.")
    data = as_histograms(histograms, one.shape[0])
    one_total(data, histograms, "Rescale them.")
    if count > len(data):
        raise ValueError(f"n_atoms should be at most the number of data, {len(data)}; got {count}.")
    k = count + bool(debias)
    require_memory(8 * len(data) * k * data.shape[1], f"potentials of {len(data)} barycenters", "Take fewer data.")
    problem = Problem(data[:count], one, None, None, bool(debias))
    problem.require_digits(eps)
    require_all_arcs(problem)
    search = _Search(Family(problem, eps, Threads(1)), data, loss, workers)
    with count_bar(progress, max_iter, "dictionary", "steps") as report:
        stats = search.run(_spread(data, one, count, np.random.default_rng(rng)), tol, max_iter, deadline, report)
    rebuilt, weights, value = search.ended()
    found = Dictionary(search.family, loss, search.family.problem.histograms, weights, rebuilt, value, stats)
    found.stats["seconds_total"] = time.perf_counter() - began
    if not found.converged:
        warnings.warn(
            f"dictionary: it stopped after {found.iterations} steps, before one of them lowered the value, "
            f"{found.value:.3g}, by at most tol = {tol:.3g} of it. Raise max_iter, time_limit or tol.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return found if home is None else TransportAtHome(found, home)


class _Search:
    """Atoms and weights, and what is kept of the barycenters before."""

    def __init__(self, family: Family, data: Array, loss: str, threads: int) -> None:
        self.family, self.data, self.threads = family, data, threads
        self.losses = [misfit_of(loss, row, family.problem.cost, family.eps, _INNER, 1) for row in data]
        self.weights, self.v = np.empty((0, 0)), [None] * len(data)
        self._evaluations = 0

    def run(self, atoms: Array, tol: float, max_iter: int, deadline: float, report: Callable[..., None] | None) -> Any:
        """Moves them."""
        from scipy.optimize import minimize  # which `import monge` does not pay for

        total = self.family.problem.total
        self.family = self.family.of(atoms)
        members = _each(self.data, self.threads, lambda i: _fitted(self.family, self.losses[i], _FIRST))
        self.v = [member.v for member in members]
        weights = np.maximum([member.weights for member in members], _LEAST_WEIGHT)
        start = np.concatenate([np.log(atoms).ravel(), np.log(weights).ravel()])
        history: list[float] = []
        scale = [0.0]

        def value(x: Array) -> tuple[float, Array]:
            loss, slopes = self._value(x, atoms.shape, total)
            scale[0] = scale[0] or loss or 1.0  # the first is one: L-BFGS begins with a step as long as its slope
            return loss / scale[0], slopes / scale[0]

        late = [False]

        def after(intermediate_result: Any) -> None:
            history.append(float(intermediate_result.fun) * scale[0])
            if report is not None:
                report(len(history), loss=f"{history[-1]:.3e}")
            if time.perf_counter() >= deadline:
                late[0] = True
                raise StopIteration

        options = {"maxiter": max_iter, "ftol": 0.0, "gtol": 0.0, "maxcor": _MEMORY, "maxfun": 10 * max_iter}
        reached = minimize(
            value, start, jac=True, method="L-BFGS-B", callback=_until(after, history, tol), options=options
        )
        self._set(reached.x, atoms.shape, total)
        settled = len(history) < max_iter or _little(history, tol)  # L-BFGS may also find nothing lower
        status = Status.CONVERGED if settled else Status.MAX_ITER
        if late[0]:
            status = Status.OUT_OF_TIME
        return {
            "losses": np.array(history),
            "iterations": len(history),
            "status": status,
            "evaluations": self._evaluations,
        }

    def _set(self, x: Array, shape: tuple[int, ...], total: float) -> None:
        size = math.prod(shape)
        self.family = self.family.of(total * _softmax(x[:size].reshape(shape)))
        self.weights = _softmax(x[size:].reshape(len(self.data), shape[0]))

    def _value(self, x: Array, shape: tuple[int, ...], total: float) -> tuple[float, Array]:
        self._evaluations += 1
        self._set(x, shape, total)
        family, atoms = self.family, self.family.problem.histograms

        def one(i: int) -> tuple[float, Array, Array, Array]:
            member = family.with_weights(self.weights[i], self.v[i], _INNER)
            alpha = member.alpha
            value, slope = self.losses[i].value(alpha), self.losses[i].slope(alpha)
            with np.errstate(divide="ignore", invalid="ignore"):
                z = np.where(alpha > 0.0, slope / alpha, 0.0)
            member.linear.most = _MOST
            return value, *member.linear.vjp(z, _SLOPES), member.v

        found = _each(self.data, self.threads, one)
        of_weights = np.array([each[1] for each in found]) * self.weights
        of_atoms = np.sum([each[2] for each in found], axis=0) * atoms
        of_atoms -= atoms * (of_atoms.sum(axis=1, keepdims=True) / total)
        self.v = [each[3] for each in found]
        return float(sum(each[0] for each in found)), np.concatenate([of_atoms.ravel(), of_weights.ravel()])

    def ended(self) -> tuple[Array, Array, float]:
        """Reconstructions, weights and the value, with weights that are the best for the atoms."""

        def one(i: int) -> tuple[Array, Array, float]:
            before = self.weights[i], self.v[i]
            best = _fitted(self.family, self.losses[i], _LAST, *before)
            return best.alpha, best.weights, self.losses[i].value(best.alpha)

        rebuilt, weights, values = zip(*_each(self.data, self.threads, one), strict=True)
        return np.array(rebuilt), np.array(weights), float(sum(values))


def _until(after: Callable[[Any], None], history: list[float], tol: float) -> Callable[[Any], None]:
    """`after`, and the end once a step lowers the value by no more than tol of it."""

    def callback(intermediate_result: Any) -> None:
        after(intermediate_result)
        if _little(history, tol):
            raise StopIteration

    return callback


def _little(history: list[float], tol: float) -> bool:
    return len(history) > 1 and history[-2] - history[-1] <= tol * history[-2]


def _fitted(family: Family, misfit: Misfit, effort: tuple[int, float], weights: Any = None, v: Any = None) -> Any:
    start = family.guess(misfit.target) if weights is None else weights
    return fit(family, misfit, start, v, effort[1], effort[0]).member


def _softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _each(data: Array, threads: int, work: Callable[[int], Any], report: Any = None) -> list[Any]:
    """work(i) of each datum, over the threads."""
    done: list[int] = []

    def one(i: int) -> Any:
        found = work(i)
        done.append(i)
        if report is not None:
            report(len(done))
        return found

    return Threads(threads).share(len(data), one, PARALLEL_ONCE + 1)


def _spread(data: Array, cost: Cost, count: int, rng: np.random.Generator) -> Array:
    """Data that are far from each other, as atoms to start from: first that which is farthest from one at random.

    Far in the norm of a kernel so wide that it sees where mass is, not whether it overlaps. They are mixed with
    some of the mean of all, so that an atom may get mass where the datum has none.
    """
    from monge.barycenters.kernels.select import kernel_of

    kernel = kernel_of(cost, max(cost.largest(0.0), np.finfo(np.float64).tiny), Threads(1))
    with np.errstate(divide="ignore"):
        blurred = np.exp(kernel.log_sum(np.log(data)))
    gram = data @ blurred.T
    squares = np.diag(gram)
    chosen = [int(rng.integers(len(data)))]
    far = squares + squares[chosen[0]] - gram[:, chosen[0]] - gram[chosen[0]]
    chosen = [int(np.argmax(far))]
    nearest = np.full(len(data), np.inf)
    while len(chosen) < count:
        last = chosen[-1]
        nearest = np.minimum(nearest, squares + squares[last] - gram[:, last] - gram[last])
        nearest[chosen] = -np.inf
        chosen.append(int(np.argmax(nearest)))
    mean = data.mean(axis=0)
    some = 0.98 * data[chosen] + 0.02 * mean
    floor = _LEAST * mean.mean()
    some += floor
    return np.asarray(some * (data[0].sum() / some.sum(axis=1, keepdims=True)))
