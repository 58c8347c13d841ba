"""Rounding to given marginals: feasible, close, and nothing changed where nothing is wrong."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

import monge

EPS = np.finfo(np.float64).eps


class Lazy:
    """A plan that shows itself in products only."""

    def __init__(self, P):
        self.P = np.asarray(P, dtype=np.float64)

    shape = property(lambda self: self.P.shape)
    T = property(lambda self: Lazy(self.P.T))

    def __matmul__(self, other):
        return self.P @ other

    def sum(self, axis=None):
        return self.P.sum(axis)

    def toarray(self):
        return self.P


FORMS = {"dense": np.asarray, "sparse": sp.coo_array, "lazy": Lazy}


def dense(plan):
    return plan.toarray() if hasattr(plan, "toarray") else plan


def full(w, size, total):
    return np.full(size, total / size) if w is None else np.asarray(w, dtype=np.float64)


def assert_rounded(G, P, a, b, total=1.0):
    """Marginals to rounding, no negative mass, and Lemma 7."""
    n, m = P.shape
    a, b = full(a, n, total), full(b, m, total)
    rounding = 4 * EPS * (n + m) * max(a.sum(), P.sum())
    assert (G >= 0.0).all()
    assert np.abs(G.sum(axis=1) - a).sum() <= rounding
    assert np.abs(G.sum(axis=0) - b).sum() <= rounding
    wrong = np.abs(P.sum(axis=1) - a).sum() + np.abs(P.sum(axis=0) - b).sum()
    assert np.abs(G - P).sum() <= 2.0 * wrong + rounding


@given(
    n=st.integers(1, 12),
    m=st.integers(1, 12),
    zeros=st.sampled_from([0.0, 0.3, 0.9]),
    scale=st.sampled_from([1e-12, 1.0, 1e8]),
    total=st.sampled_from([1e-6, 1.0, 300.0]),
    seed=st.integers(0, 2**32),
)
def test_any_masses_to_any_marginals(n, m, zeros, scale, total, seed):
    rng = np.random.default_rng(seed)
    P = scale * rng.random((n, m)) * (rng.random((n, m)) >= zeros)
    a, b = (rng.random(size) * (rng.random(size) >= zeros) + 1e-3 * (np.arange(size) == 0) for size in (n, m))
    a, b = a * (total / a.sum()), b * (total / b.sum())
    for form in FORMS.values():
        assert_rounded(dense(monge.round_plan(form(P), a, b)), P, a, b)


@pytest.mark.parametrize("form", FORMS)
def test_plan_that_is_almost_right(form):
    rng = np.random.default_rng(0)
    C, a, b = rng.random((40, 30)), rng.dirichlet(np.ones(40)), rng.dirichlet(np.ones(30))
    P = monge.emd(C, a, b).plan.toarray()
    for error in (1e-3, 1e-9, 1e-15):
        noisy = P * (1.0 + error * rng.normal(size=P.shape))
        G = dense(monge.round_plan(FORMS[form](noisy), a, b))
        assert_rounded(G, noisy, a, b)
        assert (G * C).sum() - (P * C).sum() >= -1e-15


@pytest.mark.parametrize("form", FORMS)
def test_a_plan_stays_as_it_is(form):
    rng = np.random.default_rng(1)
    a, b = rng.dirichlet(np.ones(20)), rng.dirichlet(np.ones(25))
    for P in (np.outer(a, b), monge.emd(rng.random((20, 25)), a, b).plan.toarray()):
        once = dense(monge.round_plan(FORMS[form](P), a, b))
        np.testing.assert_allclose(once, P, rtol=0, atol=8 * EPS)
        np.testing.assert_allclose(dense(monge.round_plan(FORMS[form](once), a, b)), once, rtol=0, atol=8 * EPS)


def test_nothing_is_lost_that_fits():
    # Rows and columns that get too little keep what they get.
    P = np.array([[0.1, 0.0], [0.0, 0.2]])
    G = monge.round_plan(P, [0.5, 0.5], [0.5, 0.5])
    np.testing.assert_allclose(G, P + np.outer([0.4, 0.3], [0.4, 0.3]) / 0.7, rtol=1e-15)


def test_by_hand():
    # Row 0 sends 0.6 of 0.5: scaled by 5/6. Then column 0 receives 0.5 + 0.1 of 0.5 ...
    P = np.array([[0.6, 0.0], [0.1, 0.2]])
    a = b = [0.5, 0.5]
    x, y = np.array([5 / 6, 1.0]), np.array([5 / 6, 1.0])
    F = x[:, None] * P * y
    left_a, left_b = a - F.sum(axis=1), b - F.sum(axis=0)
    np.testing.assert_allclose(monge.round_plan(P, a, b), F + np.outer(left_a, left_b) / left_a.sum(), rtol=1e-14)


def test_empty_rows_are_filled_and_superfluous_ones_emptied():
    P = np.array([[0.0, 0.0, 0.0], [0.2, 0.3, 0.5]])
    for form, make in FORMS.items():
        G = dense(monge.round_plan(make(P), [1.0, 0.0], [0.5, 0.5, 0.0]))
        np.testing.assert_array_equal(G, [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]], form)


def test_nothing_at_all_becomes_a_plan():
    nothing, a = np.zeros((3, 2)), [0.2, 0.3, 0.5]
    for make in FORMS.values():
        assert_rounded(dense(monge.round_plan(make(nothing), a)), nothing, a, None)


def test_uniform_weights_have_the_total_of_the_others():
    G = monge.round_plan(np.ones((4, 2)), a=None, b=[3.0, 5.0])
    np.testing.assert_allclose(G.sum(axis=1), 2.0)
    np.testing.assert_allclose(monge.round_plan(np.ones((4, 2))).sum(), 1.0)


def test_sparse_stays_sparse():
    rng = np.random.default_rng(0)
    P = sp.random_array((300, 200), density=0.01, rng=rng)
    for kind in (P, P.tocsr(), P.tocsc(), sp.csr_matrix(P), P.astype(np.float32)):
        before = kind.copy()
        G = monge.round_plan(kind)
        assert sp.issparse(G)
        assert G.nnz <= P.nnz + 300 + 200 - 1
        assert_rounded(G.toarray(), kind.toarray().astype(np.float64), None, None)
        assert abs(kind - before).nnz == 0


class TestLazy:
    rng = np.random.default_rng(0)
    P, a, b = rng.random((7, 5)), rng.dirichlet(np.ones(7)), rng.dirichlet(np.ones(5))
    lazy, stored = monge.round_plan(Lazy(P), a, b), monge.round_plan(P, a, b)

    def test_is_the_dense_one(self):
        np.testing.assert_allclose(self.lazy.toarray(), self.stored, rtol=1e-14)
        np.testing.assert_allclose(self.lazy.T.toarray(), self.stored.T, rtol=1e-14)
        assert self.lazy.shape == self.lazy.T.shape[::-1] == (7, 5)

    def test_products(self):
        for right in (self.rng.normal(size=5), self.rng.normal(size=(5, 3)), np.arange(5)):
            np.testing.assert_allclose(self.lazy @ right, self.stored @ right, rtol=1e-12, atol=1e-15)
        left = self.rng.normal(size=(7, 2))
        np.testing.assert_allclose(self.lazy.T @ left, self.stored.T @ left, rtol=1e-12, atol=1e-15)

    def test_sums(self):
        np.testing.assert_allclose(self.lazy.sum(axis=1), self.a, rtol=1e-14)
        np.testing.assert_allclose(self.lazy.sum(axis=-1), self.a, rtol=1e-14)
        np.testing.assert_allclose(self.lazy.sum(axis=0), self.b, rtol=1e-14)
        assert self.lazy.sum() == pytest.approx(1.0, rel=1e-14)

    def test_once_more(self):
        again = monge.round_plan(self.lazy, self.a, self.b)
        np.testing.assert_allclose(again.toarray(), self.stored, rtol=1e-13)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1])
def test_not_a_plan(form, bad):
    P = np.full((2, 3), 0.01)
    P[1, 2] = bad
    with pytest.raises(ValueError, match="P should hold finite masses that are not negative"):
        monge.round_plan(FORMS[form](P))


def test_not_a_matrix():
    with pytest.raises(ValueError, match=r"P should be a plan of shape \(n, m\)"):
        monge.round_plan(np.ones(3))
    with pytest.raises(ValueError, match="P should have at least one row"):
        monge.round_plan(np.ones((0, 3)))
    with pytest.raises(TypeError, match="P should be"):
        monge.round_plan([["a"]])


def test_weights_as_everywhere():
    P = np.full((2, 2), 0.25)
    with pytest.raises(ValueError, match="same total mass"):
        monge.round_plan(P, [0.5, 0.5], [0.5, 0.6])
    with pytest.raises(ValueError, match=r"a should have shape \(2,\)"):
        monge.round_plan(P, [1.0])
    with pytest.raises(ValueError, match="not negative"):
        monge.round_plan(P, [1.5, -0.5], [0.5, 0.5])


def test_single_precision_weights():
    a = np.full(3, 1 / 3, dtype=np.float32)
    G = monge.round_plan(np.ones((3, 3), dtype=np.float32), a, [0.2, 0.3, 0.5])
    assert G.dtype == np.float64
    np.testing.assert_allclose(G.sum(axis=1), a.astype(np.float64), rtol=1e-15)
