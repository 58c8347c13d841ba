"""`monge.sinkhorn` on a device, of a few points: held against NumPy in double precision, and against the CPU.

Potentials are not compared, and values only as far as the certificates of both say.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cases import USER_COSTS, ground_costs
from numpy.typing import NDArray

import monge
from monge.entropic import gpu
from monge.entropic.marginals import KL, TV

Array = NDArray[np.float64]

# By how much an error may differ that single precision has measured: by the rounding of exponents, some 20 in size.
SINGLE = 2e-5


@pytest.fixture(autouse=True)
def _no_solvers_are_kept_from_before() -> Iterator[None]:
    gpu._solvers.kept.clear()
    yield
    gpu._solvers.kept.clear()


def cloud(cost: Any = "sqeuclidean", d: int = 2, n: int = 7, m: int = 6, seed: int = 0) -> tuple[Any, Array]:
    """Points, and the costs between them as NumPy has them."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 1.0
    return monge.PointCloud(x, y, cost), ground_costs(x, y, cost)


def weights(n: int, m: int) -> tuple[Array, Array]:
    """One of them zero on each side."""
    rng = np.random.default_rng(5)
    a, b = rng.dirichlet(np.full(n, 5.0)), rng.dirichlet(np.full(m, 5.0))
    a[2], b[1] = 0.0, 0.0
    return a / a.sum(), b / b.sum()


def plan_of(t: monge.Transport, C: Array, a: Array, b: Array) -> Array:
    return np.asarray(a[:, np.newaxis] * b * np.exp((t.f[:, np.newaxis] + t.g - C) / t.eps))


def missed(sums: Array, weights: Array, potential: Array, side: Any) -> float:
    """How far the sums of the plan are from those that a side asks for."""
    if isinstance(side, KL):
        return float(np.abs(sums - weights * np.exp(-potential / side.kl)).sum())
    off = sums - weights
    if isinstance(side, TV):  # at a bound, mass may be missing or be too much
        at = 1.0 - 1e-12
        off = np.where(potential >= at * side.cap, np.maximum(off, 0.0), off)
        off = np.where(potential <= -at * side.cap, np.minimum(off, 0.0), off)
    return float(np.abs(off).sum())


def check(t: Any, C: Array, a: Array, b: Array, tol: float, marginals: Any = None, measured: float = SINGLE) -> Array:
    """What an answer promises. Its plan, from its potentials by NumPy."""
    assert t.status is monge.Status.CONVERGED
    assert np.isfinite(t.f).all()
    assert np.isfinite(t.g).all()
    P = plan_of(t, C, a, b)
    one, other = marginals if isinstance(marginals, tuple) else (marginals, marginals)
    error = (missed(P.sum(axis=1), a, t.f, one) + missed(P.sum(axis=0), b, t.g, other)) / P.sum()
    assert error <= tol
    assert t.stats["error"] == pytest.approx(error, rel=0, abs=measured)
    rounding = 1e-15 * (np.abs(C[np.isfinite(C)]).max() + np.abs(t.f).max() + np.abs(t.g).max()) / t.eps  # of exponents
    assert t.marginal_error == pytest.approx(error, rel=0, abs=rounding)
    assert len(t.stats["errors"]) == t.iterations
    used = P > 0.0
    assert t.cost == pytest.approx((P[used] * C[used]).sum(), rel=rounding)
    return P


def same_value(t: Any, c: Any) -> None:
    """Both are below the optimum by no more than their gaps, but for what single precision makes of the device's."""
    assert t.gap >= -1e-12 * abs(t.value)
    assert abs(t.value - c.value) <= max(t.gap, c.gap) + 1e-6 * abs(c.value)


MARGINALS = {"balanced": None, "KL": KL(0.8), "TV": TV(1.0), "a pair": (None, KL(0.5))}


@pytest.mark.parametrize("name", MARGINALS)
def test_marginals(name: str) -> None:
    marginals = MARGINALS[name]
    (cost, C), (a, b) = cloud(), weights(7, 6)
    options = {"eps": 0.1 * C.mean(), "tol": 1e-2, "marginals": marginals}
    t, c = monge.sinkhorn(cost, a, b, device="cuda", **options), monge.sinkhorn(cost, a, b, **options)
    check(t, C, a, b, 1e-2, marginals)
    same_value(t, c)
    if name == "TV":
        assert (np.abs(t.f) == 1.0).any() or (np.abs(t.g) == 1.0).any()


@pytest.mark.parametrize(
    ("cost", "d", "tol"), [("sqeuclidean", 3, 1e-3), ("cityblock", 9, 1e-3), ("sqeuclidean", 2, 1e-7)]
)
def test_tolerances(cost: Any, d: int, tol: float) -> None:
    of_points, C = cloud(cost, d, 5, 4)
    a, b = np.full(5, 1 / 5), np.full(4, 1 / 4)
    options = {"eps": 0.2 * C.mean(), "tol": tol}
    t, c = monge.sinkhorn(of_points, device="cuda", **options), monge.sinkhorn(of_points, **options)
    check(t, C, a, b, tol, measured=SINGLE if tol > 1e-6 else 1e-12)
    same_value(t, c)
    if tol < 1e-6:  # the value is off by the square of the error
        assert t.value == pytest.approx(c.value, rel=1e-12)


@pytest.mark.parametrize("kind", ["float32", "forbidden"])
def test_matrices(kind: str) -> None:
    C = cloud()[1]
    a, b = weights(7, 6)
    if kind == "forbidden":
        C[np.random.default_rng(1).random(C.shape) < 0.2] = np.inf
        C[2] = np.inf  # from where nothing is to be sent
    else:
        C = C.astype(np.float32)
    eps = 0.2 * C[np.isfinite(C)].mean()
    t, c = (monge.sinkhorn(C, a, b, eps=eps, tol=1e-2, device=device) for device in ("cuda", None))
    P = check(t, C.astype(np.float64), a, b, 1e-2)
    same_value(t, c)
    np.testing.assert_allclose(t.plan.toarray(), P, rtol=1e-12, atol=1e-300)


def test_what_is_asked_of_the_result() -> None:
    cost, C = cloud("euclidean")
    x, y, (a, b) = cost.x, cost.y, weights(7, 6)
    eps = 0.1 * C.mean()
    t = monge.sinkhorn(cost, a, b, eps=eps, tol=1e-2, device="cuda")
    P = check(t, C, a, b, 1e-2)
    v = np.random.default_rng(1).normal(size=(6, 3))
    np.testing.assert_allclose(t.plan @ v, P @ v, rtol=0, atol=1e-13)
    np.testing.assert_allclose(t.plan.T @ t.f, P.T @ t.f, rtol=0, atol=1e-13)
    np.testing.assert_allclose(t.plan.toarray(), P, rtol=1e-12)
    kept = a > 0.0
    np.testing.assert_allclose(t.map(y)[kept], (P @ y)[kept] / P.sum(axis=1)[kept, np.newaxis], rtol=0, atol=1e-12)
    assert np.isnan(t.map(y)[~kept]).all()
    directions = (x[:, np.newaxis] - y) / C[:, :, np.newaxis]
    np.testing.assert_allclose(t.grad_x, np.einsum("ij,ijk->ik", P, directions), rtol=0, atol=1e-13)
    np.testing.assert_allclose(t.grad_y, -np.einsum("ij,ijk->jk", P, directions), rtol=0, atol=1e-13)
    dual = a @ t.f + b @ t.g + eps * (1.0 - P.sum())
    assert t.value == pytest.approx(dual, rel=1e-6)  # as single precision has measured it
    # The gap is one to the dual value, of a plan that is feasible.
    rounded = t.rounded().plan.toarray()
    np.testing.assert_allclose(rounded.sum(axis=1), a, rtol=0, atol=1e-15)
    np.testing.assert_allclose(rounded.sum(axis=0), b, rtol=0, atol=1e-15)
    used = rounded > 0.0
    entropy = (rounded[used] * np.log(rounded[used] / np.multiply.outer(a, b)[used])).sum()
    assert t.gap == pytest.approx((rounded * C).sum() + eps * entropy - t.value, rel=0, abs=1e-12)


def test_the_same_call_gives_the_same_bits() -> None:
    # The second one in the arrays of the first, and the third in new ones.
    cost, C = cloud(d=3, n=6, m=5)
    other = cloud(d=3, n=6, m=5, seed=1)[0]
    found = []
    for turn in range(3):
        found.append(monge.sinkhorn(cost, eps=0.2 * C.mean(), tol=1e-2, device="cuda"))
        if turn == 0:
            monge.sinkhorn(other, eps=0.4 * C.mean(), tol=1e-2, device="cuda")
            assert gpu._solvers.kept
        else:
            gpu._solvers.kept.clear()
    for t in found[1:]:
        np.testing.assert_array_equal(t.f, found[0].f)
        np.testing.assert_array_equal(t.g, found[0].g)
        assert (t.value, t.iterations) == (found[0].value, found[0].iterations)


def test_passes_that_run_out() -> None:
    cost, C = cloud(n=6, m=5)
    options = {"eps": 0.02 * C.mean(), "tol": 1e-6, "max_iter": 4}
    texts = []
    for device in ("cuda", None):
        with pytest.warns(monge.ConvergenceWarning, match="marginal error") as caught:
            t = monge.sinkhorn(cost, device=device, **options)
        assert t.status is monge.Status.MAX_ITER
        assert t.iterations == len(t.stats["errors"]) == 4
        assert t.stats["error"] > 1e-6
        # The errors are those of this run; the text but for them is the same.
        texts.append([str(one.message).partition("(marginal error")[0] for one in caught])
        if device == "cuda":
            P = plan_of(t, C, np.full(6, 1 / 6), np.full(5, 1 / 5))
            error = np.abs(P.sum(axis=0) - 1 / 5).sum() / P.sum()
            assert t.stats["error"] == pytest.approx(error, rel=0, abs=SINGLE)
    assert texts[0] == texts[1]


def test_starts() -> None:
    cost, C = cloud(n=6, m=5)
    options = {"eps": 0.05 * C.mean(), "tol": 1e-3}
    a, b = np.full(6, 1 / 6), np.full(5, 1 / 5)
    t, c = monge.sinkhorn(cost, device="cuda", **options), monge.sinkhorn(cost, **options)
    for start in (t, c, (c.f, c.g)):
        again = monge.sinkhorn(cost, init=start, device="cuda", **options)
        check(again, C, a, b, 1e-3)
        assert again.iterations <= 4 < t.iterations
    assert monge.sinkhorn(cost, init=t, **options).iterations <= 4  # and the other way


def test_a_users_cost_that_is_not_symmetric() -> None:
    function, slopes, costs, d = USER_COSTS["uphill"]
    rng = np.random.default_rng(0)
    x, y, (a, b) = rng.normal(size=(7, d)), rng.normal(size=(6, d)), weights(7, 6)
    C = costs(x, y)
    cost = monge.PointCloud(x, y, monge.GroundCost(function, slopes))
    options = {"eps": 0.1 * C.mean(), "tol": 1e-2}
    t, c = monge.sinkhorn(cost, a, b, device="cuda", **options), monge.sinkhorn(cost, a, b, **options)
    P = check(t, C, a, b, 1e-2)
    same_value(t, c)
    right = np.zeros_like(x)
    for i in range(7):
        for j in range(6):
            slope = np.zeros(d)
            slopes[0](x[i], y[j], slope)
            right[i] += P[i, j] * slope
    np.testing.assert_allclose(t.grad_x, right, rtol=0, atol=1e-13)


@pytest.mark.parametrize("share", [1e-4, 1e-7])
def test_a_tiny_eps(share: float) -> None:
    cost, C = cloud(n=4, m=3)
    a, b = np.full(4, 1 / 4), np.full(3, 1 / 3)
    t = monge.sinkhorn(cost, eps=share * C.mean(), tol=1e-2, device="cuda")
    check(t, C, a, b, 1e-2, measured=1e-2)  # costs over eps are as large as single precision has digits, and more
    exact = monge.emd(cost).value
    assert abs(t.value - exact) <= t.eps * np.log(12.0) + 1e-2 * C.max()


def test_from_coarse_to_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_COARSE_FROM", 1)
    monkeypatch.setattr(gpu, "_FEW", 4)
    (cost, C), (a, b) = cloud(n=11, m=9), weights(11, 9)
    options = {"eps": 0.05 * C.mean(), "tol": 1e-2}
    t, c = monge.sinkhorn(cost, a, b, device="cuda", **options), monge.sinkhorn(cost, a, b, **options)
    assert t.stats["coarse_passes"] > 0
    check(t, C, a, b, 1e-2)
    same_value(t, c)
    # Fewer pairs than if all passes had been at the finest level, which has the points with weight.
    finest = 10 * 8
    assert t.iterations * finest < t.stats["pairs"] < (t.iterations + t.stats["coarse_passes"]) * finest


class TestBatches:
    def test_clouds_of_different_sizes(self) -> None:
        made = [cloud(n=n, m=m, seed=n) for n, m in ((3, 5), (4, 4), (1, 3))]
        for marginals, some in ((None, made), (KL(1.0), made[:2])):
            options = {"eps": 1.5, "tol": 1e-2, "marginals": marginals}
            found = monge.sinkhorn([cost for cost, _ in some], device="cuda", **options)
            for t, (cost, C) in zip(found, some, strict=True):
                n, m = C.shape
                check(t, C, np.full(n, 1 / n), np.full(m, 1 / m), 1e-2, marginals)
                same_value(t, monge.sinkhorn(cost, **options))

    def test_matrices_and_weights(self) -> None:
        rng = np.random.default_rng(0)
        C, a, b = rng.random((2, 5, 6)), rng.dirichlet(np.ones(5), 2), rng.dirichlet(np.ones(6), 2)
        a[0, 2], b[1, 3] = 0.0, 0.0
        a, b = a / a.sum(axis=1, keepdims=True), b / b.sum(axis=1, keepdims=True)
        found = monge.sinkhorn(C, a, b, eps=0.1, tol=1e-3, device="cuda")
        for k, t in enumerate(found):
            check(t, C[k], a[k], b[k], 1e-3)
            same_value(t, monge.sinkhorn(C[k], a[k], b[k], eps=0.1, tol=1e-3))

    def test_the_double_precision_of_a_tolerance(self) -> None:
        C = np.random.default_rng(0).random((2, 4, 4))
        even = np.full(4, 0.25)
        for t, one in zip(monge.sinkhorn(C, eps=0.2, tol=1e-8, device="cuda"), C, strict=True):
            check(t, one, even, even, 1e-8, measured=1e-12)

    def test_passes_that_run_out(self) -> None:
        C = np.random.default_rng(0).random((2, 4, 5))
        with pytest.warns(monge.ConvergenceWarning, match="2 of 2 problems"):
            found = monge.sinkhorn(C, eps=0.01, tol=1e-8, max_iter=3, device="cuda")
        assert [t.status for t in found] == [monge.Status.MAX_ITER] * 2
        assert [t.iterations for t in found] == [3, 3]

    def test_kinds_that_differ(self) -> None:
        (x, C), (z, D) = cloud(n=4, m=4), cloud("euclidean", n=4, m=3)
        even = np.full(4, 0.25)
        first, second, third = monge.sinkhorn([x, C, z], eps=0.3, tol=1e-2, device="cuda")
        check(first, C, even, even, 1e-2)
        check(second, C, even, even, 1e-2)
        check(third, D, even, np.full(3, 1 / 3), 1e-2)


@pytest.mark.gpu
class TestManyPoints:
    """On a GPU: the answer of each route keeps what it promises, as the CPU measures it."""

    @pytest.mark.parametrize("tol", [1e-2, 1e-3, 1e-6])
    @pytest.mark.parametrize(
        ("cost", "n", "d"), [("sqeuclidean", 8000, 3), ("euclidean", 5000, 2), ("sqeuclidean", 5000, 64)]
    )
    def test_points(self, cost: Any, n: int, d: int, tol: float) -> None:
        self.solved(cloud(cost, d, n, n - 1001)[0], tol)

    def test_coarse_to_fine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gpu, "_COARSE_FROM", 2**29)  # of more pairs the CPU would take long to check the answer
        rng = np.random.default_rng(0)
        t = self.solved(monge.PointCloud(rng.random((30_000, 3)), rng.random((20_000, 3))), 1e-3)
        assert t.stats["coarse_passes"] > 0

    @pytest.mark.parametrize("marginals", [KL(1.0), TV(2.0), (None, KL(1.0))])
    def test_penalties(self, marginals: Any) -> None:
        self.solved(cloud("sqeuclidean", 3, 4000, 3000)[0], 1e-3, marginals)

    def test_a_matrix(self) -> None:
        self.solved(monge.CostMatrix(cloud("sqeuclidean", 3, 3000, 2001)[1]), 1e-3)

    @pytest.mark.parametrize("tol", [1e-2, 1e-7])
    @pytest.mark.parametrize("d", [3, 20])
    def test_a_batch(self, d: int, tol: float) -> None:
        clouds = [cloud("sqeuclidean", d, 100 + k, 228 - k, seed=k)[0] for k in range(128)]
        found = monge.sinkhorn(clouds, eps=0.05 * d, tol=tol, device="cuda")
        for t in found:
            assert t.converged
            assert t.marginal_error <= tol
        for k in (0, 77):
            same_value(found[k], monge.sinkhorn(clouds[k], eps=0.05 * d, tol=tol))

    def solved(self, cost: Any, tol: float, marginals: Any = None) -> Any:
        eps = 0.02 * float(np.mean(cost.sample()))
        t, again = (
            monge.sinkhorn(cost, eps=eps, tol=tol, marginals=marginals, device="cuda") for _ in range(2)
        )  # fmt: skip
        np.testing.assert_array_equal(t.f, again.f)
        np.testing.assert_array_equal(t.g, again.g)
        assert t.converged
        # The same potentials, as a result of the CPU.
        on_cpu = monge.sinkhorn(cost, eps=eps, tol=tol, marginals=marginals, init=t)
        assert on_cpu.iterations <= 4
        assert t.marginal_error <= tol
        same_value(t, on_cpu)
        return t


@pytest.mark.parametrize("factor", [1e40, 1e-40])
def test_a_batch_of_costs_that_single_precision_cannot_hold(factor: float) -> None:
    C = factor * np.random.default_rng(1).random((5, 6))
    (t,) = monge.sinkhorn([C], eps=0.1 * factor, device="cuda")
    assert t.converged
    np.testing.assert_allclose(t.plan.sum(axis=0), 1.0 / 6.0, rtol=0, atol=1e-3)
    np.testing.assert_allclose(t.value, monge.sinkhorn(C, eps=0.1 * factor).value, rtol=1e-3)


def test_a_batch_with_a_point_far_from_the_others() -> None:
    rng = np.random.default_rng(2)
    x, y, b = rng.normal(size=(9, 2)), rng.normal(size=(9, 2)), np.full(9, 1.0)
    y[4] += 1e5
    b[4] = 1e-9
    (t,) = monge.sinkhorn([monge.PointCloud(x, y)], None, b * (1.0 / b.sum()), eps=0.5, device="cuda")
    assert t.converged
    assert t.marginal_error <= 1e-3


def test_results_can_be_pickled() -> None:
    rng = np.random.default_rng(3)
    t = monge.sinkhorn(monge.PointCloud(rng.normal(size=(5, 2)), rng.normal(size=(6, 2))), eps=0.5, device="cuda")
    cost = t.cost
    assert pickle.loads(pickle.dumps(t)).cost == cost


def test_a_bare_function_is_known_again() -> None:
    """Each time there is a new GroundCost, but what was compiled for the first one serves."""
    from monge.entropic.kernels.cuda.grounds import the_same

    def costs(scale: float) -> monge.GroundCost:
        return monge.GroundCost(lambda x, y: scale * abs(x[0] - y[0]))

    assert the_same(costs(1.0)) is the_same(costs(1.0))
    assert the_same(costs(1.0)) is not the_same(costs(2.0))


class TestDivergences:
    """Self terms are symmetric problems, whose steps are those of one potential."""

    @pytest.mark.parametrize("marginals", [None, monge.KL(0.7), monge.TV(0.8)], ids=["balanced", "KL", "TV"])
    def test_points(self, marginals: Any) -> None:
        rng = np.random.default_rng(11)
        x, y, a = rng.normal(size=(9, 2)), rng.normal(size=(7, 2)) + 0.5, rng.dirichlet(np.full(9, 5.0))
        a[2] = 0.0
        a /= a.sum()
        options = {"eps": 0.3, "marginals": marginals, "tol": 1e-7}
        here, there = (monge.sinkhorn_divergence(x, y, a, device=device, **options) for device in ("cpu", "cuda"))
        assert there == pytest.approx(here, abs=1e-7)
        assert [t.iterations <= 7 for t in there.terms[1:]] == [True, True]
        np.testing.assert_allclose(there.grad_x, here.grad_x, atol=1e-5)
        np.testing.assert_allclose(there.grad_b, here.grad_b, atol=1e-5)
        np.testing.assert_array_equal(there.terms[1].f, there.terms[1].g)

    def test_a_batch(self) -> None:
        rng = np.random.default_rng(12)
        x, y = rng.normal(size=(3, 6, 2)), rng.normal(size=(3, 5, 2))
        here, there = (monge.sinkhorn_divergence(x, y, eps=0.3, tol=1e-7, device=device) for device in ("cpu", "cuda"))
        np.testing.assert_allclose(there, here, atol=1e-7)
        assert all(loss.converged and loss.terms[1].iterations <= 7 for loss in there)

    def test_histograms(self) -> None:
        rng = np.random.default_rng(13)
        places, (a, b) = rng.normal(size=(7, 2)), rng.dirichlet(np.full(7, 5.0), size=2)
        C = ground_costs(places, places, "sqeuclidean")
        for kind in (C, np.stack([C, C])):
            here, there = (
                monge.sinkhorn_divergence(a=a, b=b, cost=kind, eps=0.3, tol=1e-7, device=device)
                for device in ("cpu", "cuda")
            )
            np.testing.assert_allclose(there, here, atol=1e-7)
