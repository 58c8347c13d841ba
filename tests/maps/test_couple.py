"""Couplings of batches against assignments by SciPy, and the law of the pairs that are drawn."""

from __future__ import annotations

import itertools
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

import monge
from monge.entropic.sinkhorn import sinkhorn

Array = NDArray[Any]


def batches(n: int, m: int, d: int = 3, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.5


def distances(x: Array, y: Array) -> Array:
    x, y = x.reshape(len(x), -1).astype(float), y.reshape(len(y), -1).astype(float)
    return np.sum((x[:, np.newaxis] - y) ** 2, axis=2)


def evenly(index: Array, size: int, length: int) -> bool:
    """Whether each of `size` rows is used as often as the others, or once more, `length` times in all."""
    counts = np.bincount(index, minlength=size)
    return bool(counts.size == size and counts.sum() == length and set(counts) <= {length // size, -(-length // size)})


def least(C: Array) -> float:
    """The least mean cost, by trying every way to use the columns, which are not more than the rows, evenly."""
    n, m = C.shape
    each, more = divmod(n, m)
    costs = []
    for twice in itertools.combinations(range(m), more):
        columns = np.concatenate([np.repeat(np.arange(m), each), np.array(twice, dtype=int)])
        rows, chosen = linear_sum_assignment(C[:, columns])
        costs.append(C[rows, columns[chosen]].sum() / n)
    return min(costs)


@pytest.mark.parametrize(("n", "d"), [(1, 1), (2, 2), (50, 2), (200, 3), (64, 500)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_is_the_assignment_of_least_cost(n, d, dtype):
    x, y = (z.astype(dtype) for z in batches(n, n, d))
    coupling = monge.couple(x, y)
    i, j = coupling
    assert i.tolist() == list(range(n))
    assert sorted(j) == list(range(n))
    C = distances(x, y)
    rows, columns = linear_sum_assignment(C)
    assert C[i, j].mean() == pytest.approx(C[rows, columns].mean(), rel=1e-12 if dtype is np.float64 else 1e-6)
    assert coupling.cost == pytest.approx(C[i, j].mean(), rel=1e-12)
    assert coupling.cost_before == pytest.approx(C.mean(), rel=1e-12)
    assert coupling.entropy == 0.0


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 7), st.booleans(), st.integers(0, 2**32))
def test_unequal_sizes_against_enumeration(n, m, turned, seed):
    n, m = max(n, m), min(n, m)
    x, y = batches(n, m, 2, seed)
    coupling = monge.couple(y, x) if turned else monge.couple(x, y)
    short, long = coupling if turned else reversed(list(coupling))
    assert sorted(long) == list(range(n))
    assert evenly(short, m, n)
    assert np.all(np.diff(coupling.i) >= 0)
    assert coupling.cost == pytest.approx(least(distances(x, y)), rel=1e-10, abs=1e-12)
    assert coupling.cost_before == pytest.approx(distances(x, y).mean(), rel=1e-10)


def test_rows_that_are_used_once_more_are_those_that_cost_less():
    """Which the terms of the shorter side decide: to the product alone a point far out would be as good."""
    x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [50.0]])
    i, j = monge.couple(x, y)
    assert j.tolist() == [0, 0, 1]
    i, j = monge.couple(y, x)
    assert (i.tolist(), j.tolist()) == ([0, 0, 1], [0, 1, 2])


def test_single_precision_far_from_the_origin():
    x, y = batches(100, 100)
    rng = np.random.default_rng(1)
    shuffled = rng.permutation(100)
    x = (x + 1e4).astype(np.float32)
    _, j = monge.couple(x, x[shuffled] + np.float32(0.01))
    assert shuffled[j].tolist() == list(range(100))
    _, j = monge.couple(x, (y + 1e4).astype(np.float32))
    C = distances(x, (y + 1e4).astype(np.float32))
    assert C[np.arange(100), j].sum() == pytest.approx(C[linear_sum_assignment(C)].sum(), rel=1e-5)


def test_images_are_points():
    rng = np.random.default_rng(0)
    x, y = rng.random((20, 3, 4, 4), dtype=np.float32), rng.random((20, 3, 4, 4), dtype=np.float32)
    flat = monge.couple(x.reshape(20, -1), y.reshape(20, -1))
    assert monge.couple(x, y).j.tolist() == flat.j.tolist()
    assert monge.couple(x, y).cost == flat.cost
    line = monge.couple([3.0, 1.0, 2.0], [10.0, 30.0, 20.0])
    assert line.j.tolist() == [1, 0, 2]


def test_labels_are_problems_of_their_own():
    x, y = batches(60, 60)
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 4, 60)
    c0, c1 = rng.permutation(labels), rng.permutation(labels)
    coupling = monge.couple(x, y, conditions=(c0, c1))
    i, j = coupling
    assert i.tolist() == list(range(60))
    assert sorted(j) == list(range(60))
    assert (c0[i] == c1[j]).all()
    C, cost = distances(x, y), 0.0
    for label in range(4):
        within = C[np.ix_(c0 == label, c1 == label)]
        cost += within[linear_sum_assignment(within)].sum()
    assert coupling.cost == pytest.approx(cost / 60, rel=1e-12)
    named = np.array(["ant", "bee", "cat", "dog"])
    assert monge.couple(x, y, conditions=(named[c0], named[c1])).j.tolist() == j.tolist()


def test_labels_of_unequal_batches():
    x, y = batches(11, 4)
    c0, c1 = np.array([True] * 6 + [False] * 5), np.array([False, True, False, True])
    i, j = monge.couple(x, y, conditions=(c0, c1))
    assert i.tolist() == list(range(11))
    assert (c0[i] == c1[j]).all()
    assert sorted(np.bincount(j)) == [2, 3, 3, 3]
    within = distances(x, y)[np.ix_(c0, c1)]
    assert distances(x, y)[i, j][c0].mean() == pytest.approx(least(within), rel=1e-12)


def test_labels_that_leave_no_coupling_are_counted():
    x, y = batches(6, 6)
    with pytest.raises(
        monge.InfeasibleError, match=r"label 0 has 2 in x0 and 3 in x1; label 7 has 4 in x0 and 3 in x1"
    ):
        monge.couple(x, y, conditions=([0, 0, 7, 7, 7, 7], [0, 0, 0, 7, 7, 7]))
    with pytest.raises(monge.InfeasibleError, match=r"1 or 2 times.*label 'b' has 1 in x0 and 0 in x1"):
        monge.couple(x, y[:4], conditions=(list("aaaaab"), list("aaaa")))
    with pytest.raises(monge.InfeasibleError, match="and 1 labels more"):
        monge.couple(x, y, conditions=([0, 0, 0, 1, 2, 3], [3, 3, 4, 5, 5, 5]), eps=1.0)


def test_conditions_that_are_numbers_add_to_the_cost():
    x, y = batches(30, 30)
    rng = np.random.default_rng(3)
    c0, c1 = rng.normal(size=(30, 2)) + 1e3, rng.normal(size=(30, 2)) + 1e3
    for weight in (0.1, 10.0):
        root = math.sqrt(weight)
        coupling = monge.couple(x, y, conditions=(root * c0, root * c1))
        i, j = coupling
        C = distances(x, y) + weight * distances(c0, c1)
        assert C[i, j].sum() == pytest.approx(C[linear_sum_assignment(C)].sum(), rel=1e-10)
        assert coupling.cost == pytest.approx(distances(x, y)[i, j].mean(), rel=1e-12)  # of the batches alone
    C = distances(x, y[:20]) + distances(c0, c1[:20])
    i, j = monge.couple(x, y[:20], conditions=(c0, c1[:20]))  # where terms of columns have a say
    assert evenly(j, 20, 30)
    penalised = np.repeat(C, 2, axis=1)
    optional = np.where(np.arange(40) % 2, 0.0, 1e6)  # the second of each two columns may stay without a row
    filled = np.vstack([penalised, np.tile(optional, (10, 1))])
    assert C[i, j].sum() == pytest.approx(filled[linear_sum_assignment(filled)].sum(), rel=1e-10)


def test_entropy_between_its_ends():
    x, y = batches(100, 100)
    coupled = [monge.couple(x, y, eps=eps, rng=0) for eps in (1e-3, 0.1, 1.0, 10.0, 1e4)]
    entropies = [coupling.entropy for coupling in coupled]
    assert entropies == sorted(entropies)
    assert entropies[0] < 0.02
    assert 0.999 < entropies[-1] <= 1.0 + 1e-12
    assert all(coupling.i.tolist() == list(range(100)) for coupling in coupled)
    exact = monge.couple(x, y)
    assert (coupled[0].j == exact.j).mean() > 0.9
    assert coupled[-1].cost > 3.0 * exact.cost


def test_entropy_is_that_of_the_plan():
    x, y = batches(12, 5)
    P = sinkhorn(distances(x, y), eps=0.7, tol=1e-9).plan.toarray()
    of_plan = -np.sum(P * np.log(P))
    expected = (of_plan - math.log(12)) / math.log(5)
    assert monge.couple(x, y, eps=0.7, rng=0).entropy == pytest.approx(expected, abs=1e-3)
    assert monge.couple(y, x, eps=0.7, rng=0).entropy == pytest.approx(expected, abs=1e-3)
    assert monge.couple(x[:1], y, eps=0.7, rng=0).entropy == 0.0


@pytest.mark.parametrize("eps", [1.0, 1e5])
def test_pairs_are_drawn_from_the_rows_of_the_plan(eps):
    """Chi-squared over the pairs of 4 x 3 points; for a large eps the law is uniform."""
    x, y = batches(4, 3)
    P = sinkhorn(distances(x, y), eps=eps, tol=1e-9).plan.toarray() * 4.0
    if eps > 1e4:
        np.testing.assert_allclose(P, 1.0 / 3.0, rtol=1e-3)
    rng, counts, draws = np.random.default_rng(5), np.zeros((4, 3)), 600
    for coupling in monge.couple([x] * draws, [y] * draws, eps=eps, rng=rng):
        counts[coupling.i, coupling.j] += 1.0
    assert (counts.sum(axis=1) == draws).all()
    assert np.sum((counts - draws * P) ** 2 / (draws * P)) < 26.0  # eight degrees of freedom: one in a thousand


def test_entropic_pairs_keep_to_labels():
    x, y = batches(40, 40)
    c0, c1 = np.arange(40) % 4, np.arange(40) // 10
    i, j = monge.couple(x, y, conditions=(c0, c1), eps=5.0, rng=0)
    assert i.tolist() == list(range(40))
    assert (c0[i] == c1[j]).all()
    within = monge.couple(x, y, conditions=(c0, c1), eps=1e6, rng=0)
    assert within.entropy == pytest.approx(math.log(10) / math.log(40), abs=1e-6)


def test_a_seed_decides():
    x, y = batches(50, 50)
    first, same, other = (monge.couple(x, y, eps=1.0, rng=seed).j.tolist() for seed in (1, 1, 2))
    assert first == same != other
    assert monge.couple(x, y, eps=1.0, rng=np.random.default_rng(1)).j.tolist() == first


@pytest.mark.parametrize("eps", [None, 1.0])
def test_a_list_is_one_call_for_many(eps):
    sizes = [(40, 40), (9, 9), (20, 13), (1, 1), (5, 12)]
    pairs = [batches(n, m, 2, seed) for seed, (n, m) in enumerate(sizes)]
    x, y = (list(side) for side in zip(*pairs, strict=True))
    conditions = tuple([np.zeros(len(z), int) for z in side] for side in (x, y))
    one, many = np.random.default_rng(0), np.random.default_rng(0)
    together = monge.couple(x, y, eps=eps, rng=many, conditions=conditions)
    for u, v, coupling in zip(x, y, together, strict=True):
        single = monge.couple(u, v, eps=eps, rng=one)
        assert coupling.i.tolist() == single.i.tolist()
        assert coupling.j.tolist() == single.j.tolist()
        assert coupling.entropy == single.entropy
        assert coupling.cost == single.cost
    assert monge.couple([], []) == []


def test_stopped_early_every_row_is_still_used_once():
    x, y = batches(700, 700, 10)
    with pytest.warns(monge.ConvergenceWarning, match="time_limit ran out"):
        i, j = monge.couple(x, y, time_limit=0.0)
    assert i.tolist() == list(range(700))
    assert sorted(j) == list(range(700))


def test_equal_points_are_some_permutation():
    x = np.ones((40, 2))
    coupling = monge.couple(x, x)
    assert sorted(coupling.j) == list(range(40))
    assert (coupling.cost, coupling.cost_before) == (0.0, 0.0)


def test_a_pickled_coupling_leaves_the_batches_behind():
    x, y = batches(100, 100, 300)
    coupling = monge.couple(x, y)
    sent = pickle.dumps(coupling)
    assert len(sent) < 10_000
    back = pickle.loads(sent)
    assert (back.cost, back.cost_before, back.j.tolist()) == (coupling.cost, coupling.cost_before, coupling.j.tolist())
    assert repr(back) == repr(coupling)


X, Y = batches(4, 4)
BAD = Y.copy()
BAD[1, 2] = np.nan


@pytest.mark.parametrize(
    ("error", "message", "x", "y", "options"),
    [
        (ValueError, "x1 should hold finite numbers; point 1 has nan at 2", X, BAD, {}),
        (ValueError, "as many coordinates; got 3 and 2", X, Y[:, :2], {}),
        (ValueError, "at least one point", X[:0], Y, {}),
        (ValueError, "eps should be positive and finite; got 0.0", X, Y, {"eps": 0}),
        (ValueError, "time_limit is for pairs of least cost", X, Y, {"eps": 1.0, "time_limit": 1.0}),
        (ValueError, "threads should be a positive integer", X, Y, {"threads": 0}),
        (TypeError, "rng should be None", X, Y, {"rng": "0"}),
        (ValueError, "both be batches, or both lists", [X], Y, {}),
        (ValueError, "lists of as many batches; got 2 and 1", [X, X], [Y], {}),
        (ValueError, "batch 1: the points of x0 and x1", [X, X], [Y, Y[:, :1]], {}),
        (ValueError, "conditions should be a pair of lists", [X, X], [Y, Y], {"conditions": ([0], [0])}),
        (TypeError, "conditions should be a pair.*got int", X, Y, {"conditions": 3}),
        (TypeError, "labels on both sides", X, Y, {"conditions": ([0, 1, 2, 3], [0.0, 1.0, 2.0, 3.0])}),
        (ValueError, "which have 4 and 4; got 3 and 4", X, Y, {"conditions": ([0, 1, 2], [0, 1, 2, 3])}),
        (ValueError, "which have 4 and 4; got 4 and 3", X, Y, {"conditions": ([0.0] * 4, [0.0] * 3)}),
        (ValueError, "labels should be vectors", X, Y, {"conditions": ([[0]] * 4, [[0]] * 4)}),
        (ValueError, r"conditions\[1\] should hold finite", X, Y, {"conditions": ([0.0] * 4, [0.0, 0.0, np.nan, 0.0])}),
    ],
)
def test_bad_input(error, message, x, y, options):
    with pytest.raises(error, match=message):
        monge.couple(x, y, **options)
