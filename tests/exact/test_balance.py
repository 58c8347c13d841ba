"""Forbidden arcs that ask for the balance of a part of the places, which rounded weights have only nearly."""

from __future__ import annotations

from collections.abc import Callable
from math import fsum
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import coo_array

import monge

Array = NDArray[Any]
INF = np.inf


def stored(C: Array) -> coo_array:
    """The allowed arcs alone."""
    rows, cols = np.nonzero(np.isfinite(C))
    return coo_array((C[rows, cols], (rows, cols)), shape=C.shape)


def partial_of_all(C: Array, a: Array, b: Array) -> monge.Transport:
    return monge.partial(C, a, b, mass=min(fsum(a), fsum(b)))


def with_slack(C: Array, a: Array, b: Array) -> monge.Transport:
    """A source more, whose mass stays: all columns are to be filled."""
    more = np.vstack([C, np.where(np.arange(C.shape[1]) == 0, 2.0, INF)]).astype(C.dtype)
    t = monge.partial(more, np.append(a, a.dtype.type(1.0)), b, mass=fsum(b))
    assert t.plan.tocsr()[[len(a)]].sum() <= 1e-6 * fsum(b)  # dearer than all others
    return t


def rounded(C: Array, a: Array, b: Array) -> monge.Transport:
    return monge.sinkhorn(C, a, b, eps=0.1).rounded()


SOLVERS: dict[str, Callable[[Array, Array, Array], Any]] = {
    "dense": monge.emd,
    "transposed": lambda C, a, b: monge.emd(C.T, b, a),
    "batch": lambda C, a, b: monge.emd(np.stack([C, C]), a, b)[1],
    "sparse": lambda C, a, b: monge.emd(stored(C), a, b),
    "partial": partial_of_all,
    "slack": with_slack,
}


def classes(n: int, m: int, k: int, dtype: Any, seed: int) -> tuple[Array, Array, Array, float]:
    """Random costs within k classes, weights that agree class by class but for rounding, and the least cost."""
    rng = np.random.default_rng(seed)
    of_rows, of_columns = rng.permutation(np.arange(n) % k), rng.permutation(np.arange(m) % k)
    a, b, shares = rng.random(n), rng.random(m), rng.dirichlet(np.ones(k))
    for label, share in enumerate(shares):
        for weights, labels in ((a, of_rows), (b, of_columns)):
            weights[labels == label] *= share / weights[labels == label].sum()
    C = np.where(of_rows[:, np.newaxis] == of_columns, rng.random((n, m)), INF).astype(dtype)
    a, b = a.astype(dtype), b.astype(dtype)
    value = 0.0
    for label in range(k):
        rows, cols = of_rows == label, of_columns == label
        own_a, own_b = a[rows].astype(np.float64), b[cols].astype(np.float64)
        value += monge.emd(C[np.ix_(rows, cols)], own_a, own_b * (own_a.sum() / own_b.sum())).value
    return C, a, b, value


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("n", "m", "k"), [(9, 7, 3), (60, 80, 4), (450, 420, 5)])
@pytest.mark.parametrize("solver", SOLVERS)
def test_transport_within_classes(solver: str, n: int, m: int, k: int, dtype: Any) -> None:
    rounding = float(np.finfo(dtype).eps) * (8.0 + (n + m) ** 0.5)  # what the totals may differ by, too
    for seed in range(4):
        C, a, b, value = classes(n, m, k, dtype, seed)
        t = SOLVERS[solver](C, a, b)
        assert t.converged
        assert t.marginal_error <= 2.0 * rounding
        assert abs(t.value - value) <= 2.0 * rounding
        assert 0.0 <= t.gap <= 1e-14
        assert 0.0 <= t.stats["dropped"] <= rounding


def test_the_plan_is_still_optimal_for_what_it_moves() -> None:
    # Potentials of the classes are apart by any number: what is dropped must not be multiplied by it.
    C, a, b, value = classes(40, 40, 4, np.float64, 0)
    t = monge.emd(C, a, b)
    assert t.stats["dropped"] > 0.0
    finite = np.isfinite(C)
    assert (C - t.f[:, np.newaxis] - t.g)[finite].min() >= -1e-14
    assert abs(value - a @ t.f - b @ t.g) <= 1e-14


@pytest.mark.parametrize("solver", [*SOLVERS, "rounded"])
def test_weights_that_agree_as_numbers_but_not_as_floats(solver: str) -> None:
    C = np.array([[0.0, 1.0, INF], [INF, INF, 0.0]])
    solve = rounded if solver == "rounded" else SOLVERS[solver]
    t = solve(C, np.array([1 / 3, 2 / 3]), np.array([1 / 12, 1 / 4, 2 / 3]))
    assert t.value == pytest.approx(0.25, rel=1e-15)
    assert t.marginal_error <= 1e-15


@pytest.mark.parametrize("solver", SOLVERS)
def test_tight_cuts_within_a_component(solver: str) -> None:
    # Row k reaches columns 0..k only: the first k rows just fill the first k columns.
    n = 12
    rng = np.random.default_rng(3)
    C = np.where(np.tri(n, dtype=bool), rng.random((n, n)), INF)
    weights = np.array([0.1 + 0.2, 0.7, 1 / 3, 0.1, *rng.random(n - 4)])
    other = np.array([0.3, 1.0 - 0.3, 1 / 12 + 1 / 4, 0.3 - 0.2, *weights[4:]])
    t = SOLVERS[solver](C, weights, other)
    # Only the diagonal can carry anything.
    assert t.value == pytest.approx(float(C.diagonal() @ weights), rel=1e-14)
    assert t.marginal_error <= 1e-15


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_place_may_hold_less_than_rounding(solver: str) -> None:
    C = np.array([[1.0, INF, INF], [INF, 2.0, INF], [INF, INF, 5.0]])
    t = SOLVERS[solver](C, np.array([0.5, 0.5, 1e-19]), np.array([0.5, 0.5, 3e-19]))
    assert t.value == pytest.approx(1.5, rel=1e-15)
    assert t.marginal_error <= 1e-17


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("off", [1e-6, 1e-12])
def test_what_rounding_does_not_explain_is_infeasible(solver: str, off: float) -> None:
    C = np.array([[0.0, 1.0, INF], [INF, INF, 0.0]])
    with pytest.raises(monge.InfeasibleError):
        SOLVERS[solver](C, np.array([1 / 3, 2 / 3]), np.array([1 / 12, 1 / 4 - off, 2 / 3 + off]))


@pytest.mark.parametrize("solver", SOLVERS)
def test_counts_are_not_rounded(solver: str) -> None:
    C = np.array([[0.0, 1.0, INF], [INF, INF, 0.0]])
    with pytest.raises(monge.InfeasibleError):
        SOLVERS[solver](C, np.array([1e6, 2e6]), np.array([5e5, 5e5 - 1, 2e6 + 1]))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_all_pairs(dtype: Any) -> None:
    C, a, b, _ = classes(30, 30, 3, dtype, 1)
    D = monge.pairwise([a, a], [b, b], cost=C)
    assert np.allclose(D, monge.emd(C, a, b).value, rtol=1e-6, atol=0.0)


def test_out_of_time_before_there_is_a_plan() -> None:
    rng = np.random.default_rng(0)
    C = np.where(rng.random((60, 60)) < 0.9, INF, rng.random((60, 60)))
    np.fill_diagonal(C, 1.0)
    for cost in (C, stored(C)):
        with pytest.raises(TimeoutError, match="before a plan was found"):
            monge.emd(cost, time_limit=0.0)
    with pytest.raises(TimeoutError, match="before a plan was found"):
        monge.partial(C, mass=1.0, time_limit=0.0)


@pytest.mark.parametrize("solver", SOLVERS)
def test_dust_that_only_leads_to_places_without_mass(solver: str) -> None:
    # What 0.3 - 0.1 - 0.2 leaves.
    C = np.array([[0.0, INF], [INF, 0.0]])
    for b in ([1.0, 0.0], [1.0, 1e-19]):
        t = SOLVERS[solver](C, np.array([1.0, 5.5e-17]), np.array(b))
        assert t.value == 0.0
        assert t.converged
    if solver != "slack":  # which has a source for what is lacking
        with pytest.raises(monge.InfeasibleError):
            SOLVERS[solver](C, np.array([1.0, 1e-3]), np.array([1.001, 0.0]))


def test_equal_weights_are_whole_however_coarse_their_type() -> None:
    C = np.zeros((100, 100))
    C[:3, 1:] = INF  # three places for one
    for dtype in (np.float16, np.float32, np.float64):
        weights = np.full(100, 0.01, dtype=dtype)
        with pytest.raises(monge.InfeasibleError):
            monge.emd(C, weights, weights)


def test_a_part_that_is_all_dust_is_not_moved() -> None:
    with pytest.raises(monge.InfeasibleError):
        monge.partial(np.full((2, 2), INF), [1.0, 1.0], [1.0, 1.0], mass=1e-15)
