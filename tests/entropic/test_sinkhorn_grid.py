"""Entropic transport on grids, which must be what it is on the matrix of their costs."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from oracle import assert_solved, objective

import monge
from monge.entropic.iteration import memory_depth
from monge.entropic.kernels import grid_sums, threads
from monge.entropic.kernels.grid import GridPairs
from monge.entropic.kernels.room import bytes_beside
from monge.exact.dense import dense
from monge.problem.costs import as_cost

GRIDS = [
    monge.Grid(1),
    monge.Grid(30, power=1),
    monge.Grid((5, 7)),
    monge.Grid((6, 4), power=1.5, spacing=(2, 1)),
    monge.Grid((3, 2, 4)),
]
RNG = np.random.default_rng(0)


def weights(n, zeros=False):
    a, b = RNG.dirichlet(np.ones(n)), RNG.dirichlet(np.ones(n))
    if zeros and n > 4:
        a[1], b[[0, 3]] = 0.0, 0.0
    return a / a.sum(), b / b.sum()


@pytest.mark.parametrize("marginals", [None, monge.KL(0.5), monge.TV(2.0), (None, monge.KL(1.0))], ids=repr)
@pytest.mark.parametrize("relative", [1.0, 0.05])
@pytest.mark.parametrize("grid", GRIDS, ids=repr)
def test_as_on_the_matrix(grid, relative, marginals):
    C = dense(grid, 1)
    a, b = weights(len(C), zeros=marginals is None)
    eps = relative * (C.mean() or 1.0)
    t, u = (monge.sinkhorn(cost, a, b, eps=eps, marginals=marginals, tol=1e-9) for cost in (grid, C))
    assert_solved(t, 1e-9, C)
    # The dual value is off by the square of the marginal error.
    assert t.value == pytest.approx(u.value, rel=1e-9, abs=1e-9)
    assert t.cost == pytest.approx(u.cost, rel=1e-6, abs=1e-9)
    np.testing.assert_allclose(t.plan.toarray(), u.plan.toarray(), rtol=0, atol=1e-8)
    assert t.marginal_error == pytest.approx(u.marginal_error, abs=1e-8)


def test_small_eps():
    grid = monge.Grid((6, 5))
    a, b = weights(30, zeros=True)
    t = monge.sinkhorn(grid, a, b, eps=1e-2, tol=1e-3)
    assert_solved(t, 1e-3)
    assert t.rounded().cost == pytest.approx(monge.emd(grid, a, b).value, abs=0.1)


@pytest.mark.filterwarnings("ignore::monge.ConvergenceWarning")
@pytest.mark.parametrize("eps", [1e-5, 1e-9, 1e-16])
def test_no_eps_gives_nan(eps):
    grid = monge.Grid((6, 5))
    a, b = weights(30, zeros=True)
    t = monge.sinkhorn(grid, a, b, eps=eps, max_iter=50)
    assert np.isfinite(t.value)
    assert np.isfinite(t.f).all()
    assert np.isfinite(t.g).all()
    if eps < 1e-9:
        return  # a plan is the exponential of differences of potentials over eps, of which no digits are left
    assert np.isfinite([t.marginal_error, t.cost]).all()
    r = t.rounded()
    # The exponents' rounding comes back in every product.
    np.testing.assert_allclose(r.plan.sum(axis=0), b, rtol=8 * np.finfo(float).eps * 50.0 / eps, atol=1e-14)
    assert r.cost - r.gap - 1e-6 <= monge.emd(grid, a, b).value <= r.cost + 1e-6


def test_an_image():
    # 65,536 cells: the matrix would have four thousand million entries.
    size = 256
    x = np.linspace(-1.0, 1.0, size)
    a, b = (np.exp(-((x[:, None] - c) ** 2 + x**2) / 0.02).ravel() + 1e-6 for c in (-0.5, 0.5))
    a, b = a / a.sum(), b / b.sum()
    grid = monge.Grid((size, size), spacing=2.0 / (size - 1))
    t = monge.sinkhorn(grid, a, b, eps=0.01, tol=1e-4)
    assert_solved(t, 1e-4)
    # A Gaussian moved by one: W2 is the shift, but for the floor that both lie on.
    assert t.rounded().cost == pytest.approx(1.0, abs=0.1)
    moved = t.map(np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, 2)).reshape(size, size, 2)
    np.testing.assert_allclose(moved[64, 128], [0.5, 0.0], atol=0.02)


class TestPlan:
    grid = monge.Grid((5, 6))
    a, b = weights(30, zeros=True)
    t = monge.sinkhorn(grid, a, b, eps=1.0, tol=1e-3)
    P = np.stack(list(map(t.plan.__getitem__, range(30))))

    def test_is_the_plan_of_its_potentials(self):
        assert isinstance(self.t.plan._pairs, GridPairs)
        C = dense(self.grid, 1)
        expected = self.a[:, None] * self.b * np.exp((self.t.f[:, None] + self.t.g - C) / 1.0)
        np.testing.assert_allclose(self.P, expected, rtol=1e-12)
        np.testing.assert_allclose(self.t.plan.toarray(), expected, rtol=1e-12)

    def test_products(self):
        rng = np.random.default_rng(0)
        for right in (rng.normal(size=30), rng.normal(size=(30, 3)), np.arange(30), np.zeros(30)):
            np.testing.assert_allclose(self.t.plan @ right, self.P @ right, rtol=0, atol=1e-14)
            np.testing.assert_allclose(right.T @ self.t.plan, right.T @ self.P, rtol=0, atol=1e-14)
            np.testing.assert_allclose(self.t.plan.T @ right, self.P.T @ right, rtol=0, atol=1e-14)

    def test_sums_and_cost(self):
        for axis in (0, 1, None):
            np.testing.assert_allclose(self.t.plan.sum(axis), self.P.sum(axis), rtol=1e-13)
        assert self.t.cost == pytest.approx((self.P * dense(self.grid, 1)).sum(), rel=1e-13)

    def test_the_gap_is_certified(self):
        C = dense(self.grid, 1)
        best = monge.sinkhorn(C, self.a, self.b, eps=1.0, tol=1e-12)
        on_matrix = monge.sinkhorn(C, self.a, self.b, eps=1.0, init=(self.t.f, self.t.g), tol=1e-3)
        assert self.t.value <= best.value + 1e-12
        assert best.value <= self.t.value + self.t.gap
        # The log sum inequality costs little.
        assert self.t.gap <= 20.0 * max(on_matrix.gap, 1e-3)

    def test_objective_bounds_the_objective(self):
        rng = np.random.default_rng(1)
        x, y, u, v = rng.random((4, 30)) * 0.1
        u[self.a == 0.0], v[self.b == 0.0] = 0.0, 0.0
        bound, sent, received = self.t._mixture(x, y, u, v)
        G = x[:, None] * self.P * y + np.outer(u, v)
        mass = self.a.sum() * self.b.sum() - G.sum()
        exact = objective(G, dense(self.grid, 1), self.a, self.b, 1.0) - mass
        assert exact <= bound <= exact + np.log(2.0) * G.sum()
        np.testing.assert_allclose(sent, G.sum(axis=1))
        np.testing.assert_allclose(received, G.sum(axis=0))


def test_batch_of_grids():
    a, b = weights(12)
    answers = monge.sinkhorn([monge.Grid((3, 4)), monge.Grid(12)], a, b, eps=1.0)
    for grid, t in zip((monge.Grid((3, 4)), monge.Grid(12)), answers, strict=True):
        assert t.value == monge.sinkhorn(grid, a, b, eps=1.0).value


def test_same_bits_for_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(threads, "PARALLEL", 0)
    monkeypatch.setattr(grid_sums, "_CHUNK", 2**8)
    a, b = weights(77)
    one, two = (monge.sinkhorn(monge.Grid((11, 7)), a, b, eps=1.0, threads=k) for k in (1, 2))
    np.testing.assert_array_equal(one.f, two.f)
    np.testing.assert_array_equal(one.g, two.g)


def kept_by_steps(m, tol):
    """Bytes that the core keeps between passes, which Python does not see."""
    return 8 * m * (2 * memory_depth(tol) + 6)


# Bytes in memory that steps for 2^18 columns take.
STEPS = """
import os, sys
from pathlib import Path
import numpy as np
from monge.entropic._steps import Steps
from monge.entropic.marginals import Balanced

def in_memory():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

a, b, f, g = np.ones(1), np.ones(2**18), np.zeros(1), np.ones(2**18)
before = in_memory()
steps = Steps(a, b, (Balanced(), Balanced()), f, g, int(sys.argv[1]))
print(in_memory() - before)
"""


# What is thought to be taken for a stored kernel matrix, and the most that was.
STORED = """
import sys
from pathlib import Path
import numpy as np
import monge
from monge.entropic.kernels.room import bytes_beside
from monge.problem.costs import as_cost

def most():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

rng, kind, tol = np.random.default_rng(0), sys.argv[1], float(sys.argv[2])
# The latter takes Newton's method.
if tol > 1e-5:
    n, eps = 2000, 0.2 if kind == "many dimensions" else 0.05
else:
    n, eps = 1000, 1e-5 if "matrix" in kind else 2e-4
if "matrix" in kind:
    C = rng.random((n - 50, n), dtype=np.float32)
    cost = as_cost(C.T if kind == "turned matrix" else C)
else:
    d = 5 if kind == "points" else 130
    cost = monge.PointCloud(rng.random((n, d)), rng.random((n - 50, d)))
monge.sinkhorn(np.ones((80, 80)), eps=1.0, threads=1)
before = most()
t = monge.sinkhorn(cost, eps=eps, tol=tol, threads=1)
assert t.converged and (t.stats["newton_steps"] > 0) == (tol < 1e-5), t.stats
print(sum(bytes_beside(cost, eps, tol)), most() - before)
"""


class TestMemory:
    """What would not fit is refused before anything is allocated."""

    @pytest.mark.parametrize(
        "cost",
        [
            monge.Grid((60, 70), spacing=1 / 70),
            monge.Grid((15, 16, 17), spacing=1 / 17),
            monge.Grid(4000, spacing=1 / 4000),
        ],
        ids=["image", "volume", "line"],
    )
    @pytest.mark.parametrize("tol", [1e-2, 1e-6])
    def test_the_estimate_is_what_is_allocated(self, cost, tol):
        cost = as_cost(cost)
        monge.sinkhorn(cost, eps=0.1, tol=0.5)  # compiles
        tracemalloc.start()
        try:
            monge.sinkhorn(cost, eps=0.1, tol=tol)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        peak += kept_by_steps(cost.shape[1], tol)
        assert 0.7 * peak < sum(bytes_beside(cost, 0.1, tol)) < 1.4 * peak

    @pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
    @pytest.mark.parametrize("tol", [1e-2, 1e-8])
    @pytest.mark.parametrize("kind", ["matrix", "turned matrix", "points", "many dimensions"])
    def test_the_estimate_of_a_stored_kernel_matrix(self, kind, tol):
        # In a process that has no memory to use again.
        result = subprocess.run(
            [sys.executable, "-c", STORED, kind, str(tol)], capture_output=True, text=True, timeout=120
        )
        assert result.returncode == 0, result.stderr
        estimate, found = map(int, result.stdout.split())
        assert 0.7 * found < estimate < 1.4 * found

    @pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
    @pytest.mark.parametrize("tol", [1e-2, 1e-6])
    def test_what_steps_keep(self, tol):
        # In a process that has no memory to use again.
        command = [sys.executable, "-c", STEPS, str(memory_depth(tol))]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, result.stderr
        assert int(result.stdout) == pytest.approx(kept_by_steps(2**18, tol), rel=0.05)

    @pytest.mark.parametrize("batch", [False, True])
    @pytest.mark.parametrize(
        ("cost", "remedy"),
        [(monge.Grid((1000,) * 3), "coarser grid"), (monge.Grid(2**40), "coarser grid")],
    )
    def test_a_grid_that_is_too_large(self, cost, remedy, batch, monkeypatch):
        monkeypatch.setattr("monge.problem.arrays.available_memory", lambda: 2**36)
        tracemalloc.start()
        try:
            with pytest.raises(MemoryError, match=f"GiB of memory are available.*{remedy}"):
                monge.sinkhorn([cost] if batch else cost, eps=1.0)
            assert tracemalloc.get_traced_memory()[1] < 2**20
        finally:
            tracemalloc.stop()
        for solve in (
            monge.emd,
            lambda grid: monge.partial(grid, mass=0.5),
            lambda grid: monge.pairwise([], cost=grid),
        ):
            with pytest.raises((MemoryError, ValueError), match=r"matrix of this grid|numbers at most|lists for"):
                solve(cost)

    def test_matrices_and_points(self, monkeypatch):
        rng = np.random.default_rng(0)
        x, C = rng.random((2**19, 2)), rng.random((4200, 4100))
        monkeypatch.setattr("monge.problem.arrays.available_memory", lambda: 2**27)
        with pytest.raises(MemoryError, match=r"524288 x 524288 places, beside .*Subsample"):
            monge.sinkhorn(monge.PointCloud(x, x), eps=0.1)
        with pytest.raises(MemoryError, match=r"4100 x 4200 places, beside .*in C order"):
            monge.sinkhorn(C.T, eps=0.1)
        with pytest.raises(MemoryError, match=r"160 entropic problems.*fewer at once"):
            monge.sinkhorn([np.ones((501, 500), dtype=np.float32).T] * 160, eps=0.1)
        # Kernel matrices are there for those alone that are solved at the time.
        assert all(t.converged for t in monge.sinkhorn([np.ones((501, 500), dtype=np.float32)] * 160, eps=0.1))
        assert monge.sinkhorn(C, eps=1.0).converged

    def test_the_sample_of_costs_is_no_row(self):
        grid = monge.Grid((300, 400), power=1.5, spacing=0.1)
        step = -(-grid.shape[0] // 64)
        np.testing.assert_allclose(grid.sample(), grid.block(slice(None, None, step))[:, ::step], rtol=1e-14)
        tracemalloc.start()
        try:
            monge.Grid((2000, 2000)).sample()
            assert tracemalloc.get_traced_memory()[1] < 10 * 8 * 2000 * 2000
        finally:
            tracemalloc.stop()
