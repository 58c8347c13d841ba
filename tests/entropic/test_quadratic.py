"""quadratic: plans of least cost and squares, optimal by their certificate, by other solvers, and in the limits."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls
from scipy.sparse import coo_array
from slopes import numeric

import monge
from monge.entropic.kernels.arcs import Full, listed, loads, slopes
from monge.entropic.kernels.threads import Threads

EPS = [1e-9, 1e-2, 1.0, 30.0, 1e3, 1e6]


def problem(n=25, m=30, seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.random((n, 2)), rng.random((m, 2)) + 0.2
    return ((x[:, None] - y) ** 2).sum(-1), rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))


def squared(x, y):
    total = 0.0
    for k in range(len(x)):
        total += (x[k] - y[k]) ** 2
    return total


def twice(x, y, out):
    for k in range(len(x)):
        out[k] = 2.0 * (x[k] - y[k])


def objective(P, C, eps):
    return float(np.sum(P * np.where(P > 0.0, C, 0.0))) + 0.5 * eps * float(np.sum(P**2))


def assert_optimal(t, C, a, b, eps, tol=1e-9):
    """The plan is that of the potentials and has the marginals, which only the optimal one has (the problem is strictly
    convex); value, price and certificate are what they are said to be, all recomputed here."""
    C, P = np.asarray(C, dtype=float), t.plan.toarray()
    scale = np.abs(C[np.isfinite(C)]).max() + np.abs(t.f).max() + np.abs(t.g).max()
    total = a.sum()
    z = np.maximum(t.f[:, None] + t.g - C, 0.0)
    assert np.abs(P - z / eps).max() <= 4e-16 * scale / eps + 1e-12 * total
    error = (np.abs(P.sum(axis=1) - a).sum() + np.abs(P.sum(axis=0) - b).sum()) / total
    assert error <= tol + 1e-14
    assert t.marginal_error == pytest.approx(error, abs=1e-14)
    assert (t.plan.data > 0.0).all()
    assert t.cost == pytest.approx(float(np.sum(P[P > 0] * C[P > 0])), rel=1e-12, abs=1e-14 * scale * total)
    dual = float(t.f @ a + t.g @ b) - 0.5 * eps * float((P**2).sum())
    slack = 1e-13 * (scale * total + eps * total**2)
    assert t.value == pytest.approx(dual, abs=slack)
    # Dual and primal value: the first below the optimum, the second above it but for the marginal error.
    assert abs(objective(P, C, eps) - t.value) <= 2.0 * error * total * scale + slack
    assert 0.0 <= t.gap <= 2.0 * (error + 1e-14) * total * (scale + eps * total) * 10.0


@pytest.mark.parametrize("eps", EPS)
@pytest.mark.parametrize("weighted", [False, True])
def test_optimal(eps, weighted):
    C, a, b = problem()
    if weighted:
        t = monge.quadratic(C, a, b, eps=eps)
    else:
        t, a, b = monge.quadratic(C, eps=eps), np.full(25, 1 / 25), np.full(30, 1 / 30)
    assert t.converged
    assert_optimal(t, C, a, b, eps)


@pytest.mark.parametrize("eps", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("seed", range(3))
def test_against_a_quadratic_programme(eps, seed):
    # eps / 2 |P + C / eps|^2 is the objective but for a constant: least squares over P >= 0, with heavy rows for the
    # marginals.
    C, a, b = problem(5, 6, seed)
    heavy = 1e4
    rows = np.concatenate([np.kron(np.eye(5), np.ones(6)), np.kron(np.ones(5), np.eye(6))])
    found, _ = nnls(
        np.concatenate([np.eye(30), heavy * rows]), np.concatenate([-C.ravel() / eps, heavy * np.concatenate([a, b])])
    )
    t = monge.quadratic(C, a, b, eps=eps)
    np.testing.assert_allclose(t.plan.toarray().ravel(), found, atol=1e-6)
    assert t.value == pytest.approx(objective(found.reshape(5, 6), C, eps), rel=1e-5)


@pytest.mark.filterwarnings("ignore:.*`disp` and `iprint`:DeprecationWarning")  # which POT hands to SciPy
@pytest.mark.parametrize("eps", [0.3, 5.0])
def test_against_peers(eps):
    ot = pytest.importorskip("ot", reason="POT, a peer, is not installed")
    C, a, b = problem()
    t = monge.quadratic(C, a, b, eps=eps)
    smooth = ot.smooth.smooth_ot_dual(a, b, C, eps, reg_type="l2", stopThr=1e-12, numItermax=20_000)
    np.testing.assert_allclose(t.plan.toarray(), smooth, atol=1e-5)
    assert t.value == pytest.approx(objective(smooth, C, eps), abs=1e-5)
    # Its value counts the squares with eps where the plan minimises half of that.
    solved = ot.solve(C, a, b, reg=eps, reg_type="L2", tol=1e-12, max_iter=20_000)
    np.testing.assert_allclose(t.plan.toarray(), solved.plan, atol=1e-5)
    assert t.value + 0.5 * eps * (t.plan.data**2).sum() == pytest.approx(solved.value, abs=1e-5)


def test_small_eps_is_exact_transport():
    C, a, b = problem(60, 50)
    exact = monge.emd(C, a, b)
    for eps in (1.0, 1e-2, 1e-6, 1e-12, 1e-100):
        t = monge.quadratic(C, a, b, eps=eps)
        assert t.converged
        least = exact.value + 0.5 * eps * float((t.plan.data**2).sum())  # of any plan with so many squares
        assert exact.value * (1 - 1e-14) <= t.value
        assert t.value <= exact.value + 0.5 * eps * float((exact.plan.data**2).sum()) + 1e-14
        assert least <= t.cost + 0.5 * eps * float((t.plan.data**2).sum()) + 1e-9
    np.testing.assert_allclose(t.plan.toarray(), exact.plan.toarray(), atol=1e-9)  # the only one here


def test_of_many_exact_plans_the_one_of_least_squares():
    # All plans cost the same: the product is the most even one.
    a, b = np.array([0.5, 0.3, 0.2]), np.array([0.25] * 4)
    t = monge.quadratic(np.zeros((3, 4)), a, b, eps=1e-9)
    even = a[:, None] / 4 + b / 3 - 1 / 12
    np.testing.assert_allclose(t.plan.toarray(), even, atol=1e-12)


def test_large_eps_in_closed_form():
    # Without P >= 0: P = (f + g - C) / eps, with f and g from the normal equations. For a large eps that is positive.
    C, a, b = problem(6, 9)
    a, b = (a + 1.0) / 7.0, (b + 1.0) / 10.0
    for eps in (1e3, 1e8, 1e100):
        centred = C - C.mean(axis=1, keepdims=True) - C.mean(axis=0) + C.mean()
        P = a[:, None] / 9 + b / 6 - 1 / 54 - centred / eps
        assert (P > 0.0).all()
        t = monge.quadratic(C, a, b, eps=eps)
        np.testing.assert_allclose(t.plan.toarray(), P, atol=1e-11)
        assert t.plan.nnz == 54
        assert t.value == pytest.approx(objective(P, C, eps), rel=1e-9)


def test_one_point():
    t = monge.quadratic([[3.0]], [2.0], [2.0], eps=0.5)
    assert (t.value, t.cost, t.gap) == (pytest.approx(7.0), pytest.approx(6.0), 0.0)
    assert t.plan.toarray() == pytest.approx(2.0)
    row = monge.quadratic([[1.0, 2.0, 5.0]], None, [0.2, 0.3, 0.5], eps=1.0)  # all plans there are
    np.testing.assert_allclose(row.plan.toarray(), [[0.2, 0.3, 0.5]], atol=1e-10)
    assert row.value == pytest.approx(0.2 + 0.6 + 2.5 + 0.5 * 0.38)


def test_two_points_by_hand():
    # P = [[p, q], [q, p]], p + q = 1/2: 2 q + eps (p^2 + q^2) is least at q = 1/4 - 1 / (2 eps) where that is positive.
    for eps in (0.5, 2.0, 3.0, 10.0):
        q = max(0.25 - 0.5 / eps, 0.0)
        t = monge.quadratic([[0.0, 1.0], [1.0, 0.0]], eps=eps)
        np.testing.assert_allclose(t.plan.toarray(), [[0.5 - q, q], [q, 0.5 - q]], atol=1e-10)


def test_places_without_weight():
    C, a, b = problem(12, 10)
    a[[2, 7]], b[3] = 0.0, 0.0
    a, b = a / a.sum(), b / b.sum()
    t = monge.quadratic(C, a, b, eps=2.0)
    assert_optimal(t, C, a, b, 2.0)
    P = t.plan.toarray()
    assert not P[[2, 7]].any()
    assert not P[:, 3].any()
    # Their potentials are the prices of the first mass that would be there.
    step = 1e-6
    for at in (2, 7):
        more = a + step * (np.arange(12) == at)
        slope = (monge.quadratic(C, more / more.sum(), b, eps=2.0).value - t.value) / step
        assert slope == pytest.approx(t.grad_a[at] - t.grad_a @ a, abs=1e-4)


@pytest.mark.parametrize("eps", [1e-6, 0.5, 1e3])
def test_forbidden_arcs(eps):
    C, a, b = problem(20, 16)
    allowed = np.random.default_rng(1).random((20, 16)) < 0.3
    allowed[np.arange(20), np.arange(20) % 16] = True
    a, b = allowed.sum(axis=1) / allowed.sum(), allowed.sum(axis=0) / allowed.sum()
    blocked = np.where(allowed, C, np.inf)
    t = monge.quadratic(blocked, a, b, eps=eps)
    assert_optimal(t, blocked, a, b, eps)
    rows, cols = np.nonzero(allowed)
    sparse = monge.quadratic(coo_array((C[rows, cols], (rows, cols))), a, b, eps=eps)
    assert sparse.value == pytest.approx(t.value, rel=1e-12)
    assert sparse.gap < 1e-9
    np.testing.assert_allclose(sparse.plan.toarray(), t.plan.toarray(), atol=1e-10)


@pytest.mark.parametrize("eps", [1e-250, 1.0])
def test_entries_that_cost_nothing_and_places_without_weight(eps):
    rows, cols = np.nonzero(np.add.outer(np.arange(9), np.arange(8)) % 4 > 0)
    costs = ((rows * cols) % 3).astype(float)  # many are zero
    rng = np.random.default_rng(0)
    mass = rng.random(len(rows))
    kept = (rows != 2) & (cols != 5)
    a, b = (np.bincount(at[kept], mass[kept], size) for at, size in ((rows, 9), (cols, 8)))
    C = np.full((9, 8), np.inf)
    C[rows, cols] = costs
    full = monge.quadratic(C, a, b, eps=eps)
    sparse = monge.quadratic(coo_array((costs, (rows, cols)), shape=(9, 8)), a, b, eps=eps)
    assert sparse.value == pytest.approx(full.value, rel=1e-12)
    np.testing.assert_allclose(sparse.plan.toarray(), full.plan.toarray(), atol=1e-8)
    assert sparse.gap < 1e-7
    assert (sparse.f[:, None] + sparse.g <= C + eps * sparse.plan.toarray() + 1e-14).all()


def test_forbidden_arcs_that_leave_no_plan():
    with pytest.raises(monge.InfeasibleError):
        monge.quadratic([[np.inf, 1.0], [np.inf, 1.0]], eps=1.0)
    with pytest.raises(monge.InfeasibleError):
        monge.quadratic(coo_array(([1.0], ([0], [0])), shape=(2, 2)), eps=1.0)


def test_a_certificate_where_what_is_missing_meets_forbidden_arcs():
    C, a, b = problem(20, 16)
    allowed = np.zeros((20, 16), dtype=bool)
    exact = monge.emd(C, a, b).plan
    allowed[exact.row, exact.col] = True  # a tree: one plan
    blocked = np.where(allowed, C, np.inf)
    t = monge.quadratic(blocked, a, b, eps=1.0)
    rough = monge.quadratic(blocked, a, b, eps=1.0, tol=1e-2)
    best = objective(exact.toarray(), C, 1.0)
    for one in (t, rough):
        assert one.value <= best + 1e-12 <= one.value + one.gap + 1e-11
    assert t.gap < 1e-8


def test_units():
    C, a, b = problem()
    t = monge.quadratic(C, a, b, eps=2.0)
    for s in (2.0**-60, 3.0, 1e12):
        scaled = monge.quadratic(s * C, a, b, eps=2.0 * s)
        assert scaled.value == pytest.approx(s * t.value, rel=1e-9)
        np.testing.assert_allclose(scaled.plan.toarray(), t.plan.toarray(), atol=1e-9)
        heavier = monge.quadratic(C, s * a, s * b, eps=2.0 / s)
        assert heavier.value == pytest.approx(s * t.value, rel=1e-9)
        np.testing.assert_allclose(heavier.plan.toarray() / s, t.plan.toarray(), atol=1e-9)
    light = monge.quadratic(C, 1e-275 * a, 1e-275 * b, eps=2e275)
    assert light.value == pytest.approx(1e-275 * t.value, rel=1e-9)
    assert light.gap <= 1e-8 * light.value
    moved = monge.quadratic(C + np.arange(25.0)[:, None] - np.arange(30.0), a, b, eps=2.0)
    np.testing.assert_allclose(moved.plan.toarray(), t.plan.toarray(), atol=1e-9)


def test_the_larger_eps_the_less_sparse():
    C, a, b = problem(40, 40)
    entries = [monge.quadratic(C, a, b, eps=eps).plan.nnz for eps in (1e-3, 1.0, 10.0, 100.0, 1e3)]
    assert entries[0] <= 79
    assert entries == sorted(entries)
    assert entries[-1] > 5 * entries[0]


def test_gradients():
    rng = np.random.default_rng(0)
    x, y, a, b = rng.random((5, 2)), rng.random((4, 2)), rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(4))

    def value(x, y, a, b):
        return monge.quadratic(monge.PointCloud(x, y, "euclidean"), a, b, eps=1.5, tol=1e-12).value

    t = monge.quadratic(monge.PointCloud(x, y, "euclidean"), a, b, eps=1.5, tol=1e-12)
    slope = numeric(value, x, y, a, b, normalised=(2, 3))
    np.testing.assert_allclose(t.grad_x, slope[0], atol=1e-7)
    np.testing.assert_allclose(t.grad_y, slope[1], atol=1e-7)
    np.testing.assert_allclose(t.grad_a - t.grad_a @ a, slope[2], atol=1e-7)
    np.testing.assert_allclose(t.grad_b - t.grad_b @ b, slope[3], atol=1e-7)
    assert t.grad_a @ a == pytest.approx(t.grad_b @ b)


def test_same_from_any_form_of_the_cost():
    rng = np.random.default_rng(0)
    x, y = rng.random((30, 3)), rng.random((20, 3))
    cloud = monge.PointCloud(x, y)
    t = monge.quadratic(cloud, eps=3.0)
    C = ((x[:, None] - y) ** 2).sum(-1)
    for cost in (C, np.asfortranarray(C), C[::-1][::-1], monge.CostMatrix(C)):
        assert monge.quadratic(cost, eps=3.0).value == pytest.approx(t.value, rel=1e-12)
    single = monge.quadratic(C.astype(np.float32), eps=3.0)
    assert single.value == pytest.approx(t.value, rel=1e-6)
    np.testing.assert_allclose(t.map(y), 30 * t.plan.toarray() @ y, atol=1e-9)
    user = monge.PointCloud(x, y, monge.GroundCost(squared, gradient=twice))
    found = monge.quadratic(user, eps=3.0)
    assert found.value == pytest.approx(t.value, rel=1e-12)
    np.testing.assert_allclose(found.grad_x, t.grad_x, atol=1e-12)
    with pytest.raises(TypeError, match="PointCloud"):
        _ = single.grad_x
    grid = monge.quadratic(monge.Grid((3, 4)), np.arange(12.0), np.arange(12.0)[::-1], eps=0.1)
    cells = np.argwhere(np.ones((3, 4))).astype(float)
    same = monge.quadratic(monge.PointCloud(cells, cells), np.arange(12.0), np.arange(12.0)[::-1], eps=0.1)
    assert grid.value == pytest.approx(same.value, rel=1e-10)


def test_ties():
    # Integer costs on a grid: many arcs are tight at once, and the optimal plan keeps their symmetry.
    x = np.arange(12.0)
    for eps in (1e-6, 1.0, 50.0):
        t = monge.quadratic(np.abs(x[:, None] - x), eps=eps)
        P = t.plan.toarray()
        assert t.gap < 1e-9
        np.testing.assert_allclose(P, P.T, atol=1e-9)
        np.testing.assert_allclose(P, P[::-1, ::-1], atol=1e-9)


@pytest.mark.parametrize("shape", [(2, 400), (400, 3), (70, 300)])
@pytest.mark.parametrize("eps", [1e-6, 3.0, 1e4])
def test_many_more_places_on_one_side(shape, eps):
    rng = np.random.default_rng(0)
    C, a, b = rng.random(shape), rng.dirichlet(np.ones(shape[0])), rng.dirichlet(np.ones(shape[1]))
    t = monge.quadratic(C, a, b, eps=eps)
    assert_optimal(t, C, a, b, eps)
    turned = monge.quadratic(C.T, b, a, eps=eps)
    assert turned.value == pytest.approx(t.value, rel=1e-10)


def test_progress():
    pytest.importorskip("tqdm", reason="bars need tqdm")
    C, a, b = problem()
    plain = monge.quadratic(C, a, b, eps=1.0)
    assert monge.quadratic(C, a, b, eps=1.0, progress=True).value == plain.value
    assert [t.value for t in monge.quadratic([C, C], a, b, eps=1.0, progress=True)] == [plain.value] * 2


def test_starts():
    C, a, b = problem(40, 50)
    t = monge.quadratic(C, a, b, eps=1.0)
    again = monge.quadratic(C, a, b, eps=1.0, init=t)
    assert again.stats["newton_steps"] == 0
    assert again.stats["seconds_exact"] == 0.0
    near = monge.quadratic(C, a, b, eps=1.0, init=(t.f + 1e-4, t.g))
    rng = np.random.default_rng(0)
    for start in (near, (np.zeros(40), np.zeros(50)), tuple(10 * rng.normal(size=k) for k in (40, 50))):
        other = monge.quadratic(C, a, b, eps=0.8, init=start)
        assert_optimal(other, C, a, b, 0.8)
    assert near.stats["newton_steps"] < t.stats["newton_steps"]
    assert monge.emd(C, a, b, init=monge.quadratic(C, a, b, eps=100.0)).gap < 1e-12


@pytest.mark.parametrize("threads", [1, 3])
def test_same_bits_for_any_number_of_threads(threads):
    rng = np.random.default_rng(0)
    C = rng.random((400, 500))
    for eps in (1.0, 1e5):
        t, other = (monge.quadratic(C, eps=eps, threads=k) for k in (2, threads))
        assert t.value == other.value
        assert (t.f == other.f).all()
        assert (t.plan.data == other.plan.data).all()


def test_batch():
    problems = [problem(6, 8, seed) for seed in range(3)]
    C = np.stack([p[0] for p in problems])
    a = np.stack([p[1] for p in problems])
    alone = [monge.quadratic(*p, eps=1.0) for p in problems]
    for found in (
        monge.quadratic(C, a, [p[2] for p in problems], eps=1.0),
        monge.quadratic(list(C), [p[1] for p in problems], [p[2] for p in problems], eps=1.0),
    ):
        assert [t.value for t in found] == [t.value for t in alone]
    assert monge.quadratic([], eps=1.0) == []
    with pytest.raises(ValueError, match="problem 1: cost"):
        monge.quadratic([C[0], np.full((2, 2), np.nan)], eps=1.0)
    with pytest.raises(ValueError, match="single problem"):
        monge.quadratic(C, eps=1.0, init=alone[0])


def test_stopping():
    C, a, b = problem(60, 60)
    best = monge.quadratic(C, a, b, eps=1.0)
    with pytest.warns(monge.ConvergenceWarning, match="max_iter ran out"):
        t = monge.quadratic(C, a, b, eps=1.0, max_iter=2)
    assert t.status is monge.Status.MAX_ITER
    with pytest.warns(monge.ConvergenceWarning, match="time_limit ran out"):
        late = monge.quadratic(C, a, b, eps=1.0, time_limit=0.0)
    assert late.status is monge.Status.OUT_OF_TIME
    for one in (t, late):
        assert not one.converged
        assert one.marginal_error > 1e-9
        assert one.value <= best.value + 1e-12 <= one.value + one.gap + 1e-11
    with pytest.warns(monge.ConvergenceWarning, match="1 of 2 problems"):
        monge.quadratic([C, [[1.0]]], eps=1.0, max_iter=5)


def test_a_tolerance_beyond_rounding():
    C, a, b = problem(60, 60)
    with pytest.warns(monge.ConvergenceWarning, match="too few digits"):
        t = monge.quadratic(C, a, b, eps=1.0, tol=1e-30)
    assert t.status is monge.Status.ROUNDED
    assert t.marginal_error < 1e-12


def test_result():
    C, a, b = problem()
    t = monge.quadratic(C, a, b, eps=1.0)
    copy = pickle.loads(pickle.dumps(t))
    assert (copy.value, copy.gap, copy.marginal_error) == (t.value, t.gap, t.marginal_error)
    assert (copy.plan != t.plan).nnz == 0
    assert t.eps == 1.0
    assert t.shape == (25, 30)
    assert isinstance(t, monge.Transport)
    assert "eps=1" in repr(t)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"eps": 0.0}, ValueError, "eps should be positive"),
        ({"eps": "1"}, TypeError, "eps should be"),
        ({"eps": 1.0, "tol": -1.0}, ValueError, "tol should be positive"),
        ({"eps": 1.0, "max_iter": 0}, ValueError, "max_iter should be a positive integer"),
        ({"eps": 1.0, "time_limit": -1.0}, ValueError, "time_limit"),
        ({"eps": 1.0, "threads": 0}, ValueError, "threads"),
        ({"eps": 1e-300}, ValueError, "use monge.emd"),
        ({"eps": 1e200}, ValueError, "spreads mass evenly"),
        ({"eps": 1.0, "init": ([0.0], [0.0])}, ValueError, "init's f should have shape"),
        ({"eps": 1.0, "a": [1.0, 1.0], "b": [1.0, 0.5, 1.0]}, ValueError, "monge.sinkhorn with marginals="),
        ({"eps": 1.0, "a": [-1.0, 2.0]}, ValueError, "not negative"),
        ({"eps": 1.0, "a": [1.0]}, ValueError, "shape"),
    ],
)
def test_bad_input(options, error, text):
    with pytest.raises(error, match=text):
        monge.quadratic(np.ones((2, 3)), **options)


def test_bad_costs():
    for bad in (np.nan, -np.inf):
        with pytest.raises(ValueError, match="NaN or -inf"):
            monge.quadratic([[1.0, bad]], eps=1.0)
        with pytest.raises(ValueError, match="NaN or -inf"):
            monge.quadratic([[1.0, bad]], eps=1.0, init=([0.5], [0.5, 0.5]))
    with pytest.raises(TypeError):
        monge.quadratic([["a"]], eps=1.0)


@given(
    st.integers(1, 12), st.integers(1, 12), st.floats(-9, 6), st.sampled_from([0, 1, 2, 3]), st.integers(0, 10**6),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_any_problem(n, m, eps, kind, seed):
    rng = np.random.default_rng(seed)
    C = (
        rng.random((n, m)) if kind == 0
        else rng.integers(0, 3, (n, m)).astype(float) if kind == 1
        else np.exp(5.0 * rng.normal(size=(n, m))) if kind == 2
        else rng.normal(size=(n, m))
    )  # fmt: skip
    a, b = rng.integers(0, 4, n).astype(float), rng.integers(0, 4, m).astype(float)
    a[rng.integers(n)] += 1.0
    b[rng.integers(m)] += 1.0
    a, b = a / a.sum(), b / b.sum()
    eps = 10.0**eps * (np.abs(C).mean() + 1e-3)
    t = monge.quadratic(C, a, b, eps=eps)
    assert t.converged
    assert_optimal(t, C, a, b, eps)


class TestArcs:
    """The lists and sums of the kernels against NumPy."""

    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    @pytest.mark.parametrize("shape", [(1, 1), (3, 200), (150, 170)])
    def test_lists_and_sums(self, shape, dtype):
        rng = np.random.default_rng(0)
        n, m = shape
        C = rng.random(shape).astype(dtype)
        f, g, h, dh = rng.normal(size=n), rng.normal(size=m), 0.3 * rng.random(n), rng.normal(size=n)
        k, dk = 0.3 * rng.random(m), rng.normal(size=m)
        unit, threads = 0.25, Threads(1)
        arcs = listed(C, (f, g), unit, (h, k), (h + dh, k + dk), n * m, threads)
        c = (C.astype(float) - g - f[:, None]) / unit
        z, dz = h[:, None] + k - c, dh[:, None] + dk
        rows, cols = np.nonzero((z > 0.0) | (z + dz > 0.0))
        np.testing.assert_array_equal(np.repeat(np.arange(n), np.diff(arcs.begin)), rows)
        np.testing.assert_array_equal(arcs.col, cols)
        np.testing.assert_allclose(arcs.cost, c[rows, cols], atol=1e-12)
        carried = loads(arcs, (h, k), threads)
        positive = np.maximum(z, 0.0)
        np.testing.assert_allclose(carried.sent, positive.sum(axis=1), atol=1e-10)
        np.testing.assert_allclose(carried.received, positive.sum(axis=0), atol=1e-10)
        u, v = rng.normal(size=n), rng.normal(size=m)
        rows_sum, cols_sum = carried.links.times(u, v, threads)
        np.testing.assert_allclose(rows_sum, (z > 0.0) @ v, atol=1e-10)
        np.testing.assert_allclose(cols_sum, (z > 0.0).T @ u, atol=1e-10)
        np.testing.assert_array_equal(carried.links.out, (z > 0.0).sum(axis=1))
        np.testing.assert_array_equal(carried.links.into, (z > 0.0).sum(axis=0))
        for t in (0.0, 0.4, 1.0):
            there = np.maximum(z + t * dz, 0.0)
            slope, curve = slopes(arcs, (h, k), (dh, dk), t, threads)
            assert slope == pytest.approx(float((there * dz).sum()), rel=1e-10)
            assert curve == pytest.approx(float((dz**2)[there > 0.0].sum()), rel=1e-10)

    def test_full(self):
        zero = np.zeros(40)
        with pytest.raises(Full):
            listed(np.zeros((40, 40)), (zero, zero), 1.0, (zero + 1.0, zero), (zero, zero), 1599, Threads(1))
        whole = listed(np.zeros((40, 40)), (zero, zero), 1.0, (zero + 1.0, zero), (zero, zero), 1600, Threads(1))
        assert len(whole.col) == 1600

    def test_what_rounding_leaves_is_zero(self):
        base = np.array([1.0]), np.array([math.nextafter(2.0, 3.0)])
        arcs = listed(
            np.array([[3.0]]), base, 1e-20, (np.array([1.0]), np.zeros(1)), (np.zeros(1), np.zeros(1)), 1, Threads(1)
        )
        np.testing.assert_array_equal(arcs.cost, [0.0])
