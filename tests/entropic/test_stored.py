"""Problems with a stored kernel matrix, which the core solves: any tolerance at any eps, in batches, on any machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import GROUNDS
from oracle import assert_solved, plain_sinkhorn
from stopping import from_core, needs_alarm, ticking

import monge
from monge.entropic import _stored


def random_problem(seed):
    """Uniform, normal or heavy-tailed points and weights, of all sizes."""
    rng = np.random.default_rng(seed)
    (n, m), d = rng.integers(20, 200, 2), rng.integers(1, 21)
    draw = (rng.random, rng.normal, lambda size: rng.standard_t(2, size))[seed % 3]
    x, y = draw(size=(n, d)), draw(size=(m, d))
    if seed % 2:
        return x, y, None, None
    a, b = rng.gamma(0.3, size=n) + 1e-12, rng.pareto(1.5, size=m) + 1e-12
    return x, y, a / a.sum(), b / b.sum()


@pytest.mark.parametrize("rel", [0.05, 0.01, 1e-3, 1e-4])
@pytest.mark.parametrize("seed", range(6))
def test_tight_tolerance_at_any_eps(seed, rel):
    x, y, a, b = random_problem(seed)
    mean = ((x[:, None] - y) ** 2).sum(-1).mean()
    t = monge.sinkhorn(monge.PointCloud(x, y), a, b, eps=rel * mean, tol=1e-9)
    assert_solved(t, 1.01e-9)
    assert t.iterations < 300
    assert t.stats["newton_steps"] <= t.iterations
    assert t.gap <= 1e-8 * mean


@pytest.mark.parametrize(("n", "m"), [(1, 5), (30, 30), (12, 37), (37, 12)])
def test_potentials(n, m):
    rng = np.random.default_rng(0)
    C = rng.random((n, m))
    a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
    f, g, P = plain_sinkhorn(C, a, b, 0.05)
    t = monge.sinkhorn(C, a, b, eps=0.05, tol=1e-11)
    np.testing.assert_allclose(t.plan.toarray(), P, atol=1e-10)
    np.testing.assert_allclose(t.f[:, None] + t.g, f[:, None] + g, atol=1e-8)


@pytest.mark.parametrize("cost", GROUNDS)
def test_points_are_their_matrix(cost):
    rng = np.random.default_rng(0)
    x, y = rng.random((20, 3)), rng.random((31, 3))
    points = monge.PointCloud(x, y, cost)
    t = monge.sinkhorn(points, eps=1e-4, tol=1e-6)
    assert t.marginal_error <= 1.01e-6  # measured with costs of another implementation
    again = monge.sinkhorn(monge.PointCloud(y, x, cost), eps=1e-4, tol=1e-6)
    assert again.value == pytest.approx(t.value, abs=1e-8)


def test_a_plan_that_underflows_is_not_an_answer():
    # At the start all its mass is below 1e-308.
    t = monge.sinkhorn([[0.5]], eps=5e-4, marginals=(monge.TV(0.1), None))
    assert t.converged
    assert t.plan.toarray() == pytest.approx(1.0)


def test_batch_has_the_bits_of_single_solves():
    rng = np.random.default_rng(0)
    C, b = rng.random((40, 9, 13)), rng.dirichlet(np.ones(13), size=40)
    single = [monge.sinkhorn(C[k], b=b[k], eps=0.02) for k in range(40)]
    for threads in (1, 2, 5):
        for t, alone in zip(monge.sinkhorn(C, b=b, eps=0.02, threads=threads), single, strict=True):
            assert t.f.tobytes() == alone.f.tobytes()
            assert t.g.tobytes() == alone.g.tobytes()
            assert (t.value, t.iterations) == (alone.value, alone.iterations)


def test_batch_of_small_and_large_and_other_problems():
    rng = np.random.default_rng(0)
    costs = [rng.random((n, n + 1)) for n in (5, 520, 7, 515)]
    grid = monge.Grid((5, 6))  # solved by another route
    *answers, on_grid = monge.sinkhorn([*costs, grid], eps=0.05, tol=1e-4, threads=2)
    for t, C in zip(answers, costs, strict=True):
        assert t.shape == C.shape
        assert_solved(t, 1e-4, C)
    assert on_grid.converged


def small_values() -> list[float]:
    """Of problems that the core solves, to compare between processes."""
    C = np.random.default_rng(0).random((30, 45))
    return [monge.sinkhorn(C, eps=eps, tol=1e-10).value for eps in (0.1, 0.01, 1e-4)]


@pytest.mark.parametrize("isa", ["baseline", "avx2"])
def test_instruction_sets_agree(isa):
    code = "from test_stored import small_values; print(*small_values())"
    environment = {**os.environ, "MONGE_SIMD": isa, "PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[:2]))}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=environment)
    assert result.returncode == 0, result.stderr
    np.testing.assert_allclose([float(value) for value in result.stdout.split()], small_values(), rtol=1e-12)


@needs_alarm
@pytest.mark.parametrize(("n", "options"), [(200, {"eps": 0.1, "tol": 1e-300}), (900, {"eps": 1e-4, "tol": 1e-15})])
def test_interrupt(n, options):
    # The core looks for signals after so many sums and products: 50 times in the second one, and the first has no end.
    def arrived(k):
        if k == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught, ticking(_stored, "solve", arrived):
        monge.sinkhorn(np.random.default_rng(0).random((n, n)), max_iter=10**12, **options)
    assert from_core(caught.value)


@pytest.mark.parametrize("total", [1.0, 3.0])
@pytest.mark.parametrize("marginals", [None, monge.KL(0.5), monge.TV(0.3), (None, monge.KL(1.0))], ids=repr)
@pytest.mark.parametrize("passes", [1, 2, 3])
def test_the_value_of_a_solve_that_stops_early(marginals, total, passes):
    # The dual value at the potentials, written out: phi_a(f) + phi_b(g) - eps sum (P - a b), phi as in `iteration`.
    rng, eps = np.random.default_rng(0), 0.02
    x, y, a, b = rng.random((12, 2)), rng.random((15, 2)), rng.dirichlet(np.ones(12)), rng.dirichlet(np.ones(15))
    with pytest.warns(monge.ConvergenceWarning):
        t = monge.sinkhorn(
            monge.PointCloud(x, y), total * a, total * b, eps=eps, marginals=marginals, tol=1e-12, max_iter=passes
        )
    dual = eps * total * total - eps * t.plan.toarray().sum()
    for weights, potential, side in zip((total * a, total * b), (t.f, t.g), t.marginals, strict=True):
        if side.kl < np.inf:
            dual += side.kl * (weights * -np.expm1(-potential / side.kl)).sum()
        else:
            assert (potential >= -side.cap * (1.0 + 1e-12)).all()
            dual += (weights * np.minimum(potential, side.cap)).sum()
    assert t.value == pytest.approx(dual, rel=1e-12, abs=1e-12 * total)
    best = monge.sinkhorn(monge.PointCloud(x, y), total * a, total * b, eps=eps, marginals=marginals, tol=1e-9).value
    assert t.value <= best + 1e-9


def sizes_people_use(kind: str) -> tuple[Any, Any, Any]:
    """A cost and weights: large enough for single precision, for chunks, and for costs that are kept."""
    rng = np.random.default_rng(7)
    n, m = 420, 333
    a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
    if kind == "points":
        return monge.PointCloud(rng.normal(size=(n, 3)), rng.normal(size=(m, 3)) + 1.0), a, b
    if kind == "many dimensions":
        return monge.PointCloud(rng.normal(size=(n, 20)), rng.normal(size=(m, 20)), "euclidean"), a, b
    if kind == "kept costs":
        return monge.PointCloud(rng.random((n, 130)) / 20, rng.random((m, 130)) / 20), a, b
    C = rng.random((n, m))
    if kind == "single":
        return C.astype(np.float32), a, b
    if kind == "forbidden":
        C[rng.random((n, m)) < 0.5] = np.inf
    if kind == "wide":
        return C.T, b, a
    a[::3] = b[::4] = 0.0
    return C, a / a.sum(), b / b.sum()


def flat_rows() -> None:
    """Costs that are alike within a row: what one of the sums that work side by side rounds, all of them do."""
    for n, m in ((700, 1900), (150, 190)):
        C = np.linspace(0, 1, n, dtype=np.float32)[:, None] + np.zeros((1, m), np.float32)
        for eps in (0.5, 3.0, 14.0):
            for tol in (2e-6, 1e-6, 7e-7):
                t = monge.sinkhorn(C, eps=eps, tol=tol)
                assert t.converged
                assert t.marginal_error <= tol, (n, eps, tol, t.marginal_error)


KINDS = ["points", "many dimensions", "kept costs", "single", "wide", "without weight", "forbidden"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tol", [1e-2, 1e-4, 3e-6, 1e-6, 7e-7, 5e-7, 1e-9])
def test_no_precision_promises_more_than_it_keeps(kind, tol):
    # Exponents and matrix in single precision, then the matrix alone, then neither: the plan is measured in double.
    cost, a, b = sizes_people_use(kind)
    for eps in (10.0, 0.3, 0.03):
        t = monge.sinkhorn(cost, a, b, eps=eps, tol=tol)
        assert t.converged
        assert t.marginal_error <= tol
        assert t.stats["error"] <= tol
        assert 1 <= t.stats["kernels"] <= t.iterations


@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512"])
def test_flat_rows(isa):
    code = "from test_stored import flat_rows; flat_rows()"
    environment = {**os.environ, "MONGE_SIMD": isa, "PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[:2]))}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=environment)
    assert result.returncode == 0, result.stderr


@pytest.mark.filterwarnings("ignore::monge.ConvergenceWarning")
def test_no_more_passes_than_are_allowed():
    C = np.random.default_rng(0).random((200, 40))
    cost = monge.PointCloud(*np.random.default_rng(400).random((2, 400, 3)), "euclidean")
    for passes in (1, 2, 30, 31, 32):
        t = monge.sinkhorn(C, eps=1e-3, init=(np.zeros(200), np.zeros(40)), max_iter=passes)
        assert t.iterations <= passes
        assert monge.sinkhorn(cost, eps=3e-4, max_iter=6 * passes).iterations <= 6 * passes


def test_a_wide_matrix_takes_as_long_as_a_high_one():
    C = np.random.default_rng(0).random((300, 4000))
    one, other = (monge.sinkhorn(costs, eps=1e-3, tol=1e-7) for costs in (C, C.T))
    assert one.converged
    assert one.stats["newton_steps"] == other.stats["newton_steps"]
    assert one.value == pytest.approx(other.value, rel=1e-7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("marginals", [None, "KL", "TV"])
def test_any_number_of_threads_gives_the_same_bits(kind, marginals):
    cost, a, b = sizes_people_use(kind)
    demands = {None: None, "KL": monge.KL(0.5), "TV": (None, monge.TV(2.0))}[marginals]
    one, *others = (
        monge.sinkhorn(cost, a, b, eps=0.05, marginals=demands, tol=1e-7, threads=threads) for threads in (1, 2, 3, 7)
    )
    for t in others:
        assert t.f.tobytes() == one.f.tobytes()
        assert t.g.tobytes() == one.g.tobytes()
        assert (t.value, t.stats["error"], t.iterations) == (one.value, one.stats["error"], one.iterations)


@pytest.mark.parametrize("precise", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_other_way_round(kind, precise):
    cost, a, b = sizes_people_use(kind)
    turned = monge.PointCloud(cost.y, cost.x, cost.cost) if isinstance(cost, monge.PointCloud) else cost.T
    tol = 1e-9 if precise else 1e-4
    one, other = (monge.sinkhorn(*problem, eps=0.1, tol=tol) for problem in ((cost, a, b), (turned, b, a)))
    assert one.value == pytest.approx(other.value, rel=1e-8 if precise else 1e-4)


@pytest.mark.parametrize("least", [1e-12, 1e-25, 1e-200, 1e-310])
def test_weights_that_single_precision_does_not_hold(least):
    rng = np.random.default_rng(0)
    C, a, b = rng.random((90, 80)), rng.random(90), rng.random(80)
    a[::2] *= least
    b[1::3] *= least
    t = monge.sinkhorn(C, a / a.sum(), b / b.sum(), eps=0.02)
    assert_solved(t, 1e-3, C)


@pytest.mark.parametrize("total", [1e-20, 1e-3, 1e12, 1e30])
def test_totals_that_single_precision_does_not_hold(total):
    rng = np.random.default_rng(0)
    C, a, b = rng.random((90, 80)), total * rng.dirichlet(np.ones(90)), total * rng.dirichlet(np.ones(80))
    for marginals in (None, monge.KL(0.3), monge.TV(2.0)):
        t = monge.sinkhorn(C, a, b, eps=0.02, marginals=marginals)
        assert t.converged
        assert t.marginal_error <= 1e-3


@pytest.mark.parametrize("unit", [1e-150, 1e-30, 1e30, 1e200])
@pytest.mark.parametrize("kind", ["points", "many dimensions", "wide"])
def test_any_unit_of_the_costs(kind, unit):
    cost, a, b = sizes_people_use(kind)
    if isinstance(cost, monge.PointCloud):
        per_length = unit if cost.cost == "euclidean" else unit**0.5
        scaled = monge.PointCloud(cost.x * per_length, cost.y * per_length, cost.cost)
    else:
        scaled = cost * unit
    t, right = monge.sinkhorn(scaled, a, b, eps=0.1 * unit), monge.sinkhorn(cost, a, b, eps=0.1)
    assert t.marginal_error <= 1e-3
    assert t.value / unit == pytest.approx(right.value, rel=1e-3)


@pytest.mark.parametrize("never", [1e6, 1e12, 1e30, 1e60])
def test_large_numbers_for_never(never):
    rng = np.random.default_rng(0)
    C = rng.random((150, 140))
    C[rng.random(C.shape) < 0.3] = never
    C[0] = never + 1.0  # and a place that cannot avoid them
    t = monge.sinkhorn(C, eps=1.0 if never < 1e10 else never * 1e-9)
    assert np.isfinite(t.f).all()
    assert np.isfinite(t.g).all()
    assert t.marginal_error <= 1e-3


def test_columns_that_lose_their_mass_on_the_way():
    # Outliers under potentials that were not made for them: their sums are beyond what single precision holds.
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 2)), rng.normal(size=(280, 2))
    y[:5] += 300.0
    start = np.zeros(300), np.where(np.arange(280) < 5, -1e7, 0.0)
    for init in (None, start):
        t = monge.sinkhorn(monge.PointCloud(x, y), eps=0.05, init=init)
        assert_solved(t, 1e-3)


def test_what_does_not_get_on_is_rescued():
    # Distances at a small eps: passes alone would take thousands.
    rng = np.random.default_rng(400)
    cost = monge.PointCloud(rng.random((400, 3)), rng.random((400, 3)), "euclidean")
    t = monge.sinkhorn(cost, eps=3e-5)
    assert_solved(t, 1e-3)
    assert t.iterations < 600


@pytest.mark.filterwarnings("ignore::monge.ConvergenceWarning")
@pytest.mark.parametrize("tol", [1e-3, 2e-6, 6e-7, 1e-7])
def test_a_solve_that_stops_claims_no_more_than_it_knows(tol):
    # Whatever the precision of the last pass that is allowed.
    cost, a, b = sizes_people_use("points")
    reached = set()
    for passes in range(1, 60, 2):
        t = monge.sinkhorn(cost, a, b, eps=0.1, tol=tol, max_iter=passes)
        assert t.iterations <= passes
        assert t.converged <= (t.marginal_error <= tol)
        reached.add(t.converged)
    assert reached == {False, True}
