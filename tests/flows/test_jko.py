"""The flows of Jordan, Kinderlehrer and Otto: closed forms of steps, of equations and of stationary laws."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

import monge
from monge.flows.jko.result import JKOStatus


def quadratic(strength=1.0, middle=0.0):
    return strength * monge.Potential(
        lambda x: 0.5 * ((x - middle) ** 2).reshape(len(x), -1).sum(axis=1), lambda x: x - middle
    )


ATTRACTION = monge.Interaction(lambda z: 0.5 * (z**2).reshape(len(z), -1).sum(axis=1), lambda z: z)


def next_gaussian(mean, std, step, strength, middle=0.0):
    """The step from N(mean, std^2) for entropy + strength |x - middle|^2 / 2, by the zero of the derivative."""
    stiff = 1.0 + strength * step
    return (mean + strength * step * middle) / stiff, (std + np.sqrt(std**2 + 4.0 * step * stiff)) / (2.0 * stiff)


def gaussians(mean, std, step, n_steps, strength, middle=0.0):
    out = [(mean, std)]
    for _ in range(n_steps):
        out.append(next_gaussian(*out[-1], step, strength, middle))
    return np.array(out).T


def normal_quantiles(n, mean=0.0, std=1.0):
    return norm.ppf((np.arange(n) + 0.5) / n, mean, std)


def moments(density, x):
    p = density / density.sum()
    mean = p @ x
    return mean, np.sqrt(p @ (x - mean) ** 2)


LINE = np.linspace(-6.0, 6.0, 128)


def barenblatt(r2, t, m, d, constant):
    """The solution of d u / dt = Laplacian of u^m that starts from a point."""
    b = 1.0 / (d * (m - 1.0) + 2.0)
    profile = constant - (m - 1.0) * b / (2.0 * m) * r2 * t ** (-2.0 * b)
    return t ** (-d * b) * np.maximum(profile, 0.0) ** (1.0 / (m - 1.0))


def assert_dissipates(flow, slack=1e-7):
    """F(k) - F(k + 1) >= W_2^2 / (2 step): each step is no worse than staying."""
    assert flow.converged
    lowered = flow.values[:-1] - flow.values[1:]
    assert (lowered >= flow.distances**2 / (2.0 * flow.step) - slack).all()
    assert len(flow.distances) > 0


class TestQuantiles:
    @pytest.mark.parametrize("strength", [0.0, 1.0])
    def test_each_step_of_a_gaussian(self, strength):
        x0 = normal_quantiles(500, 1.0)
        flow = monge.jko(x0, monge.Entropy() + quadratic(strength), step=0.1, n_steps=10)
        means, stds = gaussians(1.0, x0.std(), 0.1, 10, strength)
        np.testing.assert_allclose(flow.trajectory.mean(axis=1), means, atol=1e-12)
        np.testing.assert_allclose(flow.trajectory.std(axis=1), stds, rtol=1e-5)
        # With the start counted too, of which 500 quantiles are a coarse picture:
        np.testing.assert_allclose(flow.trajectory.std(axis=1), gaussians(1.0, 1.0, 0.1, 10, strength)[1], rtol=1.5e-3)
        np.testing.assert_allclose(flow.times, 0.1 * np.arange(11))
        assert_dissipates(flow)

    def test_variance_of_heat_is_right_for_any_number(self):
        # The virial: sum x (x - x0) / n = step, whatever the cloud and its size.
        x0 = np.sort(np.random.default_rng(0).normal(size=7))
        flow = monge.jko(x0, monge.Entropy(), step=0.3, n_steps=1, tol=1e-12)
        assert flow.points @ (flow.points - x0) / 7 == pytest.approx(0.3, rel=1e-9)

    @pytest.mark.parametrize(("strength", "at"), [(0.0, 1.0), (1.0, 0.5)])
    def test_order_one_in_the_step(self, strength, at):
        x0 = normal_quantiles(200, std=0.5)
        v0 = x0.var()
        exact = v0 + 2.0 * at if strength == 0.0 else 1.0 + (v0 - 1.0) * np.exp(-2.0 * at)
        errors = [
            monge.jko(x0, monge.Entropy() + quadratic(strength), step=at / n, n_steps=n).points.var() - exact
            for n in (10, 20, 40)
        ]
        assert 1.8 < errors[0] / errors[1] < 2.2
        assert 1.8 < errors[1] / errors[2] < 2.2

    def test_stationary_law_of_a_double_well(self):
        flow = monge.jko(
            normal_quantiles(400, std=0.3),
            monge.Entropy() + monge.Potential(lambda x: (x**2 - 1.0) ** 2, lambda x: 4.0 * x * (x**2 - 1.0)),
            step=0.5,
            n_steps=30,
        )
        x = np.linspace(-3.0, 3.0, 20001)
        law = np.cumsum(np.exp(-((x**2 - 1.0) ** 2)))
        stationary = np.interp((np.arange(400) + 0.5) / 400, law / law[-1], x)
        away = np.abs(flow.points - stationary)
        assert away[1:-1].max() < 3e-3
        assert away[[0, -1]].max() < 0.03  # the outermost speak for a tail
        assert_dissipates(flow)

    def test_barenblatt(self):
        x = np.linspace(-5.0, 5.0, 50001)

        def quantiles(t):
            u = barenblatt(x**2, t, 2.0, 1, 1.0)
            return np.interp((np.arange(300) + 0.5) / 300, np.cumsum(u) / u.sum(), x), u.sum() * (x[1] - x[0])

        (x0, mass), (x1, _) = quantiles(1.0), quantiles(2.0)
        errors = []
        for n in (5, 10):  # of mass one: F is the mass times as large
            flow = monge.jko(x0, mass * monge.PorousMedium(2), step=1.0 / n, n_steps=n)
            errors.append(np.sqrt(np.mean((flow.points - x1) ** 2)) / x1.std())
        assert errors[1] < 0.005
        assert 1.7 < errors[0] / errors[1] < 2.2

    def test_attraction_contracts_by_the_closed_factor(self):
        x0 = np.random.default_rng(1).normal(size=60)
        flow = monge.jko(x0[:, np.newaxis], ATTRACTION, step=0.25, n_steps=4)
        expected = x0.mean() + (np.sort(x0) - x0.mean()) / 1.25**4
        np.testing.assert_allclose(flow.points, expected[:, np.newaxis], atol=1e-12)
        assert flow.points.shape == (60, 1)
        assert_dissipates(flow)

    def test_repulsion_and_attraction_end_uniform(self):
        # |z|^2 / 2 - |z|: the uniform law on [-1, 1] is at rest.
        repulsion = monge.Interaction(lambda z: -np.abs(z), lambda z: -np.sign(z))
        flow = monge.jko(normal_quantiles(50, std=0.3), ATTRACTION + repulsion, step=0.5, n_steps=40)
        np.testing.assert_allclose(flow.points, np.linspace(-0.98, 0.98, 50), atol=1e-3)

    def test_one_point_solves_the_implicit_step(self):
        flow = monge.jko([3.0], monge.Potential(lambda x: x**4 / 4.0, lambda x: x**3), step=0.1, n_steps=2)
        x0, x1, x2 = flow.trajectory[:, 0]
        assert x1 + 0.1 * x1**3 == pytest.approx(x0)
        assert x2 + 0.1 * x2**3 == pytest.approx(x1)
        assert flow.values == pytest.approx([x0**4 / 4, x1**4 / 4, x2**4 / 4])


class TestGrid:
    @pytest.mark.parametrize("strength", [0.0, 1.0])
    @pytest.mark.parametrize("mass", [1.0, 3.0])
    def test_each_step_of_a_gaussian(self, strength, mass):
        density = mass * norm.pdf(LINE, 0.5, 0.5)
        flow = monge.jko(density, monge.Entropy() + quadratic(strength), step=0.1, n_steps=5, grid=LINE)
        spacing = LINE[1] - LINE[0]
        assert flow.eps == pytest.approx(2.0 * spacing**2)
        means, stds = np.array([moments(rho, LINE) for rho in flow.trajectory]).T
        wanted = gaussians(0.5, 0.5, 0.1, 5, strength)
        np.testing.assert_allclose(means, wanted[0], atol=1e-5)
        np.testing.assert_allclose(stds, wanted[1], rtol=3e-4)
        np.testing.assert_allclose(flow.trajectory.sum(axis=1) * spacing, mass, rtol=1e-12)
        moved = np.sqrt(mass * (np.diff(wanted[0]) ** 2 + np.diff(wanted[1]) ** 2))
        np.testing.assert_allclose(flow.distances, moved, rtol=1e-3)
        assert_dissipates(flow)

    def test_heat_in_the_plane(self):
        x = np.linspace(-5.0, 5.0, 64)
        density = np.outer(norm.pdf(x, scale=0.5), norm.pdf(x, scale=0.8))
        flow = monge.jko(density, monge.Entropy(), step=0.02, n_steps=20, grid=(x, x))
        assert flow.eps == pytest.approx(2.0 * (10.0 / 63.0) ** 2)  # which is 0.05
        for axis, std in ((1, 0.5), (0, 0.8)):
            found = moments(flow.density.sum(axis=axis), x)[1]
            assert found == pytest.approx(gaussians(0.0, std, 0.02, 20, 0.0)[1][-1], rel=5e-4)
            assert found**2 == pytest.approx(std**2 + 2.0 * 0.4, rel=0.02)

    def test_without_debiasing_each_step_blurs_by_half_of_eps(self):
        density = norm.pdf(LINE)
        eps = 2.0 * (LINE[1] - LINE[0]) ** 2
        blurred = monge.jko(density, monge.Entropy(), step=0.1, n_steps=5, grid=LINE, debias=False)
        exact = monge.jko(density, monge.Entropy(), step=0.1, n_steps=5, grid=LINE)
        more = moments(blurred.density, LINE)[1] ** 2 - moments(exact.density, LINE)[1] ** 2
        assert more == pytest.approx(5 * eps / 2.0, rel=0.1)

    def test_the_entropic_step_is_a_sinkhorn_problem(self):
        # <P, C> + eps KL(P | exp(-V) x q) + 2 step KL(P 1 | exp(-V)) is Peyre's step, but for eps times the potential.
        density, step, eps = norm.pdf(LINE, 0.5, 0.5), 0.1, 0.05
        spacing = LINE[1] - LINE[0]
        V = 0.5 * LINE**2
        flow = monge.jko(density, monge.Entropy() + monge.Potential(V * (1.0 + eps / (2.0 * step))),
                         step=step, n_steps=1, grid=LINE, eps=eps, debias=False, tol=1e-10)  # fmt: skip
        t = monge.sinkhorn(monge.Grid(128, spacing=spacing), np.exp(-V) * spacing, density * spacing, eps=eps,
                           marginals=(monge.KL(2.0 * step), None), tol=1e-10)  # fmt: skip
        np.testing.assert_allclose(flow.density * spacing, t.plan.sum(axis=1), atol=1e-8)

    def test_stationary_law_of_a_double_well(self):
        x = np.linspace(-2.5, 2.5, 64)
        law = np.exp(-((x**2 - 1.0) ** 2))
        law /= law.sum()
        density = norm.pdf(x, 0.0, 0.3)
        flow = monge.jko(density, monge.Entropy() + monge.Potential((x**2 - 1.0) ** 2), step=1.0, n_steps=15, grid=x)
        np.testing.assert_allclose(flow.density / flow.density.sum(), law, atol=1e-6)
        assert_dissipates(flow)

    @pytest.mark.parametrize("m", [2.0, 3.0])
    def test_barenblatt_on_the_line(self, m):
        first, last = (barenblatt(LINE**2, t, m, 1, 1.0) for t in (1.0, 2.0))
        errors = []
        for n in (5, 10):
            flow = monge.jko(first, monge.PorousMedium(m), step=1.0 / n, n_steps=n, grid=LINE)
            errors.append(np.abs(flow.density - last).sum() / last.sum())
            assert_dissipates(flow)
        assert errors[1] < 0.006
        assert 1.7 < errors[0] / errors[1] < 2.2

    def test_barenblatt_in_the_plane(self):
        x = np.linspace(-4.0, 4.0, 48)
        r2 = x[:, np.newaxis] ** 2 + x**2
        first, last = (barenblatt(r2, t, 2.0, 2, 0.5) for t in (1.0, 2.0))
        flow = monge.jko(first, monge.PorousMedium(2), step=0.2, n_steps=5, grid=(x, x), tol=1e-5)
        assert np.abs(flow.density - last).sum() / last.sum() < 0.02
        assert flow.density[r2 > 12.5].max() < 1e-6  # beyond the front, at r^2 = 16 C sqrt(2) = 11.3

    def test_attraction_contracts_by_the_closed_factor(self):
        flow = monge.jko(norm.pdf(LINE, 1.0, 1.0), ATTRACTION, step=0.1, n_steps=5, grid=LINE)
        mean, std = moments(flow.density, LINE)
        assert mean == pytest.approx(1.0, abs=1e-5)
        assert std == pytest.approx(1.1**-5, rel=1e-4)
        assert_dissipates(flow)

    def test_agrees_with_quantiles_on_all_energies_at_once(self):
        energy = 0.3 * monge.Entropy() + 0.2 * monge.PorousMedium(2) + 0.5 * ATTRACTION + quadratic(0.4, 1.0)
        on_grid = monge.jko(norm.pdf(LINE, 0.0, 0.6), energy, step=0.2, n_steps=4, grid=LINE)
        on_line = monge.jko(normal_quantiles(300, 0.0, 0.6), energy, step=0.2, n_steps=4)
        mean, std = moments(on_grid.density, LINE)
        assert mean == pytest.approx(on_line.points.mean(), abs=1e-4)
        assert std == pytest.approx(on_line.points.std(), rel=4e-3)
        np.testing.assert_allclose(on_grid.values, on_line.values, rtol=1e-2)

    def test_walls_keep_mass_out(self):
        wall = np.where(np.abs(LINE) > 2.0, np.inf, 0.0)
        density = np.where(np.abs(LINE) < 0.5, 1.0, 0.0)
        flow = monge.jko(density, monge.Entropy() + monge.Potential(wall), step=2.0, n_steps=10, grid=LINE)
        inside = np.abs(LINE) <= 2.0
        assert (flow.density[~inside] == 0.0).all()
        np.testing.assert_allclose(flow.density[inside], density.sum() / inside.sum(), rtol=1e-4)
        assert np.isfinite(flow.values).all()

    def test_in_space_and_by_a_grid_object(self):
        density = np.zeros((12, 12, 12))
        density[4:8, 4:8, 4:8] = 1.0
        flow = monge.jko(density, monge.Entropy(), step=0.05, n_steps=2, grid=monge.Grid((12, 12, 12), spacing=0.3))
        assert flow.density.sum() == pytest.approx(64.0)
        np.testing.assert_allclose(flow.density, flow.density.transpose(1, 2, 0), rtol=1e-6)
        np.testing.assert_allclose(flow.density, flow.density[::-1], rtol=1e-6)
        assert_dissipates(flow)

    def test_threads_give_the_same_bits(self):
        density = np.outer(norm.pdf(LINE), norm.pdf(LINE))
        one, two = (
            monge.jko(density, monge.Entropy(), step=0.2, n_steps=1, grid=(LINE, LINE), threads=k).density
            for k in (1, 2)
        )
        assert np.array_equal(one, two)


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_units_of_length_make_no_difference(scale):
    """A cloud c times as wide, with a step c^2 times as long, is c times as wide after the step."""
    x0, density = normal_quantiles(60), norm.pdf(LINE)
    small = monge.jko(x0, monge.Entropy(), step=0.2, n_steps=2)
    large = monge.jko(7.0 * scale + scale * x0, monge.Entropy(), step=0.2 * scale**2, n_steps=2)
    np.testing.assert_allclose(large.points, 7.0 * scale + scale * small.points, rtol=1e-9)
    small = monge.jko(density, monge.Entropy(), step=0.2, n_steps=2, grid=LINE)
    large = monge.jko(density / scale, monge.Entropy(), step=0.2 * scale**2, n_steps=2, grid=scale * LINE)
    np.testing.assert_allclose(scale * large.density, small.density, atol=1e-6)
    # Mass c times as much: a porous medium of exponent m is c^(m - 1) times as quick.
    few = monge.jko(density, monge.PorousMedium(2), step=0.2, n_steps=1, grid=LINE)
    more = monge.jko(scale * density, monge.PorousMedium(2), step=0.2 / scale, n_steps=1, grid=LINE, eps=few.eps)
    np.testing.assert_allclose(more.density / scale, few.density, atol=1e-6)


class TestParticles:
    def test_potential_and_attraction_are_exact(self):
        x0 = np.random.default_rng(2).normal(size=(50, 3))
        middle = np.array([1.0, 0.0, -2.0])
        flow = monge.jko(x0, quadratic(2.0, middle) + ATTRACTION, step=0.1, n_steps=3, tol=1e-10)
        mean = middle + (x0.mean(axis=0) - middle) / 1.2**3
        np.testing.assert_allclose(flow.points, mean + (x0 - x0.mean(axis=0)) / 1.3**3, atol=1e-9)
        assert flow.distances[0] == pytest.approx(monge.wasserstein(x0, flow.trajectory[1]))
        assert flow.bandwidth is None
        assert_dissipates(flow)

    def test_heat_by_a_density_estimate(self):
        x0 = 0.5 * np.random.default_rng(3).normal(size=(300, 2))
        flow = monge.jko(x0, monge.Entropy(), step=0.1, n_steps=3, tol=1e-4)
        start = np.sqrt(x0.var(axis=0).mean())
        assert flow.bandwidth == pytest.approx(start * 300 ** (-1 / 6))
        wanted = gaussians(0.0, start, 0.1, 3, 0.0)[1][-1]
        assert np.sqrt(flow.points.var(axis=0).mean()) == pytest.approx(wanted, rel=0.05)  # too small by 3 %
        assert_dissipates(flow)

    def test_gradient_of_the_density_estimate(self):
        from monge.flows.jko.energies import as_parts
        from monge.flows.jko.particles import Particles

        x = np.random.default_rng(4).normal(size=(20, 2))
        way = np.random.default_rng(5).normal(size=(20, 2))
        scheme = Particles(x, as_parts(monge.Entropy() + 0.5 * monge.PorousMedium(3)), 0.1, 1e-7, None)
        h = 1e-6
        slope = (scheme._internal(x + h * way)[0] - scheme._internal(x - h * way)[0]) / (2.0 * h)
        assert slope == pytest.approx(float((scheme._internal(x)[1] * way).sum()), rel=1e-7)


class TestEnergies:
    def test_sums_and_multiples(self):
        energy = 2 * (monge.Entropy() + monge.PorousMedium(2)) + monge.Entropy() * 0.5
        assert repr(energy) == "2 * Entropy() + 2 * PorousMedium(2) + 0.5 * Entropy()"
        x = normal_quantiles(50)
        one, other = (
            monge.jko(x, e, step=0.1, n_steps=1) for e in (energy, 2.5 * monge.Entropy() + 2 * monge.PorousMedium(2))
        )
        np.testing.assert_allclose(one.points, other.points, rtol=1e-12)

    def test_values_are_the_integrals(self):
        density = norm.pdf(LINE, 0.0, 0.7)
        for energy, value in (
            (monge.Entropy(), -0.5 * np.log(2.0 * np.pi * np.e * 0.49)),
            (monge.PorousMedium(2), 1.0 / (2.0 * np.sqrt(np.pi) * 0.7)),
            (quadratic(3.0), 1.5 * 0.49),
            (ATTRACTION, 0.5 * 0.49),
        ):
            assert monge.jko(density, energy, step=1e-3, n_steps=1, grid=LINE).values[0] == pytest.approx(
                value, rel=1e-9
            )
            on_line = monge.jko(normal_quantiles(800, std=0.7), energy, step=1e-3, n_steps=1).values[0]
            assert on_line == pytest.approx(value, rel=1e-2)

    @pytest.mark.parametrize(
        ("make", "error", "text"),
        [
            (lambda: -1.0 * monge.Entropy(), ValueError, "not be negative"),
            (lambda: np.inf * monge.Entropy(), ValueError, "finite"),
            (lambda: monge.Entropy() * "2", TypeError, "finite number"),
            (lambda: monge.Entropy() * monge.Entropy(), TypeError, "added"),
            (lambda: monge.PorousMedium(1.0), ValueError, r"Entropy\(\)"),
            (lambda: monge.Interaction([1.0]), TypeError, "function W"),
            (lambda: monge.Potential("x"), TypeError, "values of a Potential"),
            (lambda: monge.Potential(np.sin, 1.0), TypeError, "gradient of Potential"),
            (lambda: monge.Entropy() + 1.0, TypeError, "unsupported operand"),
        ],
    )
    def test_bad_energies(self, make, error, text):
        with pytest.raises(error, match=text):
            make()


X = np.linspace(-1.0, 1.0, 8)


@pytest.mark.parametrize(
    ("x0", "energy", "options", "error", "text"),
    [
        (X, "entropy", {}, TypeError, "should be a sum of monge.Entropy"),
        (X, monge.Entropy(), {"step": 0.0}, ValueError, "step should be positive"),
        (X, monge.Entropy(), {"n_steps": 0}, ValueError, "n_steps"),
        (X, monge.Entropy(), {"tol": -1.0}, ValueError, "tol"),
        (X, monge.Entropy(), {"eps": 0.1}, ValueError, "on a grid"),
        (X, monge.Entropy(), {"debias": False}, ValueError, "on a grid"),
        (X, monge.Entropy(), {"bandwidth": 0.1}, ValueError, "in the plane"),
        (X**2, monge.Entropy(), {"bandwidth": 0.1, "grid": X}, ValueError, "bandwidth is for particles"),
        (X, monge.Entropy(), {"grid": X}, ValueError, "not negative"),
        (X**2 * np.nan, monge.Entropy(), {"grid": X}, ValueError, "finite"),
        (0.0 * X, monge.Entropy(), {"grid": X}, ValueError, "some mass"),
        (X**2, monge.Entropy(), {"grid": X[1:]}, ValueError, "shape of the density"),
        (X**2, monge.Entropy(), {"grid": X**3}, ValueError, "equal steps"),
        (X**2, monge.Entropy(), {"grid": X[::-1]}, ValueError, "equal steps"),
        (X**2, monge.Entropy(), {"grid": monge.Grid(8, power=1)}, ValueError, "power 2"),
        (X**2, monge.Entropy(), {"grid": X, "eps": 0.0}, ValueError, "eps should be positive"),
        (X**2, monge.Potential([1.0]), {"grid": X}, ValueError, "shape of the grid"),
        (X**2, monge.Potential(lambda x: 1.0), {"grid": X}, ValueError, "should return shape"),
        (X**2, monge.Potential(lambda x: x * np.nan), {"grid": X}, ValueError, "wall"),
        (X**2, monge.Potential(np.full(8, np.inf)), {"grid": X}, ValueError, "where the potential is"),
        (X**2, monge.Interaction(lambda z: 1.0 / np.maximum(np.abs(z), 0.0)), {"grid": X}, ValueError, "finite"),
        (X**2, monge.Interaction(np.sin), {"grid": X}, ValueError, "should be even"),
        (X, monge.Interaction(np.sin, np.cos), {}, ValueError, "should be even"),
        (X, monge.Potential(np.cos), {}, TypeError, "Potential\\(function, gradient\\)"),
        (X, monge.Interaction(np.cos), {}, TypeError, "Interaction\\(function, gradient\\)"),
        (X, monge.Potential(X), {}, TypeError, "goes with a density on a grid"),
        (X, monge.Potential(np.cos, lambda x: 1.0), {}, ValueError, "gradient of the potential should return shape"),
        (X, monge.Potential(lambda x: np.full(len(x), np.nan), np.sin), {}, ValueError, "should be finite"),
        ([1.0, 1.0, 2.0], monge.Entropy(), {}, ValueError, "all different"),
        ([1.0], monge.PorousMedium(2), {}, ValueError, "at least two"),
        (np.ones((5, 2)), monge.Entropy(), {}, ValueError, "at one place"),
        (X, monge.Entropy(), {"time_limit": -1.0}, ValueError, "time_limit"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:divide by zero")  # in a user's function
def test_bad_input(x0, energy, options, error, text):
    with pytest.raises(error, match=text):
        monge.jko(x0, energy, **{"step": 0.1, "n_steps": 2, **options})


@pytest.mark.parametrize("options", [{}, {"grid": X}])
def test_time_limit_ends_at_a_whole_step(options):
    with pytest.warns(monge.ConvergenceWarning, match="time_limit"):
        flow = monge.jko(
            np.abs(X) + 0.01 * np.arange(8), monge.Entropy(), step=0.1, n_steps=3, time_limit=0.0, **options
        )
    assert flow.status is JKOStatus.TIME_LIMIT
    assert not flow.converged
    assert flow.trajectory.shape == (1, 8)
    assert len(flow.values) == len(flow.times) == 1
    assert len(flow.distances) == len(flow.solved) == 0


def test_what_was_not_solved_is_said():
    # A kink that no step can end in the middle of, for gradients of unit size on both sides.
    with pytest.warns(monge.ConvergenceWarning, match="some stopped before"):
        flow = monge.jko([0.05, 0.4], monge.Potential(np.abs, np.sign), step=0.1, n_steps=1)
    assert flow.status is JKOStatus.INEXACT
    assert not flow.solved.any()


def test_results():
    flow = monge.jko(X, monge.Entropy(), step=0.1, n_steps=2)
    assert repr(flow).startswith("JKOFlow(points (8,), 2 steps, energy ")
    assert np.array_equal(pickle.loads(pickle.dumps(flow)).points, flow.points)
    with pytest.raises(AttributeError, match="grid="):
        _ = flow.density
    flow = monge.jko(X**2, monge.Entropy(), step=0.1, n_steps=2, grid=X)
    with pytest.raises(AttributeError, match="density"):
        _ = flow.points


def test_input_is_left_alone_and_of_any_type():
    x0 = np.array([3, 1, 2])
    flow = monge.jko(x0, monge.Entropy(), step=0.1, n_steps=1)
    assert x0.tolist() == [3, 1, 2]
    assert flow.trajectory[0].tolist() == [1.0, 2.0, 3.0]
    density = np.float32([0, 1, 2, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        flow = monge.jko(density, monge.Entropy(), step=0.1, n_steps=1, grid=np.arange(4, dtype=np.float32))
    assert flow.density.dtype == np.float64


@pytest.mark.parametrize("grid", [None, "grid"])
def test_arrays_of_another_library_come_back(grid):
    xp = pytest.importorskip("array_api_strict", reason="the array API by the letter: needs array-api-strict")
    x0 = xp.asarray([0.5, 1.0, 2.0], dtype=xp.float32)
    flow = monge.jko(x0, monge.Entropy(), step=0.1, n_steps=2, grid=grid and xp.asarray([0.0, 1.0, 2.0]))
    end = flow.density if grid else flow.points
    assert type(end) is type(x0)
    assert end.dtype == xp.float32
    assert flow.trajectory.shape == (3, 3)
    assert "2 steps" in repr(flow)


@settings(max_examples=30, deadline=None)
@given(
    x0=arrays(float, st.integers(3, 30), elements=st.floats(-3.0, 3.0).map(lambda x: round(x, 2)), unique=True),
    step=st.floats(1e-3, 10.0),
    weights=st.tuples(*[st.floats(0.0, 2.0)] * 4),
)
def test_any_step_lowers_the_energy_and_keeps_the_order(x0, step, weights):
    a, b, c, d = weights
    energy = (a + 0.01) * monge.Entropy() + b * monge.PorousMedium(2.5) + c * ATTRACTION + quadratic(d, 1.0)
    flow = monge.jko(x0, energy, step=step, n_steps=2)
    assert_dissipates(flow, 1e-9 * (1.0 + np.abs(flow.values).max()))
    assert (np.diff(flow.trajectory, axis=1) > 0.0).all()
