"""Exact transport over the entries of a sparse matrix: what is not stored is forbidden."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from oracle import assert_certified, assert_feasible, assert_optimal
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import cKDTree

import monge
from monge.problem.costs import is_sparse


def sparse(C):
    """The finite entries of C, zeros included."""
    rows, cols = np.nonzero(np.isfinite(C))
    return sp.coo_array((C[rows, cols], (rows, cols)), shape=C.shape)


def neighbours(n, m, k, seed=0):
    """Squared distances of n points to their k nearest of m others in the plane, and enough arcs to have a plan."""
    rng = np.random.default_rng(seed)
    x, y = rng.random((n, 2)), rng.random((m, 2))
    _, near = cKDTree(y).query(x, k)
    rows = np.concatenate([np.repeat(np.arange(n), k), np.arange(max(n, m)) % n, np.arange(n)])
    cols = np.concatenate([near.ravel(), np.arange(max(n, m)) % m, np.zeros(n, dtype=int)])
    rows, cols = np.unique(np.stack([rows, cols]), axis=1)
    return sp.csr_array((((x[rows] - y[cols]) ** 2).sum(axis=1), (rows, cols)), shape=(n, m))


def filled(S):
    C = np.full(S.shape, np.inf)
    coo = S.tocoo()
    C[coo.row, coo.col] = coo.data
    return C


@pytest.mark.parametrize("shape", [(400, 400), (400, 650), (650, 400), (300, 3000), (3000, 300)])
@pytest.mark.parametrize("weighted", [False, True])
def test_neighbours(shape, weighted):
    n, m = shape
    S = neighbours(n, m, 8)
    a = b = None
    if weighted:
        rng = np.random.default_rng(1)
        a, b = rng.multinomial(10**6, np.full(n, 1 / n)) / 1e6, rng.multinomial(10**6, np.full(m, 1 / m)) / 1e6
        # All rows reach column 0, which takes what the others cannot.
        b[0] += 1.0
        a += 1.0 / n
    C = filled(S)
    try:
        expected = monge.emd(C, a, b).value
    except monge.InfeasibleError:
        with pytest.raises(monge.InfeasibleError):
            monge.emd(S, a, b)
        return
    t = monge.emd(S, a, b)
    assert_optimal(t, C, a, b)
    assert t.value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [2, 30, 1500])
def test_matching(n, seed):
    rng = np.random.default_rng(seed)
    rows, cols = np.concatenate([rng.integers(n, size=(2, 6 * n)), [np.arange(n), rng.permutation(n)]], axis=1)
    rows, cols = np.unique(np.stack([rows, cols]), axis=1)
    S = sp.csr_array((rng.random(len(rows)) + 0.1, (rows, cols)), shape=(n, n))
    t = monge.emd(S)
    matched = min_weight_full_bipartite_matching(S)
    assert t.value == pytest.approx(S[matched].sum() / n, rel=1e-12)
    assert_optimal(t, filled(S))


def test_a_chain_that_needs_dear_arcs():
    # Row 0 lacks the free arc (i, i), so that all shift along (i, i + 1), and the last comes back over an arc a million
    # times as dear.
    n = 300
    rows = np.concatenate([np.arange(1, n), np.arange(n - 1), [n - 1]])
    cols = np.concatenate([np.arange(1, n), np.arange(1, n), [0]])
    cost = np.concatenate([np.zeros(n - 1), np.ones(n - 1), [1e6]])
    S = sp.coo_array((cost, (rows, cols)), shape=(n, n))
    t = monge.emd(S)
    assert t.value == pytest.approx((n - 1 + 1e6) / n, rel=1e-14)
    assert_optimal(t, filled(S))


def test_potentials_far_beyond_the_costs():
    # Negative costs along a chain: the potentials spread over n times the largest cost.
    n = 2000
    rows = np.concatenate([np.arange(n), np.arange(1, n)])
    cols = np.concatenate([np.arange(n), np.arange(n - 1)])
    S = sp.coo_array((np.concatenate([np.ones(n), -np.ones(n - 1)]), (rows, cols)), shape=(n, n))
    t = monge.emd(S)
    assert t.value == pytest.approx(1.0, rel=1e-14)
    assert_optimal(t, filled(S))


class TestForms:
    S = neighbours(60, 60, 6)

    @pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "bsr"])
    @pytest.mark.parametrize("kind", ["array", "matrix"])
    def test_formats(self, form, kind):
        S = getattr(sp, f"{form}_{kind}")(self.S)
        t = monge.emd(S)
        assert t.value == monge.emd(self.S).value
        assert t.shape == (60, 60)

    @pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int8, np.uint16])
    def test_types(self, dtype):
        S = (100 * self.S).astype(dtype)
        # An int that came to zero is an entry still.
        assert S.nnz == self.S.nnz
        assert_optimal(monge.emd(S), filled(S.astype(np.float64)))

    def test_explicit_zeros_are_arcs(self):
        S = sp.csr_array((np.array([0.0, 0.0]), (np.array([0, 1]), np.array([1, 0]))), shape=(2, 2))
        np.testing.assert_array_equal(monge.emd(S).plan.toarray(), [[0.0, 0.5], [0.5, 0.0]])

    def test_duplicates_are_summed(self):
        S = sp.coo_array(([1.0, 2.0, 4.0], ([0, 0, 1], [0, 0, 1])))
        assert monge.emd(S).value == 3.5

    def test_nothing_of_the_callers_changes(self):
        S = sp.csr_array((np.array([4.0, 1.0, 2.0, 3.0]), np.array([1, 0, 0, 0]), np.array([0, 2, 4])), shape=(2, 2))
        before = S.data.copy(), S.indices.copy(), S.indptr.copy()
        assert_optimal(monge.emd(S), np.array([[1.0, 4.0], [5.0, np.inf]]))
        for x, y in zip(before, (S.data, S.indices, S.indptr), strict=True):
            np.testing.assert_array_equal(x, y)

    def test_stored_infinity_is_no_arc(self):
        S = sp.coo_array(([np.inf, 1.0, 2.0], ([0, 0, 1], [0, 1, 0])))
        assert monge.emd(S).value == 1.5

    def test_large_index_type(self):
        S = self.S.copy()
        S.indices, S.indptr = S.indices.astype(np.int64), S.indptr.astype(np.int64)
        assert monge.emd(S).value == monge.emd(self.S).value


class TestRefused:
    def test_no_entry(self):
        S = sp.coo_array(([1.0, 1.0], ([0, 1], [0, 0])), shape=(2, 2))
        with pytest.raises(monge.InfeasibleError, match=r"column 1 has mass but no entry.*b\[1\] = 0"):
            monge.emd(S)
        with pytest.raises(monge.InfeasibleError, match=r"row 1 has mass but no entry.*a\[1\] = 0"):
            monge.emd(S.T)
        assert monge.emd(S, None, [1.0, 0.0]).value == 1.0

    def test_only_entry_leads_where_nothing_is_wanted(self):
        S = sp.coo_array(([1.0, 1.0, 1.0], ([0, 1, 1], [1, 0, 1])), shape=(2, 2))
        with pytest.raises(monge.InfeasibleError, match="entries"):
            monge.emd(S, None, [1.0, 0.0])

    def test_two_that_reach_one(self):
        S = sp.coo_array(([1.0, 1.0, 1.0, 1.0, 1.0], ([0, 1, 2, 2, 2], [0, 0, 0, 1, 2])))
        with pytest.raises(monge.InfeasibleError, match="Add entries"):
            monge.emd(S)
        assert monge.emd(S, [0.2, 0.2, 0.6], [0.4, 0.3, 0.3]).value == 1.0

    @pytest.mark.parametrize("value", [np.nan, -np.inf, 1e291])
    def test_not_a_cost(self, value):
        S = sp.coo_array(([1.0, value, 2.0], ([0, 1, 1], [0, 0, 1])))
        with pytest.raises(ValueError, match=r"NaN or -inf.*cost\[1, 0\]"):
            monge.emd(S)

    def test_not_numbers(self):
        with pytest.raises(TypeError, match="cost should be a sparse"):
            monge.emd(sp.coo_array(([1j], ([0], [0]))))

    @pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
    def test_empty(self, shape):
        with pytest.raises(ValueError, match="at least one row"):
            monge.emd(sp.csr_array(shape))

    def test_weights(self):
        S = sp.csr_array(np.ones((2, 3)))
        with pytest.raises(ValueError, match=r"a should have shape \(2,\)"):
            monge.emd(S, np.ones(3))
        with pytest.raises(ValueError, match="same total mass"):
            monge.emd(S, [1.0, 1.0], [1.0, 1.0, 1.0])

    def test_elsewhere(self):
        S = sp.csr_array(np.ones((2, 2)))
        with pytest.raises(TypeError, match=r"problem 0: .*single problem of monge\.emd"):
            monge.emd([S, S])
        with pytest.raises(TypeError, match="Pass a full array"):
            monge.partial(S, mass=0.5)


def test_init():
    S = neighbours(500, 500, 8)
    t = monge.emd(S)
    again = monge.emd(S, init=t)
    assert again.value == pytest.approx(t.value, rel=1e-13)
    assert_optimal(again, filled(S))
    assert_optimal(monge.emd(S, init=(np.zeros(500), np.linspace(-1e9, 1e9, 500))), filled(S))


class TestTimeLimit:
    def test_no_plan_yet(self):
        with pytest.raises(TimeoutError, match="before a plan was found"):
            monge.emd(neighbours(3000, 3000, 10), time_limit=0.0)

    def test_plan_with_a_gap(self):
        C = np.random.default_rng(0).random((300, 300))
        with pytest.warns(monge.ConvergenceWarning, match="time_limit"):
            t = monge.emd(sparse(C), time_limit=0.0)
        assert_feasible(t, C)
        assert_certified(t, C)
        assert t.gap > 0.0
        assert t.cost - t.gap <= monge.emd(C).value * (1 + 1e-12)


def test_memory_is_that_of_the_entries():
    # A matrix of 10^10 entries: what is stored is what counts.
    n = 100_000
    diagonal = sp.csr_array((np.arange(n) % 7 + 1.0, (np.arange(n), (np.arange(n) + 5) % n)), shape=(n, n))
    t = monge.emd(diagonal)
    assert t.value == pytest.approx(diagonal.data.mean(), rel=1e-14)
    assert t.gap <= 1e-12


def test_column_indices_beyond_the_shape():
    S = sp.csr_array((np.ones(5), np.array([0, 1, 2, 1, 2]), np.array([0, 3, 5])), shape=(2, 2))
    with pytest.raises(ValueError, match="column indices from 0 to 1; got 0 to 2"):
        monge.emd(S)


@pytest.mark.parametrize("attributes", [["tocsr"], ["nnz"], []])
def test_what_is_not_sparse(attributes):
    # A data frame with a column of that name is a matrix: it takes both to be one of SciPy's.
    class Matrix:
        def __init__(self, C):
            self.C = C
            for name in attributes:
                setattr(self, name, C[:, 0])

        def __array__(self, dtype=None, copy=None):
            return np.array(self.C, dtype=dtype)

    C = np.random.default_rng(0).random((4, 5))
    assert not is_sparse(Matrix(C))
    assert monge.emd(Matrix(C)).value == monge.emd(C).value
    assert monge.sinkhorn(Matrix(C), eps=0.1).value == monge.sinkhorn(C, eps=0.1).value
