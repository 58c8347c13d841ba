"""The gradient flow: closed trajectories, every kind of loss, warm starts, and what it says when it stops."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln

import monge
from monge.flows.flow import FlowStatus


def clouds(n=40, m=30, d=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) * 0.5 + 2.0


def bowl(centre, masses, stiffness=1.0):
    """sum_i mass_i stiffness / 2 |x_i - centre|^2 as a pair: all particles feel the same force, whatever their mass."""

    def loss(x):
        pull = stiffness * (x - centre)
        return 0.5 / stiffness * float((masses[:, None] * pull**2).sum()), masses[:, None] * pull

    return loss


def order_statistics(n, m):
    """P(point j of n is the i-th of a random batch of m), (n, m)."""
    j, i = np.arange(1, n + 1)[:, None], np.arange(1, m + 1)

    def log_choose(top, below):
        inside = (below >= 0) & (below <= top)
        top, below = np.where(inside, top, 0), np.where(inside, below, 0)
        return np.where(inside, gammaln(top + 1) - gammaln(below + 1) - gammaln(top - below + 1), -np.inf)

    return np.exp(log_choose(j - 1, i - 1) + log_choose(n - j, m - i) - log_choose(n, m))


# Closed trajectories


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    step=st.floats(0.01, 1.5),
    momentum=st.sampled_from([0.0, 0.3, 0.9]),
    stiffness=st.floats(0.1, 1.0),
)
def test_heavy_ball_on_a_parabola(seed, step, momentum, stiffness):
    rng = np.random.default_rng(seed)
    x0, centre, masses = rng.normal(size=(5, 2)), rng.normal(size=2), rng.random(5) + 0.01
    loss = bowl(centre, masses, stiffness)
    flow = monge.gradient_flow(x0, loss, masses, step=step, n_steps=12, momentum=momentum)
    # e' = (1 - h + momentum) e - momentum e_before, from e_0 and e_1 = (1 - h) e_0, with h = step * stiffness
    one_step = np.array([[1.0 - step * stiffness + momentum, -momentum], [1.0, 0.0]])
    rates = [(np.linalg.matrix_power(one_step, t) @ [1.0, 1.0])[0] for t in range(13)]
    wanted = centre + np.multiply.outer(rates, x0 - centre)
    np.testing.assert_allclose(flow.trajectory, wanted, atol=1e-12)
    np.testing.assert_allclose(flow.times, step * np.arange(13))
    np.testing.assert_allclose(flow.values, [loss(x)[0] for x in flow.trajectory], rtol=1e-12)
    assert flow.status is FlowStatus.DONE


@pytest.mark.parametrize("weighted", [False, True])
def test_a_translate_is_reached_on_straight_lines(weighted):
    x0, shift = clouds(d=3)[0], np.array([1.0, -2.0, 0.5])
    a = np.random.default_rng(1).random(len(x0)) + 0.05 if weighted else None

    def loss(x):
        return monge.emd(monge.PointCloud(x, x0 + shift), a, a)

    flow = monge.gradient_flow(x0, loss, a, step=0.1, n_steps=20)
    left = 0.8 ** np.arange(21)
    np.testing.assert_allclose(flow.trajectory, x0 + np.multiply.outer(1.0 - left, shift)[:, None], atol=1e-12)
    np.testing.assert_allclose(flow.values, left**2 * (shift @ shift) * (1.0 if a is None else a.sum()), rtol=1e-12)


@pytest.mark.parametrize("m", [2, 20, 200])
def test_minibatches_on_the_line(m):
    n, eta = 200, 0.1
    rng = np.random.default_rng(0)
    y, x0 = np.sort(rng.normal(size=n)), np.sort(rng.normal(size=n)) - 5.0
    each = order_statistics(n, m)
    plan = each @ each.T / m  # the complete minibatch plan of sorted points

    def loss(x):
        order = np.argsort(x[:, 0])
        apart = x[order] - y
        gradient = np.empty_like(x)
        gradient[order] = 2.0 * (x[order] / n - (plan @ y)[:, None])
        return float((plan * apart**2).sum()), gradient

    flow = monge.gradient_flow(x0, loss, step=eta / 2.0, n_steps=60)
    goal = n * plan @ y
    wanted = goal + np.multiply.outer((1.0 - eta) ** np.arange(61), x0 - goal)
    np.testing.assert_allclose(flow.trajectory[:, :, 0], wanted, atol=1e-12)
    blur = {2: 0.3315, 20: 0.9045, 200: 1.0}[m]  # how much of its spread the target keeps
    assert goal.std() / y.std() == pytest.approx(blur, abs=1e-3)


def test_minibatches_of_the_library_on_the_line():
    n, m = 60, 6
    y, x0 = np.linspace(-1.0, 1.0, n), 0.5 * np.linspace(-1.0, 1.0, n) - 5.0
    each = order_statistics(n, m)
    plan = each @ each.T / m
    goal, smoothing = n * plan @ y, np.eye(n) - 0.1 * n * plan

    def complete(x):
        return monge.minibatch(x, y, batch_size=m, n_batches="all")

    flow = monge.gradient_flow(x0, complete, step=0.05, n_steps=40)
    np.testing.assert_allclose(flow.points[:, 0], goal + 0.9**40 * (x0 - goal), atol=1e-12)
    # U(x, x) / 2 has the derivative (x - n Pi x) / n: what is left of x - y is smoothed, and goes to zero.
    flow = monge.gradient_flow(x0, lambda x: complete(x).debiased, step=0.05, n_steps=40)
    wanted = y + np.linalg.matrix_power(smoothing, 40) @ (x0 - y)
    np.testing.assert_allclose(flow.points[:, 0], wanted, atol=1e-12)


def test_drawn_minibatches_go_where_all_of_them_do():
    n, m = 200, 20
    rng = np.random.default_rng(0)
    y, x0 = np.sort(rng.normal(size=n)), np.sort(rng.normal(size=n)) - 5.0
    goal = order_statistics(n, m) @ order_statistics(n, m).T @ y * n / m

    def loss(x):
        return monge.minibatch(x, y, batch_size=m, n_batches=10, rng=rng)

    flow = monge.gradient_flow(x0, loss, step=0.05, n_steps=100)
    wanted = goal + 0.9**100 * (x0 - goal)
    assert np.sqrt(((np.sort(flow.points[:, 0]) - wanted) ** 2).mean()) < 0.1
    assert flow.points.std() == pytest.approx(0.905 * y.std(), abs=0.05)


# Losses of the library


EPS = {"eps": 0.1, "tol": 1e-5}
LOSSES = {
    "emd": lambda x, y: monge.emd(monge.PointCloud(x, y)),
    "distance": lambda x, y: monge.emd(monge.PointCloud(x, y, "euclidean")),
    "sinkhorn": lambda x, y: monge.sinkhorn(monge.PointCloud(x, y), **EPS),
    "unbalanced": lambda x, y: monge.sinkhorn(monge.PointCloud(x, y), marginals=monge.KL(5.0), **EPS),
    "divergence": lambda x, y: monge.sinkhorn_divergence(x, y, **EPS),
    "unbalanced divergence": lambda x, y: monge.sinkhorn_divergence(x, y, marginals=monge.KL(5.0), **EPS),
    "sliced": lambda x, y: monge.sliced_wasserstein(x, y, n_projections=20, rng=0),
    "max sliced": lambda x, y: monge.max_sliced_wasserstein(x, y, rng=0),
    "energy": lambda x, y: monge.energy_distance(x, y),
    "mmd": lambda x, y: monge.mmd(x, y, bandwidth=2.0),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("line_search", [False, True])
def test_losses_fall(name, line_search):
    x0, y = clouds()
    step = 1.0 if line_search else 0.02
    flow = monge.gradient_flow(x0, lambda x: LOSSES[name](x, y), step=step, n_steps=15, line_search=line_search)
    assert (np.diff(flow.values) < 0.0).all()
    assert flow.last.value == flow.values[-1]
    assert flow.values[-1] == pytest.approx(LOSSES[name](flow.points, y).value, rel=1e-12)
    assert np.linalg.norm(flow.points.mean(axis=0) - 2.0) < np.linalg.norm(x0.mean(axis=0) - 2.0)


def test_divergence_reaches_its_target():
    x0, y = clouds(n=60, m=60)
    flow = monge.gradient_flow(x0, lambda x: monge.sinkhorn_divergence(x, y, eps=0.05), step=0.2, n_steps=60)
    assert flow.values[-1] < 1e-3 * flow.values[0]
    assert monge.wasserstein(flow.points, y) < 0.1
    alone = monge.gradient_flow(x0, lambda x: monge.sinkhorn(monge.PointCloud(x, y), eps=0.5), step=0.2, n_steps=60)
    assert alone.points.std(axis=0).max() < 0.8 * y.std(axis=0).min()  # which the entropic cost shrinks


def test_a_loss_that_draws():
    x0, y = clouds(200, 200)
    rng = np.random.default_rng(0)

    def loss(x):
        i, j = (rng.choice(200, 50, replace=False) for _ in range(2))
        t = monge.emd(monge.PointCloud(x[i], y[j]))
        gradient = np.zeros_like(x)
        gradient[i] = t.grad_x
        return t.value, gradient

    flow = monge.gradient_flow(x0, loss, step=0.05, n_steps=80)
    assert monge.wasserstein(flow.points, y) < 0.3 * monge.wasserstein(x0, y)
    with pytest.raises(ValueError, match="line_search compares values"):
        monge.gradient_flow(x0, loss, step=0.05, n_steps=80, line_search=True)


# Warm starts


def test_a_warm_start_saves_pivots():
    x0, y = clouds(150, 150)

    def run(warm):
        counts = []

        def loss(x, init):
            t = monge.emd(monge.PointCloud(x, y), init=init if warm else None)
            counts.append(t.stats["pivots"])
            return t

        return monge.gradient_flow(x0, loss, step=0.01, n_steps=10), sum(counts[1:])

    (cold, many), (warm, few) = run(False), run(True)
    assert few < 0.7 * many
    np.testing.assert_allclose(warm.points, cold.points, atol=1e-12)


def test_a_warm_start_saves_passes():
    x0, y = clouds(150, 150)

    def passes(warm):
        counts = []

        def loss(x, init):
            s = monge.sinkhorn_divergence(x, y, eps=0.1, init=init if warm else None)
            counts.append(sum(t.iterations for t in s.terms))
            return s

        monge.gradient_flow(x0, loss, step=0.01, n_steps=10)
        return sum(counts[1:])

    assert passes(True) < 0.8 * passes(False)


@pytest.mark.parametrize("line_search", [False, True])
def test_init_is_what_the_loss_returned_where_the_points_were(line_search):
    seen, returned = [], {}

    def loss(x, *, init=None):
        seen.append((x.copy(), init))
        return returned.setdefault(x.tobytes(), SimpleNamespace(value=float((x**2).sum()), grad_x=2.0 * x))

    flow = monge.gradient_flow([[1.0]], loss, step=0.75, n_steps=3, line_search=line_search)
    starts = dict(zip(map(np.ndarray.tobytes, flow.trajectory[1:]), flow.trajectory[:-1], strict=True))
    assert len(starts) == 3
    for x, init in seen:
        if x.tobytes() in starts:
            assert init is returned[starts[x.tobytes()].tobytes()]


# Line search


def test_line_search_in_a_curved_valley():
    def rosenbrock(x):
        u, v = x[:, 0], x[:, 1]
        value = (1.0 - u) ** 2 + 100.0 * (v - u**2) ** 2
        slope = np.stack([-2.0 * (1.0 - u) - 400.0 * u * (v - u**2), 200.0 * (v - u**2)], axis=1)
        return float(value.sum()), slope

    flow = monge.gradient_flow([[-1.2, 1.0]], rosenbrock, step=1.0, n_steps=3000, line_search=True)
    assert (np.diff(flow.values) < 0.0).all()
    assert flow.values[-1] < 1e-3
    sizes = np.diff(flow.times)
    assert sizes.max() / sizes.min() >= 4.0  # they get longer again, too


def test_line_search_goes_to_the_bottom_at_once():
    x0, y = clouds(30, 30)
    flow = monge.gradient_flow(x0, lambda x: monge.emd(monge.PointCloud(x, y)), step=1.0, n_steps=50, line_search=True)
    assert flow.status is FlowStatus.MINIMUM  # no warning
    assert flow.values[-1] < 1e-25
    flow = monge.gradient_flow(
        x0,
        lambda x: monge.sinkhorn(monge.PointCloud(x, y), eps=1.0, tol=1e-10),
        step=1.0,
        n_steps=500,
        line_search=True,
    )
    assert np.abs(flow.last.grad_x).max() < 1e-6


@pytest.mark.parametrize("offset", [-8.0, 3.0])  # the first of which makes the value at the start zero
def test_line_search_knows_a_minimum_whatever_the_value_at_the_start(offset):
    def loss(x):
        return float((x**2).sum()) + offset, 2.0 * x

    flow = monge.gradient_flow(np.ones((4, 2)), loss, step=0.1, n_steps=100, line_search=True)
    assert flow.status is FlowStatus.MINIMUM  # no warning
    np.testing.assert_allclose(flow.points, 0.0, atol=1e-6)


def test_line_search_notices_a_wrong_gradient():
    def uphill(x):
        return float((x**2).sum()), -2.0 * x

    with pytest.warns(monge.ConvergenceWarning, match="not that of its value"):
        flow = monge.gradient_flow([[1.0]], uphill, step=0.1, n_steps=5, line_search=True)
    assert flow.status is FlowStatus.STALLED
    np.testing.assert_array_equal(flow.trajectory, [[[1.0]]])


# What comes back


@pytest.mark.parametrize(
    ("record", "kept"), [(1, list(range(11))), (3, [0, 3, 6, 9, 10]), (5, [0, 5, 10]), (99, [0, 10]), (None, [0, 10])]
)
def test_records(record, kept):
    x0, loss = clouds(5)[0], bowl(0.0, np.full(5, 0.2))
    whole = monge.gradient_flow(x0, loss, step=0.1, n_steps=10)
    flow = monge.gradient_flow(x0, loss, step=0.1, n_steps=10, record=record)
    np.testing.assert_array_equal(flow.recorded, kept)
    np.testing.assert_array_equal(flow.trajectory, whole.trajectory[kept])
    np.testing.assert_array_equal(flow.trajectory[0], x0)
    np.testing.assert_array_equal(flow.trajectory[-1], flow.points)
    assert len(flow.values) == len(flow.times) == 11
    assert "5 points in 2-D, 10 steps" in repr(flow)


def test_goes_on_from_its_points():
    x0, y = clouds()

    def flow(x, n_steps):
        return monge.gradient_flow(x, lambda x: monge.emd(monge.PointCloud(x, y)), step=0.1, n_steps=n_steps).points

    np.testing.assert_array_equal(flow(flow(x0, 4), 6), flow(x0, 10))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keeps_the_type_and_the_callers_array(dtype):
    x0, y = (points.astype(dtype) for points in clouds())
    before, seen = x0.copy(), []

    def loss(x):
        seen.append(x)
        return monge.energy_distance(x, y)

    flow = monge.gradient_flow(x0, loss, step=0.1, n_steps=3)
    assert flow.points.dtype == flow.trajectory.dtype == dtype
    np.testing.assert_array_equal(x0, before)
    for x, recorded in zip(seen, flow.trajectory, strict=True):  # what a loss saw, it may keep
        np.testing.assert_array_equal(x, recorded)
        assert x.dtype == dtype


def test_a_vector_is_points_on_the_line():
    flow = monge.gradient_flow([0, 1], lambda x: monge.energy_distance(x, [5.0]), step=0.1, n_steps=2)
    assert flow.points.shape == (2, 1)


def test_stops_in_time():
    calls = []

    def loss(x):
        calls.append(x)
        return monge.energy_distance(x, [[5.0]])

    with pytest.warns(monge.ConvergenceWarning, match=r"time_limit ran out.*\(0 of 1000000000 steps\)"):
        flow = monge.gradient_flow([[0.0]], loss, step=0.1, n_steps=10**9, record=None, time_limit=0.0)
    assert flow.status is FlowStatus.TIME_LIMIT
    assert len(calls) == len(flow.values) == len(flow.trajectory) == 1


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_too_long_steps_end_at_the_last_finite_points(momentum):
    def loss(x):
        with np.errstate(over="ignore"):
            return float((x**2).sum()), 2.0 * x

    with pytest.warns(monge.ConvergenceWarning, match="Lower step"):
        flow = monge.gradient_flow([[1.0]], loss, step=5.0, n_steps=10_000, momentum=momentum)
    assert flow.status is FlowStatus.DIVERGED
    assert np.isfinite(flow.trajectory).all()
    assert np.isfinite(flow.values).all()
    assert 10 < len(flow.values) == len(flow.trajectory) < 1000
    np.testing.assert_array_equal(flow.trajectory[-1], flow.points)


@pytest.mark.parametrize("line_search", [False, True])
def test_a_gradient_that_is_no_number_on_the_way(line_search):
    def loss(x):
        return float(x.sum()), np.where(x < 0.5, np.nan, 1.0)

    with pytest.warns(monge.ConvergenceWarning, match="were not finite"):
        flow = monge.gradient_flow([[1.0]], loss, step=0.2, n_steps=9, line_search=line_search)
    assert flow.points.item() == pytest.approx(0.4)


# Bad input


def simple(x):
    return float((x**2).sum()), 2.0 * x


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"loss": 3.0}, TypeError, "loss should be a function"),
        ({"loss": lambda x: 3.0}, TypeError, "something with .value and .grad_x; got float"),
        ({"loss": lambda x: monge.wasserstein(x, x + 1.0)}, TypeError, "got float. Return what monge's losses return"),
        ({"loss": lambda x: monge.js([1.0], [1.0])}, TypeError, "grad_x|value"),
        ({"loss": lambda x: SimpleNamespace(value=1.0)}, TypeError, "something with .grad_x to go along"),
        ({"loss": lambda x: monge.emd((x - x.T) ** 2)}, TypeError, "something with .grad_x.*PointCloud"),
        ({"loss": lambda x: (1.0, x[:1])}, ValueError, r"shape of the points, \(2, 1\); got \(1, 1\)"),
        ({"loss": lambda x: (1.0, None)}, TypeError, "loss's grad_x should be"),
        ({"loss": lambda x: (1.0, x * np.nan)}, ValueError, "2 derivatives that are not finite"),
        ({"loss": lambda x: (np.nan, x)}, ValueError, "the value nan"),
        ({"loss": lambda x: ("one", x)}, TypeError, "loss's value should be a real number"),
        ({"step": 0.0}, ValueError, "step should be positive"),
        ({"step": np.inf}, ValueError, "step should be positive"),
        ({"step": "armijo"}, TypeError, "step should be positive"),
        ({"n_steps": 0}, ValueError, "n_steps should be a positive integer"),
        ({"n_steps": 2.5}, ValueError, "n_steps should be a positive integer"),
        ({"momentum": 1.0}, ValueError, r"momentum should be in \[0, 1\)"),
        ({"momentum": -0.1}, ValueError, r"momentum should be in \[0, 1\)"),
        ({"momentum": 0.5, "line_search": True}, ValueError, "leave one of them out"),
        ({"record": 0}, ValueError, "record should be a positive integer"),
        ({"time_limit": -1.0}, ValueError, "time_limit should be"),
        ({"a": [1.0]}, ValueError, r"a should have shape \(2,\)"),
        ({"a": [1.0, 0.0]}, ValueError, r"a\[1\] = 0.0. A particle without mass"),
        ({"a": [1.0, np.nan]}, ValueError, r"a\[1\] = nan"),
        ({"x0": [[1.0], [np.nan]]}, ValueError, "x0 should hold finite coordinates"),
        ({"x0": np.zeros((0, 2))}, ValueError, "x0 should hold at least one point"),
        ({"n_steps": 10**15}, MemoryError, "record=10 or with record=None|with record=10"),
    ],
)
def test_bad_input(arguments, error, text):
    given = {"x0": [[1.0], [2.0]], "loss": simple, "a": None, "step": 0.1, "n_steps": 3, **arguments}
    with pytest.raises(error, match=text):
        monge.gradient_flow(given.pop("x0"), given.pop("loss"), given.pop("a"), **given)
