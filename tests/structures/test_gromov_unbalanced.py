"""Structures of which a part is matched, or masses at a price: closed forms, a peer, and what the words say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import ot
import pytest

import monge
from monge.structures.fused import fused
from monge.structures.matrices import MatrixForm
from monge.structures.moments import MomentForm
from monge.structures.partial import whole_derivative
from monge.structures.unbalanced import as_penalties, unbalanced

Array = np.ndarray[Any, Any]


def squares(x: Array) -> Array:
    return np.asarray(((x[:, None] - x) ** 2).sum(axis=-1))


def pair(seed: int, n: int = 14, m: int = 11) -> tuple[Array, Array, Array, Array]:
    rng = np.random.default_rng(seed)
    a, b = rng.random(n) + 0.2, rng.random(m) + 0.2
    return rng.normal(size=(n, 2)), rng.normal(size=(m, 3)), a / a.sum(), b / b.sum()


def quadratic_kl(p: Array, a: Array) -> float:
    """KL(p x p | a x a)."""
    pp, aa = np.multiply.outer(p, p), np.multiply.outer(a, a)
    return float((pp * np.log(pp / aa)).sum() - pp.sum() + aa.sum())


class TestPartial:
    @pytest.mark.parametrize("mass", [0.3, 0.7])
    def test_from_one_start_the_optimum_is_that_of_a_peer(self, mass: float) -> None:
        x, y, a, b = pair(0)
        _, log = ot.gromov.partial_gromov_wasserstein(squares(x), squares(y), a, b, m=mass, log=True)
        for structures in ((x, y), (monge.CostMatrix(squares(x)), monge.CostMatrix(squares(y)))):
            t = monge.gromov_wasserstein(*structures, a, b, mass=mass, init="product")
            assert t.value == pytest.approx(float(log["partial_gw_dist"]), rel=1e-7)
            P = t.plan.toarray()
            assert P.sum() == pytest.approx(mass, rel=1e-12)
            assert (P.sum(axis=1) <= a + 1e-12).all()
            assert (P.sum(axis=0) <= b + 1e-12).all()
            assert t.value == pytest.approx(MatrixForm(squares(x), squares(y)).at(P).value, rel=1e-9)

    def test_all_of_the_mass_is_the_balanced_problem(self) -> None:
        x, y, a, b = pair(1)
        whole = monge.gromov_wasserstein(x, y, a, b, init="product")
        assert monge.gromov_wasserstein(x, y, a, b, mass=1.0, init="product").value == pytest.approx(whole.value)

    def test_outliers_are_left_out(self) -> None:
        rng = np.random.default_rng(2)
        x = rng.normal(size=(12, 2))
        far = np.vstack([x + 3.0, [[60.0, 0.0], [0.0, 80.0]]])
        t = monge.gromov_wasserstein(x, far, np.ones(12), np.ones(14), mass=12.0, init=np.eye(12, 14))
        assert t.value == pytest.approx(0.0, abs=1e-9)
        assert t.plan.toarray()[:, 12:].sum() == 0.0

    def test_the_whole_derivative_is_that_of_the_objective(self) -> None:
        x, y, _, _ = pair(3, 5, 4)
        P, D = np.random.default_rng(3).random((5, 4)), np.random.default_rng(4).normal(size=(5, 4))
        form, h = MomentForm(x, y), 1e-6
        change = (form.at(P + h * D).value - form.at(P - h * D).value) / (2.0 * h)
        assert float(np.vdot(whole_derivative(form.at(P), 1), D)) == pytest.approx(change, rel=1e-6)


class TestPenalties:
    def test_between_points_the_mass_is_known(self) -> None:
        # With s = m^2: KL(s | 4) + KL(s | 9) + eps KL(s | 36) is least where the mean of the logarithms is.
        point = monge.CostMatrix([[0.0]])
        t = monge.gromov_wasserstein(point, point, [2.0], [3.0], marginals=monge.KL(1.0), eps=0.5)
        square = math.exp((math.log(4.0) + math.log(9.0) + 0.5 * math.log(36.0)) / 2.5)
        assert t.plan.sum() ** 2 == pytest.approx(square, rel=1e-5)
        kl = [square * math.log(square / total) - square + total for total in (4.0, 9.0, 36.0)]
        assert t.objective == pytest.approx(kl[0] + kl[1] + 0.5 * kl[2], rel=1e-9)

    @pytest.mark.parametrize("marginals", [monge.KL(20.0), (monge.KL(1.0), monge.KL(4.0)), (monge.KL(5.0), None)])
    @pytest.mark.parametrize("features", [False, True])
    def test_what_is_minimised_in_turn_never_rises(self, marginals: Any, features: bool) -> None:
        x, y, a, b = pair(5)
        form = MomentForm(x, y)
        if features:
            form = fused(form, np.random.default_rng(5).random((14, 11)), 0.5, True)  # type: ignore[assignment]
        found = unbalanced(form, a, 2.0 * b, as_penalties(marginals), 3.0)
        assert found.converged
        scale = abs(found.relaxed[0])
        assert np.diff(found.relaxed).max() <= 1e-6 * scale
        assert found.value == pytest.approx(found.relaxed[-1], abs=1e-6 * scale)  # P and Q have come together

    def test_the_objective_is_what_its_words_say(self) -> None:
        x, y, a, b = pair(6)
        t = monge.gromov_wasserstein(x, y, a, 2.0 * b, marginals=(monge.KL(3.0), monge.KL(8.0)), eps=2.0)
        P = t.plan.toarray()
        E = MatrixForm(squares(x), squares(y)).at(P).value
        penalties = 3.0 * quadratic_kl(P.sum(axis=1), a) + 8.0 * quadratic_kl(P.sum(axis=0), 2.0 * b)
        entropy = quadratic_kl(P.ravel(), np.multiply.outer(a, 2.0 * b).ravel())
        assert t.value == pytest.approx(E, rel=1e-9)
        assert t.objective == pytest.approx(E + penalties + 2.0 * entropy, rel=1e-9)

    def test_no_plan_nearby_is_better(self) -> None:
        x, y, a, b = pair(7, 6, 5)
        form, rng = MatrixForm(squares(x), squares(y)), np.random.default_rng(7)
        found = unbalanced(form, a, 2.0 * b, as_penalties(monge.KL(6.0)), 2.0, tol=1e-8)

        def objective(P: Array) -> float:
            penalties = quadratic_kl(P.sum(axis=1), a) + quadratic_kl(P.sum(axis=0), 2.0 * b)
            entropy = quadratic_kl(P.ravel(), np.multiply.outer(a, 2.0 * b).ravel())
            return float(form.at(P).value + 6.0 * penalties + 2.0 * entropy)

        assert objective(found.plan) == pytest.approx(found.value, rel=1e-10)
        for _ in range(20):
            assert objective(found.plan * np.exp(1e-3 * rng.normal(size=(6, 5)))) >= found.value * (1.0 - 1e-12)

    def test_a_high_price_is_a_constraint(self) -> None:
        x, y, a, b = pair(8)
        # eps KL(P x P | R x R) is 2 eps KL(P | R) where the mass is one.
        balanced = monge.gromov_wasserstein(x, y, a, b, eps=4.0, init="product", tol=1e-8)
        priced = monge.gromov_wasserstein(x, y, a, b, eps=2.0, marginals=monge.KL(1e6), tol=1e-7)
        P = priced.plan.toarray()
        np.testing.assert_allclose(P, balanced.plan.toarray(), atol=1e-5)

    def test_twice_the_mass_is_matched_in_the_same_way(self) -> None:
        # Where the mass is given: else the entropy is less of a price for more of it.
        x, y, a, b = pair(9)
        one, two = (
            monge.gromov_wasserstein(x, y, k * a, k * b, eps=2.0, marginals=(monge.KL(5.0), None)) for k in (1.0, 2.0)
        )
        np.testing.assert_allclose(2.0 * one.plan.sum(axis=1), two.plan.sum(axis=1), rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"mass": 2.0}, "mass"),
        ({"mass": 0.5, "eps": 1.0}, "eps"),
        ({"mass": 0.5, "marginals": monge.KL(1.0)}, "marginals"),
        ({"marginals": monge.KL(1.0)}, "eps"),
        ({"marginals": monge.TV(1.0), "eps": 1.0}, "KL"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        monge.gromov_wasserstein([0.0, 1.0], [0.0, 2.0], **options)


def test_points_without_mass_stay_without() -> None:
    x, y, a, b = pair(10)
    a[3], b[2] = 0.0, 0.0
    options = {"eps": 2.0, "marginals": monge.KL(5.0)}
    t = monge.gromov_wasserstein(x, y, a, b, **options)
    P = t.plan.toarray()
    assert P[3].sum() == P[:, 2].sum() == 0.0
    without = monge.gromov_wasserstein(
        np.delete(x, 3, 0), np.delete(y, 2, 0), np.delete(a, 3), np.delete(b, 2), **options
    )
    assert t.objective == pytest.approx(without.objective, rel=1e-5)
    again = monge.gromov_wasserstein(x, y, a, b, init=np.full((14, 11), 0.01), **options)
    assert again.objective == pytest.approx(t.objective, rel=1e-5)
    part = monge.gromov_wasserstein(x, y, a, b, mass=0.3)
    assert part.plan.toarray()[3].sum() == 0.0


@pytest.mark.parametrize("init", [np.full((5, 4), np.nan), -np.ones((5, 4)), np.zeros((5, 4))], ids=str)
@pytest.mark.parametrize("options", [{}, {"mass": 0.5}, {"eps": 0.5, "marginals": monge.KL(1.0)}], ids=list)
def test_a_start_that_is_no_plan_is_told_so(init: Any, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="init should be a plan, of finite masses"):
        monge.gromov_wasserstein(rng.normal(size=(5, 2)), rng.normal(size=(4, 3)), init=init, **options)


def test_turns_that_go_back_and_forth_come_to_rest() -> None:
    """Two plans may be best for each other, at a sum far below that of either with itself."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 2)), rng.normal(size=(4, 3))
    t = monge.gromov_wasserstein(x, y, eps=0.1, marginals=(monge.KL(1.0), None), max_iter=100)
    even = monge.gromov_wasserstein(x, y, eps=0.1)
    assert t.converged
    assert t.objective < even.objective


@pytest.mark.parametrize("rho", [0.3, 1e-9])
def test_low_prices_leave_little_mass(rho: float) -> None:
    """Nothing is gained by more or less of the plan, so that the objective is known by the mass m alone."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 2)), rng.normal(size=(4, 3))
    t = monge.gromov_wasserstein(x, y, eps=0.1, marginals=monge.KL(rho))
    assert t.converged
    left = float(t.plan.sum())
    assert 0.0 < left < 0.5
    np.testing.assert_allclose(t.objective, (2.0 * rho + 0.1) * (1.0 - left**2), rtol=1e-4)


def test_next_to_no_mass_ends() -> None:
    """One pair is left, and with it nothing but rounding."""
    rng = np.random.default_rng(0)
    t = monge.gromov_wasserstein(rng.normal(size=(5, 2)), rng.normal(size=(4, 3)), mass=1e-9)
    assert t.iterations < 10
    assert abs(t.value) < 1e-30
