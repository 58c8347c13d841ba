"""Threads: no more of them than a caller asked for, in a solve and in all that its result does later."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from cases import sample

import monge
from monge.entropic.kernels import grid_sums, threads
from monge.entropic.kernels.threads import Threads

_rng = np.random.default_rng(0)
X, Y = _rng.random((300, 2)), _rng.random((260, 2))
HIGH_X, HIGH_Y = _rng.random((300, 12)), _rng.random((260, 12))
C = _rng.random((300, 260))
# What is missing of a plan cannot be sent as a product here: rounding asks the exact solver.
CUT = np.where(np.arange(300)[:, np.newaxis] % 2 == np.arange(260) % 2, C, np.inf)

SOLVES: dict[str, Callable[..., Any]] = {
    "matrix": lambda **options: monge.sinkhorn(C, eps=0.1, **options),
    "forbidden": lambda **options: monge.sinkhorn(CUT, eps=0.02, max_iter=2, **options),
    "points": lambda **options: monge.sinkhorn(monge.PointCloud(HIGH_X, HIGH_Y), eps=0.1, **options),
    "clouds": lambda **options: monge.sinkhorn(monge.PointCloud(X, Y, "euclidean"), eps=0.02, **options),
    "unbalanced clouds": lambda **options: monge.sinkhorn(
        monge.PointCloud(X, Y), eps=0.02, marginals=monge.KL(1.0), **options
    ),
    "grid": lambda **options: monge.sinkhorn(
        monge.Grid((20, 15)), *np.random.default_rng(1).dirichlet(np.ones(300), size=2), eps=1.0, **options
    ),
    "batch": lambda **options: monge.sinkhorn([C, C[:, :7], monge.PointCloud(X, Y)], eps=0.1, **options)[0],
}


class Pools:
    """The helpers of all pools at one time, and the most there were."""

    def __init__(self) -> None:
        self.made, self.now, self.most = 0, 0, 0


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> Pools:
    """Counts, with small pieces of work worth threads, too."""
    count = Pools()

    class Counted(ThreadPoolExecutor):
        def __init__(self, helpers: int) -> None:
            super().__init__(helpers)
            self.helpers = helpers
            count.made, count.now = count.made + 1, count.now + helpers
            count.most = max(count.most, count.now)

        def shutdown(self, *args: Any, **options: Any) -> None:
            super().shutdown(*args, **options)
            count.now, self.helpers = count.now - self.helpers, 0

    for name, module in list(sys.modules.items()):
        if name.startswith("monge.") and hasattr(module, "ThreadPoolExecutor"):
            monkeypatch.setattr(module, "ThreadPoolExecutor", Counted)
    monkeypatch.setattr(threads, "PARALLEL", 0)
    monkeypatch.setattr(threads, "PARALLEL_ONCE", 0)
    monkeypatch.setattr(grid_sums, "_CHUNK", 2**8)
    return count


def uses(t: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """All that is computed when it is asked for."""
    n, m = t.shape
    yield "cost", lambda: t.cost
    yield "marginal_error", lambda: t.marginal_error
    yield "gap", lambda: t.gap
    for name, plan in (("plan", t.plan), ("turned plan", t.plan.T)):
        n, m = plan.shape
        yield f"{name} times a vector", lambda plan=plan, m=m: plan @ np.ones(m)
        yield f"a vector times {name}", lambda plan=plan, n=n: np.ones(n) @ plan
        yield f"{name} times a matrix", lambda plan=plan, m=m: plan @ np.ones((m, 3))
        yield f"a matrix times {name}", lambda plan=plan, n=n: np.ones((3, n)) @ plan
        yield f"{name} as an array", plan.toarray
        yield f"largest of {name}", lambda plan=plan: plan.top(2)
        yield f"sums of {name}", lambda plan=plan: plan.sum(axis=0)
    if all(side.fixed for side in t.marginals):
        r = t.rounded()
        yield "rounded", t.rounded
        yield "cost of the rounded", lambda: r.cost
        yield "error of the rounded", lambda: r.marginal_error
        yield "the rounded plan", lambda: r.plan @ np.ones(t.shape[1])
        yield "the rounded plan as an array", r.plan.toarray
        yield "map of the rounded", lambda: r.map(np.ones((t.shape[1], 2)))
    yield "map", lambda: t.map(np.ones((t.shape[1], 2)))


# What is found at hand, or takes a part of the plan that is no work for several.
ALONE = {"cost of the rounded", "rows"}


@pytest.mark.filterwarnings("ignore::monge.ConvergenceWarning")
@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("name", SOLVES)
class TestNoMoreThanAskedFor:
    def test_one(self, name: str, loop: bool, pools: Pools, in_loop: Callable[[], None]) -> None:
        if loop:
            in_loop()
        for _, use in uses(SOLVES[name](threads=1)):
            use()
        assert pools.made == 0

    def test_three(self, name: str, loop: bool, pools: Pools, in_loop: Callable[[], None]) -> None:
        if loop:
            in_loop()
        t = SOLVES[name](threads=3)
        assert pools.now == 0
        assert pools.most <= (3 if name == "batch" else 2)  # of a batch, the problems are what is shared
        pools.most = 0
        for what, use in uses(t):
            before = pools.made
            use()
            assert pools.now == 0, what
            assert pools.most <= 2, what
            measured = what in ("cost", "marginal_error") or "sums" in what or "error of" in what
            assert pools.made > before or measured or what in ALONE, what


@pytest.mark.parametrize("number", [1, 2, 5])
@pytest.mark.parametrize("chunks", [1, 3, 16])
@pytest.mark.parametrize("kept", [False, True])
def test_every_chunk_once(number: int, chunks: int, kept: bool, pools: Pools) -> None:
    workers, done = Threads(number), []
    with workers if kept else nullcontext():
        for _ in range(3):
            workers.share(chunks, done.append, 1)
    assert sorted(done) == sorted([*range(chunks)] * 3)
    assert pools.now == 0
    assert pools.most <= number - 1
    if kept:
        assert pools.made == (number > 1)


@pytest.mark.parametrize("kept", [False, True])
def test_an_error_gets_out_of_any_thread(kept: bool, pools: Pools) -> None:
    def work(k: int) -> None:
        if k == 7:
            raise RuntimeError("seven")

    workers = Threads(3)
    with workers if kept else nullcontext(), pytest.raises(RuntimeError, match="seven"):
        workers.share(16, work, 1)
    assert pools.now == 0


def test_little_work_is_not_worth_threads() -> None:
    seen = set()
    with Threads(3) as workers:
        workers.share(16, lambda _: seen.add(threading.get_ident()), threads.PARALLEL)
    Threads(3).share(16, lambda _: seen.add(threading.get_ident()), threads.PARALLEL_ONCE)
    assert seen == {threading.get_ident()}


def test_many_at_once() -> None:
    p, small = sample("gaussians_plane_weighted", 600), sample("iid", 30)

    def solve(k: int) -> tuple[float, bytes]:
        q = p if k % 2 else small
        t = monge.sinkhorn(q.cost, q.a, q.b, eps=0.05 * q.cost.mean(), threads=2)
        return t.value, t.f.tobytes()

    alone = [solve(0), solve(1)]
    with ThreadPoolExecutor(6) as pool:
        for k, result in enumerate(pool.map(solve, range(24))):
            assert result == alone[k % 2]
