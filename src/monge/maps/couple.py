"""Couplings of two batches of samples, for flow matching.

minimise  mean_k |x0[i_k] - x1[j_k]|^2  over pairs (i_k, j_k)  that use every row evenly
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.distances.directions import check_rng
from monge.maps.conditions import add_conditions, groups
from monge.maps.draws import draws
from monge.maps.matching import Pairs, matchings, needs_terms
from monge.problem.arrays import available_threads, positive, require_memory
from monge.problem.batch import naming
from monge.problem.home import Home
from monge.problem.products import clouds_together, mean_cost, pair_costs, product_costs

__all__ = ["Coupling", "couple"]

# Below so many costs it takes longer to ask for the free memory than it is worth.
_LARGE = 2**22

# Up to so many coordinates, near points are much nearer than others: the solver starts better from costs that show it,
# by a third of its time at 256 points, and the terms for that cost next to nothing.
_FEW = 16


class Coupling:
    """Pairs of rows of two batches: ``i, j = coupling`` are the indices, x0[i] goes with x1[j].

    Attributes
    ----------
    i, j : array (k,)
        Rows of x0 and of x1, in the order of x0. Arrays of integers of the library of the batches, on their device.
    entropy : float
        Of the plan P that the pairs are, or are drawn from: (H(P) - log max(n, m)) / log min(n, m), with H(P) = - sum
        P log P. 0 for pairs of least cost, 1 for pairs at random; for n = m it is H(P) / log n - 1.
    cost : float
        The mean of |x0[i] - x1[j]|^2 over the pairs.
    cost_before : float
        The mean of |x0_i - x1_j|^2 over all n m pairs: what pairs at random cost.

    Notes
    -----
    The two costs are computed when they are first looked at, from the batches as they are then, in double precision on
    a CPU. A coupling that is pickled takes them along, with indices of NumPy, and leaves the batches behind.
    """

    def __init__(self, pairs: Pairs, entropy: float, clouds: tuple[Any, Any], home: Home | None) -> None:
        self.entropy = entropy
        self.i: Any = pairs[0] if home is None else home(pairs[0])
        self.j: Any = pairs[1] if home is None else home(pairs[1])
        self._pairs, self._clouds = pairs, clouds

    def __iter__(self) -> Iterator[Any]:
        return iter((self.i, self.j))

    @cached_property
    def cost(self) -> float:
        """The mean of |x0[i] - x1[j]|^2 over the pairs."""
        return float(pair_costs(*self._clouds, *self._pairs).mean())

    @cached_property
    def cost_before(self) -> float:
        """The mean of |x0_i - x1_j|^2 over all pairs."""
        return mean_cost(*self._clouds)

    def __getstate__(self) -> dict[str, Any]:
        _ = self.cost, self.cost_before
        i, j = self._pairs  # where it is loaded there may be no such library, and no GPU
        return {**vars(self), "i": i, "j": j, "_clouds": None}

    def __repr__(self) -> str:
        return f"<{len(self._pairs[0])} pairs: cost {self.cost:.6g}, at random {self.cost_before:.6g}>"


def couple(
    x0: Any,
    x1: Any,
    *,
    conditions: Any = None,
    eps: float | None = None,
    rng: Any = None,
    threads: int | None = None,
    time_limit: float | None = None,
    progress: bool = False,
) -> Any:
    """Pair the rows of two batches by optimal transport, as indices.

    Minimises the mean of ``|x0[i] - x1[j]|^2`` over all ways to use each row of the larger batch once, and each of the
    smaller as evenly as it goes: with n = q m + r rows on the larger side, r rows of the smaller are used q + 1 times
    and the others q times, and which ones is decided by the cost. For batches of one size i is 0, 1, ..., n - 1 and j a
    permutation. In training a flow on ``x0[i], x1[j]`` in place of ``x0, x1``, paths cross less, and so are straighter.

    Parameters
    ----------
    x0 : array_like (n, ...)
        The first batch, such as noise. All axes but the first are coordinates, as those of images; a vector holds
        points on the line. Tensors of torch may be on any device and are taken without their history; only n x m costs
        come to the host. A list of batches of any sizes, arrays of two axes or more, is solved in one call.
    x1 : array_like (m, ...)
        The second batch, such as data; a list for a list.
    conditions : (c0, c1), optional
        What is known of the rows of x0, and of those of x1. Labels, vectors of integers, booleans or text: only rows
        with the same label are paired. Floating numbers (n,) and (m,), or (n, k) and (m, k): ``|c0_i - c1_j|^2`` is
        added to the cost, so multiply them by the root of the weight that they should have. For lists of batches a pair
        of lists.
    eps : float, optional
        Strength of the entropy, positive, in the unit of the squared distances. Each row of x0 is then used once, with
        a row of x1 that is drawn from its row of the plan of `sinkhorn`, for uniform weights within each label. None
        for pairs of least cost.
    rng : None, int or numpy.random.Generator
        What draws where eps is given (SPEC 7). The same seed gives the same pairs; None fresh ones in each call.
    threads : int, optional
        Threads of the solver, among which the batches and the labels of a call are shared out; None for all processors.
        The product of matrices runs on the threads of the library that the batches come from.
    time_limit : float, optional
        Seconds for pairs of least cost, after which the best pairs so far are returned with a ConvergenceWarning.
    progress : bool
        Show a progress bar (needs tqdm).

    Returns
    -------
    Coupling, or list of Coupling for lists
        It unpacks to the indices ``i, j``, and has ``.cost``, ``.cost_before`` and ``.entropy`` for a look at what it
        did.

    Raises
    ------
    ValueError
        Batches that differ in their number of coordinates, are empty or not finite, or whose distances overflow;
        conditions of other lengths than the batches; eps that is not positive; lists of different lengths; time_limit
        with eps. In a list, the text of an error begins with the index of the batch.
    TypeError
        Arrays of two libraries beside NumPy; conditions that are no pair, or labels on one side only.
    InfeasibleError
        If labels leave no such pairs, since their counts differ; it says which. Nothing is ever paired at random
        instead.
    MemoryError
        If the costs would not fit.

    Notes
    -----
    Pooladian et al. 2023, "Multisample flow matching", and Tong et al. 2024, "Improving and generalizing flow-based
    generative models with minibatch optimal transport", section 3. There pairs are drawn with replacement from the
    plan, by which a third of each batch is lost; here none is.

    Of |x0|^2 - 2 <x0, x1> + |x1|^2 only the product has a say where the rows of both sides are used evenly. It is
    computed by the library of the batches, on their device, after each batch is centred. Its last bits may depend on
    the number of threads there; the pairs do so only where two ways to pair cost the same to rounding.

    Examples
    --------
    >>> import numpy as np, monge
    >>> x0 = np.array([[0.0, 0.0], [4.0, 0.0], [8.0, 0.0]])
    >>> x1 = np.array([[8.0, 1.0], [0.0, 1.0], [4.0, 1.0]])
    >>> i, j = monge.couple(x0, x1)
    >>> i, j
    (array([0, 1, 2]), array([1, 2, 0]))
    >>> coupling = monge.couple(x0, x1)
    >>> coupling.cost, coupling.entropy
    (1.0, 0.0)

    Only within labels:

    >>> _, j = monge.couple(x0, x1, conditions=([0, 0, 1], [0, 1, 0]))
    >>> j
    array([2, 0, 1])
    """
    generator, workers = check_rng(rng), available_threads(threads)
    strength = None if eps is None else positive(eps, "eps")
    if strength is not None and time_limit is not None:
        raise ValueError("time_limit is for pairs of least cost; got eps, too. Leave one of them out.")
    many = _is_list(x0)
    if many != _is_list(x1):
        raise ValueError("x0 and x1 should both be batches, or both lists of batches; got one of each.")
    parts = []
    if many:
        batches = _listed(x0, x1, conditions)
        with naming("batch", 0) as at:
            for at.index, batch in enumerate(batches):
                parts.append(_Batch(*batch, drawn=strength is not None))
        if not parts:
            return []
    else:
        parts.append(_Batch(x0, x1, conditions, drawn=strength is not None))
    costs = [C for part in parts for C in part.costs()]
    if strength is None:
        found = matchings(costs, threads=workers, time_limit=time_limit, progress=progress)
        entropies = [np.zeros(1)] * len(costs)
    else:
        uniforms = [u for part in parts for u in part.uniforms(generator)]
        drawn = draws(costs, uniforms, strength, threads=workers, progress=progress)
        found = [(np.arange(len(j)), j) for j, _ in drawn]
        entropies = [entropy for _, entropy in drawn]
    couplings, first = [], 0
    for part in parts:
        some = slice(first, first + len(part.groups))
        couplings.append(part.coupling(found[some], entropies[some], strength is not None))
        first = some.stop
    return couplings if many else couplings[0]


class _Batch:
    """One pair of batches: their costs, and the groups of rows and columns within which pairs are looked for."""

    def __init__(self, x0: Any, x1: Any, conditions: Any, *, drawn: bool) -> None:
        x, y, self.home = clouds_together(x0, x1, ("x0", "x1"))
        self.clouds = x, y
        n, m = self.shape = x.shape[0], y.shape[0]
        self.groups = groups(conditions, n, m)
        rows, columns = (False, False) if drawn else needs_terms(n, m)
        if n * m > _LARGE:
            wanted = 8 * n * m * (1 + 2 * (rows or columns))
            require_memory(wanted, f"the {n} x {m} costs of this coupling", "Couple smaller batches.")
        aligned = not (drawn or rows or columns) and x.shape[1] <= _FEW
        self.C = product_costs(x, y, rows=rows, columns=columns, aligned=aligned, names=("x0", "x1"))
        add_conditions(self.C, conditions, rows=rows, columns=columns)

    def costs(self) -> list[NDArray[Any]]:
        return [self.C] if len(self.groups) == 1 else [self.C[np.ix_(*group)] for group in self.groups]

    def uniforms(self, generator: np.random.Generator) -> list[NDArray[np.float64]]:
        of_rows = generator.random(self.shape[0])
        return [of_rows[rows] for rows, _ in self.groups]

    def coupling(self, found: list[Pairs], entropies: list[NDArray[np.float64]], drawn: bool) -> Coupling:
        """Of the pairs within each group."""
        pairs = found[0]
        if len(found) > 1:
            i, j = (
                np.concatenate([group[side][pair[side]] for group, pair in zip(self.groups, found, strict=True)])
                for side in (0, 1)
            )
            order = np.lexsort((j, i))
            pairs = i[order], j[order]
        (n, m), entropy = self.shape, 0.0
        if drawn and min(n, m) > 1:
            of_plan = math.log(n) + float(np.concatenate(entropies).mean())
            entropy = (of_plan - math.log(max(n, m))) / math.log(min(n, m))
        return Coupling(pairs, entropy, self.clouds, self.home)


def _is_list(values: Any) -> bool:
    """Whether that is a list of batches: of arrays of two axes or more. The first item decides."""
    return isinstance(values, list | tuple) and (len(values) == 0 or getattr(values[0], "ndim", 0) > 1)


def _listed(x0: Any, x1: Any, conditions: Any) -> list[tuple[Any, Any, Any]]:
    if len(x0) != len(x1):
        raise ValueError(f"x0 and x1 should be lists of as many batches; got {len(x0)} and {len(x1)}.")
    if conditions is None:
        return [(*pair, None) for pair in zip(x0, x1, strict=True)]
    sides = conditions if isinstance(conditions, list | tuple) else []
    if [len(side) if hasattr(side, "__len__") else None for side in sides] != [len(x0)] * 2:
        raise ValueError(f"conditions should be a pair of lists, of one item for each of the {len(x0)} batches.")
    return [(u, v, pair) for u, v, pair in zip(x0, x1, zip(*conditions, strict=True), strict=True)]
