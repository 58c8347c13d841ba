"""Solves share a process: they let go of the interpreter, answer Ctrl-C, run side by side and survive a fork."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import pytest
from cases import sample
from stopping import from_core, needs_alarm, ticking

import monge
from monge.exact import _core

# A guard against hanging, not a measurement: a hundred times what a loaded machine takes.
HANG = 120

# The core looks up twenty times a second. Problems of these sizes are solved in turn, until one takes so long that it
# did: the first here, a later one on a machine of any speed.
SIZES = (3000, 6000, 12_000)

CTRL_C = {
    "C": lambda C: C,
    "transposed": lambda C: C.T,
    "fortran": np.asfortranarray,
    "forbidden": lambda C: np.where(C < 0.01, C, np.float32(np.inf)),
}


@lru_cache(1)
def uniform(n: int) -> np.ndarray:
    return np.random.default_rng(0).random((n, n), dtype=np.float32)


class TestInterrupt:
    @needs_alarm
    @pytest.mark.parametrize("threads", [1, 3])
    @pytest.mark.parametrize("tick", [1, 3])  # near the start, and among the pivots
    @pytest.mark.parametrize("cost", CTRL_C)
    def test_ctrl_c(self, cost, tick, threads):
        # The signal arrives as Ctrl-C does. The core's call must end with KeyboardInterrupt, and the process go on.
        def arrived(k):
            if k == tick:
                raise KeyboardInterrupt

        for n in SIZES:
            try:
                with ticking(_core, "emd", arrived):
                    monge.emd(CTRL_C[cost](uniform(n)), threads=threads)
            except KeyboardInterrupt as error:
                if from_core(error):
                    break
        else:
            pytest.fail("the core never let the signal in")
        assert monge.emd(np.eye(3)).value == 0.0

    @needs_alarm
    def test_signal_without_exception_goes_on(self):
        # A handler that returns does not stop the solve: there is a second tick, and an answer.
        ticks: list[int] = []
        with ticking(_core, "emd", ticks.append):
            assert any(monge.emd(uniform(n)).converged and max(ticks, default=0) >= 2 for n in SIZES)

    def test_error_in_the_progress_bar_gets_out(self, monkeypatch):
        reports = []

        @contextmanager
        def broken_bar(wanted):
            def report(pivots, sweeps, violation):
                reports.append((pivots, sweeps))
                raise RuntimeError("no terminal")

            yield report

        monkeypatch.setattr(sys.modules["monge.exact.emd"], "pivot_bar", broken_bar)
        for n in SIZES:
            reports.clear()
            # At the latest at the end of a solve that was too short for a report.
            with pytest.raises(RuntimeError, match="no terminal") as caught:
                monge.emd(uniform(n))
            if from_core(caught.value):
                break
        else:
            pytest.fail("the core never reported")
        assert len(reports) == 1


def test_lets_go_of_the_interpreter(monkeypatch):
    # While one thread is in the core, another takes a turn; from threads that do not let go of the interpreter by
    # themselves it would get none here.
    core, inside = _core.emd, threading.Event()

    def emd(*args):
        inside.set()
        answer = core(*args)
        inside.clear()
        return answer

    monkeypatch.setattr(_core, "emd", emd)
    C = np.random.default_rng(0).random((1100, 1000))
    turns, patience = 0, sys.getswitchinterval()
    sys.setswitchinterval(HANG)
    try:
        with ThreadPoolExecutor(1) as pool:
            for _ in range(100):  # the other thread may be too late for one solve
                future = pool.submit(monge.emd, C, threads=1)
                while not future.done():
                    turns += inside.is_set()
                    time.sleep(1e-3)
                if turns:
                    break
    finally:
        sys.setswitchinterval(patience)
    assert turns > 0


def test_many_at_once():
    names = ["gaussians_plane_weighted", "iid", "integers", "forbidden_half", "duplicates", "zero_weights"]
    problems = [sample(name, 200) for name in names]
    rng = np.random.default_rng(0)
    problems.append(type(problems[0])(rng.random((1100, 1000))))  # solved on several threads each

    def solve(k):
        p = problems[k % len(problems)]
        t = monge.emd(p.cost, p.a, p.b, threads=2)
        return t.value, t.gap, t.f.tobytes(), t.g.tobytes(), t.plan.data.tobytes(), t.plan.row.tobytes()

    alone = [solve(k) for k in range(len(problems))]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(solve, range(5 * len(problems))))
    for k, result in enumerate(together):
        assert result == alone[k % len(problems)]


# In a process of its own: this one may have threads that are not monge's.
FORKS = f"""
import warnings; warnings.simplefilter("error")
import numpy as np, monge, os, signal, time
C = np.random.default_rng(0).random((1100, 1000))
D = C[:600, :600].copy()

def tasks():
    return set(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else None

def emd():
    t = monge.emd(C, threads=3)
    return t.value, t.f.tobytes()

def sinkhorn():
    t = monge.sinkhorn(D, eps=0.05, threads=3)
    return t.value, t.f.tobytes()

for solve in (emd, sinkhorn):
    before = tasks()
    answer = solve()
    # The system may list a thread for a moment after it was joined.
    give_up = time.monotonic() + {HANG // 2}
    while tasks() != before and time.monotonic() < give_up: time.sleep(0.01)
    left = tasks() != before
    pid = os.fork()
    if pid == 0:
        signal.alarm({HANG // 2})
        os._exit(0 if solve() == answer else 1)
    again = solve() == answer
    print(solve.__name__, left, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), again)
"""


@pytest.fixture(scope="module")
def forks():
    """For each solver, from a process that solves on three threads, forks, and solves in both: whether threads were
    left, how the child ended, and whether the parent had the same answer again."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    result = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=2 * HANG)
    assert result.returncode == 0, result.stderr
    return {solver: found for solver, *found in map(str.split, result.stdout.splitlines())}


@pytest.mark.parametrize("solver", ["emd", "sinkhorn"])
class TestFork:
    def test_both_go_on(self, solver, forks):
        assert forks[solver][1:] == ["0", "True"]

    def test_leaves_no_threads(self, solver, forks):
        # What would be lost in a fork must not be there in the first place.
        if not os.path.isdir("/proc/self/task"):
            pytest.skip("needs /proc")
        assert forks[solver][0] == "False"
