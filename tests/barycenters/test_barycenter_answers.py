"""Barycenters of a fixed support whose answers are known: formulas, peers, brute force; and bad input."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize

import monge

Array = NDArray[np.float64]


def normals(x: Array, means: Any, variances: Any) -> Array:
    H = np.array([np.exp(-((x - m) ** 2) / (2.0 * v)) for m, v in zip(means, variances, strict=True)])
    return np.asarray(H / H.sum(axis=1, keepdims=True))


def moments(a: Array, x: Array) -> tuple[float, float]:
    mean = float(a @ x) / a.sum()
    return mean, float(a @ (x - mean) ** 2) / a.sum()


class TestNormals:
    """Cost |x - y|^2: Janati, Cuturi and Gramfort 2020, section 4."""

    x = np.linspace(-14.0, 14.0, 225)
    means, variances, w = [-1.0, 0.5, 2.0], [0.5, 1.0, 2.0], np.array([0.2, 0.3, 0.5])

    def solve(self, eps: float, debias: bool, variances: Any = None, tol: float = 1e-9) -> tuple[float, float]:
        H = normals(self.x, self.means, variances or self.variances)
        found = monge.barycenter(
            H, monge.PointCloud(self.x, self.x), self.w, eps=eps, debias=debias, tol=tol, max_iter=3000
        )
        assert found.converged
        return moments(found.weights, self.x)

    @pytest.mark.parametrize("eps", [2.0, 0.4])
    def test_plain(self, eps: float) -> None:
        mean, variance = self.solve(eps, False)
        A = brentq(
            lambda A: (
                2 * A
                - eps / 2
                - sum(w * math.sqrt(4 * A * B + eps**2 / 4) for w, B in zip(self.w, self.variances, strict=True))
            ),
            1e-3,
            20.0,
        )
        assert mean == pytest.approx(self.w @ self.means, abs=1e-7)
        assert variance == pytest.approx(A, abs=1e-7)
        assert self.solve(eps, False, [1.5] * 3)[1] == pytest.approx(1.5 + eps / 2, abs=1e-7)

    @pytest.mark.parametrize("eps", [2.0, 0.4])
    def test_debiased(self, eps: float) -> None:
        mean, variance = self.solve(eps, True)
        A = brentq(
            lambda A: (
                sum(w * math.sqrt(16 * A * B + eps**2) for w, B in zip(self.w, self.variances, strict=True))
                - math.sqrt(16 * A * A + eps**2)
            ),
            1e-3,
            20.0,
        )
        assert mean == pytest.approx(self.w @ self.means, abs=1e-6)
        assert variance == pytest.approx(A, abs=1e-5)


def test_debiased_barycenter_of_one_measure_is_that_measure() -> None:
    rng = np.random.default_rng(0)
    a = rng.random(20) + 0.1
    a /= a.sum()
    cost = monge.Grid((4, 5))
    found = monge.barycenter([a], cost, eps=0.5, debias=True, tol=1e-10, max_iter=5000)
    np.testing.assert_allclose(found.weights, a, atol=1e-8)
    assert abs(found.value) < 1e-9
    for name in ("lower_bound", "gap"):
        with pytest.raises(TypeError, match="marginal_error"):
            getattr(found, name)
    assert "debiased" in repr(found)
    corner = monge.barycenter([a, a[::-1], np.full(20, 0.05)], cost, [0, 1, 0], eps=0.5, debias=True, tol=1e-9)
    np.testing.assert_allclose(corner.weights, a[::-1], atol=1e-7)
    # Those of weight zero have no part in it, but their own problems are solved, too.
    divergences = [monge.sinkhorn_divergence(cost=cost, a=b, b=a[::-1], eps=0.5, tol=1e-9).value for b in (a, a[::-1])]
    np.testing.assert_allclose(corner.grad_weights[:2], divergences, atol=1e-7)


def test_one_histogram_under_a_penalty_and_its_limits() -> None:
    x = np.linspace(0.0, 1.0, 12)
    C = (x[:, None] - x) ** 2
    H = normals(x, [0.2, 0.7], [0.01, 0.02]) * [[1.0], [1.0]]
    options = {"eps": 0.05, "tol": 1e-9, "max_iter": 20_000}
    fixed = monge.barycenter(H, C, **options)
    near = monge.barycenter(H, C, marginals=monge.KL(1e4), **options)
    np.testing.assert_allclose(near.weights, fixed.weights, atol=1e-4)
    # Next to free masses: each plan is next to exp(-C / eps), the least of KL(P | exp(-C / eps)).
    free = monge.barycenter(H, C, marginals=monge.KL(1e-9), **options)
    np.testing.assert_allclose(free.weights, np.exp(-C / 0.05).sum(axis=0), rtol=1e-6)
    # One histogram: its second marginal is free, so it is the one-sided problem, P = diag(u) K with u from a formula.
    rho, K = 0.3, np.exp(-C / 0.05)
    one = monge.barycenter(H[:1], C, marginals=monge.KL(rho), **options)
    u = (H[0] / K.sum(axis=1)) ** (rho / (rho + 0.05))
    np.testing.assert_allclose(one.weights, K.T @ u, rtol=1e-8)
    # Of other totals, and convex: the mean of two histograms has no larger value than the mean of the values.
    two = H * [[1.0], [3.0]]
    value = monge.barycenter(two, C, marginals=monge.KL(rho), **options).value
    other = two[::-1].copy()
    assert monge.barycenter(0.5 * (two + other), C, marginals=monge.KL(rho), **options).value <= value + 1e-9


def test_the_dual_by_brute_force() -> None:
    rng = np.random.default_rng(0)
    k, n, m, eps = 3, 4, 3, 0.2
    H, C, w = rng.random((k, n)), rng.random((n, m)), np.array([0.2, 0.5, 0.3])
    H /= H.sum(axis=1, keepdims=True)

    def negative(z: Array) -> float:
        f, g = z[: k * n].reshape(k, n), z[k * n :].reshape(k, m)
        g = g - w @ g
        P = np.exp((f[:, :, None] + g[:, None, :] - C) / eps)
        return -float(w @ ((f * H).sum(1) - eps * P.sum((1, 2)) + eps * np.exp(-C / eps).sum()))

    brute = minimize(negative, np.zeros(k * (n + m)), method="BFGS", options={"gtol": 1e-7})
    assert monge.barycenter(H, C, w, eps=eps, tol=1e-9).value == pytest.approx(-brute.fun, abs=1e-8)


def test_as_pot_for_equal_weights() -> None:
    ot = pytest.importorskip("ot", reason="the tests' peer")
    rng = np.random.default_rng(1)
    H = rng.random((4, 15))
    H /= H.sum(axis=1, keepdims=True)
    x = rng.random((15, 2))
    C = ((x[:, None] - x) ** 2).sum(-1)
    theirs = ot.bregman.barycenter(H.T, C, 0.05, stopThr=1e-13, numItermax=10_000)
    found = monge.barycenter(H, C, eps=0.05, tol=1e-10)
    np.testing.assert_allclose(found.weights, theirs / theirs.sum(), atol=1e-8)


def test_a_gap_of_any_cost() -> None:
    rng = np.random.default_rng(7)
    x = rng.random((9, 2))
    user = monge.PointCloud(x, x, lambda a, b: abs(a[0] - b[0]))
    H = rng.random((2, 9))
    found = monge.barycenter(H / H.sum(axis=1, keepdims=True), user, eps=0.1)
    assert 0.0 <= found.gap < 1e-3
    # Of single places, whose plans leave nothing to spread.
    for eps in (1.0, 1e-3):
        assert 0.0 <= monge.barycenter(np.eye(9)[[0, 5]], monge.PointCloud(x, x), eps=eps).gap < 1e-9


def test_mirrored_images_have_a_mirrored_barycenter() -> None:
    rng = np.random.default_rng(2)
    images = rng.random((3, 6, 8)) ** 4
    images /= images.sum(axis=(1, 2), keepdims=True)
    w = np.array([0.5, 0.2, 0.3])
    grid = monge.Grid((6, 8))
    here, there = (
        monge.barycenter(np.ascontiguousarray(X).reshape(3, -1), grid, w, eps=1.0, tol=1e-10).weights.reshape(6, 8)
        for X in (images, images[:, :, ::-1])
    )
    np.testing.assert_allclose(there, here[:, ::-1], atol=1e-9)
    # Grid, points and matrix are one problem.
    places = np.indices((6, 8)).reshape(2, -1).T.astype(float)
    for cost in (monge.PointCloud(places, places), grid.block(slice(None))):
        found = monge.barycenter(images.reshape(3, -1), cost, w, eps=1.0, tol=1e-10)
        np.testing.assert_allclose(found.weights, here.reshape(-1), atol=1e-9)


def test_debiased_between_two_places_has_its_mass_and_sharpens_with_tol() -> None:
    x = np.linspace(0.0, 1.0, 51)
    H = np.zeros((2, 51))
    H[0, 10] = H[1, 40] = 1.0
    spread = []
    for tol in (1e-4, 1e-6):
        found = monge.barycenter(H, (x[:, None] - x) ** 2, eps=1e-2, debias=True, tol=tol)
        assert found.converged
        assert abs(found.weights.sum() - 1.0) < 1e-6
        mean, variance = moments(found.weights, x)
        assert mean == pytest.approx(0.5, abs=1e-9)
        spread.append(math.sqrt(variance))
    assert spread[1] <= spread[0] < 0.004  # POT stops at 0.0103 with mass 0.976, for any number of iterations
    with pytest.warns(monge.ConvergenceWarning, match="boundary"):
        early = monge.barycenter(H, (x[:, None] - x) ** 2, eps=1e-2, debias=True, tol=1e-5, max_iter=20)
    assert early.status is monge.Status.MAX_ITER
    assert early.iterations == 20
    assert early.marginal_error > 1e-5


def test_without_entropy() -> None:
    rng = np.random.default_rng(3)
    H = rng.random((3, 9))
    H /= H.sum(axis=1, keepdims=True)
    cost, w = monge.Grid((3, 3)), np.array([0.2, 0.3, 0.5])
    exact = monge.barycenter(H, cost, w, eps=None)
    assert exact.status is monge.Status.OPTIMAL
    assert exact.converged
    assert exact.eps is None
    assert exact.gap < 1e-9
    each = np.array([monge.emd(cost, a, exact.weights).value for a in H])
    assert exact.value == pytest.approx(w @ each, abs=1e-10)
    np.testing.assert_allclose(exact.grad_weights, each, atol=1e-8)
    plans = [exact.plan(k) for k in range(3)]
    np.testing.assert_allclose([P.sum(axis=1) for P in plans], H, atol=1e-12)
    np.testing.assert_allclose([P.sum(axis=0) for P in plans], [exact.weights] * 3, atol=1e-12)
    # The smaller eps, the closer its plans' cost; and it is the least.
    C = cost.block(slice(None))
    blurred = [monge.barycenter(H, cost, w, eps=eps, tol=1e-7) for eps in (0.3, 0.03)]
    costs = [sum(wk * (b.plan(k).toarray() * C).sum() for k, wk in enumerate(w)) for b in blurred]
    assert exact.value < costs[1] < costs[0]
    assert costs[1] - exact.value < 0.02
    for options in ({"debias": True}, {"marginals": monge.KL(1.0)}):
        with pytest.raises(ValueError, match="exact barycenter of histograms of one total"):
            monge.barycenter(H, cost, eps=None, **options)


def test_forbidden_arcs() -> None:
    rng = np.random.default_rng(4)
    C = rng.random((5, 5))
    H = rng.random((2, 5)) + 0.2
    H /= H.sum(axis=1, keepdims=True)
    barred = C.copy()
    barred[0, 1:] = np.inf  # only to the first place
    barred[3, :2] = np.inf
    found = monge.barycenter(H, barred, eps=0.2, tol=1e-9)
    dear = monge.barycenter(H, np.where(np.isinf(barred), 60.0, C), eps=0.2, tol=1e-9)
    np.testing.assert_allclose(found.weights, dear.weights, atol=1e-7)
    assert found.lower_bound == pytest.approx(found.value, abs=1e-8)
    # A place of the barycenter that one of the two cannot reach has nothing.
    barred = C.copy()
    barred[:, 2] = np.inf
    found = monge.barycenter(H, barred, eps=0.2, tol=1e-9)
    assert found.weights[2] == 0.0
    assert found.weights.sum() == pytest.approx(1.0)
    rest = monge.barycenter(H, np.delete(C, 2, 1), eps=0.2, tol=1e-9)
    np.testing.assert_allclose(np.delete(found.weights, 2), rest.weights, atol=1e-8)
    barred = C.copy()
    barred[1] = np.inf
    with pytest.raises(monge.InfeasibleError, match="place 1"):
        monge.barycenter(H, barred, eps=0.2)
    assert monge.barycenter(H, barred, eps=0.2, marginals=monge.KL(1.0)).converged
    # Two halves that do not meet, with other masses in each.
    halves = np.full((4, 4), np.inf)
    halves[:2, :2] = halves[2:, 2:] = 0.0
    with pytest.raises(monge.InfeasibleError, match="forbidden"):
        monge.barycenter([[0.3, 0.3, 0.2, 0.2], [0.2, 0.2, 0.3, 0.3]], halves, eps=0.2, max_iter=50)


@pytest.mark.parametrize("size", [1e-200, 1e-3, 1e3, 1e30])
def test_totals_of_any_size(size: float) -> None:
    rng = np.random.default_rng(5)
    H = rng.random((3, 6))
    H /= H.sum(axis=1, keepdims=True)
    C = rng.random((6, 6))
    C = C + C.T
    for options in ({}, {"debias": True, "max_iter": 20_000}):
        one = monge.barycenter(H, C, eps=0.3, tol=1e-6, **options)
        found = monge.barycenter(size * H, C, eps=0.3, tol=1e-6, **options)
        np.testing.assert_allclose(found.weights / size, one.weights, atol=1e-4)
        assert found.converged


def test_any_array_will_do() -> None:
    H = np.array([[1, 2, 1, 0], [0, 1, 1, 2]])
    C = np.array([[0, 1, 2, 3], [1, 0, 1, 2], [2, 1, 0, 1], [3, 2, 1, 0]])
    wanted = monge.barycenter(H.astype(float), C.astype(float), eps=0.5).weights
    read_only = np.asfortranarray(H.astype(">f8"))
    read_only.setflags(write=False)
    for histograms in (H, H.tolist(), read_only, H.astype(np.float16), np.repeat(H, 2, axis=0)[::2]):
        np.testing.assert_array_equal(monge.barycenter(histograms, C, eps=0.5).weights, wanted)
    single = monge.barycenter([[1.0]], [[2.0]], eps=0.5)
    assert single.weights[0] == 1.0
    assert single.value == pytest.approx(2.0 - 0.5 + 0.5 * math.exp(-4.0), abs=1e-12)


def test_tensors_in_tensors_out() -> None:
    torch = pytest.importorskip("torch", reason="the extra torch")
    H = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]])
    found = monge.barycenter(H, monge.Grid(3), eps=0.5)
    assert isinstance(found.weights, torch.Tensor)
    assert found.weights.dtype == torch.float32
    assert found.f.shape == (2, 3)
    assert isinstance(found.grad_weights, torch.Tensor)
    assert isinstance(found.value, float)
    assert isinstance(found.plan(1).sum(axis=0), torch.Tensor)
    assert monge.barycenter(H, monge.Grid(3), eps=0.5, init=found).iterations <= 2


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 6), st.integers(1, 5))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_what_holds_for_any_problem(seed: int, k: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    H = rng.random((k, n)) * (rng.random((k, n)) < 0.7)
    H[:, rng.integers(n)] += 0.1
    H /= H.sum(axis=1, keepdims=True)
    w = rng.random(k) * (rng.random(k) < 0.8)
    w = w / w.sum() if w.any() else np.full(k, 1.0 / k)
    C = rng.normal(size=(n, m))
    found = monge.barycenter(H, C, w, eps=0.3, tol=1e-7)
    assert found.converged
    assert found.weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert found.lower_bound - 1e-9 <= found.value <= found.lower_bound + found.gap + 1e-9
    # Costs that are moved by a constant for each place of the histograms have the same barycenter.
    moved = monge.barycenter(H, C + rng.normal(size=(n, 1)), w, eps=0.3, tol=1e-7)
    np.testing.assert_allclose(moved.weights, found.weights, atol=1e-5)
    # Twice the mass, in the same proportions.
    scaled = monge.barycenter(2.0 * H, C, w, eps=0.3, tol=1e-7)
    np.testing.assert_allclose(scaled.weights, 2.0 * found.weights, atol=1e-5)


H = np.array([[0.5, 0.5], [0.25, 0.75]])
C = np.array([[0.0, 1.0], [1.0, 0.0]])


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"histograms": np.empty((0, 2))}, ValueError, "at least one"),
        ({"histograms": np.ones((2, 3)) / 3}, ValueError, r"\(k, 2\)"),
        ({"histograms": [0.5, 0.5]}, ValueError, "reshape"),
        ({"histograms": [[0.5, -0.5], [0.5, 0.5]]}, ValueError, "not negative"),
        ({"histograms": [[0.5, 0.5], [1.0, 1.0]]}, ValueError, "marginals=monge.KL"),
        ({"histograms": [[0.0, 0.0], [1.0, 1.0]]}, ValueError, "Leave it out"),
        ({"histograms": [["a", "b"]]}, TypeError, "histograms"),
        ({"weights": [0.5, 0.6]}, ValueError, "sum to one"),
        ({"weights": [1.5, -0.5]}, ValueError, "not negative"),
        ({"weights": [1.0]}, ValueError, "one per measure"),
        ({"eps": 0.0}, ValueError, "eps"),
        ({"eps": -1.0}, ValueError, "eps"),
        ({"eps": math.nan}, ValueError, "eps"),
        ({"eps": 1e-20}, ValueError, "eps=None"),
        ({"tol": 0.0}, ValueError, "tol"),
        ({"max_iter": 0}, ValueError, "max_iter"),
        ({"time_limit": -1.0}, ValueError, "time_limit"),
        ({"cost": [[0.0, math.nan], [1.0, 0.0]]}, ValueError, "NaN"),
        ({"cost": [[0.0, 1.0, 2.0], [1.0, 0.0, 2.0]], "debias": True}, ValueError, "leave out debias"),
        ({"cost": [[0.0, 1.0], [2.0, 0.0]], "debias": True}, ValueError, "leave out debias"),
        ({"debias": True, "marginals": monge.KL(1.0)}, ValueError, "Leave out one"),
        ({"marginals": monge.TV(1.0)}, ValueError, r"marginals=\(monge.TV"),
        ({"marginals": 1.0}, TypeError, "monge.KL"),
        ({"init": 3}, TypeError, "init"),
        ({"init": monge.barycenter(H[:1], C, eps=1.0)}, ValueError, "init"),
    ],
)
def test_bad_input(change: dict[str, Any], error: type[Exception], text: str) -> None:
    given: dict[str, Any] = {"histograms": H, "cost": C, "eps": 0.5, **change}
    with pytest.raises(error, match=text):
        monge.barycenter(**given)


def test_stopping_early_says_so() -> None:
    rng = np.random.default_rng(6)
    H = rng.random((3, 30)) ** 8
    H /= H.sum(axis=1, keepdims=True)
    with pytest.warns(monge.ConvergenceWarning, match="time_limit"):
        found = monge.barycenter(H, monge.Grid(30), eps=0.05, tol=1e-12, time_limit=0.0)
    assert found.status is monge.Status.OUT_OF_TIME
    off = sum(np.abs(found.plan(k).sum(axis=0) - found.weights).sum() for k in range(3)) / 3
    assert found.marginal_error == pytest.approx(off, rel=1e-6)
    with pytest.warns(monge.ConvergenceWarning, match="max_iter"):
        some = monge.barycenter(H, monge.Grid(30), eps=0.05, tol=1e-12, max_iter=30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", monge.ConvergenceWarning)
        more = monge.barycenter(H, monge.Grid(30), eps=0.05, tol=1e-12, max_iter=30, init=some)
    assert more.marginal_error < some.marginal_error < found.marginal_error
    assert found.lower_bound <= some.lower_bound + 1e-12


@pytest.mark.parametrize("other", ["order", "weights", "eps", "plain", "same"])
def test_a_debiased_answer_does_not_depend_on_where_it_starts(other: str) -> None:
    y, x = (np.mgrid[:20, :20] + 0.5) / 20 - 0.5
    images = np.array([(x**2 + y**2 < 0.1).ravel(), (abs(x) + abs(y) < 0.35).ravel(), (abs(x) < 0.1).ravel()]) + 1e-4
    images /= images.sum(axis=1, keepdims=True)
    grid, options = monge.Grid((20, 20), spacing=0.05), {"eps": 4e-3, "debias": True, "tol": 1e-4}
    alone = monge.barycenter(images, grid, **options)
    first = {
        "order": lambda: monge.barycenter(images[::-1], grid, **options),
        "weights": lambda: monge.barycenter(images, grid, [0.9, 0.1, 0.0], **options),
        "eps": lambda: monge.barycenter(images, grid, **{**options, "eps": 0.02}),
        "plain": lambda: monge.barycenter(images, grid, eps=4e-3),
        "same": lambda: alone,
    }[other]()
    found = monge.barycenter(images, grid, init=first, **options)
    assert alone.converged
    assert found.converged
    np.testing.assert_allclose(found.weights, alone.weights, atol=1e-4)
    assert np.abs(found.weights - alone.weights).sum() < 0.01
    if other == "same":
        assert found.iterations <= 3


def test_sharp_edges_converge_in_some_hundred_passes_and_the_best_pass_is_returned() -> None:
    y, x = (np.mgrid[:32, :32] + 0.5) / 32 - 0.5
    images = np.array([(x**2 + y**2 < 0.09).ravel(), (np.maximum(abs(x), abs(y)) < 0.2).ravel()]) / 1.0
    images /= images.sum(axis=1, keepdims=True)
    grid = monge.Grid((32, 32), spacing=1 / 31)
    assert monge.barycenter(images, grid, eps=2e-3, debias=True, max_iter=200).converged
    for passes in (30, 40, 50):
        with pytest.warns(monge.ConvergenceWarning, match=f"max_iter = {passes} passes ran out"):
            found = monge.barycenter(images, grid, eps=2e-3, debias=True, tol=1e-9, max_iter=passes)
        assert found.marginal_error <= found.stats["errors"][-10:].min()
        assert found.marginal_error == pytest.approx(
            np.abs(np.exp(found._log_d + found._kernel.log_sum(found._log_d[None])[0]) - found.weights).sum(), rel=0.5
        )


@pytest.mark.parametrize("far", [2e3, np.nan])
def test_a_mass_that_overflows_is_an_infinite_error(far: float) -> None:
    from monge.barycenters.fixed.problem import Problem
    from monge.barycenters.fixed.steps import steps_of
    from monge.entropic.kernels.threads import Threads
    from monge.problem.costs import as_cost

    problem = Problem(np.ones((2, 3)), as_cost(monge.Grid(3)), None, monge.KL(1.0), False)
    v = np.array([[-4e3, -4e3, -4e3 + far], [0.0, 0.0, far]])
    with Threads(1) as pool:
        found = steps_of(problem, problem.kernel(1.0, pool), 1.0, v).run()
    assert found.error == np.inf
