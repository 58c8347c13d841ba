"""Transport from samples to atoms: known answers, discrete sources against `emd` and `sinkhorn`, and bad input."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtri

import monge
from monge.entropic.semidual.atoms import Atoms
from monge.entropic.semidual.draws import Draws
from monge.entropic.semidual.measure import blocks_of, measure
from monge.entropic.semidual.result import Stop
from monge.spread.blocks import seed_of
from monge.spread.sources import source_of


class Uniform:
    """On the unit cube of d dimensions; picklable."""

    def __init__(self, d: int) -> None:
        self.d = d

    def __call__(self, rng: np.random.Generator, n: int) -> Any:
        return rng.random((n, self.d))


class Normal(Uniform):
    def __call__(self, rng: np.random.Generator, n: int) -> Any:
        return rng.normal(size=(n, self.d))


def dual_on_interval(g: Any, y: Any, b: Any) -> float:
    """E min_j (x - y_j)^2 - g_j + <b, g> for x uniform on [0, 1], by a fine midpoint rule."""
    x = (np.arange(200_000) + 0.5) / 200_000
    return float(((x[:, np.newaxis] - y) ** 2 - g).min(axis=1).mean() + b @ g)


@pytest.mark.parametrize("uniform", [True, False])
def test_uniform_on_an_interval(uniform: bool) -> None:
    rng = np.random.default_rng(0)
    y = np.sort(rng.random(20))
    b = np.full(20, 0.05) if uniform else rng.dirichlet(np.full(20, 3.0))
    found = monge.semidual(Uniform(1), y, None if uniform else 7.0 * b, rng=0)
    t = np.concatenate([[0.0], np.cumsum(b)])
    steps = (t[1:-1] - y[1:]) ** 2 - (t[1:-1] - y[:-1]) ** 2
    np.testing.assert_allclose(np.diff(found.g), steps, atol=1e-3)
    exact = (((t[1:] - y) ** 3 - (t[:-1] - y) ** 3) / 3.0).sum()
    assert 0.0 <= exact - dual_on_interval(found.g, y, b) + 1e-9 < 1e-5
    assert abs(found.value - exact) < 4.0 * found.standard_error
    assert found.converged
    assert found.chi2 <= 1e-2
    np.testing.assert_allclose(found.masses, b, atol=5e-3)
    np.testing.assert_array_equal(found.assign((t[1:] + t[:-1]) / 2.0), np.arange(20))
    assert abs(found.g @ b) < 1e-12
    # The optimum lies between the value and what a plan for the same points costs.
    assert found.value - 4.0 * found.standard_error < exact < found.value + found.gap + 4.0 * found.standard_error
    assert 0.0 < found.gap < 0.2 * exact


def test_two_atoms_part_a_normal_law_by_a_line() -> None:
    y, share = np.array([[-1.0, 0.0], [2.0, 1.0]]), 0.3
    found = monge.semidual(Normal(2), y, [share, 1.0 - share], rng=1, tol=1e-4)
    # |x - y_0|^2 - g_0 = |x - y_1|^2 - g_1 where <x, u> = t, with P(<x, u> < t) = share for u = (y_1 - y_0) / |.|.
    apart = y[1] - y[0]
    length = np.linalg.norm(apart)
    offset = (y[1] @ y[1] - y[0] @ y[0] - (found.g[1] - found.g[0])) / (2.0 * length)
    assert abs(offset - ndtri(share)) < 0.03
    exact = np.array([[1.0, 2.0], [-3.0, 0.5], [0.0, 0.0]])
    np.testing.assert_array_equal(found.assign(exact), (exact @ apart / length > offset).astype(int))


def test_a_square_is_cut_into_squares() -> None:
    k = 3
    y = np.stack(np.meshgrid(*2 * [(np.arange(k) + 0.5) / k]), axis=2).reshape(-1, 2)
    found = monge.semidual(Uniform(2), y, rng=0, tol=1e-3)
    np.testing.assert_allclose(found.g, 0.0, atol=6e-3)  # beside 1/9, by which neighbours are apart, squared
    assert abs(found.value - 1.0 / (6.0 * k * k)) < 4.0 * found.standard_error
    x = np.random.default_rng(5).random((500, 2))
    x = x[np.abs(np.mod(x * k + 0.5, 1.0) - 0.5).min(axis=1) > 0.05]  # off the borders
    cells = np.minimum((x * k).astype(int), k - 1)
    np.testing.assert_array_equal(found.assign(x), cells[:, 1] * k + cells[:, 0])
    np.testing.assert_array_equal(found.map(x), y[found.assign(x)])


@pytest.mark.parametrize("cost", ["sqeuclidean", "euclidean", ("cityblock", 1.5), "cosine"])
@pytest.mark.parametrize("eps", [None, 0.3])
def test_a_discrete_source_is_solved_as_by_the_solvers(cost: Any, eps: float | None) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(60, 3)) + 4.0, rng.normal(size=(25, 3)) + 3.0
    a, b = rng.dirichlet(np.ones(60)), rng.dirichlet(np.ones(25))
    found = monge.semidual(x, y, b, a=a, eps=eps, cost=cost)
    cloud = monge.PointCloud(x, y, cost)
    exact = monge.emd(cloud, a, b).value if eps is None else monge.sinkhorn(cloud, a, b, eps=eps, tol=1e-9).value
    assert found.standard_error == 0.0
    assert found.status is Stop.OPTIMAL
    assert found.iterations == 0
    assert found.value == pytest.approx(exact, rel=1e-6)
    assert a @ found.potential(x) + b @ found.g == pytest.approx(found.value, rel=1e-9)
    assert 0.0 <= found.gap < 1e-4 * exact
    if eps is not None:
        np.testing.assert_allclose(found.masses, b, atol=1e-5)
        P = (
            a[:, np.newaxis]
            * b
            * np.exp((found.potential(x)[:, np.newaxis] + found.g - cloud.block(slice(None))) / eps)
        )
        np.testing.assert_allclose(P.sum(axis=1), a)
        np.testing.assert_allclose(found.map(x), P @ y / a[:, np.newaxis])


@pytest.mark.parametrize("method", ["sgd", "sag"])
def test_ascents_from_nothing_reach_the_entropic_optimum(method: str) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(400, 2)), 0.5 * rng.normal(size=(30, 2)) + 1.0
    a = rng.dirichlet(np.full(400, 2.0))
    exact = monge.sinkhorn(monge.PointCloud(x, y), a, eps=0.3, tol=1e-9)
    options = {"tol": 1e-6, "max_iter": 4000} if method == "sag" else {"tol": 1e-3}
    found = monge.semidual(x, y, a=a, eps=0.3, method=method, init=np.zeros(30), rng=0, **options)
    assert found.converged
    assert found.iterations > 0
    assert 0.0 <= exact.value - found.value < (1e-6 if method == "sag" else 1e-3) * exact.value
    assert exact.value <= found.value + found.gap + 1e-9
    g = exact.g - exact.g.mean()
    np.testing.assert_allclose(found.g, g, atol=1e-3 if method == "sag" else 0.05)


def test_unregularised_ascent_from_nothing() -> None:
    y = np.random.default_rng(4).normal(size=(40, 2))
    found = monge.semidual(Normal(2), y, init=np.zeros(40), rng=0, samples=30_000)
    start = monge.semidual(Normal(2), y, rng=1, samples=30_000)
    assert found.iterations > 0
    assert found.converged
    assert abs(found.value - start.value) < 4.0 * np.hypot(found.standard_error, start.standard_error)
    again = monge.semidual(Normal(2), y, init=found, rng=2, samples=30_000, tol=0.02)
    assert again.iterations == 0
    assert again.stats["start"] == 0
    # Going on takes steps as short as the last ones were: it does not get worse first.
    with pytest.warns(monge.ConvergenceWarning):
        more = monge.semidual(Normal(2), y, init=found, rng=2, samples=30_000, tol=1e-9, max_iter=512)
    assert more.chi2 < found.chi2
    assert more.stats["before"] == found.iterations


def test_chi2_and_value_have_no_bias_and_the_error_covers() -> None:
    """Over seeds, against sums over all of a discrete source."""
    rng = np.random.default_rng(5)
    x, y, b, g = rng.normal(size=(50, 2)), rng.normal(size=(4, 2)), np.full(4, 0.25), rng.normal(size=4)
    source = source_of(x, "x")
    for eps in (0.0, 0.5):
        atoms = Atoms(monge.PointCloud(x, y), b, eps)
        exact = measure(g, atoms, source, blocks_of(Draws(), 50, True, atoms), seed_of(0), 1)
        assert exact.chi2 == pytest.approx((exact.masses**2 / b).sum() - 1.0)
        plan = blocks_of(Draws(), 12, False, atoms)
        some = [measure(g, atoms, source, plan, seed_of(k), 1) for k in range(600)]
        for name in ("chi2", "value"):
            drawn = np.array([getattr(one, name) for one in some])
            spread = drawn.std() / np.sqrt(len(drawn))
            assert abs(drawn.mean() - getattr(exact, name)) < 4.0 * spread
        # The square of measured masses is too large by far more than that.
        biased = np.mean([(one.masses**2 / b).sum() - 1.0 for one in some])
        assert biased - exact.chi2 > 0.05
        inside = [abs(one.value - exact.value) < 2.0 * one.standard_error for one in some]
        assert 0.88 < np.mean(inside) < 0.98


def test_same_bits_for_any_number_of_workers_and_any_block() -> None:
    y = np.random.default_rng(6).random((10, 2))
    one, two = (monge.semidual(Uniform(2), y, rng=3, n_jobs=k, samples=20_000) for k in (1, 2))
    np.testing.assert_array_equal(one.g, two.g)
    assert (one.value, one.gap, one.chi2) == (two.value, two.gap, two.chi2)
    assert one.value != monge.semidual(Uniform(2), y, rng=4, samples=20_000).value


def test_weights_of_rows_that_are_drawn() -> None:
    rng = np.random.default_rng(7)
    x = np.repeat([[0.0], [1.0]], 500, axis=0) + 0.01 * rng.random((1000, 1))
    a = np.where(x[:, 0] < 0.5, 3.0, 1.0)
    found = monge.semidual(x, [[0.0], [1.0]], [0.75, 0.25], a=a, start=500, samples=600, rng=0, tol=0.1)
    assert found.samples == 600
    assert abs(found.value) < 4.0 * found.standard_error < 0.1  # a quarter would be moved by one, were rows all alike
    np.testing.assert_array_equal(found.assign([[0.0], [1.0]]), [0, 1])


def test_atoms_without_weight_take_nothing() -> None:
    y = np.array([[0.2], [0.5], [0.8]])
    found = monge.semidual(Uniform(1), y, [1.0, 0.0, 1.0], rng=0)
    assert found.g[1] == -np.inf
    assert found.masses[1] == 0.0
    np.testing.assert_array_equal(found.assign([[0.49], [0.51]]), [0, 2])
    np.testing.assert_array_equal(found.map([[0.49], [0.51]]), [[0.2], [0.8]])


def test_atoms_at_one_place_share_what_arrives() -> None:
    y = np.array([[0.2, 0.0], [0.8, 0.5], [0.2, -0.0], [0.5, 0.9], [0.2, 0.0]])
    b = np.array([0.125, 0.25, 0.25, 0.25, 0.125])
    for eps in (None, 0.1):
        found = monge.semidual(Uniform(2), y, b, eps=eps, rng=0)
        one = monge.semidual(Uniform(2), y[[0, 1, 3]], [0.5, 0.25, 0.25], eps=eps, rng=0)
        assert found.converged
        assert (found.value, found.gap, found.chi2) == (one.value, one.gap, one.chi2)
        np.testing.assert_array_equal(found.g, one.g[[0, 1, 0, 2, 0]])
        np.testing.assert_allclose(found.masses, one.masses[[0, 1, 0, 2, 0]] * [0.25, 1.0, 0.5, 1.0, 0.25], rtol=1e-12)
        x = np.random.default_rng(0).random((200, 2))
        np.testing.assert_array_equal(found.assign(x), np.array([0, 1, 3])[one.assign(x)])
        np.testing.assert_array_equal(found.map(x), one.map(x))
        np.testing.assert_array_equal(found.potential(x), one.potential(x))
        again = monge.semidual(Uniform(2), y, b, eps=eps, rng=1, init=found, tol=0.02)
        assert again.iterations == 0
    # Of potentials that differ at one place the highest counts: with the others no point would come.
    init = np.where(np.arange(5) == 2, one.g[0], -5.0)
    init[[1, 3]] = one.g[1:]
    assert monge.semidual(Uniform(2), y, b, eps=0.1, init=init, rng=1, tol=0.02).iterations == 0


def test_one_atom_and_one_point() -> None:
    found = monge.semidual(Uniform(2), [[0.5, 0.5]], rng=0)
    assert abs(found.value - 1.0 / 6.0) < 4.0 * found.standard_error
    assert found.gap == pytest.approx(0.0, abs=1e-12)
    assert found.chi2 == pytest.approx(0.0, abs=1e-9)
    point = monge.semidual([[1.0, 1.0]], [[0.0, 0.0], [0.0, 2.0]], eps=0.1)
    assert point.value == pytest.approx(2.0)
    assert point.converged


def test_a_function_of_ones_own_and_entropy() -> None:
    y = np.random.default_rng(8).random((6, 2))
    own = monge.semidual(
        Uniform(2), y, cost=lambda x, y: (x[0] - y[0]) ** 2 + (x[1] - y[1]) ** 2, eps=0.1, rng=0, samples=5000
    )
    named = monge.semidual(Uniform(2), y, eps=0.1, rng=0, samples=5000)
    np.testing.assert_allclose(own.g, named.g, atol=1e-6)
    assert own.value == pytest.approx(named.value, rel=1e-6)


def test_results_can_be_pickled() -> None:
    y = np.random.default_rng(9).random((5, 2))
    found = monge.semidual(Uniform(2), y, eps=0.05, rng=0)
    x = np.random.default_rng(0).random((7, 2))
    images = found.map(x)
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.map(x), images)
    assert again.status is found.status
    assert again.value == found.value


def test_stopping_early_says_so() -> None:
    y = np.random.default_rng(10).normal(size=(50, 2))
    with pytest.warns(monge.ConvergenceWarning, match="max_iter"):
        found = monge.semidual(Normal(2), y, init=np.zeros(50), max_iter=1, rng=0, samples=2000)
    assert found.status is Stop.MAX_ITER
    assert found.iterations == 1
    assert not found.converged
    with pytest.warns(monge.ConvergenceWarning, match="time_limit"):
        found = monge.semidual(Normal(2), y, init=np.zeros(50), time_limit=0.0, rng=0, samples=2000)
    assert found.status is Stop.TIME_LIMIT
    assert found.iterations == 0


def test_files_as_sources(tmp_path: Any) -> None:
    x, y = np.random.default_rng(11).random((300, 2)), np.random.default_rng(12).random((5, 2))
    np.save(tmp_path / "x.npy", x)
    assert monge.semidual(tmp_path / "x.npy", y).value == monge.semidual(x, y).value


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"source": lambda rng, n: rng.random((n + 1, 2))}, ValueError, "shape"),
        ({"source": lambda rng, n: np.full((n, 2), np.nan)}, ValueError, "finite"),
        ({"source": lambda rng, n: rng.random((n, 2)) if n < 3 else np.full((n, 2), np.inf)}, ValueError, "finite"),
        ({"source": lambda rng, n: rng.random((n, 3))}, ValueError, "same dimension"),
        ({"source": "no such file.npy"}, (ValueError, OSError), "no such file"),
        ({"eps": -1.0}, ValueError, "eps should"),
        ({"eps": np.nan}, ValueError, "eps should"),
        ({"b": [1.0, -1.0]}, ValueError, "not negative"),
        ({"b": [0.0, 0.0]}, ValueError, "some mass"),
        ({"b": [1.0]}, ValueError, "shape"),
        ({"a": [1.0, 1.0]}, ValueError, "sampler"),
        ({"method": "newton"}, ValueError, "method should"),
        ({"method": "sag", "eps": 1.0}, ValueError, "a sampler"),
        ({"method": "sag", "source": np.ones((3, 2))}, ValueError, "no entropy"),
        ({"tol": 0.0}, ValueError, "tol should"),
        ({"samples": 0}, ValueError, "samples should"),
        ({"samples": 1}, ValueError, "samples should be at least 2"),
        ({"start": 1.5}, ValueError, "start should"),
        ({"init": [1.0]}, ValueError, "init should"),
        ({"init": [np.nan, 0.0]}, ValueError, "init should"),
        ({"cost": "manhattan"}, ValueError, "cost should"),
        ({"cost": "cosine", "y": [[0.0, 0.0], [1.0, 1.0]]}, ValueError, "origin"),
        ({"rng": "seed"}, TypeError, "rng should"),
    ],
)
def test_bad_input(change: dict[str, Any], error: Any, text: str) -> None:
    arguments: dict[str, Any] = {"source": Uniform(2), "y": [[0.0, 0.5], [1.0, 1.0]], "b": None} | change
    with pytest.raises(error, match=text):
        monge.semidual(arguments.pop("source"), arguments.pop("y"), arguments.pop("b"), **arguments)


def test_bad_points_later() -> None:
    found = monge.semidual(Uniform(2), [[0.0, 0.5], [1.0, 1.0]], rng=0)
    with pytest.raises(ValueError, match="2 coordinates"):
        found.assign([[0.0]])
    with pytest.raises(ValueError, match="finite"):
        found.potential([[0.0, np.nan]])


def test_ties_of_the_city_are_named() -> None:
    """0.16 of the mass is as near to one atom as to the other, and half of that should go to each: none can part it."""
    y = np.array([[0.0, 0.0], [1.0, 1.0]])
    with pytest.warns(monge.ConvergenceWarning, match="as near to two atoms, as with cost='cityblock'"):
        found = monge.semidual(Normal(2), y, [0.75, 0.25], cost="cityblock", rng=0, max_iter=300, samples=20_000)
    assert not found.converged


def test_processes_give_the_bits_of_threads() -> None:
    joblib = pytest.importorskip("joblib", reason="other processes need the extra cluster")
    y = np.random.default_rng(13).random((8, 2))
    here = monge.semidual(Uniform(2), y, eps=0.05, rng=0, samples=5000)
    with joblib.parallel_config("loky", n_jobs=2):
        there = monge.semidual(Uniform(2), y, eps=0.05, rng=0, samples=5000)
    np.testing.assert_array_equal(there.g, here.g)
    assert (there.value, there.gap, there.chi2) == (here.value, here.gap, here.chi2)
