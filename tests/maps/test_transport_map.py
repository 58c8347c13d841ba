"""TransportMap: what each method moves to where, by known answers and beside POT."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
from scipy.optimize import minimize

import monge

pytest.importorskip("sklearn", reason="needs the extra sklearn")

import ot

from monge.maps.transport_map.group_lasso import group_lasso

pytestmark = pytest.mark.usefixtures("one_thread_of_linear_algebra")

METHODS = ("exact", "entropic", "gaussian", "group", "affine", "kernel")


def moons(n, rng):
    """Two half circles, and a label for each."""
    angle, label = np.pi * rng.random(n), np.arange(n) % 2
    x = np.column_stack([np.cos(angle) + label, np.where(label, -1.0, 1.0) * np.sin(angle)]) - [0.5, 0.0]
    return x + 0.05 * rng.normal(size=x.shape), label


def turned(degrees):
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize("method", METHODS)
def test_labels_are_kept_on_moons_that_were_turned_and_moved(method):
    rng = np.random.default_rng(0)
    X, y = moons(200, rng)
    Y, labels = moons(220, rng)
    Y = Y @ turned(30.0) + [1.0, -0.5]

    def near(Z):
        return np.mean(y[((Y[:, None] - Z) ** 2).sum(axis=-1).argmin(axis=1)] == labels)

    before, after = near(X), near(monge.TransportMap(method).fit(X, y, target=Y).transform(X))
    assert before < 0.75
    assert after > (0.98 if method in ("gaussian", "group", "affine", "kernel") else 0.92)


@pytest.mark.parametrize("method", ["exact", "gaussian", "affine", "kernel"])
def test_translation_is_recovered_to_rounding(method):
    rng = np.random.default_rng(1)
    X, new, t = rng.normal(size=(50, 3)), 2.0 * rng.normal(size=(20, 3)), np.array([1e3, -2.0, 0.5])
    map = monge.TransportMap(method).fit(X, target=rng.permutation(X + t))
    np.testing.assert_allclose(map.transform(X), X + t, atol=1e-11)
    np.testing.assert_allclose(map.transform(new), new + t, atol=1e-11)
    np.testing.assert_allclose(map.inverse_transform(new + t), new, atol=1e-11)


def test_entropic_becomes_exact():
    rng = np.random.default_rng(2)
    X, Y = rng.normal(size=(40, 2)), rng.normal(size=(40, 2))
    exact = monge.TransportMap().fit(X, target=Y).transform(X)
    errors = []
    for eps in (1.0, 0.1, 0.01, 1e-4):
        map = monge.TransportMap("entropic", eps=eps, tol=1e-7).fit(X, target=Y)
        errors.append(np.abs(map.transform(X) - exact).max())
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.5
    assert errors[-1] < 1e-4


def test_entropic_map_is_that_of_the_plan_and_of_the_potentials():
    rng = np.random.default_rng(3)
    X, Y, new = rng.normal(size=(30, 2)), rng.normal(size=(25, 2)), rng.normal(size=(5, 2))
    map = monge.TransportMap("entropic", eps=0.3, tol=1e-9).fit(X, target=Y)
    t, target = map.transport_, map.target_
    np.testing.assert_allclose(map.transform(map.source_), t.map(target), atol=1e-7)
    shares = np.exp((t.g - ((new[:, None] - target) ** 2).sum(axis=-1)) / 0.3)
    np.testing.assert_allclose(map.transform(new), shares @ target / shares.sum(axis=1, keepdims=True), atol=1e-10)
    np.testing.assert_allclose(map.inverse_transform(target), t.plan.T @ map.source_ * 25, atol=1e-3)
    far = map.transform([[1e6, 0.0]])  # where every exponential is zero
    assert np.isfinite(far).all()
    assert far[0, 0] == pytest.approx(target[:, 0].max())


@pytest.mark.parametrize("rank", [4, 2])
def test_gaussian_pushes_the_covariance(rank):
    rng = np.random.default_rng(4)
    basis, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    X, Y = (
        rng.normal(size=(200, rank)) @ rng.normal(size=(rank, rank)) @ basis[:rank] + rng.normal(size=4) for _ in "xy"
    )
    map = monge.TransportMap("gaussian").fit(X, target=Y)
    Z = map.transform(X)
    np.testing.assert_allclose(Z.mean(axis=0), Y.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(np.cov(Z.T), np.cov(Y.T), atol=1e-10)
    np.testing.assert_allclose(map.inverse_transform(Z), X, atol=1e-8)
    np.testing.assert_allclose(map.coef_, map.coef_.T, atol=1e-12)
    assert np.linalg.eigvalsh(map.coef_).min() > -1e-10


@pytest.mark.parametrize("method", ["affine", "kernel"])
def test_regression_finds_an_affine_map(method):
    rng = np.random.default_rng(5)
    X, A = rng.normal(size=(150, 2)), np.array([[1.5, 0.4], [0.4, 0.8]])
    new = 0.7 * rng.normal(size=(50, 2))
    map = monge.TransportMap(method, ridge=1e-6).fit(X, target=rng.permutation(X @ A + [2.0, 0.0]))
    np.testing.assert_allclose(map.transform(new), new @ A + [2.0, 0.0], atol=1e-4 if method == "affine" else 0.05)
    if method == "affine":
        np.testing.assert_allclose(map.coef_, A, atol=1e-4)
        np.testing.assert_allclose(map.inverse_transform(new @ A + [2.0, 0.0]), new, atol=1e-4)


@pytest.mark.parametrize("method", ["affine", "kernel"])
def test_regression_minimises_what_it_says(method):
    """The objective, written out for a plan and a map, by a general minimiser, for a problem of 4 x 4."""
    rng = np.random.default_rng(6)
    X, Y, weight, ridge = rng.normal(size=(4, 2)), rng.normal(size=(4, 2)), 0.2, 0.1
    options = {"plan_weight": weight, "ridge": ridge, "tol": 1e-3, "max_iter": 300, "threads": 1}
    map = monge.TransportMap(method, bandwidth=1.0, **options).fit(X, target=Y)
    assert (np.diff(map.objective_) <= 1e-12).all()
    C = ((X[:, None] - Y) ** 2).sum(axis=-1)
    K = np.exp(-0.5 * ((X[:, None] - X) ** 2).sum(axis=-1))
    centred = X - X.mean(axis=0)
    features = centred if method == "affine" else K
    penalty = np.eye(2) * (centred**2).mean() if method == "affine" else K

    def objective(v):
        P, t, W = v[:16].reshape(4, 4), v[16:18], v[18:].reshape(-1, 2)
        left = X + t + features @ W - 4.0 * P @ Y
        return (left**2).sum() / 4.0 + weight * (P * C).sum() + ridge * np.trace(W.T @ penalty @ W)

    size = 18 + 2 * features.shape[1]
    sums = np.zeros((8, size))
    for k in range(4):
        sums[k, 4 * k : 4 * k + 4] = sums[4 + k, k:16:4] = 1.0
    start = np.zeros(size)
    start[:16] = 1.0 / 16.0
    found = minimize(
        objective, start, method="SLSQP", bounds=[(0.0, 1.0)] * 16 + [(None, None)] * (size - 16),
        constraints={"type": "eq", "fun": lambda v: sums[:7] @ v - 0.25}, options={"maxiter": 1000, "ftol": 1e-12},
    )  # fmt: skip
    assert found.fun - 1e-7 <= map.objective_[-1] <= found.fun + map.gap_ + 1e-7
    assert map.gap_ < 5e-3
    assert map.objective_[0] > found.fun + 1e-3


def lasso_problem(n=24, m=18, seed=7):
    rng = np.random.default_rng(seed)
    X, Y, y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2)), np.sort(rng.integers(0, 3, n))
    return ((X[:, None] - Y) ** 2).sum(axis=-1), y


def test_group_lasso_is_optimal_and_pots():
    C, y = lasso_problem()
    n, m = C.shape
    a, b, eps, reg = np.full(n, 1 / n), np.full(m, 1 / m), 0.5, 0.3
    ours = group_lasso(C, a, b, y, eps, reg / np.sqrt(n), tol=1e-10, max_iter=500)
    P = ours.plan
    assert np.abs(P.sum(axis=0) - b).sum() + np.abs(P.sum(axis=1) - a).sum() < 1e-8
    assert ours.gap < 1e-10
    assert (np.diff(ours.objective) < 1e-9).all()
    # Where the objective is least among plans, its slope is f_i + g_j.
    slope = C + eps * np.log(P)
    for c in range(3):
        slope[y == c] += reg * P[y == c] / np.linalg.norm(P[y == c], axis=0)
    slope -= slope.mean(axis=0)
    np.testing.assert_allclose(slope, np.broadcast_to(slope.mean(axis=1)[:, None], slope.shape), atol=1e-5)

    def objective(P):  # as POT writes it
        norms = sum(np.linalg.norm(P[y == c], axis=0).sum() for c in range(3))
        return (P * C).sum() + eps * (P * np.log(P)).sum() + reg * norms

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it stops a little above
        theirs = ot.da.sinkhorn_l1l2_gl(a, y, b, C, eps, reg, numItermax=200)
    assert objective(P) <= objective(theirs) < objective(P) + 0.01
    np.testing.assert_allclose(P, theirs, atol=0.003)


def test_group_lasso_takes_few_matrices():
    rng = np.random.default_rng(12)
    X, Y = rng.normal(size=(700, 2)), rng.normal(size=(600, 2))
    map = monge.TransportMap("group", eps=1.0, threads=1)
    map.fit(X[:9], X[:9, 0] > 0.0, target=Y[:9])  # what is imported or compiled does not count
    tracemalloc.start()
    map.fit(X, X[:, 0] > 0.0, target=Y)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert map.n_iter_ > 1
    assert most < 6 * 8 * 700 * 600  # which is what is asked for before


@pytest.mark.parametrize(("method", "remedy"), [("group", "method='entropic'"), ("kernel", "method='affine'")])
def test_too_large_for_the_memory(method, remedy, monkeypatch):
    X = np.arange(40.0).reshape(20, 2)
    monkeypatch.setattr("monge.problem.arrays.available_memory", lambda: 4000)
    with pytest.raises(MemoryError, match=remedy):
        monge.TransportMap(method).fit(X, np.arange(20) % 2, target=X)


def test_group_lasso_has_the_known_limits():
    C, y = lasso_problem()
    rng = np.random.default_rng(8)
    a, b = rng.dirichlet(np.full(len(C), 5.0)), rng.dirichlet(np.full(C.shape[1], 5.0))
    without = group_lasso(C, a, b, y, 0.2, 0.0, tol=1e-8, max_iter=10).plan
    np.testing.assert_allclose(without, monge.sinkhorn(C, a, b, eps=0.2, tol=1e-9).plan.toarray(), atol=1e-7)
    # A large penalty sends each class as one, at its mean costs.
    masses = np.array([a[y == c].sum() for c in range(3)])
    costs = np.array([a[y == c] @ C[y == c] for c in range(3)]) / masses[:, None]
    T = monge.sinkhorn(costs, masses, b, eps=0.2, tol=1e-9).plan.toarray()
    large = group_lasso(C, a, b, y, 0.2, 1e4, tol=1e-2, max_iter=500).plan
    np.testing.assert_allclose(large, (a / masses[y])[:, None] * T[y], atol=1e-5)


def test_columns_become_pure():
    # Two classes of sources beside two blobs of targets, one of them nearer to both.
    rng = np.random.default_rng(9)
    X = np.concatenate([rng.normal(size=(20, 2)), rng.normal(size=(20, 2)) + np.array([2.0, 0.0])])
    C, y = ((X[:, None] - rng.normal(size=(30, 2)) * [2.0, 1.0] - [1.0, 0.0]) ** 2).sum(axis=-1), np.repeat([0, 1], 20)
    a, b = np.full(40, 1 / 40), np.full(30, 1 / 30)
    purity, norms = [], []
    for penalty in (0.0, 0.1, 0.5, 2.0):
        P = group_lasso(C, a, b, y, 0.05, penalty, tol=1e-5, max_iter=500).plan
        shares = np.array([P[y == c].sum(axis=0) for c in (0, 1)])
        purity.append(shares.max(axis=0).sum())
        norms.append(sum(np.linalg.norm(P[y == c], axis=0).sum() for c in (0, 1)))
    assert purity == sorted(purity)
    assert purity[0] < 0.93 < 0.98 < purity[-1]
    assert norms == sorted(norms, reverse=True)


def test_group_lasso_says_so_when_it_stops():
    rng = np.random.default_rng(10)
    X, Y, y = rng.normal(size=(40, 2)), rng.normal(size=(40, 2)) + 1.0, rng.integers(0, 2, 40)
    with pytest.warns(monge.ConvergenceWarning, match="Raise max_iter") as seen:
        map = monge.TransportMap("group", eps=0.02, penalty=1.0, max_iter=1).fit(X, y, target=Y)
    assert seen[0].filename == __file__
    assert map.gap_ > 0.01
    best = monge.TransportMap("group", eps=0.02, penalty=1.0, tol=1e-6).fit(X, y, target=Y)
    assert map.objective_[-1] - map.gap_ <= best.objective_[-1]
    with pytest.warns(monge.ConvergenceWarning, match="time_limit") as seen:
        monge.TransportMap("affine", plan_weight=1e-3, tol=1e-9, time_limit=0.05, max_iter=10**6).fit(X, target=Y)
    assert seen[-1].filename == __file__


def test_image_of_a_distance_is_a_median():
    # One source, whose mass goes to three places: for |x - y| not the mean, as POT has it.
    Y = np.array([[0.0, 0.0], [0.0, 1.0], [10.0, 0.0]])
    image = monge.TransportMap(cost="euclidean").fit([[5.0, 5.0]], target=Y).transform([[5.0, 5.0]])[0]

    def total(z):
        return np.linalg.norm(z - Y, axis=1).sum()

    assert total(image) < min(total(z) for z in image + 1e-4 * np.vstack([np.eye(2), -np.eye(2)]))
    # All sides are seen under 120 degrees from the Fermat point, which is inside.
    rays = (Y - image) / np.linalg.norm(Y - image, axis=1, keepdims=True)
    np.testing.assert_allclose([rays[0] @ rays[1], rays[1] @ rays[2]], -0.5, atol=1e-5)
    assert total(Y.mean(axis=0)) > total(image) + 1.0


@pytest.mark.parametrize("cost", ["sqeuclidean", "euclidean", "cityblock", ("euclidean", 1.5), ("euclidean", 3.0)])
def test_image_is_the_best_place_for_the_cost(cost):
    rng = np.random.default_rng(11)
    X, Y = rng.normal(size=(4, 2)), rng.normal(size=(9, 2))
    map = monge.TransportMap(cost=cost).fit(X, target=Y)
    images, P = map.transform(map.source_), map.plan_.toarray()
    options = {"xatol": 1e-9, "fatol": 1e-12}
    for image, row in zip(images, P, strict=True):

        def price(z, row=row):
            return row @ monge.PointCloud([z], map.target_, cost).block(slice(None))[0]

        found = minimize(price, image + 0.1, method="Nelder-Mead", options=options)
        assert price(image) <= found.fun + 1e-7


def test_new_points_move_with_the_nearest_source():
    map = monge.TransportMap().fit([[0.0], [10.0]], target=[[1.0], [30.0]])
    np.testing.assert_array_equal(map.transform([[-2.0], [4.0], [6.0], [12.0]]), [[-1.0], [5.0], [26.0], [32.0]])
    np.testing.assert_array_equal(map.inverse_transform([[1.5], [29.0]]), [[0.5], [9.0]])


def test_equal_points_have_one_image():
    X = np.array([[0.0], [0.0], [1.0], [1.0]])
    map = monge.TransportMap().fit(X, target=[[1.0], [2.0], [5.0], [6.0]])
    np.testing.assert_array_equal(map.transform(X), [[1.5], [1.5], [5.5], [5.5]])
    assert len(map.source_) == 2
