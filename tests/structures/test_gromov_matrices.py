"""Structures given as matrices: the objective, its derivative and its parabola against sums over all four indices."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import monge
from monge.structures.matrices import MatrixForm, as_structure
from monge.structures.moments import MomentForm
from monge.structures.products import times

Array = np.ndarray[Any, Any]


def four_sums(Cx: Array, Cy: Array, P: Array, Q: Array) -> float:
    """sum_ijkl (Cx_ik - Cy_jl)^2 P_ij Q_kl."""
    return sum(float(((Cx[i][:, None, None] - Cy) ** 2 * P[i][:, None] * Q[:, None]).sum()) for i in range(len(Cx)))


def distances(x: Array) -> Array:
    return np.sqrt(((x[:, None] - x) ** 2).sum(axis=-1))


sizes = st.integers(1, 5)


@given(sizes, sizes, st.booleans(), st.booleans(), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_objective_parabola_and_derivative_are_those_of_the_sums(
    n: int, m: int, symmetric: bool, stored: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    Cx, Cy = rng.normal(size=(n, n)) + 5.0, rng.normal(size=(m, m)) - 3.0
    if symmetric:
        Cx, Cy = Cx + Cx.T, Cy + Cy.T
    P, Q = rng.random((n, m)), rng.random((n, m))
    form = MatrixForm(sparse.csr_array(Cx) if stored else Cx, Cy)
    at, other = form.at(P), form.at(sparse.coo_array(Q))
    scale = at.size + other.size
    assert at.value == pytest.approx(four_sums(Cx, Cy, P, P), abs=1e-12 * scale)
    assert at.exact() == pytest.approx(at.value, abs=1e-12 * scale)
    slope, curve = at.along(other)
    half = 0.5 * (P + Q)
    assert at.value + 0.5 * slope + 0.25 * curve == pytest.approx(four_sums(Cx, Cy, half, half), abs=1e-11 * scale)
    assert at.mixed(0.5, other).value == pytest.approx(four_sums(Cx, Cy, half, half), abs=1e-11 * scale)
    r, s = at.sides()
    derivative = at.cost().C + r[:, None] + s
    symmetrised = four_sums(Cx, Cy, P, Q) + four_sums(Cx, Cy, Q, P)
    assert np.vdot(derivative, Q) == pytest.approx(symmetrised, abs=1e-11 * scale)


def test_moments_of_clouds_tell_the_same_as_their_matrices() -> None:
    rng = np.random.default_rng(0)
    x, y, P = rng.normal(size=(7, 2)) + 9.0, rng.normal(size=(5, 3)) - 4.0, rng.random((7, 5))
    clouds, matrices = MomentForm(x, y).at(P), MatrixForm(distances(x) ** 2, distances(y) ** 2).at(P)
    assert clouds.value == pytest.approx(matrices.value, rel=1e-12)
    whole = [at.sides()[0][:, None] + at.sides()[1] for at in (clouds, matrices)]
    C = clouds.cost()
    lifted = ((C.x[:, None] - C.y) ** 2).sum(axis=-1)
    np.testing.assert_allclose(whole[0] + lifted, whole[1] + matrices.cost().C, rtol=1e-10)


def test_what_a_walk_carries_along_is_what_is_computed_anew() -> None:
    rng = np.random.default_rng(1)
    for n, m, symmetric in ((80, 65, True), (60, 90, False)):
        Cx, Cy = rng.normal(size=(n, n)), rng.normal(size=(m, m))
        form = MatrixForm(Cx + Cx.T, Cy + Cy.T) if symmetric else MatrixForm(Cx, Cy)
        walk, plan = form.walk(), rng.random((n, m)) * (rng.random((n, m)) < 0.01)
        for k in range(40):
            rows, columns = rng.integers(n, size=2), rng.integers(m, size=2)
            plan[rows, columns] = rng.random(2) if k % 7 else plan[rows, columns]
            given_plan = sparse.coo_array(plan)
            np.testing.assert_allclose(walk(given_plan).G, form.at(given_plan).G, atol=1e-12)


def test_a_walk_makes_narrow_products() -> None:
    form = MatrixForm(distances(np.arange(80.0)[:, None]), distances(np.arange(80.0)[:, None] ** 2))
    walk, plan = form.walk(), np.eye(80) / 80.0
    walk(sparse.coo_array(plan))
    plan[[0, 1]] = plan[[1, 0]]
    walk(sparse.coo_array(plan))
    assert walk.in_a_row == 1  # type: ignore[attr-defined]
    walk(sparse.coo_array(np.roll(plan, 1, axis=0)))
    assert walk.in_a_row == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [np.int64, np.float32, np.float64, bool])
def test_structures_of_any_type(kind: Any) -> None:
    rng = np.random.default_rng(2)
    C = rng.integers(-4 if kind is not bool else 0, 2, size=(9, 9))
    C = (C + C.T).astype(kind)
    order = rng.permutation(9)
    t = monge.gromov_wasserstein(monge.CostMatrix(C), monge.CostMatrix(C[np.ix_(order, order)]))
    assert 0.0 <= t.value <= 1e-9 * np.abs(C.astype(float)).max() ** 2
    matched = t.plan.tocsr()[np.arange(9)].toarray().argmax(axis=1)
    np.testing.assert_array_equal(C, C[np.ix_(order, order)][np.ix_(matched, matched)])


def test_sparse_structures_are_those_with_zeros() -> None:
    rng = np.random.default_rng(3)
    A, B = (np.triu(rng.random((k, k)) < 0.02, 1) for k in (80, 70))
    A, B = (A | A.T).astype(float), (B | B.T).astype(float)
    t = monge.gromov_wasserstein(sparse.coo_array(A), sparse.csr_matrix(B), init="product", tol=1e-3)
    assert t.value == pytest.approx(four_sums(A, B, t.plan.toarray(), t.plan.toarray()), rel=1e-9)
    assert t.value < four_sums(A, B, np.full((80, 70), 1.0 / 5600.0), np.full((80, 70), 1.0 / 5600.0))


def test_the_best_permutation_is_found_among_all() -> None:
    rng = np.random.default_rng(4)
    for _ in range(4):
        Cx, Cy = distances(rng.normal(size=(6, 2))), distances(rng.normal(size=(6, 3)))
        best = min(
            float(((Cx - Cy[np.ix_(order, order)]) ** 2).sum()) / 36.0 for order in itertools.permutations(range(6))
        )
        t = monge.gromov_wasserstein(monge.CostMatrix(Cx), monge.CostMatrix(Cy), n_starts=30, rng=0)
        assert t.value == pytest.approx(best, rel=1e-9)


def test_from_one_start_the_optimum_is_that_of_a_peer() -> None:
    rng = np.random.default_rng(5)
    for n, m in ((40, 40), (35, 50)):
        Cx, Cy = distances(rng.normal(size=(n, 2))), distances(rng.normal(size=(m, 3)))
        a, b = rng.random(n) + 0.1, rng.random(m) + 0.1
        a, b = a / a.sum(), b / b.sum()
        t = monge.gromov_wasserstein(monge.CostMatrix(Cx), monge.CostMatrix(Cy), a, b, init="product")
        _, log = ot.gromov.gromov_wasserstein(Cx, Cy, a, b, "square_loss", log=True)
        assert t.value == pytest.approx(float(log["gw_dist"]), rel=1e-7)


def test_single_precision_has_a_value_in_double() -> None:
    rng = np.random.default_rng(6)
    Cx, Cy = (distances(rng.normal(size=(50, 2))).astype(np.float32) for _ in range(2))
    t = monge.gromov_wasserstein(monge.CostMatrix(Cx), monge.CostMatrix(Cy))
    wide = MatrixForm(Cx.astype(float), Cy.astype(float)).at(t.plan)
    assert t.value == pytest.approx(wide.value, abs=1e-8 * wide.size)  # the sum of products would be off by 1e-7


def test_products_have_the_same_bits_for_any_number_of_threads() -> None:
    rng = np.random.default_rng(7)
    left, right = rng.normal(size=(300, 200)), rng.normal(size=(200, 250))
    one = times(left, right, 1)
    np.testing.assert_array_equal(one, times(left, right, 3))
    np.testing.assert_allclose(one, left @ right, atol=1e-12)


@pytest.mark.parametrize(
    ("matrix", "text"),
    [
        (np.ones((2, 3)), "square|shape"),
        (np.array([[0.0, np.nan], [1.0, 0.0]]), "finite"),
        (np.array([[0.0, np.inf], [np.inf, 0.0]]), "not connected"),
        (sparse.csr_array(np.ones((2, 3))), "shape"),
    ],
)
def test_what_is_no_structure_is_refused(matrix: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        as_structure(matrix, "x")
