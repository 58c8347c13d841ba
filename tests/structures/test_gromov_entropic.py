"""gromov_wasserstein with entropy."""

from __future__ import annotations

import numpy as np
import pytest

import monge


def squared(x):
    return ((x[:, np.newaxis] - x[np.newaxis]) ** 2).sum(axis=-1)


def objective(C, D, a, b, eps, P):
    P = np.maximum(P, 1e-300)
    value = np.einsum("ikjl,ij,kl->", (C[:, :, np.newaxis, np.newaxis] - D) ** 2, P, P, optimize=True)
    product = np.multiply.outer(a, b)
    return value, value + eps * float((P * np.log(P / product) - P + product).sum())


def clouds(n, m, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 3)) * [1.0, 0.7, 0.4], rng.normal(size=(m, 2)) ** 2
    a, b = rng.random(n), rng.random(m)
    return x, y, a / a.sum(), b / b.sum()


def test_value_and_objective_are_those_of_the_plan():
    x, y, a, b = clouds(12, 10, 0)
    for eps in (3.0, 0.3):
        t = monge.gromov_wasserstein(x, y, a, b, eps=eps)
        value, whole = objective(squared(x), squared(y), a, b, eps, t.plan.toarray())
        assert t.value == pytest.approx(value, rel=1e-5)
        assert t.objective == pytest.approx(whole, rel=1e-5)
        assert t.eps == eps
        assert t.lower_bound <= t.value
        assert t.marginal_error < 1e-5


def test_the_plan_is_that_of_sinkhorn_at_its_own_derivative():
    x, y, a, b = clouds(20, 15, 1)
    t = monge.gromov_wasserstein(x, y, a, b, eps=0.5, tol=1e-8)
    P, C, D = t.plan.toarray(), squared(x), squared(y)
    derivative = 2.0 * (C**2 @ a)[:, np.newaxis] + 2.0 * D**2 @ b - 4.0 * C @ P @ D
    again = monge.sinkhorn(derivative, a, b, eps=0.5, tol=1e-9).plan.toarray()
    np.testing.assert_allclose(P, again, atol=1e-7)


@pytest.mark.parametrize("power", [0.0, -1.0, -2.0, -3.0])
def test_at_no_eps_is_the_plan_empty(power):
    # POT has a plan of 5e-194 on such distances, at an eps of 0.1.
    x, y, a, b = clouds(30, 30, 2)
    eps = 10.0**power * np.mean(squared(x) ** 2)
    t = monge.gromov_wasserstein(30.0 * x, 30.0 * y, a, b, eps=30.0**4 * eps)
    assert t.converged
    assert t.plan.sum() == pytest.approx(1.0, rel=1e-5)
    assert t.marginal_error < 1e-5


def test_small_and_large_eps():
    x, y, a, b = clouds(15, 15, 3)
    exact = monge.gromov_wasserstein(x, y, a, b)
    small = monge.gromov_wasserstein(x, y, a, b, eps=1e-2, init=exact)
    assert small.value == pytest.approx(exact.value, rel=1e-2)
    large = monge.gromov_wasserstein(x, y, a, b, eps=1e6)
    np.testing.assert_allclose(large.plan.toarray(), np.multiply.outer(a, b), rtol=1e-2)


def test_copies_are_found_at_small_eps():
    rng = np.random.default_rng(4)
    x, order = rng.normal(size=(40, 3)), rng.permutation(40)
    t = monge.gromov_wasserstein(x, x[order] @ np.linalg.qr(rng.normal(size=(3, 3)))[0] - 9.0, eps=1e-2)
    assert t.value < 1e-3
    np.testing.assert_array_equal(t.plan.toarray().argmax(axis=1), np.argsort(order))


def test_matrices_give_what_clouds_give():
    x, y, a, b = clouds(20, 15, 5)
    t = monge.gromov_wasserstein(x, y, a, b, eps=0.4)
    C, D = monge.CostMatrix(squared(x)), monge.CostMatrix(squared(y))
    u = monge.gromov_wasserstein(C, D, a, b, eps=0.4, init=t)
    assert u.objective == pytest.approx(t.objective, rel=1e-6)
    np.testing.assert_allclose(u.plan.toarray(), t.plan.toarray(), atol=1e-6)


def test_structures_of_any_sign_converge():
    rng = np.random.default_rng(6)
    C, D = (M + M.T for M in rng.normal(size=(2, 12, 12)))
    a = np.full(12, 1.0 / 12.0)
    for eps in (1.0, 0.1):
        t = monge.gromov_wasserstein(monge.CostMatrix(C), monge.CostMatrix(D), eps=eps)
        value, whole = objective(C, D, a, a, eps, t.plan.toarray())
        assert t.converged
        assert t.objective == pytest.approx(whole, rel=1e-6)
        assert t.value == pytest.approx(value, rel=1e-6)


def test_the_plan_of_pot_from_the_same_start():
    ot = pytest.importorskip("ot", reason="POT is a peer in tests")
    x, y, _, _ = clouds(25, 25, 7)
    a, C, D = np.full(25, 0.04), squared(x), squared(y)
    eps = float(C.mean() ** 2)
    P = ot.gromov.entropic_gromov_wasserstein(C, D, a, a, epsilon=eps, solver="PGD", max_iter=100, tol=1e-9)
    t = monge.gromov_wasserstein(x, y, eps=eps, init="product", tol=1e-7)
    np.testing.assert_allclose(t.plan.toarray(), P, atol=1e-7)


def test_starts_and_going_on():
    x, y, a, b = clouds(20, 20, 8)
    t = monge.gromov_wasserstein(x, y, a, b, eps=0.2, n_starts=4, rng=0)
    assert t.objective == t.starts[0] == t.starts.min()
    assert monge.gromov_wasserstein(x, y, a, b, eps=0.2, init=t).objective == pytest.approx(t.objective, rel=1e-6)
    with pytest.warns(monge.ConvergenceWarning, match="max_iter"):
        monge.gromov_wasserstein(x, y, a, b, eps=0.2, init="product", max_iter=2)


def test_structures_without_any_distance():
    t = monge.gromov_wasserstein([[1.0], [1.0]], [[2.0, 3.0]], eps=1.0)
    assert t.value == t.objective == t.lower_bound == 0.0
    assert t.converged


@pytest.mark.parametrize("matrices", [False, True])
def test_momentum_saves_problems(matrices: bool) -> None:
    """Without it there are 68 of them, for the same optimum."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)) * [1.0, 0.8, 0.6], rng.normal(size=(60, 3)) * [1.1, 0.7, 0.5]
    structures = [monge.CostMatrix(((z[:, None] - z) ** 2).sum(axis=-1)) for z in (x, y)] if matrices else (x, y)
    t = monge.gromov_wasserstein(*structures, eps=0.5, init="product", tol=1e-6)
    assert t.converged
    assert t.iterations <= 55
    np.testing.assert_allclose(t.objective, 13.3837373, rtol=1e-7)


def test_momentum_of_clouds_with_features() -> None:
    """There plans are lazy, and what lies beyond the last one is none."""
    rng = np.random.default_rng(0)
    x, y, fx, fy = (rng.normal(size=(60, 3)) for _ in range(4))
    clouds = monge.gromov_wasserstein(x, y, eps=1.0, features=(fx, fy), alpha=0.9, init="product", tol=1e-7)
    X, Y = (monge.CostMatrix(((z[:, None] - z) ** 2).sum(axis=-1)) for z in (x, y))
    matrices = monge.gromov_wasserstein(X, Y, eps=1.0, features=(fx, fy), alpha=0.9, init="product", tol=1e-7)
    assert clouds.converged
    np.testing.assert_allclose(clouds.objective, matrices.objective, rtol=1e-9)
