"""Partial transport: the given mass, no more and no less, at the least cost."""

from __future__ import annotations

import numpy as np
import pytest
from cases import FAMILIES, LAYOUTS, sample, squared
from hypothesis import given
from hypothesis import strategies as st
from oracle import assert_optimal, assert_partial, entries
from scipy.optimize import linprog
from test_properties import problems

import monge

SHARES = st.sampled_from([0.01, 0.1, 1 / 3, 0.5, 0.75, 0.999, 1.0])


def linear_program(C, a, b, mass):
    """The optimum by HiGHS, over the allowed arcs; None if infeasible."""
    n, m = C.shape
    rows, cols = np.nonzero(np.isfinite(C))
    arcs = np.arange(len(rows))
    A = np.zeros((n + m, len(arcs)))
    A[rows, arcs] = A[n + cols, arcs] = 1.0
    if len(arcs) == 0:
        return None
    bounds = np.concatenate([a, b])
    result = linprog(C[rows, cols], A_ub=A, b_ub=bounds, A_eq=np.ones((1, len(arcs))), b_eq=[mass], method="highs-ds")
    assert result.status in (0, 2)
    return result.fun if result.status == 0 else None


class TestKnown:
    # A source far off, on the line.
    X, Y = np.array([0.0, 1.0, 50.0]), np.array([1.0, 3.0])
    C = (X[:, np.newaxis] - Y) ** 2

    def test_outlier_stays(self):
        t = monge.partial(self.C, [1, 1, 1], [1, 1], mass=2)
        np.testing.assert_array_equal(t.plan.toarray(), [[1, 0], [0, 1], [0, 0]])
        assert t.value == 5.0
        assert_partial(t, self.C, 2.0, [1, 1, 1], [1, 1])

    def test_cheapest_unit_first(self):
        t = monge.partial(self.C, [1, 1, 1], [1, 1], mass=0.5)
        np.testing.assert_array_equal(t.plan.toarray(), [[0, 0], [0.5, 0], [0, 0]])
        # The next unit would cost nothing either.
        assert t.f.max() + t.g.max() == 0.0

    def test_price_of_mass(self):
        # From 1 on, one more unit makes the first source send to 1 and the second to 3: 5 more than nothing.
        t = monge.partial(self.C, [1, 1, 1], [1, 1], mass=1.5)
        assert t.value == 2.5
        assert t.f.max() + t.g.max() == 5.0

    def test_negative_costs_do_not_draw_more_than_asked(self):
        C = -np.arange(1.0, 10.0).reshape(3, 3)
        t = monge.partial(C, mass=1 / 3)
        np.testing.assert_allclose(t.plan.toarray(), np.diag([0, 0, 1 / 3]), rtol=1e-15)
        assert t.value == pytest.approx(-3.0, rel=1e-15)
        assert_partial(t, C, 1 / 3)

    def test_single_place(self):
        t = monge.partial([[7.0]], [3.0], [2.0], mass=1.5)
        assert (t.value, t.plan.toarray().tolist()) == (10.5, [[1.5]])

    def test_zero_costs(self):
        assert_partial(monge.partial(np.zeros((4, 6)), mass=0.3), np.zeros((4, 6)), 0.3)

    def test_no_dust(self):
        # A third of 999 equal weights is 333 of them.
        rng = np.random.default_rng(0)
        t = monge.partial(rng.random((999, 999)), mass=1 / 3)
        assert len(t.plan.data) == 333
        assert (t.plan.data == 1 / 999).all()

    def test_decimals_stay_decimals(self):
        t = monge.partial([[0.0, 9.0], [9.0, 1.0]], [0.2, 0.7], [0.5, 0.6], mass=0.3)
        assert sorted(t.plan.data) == [0.1, 0.2]

    def test_map(self):
        t = monge.partial(self.C, [1, 1, 1], [1, 1], mass=2)
        np.testing.assert_array_equal(t.map(self.Y), [1.0, 3.0, np.nan])


@given(problems(), SHARES, st.integers(0, 5), st.integers(0, 5))
def test_linear_program(problem, share, more_a, more_b):
    C, a, b = problem
    a[-1] += more_a
    b[-1] += more_b
    mass = share * min(a.sum(), b.sum())
    t = monge.partial(C, a, b, mass=mass)
    assert_partial(t, C, mass, a, b)
    expected = linear_program(C, a, b, mass)
    assert t.value == pytest.approx(expected, rel=1e-9, abs=1e-9 * (1 + np.abs(C).max()) * a.sum())


@given(problems(forbidden=True), SHARES)
def test_forbidden(problem, share):
    C, a, b = problem
    mass = share * a.sum()
    expected = linear_program(C, a, b, mass)
    if expected is None:
        with pytest.raises(monge.InfeasibleError, match="Lower mass" if share < 1 else "forbidden"):
            monge.partial(C, a, b, mass=mass)
        return
    t = monge.partial(C, a, b, mass=mass)
    assert_partial(t, C, mass, a, b)
    reach = np.abs(C[np.isfinite(C)]).max()
    assert t.value == pytest.approx(expected, rel=1e-9, abs=1e-9 * (1 + reach) * a.sum())


@pytest.mark.parametrize("share", [0.15, 0.6, 0.97])
@pytest.mark.parametrize("name", [name for name in FAMILIES if not name.startswith("forbidden")])
def test_families(name, share):
    p = sample(name)
    total = 1.0 if p.a is None else p.a.sum()
    a, b = (None if w is None else w / total for w in (p.a, p.b))
    t = monge.partial(p.cost, a, b, mass=share)
    assert_partial(t, p.cost, share, a, b)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["gaussians_plane_weighted", "tall", "wide", "zero_weights"])
def test_layouts(name, layout):
    p = sample(name)
    C = LAYOUTS[layout](p.cost)
    mass = 0.4 * (1.0 if p.a is None else p.a.sum())
    assert_partial(monge.partial(C, p.a, p.b, mass=mass), p.cost, mass, p.a, p.b)


def test_single_precision():
    C = sample("gaussians_plane").cost.astype(np.float32)
    assert_partial(monge.partial(C, mass=0.4), C, 0.4)


def test_point_cloud():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 2)), rng.normal(size=(200, 2))
    assert_partial(monge.partial(monge.PointCloud(x, y), mass=0.7), squared(x, y), 0.7)


def test_all_of_one_side():
    rng = np.random.default_rng(0)
    C, a, b = rng.random((200, 300)), rng.random(200), rng.random(300) * 3
    t = monge.partial(C, a, b, mass=a.sum())
    assert_partial(t, C, a.sum(), a, b)
    np.testing.assert_allclose(t.plan.sum(axis=1), a, rtol=1e-12)
    s = monge.partial(C.T, b, a, mass=a.sum())
    assert_partial(s, C.T, a.sum(), b, a)
    np.testing.assert_allclose(s.plan.sum(axis=0), a, rtol=1e-12)
    assert s.value == pytest.approx(t.value, rel=1e-12)


def test_all_of_both_sides_is_emd():
    p = sample("gaussians_plane_weighted")
    t = monge.partial(p.cost, p.a, p.b, mass=p.a.sum())
    assert_optimal(t, p.cost, p.a, p.b)
    assert_partial(t, p.cost, p.a.sum(), p.a, p.b)
    assert t.value == monge.emd(p.cost, p.a, p.b).value


def test_zero_weights_stay_out():
    p = sample("zero_weights")
    mass = 0.5 * p.a.sum()
    t = monge.partial(p.cost, p.a, p.b, mass=mass)
    assert_partial(t, p.cost, mass, p.a, p.b)
    rows, cols, _ = entries(t)
    assert (p.a[rows] > 0).all()
    assert (p.b[cols] > 0).all()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("name", ["gaussians_plane", "clusters", "iid_weighted", "euclidean", "gaussians_64d_weighted"])
def test_pot(name, share):
    ot = pytest.importorskip("ot")
    p = sample(name, 250)
    n, m = p.cost.shape
    a = np.full(n, 1 / n) if p.a is None else p.a
    b = np.full(m, 1 / m) if p.b is None else p.b
    P = ot.partial.partial_wasserstein(a, b, p.cost, m=share, nb_dummies=1)
    assert monge.partial(p.cost, a, b, mass=share).value == pytest.approx((P * p.cost).sum(), rel=1e-9)


def test_value_is_convex_in_mass():
    C = sample("gaussians_plane").cost
    masses = np.linspace(0.05, 1.0, 20)
    values = np.array([monge.partial(C, mass=mass).value for mass in masses])
    assert (np.diff(values, 2) >= -1e-13).all()
    # f and g price the mass: the slope lies between the differences on either side.
    t = monge.partial(C, mass=masses[7])
    price, step = t.f.max() + t.g.max(), masses[1] - masses[0]
    assert values[7] - values[6] <= (price + 1e-12) * step
    assert (price - 1e-12) * step <= values[8] - values[7]


def test_as_good_a_start_as_emd():
    # Slack is apart in the aggregation, and all its arcs are in its list: pivots and sweeps as without.
    rng = np.random.default_rng(3)
    C = squared(rng.random((1500, 2)), rng.random((1500, 2)))
    whole = monge.emd(C).stats
    for mass in (0.3, 0.7, 0.98):
        stats = monge.partial(C, mass=mass).stats
        assert stats["pivots"] < 2 * whole["pivots"]
        assert stats["sweeps"] <= whole["sweeps"] + 2


def test_same_bits_on_any_threads():
    C = np.random.default_rng(0).random((1100, 1000))
    s, t = (monge.partial(C, mass=0.6, threads=threads) for threads in (1, 3))
    for x, y in ((s.f, t.f), (s.g, t.g), (s.plan.data, t.plan.data), (s.plan.row, t.plan.row)):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_time_limit(sign):
    # Stopped at once, the plan still has the right mass, and the gap is honest.
    C = sign * np.random.default_rng(0).random((700, 600))
    with pytest.warns(monge.ConvergenceWarning, match="partial: time_limit"):
        t = monge.partial(C, mass=0.6, time_limit=0.0)
    assert t.status is monge.Status.TIME_LIMIT
    assert t.marginal_error < 1e-12
    best = monge.partial(C, mass=0.6).value
    assert best - 1e-12 <= t.value
    assert t.value - t.gap <= best + 1e-12


def test_progress(capsys):
    pytest.importorskip("tqdm")
    assert monge.partial(np.eye(3), mass=0.5, progress=True).value == 0.0


class TestRefused:
    C = np.ones((2, 3))

    @pytest.mark.parametrize("mass", [0.0, -0.5, 1.001, np.nan, np.inf])
    def test_mass(self, mass):
        with pytest.raises(ValueError, match=r"mass should be positive and at most the smaller total, 1\.0"):
            monge.partial(self.C, mass=mass)

    def test_mass_beyond_the_smaller_total(self):
        with pytest.raises(ValueError, match=r"smaller total, 2\.0 \(a\.sum\(\) = 2\.0, b\.sum\(\) = 9\.0\); got 3"):
            monge.partial(self.C, [1, 1], [3, 3, 3], mass=3)

    @pytest.mark.parametrize("mass", ["much", None, [1.0, 2.0], 1j])
    def test_not_a_mass(self, mass):
        with pytest.raises(TypeError, match="mass should be a positive number"):
            monge.partial(self.C, mass=mass)

    def test_mass_is_needed(self):
        with pytest.raises(TypeError, match="mass"):
            monge.partial(self.C)

    def test_rounding_of_the_total_is_allowed(self):
        a = np.full(10, 0.1)
        assert monge.partial(np.ones((10, 10)), a, a, mass=1.0 + 4e-16).value == pytest.approx(1.0, rel=1e-15)
        f = np.full(3, 1 / 3, dtype=np.float32)
        assert monge.partial(np.ones((3, 3)), f, f, mass=1.0).value == pytest.approx(1.0, rel=1e-6)

    def test_weights(self):
        with pytest.raises(ValueError, match=r"a should have shape \(2,\)"):
            monge.partial(self.C, np.ones(3), mass=0.5)
        with pytest.raises(ValueError, match="not negative"):
            monge.partial(self.C, [1.0, -1.0], mass=0.5)

    def test_costs(self):
        with pytest.raises(ValueError, match=r"NaN or -inf.*cost\[0, 1\]"):
            monge.partial([[0.0, np.nan]], mass=0.5)
        with pytest.raises(ValueError, match=r"\(n, m\) matrix"):
            monge.partial(np.ones(3), mass=0.5)


def test_single_precision_weights_that_are_all_moved():
    """Their totals differ by the rounding of float32, which the check of the mass allows for."""
    rng = np.random.default_rng(0)
    a, b = (w / w.sum() for w in rng.random((2, 30)).astype(np.float32))
    t = monge.partial(rng.random((30, 30)), a, b, mass=1.0)
    assert t.converged
    assert t.marginal_error < 1e-6


def test_single_precision_costs_near_overflow():
    """Twice the largest of them is no float32."""
    t = monge.partial(np.full((3, 3), -2e38, np.float32), np.ones(3), np.ones(3), mass=2.5)
    assert t.converged
    assert t.value == pytest.approx(-5e38)
