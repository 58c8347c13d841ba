"""Barycenters of a fixed support: the contract, over all kinds of problems and of costs."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import monge
from monge.barycenters.fixed.steps import worth

Array = NDArray[np.float64]
TOL = 1e-8
EPS = 0.15


def random_histograms(rng: np.random.Generator, k: int, n: int) -> Array:
    H = rng.random((k, n)) + 0.05
    H[0, n // 2] = 0.0
    return H / H.sum(axis=1, keepdims=True)


def _cost(name: str, rng: np.random.Generator) -> Any:
    x = rng.random((7, 2))
    return {
        "matrix": lambda: np.abs(x[:, 0, None] - x[:, 0]) + np.abs(x[:, 1, None] - x[:, 1]),
        "rectangular": lambda: rng.random((7, 5)),
        "cloud": lambda: monge.PointCloud(x, x),
        "rectangular cloud": lambda: monge.PointCloud(x, rng.random((4, 2)), "euclidean"),
        "line": lambda: monge.Grid(8, spacing=0.3),
        "image": lambda: monge.Grid((3, 4), spacing=0.3),
        "volume": lambda: monge.Grid((2, 3, 2), spacing=0.4),
    }[name]()


COSTS = ["matrix", "rectangular", "cloud", "rectangular cloud", "line", "image", "volume"]
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "debiased": {"debias": True},
    "unbalanced": {"marginals": monge.KL(0.7)},
    "sent unbalanced": {"marginals": (monge.KL(0.7), None)},
    "received unbalanced": {"marginals": (None, monge.KL(0.4))},
    "sent under TV": {"marginals": (monge.TV(0.6), None)},
}


def cases(costs: list[str] = COSTS) -> list[Any]:
    return [
        pytest.param(kind, cost, id=f"{kind}-{cost}")
        for kind in KINDS
        for cost in costs
        if not (kind == "debiased" and cost.startswith("rectangular"))
    ]


class Case:
    def __init__(self, kind: str, cost: str) -> None:
        self.rng = np.random.default_rng(COSTS.index(cost))
        self.cost = _cost(cost, self.rng)
        self.C = np.asarray(self.cost) if isinstance(self.cost, np.ndarray) else self.cost.block(slice(None))
        self.options = {"eps": EPS, "tol": TOL, "max_iter": 20_000, "threads": 1, **KINDS[kind]}
        self.debias = kind == "debiased"
        self.H = random_histograms(self.rng, 3, self.C.shape[0])
        if kind.startswith(("unbalanced", "sent")):
            self.H *= np.array([[1.0], [1.6], [0.8]])
        self.w = np.array([0.2, 0.5, 0.3])
        sides = KINDS[kind].get("marginals")
        self.rows, self.columns = sides if isinstance(sides, tuple) else (sides, sides)

    def solve(self, H: Array | None = None, w: Array | None = None, **options: Any) -> Any:
        H, w = self.H if H is None else H, self.w if w is None else w
        return monge.barycenter(H, self.cost, w, **{**self.options, **options})

    def penalty(self, sums: Array, wanted: Array, side: Any) -> float:
        if side is None:
            return 0.0
        if side.cap < np.inf:
            return float(side.cap * np.abs(sums - wanted).sum())
        return float(side.kl * kl(sums, wanted))

    def objective(self, plans: list[Array], alpha: Array) -> float:
        """The definition, term by term."""
        K = np.exp(-self.C / EPS)
        each = [
            EPS * kl(P, K) + self.penalty(P.sum(1), a, self.rows) + self.penalty(P.sum(0), alpha, self.columns)
            for P, a in zip(plans, self.H, strict=True)
        ]
        return float(self.w @ each)


def kl(P: Array, Q: Array) -> float:
    some = P > 0.0
    return float((P[some] * np.log(P[some] / Q[some])).sum() - P.sum() + Q.sum())


@pytest.mark.parametrize(("kind", "cost"), cases())
class TestContract:
    def test_what_is_reported_is_so(self, kind: str, cost: str) -> None:
        case = Case(kind, cost)
        found = case.solve()
        n, m = case.C.shape
        assert found.converged
        assert found.status is monge.Status.CONVERGED
        assert found.marginal_error <= TOL
        assert found.weights.shape == (m,)
        assert found.f.shape == (3, n)
        assert found.g.shape == (3, m)
        assert (found.weights >= 0.0).all()
        assert found.iterations == len(found.stats["errors"])
        plans = [found.plan(k).toarray() for k in range(3)]
        alpha, mass = found.weights, found.weights.sum()
        np.testing.assert_allclose(sum(w * P.sum(0) for w, P in zip(case.w, plans, strict=True)), alpha, atol=1e-12)
        if case.rows is None:
            np.testing.assert_allclose([P.sum(1) for P in plans], case.H, atol=1e-12)
        if case.columns is None:
            off = sum(w * np.abs(P.sum(0) - alpha).sum() for w, P in zip(case.w, plans, strict=True))
            assert off <= TOL * mass * 1.01 + 1e-13
            assert abs(case.w @ found.g - (0.0 if not case.debias else found.eps * found._log_d)).max() < 1e-12
        with np.errstate(divide="ignore"):
            dense = np.exp((found.f[:, :, None] + found.g[:, None, :] - case.C) / EPS)
        np.testing.assert_allclose(dense, plans, atol=1e-12)
        if case.debias:
            d = np.exp(found._log_d)
            assert np.abs(d * (np.exp(-case.C / EPS) @ d) - alpha).sum() <= TOL * 1.01
        else:
            # By the definition; the plans miss alpha by the tolerance, so their objective may be below the optimum.
            objective = case.objective(plans, alpha)
            assert abs(objective - found.value) < 20.0 * TOL
            assert found.lower_bound <= found.value + 1e-12
            assert found.value - found.lower_bound < 1e-9
            assert 0.0 <= found.gap < 50.0 * TOL

    def test_no_other_histogram_is_better(self, kind: str, cost: str) -> None:
        """The certificate holds for early stops, too, and potentials that are moved lower the dual."""
        case = Case(kind, cost)
        best = case.solve()
        if case.debias:
            K = np.exp(-case.C / EPS)
            at = debiased_objective(case.H, best.weights, case.w, K)
            assert best.value == pytest.approx(at, abs=1e-7)
            for _ in range(3):
                other = best.weights * np.exp(0.1 * case.rng.normal(size=len(best.weights)))
                assert debiased_objective(case.H, other / other.sum(), case.w, K) > at - 1e-9
            return
        early = case.solve(tol=0.3)
        assert early.iterations < best.iterations
        assert early.lower_bound <= best.value + 1e-10
        assert early.lower_bound + early.gap >= best.value - 1e-10
        f = best.f + 0.05 * case.rng.normal(size=best.f.shape)
        f[~np.isfinite(f)] = -np.inf
        masses = np.exp((f[:, :, None] + best.g[:, None, :] - case.C) / EPS).sum((1, 2))
        rows = case.options.get("marginals")
        side = (rows[0] if isinstance(rows, tuple) else rows) or monge.KL(np.inf)
        moved = case.w @ (worth(case.H, f, side) - EPS * masses) + EPS * np.exp(-case.C / EPS).sum()
        assert moved < best.value

    def test_order_threads_and_starts(self, kind: str, cost: str) -> None:
        case = Case(kind, cost)
        found = case.solve()
        assert case.solve(threads=2).weights.tobytes() == found.weights.tobytes()
        order = [2, 0, 1]
        turned = case.solve(case.H[order], case.w[order])
        close = 1e-5 if case.debias else 100.0 * TOL
        np.testing.assert_allclose(turned.weights, found.weights, atol=close)
        again = case.solve(init=found)
        assert again.iterations <= 3
        np.testing.assert_allclose(again.weights, found.weights, atol=close)
        kept = pickle.loads(pickle.dumps(found))
        assert kept.weights.tobytes() == found.weights.tobytes()
        assert kept.value == found.value
        assert (kept.plan(1) @ np.ones(case.C.shape[1])).shape == (case.C.shape[0],)


@pytest.mark.parametrize(("kind", "cost"), cases(["matrix", "rectangular", "image"]))
def test_gradients_are_those_of_problems_solved_anew(kind: str, cost: str) -> None:
    case = Case(kind, cost)
    precise = {"tol": 1e-12 if not case.debias else 1e-11}
    found = case.solve(**precise)
    step = 1e-4
    along = case.H * case.rng.normal(size=case.H.shape)
    along -= case.H * (along.sum(1) / case.H.sum(1))[:, None]
    values = [case.solve(case.H + s * step * along, **precise).value for s in (1, -1)]
    grad = found.grad_histograms
    wanted = float((along * np.where(case.H > 0.0, grad, 0.0)).sum())
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(wanted, abs=1e-7)
    e = np.array([0.3, -0.5, 0.2])
    values = [case.solve(w=case.w + s * step * e, **precise).value for s in (1, -1)]
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(e @ found.grad_weights, abs=1e-7)


def debiased_objective(H: Array, alpha: Array, w: Array, K: Array) -> float:
    """The mean Sinkhorn divergence, by plain scaling."""

    def least(a: Array, b: Array) -> float:
        v = np.ones(len(b))
        for _ in range(300):
            u = np.divide(a, K @ v)
            v = np.divide(b, K.T @ u)
        P = u[:, None] * K * v
        return EPS * kl(P, K)

    own = least(alpha, alpha)
    return float(sum(wk * (least(a, alpha) - 0.5 * least(a, a) - 0.5 * own) for wk, a in zip(w, H, strict=True)))
