"""Optimal transport between minibatches: the public function, its checks, what is drawn and what is solved."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.distances.minibatch.complete import MOST_PAIRS, Complete, every_batch, number_of_batches
from monge.distances.minibatch.draws import Draws, Epochs, Independent, chances, pairs_in_block
from monge.distances.minibatch.line import OnLine, matches_in_order
from monge.distances.minibatch.result import Minibatch
from monge.distances.minibatch.running import Run
from monge.distances.minibatch.sampled import Sampled, warn_of_shortfalls
from monge.distances.minibatch.solvers import Entropic, Exact, OfLoss, Solver
from monge.entropic.marginals import as_marginals
from monge.problem.arrays import positive, positive_integer, require_memory, seconds, shown
from monge.problem.costs import PointCloud
from monge.problem.home import home_of_any
from monge.problem.measures import check_weights
from monge.spread.blocks import seed_of
from monge.spread.sources import Source, source_of

__all__ = ["check_marginals", "minibatch"]

# Bytes of an entry of a plan, with its row and column.
_ENTRY = 16


def minibatch(
    x: Any,
    y: Any,
    a: Any = None,
    b: Any = None,
    *,
    batch_size: int,
    n_batches: int | str | None = None,
    epochs: int | None = None,
    cost: Any = "sqeuclidean",
    eps: float | None = None,
    marginals: Any = None,
    loss: Callable[[Any, Any], Any] | None = None,
    replace: bool = False,
    rng: Any = None,
    n_jobs: int | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> Minibatch:
    """Optimal transport between minibatches: the mean over pairs of batches of points.

    With A and B batches of m points of x and of y, drawn at random,

        ``U(a, b) = E h(A, B)``,    h(A, B) = the minimum of <P, C> over plans between both, or another loss of them,

    is estimated by a mean over pairs. It takes time in proportion to their number, whatever that of the points. Use it
    where points are too many to be transported at once, or only to be sampled, as in the training of generators.

    It is not a distance: U(a, a) is above zero, and U(a, b) on average above the transport between all points, the
    more so the smaller batches are. ``.debiased``, U(a, b) - (U(a, a) + U(b, b)) / 2, takes that out.

    Parameters
    ----------
    x : array_like (n, d), path, memmap, dask array, or callable
        Points of the first measure; a vector stands for points on the line. The path of a .npy file, a mapped file or
        an array of dask is read a batch at a time; a sampler(rng, k) -> (k, d) draws points of a measure.
    y : array_like (m, d), path, memmap, dask array, or callable
        Points of the second.
    a, b : array_like (n,), (m,), optional
        Weights, of equal totals, in proportion to which points are drawn; they need ``replace=True``. None for uniform
        ones.
    batch_size : int
        Points of a batch, on either side, each with the same weight within the batch.
    n_batches : int or "all"
        Number of pairs, drawn independently; or all pairs there are. Of all, there may be a million; on the line, at
        a convex cost of the difference such as |x - y|^p, p >= 1, any number, by a closed form.
    epochs : int
        In place of n_batches: so many times both sides are shuffled and cut into batches, which are paired in order.
        Every point is met as often as every other, the plan of two sides of one size has exact marginals, and the
        standard deviation is smaller than that of as many independent pairs: a fifth between normal clouds that are a
        standard deviation apart, four fifths between two of one law. Of two sizes, an epoch is one of the larger side,
        in which the shuffle of the smaller one is gone through again and again. If batch_size does not divide that
        size, the last pair of an epoch is smaller, and pairs count by their points.
    cost : str, (str, float), callable or GroundCost
        The ground cost, as `PointCloud` takes it.
    eps : float, optional
        Strength of the entropy, for `sinkhorn` between batches; None for exact transport.
    marginals : monge.KL, monge.TV, or a pair, optional
        Penalties in place of the constraints, as for `sinkhorn`; they need eps.
    loss : callable, optional
        In place of these three: a function of two batches, arrays (batch_size, d) of NumPy's, that returns a `Loss` or
        a number, such as ``functools.partial(monge.sliced_wasserstein, rng=0, threads=1)``. There is no plan then.
    replace : bool
        Whether a batch may hold a point twice: batches of independent draws. Not with epochs.
    rng : None, int or numpy.random.Generator
        What draws the batches (SPEC 7). The same seed gives the same bits for any number of workers.
    n_jobs : int, optional
        Number of workers; None follows an active joblib configuration, such as ``joblib.parallel_config("dask")``,
        and is threads on all processors without one.
    time_limit : float, optional
        Seconds, after which no block of pairs is begun. The value is then the mean over those that were solved, over
        whole epochs if there are, with a ConvergenceWarning.
    progress : bool
        Show a progress bar over blocks of pairs (needs tqdm).

    Returns
    -------
    Minibatch
        A float in the unit of the cost, the mean of each pair's ``value``, with ``standard_error``, ``debiased``, the
        sparse ``plan``, ``grad_x`` and ``grad_y``, which are unbiased, ``n_batches`` and ``converged``.

    Raises
    ------
    ValueError
        Batches larger than a side without replacement; both or neither of n_batches and epochs; weights without
        ``replace=True``; "all" of more than a million pairs; epochs of a sampler; marginals without eps; points and
        weights as for `emd`.
    TypeError
        Arguments of the wrong type. On use, a plan or a derivative of a sampler's points, a plan of a loss, a
        derivative that the loss or the ground cost has not, derivatives with respect to weights.
    MemoryError
        If the plan, or the costs between two batches, would not fit.
    TimeoutError
        If `time_limit` ran out before all pairs of "all" were solved: those that were stand for nothing.

    Notes
    -----
    Fatras, Zine, Flamary, Gribonval and Courty 2020, "Learning with minibatch Wasserstein", equations 2 to 6; Fatras,
    Zine, Majewski, Flamary, Gribonval and Courty 2021, "Minibatch optimal transport distances; analysis and
    applications". U does not increase with the batch size; batches of one point give the mean cost, those of all points
    without replacement the transport itself. For |x - y|^2, a measure and the same one moved by t,
    U(a, a + t) = U(a, a) + |t|^2.

    With probability 1 - delta the mean over k independent pairs is within
    ``M (sqrt(log(2 / delta) / (2 floor(n / m))) + sqrt(2 log(2 / delta) / k))`` of the mean over samples of n points,
    where h is between 0 and M (2021, Theorem 1). The sums of its plan are off by ``2 sqrt(2 n (1 - m / n) / (pi m k))``
    on average, added up over the n rows and the n columns: each sum is 0 or 1 / m in a pair.

    Examples
    --------
    >>> import numpy as np, monge
    >>> x = np.random.default_rng(0).normal(size=(500, 2))
    >>> loss = monge.minibatch(x, x + [3.0, 4.0], batch_size=50, epochs=4, rng=0)
    >>> loss > 25.0, round(loss.debiased, 9)
    (True, 25.0)
    >>> loss.plan.shape, bool(np.allclose(loss.plan.sum(axis=1), 1 / 500))
    ((500, 500), True)

    All pairs of batches of points on the line, in closed form:

    >>> [round(monge.minibatch([0.0, 1.0, 2.0], [0.0, 1.0, 2.0], batch_size=m, n_batches="all"), 3) for m in (1, 2, 3)]
    [1.333, 0.444, 0.0]
    """
    size = positive_integer(batch_size, "batch_size")
    home = home_of_any(*(values for values in (x, y, a, b) if not callable(values)))
    source_x, source_y = source_of(x, "x"), source_of(y, "y")
    if source_x.columns != source_y.columns:
        raise ValueError(
            f"x and y should have points of the same dimension; got {source_x.columns} and {source_y.columns} "
            "coordinates."
        )
    solver = _solver(cost, eps, marginals, loss, source_x, source_y)
    seconds(time_limit)
    weights = _checked(source_x, source_y, a, b, size, n_batches, epochs, replace)
    seed = seed_of(rng)
    whole = _on_line(source_x, source_y, weights, size, replace, solver) if n_batches == "all" else None
    if whole is not None:
        return Minibatch(whole.value, whole, home)
    draws = _draws((source_x, source_y), weights, size, n_batches, epochs, replace, seed, solver)
    estimate = Sampled.of(Run(draws, solver, source_x, source_y, seed, n_jobs, time_limit, progress))
    warn_of_shortfalls(estimate, 3)
    return Minibatch(estimate.value, estimate, home)


def _solver(cost: Any, eps: Any, marginals: Any, loss: Any, x: Source, y: Source) -> Solver:
    if loss is not None:
        if not callable(loss):
            raise TypeError(f"loss should be a function of two batches of points, or None; got {shown(loss)}.")
        if eps is not None or marginals is not None or not (isinstance(cost, str) and cost == "sqeuclidean"):
            raise ValueError(
                "loss= stands for cost, eps and marginals together; got some of these, too. Leave them out."
            )
        return OfLoss(loss)
    rng = np.random.default_rng(0)
    # Of a bare function a GroundCost, which is compiled once.
    known = PointCloud(x.draw(rng, 1), y.draw(rng, 1), cost).cost
    check_marginals(eps, marginals)
    return Exact(known) if eps is None else Entropic(known, positive(eps, "eps"), as_marginals(marginals))


def check_marginals(eps: Any, marginals: Any) -> None:
    """ValueError for penalties without entropy."""
    if eps is None and marginals is not None:
        raise ValueError("marginals need entropic transport; got eps=None. Pass eps, in the units of the cost.")


def _checked(
    x: Source, y: Source, a: Any, b: Any, size: int, n_batches: Any, epochs: Any, replace: Any
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """The weights, after all that can be wrong with what is to be drawn."""
    if not isinstance(replace, bool | np.bool_):
        raise TypeError(f"replace should be True or False; got {shown(replace)}.")
    if (n_batches is None) == (epochs is None):
        raise ValueError(
            f"pass either n_batches=, a number of independent pairs, or epochs=; got n_batches={shown(n_batches)} and "
            f"epochs={shown(epochs)}."
        )
    if epochs is not None:
        positive_integer(epochs, "epochs")
    elif n_batches != "all":
        if isinstance(n_batches, str):
            raise ValueError(f'n_batches should be a positive integer or "all"; got {n_batches!r}.')
        positive_integer(n_batches, "n_batches")
    if epochs is not None and replace:
        raise ValueError("epochs take every point once, so there is no replacement; got replace=True. Pass n_batches=.")
    if (a is not None or b is not None) and not replace:
        raise ValueError(
            "weights are chances with which points are drawn, for which they are put back; got replace=False. Pass "
            "replace=True and n_batches=, or leave a and b out."
        )
    for source, weights, name in ((x, a, "x"), (y, b, "y")):
        if source.rows is None:
            if weights is not None:
                raise ValueError(
                    f"{name} is a sampler, which has no points to weigh; got weights for it. Leave them out."
                )
            if epochs is not None or n_batches == "all":
                what = "epochs" if epochs is not None else 'n_batches="all"'
                raise ValueError(f"{name} is a sampler, of whose points there is no end; got {what}. Pass n_batches=k.")
        elif size > source.rows and not replace:
            raise ValueError(
                f"batch_size should be at most {source.rows}, the number of points of {name}; got {size}. Pass a "
                "smaller one, or replace=True."
            )
    return check_weights(a, b, x.rows or 0, y.rows or 0)


def _on_line(x: Source, y: Source, weights: Any, size: int, replace: bool, solver: Solver) -> OnLine | None:
    """All pairs in closed form; None where there is none."""
    if not (solver.sparse and x.columns == 1):
        return None
    found = OnLine(x, y, weights[0], weights[1], size, bool(replace), solver.cost)
    return found if matches_in_order(found.cloud) else None


def _draws(
    sources: tuple[Source, Source], weights: Any, size: int, n_batches: Any, epochs: Any, replace: bool,
    seed: np.random.SeedSequence, solver: Solver,
) -> Draws:  # fmt: skip
    n, m = sources[0].rows, sources[1].rows
    each = solver.seconds(size, sources[0].columns), size * sources[0].columns
    if epochs is not None:
        assert n is not None
        assert m is not None
        pairs = -(-max(n, m) // size)
        _require_room(pairs * epochs, size, solver)
        per_block = pairs_in_block(pairs * int(epochs), *each)
        return Epochs((n, m), size, int(epochs), per_block, seed, max(n, m))
    if n_batches == "all":
        assert n is not None
        assert m is not None
        pairs = math.prod(number_of_batches(k, size, replace, MOST_PAIRS) for k in (n, m))
        if pairs > MOST_PAIRS:
            raise ValueError(
                f'n_batches="all" takes at most {MOST_PAIRS:,} pairs of batches, and there are more. Pass a number of '
                "pairs to draw, or epochs=."
            )
        _require_room(pairs, size, solver)
        batches = [every_batch(k, size, replace, w) for k, w in zip((n, m), weights, strict=True)]
        return Complete(batches[0], batches[1], pairs_in_block(pairs, *each))
    count = int(n_batches)
    if n is not None and m is not None:
        _require_room(count, size, solver)
    per_block = pairs_in_block(count, *each)
    return Independent((n, m), size, count, per_block, bool(replace), (chances(weights[0]), chances(weights[1])))


def _require_room(pairs: int, size: int, solver: Solver) -> None:
    if solver.sparse:
        what = f"the plan of {pairs:,} pairs of batches of {size}"
        require_memory(_ENTRY * pairs * size, what, "Solve fewer pairs of batches, or smaller ones.")
