"""Passes over points in the order of a k-d tree, by lists and bounds, against the specification."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from cases import GROUNDS

import monge
from monge.entropic._near import BLOCK, Bounds, Pass
from monge.entropic.kernels.native import NativePairs
from monge.entropic.kernels.near_passes import NearPasses
from monge.entropic.kernels.reference import ReferencePairs
from monge.entropic.kernels.threads import Threads
from monge.entropic.marginals import Balanced
from monge.problem._ground import kd_order
from monge.problem.ground import as_ground

STRAIGHT = [cost for cost in GROUNDS if cost != "cosine"]
SKIPPED = 1e-7
BALANCED = Balanced(), Balanced()


class Potentials(NamedTuple):
    """What passes see of steps."""

    f: np.ndarray
    g: np.ndarray
    s: np.ndarray


def start(n, m):
    return Potentials(np.zeros(n), np.zeros(m), np.zeros(m))


# As the core takes it.
SQUARES = (as_ground("sqeuclidean").code, 1.0, False)


def clouds(n, m, d=3, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    x, y = spread * rng.random((n, d)) + 0.01, spread * rng.random((m, d)) + 0.02
    x, y = x[kd_order(x)], y[kd_order(y)]
    a, b = 0.2 + rng.random(n), 0.2 + rng.random(m)
    return x, y, a / a.sum(), b / b.sum()


def passes(cost, a, b, eps, single, *, threads=1, skipped=SKIPPED, g=None, guess=None, sure=1, lists=1):
    """Complete passes for g, then some by lists; f, s, and whether the last pass was complete."""
    n, m = cost.shape
    steps = start(n, m)
    if g is not None:
        steps.g[:] = g
    guess = np.zeros(n) if guess is None else guess
    with Threads(threads) as pool:
        pairs = NearPasses(cost, a, b, BALANCED, pool, skipped, guess)
        for _ in range(sure):
            complete = pairs.run(steps, eps, single, True)
        for _ in range(lists):
            complete = pairs.run(steps, eps, single, False)
    return steps.f, steps.s, complete


def reference(cost, a, b, eps, g):
    steps = start(len(a), len(b))._replace(g=g)
    ReferencePairs(cost, a, b, BALANCED).run(steps, eps, False, True)
    return steps.f, steps.s


def scale(cost):
    return float(np.mean(ReferencePairs(cost, np.ones(cost.shape[0]), np.ones(cost.shape[1]), BALANCED).C))


def good_start(cost, a, b, eps):
    """Potentials of the columns near the solution, as passes meet them."""
    pairs, steps = NativePairs(cost, a, b, BALANCED, Threads(1)), start(len(a), len(b))
    now = pairs.size
    while True:
        now = max(now / 4.0, eps)
        for _ in range(6):
            steps.g[:] = steps.s
            pairs.run(steps, now, False, True)
        if now == eps:
            return steps.s


@lru_cache
def _started(n, m, rel, ground, d):
    x, y, a, b = clouds(n, m, d)
    cost = monge.PointCloud(x, y, ground)
    eps = rel * scale(cost)
    return cost, a, b, eps, good_start(cost, a, b, eps)


def started(n, m, rel, ground="sqeuclidean", d=3):
    """The costs of clouds, the weights, eps as a share of the mean cost, and a start of the columns."""
    *problem, g = _started(n, m, rel, ground, d)
    return *problem, g.copy()


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("ground", STRAIGHT, ids=str)
@pytest.mark.parametrize("lists", [0, 1, 3])
def test_same_as_reference(ground, single, lists):
    cost, a, b, eps, g = started(300, 417, 0.01, ground)
    f, s, complete = passes(cost, a, b, eps, single, g=g, lists=lists)
    f_known, s_known = reference(cost, a, b, eps, g)
    # Each row and column may lose the fraction that is skipped, twice where lists come from a pass that skipped; single
    # precision rounds costs of up to 100 eps.
    limit = 2e-5 if single else 10.0 * SKIPPED
    assert np.abs(f - f_known).max() / eps < limit
    assert np.abs(s - s_known).max() / eps < limit + 100.0 * SKIPPED
    if lists == 0:
        assert complete


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 40), (40, 1), (15, 17), (16, 256), (33, 4097), (4099, 31)])
def test_sizes(d, n, m):
    cost, a, b, eps, g = started(n, m, 0.02, d=d)
    f_known, s_known = reference(cost, a, b, eps, g)
    for lists in (0, 2):
        f, s, _ = passes(cost, a, b, eps, False, g=g, lists=lists)
        assert np.abs(f - f_known).max() < 1e-5 * eps
        assert np.abs(s - s_known).max() < 1e-4 * eps


@pytest.mark.parametrize("single", [True, False])
def test_lists_go_by_the_potentials_of_the_pass(single):
    # From the second pass on, they read what the first one computed.
    cost, a, b, eps, g = started(300, 417, 0.002)
    steps = start(300, 417)._replace(g=g.copy())
    pairs = NearPasses(cost, a, b, BALANCED, Threads(1), SKIPPED, np.zeros(300))
    pairs.run(steps, eps, single, True)
    for seed in range(4):
        steps.g[:] = g + (seed > 0) * eps * np.random.default_rng(seed).uniform(-1.0, 1.0, 417)
        assert not pairs.run(steps, eps, single, False)
        f_known, s_known = reference(cost, a, b, eps, steps.g)
        assert np.abs(steps.f - f_known).max() / eps < 3e-5
        assert np.abs(steps.s - s_known).max() / eps < 1e-4


def test_lists_are_left_when_potentials_are_far_from_theirs():
    cost, a, b, eps, g = started(1000, 1000, 0.002)
    steps = start(1000, 1000)._replace(g=g)
    pairs = NearPasses(cost, a, b, BALANCED, Threads(1), 1e-5, np.zeros(1000))
    pairs.run(steps, eps, True, True)
    assert not pairs.run(steps._replace(g=g + 100.0 * eps), eps, True, False)  # all alike: nothing has changed
    g[7] -= 40.0 * eps
    assert pairs.run(steps, eps, True, False)
    assert not pairs.run(steps, eps, True, False)
    assert np.abs(steps.f - reference(cost, a, b, eps, g)[0]).max() < 1e-4 * eps


def test_lists_leave_out_pairs_and_little_mass():
    cost, a, b, eps, g = started(2000, 2000, 0.001)
    steps = start(2000, 2000)._replace(g=g)
    pairs = NearPasses(cost, a, b, BALANCED, Threads(1), 1e-5, np.zeros(2000))
    assert pairs.run(steps, eps, True, True)
    before = pairs.pairs
    assert pairs.run(steps, eps, True, True)
    screened, before = pairs.pairs - before, pairs.pairs
    s_all = steps.s.copy()
    assert not pairs.run(steps, eps, True, False)
    listed = pairs.pairs - before
    assert listed < screened < 0.5 * 2000**2
    lost = b * np.abs(np.exp((steps.s - s_all) / eps) - 1.0)
    assert lost.sum() < 1e-4


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("ground", ["sqeuclidean", "euclidean", ("cityblock", 1.5)], ids=str)
@pytest.mark.parametrize("off", [-1e4, -300.0, -2.0, 2.0, 300.0, 1e4])
def test_wrong_guesses_cost_only_time(ground, single, off):
    cost, a, b, eps, g = started(200, 300, 0.01, ground)
    f_known, s_known = reference(cost, a, b, eps, g)
    guess = f_known + off * eps * np.random.default_rng(1).random(200)
    # Single precision rounds what the guesses are wrong by; the next pass has better ones.
    f, s, _ = passes(cost, a, b, eps, single, g=g, guess=guess, sure=2 if single else 1, lists=0)
    limit = 1e-4 if single else 1e-5
    assert np.abs(f - f_known).max() < limit * eps
    assert np.abs(s - s_known).max() < limit * eps


@pytest.mark.parametrize("single", [True, False])
def test_outliers(single):
    x, y, a, b = clouds(300, 300)
    x[7] += 40.0
    y[250] -= 30.0
    x, y = x[kd_order(x)], y[kd_order(y)]
    cost = monge.PointCloud(x, y)
    eps = 0.01
    g = good_start(cost, a, b, eps)
    f_known, s_known = reference(cost, a, b, eps, g)
    f, s, _ = passes(cost, a, b, eps, single, g=g, lists=0)
    # The outlier's costs are 1e5 eps: single precision has seven digits of them.
    limit = 0.05 if single else 1e-5
    assert np.abs(f - f_known).max() < limit * eps
    assert np.abs(s - s_known).max() < limit * eps


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("ground", STRAIGHT, ids=str)
@pytest.mark.parametrize("eps", [1e-25, 1e-12, 1e-4, 1.0, 1e6, 1e30])
@pytest.mark.parametrize("size", [0.0, 1.0, 1e10])
def test_always_finite(ground, single, eps, size):
    x, y, a, b = clouds(70, 90)
    g = size * np.random.default_rng(2).normal(size=90)
    f, s, _ = passes(monge.PointCloud(x, y, ground), a, b, eps, single, g=g)
    assert np.isfinite(f).all()
    assert np.isfinite(s).all()


def test_equal_points():
    x = np.zeros((50, 2))
    a = np.full(50, 0.02)
    f, s, _ = passes(monge.PointCloud(x, x, ("euclidean", 0.5)), a, a, 0.1, False)
    np.testing.assert_allclose(f, 0.0, atol=1e-12)
    np.testing.assert_allclose(s, 0.0, atol=1e-12)


@pytest.mark.parametrize("skipped", [1e-12, 0.5])
def test_any_tolerance(skipped):
    """With much that may be skipped, blocks of rows still have columns."""
    x, y, a, b = clouds(300, 300)
    cost = monge.PointCloud(x, y)
    f, s, _ = passes(cost, a, b, 0.01, True, skipped=skipped, lists=3)
    assert np.isfinite(f).all()
    assert np.isfinite(s).all()


@pytest.mark.parametrize("single", [True, False])
def test_same_bits_for_any_number_of_threads(single):
    x, y, a, b = clouds(5000, 3000)
    cost = monge.PointCloud(x, y)
    known = passes(cost, a, b, 0.002, single, lists=2)
    for threads in (2, 5):
        for mine, theirs in zip(known, passes(cost, a, b, 0.002, single, threads=threads, lists=2), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def _bits():
    x, y, a, b = clouds(1500, 1300)
    f, s, _ = passes(monge.PointCloud(x, y), a, b, 0.002, True, lists=2)
    return hashlib.sha256(f.tobytes() + s.tobytes()).hexdigest()


def test_same_bits_in_every_process():
    # In this one, whose memory has seen other problems, and in a new one.
    command = [sys.executable, "-c", "from test_near import _bits; print(_bits())"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[:2]))}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.stdout.strip() == _bits(), result.stderr


def test_columns_that_were_skipped_are_summed_again():
    x, y, a, b = clouds(64, 80)
    unit = 0.01 * math.log(2.0)
    X, Y = np.ascontiguousarray(x.T), np.ascontiguousarray(y.T)
    log_a, log_b = np.log2(a), np.log2(b)
    f, shift, s = np.zeros(64), np.zeros(64), np.empty(80)
    at = Pass(X, Y, unit**-0.5, SQUARES, log_b, log_a, b, 1.0, np.inf, shift, f, False)
    f[:] = np.random.default_rng(3).normal(size=64)
    lost = at.columns(np.zeros((2, 80)), log_b, np.zeros(80), unit, 1e-20, 80, s)
    assert lost == 80
    C = ((x[:, np.newaxis] - y) ** 2).sum(axis=2)
    known = -unit * np.log2(np.exp2(log_a[:, np.newaxis] + f[:, np.newaxis] - C / unit).sum(axis=0))
    np.testing.assert_allclose(s, known, rtol=1e-12)


def test_bounds_are_checked_and_given_back():
    x, y, a, b = clouds(BLOCK + 1, 40)
    X, Y = np.ascontiguousarray(x.T), np.ascontiguousarray(y.T)
    log_b = np.log2(b)
    shift, f, sums = np.zeros(len(a)), np.zeros(len(a)), np.empty(40)
    at = Pass(X, Y, 1.0, SQUARES, log_b, np.log2(a), b, 1.0, np.inf, shift, f, False)
    bounds = Bounds(Y, np.zeros(40), log_b + math.log2(40), 1.0, True)
    for _ in range(100):
        pairs, needed, lists = at.screened(0, len(a), bounds, -40.0, sums)
        assert pairs >= needed >= at.listed(0, len(a), lists, sums) > 0
    np.testing.assert_allclose(sums.sum(), 1.0, rtol=1e-9)
    with pytest.raises(TypeError):
        at.screened(0, len(a), None, -40.0, sums)
