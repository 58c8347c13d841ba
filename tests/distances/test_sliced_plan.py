"""Plans by sorting projections: feasible, sparse, above the optimum, with potentials that bound it from below."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import monge

powers = pytest.mark.parametrize("p", [1, 1.5, 2, 3])


def clouds(n, m, d, seed=0):
    rng = np.random.default_rng(seed)
    x, y, a, b = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 1.0, rng.random(n), rng.random(m)
    return x, y, a, b * (a.sum() / b.sum())


def costs(x, y, p):
    return np.linalg.norm(x[:, None] - y, axis=2) ** p


class TestPlan:
    @powers
    @pytest.mark.parametrize("d", [1, 2, 3, 8])
    def test_between_its_bounds(self, p, d):
        x, y, a, b = clouds(40, 25, d)
        t = monge.sliced_plan(x, y, a, b, p=p, rng=0)
        C, best = costs(x, y, p), monge.emd(costs(x, y, p), a, b)
        assert t.plan.nnz <= 40 + 25 - 1
        assert t.marginal_error < 1e-13
        assert t.cost == t.value == pytest.approx(float((t.plan.toarray() * C).sum()), rel=1e-12)
        assert t.cost >= best.cost * (1.0 - 1e-12)
        assert t.cost - t.gap <= best.cost * (1.0 + 1e-12)
        assert (t.f[:, None] + t.g <= C + 1e-12 * C.max()).all()
        assert t.cost - t.gap == pytest.approx(t.f @ a + t.g @ b, rel=1e-10)
        assert t.status is monge.Status.FEASIBLE
        assert t.converged
        if d == 1:
            assert t.cost == pytest.approx(best.cost, rel=1e-12)
            assert t.gap <= 1e-12 * t.cost

    @settings(max_examples=40, deadline=None)
    @given(n=st.integers(1, 9), m=st.integers(1, 9), d=st.integers(1, 4), seed=st.integers(0, 10**6))
    def test_with_ties(self, n, m, d, seed):
        rng = np.random.default_rng(seed)
        x, y = rng.integers(0, 3, (n, d)).astype(float), rng.integers(0, 3, (m, d)).astype(float)
        t, best = monge.sliced_plan(x, y, rng=seed, n_projections=3), monge.emd(costs(x, y, 2)).cost
        assert t.marginal_error < 1e-14
        assert best - 1e-12 <= t.cost
        assert t.cost - t.gap <= best + 1e-12

    def test_the_bounds_are_those_of_the_sliced_distances(self):
        # cost >= W_2^2 >= the largest slice >= the mean slice, and W_2^2 >= d SW_2^2.
        x, y, _, _ = clouds(50, 50, 4)
        t, mean = monge.sliced_plan(x, y, rng=0), monge.sliced_wasserstein(x, y, rng=0)
        W = monge.wasserstein(x, y)
        assert t.cost >= W**2 >= 4.0 * mean**2
        assert t.cost - t.gap == pytest.approx(mean.distances.max() ** 2, rel=1e-12)
        assert W >= monge.max_sliced_wasserstein(x, y, rng=0) >= mean.distances.max() * (1.0 - 1e-12)

    def test_it_is_the_best_of_its_directions(self):
        x, y, a, b = clouds(30, 20, 3)
        t, C = monge.sliced_plan(x, y, a, b, n_projections=25, rng=0), costs(x, y, 2)
        directions = monge.sliced_wasserstein(x, y, n_projections=25, rng=0).directions
        each = [float((monge.emd_1d(x @ u, y @ u, a, b, p=2).plan.toarray() * C).sum()) for u in directions]
        assert t.cost == pytest.approx(min(each), rel=1e-12)
        np.testing.assert_array_equal(t.direction, directions[int(np.argmin(each))])

    @pytest.mark.parametrize("d", [2, 5])
    def test_shifts_and_scalings_are_solved(self, d):
        x = np.random.default_rng(0).normal(size=(60, d))
        for y in (x + np.arange(d), 3.0 * x - 1.0):
            t = monge.sliced_plan(x, y[::-1], rng=0)
            assert t.cost == pytest.approx(float(((x - y) ** 2).sum() / 60), rel=1e-12)

    def test_a_start_for_emd(self):
        x, y, a, b = clouds(40, 40, 2)
        start = monge.sliced_plan(x, y, a, b, rng=0)
        cloud = monge.PointCloud(x, y)
        assert monge.emd(cloud, a, b, init=start).cost == pytest.approx(monge.emd(cloud, a, b).cost, rel=1e-12)


class TestResult:
    @powers
    def test_derivatives_of_the_cost(self, p):
        x, y, a, b = clouds(30, 20, 3)
        rng = np.random.default_rng(5)
        u, v, h = rng.normal(size=x.shape), rng.normal(size=y.shape), 1e-6
        t = monge.sliced_plan(x, y, a, b, p=p, rng=0)
        ahead, back = (monge.sliced_plan(x + s * u, y + s * v, a, b, p=p, rng=0).cost for s in (h, -h))
        slope = (t.grad_x * u).sum() + (t.grad_y * v).sum()
        assert (ahead - back) / (2.0 * h) == pytest.approx(slope, rel=1e-5)

    def test_there_is_none_for_weights(self):
        t = monge.sliced_plan(*clouds(5, 6, 2), rng=0)
        for name in ("grad_a", "grad_b"):
            with pytest.raises(TypeError, match="feasible, not optimal"):
                getattr(t, name)

    def test_images(self):
        x, y, a, b = clouds(20, 30, 2)
        t = monge.sliced_plan(x, y, a, b, rng=0)
        np.testing.assert_allclose(a @ t.map(y), b @ y, rtol=1e-12)

    def test_same_bits_and_pickles(self):
        x, y, a, b = clouds(500, 600, 5)
        first, *others = (monge.sliced_plan(x, y, a, b, rng=4, threads=threads) for threads in (1, 2, 5))
        for t in (*others, pickle.loads(pickle.dumps(first))):
            assert (t.cost, t.gap) == (first.cost, first.gap)
            np.testing.assert_array_equal(t.f, first.f)
            np.testing.assert_array_equal(t.direction, first.direction)
            np.testing.assert_array_equal(t.plan.toarray(), first.plan.toarray())

    @pytest.mark.parametrize("scale", [1e-60, 1e60])
    def test_any_unit(self, scale):
        x, y, a, b = clouds(20, 30, 3)
        one, other = monge.sliced_plan(x, y, a, b, rng=0), monge.sliced_plan(scale * x, scale * y, a, b, rng=0)
        assert other.cost / scale**2 == pytest.approx(one.cost, rel=1e-12)
        assert other.gap / scale**2 == pytest.approx(one.gap, rel=1e-12)
        np.testing.assert_allclose(other.f / scale**2, one.f, rtol=1e-9, atol=1e-12)

    def test_bad_input(self):
        with pytest.raises(ValueError, match="would overflow float64"):
            monge.sliced_plan([[0.0, 0.0]], [[1e200, 0.0]])
        with pytest.raises(ValueError, match=r"stays below 1e\+250; .* Choose a larger unit"):
            monge.sliced_plan([[0.0, 0.0]], [[1e125, 0.0]])
        with pytest.raises(ValueError, match="the same dimension"):
            monge.sliced_plan([[0.0, 0.0]], [[1.0]])
        with pytest.raises(ValueError, match="masses times costs overflow"):
            monge.sliced_plan([[0.0, 0.0]], [[1e110, 0.0]], [1e200], [1e200])
