"""Solves share a process: they let go of the interpreter, answer Ctrl-C, run side by side and survive a fork."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from cases import sample

import monge

# A guard against hanging, not a measurement: a hundred times what a loaded machine takes.
HANG = 120

# Solved over and over, until the signal comes.
LONG = """
import numpy as np, monge, signal, sys, time
rng = np.random.default_rng(0)
C = rng.random((6000, 6000), dtype=np.float32)
x = rng.normal(size=(6000, 2))
"""


def run(code: str, timeout: float = HANG) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
class TestInterrupt:
    @pytest.mark.parametrize("threads", [1, 3])
    @pytest.mark.parametrize("after", [0.05, 0.3])
    @pytest.mark.parametrize("cost", ["C", "C.T", "np.asfortranarray(C)", "np.where(C < 0.01, C, np.inf)"])
    def test_ctrl_c(self, cost, threads, after):
        # The signal arrives as Ctrl-C does. The solve must end with KeyboardInterrupt, within seconds on any machine
        # (the contract is a tenth), and the process must be able to go on.
        code = LONG + (
            f"C = {cost}\n"
            "def arrived(*_):\n"
            "    global at\n"
            "    at = time.perf_counter()\n"
            "    raise KeyboardInterrupt\n"
            "signal.signal(signal.SIGALRM, arrived)\n"
            f"signal.setitimer(signal.ITIMER_REAL, {after})\n"
            "try:\n"
            "    while True:\n"  # a fast machine solves more often
            f"        monge.emd(C, threads={threads})\n"
            "except KeyboardInterrupt:\n"
            "    print('interrupted', time.perf_counter() - at < 5.0, monge.emd(np.eye(3)).value)\n"
        )
        result = run(code)
        assert result.stdout.split() == ["interrupted", "True", "0.0"], result.stdout + result.stderr

    def test_signal_without_exception_goes_on(self):
        # A handler that returns does not stop the solve.
        code = (
            "import numpy as np, monge, signal\n"
            "count = 0\n"
            "def arrived(*_):\n"
            "    global count\n"
            "    count += 1\n"
            "signal.signal(signal.SIGALRM, arrived)\n"
            "C = np.random.default_rng(0).random((1500, 1500))\n"
            "signal.setitimer(signal.ITIMER_REAL, 1e-3, 1e-2)\n"
            "t = monge.emd(C)\n"
            "signal.setitimer(signal.ITIMER_REAL, 0)\n"
            "print(count > 0, t.converged)\n"
        )
        result = run(code)
        assert result.stdout.split() == ["True", "True"], result.stderr

    def test_error_in_the_progress_bar_gets_out(self, monkeypatch):
        from contextlib import contextmanager

        reports = []

        @contextmanager
        def broken_bar(wanted):
            def report(pivots, sweeps, violation):
                reports.append((pivots, sweeps))
                raise RuntimeError("no terminal")

            yield report

        # Long enough for a report on any machine: the core reports twenty times a second.
        C = np.random.default_rng(0).random((6000, 6000), dtype=np.float32)
        monkeypatch.setattr(sys.modules["monge.exact.emd"], "pivot_bar", broken_bar)
        with pytest.raises(RuntimeError, match="no terminal"):
            monge.emd(C)
        assert len(reports) == 1


def test_lets_go_of_the_interpreter():
    # While one thread solves, another takes turns. With the lock held throughout, it would get one at each poll of the
    # core, twenty times a second, and some at the edges.
    C = np.random.default_rng(0).random((6000, 6000), dtype=np.float32)
    turns = 0
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(monge.emd, C, threads=1)
        while not future.done():
            turns += 1
            time.sleep(1e-3)
    polls = future.result().stats["seconds_total"] / 0.05
    assert turns > 3 * polls + 10


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_survives_fork():
    # The parent solves on several threads, then forks, and both go on solving. In a process of its own: this one may
    # have threads that are not monge's.
    code = (
        "import numpy as np, monge, os, signal\n"
        "C = np.random.default_rng(0).random((1100, 1000))\n"
        "before = monge.emd(C, threads=3)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        f"    signal.alarm({HANG // 2})\n"
        "    t = monge.emd(C, threads=3)\n"
        "    os._exit(0 if (t.value, t.f.tobytes()) == (before.value, before.f.tobytes()) else 1)\n"
        "after = monge.emd(C, threads=3)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), after.value == before.value)\n"
    )
    result = run("import warnings; warnings.simplefilter('error')\n" + code)
    assert result.stdout.split() == ["0", "True"], result.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_leaves_no_threads():
    # What would be lost in a fork must not be there in the first place.
    task = "/proc/self/task"
    if not os.path.isdir(task):
        pytest.skip("needs /proc")
    code = (
        "import numpy as np, monge, os, time\n"
        "C = np.random.default_rng(0).random((1100, 1000))\n"
        f"before = set(os.listdir({task!r}))\n"
        "monge.emd(C, threads=3)\n"
        # The system may list a thread for a moment after it was joined.
        f"give_up = time.monotonic() + {HANG // 2}\n"
        f"while set(os.listdir({task!r})) != before and time.monotonic() < give_up: time.sleep(0.01)\n"
        f"print(set(os.listdir({task!r})) == before)\n"
    )
    assert run(code).stdout.split() == ["True"]
