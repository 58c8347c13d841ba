"""The Sinkhorn divergence: known answers, gradients, and the one-potential steps of its self terms."""

from __future__ import annotations

import math
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import monge
from monge.entropic._steps import Steps
from monge.entropic.kernels.reference import ReferenceSteps
from monge.entropic.kernels.select import Route
from monge.entropic.marginals import Balanced, as_marginals
from monge.entropic.problem import Problem
from monge.entropic.solving import solve_one

MARGINALS = [None, monge.KL(0.7), monge.TV(0.6)]


def clouds(rng, n=12, m=9, d=2, unequal=False):
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) + 0.3
    a, b = rng.random(n) + 0.1, rng.random(m) + 0.1
    return x, y, a / a.sum(), b / b.sum() * (1.3 if unequal else 1.0)


# Known answers


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 40), d=st.integers(1, 4), eps=st.floats(0.02, 50.0))
def test_translate_is_its_squared_distance(seed, n, d, eps):
    rng = np.random.default_rng(seed)
    x, t, a = rng.normal(size=(n, d)), rng.normal(size=d), rng.random(n) + 0.01
    loss = monge.sinkhorn_divergence(x, x + t, a, a, eps=eps, tol=1e-8)
    wanted = float(t @ t) * a.sum()
    assert loss == pytest.approx(wanted, rel=1e-6, abs=1e-6 * eps)
    np.testing.assert_allclose(loss.grad_x, -2.0 * a[:, np.newaxis] * t, atol=1e-5 * (1.0 + eps) * a.sum())
    np.testing.assert_allclose(loss.grad_y, 2.0 * a[:, np.newaxis] * t, atol=1e-5 * (1.0 + eps) * a.sum())


@pytest.mark.parametrize("marginals", MARGINALS)
def test_scaling(marginals):
    rng = np.random.default_rng(1)
    x, y, a, b = clouds(rng, unequal=marginals is not None)
    scaled = {monge.KL: monge.KL(6.3), monge.TV: monge.TV(5.4)}.get(type(marginals))
    one = monge.sinkhorn_divergence(x, y, a, b, eps=0.3, marginals=marginals, tol=1e-9)
    more = monge.sinkhorn_divergence(3.0 * x, 3.0 * y, a, b, eps=2.7, marginals=scaled, tol=1e-9)
    # The mass term and the entropy are in units of eps.
    assert more == pytest.approx(9.0 * one, rel=1e-7)
    assert one > 1e-3


def gaussian_transport(m1, v1, m2, v2, eps):
    """Between N(m1, v1) and N(m2, v2) for |x - y|^2 (Janati et al. 2020, "Entropic optimal transport between unbalanced
    Gaussian measures has a closed form", theorem 1, in one dimension)."""
    s = eps / 2.0
    d = math.sqrt(4.0 * v1 * v2 + s * s)
    return (m1 - m2) ** 2 + v1 + v2 - d + s * (1.0 - math.log(2.0 * s)) + s * math.log(d + s)


@pytest.mark.parametrize("eps", [0.2, 2.0])
def test_gaussians(eps):
    line = np.linspace(-9.0, 9.0, 401)
    (m1, v1), (m2, v2) = (0.4, 0.5), (-0.9, 1.3)
    a, b = (np.exp(-((line - m) ** 2) / (2.0 * v)) for m, v in ((m1, v1), (m2, v2)))
    wanted = gaussian_transport(m1, v1, m2, v2, eps) - 0.5 * (
        gaussian_transport(m1, v1, m1, v1, eps) + gaussian_transport(m2, v2, m2, v2, eps)
    )
    step = line[1] - line[0]
    grid = monge.Grid(401, spacing=step)
    for cost in (grid, (line[:, np.newaxis] - line) ** 2):
        loss = monge.sinkhorn_divergence(a=a / a.sum(), b=b / b.sum(), cost=cost, eps=eps, tol=1e-10)
        assert loss == pytest.approx(wanted, rel=1e-8)


def test_unbalanced_diracs():
    rho, eps, C = 0.8, 0.3, 2.5

    def transport(a, b, C):
        m = (a * b) ** ((rho + eps) / (2 * rho + eps)) * math.exp(-C / (2 * rho + eps))
        return rho * (a + b - 2 * m) + eps * (a * b - m)

    a, b = 1.7, 0.6
    wanted = transport(a, b, C) - 0.5 * (transport(a, a, 0.0) + transport(b, b, 0.0)) + 0.5 * eps * (a - b) ** 2
    loss = monge.sinkhorn_divergence([[0.0]], [[math.sqrt(C)]], [a], [b], eps=eps, marginals=monge.KL(rho), tol=1e-10)
    assert loss == pytest.approx(wanted, rel=1e-9)
    # Without the mass term, twice the mass in the same place would be nearer than the same mass.
    assert monge.sinkhorn_divergence([[0.0]], [[0.0]], [1.0], [2.0], eps=eps, marginals=monge.KL(rho)) > 0.1


@pytest.mark.parametrize("marginals", MARGINALS)
@pytest.mark.parametrize("ground", ["sqeuclidean", "euclidean", "cityblock", ("euclidean", 1.5)])
def test_nothing_between_a_measure_and_itself(marginals, ground):
    rng = np.random.default_rng(2)
    x, _, a, _ = clouds(rng)
    order = rng.permutation(len(x))
    loss = monge.sinkhorn_divergence(x, x[order], a, a[order], eps=0.2, cost=ground, marginals=marginals, tol=1e-9)
    assert abs(loss) < 1e-9
    assert np.abs(loss.grad_x).max() < 1e-6
    assert np.abs(loss.grad_a).max() < 1e-5
    other = monge.sinkhorn_divergence(x, x + 0.1, a, a, eps=0.2, cost=ground, marginals=marginals, tol=1e-9)
    assert other > 1e-4


def test_sejourne_proposition_12():
    rng = np.random.default_rng(3)
    x, y, a, b = clouds(rng, unequal=True)
    rho, eps = 0.7, 0.3
    loss = monge.sinkhorn_divergence(x, y, a, b, eps=eps, marginals=monge.KL(rho), tol=1e-10)
    across, of_x, of_y = loss.terms
    there = a @ (np.exp(-of_x.f / rho) - np.exp(-across.f / rho))
    back = b @ (np.exp(-of_y.f / rho) - np.exp(-across.g / rho))
    assert loss == pytest.approx((rho + eps / 2.0) * (there + back), rel=1e-8)
    np.testing.assert_allclose(loss.grad_a, (rho + eps) * (np.exp(-of_x.f / rho) - np.exp(-across.f / rho)), atol=1e-8)


def test_small_eps_is_transport():
    rng = np.random.default_rng(4)
    x, y, a, b = clouds(rng)
    exact = monge.emd(monge.PointCloud(x, y), a, b).value
    assert monge.sinkhorn_divergence(x, y, a, b, eps=1e-5, tol=1e-6) == pytest.approx(exact, rel=1e-3)


def test_large_eps():
    rng = np.random.default_rng(5)
    x, y, a, b = clouds(rng)

    def mean(x, y, a, b):
        return a @ np.linalg.norm(x[:, np.newaxis] - y, axis=2) @ b

    half_energy = mean(x, y, a, b) - 0.5 * (mean(x, x, a, a) + mean(y, y, b, b))
    loss = monge.sinkhorn_divergence(x, y, a, b, eps=1e5, cost="euclidean", tol=1e-12)
    assert loss == pytest.approx(half_energy, rel=1e-4)
    means = a @ x - b @ y
    loss = monge.sinkhorn_divergence(x, y, a, b, eps=1e5, tol=1e-12)
    assert loss == pytest.approx(means @ means, rel=1e-4)


# Derivatives


@pytest.mark.parametrize("marginals", MARGINALS)
@pytest.mark.parametrize("ground", ["sqeuclidean", "euclidean"])
def test_finite_differences(marginals, ground):
    rng = np.random.default_rng(6)
    x, y, a, b = clouds(rng, unequal=marginals is not None)

    def value(x=x, y=y, a=a, b=b):
        return monge.sinkhorn_divergence(x, y, a, b, eps=0.4, cost=ground, marginals=marginals, tol=1e-11)

    loss, h = value(), 1e-5
    for name, point in (("x", x), ("y", y), ("a", a), ("b", b)):
        away = rng.normal(size=point.shape)
        if name in "ab":
            away *= 0.05
            if marginals is None:
                away -= away.mean()
        ends = [value(**{name: point + sign * h * away}) for sign in (1.0, -1.0)]
        slope = (ends[0] - ends[1]) / (2.0 * h)
        assert (getattr(loss, f"grad_{name}") * away).sum() == pytest.approx(slope, rel=2e-5, abs=1e-7)


def test_balanced_gradients_of_weights_agree_on_their_constant():
    rng = np.random.default_rng(7)
    x, y, a, b = clouds(rng)
    loss = monge.sinkhorn_divergence(x, y, a, b, eps=0.4)
    assert loss.grad_a @ a / a.sum() == pytest.approx(loss.grad_b @ b / b.sum(), abs=1e-12)


# One potential


CASES = {
    Route.STORED: lambda rng: monge.PointCloud(*[rng.normal(size=(400, 3))] * 2),
    Route.MULTISCALE: lambda rng: monge.PointCloud(*[rng.normal(size=(2500, 2))] * 2),
    Route.PASSES: lambda rng: monge.Grid((40, 30)),
}


@pytest.mark.parametrize("route", CASES)
@pytest.mark.parametrize("share", [1e-4, 0.01, 1.0, 100.0])
@pytest.mark.parametrize("marginals", [None, "KL", "TV"])
def test_self_terms_take_a_few_passes_at_any_eps(route, share, marginals):
    rng = np.random.default_rng(8)
    cost = CASES[route](rng)
    mean = float(np.mean(cost.sample()))
    both = as_marginals(None if marginals is None else getattr(monge, marginals)(0.5 * mean))
    a = rng.random(cost.shape[0])
    problem = Problem(cost, a, a, both, share * mean, 1e-3, 1000, symmetric=True)
    assert problem.way is route
    own = solve_one(problem, 1)
    assert own.converged
    assert own.marginal_error <= 1.01e-3
    assert own.iterations <= 6
    np.testing.assert_array_equal(own.f, own.g)


def test_self_terms_of_a_cost_that_is_no_positive_kernel():
    rng = np.random.default_rng(9)
    C = rng.random((50, 50))
    C = C + C.T  # not even zero from a place to itself
    a, b = rng.random(50), rng.random(50)
    loss = monge.sinkhorn_divergence(a=a / a.sum(), b=b / b.sum(), cost=C, eps=0.05, tol=1e-9)
    assert loss.converged
    own = loss.terms[1]
    assert own.marginal_error < 1e-8
    plain = monge.sinkhorn(C, a / a.sum(), a / a.sum(), eps=0.05, tol=1e-10)
    assert own.value == pytest.approx(plain.value, abs=1e-10)


@pytest.mark.parametrize("marginals", [Balanced(), monge.KL(0.5), monge.TV(0.3)])
def test_symmetric_steps_are_those_of_the_reference(marginals):
    rng = np.random.default_rng(10)
    a = rng.random(30)
    a[3] = 0.0
    f, g, *s = rng.normal(size=(8, 30))
    steps = [kind(a, a, (marginals, marginals), f.copy(), g.copy(), 8, True) for kind in (Steps, ReferenceSteps)]
    for k in range(6):
        for one in steps:
            one.s[:] = s[k]
            if k == 3:
                one.advance(0.4)
            else:
                one.accelerate(0.4, False)
        np.testing.assert_allclose(steps[0].g, steps[1].g, rtol=1e-9, atol=1e-9)


# What it takes, and what it gives


def test_batches_are_their_problems():
    rng = np.random.default_rng(11)
    x, y = rng.normal(size=(5, 20, 2)), rng.normal(size=(5, 16, 2))
    a = rng.random((5, 20))
    a /= a.sum(axis=1, keepdims=True)
    many = monge.sinkhorn_divergence(x, y, a, eps=0.3)
    assert len(many) == 5
    for k, loss in enumerate(many):
        one = monge.sinkhorn_divergence(x[k], y[k], a[k], eps=0.3)
        assert loss == one
        np.testing.assert_array_equal(loss.grad_x, one.grad_x)
    ragged = monge.sinkhorn_divergence([x[0], x[1, :7]], y[0], eps=0.3)
    assert ragged[1] == monge.sinkhorn_divergence(x[1, :7], y[0], eps=0.3)


@pytest.mark.parametrize("tol", [1e-3, 1e-7])
def test_a_start_saves_passes_and_changes_nothing_else(tol):
    rng = np.random.default_rng(3)
    x, y, a, b = clouds(rng, n=200, m=150)
    options = {"eps": 0.1, "tol": tol}
    before = monge.sinkhorn_divergence(x, y, a, b, **options)
    near = x + 1e-3 * rng.normal(size=x.shape)
    cold = monge.sinkhorn_divergence(near, y, a, b, **options)
    warm = monge.sinkhorn_divergence(near, y, a, b, init=before, **options)
    assert sum(t.iterations for t in warm.terms) < 0.7 * sum(t.iterations for t in cold.terms)
    assert abs(warm - cold) <= warm.error_bound + cold.error_bound
    assert warm.converged
    with pytest.raises(ValueError, match="for a single problem"):
        monge.sinkhorn_divergence([x], [y], **options, init=before)
    with pytest.raises(ValueError, match="init's f should have shape"):
        monge.sinkhorn_divergence(x[1:], y, **options, init=before)
    assert np.abs(warm.grad_x - cold.grad_x).max() < 100.0 * tol * np.abs(cold.grad_x).max()


def test_histograms_over_a_shared_cost():
    rng = np.random.default_rng(12)
    a, b = rng.random((2, 4, 6))
    a, b = (w / w.sum(axis=1, keepdims=True) for w in (a, b))
    places = np.arange(6.0)
    C = (places[:, np.newaxis] - places) ** 2
    of_matrix = monge.sinkhorn_divergence(a=a, b=b, cost=C, eps=0.5, tol=1e-9)
    of_grid = monge.sinkhorn_divergence(a=a, b=b, cost=monge.Grid(6), eps=0.5, tol=1e-9)
    of_points = [
        monge.sinkhorn_divergence(places[:, None], places[:, None], *w, eps=0.5, tol=1e-9)
        for w in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(of_matrix, of_points, atol=1e-9)
    np.testing.assert_allclose(of_grid, of_points, atol=1e-9)
    with pytest.raises(TypeError, match="grad_x and grad_y need a cost between points"):
        of_matrix[0].grad_x  # noqa: B018


def test_a_function_of_the_user():
    rng = np.random.default_rng(13)
    x, y, a, b = clouds(rng)

    def cost(p, q):
        return (p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2

    def gradient(p, q, out):
        out[0], out[1] = 2.0 * (p[0] - q[0]), 2.0 * (p[1] - q[1])

    own = monge.sinkhorn_divergence(x, y, a, b, eps=0.3, cost=monge.GroundCost(cost, gradient=gradient), tol=1e-9)
    built_in = monge.sinkhorn_divergence(x, y, a, b, eps=0.3, tol=1e-9)
    assert own == pytest.approx(built_in, abs=1e-9)
    np.testing.assert_allclose(own.grad_x, built_in.grad_x, atol=1e-8)


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), eps=st.floats(0.05, 2.0), which=st.integers(0, 1))
def test_the_bound_on_the_error_holds(seed, eps, which):
    rng = np.random.default_rng(seed)
    x, y, a, b = clouds(rng, 30, 40, unequal=which == 1)
    options = {"eps": eps, "marginals": MARGINALS[which]}
    rough = monge.sinkhorn_divergence(x, y, a, b, tol=0.05, **options)
    fine = monge.sinkhorn_divergence(x, y, a, b, tol=1e-10, **options)
    assert abs(rough - fine) <= rough.error_bound + 1e-9
    assert fine.error_bound < 1e-6


def test_the_bound_knows_of_single_precision():
    # Passes in single precision know the mass to 1e-7, which enters a value times eps.
    rng = np.random.default_rng(5)
    for total, n in ((5.0, 75), (1.0, 75), (1.0, 1200)):
        x, a = rng.normal(size=(n, 4)), rng.random(n)
        loss = monge.sinkhorn_divergence(x, x, total * a / a.sum(), total * a / a.sum(), eps=7.6, tol=1e-6)
        assert abs(loss) <= loss.error_bound + 1e-12
        assert loss.error_bound < 1e-5


def test_symmetry_is_tried_some_rows_at_a_time():
    n = 2100
    places = np.arange(n)
    C = np.abs(places[:, np.newaxis] - places).astype(float)
    C[2050, 3] += 1.0
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"it is 2047.0 from 3 to 2050, and 2048.0 back"):
        monge.sinkhorn_divergence(cost=C, eps=1.0)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1.5 * C.nbytes
    C[3, 2050] += 1.0
    C[2050, 2090] += 1.0
    with pytest.raises(ValueError, match=r"it is 41.0 from 2050 to 2090, and 40.0 back"):
        monge.sinkhorn_divergence(cost=C, eps=1.0)


def test_same_bits_for_any_number_of_threads():
    rng = np.random.default_rng(14)
    x, y, a, b = clouds(rng, 1800, 1700, 3)
    one, two = (monge.sinkhorn_divergence(x, y, a, b, eps=0.05, threads=threads) for threads in (1, 2))
    assert one == two
    np.testing.assert_array_equal(one.grad_x, two.grad_x)


def test_pickles():
    rng = np.random.default_rng(15)
    x, y, a, b = clouds(rng)
    loss = monge.sinkhorn_divergence(x, y, a, b, eps=0.3)
    again = pickle.loads(pickle.dumps(loss))
    assert again == loss
    np.testing.assert_array_equal(again.grad_x, loss.grad_x)


def test_short_of_passes_it_says_so():
    rng = np.random.default_rng(16)
    x, y, a, b = clouds(rng, 60, 60)
    with pytest.warns(monge.ConvergenceWarning, match="sinkhorn_divergence: max_iter ran out"):
        loss = monge.sinkhorn_divergence(x, y, a, b, eps=0.01, tol=1e-12, max_iter=2)
    assert not loss.converged
    with pytest.warns(monge.ConvergenceWarning, match="2 of 3 problems: max_iter ran out") as warned:
        losses = monge.sinkhorn_divergence([x, x, x[:1]], [y, y, y[:1]], eps=0.01, tol=1e-12, max_iter=2)
    assert [loss.converged for loss in losses] == [False, False, True]
    assert not any("init=" in str(each.message) for each in warned)  # which a batch does not take


def one_way(p, q):
    return max(p[0] - q[0], 0.0)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"x": [[0.0]], "eps": 1.0}, TypeError, "points of both measures"),
        ({"eps": 1.0}, TypeError, "needs points x and y, or cost= a matrix"),
        ({"x": [[0.0]], "y": [[1.0]], "eps": 1.0, "cost": [[0.0]]}, TypeError, "Leave x and y out"),
        ({"cost": [[0.0, 1.0], [2.0, 0.0]], "eps": 1.0}, ValueError, "C should be symmetric; it is 1.0 from 0 to 1"),
        ({"cost": [[0.0, 1.0]], "eps": 1.0}, ValueError, r"\(n, n\); got 1 x 2"),
        ({"x": [[0.0]], "y": [[1.0]], "eps": 1.0, "marginals": (monge.KL(1), monge.KL(2))}, ValueError, "one penalty"),
        ({"x": [[0.0]], "y": [[1.0]], "eps": 1.0, "cost": one_way}, ValueError, "should be symmetric"),
        ({"x": [[0.0]], "y": [[1.0]], "eps": -1.0}, ValueError, "eps should be positive"),
        ({"x": [[0.0]], "y": [[1.0, 2.0]], "eps": 1.0}, ValueError, "same dimension"),
        ({"x": [[0.0]], "y": [[1.0]], "a": [1.0, 1.0], "eps": 1.0}, ValueError, r"a should have shape \(1,\)"),
        ({"x": [[0.0]], "y": [[1.0]], "a": [1.0], "b": [2.0], "eps": 1.0}, ValueError, "the same total mass"),
        ({"x": np.ones((2, 3, 1)), "y": np.ones((3, 3, 1)), "eps": 1.0}, ValueError, "batches of as many clouds"),
        ({"x": [], "y": [], "eps": 1.0}, ValueError, "at least one"),
        ({"x": [[0.0]], "y": [[1.0]], "eps": 1.0, "init": 0.0}, TypeError, "init should be a result of"),
        ({"cost": [], "eps": 1.0}, ValueError, "got an empty one"),
        ({"cost": [[0.0]], "a": [], "eps": 1.0}, ValueError, "got an empty one"),
        ({"cost": [[0.0]], "b": np.ones((0, 1)), "eps": 1.0}, ValueError, "got an empty one"),
        ({"x": np.zeros((2, 3, 1)), "y": np.full((2, 3, 1), np.nan), "eps": 1.0}, ValueError, "problem 0"),
    ],
)  # fmt: skip
def test_bad_input(arguments, error, text):
    with pytest.raises(error, match=text):
        monge.sinkhorn_divergence(**arguments)
