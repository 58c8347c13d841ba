"""gromov_wasserstein between clouds and matrices, without entropy."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import monge
from monge.structures.clouds import Cloud, CloudForm
from monge.structures.descent import steps


def squared(x):
    return ((x[:, np.newaxis] - x[np.newaxis]) ** 2).sum(axis=-1)


def energy(C, D, P):
    return float(np.einsum("ikjl,ij,kl->", (C[:, :, np.newaxis, np.newaxis] - D) ** 2, P, P))


def clouds(n, m, d, e, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.random(n), rng.random(m)
    return rng.normal(size=(n, d)) + 7.0, rng.normal(size=(m, e)), a, b * a.sum() / b.sum()


def best_order(C, D):
    n = len(C)
    values = (((C - D[np.ix_(p, p)]) ** 2).sum() for p in map(list, itertools.permutations(range(n))))
    return min(values) / n**2


# --- The form ---------------------------------------------------------------------------------------------------------


def test_the_form_of_clouds_is_the_sum_over_pairs_of_pairs():
    x, y, a, b = clouds(9, 7, 3, 2, 0)
    form = CloudForm(Cloud(x, a), Cloud(y, b))
    rng = np.random.default_rng(1)
    plans = [monge.emd(rng.random((9, 7)), a, b).plan for _ in range(2)]
    C, D = squared(x), squared(y)
    here, there = (form.at(plan) for plan in plans)
    wanted = energy(C, D, plans[0].toarray())
    assert here.value == pytest.approx(wanted, rel=1e-12)
    assert form.at(plans[0].toarray()).value == pytest.approx(wanted, rel=1e-11)
    slope, curve = here.along(there)
    for t in (0.3, 1.0):
        between = (1.0 - t) * plans[0].toarray() + t * plans[1].toarray()
        assert here.value + slope * t + curve * t * t == pytest.approx(energy(C, D, between), rel=1e-11)
        assert here.mixed(t, there).value == pytest.approx(energy(C, D, between), rel=1e-11)
    way = plans[1].toarray() - plans[0].toarray()
    derivative = 2.0 * np.einsum("ikjl,kl->ij", (C[:, :, np.newaxis, np.newaxis] - D) ** 2, plans[0].toarray())
    assert np.vdot(here.cost().block(slice(0, 9)), way) == pytest.approx(np.vdot(derivative, way), rel=1e-11)
    assert here.cost().x.shape[1] == 3  # one more than the smaller dimension


def test_a_step_can_be_taken_by_hand():
    x, y, a, b = clouds(12, 12, 2, 2, 2)
    form = CloudForm(Cloud(x, a), Cloud(y, b))
    start = form.at(np.multiply.outer(a, b) / a.sum())
    values, ended = [start.value], False
    for step in itertools.islice(steps(start, form.at, lambda cost, last: monge.emd(cost, a, b, init=last)), 30):
        values.append(step.after.value)
        ended = step.gap <= 1e-12 * step.after.size
        if ended:
            break
    assert ended
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(values))
    found = monge.gromov_wasserstein(x, y, a, b, init="product")
    assert found.value == pytest.approx(values[-1], rel=1e-9)


# --- Known answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [5, 40, 400])
@pytest.mark.parametrize("d", [1, 2, 3, 8])
def test_isometric_copies_give_zero_and_the_order(n, d):
    rng = np.random.default_rng(n + d)
    x = rng.normal(size=(n, d))
    turn, order = np.linalg.qr(rng.normal(size=(d, d)))[0], rng.permutation(n)
    y = 100.0 + (x @ turn)[order]
    t = monge.gromov_wasserstein(x, y)
    assert 0.0 <= t.value < 1e-18 * squared(x).max() ** 2
    assert t.lower_bound <= t.value
    np.testing.assert_array_equal(t.plan.toarray().argmax(axis=1), np.argsort(order))
    assert t.converged


def test_mirror_images_and_flat_copies_in_space():
    x = np.random.default_rng(0).normal(size=(30, 2))
    space = np.column_stack([-x, np.zeros(30)])[::-1]
    t = monge.gromov_wasserstein(x, space)
    assert t.value < 1e-20
    np.testing.assert_array_equal(t.plan.toarray().argmax(axis=1), np.arange(30)[::-1])


def test_two_points_by_hand():
    # E = 2 p (1 - p) (d^2 - e^2)^2 for equal masses p = 1/2: half of the pairs of pairs differ.
    t = monge.gromov_wasserstein([[0.0], [3.0]], [[0.0, 0.0], [0.0, 1.0]])
    assert t.value == pytest.approx(0.5 * (9.0 - 1.0) ** 2)
    assert t.lower_bound == pytest.approx(t.value)
    # One point against two: all that is left are the distances of the two.
    t = monge.gromov_wasserstein([[5.0]], [[0.0], [2.0]])
    assert t.value == pytest.approx(0.5 * 16.0)


@pytest.mark.parametrize("s", [0.5, 2.0, 3.0])
def test_a_scaled_copy(s):
    # (1 - s^2)^2 E |x - x'|^4 along the copy, which the bound by all distances shows to be the optimum.
    x = np.random.default_rng(3).normal(size=(25, 2))
    t = monge.gromov_wasserstein(x, s * x)
    wanted = (1.0 - s * s) ** 2 * np.mean(squared(x) ** 2)
    assert t.value == pytest.approx(wanted, rel=1e-9)
    assert t.lower_bound == pytest.approx(wanted, rel=1e-9)
    assert t.gap == pytest.approx(0.0, abs=1e-9 * wanted)


def test_mass_counts_by_its_square_and_scale_by_its_fourth_power():
    x, y, a, b = clouds(15, 11, 2, 3, 4)
    one = monge.gromov_wasserstein(x, y, a, b)
    heavy = monge.gromov_wasserstein(1e5 * x, 1e5 * y, 3.0 * a, 3.0 * b)
    assert heavy.value == pytest.approx(9e20 * one.value, rel=1e-9)
    assert heavy.lower_bound == pytest.approx(9e20 * one.lower_bound, rel=1e-9)
    assert one.marginal_error < 1e-12
    assert one.plan.nnz <= 15 + 11 - 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["squared", "euclidean", "integer"])
def test_no_order_of_six_places_is_better(kind, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(6, 2)), rng.normal(size=(6, 3))
    if kind == "integer":
        C, D = (M + M.T for M in rng.integers(-3, 4, size=(2, 6, 6)))
        t = monge.gromov_wasserstein(monge.CostMatrix(C), monge.CostMatrix(D), n_starts=3, rng=0)
    elif kind == "euclidean":
        C, D = np.sqrt(squared(x)), np.sqrt(squared(y))
        t = monge.gromov_wasserstein(x, y, cost="euclidean")
    else:
        C, D = squared(x), squared(y)
        t = monge.gromov_wasserstein(x, y)
    best = best_order(C, D)
    assert t.value <= best + 1e-9
    assert t.value == pytest.approx(energy(C, D, t.plan.toarray()), rel=1e-9)
    if kind != "integer":  # conditionally negative: an order is best of all plans
        assert t.value == pytest.approx(best, rel=1e-9)
    assert t.lower_bound <= t.value


def test_of_seven_points_in_the_plane_the_multistart_finds_the_optimum_from_drawn_starts(monkeypatch):
    monkeypatch.setattr("monge.structures.starts._FEW", 0)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(7, 2)), rng.normal(size=(7, 2))
        t = monge.gromov_wasserstein(x, y, n_starts=10, rng=1)
        assert t.value == pytest.approx(best_order(squared(x), squared(y)), rel=1e-9)


# --- Beside POT -------------------------------------------------------------------------------------------------------


def test_the_same_value_as_pot_from_the_same_start_and_no_worse_from_ours():
    ot = pytest.importorskip("ot", reason="POT is a peer in tests")
    for seed, (n, m, d, e) in enumerate([(30, 30, 3, 3), (30, 20, 3, 2)]):
        x, y, a, b = clouds(n, m, d, e, seed)
        a, b = a / a.sum(), b / b.sum()
        _, log = ot.gromov.gromov_wasserstein(squared(x), squared(y), a, b, log=True)
        t = monge.gromov_wasserstein(x, y, a, b, init="product")
        assert t.value == pytest.approx(log["gw_dist"], rel=1e-9)
        assert monge.gromov_wasserstein(x, y, a, b).value <= t.value * (1.0 + 1e-12)
        for_matrices = monge.CostMatrix(squared(x)), monge.CostMatrix(squared(y))
        assert monge.gromov_wasserstein(*for_matrices, a, b, init="product").value == pytest.approx(t.value, rel=1e-9)


# --- Starts -----------------------------------------------------------------------------------------------------------


def test_starts_are_all_reported_and_the_best_is_returned():
    x, y, a, b = clouds(25, 25, 3, 3, 5)
    t = monge.gromov_wasserstein(x, y, a, b, n_starts=5, rng=0)
    assert len(t.starts) == len(t.stats["iterations"]) <= 5
    assert len(t.starts) > 1
    assert t.value == t.starts[0] == t.starts.min()
    again = monge.gromov_wasserstein(x, y, a, b, n_starts=5, rng=0, threads=1)
    np.testing.assert_array_equal(t.starts, again.starts)
    np.testing.assert_array_equal(t.plan.toarray(), again.plan.toarray())
    assert monge.gromov_wasserstein(x, y, a, b).value >= t.value - 1e-12


def test_a_result_a_plan_and_arrays_are_starts():
    x, y, a, b = clouds(20, 15, 2, 2, 6)
    t = monge.gromov_wasserstein(x, y, a, b)
    for init in (t, t.plan, t.plan.toarray()):
        again = monge.gromov_wasserstein(x, y, a, b, init=init)
        assert again.iterations == 1
        assert again.value == pytest.approx(t.value, rel=1e-9)


def test_large_clouds_begin_where_samples_of_them_end():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(350, 3)) * [1.0, 0.7, 0.4], rng.normal(size=(330, 2)) * [1.1, 0.6]
    t = monge.gromov_wasserstein(x, y)
    assert t.value <= monge.gromov_wasserstein(x, y, init="product").value * (1.0 + 1e-12)


def test_samples_are_of_places_with_weight():
    rng = np.random.default_rng(0)
    x, a = rng.normal(size=(700, 2)), np.zeros(700)
    a[1::3] = 1.0  # none of which a sample of all would have
    t = monge.gromov_wasserstein(x, -x, a, a)
    assert t.value < 1e-15 * a.sum() ** 2


def test_large_matrices_and_features_have_starts():
    rng = np.random.default_rng(1)
    x, order = rng.normal(size=(310, 2)), rng.permutation(310)
    C = np.sqrt(squared(x))
    copy = monge.CostMatrix(C[np.ix_(order, order)])
    for options in ({}, {"features": (x[:, 0], x[order, 0])}, {"n_starts": 3, "rng": 0}):
        assert monge.gromov_wasserstein(monge.CostMatrix(C), copy, **options).value < 1e-12
    assert monge.gromov_wasserstein(x, x[order], features=(x[:, 0], x[order, 0])).value < 1e-12


# --- What comes in and out --------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3), st.integers(1, 3), st.integers(0, 99))
def test_bounds_values_and_sums_of_any_clouds(n, m, d, e, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(-3, 4, size=(n, d)), rng.integers(-3, 4, size=(m, e))
    t = monge.gromov_wasserstein(x, y)
    assert 0.0 <= t.lower_bound <= t.value
    assert t.value == pytest.approx(energy(squared(x), squared(y), t.plan.toarray()), rel=1e-9, abs=1e-9)
    assert t.marginal_error < 1e-12


def test_results_are_kept_and_shown():
    x, y, a, b = clouds(10, 8, 2, 2, 7)
    t = monge.gromov_wasserstein(x, y, a, b)
    back = pickle.loads(pickle.dumps(t))
    assert back.lower_bound == t.lower_bound
    assert repr(t).startswith("GromovTransport(10 x 8, value=")
    assert t.map(y).shape == (10, 2)
    assert t.shape == (10, 8)


def test_single_precision_and_points_on_the_line():
    x = np.arange(5.0, dtype=np.float32)
    t = monge.gromov_wasserstein(x, x[::-1] + 3.0)
    assert t.value < 1e-25
    assert monge.gromov_wasserstein(np.zeros((4, 2)), np.zeros((3, 1))).value == 0.0


def test_a_descent_that_is_cut_short_says_so():
    x, y, a, b = clouds(40, 40, 3, 3, 8)
    with pytest.warns(monge.ConvergenceWarning, match="max_iter"):
        t = monge.gromov_wasserstein(x, y, a, b, init="product", max_iter=1)
    assert not t.converged
    assert t.marginal_error < 1e-12
    with pytest.warns(monge.ConvergenceWarning, match="time_limit ran out"):
        monge.gromov_wasserstein(x, y, a, b, init="product", time_limit=0.0)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (([[0.0, np.nan]], [[0.0]]), ValueError, "finite"),
        ((np.zeros((0, 2)), [[0.0]]), ValueError, "at least one point"),
        (([[0.0], [1e80]], [[0.0]]), ValueError, "Rescale"),
        (([[0.0], [1.0]], [[0.0]], [1.0, -1.0]), ValueError, "not negative"),
        (([[0.0], [1.0]], [[0.0]], [1.0, 1.0], [1.0]), ValueError, "total mass"),
        ((monge.CostMatrix(np.ones((2, 3))), [[0.0]]), ValueError, "got shape"),
    ],
)
def test_bad_structures(arguments, error, text):
    with pytest.raises(error, match=text):
        monge.gromov_wasserstein(*arguments)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"eps": -1.0}, ValueError, "eps"),
        ({"tol": 0.0}, ValueError, "tol"),
        ({"n_starts": 0}, ValueError, "n_starts"),
        ({"init": "random"}, ValueError, "product"),
        ({"init": np.eye(3)}, ValueError, "shape"),
        ({"init": np.full((2, 2), 1.0)}, ValueError, "round_plan"),
        ({"cost": "manhattan"}, ValueError, "cost should be one of"),
        ({"mass": 0.5, "eps": 1.0}, ValueError, "mass="),
        ({"marginals": monge.KL(1.0)}, ValueError, "eps="),
        ({"mass": 0.5, "n_starts": 2}, ValueError, "n_starts="),
    ],
)
def test_bad_options(options, error, text):
    with pytest.raises(error, match=text):
        monge.gromov_wasserstein([[0.0], [1.0]], [[0.0], [2.0]], **options)


def test_distances_that_come_as_points_are_pointed_out():
    C = squared(np.random.default_rng(0).normal(size=(4, 2)))
    with pytest.warns(UserWarning, match="CostMatrix"):
        monge.gromov_wasserstein(C, C)


def test_arrays_of_torch():
    torch = pytest.importorskip("torch", reason="needs the extra torch")
    x = torch.arange(12.0).reshape(4, 3) ** 2
    t = monge.gromov_wasserstein(x, x.flip(0))
    assert isinstance(t.f, torch.Tensor)
    assert t.value < 1e-6
