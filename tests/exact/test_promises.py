"""What the README promises of every solver, for the solvers that no other file holds to it."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import squared
from numpy.typing import NDArray
from oracle import DUAL_ROUNDINGS, EPS, assert_certified, assert_feasible
from scipy.sparse import coo_array
from stopping import from_core, needs_alarm, ticking
from test_balance import classes, stored

import monge
import monge.distances.pairs as pairwise_costs
import monge.entropic.levels as cloud_levels
import monge.entropic.solving
import monge.exact.dense as dense_costs
import monge.maps.color.by_palette
from monge.entropic import _stored
from monge.entropic.kernels import all_pairs, grid, grid_sums, layout, native, near_passes, threads
from monge.exact import _core, _univariate
from monge.exact.dense import dense
from monge.maps.color import transfer_colors

Array = NDArray[Any]

# A guard against hanging, not a measurement.
HANG = 120

_rng = np.random.default_rng(0)
X, Y = _rng.normal(size=(900, 2)), _rng.normal(size=(800, 2)) + 0.5
HIGH_X, HIGH_Y = _rng.normal(size=(620, 5)), _rng.normal(size=(600, 5))
A, B = _rng.dirichlet(np.ones(len(X))), _rng.dirichlet(np.ones(len(Y)))
C = _rng.random((800, 700))
SOME = _rng.random((60, 70))
IMAGES = _rng.dirichlet(np.ones(16 * 12), size=2)
LINE_X, LINE_Y = _rng.normal(size=40_000), _rng.normal(size=30_000)
PICTURES = _rng.integers(0, 256, (2, 20, 20, 3), dtype=np.uint8)


def neighbours() -> coo_array:
    """Near pairs of points, and each with itself, at a price."""
    D = squared(X, X)
    rows, cols = np.nonzero(D < 0.05)
    return coo_array((np.where(rows == cols, 1.0, D[rows, cols]), (rows, cols)), shape=D.shape)


def uses(t: Any, other: Array) -> list[Any]:
    """All that can be asked of a lazy plan."""
    P = t.plan
    return [P @ other, other @ P.T, P.T @ np.ones(P.shape[0]), P.top(3) if hasattr(P, "top") else None, P[5],
            P.sum(axis=0), P.toarray(), t.cost, t.gap, t.marginal_error]  # fmt: skip


def lazy(t: Any) -> list[Any]:
    other = np.linspace(-1.0, 1.0, 3 * t.shape[1]).reshape(-1, 3)
    return [*uses(t, other[:, 0]), t.plan @ other, t, *uses(r := t.rounded(), other[:, 0]), r]


def entropic(cost: Any, a: Any = None, b: Any = None, **options: Any) -> Any:
    # A smaller tol would send what is to be solved pass by pass into the core.
    return monge.sinkhorn(cost, a, b, **{"eps": 0.2, "tol": 1e-5, **options})


# On all processors, as many as there are said to be.
SOLVES: dict[str, Callable[[], Any]] = {
    "dense": lambda: monge.emd(C),
    "sparse": lambda: monge.emd(neighbours()),
    "batch": lambda: monge.emd([SOME, C[:90, :80], SOME.T, monge.PointCloud(X[:50], Y[:40])]),
    "partial": lambda: monge.partial(C, mass=0.6),
    "line": lambda: monge.emd_1d(LINE_X, LINE_Y, p=2),
    "circle": lambda: monge.emd_1d(LINE_X, LINE_Y, p=2, period=3.0),
    "distance on the line": lambda: monge.wasserstein_1d(LINE_X, LINE_Y, p=3),
    "distance on the circle": lambda: monge.wasserstein_1d(LINE_X, LINE_Y, p=3, period=3.0),
    "distance": lambda: monge.wasserstein(HIGH_X, HIGH_Y),
    "distance of a high power": lambda: monge.wasserstein(X[:90], Y[:80], p=60),
    "pairwise histograms": lambda: monge.pairwise(SOME[:7] / SOME[:7].sum(axis=1, keepdims=True), cost=C[:70, :70]),
    "pairwise clouds": lambda: monge.pairwise([X[:40], Y[:50], X[50:80]]),
    "pairwise lines": lambda: monge.pairwise([LINE_X[:4000], LINE_Y[:5000], LINE_X[9000:]]),
    "small": lambda: entropic(SOME, eps=0.02),
    "matrix": lambda: entropic(C, eps=0.1),
    "points": lambda: entropic(monge.PointCloud(HIGH_X, HIGH_Y), eps=2.0),
    "clouds": lambda: entropic(monge.PointCloud(X, Y), A, B, eps=0.05),
    "unbalanced clouds": lambda: entropic(monge.PointCloud(X, Y), A, B, eps=0.05, marginals=monge.KL(1.0)),
    "grid": lambda: entropic(monge.Grid((16, 12)), *IMAGES, eps=2.0),
    "entropic batch": lambda: entropic([SOME, C, SOME.T, monge.PointCloud(X, Y)]),
    "colours": lambda: list(vars(transfer_colors(*PICTURES, colors=60)).values()),
    "plans of a matrix": lambda: lazy(entropic(C, eps=0.1, tol=1e-3)),
    "plans of clouds": lambda: lazy(entropic(monge.PointCloud(X, Y), A, B, eps=0.1, tol=1e-3)),
    "plans of a grid": lambda: lazy(entropic(monge.Grid((16, 12)), *IMAGES, eps=2.0, tol=1e-3)),
}


def bits(result: Any) -> Any:
    """All numbers of a result, to the last bit."""
    if isinstance(result, list | tuple):
        return [bits(part) for part in result]
    if isinstance(result, coo_array):
        return bits([result.row, result.col, result.data])
    if isinstance(result, monge.Transport):
        P = result.plan
        numbers = result.value, result.cost, result.gap, result.marginal_error, result.iterations, result.status.name
        return [numbers, bits([result.f, result.g, P if isinstance(P, coo_array) else [P.sum(axis=0), P.sum(axis=1)]])]
    return result.tobytes() if isinstance(result, np.ndarray) else result


@contextmanager
def processors(number: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sched_getaffinity", lambda _: range(number), raising=False)
        # Small pieces of work are worth threads, too.
        patch.setattr(threads, "PARALLEL", 0)
        patch.setattr(threads, "PARALLEL_ONCE", 0)
        patch.setattr(grid_sums, "_CHUNK", 2**10)
        yield


@cache
def on_three(name: str) -> Any:
    """What is found on three threads, alone."""
    with processors(3):
        return bits(SOLVES[name]())


@pytest.mark.parametrize("name", SOLVES)
def test_same_bits_for_any_number_of_threads(name: str) -> None:
    with processors(1):
        assert bits(SOLVES[name]()) == on_three(name)


def test_many_at_once() -> None:
    # All kinds side by side, each of them on threads of its own.
    alone = {name: on_three(name) for name in SOLVES}
    with processors(3), ThreadPoolExecutor(6) as pool:
        found = pool.map(lambda name: bits(SOLVES[name]()), SOLVES)
        assert [name for name, result in zip(SOLVES, found, strict=True) if result != alone[name]] == []


def forked() -> None:
    """In a process of its own, which has solved everything: a child says what has other results there."""
    alone = {name: on_three(name) for name in SOLVES}
    child = os.fork()
    if child == 0:
        signal.alarm(HANG)
        with processors(3):
            print([name for name in SOLVES if bits(SOLVES[name]()) != alone[name]], flush=True)
        os._exit(0)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def test_fork() -> None:
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[:2]))}
    command = [sys.executable, "-W", "error", "-c", "from test_promises import forked; forked()"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=2 * HANG, env=environment)
    assert (result.returncode, result.stdout) == (0, "[]\n"), result.stderr


@pytest.mark.parametrize("name", [name for name in SOLVES if "pairwise" not in name and "distance" not in name])
def test_results_can_be_pickled(name: str) -> None:
    # Before and after what is lazy in them was asked for.
    result = SOLVES[name]()
    copy = pickle.loads(pickle.dumps(result))
    expected = bits(result)
    assert bits(copy) == expected
    assert bits(pickle.loads(pickle.dumps(copy))) == expected
    for t in result if isinstance(result, list) else [result]:
        if isinstance(t, monge.Transport):
            plan, restored = t.plan, pickle.loads(pickle.dumps(t.plan))
            assert np.array_equal(restored @ np.ones(t.shape[1]), plan @ np.ones(t.shape[1]))


# --- Potentials -------------------------------------------------------------------------------------------------------


def some_without_mass(n: int) -> Array:
    weights = np.random.default_rng(n).dirichlet(np.ones(n))
    weights[::3] = 0.0
    weights[1] = 1e-300  # next to nothing
    return weights / weights.sum()


D = squared(X[:420], Y[:400])
FREE_A, FREE_B = some_without_mass(420), some_without_mass(400)
CUT = np.where(np.random.default_rng(1).random(D.shape) < 0.3, np.inf, D)
CUT[0], CUT[:, 3] = np.inf, np.inf  # places without mass may be cut off altogether
CLOUD = monge.PointCloud(X[:420], Y[:400])
GRID = monge.Grid((21, 20))
OF_GRID, SHIFTED = dense(GRID, 1), np.roll(FREE_A, 7)

FEASIBLE: dict[str, tuple[Array, Callable[..., Any]]] = {
    "dense": (CUT, lambda: monge.emd(CUT, FREE_A, FREE_B)),
    "sparse": (CUT, lambda: monge.emd(stored(CUT), FREE_A, FREE_B)),
    "batch": (CUT, lambda: monge.emd([SOME, CUT], [None, FREE_A], [None, FREE_B])[1]),
    "partial": (CUT, lambda: monge.partial(CUT, FREE_A, FREE_B, mass=0.6)),
    "rounded clouds": (D, lambda: entropic(CLOUD, FREE_A, FREE_B).rounded()),
    "rounded matrix": (D, lambda: entropic(D, FREE_A, FREE_B).rounded()),
    "rounded grid": (OF_GRID, lambda: entropic(GRID, FREE_A, SHIFTED, eps=4.0).rounded()),
}
STOPPED: dict[str, tuple[Array, Callable[..., Any]]] = {
    "sparse": (D, lambda: monge.emd(stored(D), FREE_A, FREE_B, time_limit=0.0)),
    "batch": (D, lambda: monge.emd([D, D], FREE_A, FREE_B, time_limit=0.0)[1]),
    "partial": (D, lambda: monge.partial(D, FREE_A, FREE_B, mass=0.6, time_limit=0.0)),
    "rounded clouds": (D, lambda: entropic(CLOUD, FREE_A, FREE_B, max_iter=2).rounded()),
    "rounded matrix": (D, lambda: entropic(D, FREE_A, FREE_B, max_iter=2).rounded()),
    "rounded grid": (OF_GRID, lambda: entropic(GRID, FREE_A, SHIFTED, eps=4.0, max_iter=2).rounded()),
}


def assert_feasible_potentials(t: Any, cost: Array) -> None:
    assert np.isfinite(t.f).all()
    assert np.isfinite(t.g).all()
    slack = cost - t.g - t.f[:, np.newaxis]
    size = np.abs(t.f)[:, np.newaxis] + np.abs(t.g) + np.where(np.isfinite(cost), np.abs(cost), 0.0)
    assert (slack >= -DUAL_ROUNDINGS * EPS * size).all()


@pytest.mark.parametrize("name", FEASIBLE)
def test_potentials_are_feasible_everywhere(name: str) -> None:
    cost, solve = FEASIBLE[name]
    assert_feasible_potentials(solve(), cost)


@pytest.mark.parametrize("name", STOPPED)
def test_potentials_are_feasible_where_a_solve_stops(name: str) -> None:
    cost, solve = STOPPED[name]
    with pytest.warns(monge.ConvergenceWarning):
        t = solve()
    assert_feasible_potentials(t, cost)
    assert t.gap > 0.0


def test_potentials_of_a_place_that_is_cut_off() -> None:
    cost = np.array([[np.inf, np.inf], [0.0, 1.0]])
    t = monge.sinkhorn(cost, [0.0, 1.0], [0.5, 0.5], eps=0.1).rounded()
    assert_feasible_potentials(t, cost)
    assert t.gap <= 1e-12


# --- Plans that exist -------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::monge.ConvergenceWarning")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("n", "m"), [(60, 80), (560, 500)])  # in the core, and pass by pass
@pytest.mark.parametrize("kind", ["single", "batch", "rounded"])
def test_a_solve_that_stops_early_is_not_infeasible(kind: str, n: int, m: int, dtype: Any) -> None:
    cost, a, b, value = classes(n, m, 4, dtype, 0)
    if kind == "batch":
        t = monge.sinkhorn([cost], a, b, eps=0.01, max_iter=2)[0]
    else:
        t = monge.sinkhorn(cost, a, b, eps=0.01, max_iter=2)
    assert t.status is monge.Status.MAX_ITER
    if kind == "rounded":
        r = t.rounded()
        assert r.cost - r.gap - 1e-6 <= value <= r.cost + 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_a_start_does_not_make_it_infeasible(form: str, dtype: Any) -> None:
    cost, a, b, value = classes(60, 80, 4, dtype, 0)
    problem = cost if form == "dense" else stored(cost)
    first = monge.emd(problem, a, b)
    for init in (first, (first.f, first.g), (np.zeros(60), np.linspace(-9.0, 9.0, 80))):
        t = monge.emd(problem, a, b, init=init)
        assert t.converged
        assert t.value == pytest.approx(value, rel=1e-6)


def test_another_problem_of_a_batch_does_not_make_it_feasible() -> None:
    cost = np.array([[0.0, 1.0, np.inf], [np.inf, np.inf, 0.0]])
    single = np.float32([0.5, 0.5]), np.float32([0.25, 0.25, 0.5])
    with pytest.raises(monge.InfeasibleError, match="problem 1"):
        monge.emd([cost, cost], [single[0], [1e6, 2e6]], [single[1], [5e5, 5e5 - 0.1, 2e6 + 0.1]])


# --- Stopping early ---------------------------------------------------------------------------------------------------

ENTROPIC: dict[str, Callable[..., Any]] = {
    "matrix": lambda **options: entropic(C, eps=0.02, **options),
    "points": lambda **options: entropic(monge.PointCloud(HIGH_X, HIGH_Y), eps=1.0, **options),
    "clouds": lambda **options: entropic(monge.PointCloud(X, Y), A, B, eps=0.05, **options),
    "clouds, TV": lambda **options: entropic(monge.PointCloud(X, Y), A, B, eps=0.1, marginals=monge.TV(1.0), **options),
    "matrix, KL": lambda **options: entropic(C, eps=0.02, marginals=monge.KL(0.5), **options),
    "grid": lambda **options: entropic(monge.Grid((16, 12)), *IMAGES, eps=1.0, **options),
    "batch": lambda **options: entropic([SOME, C], eps=0.02, **options)[1],
}


@pytest.mark.parametrize("passes", [1, 3])
@pytest.mark.parametrize("name", ENTROPIC)
def test_a_stopped_entropic_solve_bounds_the_optimum(name: str, passes: int) -> None:
    best = ENTROPIC[name]()
    with pytest.warns(monge.ConvergenceWarning, match="max_iter ran out"):
        t = ENTROPIC[name](max_iter=passes)
    assert t.status is monge.Status.MAX_ITER
    assert not t.converged
    assert t.iterations == passes
    assert t.marginal_error == pytest.approx(t.stats["error"], rel=1e-3)
    assert t.marginal_error > 1e-5
    if all(side.fixed for side in t.marginals):
        a, b = t.weights
        assert t.value == pytest.approx(a @ t.f + b @ t.g + t.eps * (1.0 - t.plan.sum()), rel=1e-5)
    rounding = 1e-12 * abs(best.value)
    assert t.value <= best.value + best.gap + rounding
    assert best.value <= t.value + t.gap + rounding


@pytest.mark.parametrize("threads", [1, 2])
def test_a_stopped_batch_is_feasible_and_certified(threads: int) -> None:
    weights = np.random.default_rng(2).dirichlet(np.ones(300), size=2)
    costs = [D[:300, :300], D[:300, 100:], D[:300, 50:350].T]
    with pytest.warns(monge.ConvergenceWarning, match="3 of 3 problems"):
        answers = monge.emd(costs, *weights, time_limit=0.0, threads=threads)
    for t, cost in zip(answers, costs, strict=True):
        assert t.status is monge.Status.TIME_LIMIT
        assert_feasible(t, cost, *weights)
        assert_certified(t, cost, *weights)
        best = monge.emd(cost, *weights).value
        assert t.value - t.gap <= best * (1.0 + 1e-12) <= t.value * (1.0 + 1e-12)


def test_distances_that_are_not_exact_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    solve, inexact = _core.emd_values, 8
    monkeypatch.setattr(_core, "emd_values", lambda *args: [(inexact, value) for _, value in solve(*args)])
    with pytest.warns(monge.ConvergenceWarning, match="pairwise: 9 of 9 pairs: costs that differ in size") as caught:
        monge.pairwise(np.eye(3), cost=SOME[:3, :3])
    assert caught[0].filename == __file__


# --- Interrupts -------------------------------------------------------------------------------------------------------


@contextmanager
def ctrl_c() -> Iterator[None]:
    """Within it, SIGINT means KeyboardInterrupt, as it does unless a shell ignores it; and one has to come out."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGINT, before)


@needs_alarm
@pytest.mark.parametrize("name", ["sparse", "partial"])
def test_ctrl_c_in_the_core(name: str) -> None:
    def arrived(k: int) -> None:
        if k == 1:
            raise KeyboardInterrupt

    # Until one takes so long that the core looks for signals, twenty times a second.
    for n in (1000, 2000, 4000, 8000):
        cost = np.random.default_rng(0).random((n, n), dtype=np.float32)
        try:
            with ticking(_core, name, arrived):
                monge.partial(cost, mass=0.6) if name == "partial" else monge.emd(stored(cost))
        except KeyboardInterrupt as error:
            if from_core(error):
                break
    else:
        pytest.fail("the core never let the signal in")


PLAN = monge.sinkhorn(C, eps=0.1, threads=1)

# What a solve calls again and again. After a signal in the second of these calls there is no other.
STEPS: dict[str, tuple[Any, str, Callable[[], Any]]] = {
    "matrix": (layout, "sinkhorn_rows", lambda: entropic(C, threads=1)),
    "points": (layout, "sinkhorn_rows", lambda: entropic(monge.PointCloud(HIGH_X, HIGH_Y), threads=1)),
    "clouds": (near_passes, "Pass", lambda: entropic(monge.PointCloud(X, Y), A, B, threads=1)),
    "grid": (grid_sums, "axis_log_sum", lambda: entropic(monge.Grid((16, 12)), *IMAGES, threads=1)),
    "batch": (layout, "sinkhorn_rows", lambda: entropic([C, C], threads=1)),
    "sums of a plan": (all_pairs, "plan_sums", lambda: PLAN.plan @ np.ones(700)),
    "products of a plan": (all_pairs, "plan_product", lambda: PLAN.plan @ np.ones((700, 2))),
    "entries of a plan": (all_pairs, "plan_entries", lambda: PLAN.plan.toarray()),
    "rounding": (all_pairs, "plan_entropy", lambda: PLAN.rounded()),
}


@pytest.mark.parametrize("name", STEPS)
def test_ctrl_c_between_two_steps(name: str, in_loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    in_loop()
    module, step, solve = STEPS[name]
    original, calls = getattr(module, step), 0

    def counted(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            signal.raise_signal(signal.SIGINT)
        return original(*args)

    with processors(1):
        before = bits(solve())
        monkeypatch.setattr(module, step, counted)
        with ctrl_c():
            solve()
        assert calls == 2
        # And nothing is left behind.
        assert bits(solve()) == before
        assert calls > 2


@pytest.mark.parametrize("name", ["matrix", "clouds"])
def test_no_thread_goes_on_after_ctrl_c(name: str, in_loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    in_loop()
    module, step, _ = STEPS[name]
    original, main, calls = getattr(module, step), threading.get_ident(), count()

    def counted(*args: Any) -> Any:
        if next(calls) == 20:
            signal.pthread_kill(main, signal.SIGINT)  # from whichever thread it is
        return original(*args)

    running = threading.enumerate()
    monkeypatch.setattr(module, step, counted)
    with processors(3), ctrl_c():
        ENTROPIC[name](tol=1e-300, max_iter=3000)
    for thread in threading.enumerate():
        if thread not in running:
            thread.join(HANG)  # at the end of its step
            assert not thread.is_alive()


def test_ctrl_c_in_a_batch_in_the_core() -> None:
    def arrived(k: int) -> None:
        if k == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught, ticking(_stored, "solve", arrived):
        monge.sinkhorn([C[:200, :200]] * 3, eps=0.1, tol=1e-300, max_iter=10**6, threads=2)
    assert from_core(caught.value)


def waits(thread: int) -> bool:
    """Whether a thread waits for others, and not for one to start."""
    names, frame = [], sys._current_frames()[thread]
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return "wait" in names and "start" not in names


def test_ctrl_c_in_a_batch_of_large_problems(in_loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    in_loop()
    run, main = native.NativePairs.run, threading.get_ident()
    told, more, first = threading.Event(), [], count()

    def interrupted(*_: Any) -> None:
        told.set()
        raise KeyboardInterrupt

    def watched(*args: Any) -> Any:
        if told.is_set():
            more.append(1)
            time.sleep(1e-3)  # lets the main thread take its turn
        elif threading.get_ident() != main:
            if next(first) == 0:
                give_up = time.monotonic() + HANG
                while not waits(main) and time.monotonic() < give_up:
                    time.sleep(1e-3)
                signal.pthread_kill(main, signal.SIGINT)
            told.wait(HANG)
        return run(*args)

    monkeypatch.setattr(native.NativePairs, "run", watched)
    with ctrl_c():
        signal.signal(signal.SIGINT, interrupted)
        monge.sinkhorn([C, C, C], eps=0.1, tol=1e-300, max_iter=100, threads=2)
    assert len(more) < 50


# --- Bad input --------------------------------------------------------------------------------------------------------

NAN = np.where(np.eye(60, 70) == 1.0, np.nan, SOME)
WIDE = monge.PointCloud(X, Y)
# Each has something good first, for which a hasty solver would begin its work.
BAD: dict[str, Callable[[], Any]] = {
    "emd, weights": lambda: monge.emd(WIDE, A, B[1:]),
    "emd, totals": lambda: monge.emd(WIDE, A, 2 * B),
    "emd, init": lambda: monge.emd(WIDE, init=(A, A)),
    "emd, threads": lambda: monge.emd(WIDE, threads=0),
    "emd, time_limit": lambda: monge.emd(WIDE, time_limit=-1.0),
    "sparse, weights": lambda: monge.emd(neighbours(), A, B),
    "sparse, costs": lambda: monge.emd(neighbours() * np.nan),
    "sparse, init": lambda: monge.emd(neighbours(), init=(A, B)),
    "sparse, threads": lambda: monge.emd(neighbours(), threads=0),
    "batch, weights": lambda: monge.emd([WIDE] * 3, None, [B, B, A]),
    "batch, number of weights": lambda: monge.emd([WIDE] * 3, [A, A]),
    "batch, threads": lambda: monge.emd([WIDE] * 3, threads=0),
    "batch, time_limit": lambda: monge.emd([WIDE] * 3, time_limit=-1.0),
    "partial, mass": lambda: monge.partial(WIDE, mass=1.5),
    "partial, weights": lambda: monge.partial(WIDE, A, B[1:], mass=0.5),
    "partial, threads": lambda: monge.partial(WIDE, mass=0.5, threads=0),
    "partial, time_limit": lambda: monge.partial(WIDE, mass=0.5, time_limit=-1.0),
    "line, weights": lambda: monge.emd_1d(X[:, 0], Y[:, 0], A, 2 * B),
    "line, points": lambda: monge.emd_1d(X[:, 0], [0.0, np.nan]),
    "line, p": lambda: monge.emd_1d(X[:, 0], Y[:, 0], p=0.5),
    "line, threads": lambda: monge.emd_1d(X[:, 0], Y[:, 0], threads=0),
    "circle, period": lambda: monge.emd_1d(X[:, 0], Y[:, 0], period=-1.0),
    "distance on the line, threads": lambda: monge.wasserstein_1d(X[:, 0], Y[:, 0], threads=0),
    "distance, threads": lambda: monge.wasserstein(X, Y, threads=0),
    "distance of a high power, threads": lambda: monge.wasserstein(X, Y, p=60, threads=0),
    "distance, weights": lambda: monge.wasserstein(X, Y, A, 2 * B),
    "histograms": lambda: monge.pairwise([A, A, -A], cost=monge.PointCloud(X, X)),
    "histograms, totals": lambda: monge.pairwise([A, A, 2 * A], cost=monge.PointCloud(X, X)),
    "histograms, other": lambda: monge.pairwise([A, A], [B, B[1:]], cost=WIDE),
    "pairwise, dimensions": lambda: monge.pairwise([X, Y, HIGH_X]),
    "pairwise, points": lambda: monge.pairwise([X, Y, np.nan * X]),
    "pairwise, weights": lambda: monge.pairwise([X, Y, (X, -A)]),
    "pairwise, totals": lambda: monge.pairwise([X, (Y, B), (X, 2 * A)]),
    "pairwise, threads": lambda: monge.pairwise([X, Y], threads=0),
    "pairwise, a line too long": lambda: monge.pairwise([[0.0], [1.0], [1e308], [-1e308]]),
    "small, costs": lambda: entropic(NAN),
    "matrix, costs": lambda: entropic(np.where(np.eye(800, 700) == 1.0, -np.inf, C)),
    "clouds, weights": lambda: entropic(WIDE, A, -B),
    "clouds, totals": lambda: entropic(WIDE, A, 2 * B),
    "clouds, init": lambda: entropic(WIDE, init=(A, A)),
    "clouds, threads": lambda: entropic(WIDE, threads=0),
    "clouds, tol": lambda: entropic(WIDE, tol=0.0),
    "grid, weights": lambda: entropic(monge.Grid((16, 12)), IMAGES[0], IMAGES[1][1:]),
    "grid, init": lambda: entropic(monge.Grid((16, 12)), init=(IMAGES[0], A)),
    "entropic batch, a cost": lambda: entropic([SOME, C, NAN]),
    "entropic batch, weights": lambda: entropic([SOME, C, SOME], [None, None, A]),
    "colours, target": lambda: monge.color_transfer(PICTURES[0], PICTURES[1] / 2.0),
    "colours, colors": lambda: monge.color_transfer(*PICTURES, colors=0),
    "colours, threads": lambda: monge.color_transfer(*PICTURES, threads=0),
    "rounding": lambda: monge.round_plan(PLAN.plan, np.ones(800), np.ones(700)),
    "rounding a plan": lambda: monge.round_plan(PLAN.plan, np.ones(3)),
    "uses of a plan": lambda: PLAN.plan @ np.ones(3),
    "entropic batch, in a later call of the core": lambda: entropic([SOME, SOME, NAN]),
}
# What the core looks at itself, before it solves any.
OWN: dict[str, tuple[list[Any], Any, Any]] = {
    "a cost": ([SOME, SOME, NAN], None, None),
    "a negative weight": ([D] * 3, None, [np.ones(400), np.ones(400), -np.ones(400)]),
    "a total": ([D] * 3, FREE_A, [FREE_B, FREE_B, 2 * FREE_B]),
}
WORK = [
    *((_core, name) for name in ("emd", "partial", "sparse", "emd_all", "emd_values")),
    (dense_costs, "cost_matrix"),
    (pairwise_costs, "cost_matrix"),
    (cloud_levels, "kd_order"),
    *((_univariate, name) for name in ("transport", "mean_cost", "mean_costs", "order")),
    *((all_pairs, name) for name in ("plan_sums", "plan_product", "plan_entries", "plan_entropy")),
    (_stored, "solve"),
    (native.NativePairs, "run"),
    (near_passes.NearPasses, "run"),
    (grid.GridPairs, "run"),
    (monge.maps.color.by_palette, "boxes"),
]


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_an_error_before_work_starts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, work in WORK:
        monkeypatch.setattr(owner, work, lambda *_, work=work, **__: pytest.fail(f"{work} was called"))
    monkeypatch.setattr(monge.entropic.solving, "_CHUNK", 2)
    with pytest.raises((ValueError, TypeError)):
        BAD[name]()


@pytest.mark.parametrize("name", OWN)
def test_the_core_checks_a_batch_before_it_solves_any(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    solve_all, solutions = _core.emd_all, []
    monkeypatch.setattr(_core, "emd_all", lambda *args: solutions.extend(solve_all(*args)) or solutions)
    costs, a, b = OWN[name]
    with pytest.raises(ValueError, match=r"^problem 2: "):
        monge.emd(costs, a, b)
    assert len(solutions) == 3
    assert all(counters["seconds_total"] == 0.0 and counters["pivots"] == 0 for *_, counters in solutions)
