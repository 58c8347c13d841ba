"""Every kernel against the specification, and what the compiled ones promise beside numbers."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numba
import numpy as np
import pytest
from cases import sample

import monge
from monge.entropic import _steps, iteration
from monge.entropic.kernels import grid, packed
from monge.entropic.kernels.cpu import CpuKernel
from monge.entropic.kernels.reference import ReferenceKernel
from monge.entropic.marginals import KL, TV, Balanced
from monge.entropic.sinkhorn import _solve

HANG = 300

# Warms up if nothing is compiled yet, and solves on grids.
GRIDS = """
import json, sys
import numba.core.event as event, numpy as np, monge
from monge.entropic.kernels.grid import _convolve, axis_log_sum
from monge.entropic.warm_up import warm_up

if sys.argv[1] == "cold":
    list(warm_up())
found = {"bits": {}}
with event.install_recorder("numba:compile") as compiled:
    for sides in ((9,), (8, 9), (3, 4, 5)):
        for eps in (0.1, 1e-3):
            for marginals in (monge.KL(1.0), None):
                t = monge.sinkhorn(monge.Grid(sides, spacing=0.3), eps=eps, tol=0.1, marginals=marginals)
                t.gap, t.cost, t.plan @ np.ones(t.shape[1])
        t.rounded().gap
    a, b = np.random.default_rng(0).dirichlet(np.ones(600), size=2)
    for tol in (1e-3, 1e-9):
        answers = [monge.sinkhorn(monge.Grid((20, 30), spacing=0.1), a, b, eps=eps, tol=tol) for eps in (1e-2, 1e-3)]
        found["bits"][tol] = [(t.f.tobytes().hex(), t.g.tobytes().hex()) for t in answers]
    found["sum"] = float(axis_log_sum(np.zeros((1, 4)), np.zeros(4))[0, 0])
found["loaded"] = len(_convolve.stats.cache_hits)
found["compiled"] = sorted({str(e.data["dispatcher"]) for _, e in compiled.buffer if e.is_end})
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """What a process finds that compiles, and the next one, which shares its directory of compiled code."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path_factory.mktemp("compiled"))}
    found = []
    for state in ("cold", "warm"):
        command = [sys.executable, "-c", GRIDS, state]
        result = subprocess.run(command, capture_output=True, text=True, timeout=HANG, env=environment)
        assert result.returncode == 0, result.stderr
        found.append(json.loads(result.stdout))
    return found


class TestSweep:
    @pytest.mark.parametrize("single", [True, False])
    @pytest.mark.parametrize("rows", [Balanced(), KL(0.3), TV(0.1)], ids=str)
    @pytest.mark.parametrize("d", [3, 21])
    @pytest.mark.parametrize(
        "kind",
        [
            "matrix32",
            "matrix64",
            "sqeuclidean",
            "euclidean",
            "cityblock",
            "cosine",
            ("euclidean", 1.5),
            ("cityblock", 2.0),
        ],
        ids=str,
    )
    def test_agrees_with_the_reference(self, kind, d, rows, single, monkeypatch):
        monkeypatch.setattr(packed, "_KEPT", 0)  # no matrix in the place of points
        cost, a, b, g, specified = self.specified(kind, d, rows)
        for eps, size, right_f, right_s in specified:
            f, s = np.zeros(210), np.zeros(130)
            with CpuKernel(cost, a, b, rows, 2) as kernel:
                for _ in range(2):  # without a shift from the pass before, and with it
                    kernel.sweep(g, eps, single, True, f, s)
                    error = (2e-7 if single else 1e-15) * 4 * size
                    np.testing.assert_allclose(f, right_f, atol=error, rtol=0)
                    np.testing.assert_allclose(s, right_s, atol=2 * error, rtol=0)

    @staticmethod
    @lru_cache
    def specified(kind, d, rows):
        """A problem, potentials, and for each eps the size of the numbers and what a pass should make of them."""
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(210, d)) + 2.0, rng.normal(size=(130, d)) + 2.0
        matrix = ((x[:, None] - y) ** 2).sum(-1)
        cost = (
            monge.CostMatrix(matrix.astype("f4" if kind == "matrix32" else "f8"))
            if str(kind).startswith("matrix")
            else monge.PointCloud(x, y, kind)
        )
        a, b = rng.dirichlet(np.ones(210)), rng.dirichlet(np.ones(130))
        reference = ReferenceKernel(cost, a, b, rows)
        g = 0.1 * reference.scale * rng.normal(size=130)
        passes = []
        for eps in (rel * reference.scale for rel in (10.0, 0.1, 1e-3)):
            f, s = np.zeros(210), np.zeros(130)
            reference.sweep(g, eps, False, True, f, s)
            passes.append((eps, np.abs(reference.C).max() + np.abs(g).max() + eps, f, s))
        return cost, a, b, g, passes

    @pytest.mark.parametrize("kind", ["euclidean", ("euclidean", 1.5), "sqeuclidean"], ids=str)
    def test_products_keep_the_digits_of_close_points(self, kind, monkeypatch):
        # The root of what is left where digits cancel would be off by 3e-4 of the points' size.
        monkeypatch.setattr(packed, "_KEPT", 0)
        rng = np.random.default_rng(0)
        x = np.concatenate([rng.normal(size=(100, 12)), 1e-3 * rng.normal(size=(100, 12)) + 3.0])
        cost = monge.PointCloud(x, x[::-1] + 1e-6, kind)
        a = b = np.full(200, 1 / 200)
        reference = ReferenceKernel(cost, a, b, Balanced())
        eps = 1e-2 * reference.scale
        f, s, right_f, right_s = np.zeros((4, 200))
        reference.sweep(np.zeros(200), eps, True, True, right_f, right_s)
        CpuKernel(cost, a, b, Balanced(), 1).sweep(np.zeros(200), eps, True, True, f, s)
        error = 1e-6 * reference.C.max()
        np.testing.assert_allclose(f, right_f, atol=error, rtol=0)
        np.testing.assert_allclose(s, right_s, atol=error, rtol=0)

    # Single precision is not used for powers below 1: a distance that it takes for zero has a cost that counts.
    @pytest.mark.parametrize(
        ("power", "single"), [(0.5, False), *((p, single) for p in (1.5, 3.0, 2.7, 40.0) for single in (True, False))]
    )
    @pytest.mark.parametrize("d", [3, 5, 16])
    @pytest.mark.parametrize("distance", ["euclidean", "cityblock"])
    def test_powers_agree_with_the_reference(self, distance, d, power, single, monkeypatch):
        monkeypatch.setattr(packed, "_KEPT", 0)
        rng = np.random.default_rng(0)
        x = rng.random((210, d))
        y = np.concatenate([x[:50], rng.random((80, d))])  # distances of zero among them
        cost = monge.PointCloud(x, y, (distance, power))
        a, b = rng.dirichlet(np.ones(210)), rng.dirichlet(np.ones(130))
        reference = ReferenceKernel(cost, a, b, Balanced())
        g = 0.1 * reference.scale * rng.normal(size=130)
        size = np.abs(reference.C).max() + np.abs(g).max()
        for rel in (10.0, 0.1, 1e-3):
            eps = rel * reference.scale
            f, s, right_f, right_s = np.zeros(210), np.zeros(130), np.zeros(210), np.zeros(130)
            reference.sweep(g, eps, single, True, right_f, right_s)
            CpuKernel(cost, a, b, Balanced(), 1).sweep(g, eps, single, True, f, s)
            # An error of the distance counts as often as the power says.
            error = (2e-7 if single else 1e-15) * (4 * (size + eps) + power * size)
            np.testing.assert_allclose(f, right_f, atol=error, rtol=0)
            np.testing.assert_allclose(s, right_s, atol=2 * error, rtol=0)

    @pytest.mark.parametrize("kind", ["sqeuclidean", "euclidean", "cityblock"])
    @pytest.mark.parametrize("single", [True, False])
    def test_costs_that_are_kept_are_those_that_are_computed(self, kind, single, monkeypatch):
        rng = np.random.default_rng(0)
        cost = monge.PointCloud(rng.normal(size=(150, 17)), rng.normal(size=(131, 17)), kind)
        a, b, found = np.full(150, 1 / 150), np.full(131, 1 / 131), []
        for kept in (0, 2**27):
            monkeypatch.setattr(packed, "_KEPT", kept)
            kernel, f, s = CpuKernel(cost, a, b, Balanced(), 1), np.zeros(150), np.zeros(131)
            for _ in range(10):
                kernel.sweep(0.1 * s, 0.3 * kernel.scale, single, True, f, s)
            assert len(kernel._packed[1]) == (1 if kept else 5)
            found.append((f, s))
        for one, other in zip(*found, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5 if single else 1e-13, atol=1e-5 if single else 1e-13)

    def test_lost_columns_are_repaired(self):
        # A column that single precision cannot see: its mass is 1e-40 of what the others get.
        rng = np.random.default_rng(0)
        C = rng.random((200, 200))
        C[:, 7] += 100.0
        a = b = np.full(200, 1 / 200)
        f, s, right_f, right_s = np.zeros((4, 200))
        ReferenceKernel(monge.CostMatrix(C), a, b, Balanced()).sweep(np.zeros(200), 0.5, True, True, right_f, right_s)
        CpuKernel(monge.CostMatrix(C), a, b, Balanced(), 1).sweep(np.zeros(200), 0.5, True, True, f, s)
        np.testing.assert_allclose(s, right_s, atol=1e-4)

    @pytest.mark.parametrize("guess", [1e6, -1e6, 30.0])
    def test_a_wrong_shift_is_repaired(self, guess):
        rng = np.random.default_rng(0)
        C = rng.random((200, 200))
        a = b = np.full(200, 1 / 200)
        f, s, right_f, right_s = np.zeros((4, 200))
        ReferenceKernel(monge.CostMatrix(C), a, b, Balanced()).sweep(np.zeros(200), 0.5, True, True, right_f, right_s)
        kernel = CpuKernel(monge.CostMatrix(C), a, b, Balanced(), 1)
        kernel._shift += guess
        kernel.sweep(np.zeros(200), 0.5, True, True, f, s)
        np.testing.assert_allclose(f, right_f, atol=1e-5)
        np.testing.assert_allclose(s, right_s, atol=1e-5)

    @pytest.mark.parametrize("marginals", [(Balanced(), Balanced()), (KL(0.3), KL(0.3)), (TV(0.2), KL(0.5))], ids=str)
    def test_whole_solve_agrees_with_the_reference(self, marginals):
        # The same loop, run over the reference and over compiled passes; and the core's, which takes fewer of them.
        p = sample("gaussians_plane", 24)
        eps = 0.05 * p.cost.mean()
        C = monge.CostMatrix(p.cost)
        args = (C, None, None, marginals, eps, 1e-9, 500, None, 1, False)
        plain = _solve(*args, kernel=lambda cost, a, b, rows, threads: ReferenceKernel(cost, a, b, rows))
        compiled = _solve(*args, kernel=CpuKernel)
        small = _solve(*args)
        for t in (plain, compiled, small):
            assert t.converged
            assert t.value == pytest.approx(plain.value, abs=1e-9)
            assert np.abs(plain.plan.toarray() - t.plan.toarray()).sum() < 1e-7
        # Single precision comes first, and is then waited for to get no better.
        assert compiled.iterations <= plain.iterations + 15
        assert small.iterations <= plain.iterations


class TestPowers:
    """Costs |x - y|^p themselves, from each instruction set."""

    # Points on a lattice, about the origin: sums of their differences, and of the squares of these, are exact.
    CODE = """
import numpy as np, monge
from monge.entropic._rows import cost_rows
from monge.entropic.kernels.packed import packed_cost

rng = np.random.default_rng(0)
for d in (1, 5, 16):
    x, y = rng.integers(-64, 65, (18, d)) / 64.0, rng.integers(-64, 65, (83, d)) / 64.0
    x = np.concatenate([x, -x, 0.0 * x[:1]])
    y[:9] = x[:9]
    for distance, order in (("euclidean", 2), ("cityblock", 1)):
        apart = (np.abs(x[:, None] - y) ** order).sum(-1)
        for p in (0.1, 0.5, 1.5, 2.7, 3.0, 40.0):
            cost, right = monge.PointCloud(x, y, (distance, p)), apart ** (p / order)
            for dtype in (np.float32, np.float64):
                out = np.empty(cost.shape, dtype)
                costs, per_unit = packed_cost(cost, dtype)
                cost_rows(costs, 0, 37, out)
                error = np.abs(out * np.float64(per_unit) - right).max() / right.max() / np.finfo(dtype).eps
                print(error, np.abs(out[apart == 0.0]).max(), distance, d, p, dtype.__name__)
"""

    @pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512"])
    def test_costs_are_as_exact_as_their_precision(self, isa):
        command, environment = [sys.executable, "-c", self.CODE], {**os.environ, "MONGE_SIMD": isa}
        result = subprocess.run(command, capture_output=True, text=True, timeout=HANG, env=environment)
        assert result.returncode == 0, result.stderr
        lines = result.stdout.splitlines()
        assert len(lines) == 72
        for line in lines:
            error, same_point, *case = line.split()
            assert float(same_point) == 0.0, case
            # Units in the last place of the largest cost; the factor to cost units makes three of them.
            assert float(error) < 4.0, case


class TestCompiled:
    def test_without_a_place_to_keep_code(self, monkeypatch):
        # As in a package that cannot be written to, of a user without a home.
        caching = importlib.import_module("numba.core.caching")
        kept = getattr(caching, "CacheImpl", None) or caching._CacheImpl
        monkeypatch.setattr(kept, "_locator_classes", [])
        spec = importlib.util.spec_from_file_location("compiled_here", grid.__file__)
        again = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(again)
        np.testing.assert_array_equal(again.grid_transform(monge.Grid(2), np.array([1.0, 3.0])), [-2.0, -3.0])
        assert again._convolve.stats.cache_path is None

    def test_warming_up_leaves_nothing_to_compile(self, processes):
        # Neither to the process that did it, nor to the next one: there, all of it comes from disk.
        assert [process["compiled"] for process in processes] == [[], []]

    def test_code_is_kept_where_it_is_told(self, processes):
        assert [process["sum"] for process in processes] == [np.log(4.0)] * 2
        assert [process["loaded"] for process in processes] == [0, 1]

    @pytest.mark.parametrize("tol", ["0.001", "1e-09"])
    def test_code_that_was_loaded_gives_the_bits_of_code_that_was_compiled(self, tol, processes):
        compiled, loaded = (process["bits"][tol] for process in processes)
        assert compiled == loaded

    def test_code_of_other_sources_is_not_used(self, tmp_path, monkeypatch):
        # Numba goes by the date and the size of the file.
        monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "kept"))
        source, answers = tmp_path / "compiled.py", []
        for number in (1, 2):
            text = f"from monge.entropic.kernels.jit import jit\n\n@jit\ndef answer():\n    return {number}\n"
            source.write_text(text)
            os.utime(source, (0, 0))
            module = {"__name__": "compiled"}
            exec(compile(text, str(source), "exec"), module)
            answers.append(module["answer"]())
        assert list(tmp_path.glob("kept/*/*.nbc"))
        assert answers == [1, 2]


class TestConcurrency:
    def test_many_at_once(self):
        p = sample("gaussians_plane_weighted", 600)
        small = sample("iid", 30)

        def solve(k):
            q = p if k % 2 else small
            t = monge.sinkhorn(q.cost, q.a, q.b, eps=0.05 * q.cost.mean(), threads=2)
            return t.value, t.f.tobytes()

        alone = [solve(0), solve(1)]
        with ThreadPoolExecutor(6) as pool:
            for k, result in enumerate(pool.map(solve, range(24))):
                assert result == alone[k % 2]


class TestSteps:
    """What the loop does between passes, from the C++ core, against the text of the algorithm."""

    DEMANDS = ((np.inf, np.inf), (0.7, np.inf), (np.inf, 0.3))

    @pytest.mark.parametrize("rows", DEMANDS)
    @pytest.mark.parametrize("columns", DEMANDS)
    @pytest.mark.parametrize("size", [1, 70])
    def test_agrees(self, rows, columns, size):
        rng = np.random.default_rng(0)
        a, b = rng.dirichlet(np.ones(50)), rng.dirichlet(np.ones(size))
        f, g, s = rng.normal(size=50), rng.normal(size=size), rng.normal(size=size)
        b[size // 2] *= size == 1
        f, g = np.clip(f, -rows[1], rows[1]), np.clip(g, -columns[1], columns[1])
        (kl_a, cap_a), (kl_b, cap_b) = rows, columns
        args = (a, b, kl_a, cap_a, kl_b, cap_b, 0.1, f, g, s)
        np.testing.assert_allclose(_steps.measure(*args), iteration.measure(*args), rtol=1e-13)
        translate = (kl_a < np.inf or kl_b < np.inf) and cap_a == cap_b == np.inf
        results = []
        for module in (_steps, iteration):
            moved, out = f.copy(), np.empty(size)
            module.plain_step(a, b, kl_a, kl_b, cap_b, 0.1, translate, moved, g, s, out)
            results.append(np.concatenate([moved, out]))
        np.testing.assert_allclose(*results, rtol=1e-13, atol=1e-14)

    def test_extrapolation_agrees(self):
        rng = np.random.default_rng(0)
        m, depth = 70, 4
        b = rng.dirichlet(np.ones(m))
        b[3] = 0.0
        steps = rng.normal(size=(7, m))
        results = []
        for module in (_steps, iteration):
            g, memory, gram = np.zeros(m), np.zeros((2 * depth + 3, m)), np.zeros((2 * depth + 2, depth))
            done = [module.extrapolate(b, 2.0, 0.1, k, plain, g, memory, gram) for k, plain in enumerate(steps)]
            assert done == [False] + [True] * 6
            results.append(g)
        np.testing.assert_allclose(*results, rtol=1e-9, atol=1e-12)


class TestIteration:
    def test_noise_floor(self):
        assert iteration.noise_floor(math.inf, 1.0) == math.inf
        assert iteration.noise_floor(1e-8, 1e-4) > 1e-4

    @pytest.mark.parametrize("rel", [0.05, 0.01, 0.001])
    def test_acceleration_pays(self, rel, in_loop):
        in_loop()
        # Plain passes from annealed potentials: 40, 190 and 2000.
        rng = np.random.default_rng(0)
        x, y = rng.random((400, 3)), rng.random((400, 3))
        mean = ((x[:, None] - y) ** 2).sum(-1).mean()
        t = monge.sinkhorn(monge.PointCloud(x, y), eps=rel * mean, tol=1e-3)
        assert t.iterations <= {0.05: 16, 0.01: 40, 0.001: 150}[rel]
