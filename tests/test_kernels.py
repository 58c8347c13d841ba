"""Every kernel against the specification, and what the compiled ones promise beside numbers."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from cases import sample

import monge
from monge.entropic import _steps, iteration
from monge.entropic.kernels import exp2, passes
from monge.entropic.kernels.cpu import CpuKernel
from monge.entropic.kernels.reference import ReferenceKernel
from monge.entropic.marginals import KL, TV, Balanced
from monge.entropic.sinkhorn import _solve

HANG = 300


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG, env={**os.environ, **environment}
    )


class TestSweep:
    @pytest.mark.parametrize("single", [True, False])
    @pytest.mark.parametrize("rows", [Balanced(), KL(0.3), TV(0.1)], ids=str)
    @pytest.mark.parametrize("kind", ["matrix32", "matrix64", "sqeuclidean", "euclidean", "cityblock", "cosine"])
    def test_agrees_with_the_reference(self, kind, rows, single):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(210, 3)) + 2.0, rng.normal(size=(130, 3)) + 2.0
        matrix = ((x[:, None] - y) ** 2).sum(-1)
        cost = (
            monge.CostMatrix(matrix.astype("f4" if kind == "matrix32" else "f8"))
            if kind.startswith("matrix")
            else monge.PointCloud(x, y, kind)
        )
        a, b = rng.dirichlet(np.ones(210)), rng.dirichlet(np.ones(130))
        reference = ReferenceKernel(cost, a, b, rows)
        g = 0.1 * reference.scale * rng.normal(size=130)
        for rel in (10.0, 0.1, 1e-3):
            eps = rel * reference.scale
            f, s, right_f, right_s = np.zeros(210), np.zeros(130), np.zeros(210), np.zeros(130)
            reference.sweep(g, eps, single, right_f, right_s)
            with CpuKernel(cost, a, b, rows, 2) as kernel:
                for _ in range(2):  # without a shift from the pass before, and with it
                    kernel.sweep(g, eps, single, f, s)
                    size = np.abs(reference.C).max() + np.abs(g).max() + eps
                    error = (2e-7 if single else 1e-15) * 4 * size
                    np.testing.assert_allclose(f, right_f, atol=error, rtol=0)
                    np.testing.assert_allclose(s, right_s, atol=2 * error, rtol=0)

    def test_lost_columns_are_repaired(self):
        # A column that single precision cannot see: its mass is 1e-40 of what the others get.
        rng = np.random.default_rng(0)
        C = rng.random((200, 200))
        C[:, 7] += 100.0
        a = b = np.full(200, 1 / 200)
        f, s, right_f, right_s = np.zeros((4, 200))
        ReferenceKernel(monge.CostMatrix(C), a, b, Balanced()).sweep(np.zeros(200), 0.5, True, right_f, right_s)
        CpuKernel(monge.CostMatrix(C), a, b, Balanced(), 1).sweep(np.zeros(200), 0.5, True, f, s)
        np.testing.assert_allclose(s, right_s, atol=1e-4)

    @pytest.mark.parametrize("guess", [1e6, -1e6, 30.0])
    def test_a_wrong_shift_is_repaired(self, guess):
        rng = np.random.default_rng(0)
        C = rng.random((200, 200))
        a = b = np.full(200, 1 / 200)
        f, s, right_f, right_s = np.zeros((4, 200))
        ReferenceKernel(monge.CostMatrix(C), a, b, Balanced()).sweep(np.zeros(200), 0.5, True, right_f, right_s)
        kernel = CpuKernel(monge.CostMatrix(C), a, b, Balanced(), 1)
        kernel._shift += guess
        kernel.sweep(np.zeros(200), 0.5, True, f, s)
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


class TestExp2:
    @pytest.mark.parametrize(
        ("function", "dtype", "error"), [("_exp2_single", "f4", 3e-7), ("_exp2_double", "f8", 5e-16)]
    )
    def test_accuracy(self, function, dtype, error):
        size = np.dtype(dtype).itemsize // 8
        t = np.linspace(exp2.LOW[size], exp2.HIGH[size], 20_001).astype(dtype)
        values = np.array([getattr(exp2, function)(v) for v in t], dtype=np.longdouble)
        # Measured against the argument as it is: 2 ** t of a float32 t in extended precision.
        right = np.exp2(t.astype(np.longdouble))
        assert np.abs(values / right - 1).max() < error

    def test_is_for_compiled_code(self):
        with pytest.raises(NotImplementedError):
            exp2.exp2(1.0)

    @pytest.mark.parametrize(("dtype", "shift"), [("f4", "pslld"), ("f8", "psllq")])
    def test_loops_are_vectorised(self, dtype, shift, tmp_path):
        # The shift of whole numbers into the exponent occurs in the exponential alone: packed, not one at a time. In a
        # process of its own, which compiles: code from the disk cannot be looked at.
        code = (
            "import numpy as np\n"
            "from monge.entropic.kernels import passes\n"
            f"dtype = np.dtype({dtype!r})\n"
            "x, y, none, out = (np.zeros(shape, dtype=dtype) for shape in ((1, 2), (2, 64), (0, 0), 64))\n"
            "cost = (none, x, y, passes.EUCLIDEAN, 2.0)\n"
            "passes.exponentiate(cost, 0, dtype.type(1), out, dtype.type(1), out.copy())\n"
            "print(*passes.exponentiate.inspect_asm().values())\n"
        )
        result = run(code, NUMBA_CACHE_DIR=str(tmp_path))
        if "xmm" not in result.stdout:
            assert result.returncode == 0, result.stderr
            pytest.skip("knows the instructions of x86 only")
        assert shift in result.stdout
        assert ("maxps" if dtype == "f4" else "maxpd") in result.stdout


class TestCompiled:
    def test_small_problems_do_not_import_the_compiler(self):
        code = "import sys, monge; monge.sinkhorn([[0.0, 1.0]] * 9, eps=1); assert 'numba' not in sys.modules"
        assert run(code).returncode == 0

    def test_without_a_place_to_keep_code(self):
        # As in a package that cannot be written to, of a user without a home.
        code = (
            "import numba.core.caching as caching\n"
            "getattr(caching, 'CacheImpl', getattr(caching, '_CacheImpl', None))._locator_classes = []\n"
            "from monge.entropic.kernels import exp2\n"
            "print(float(exp2._exp2_double(3.0)), exp2._exp2_double.stats.cache_path)\n"
        )
        result = run(code)
        assert result.stdout.split() == ["8.0", "None"], result.stderr

    def test_code_is_kept_where_it_is_told(self, tmp_path):
        code = (
            "from monge.entropic.kernels import exp2\n"
            "print(float(exp2._exp2_double(3.0)), len(exp2._exp2_double.stats.cache_hits))"
        )
        first = run(code, NUMBA_CACHE_DIR=str(tmp_path))
        second = run(code, NUMBA_CACHE_DIR=str(tmp_path))
        assert first.stdout.split() == ["8.0", "0"], first.stderr
        assert second.stdout.split() == ["8.0", "1"], second.stderr

    @pytest.mark.slow
    @pytest.mark.parametrize("tol", [1e-3, 1e-9])
    def test_code_that_was_loaded_gives_the_bits_of_code_that_was_compiled(self, tol, tmp_path):
        code = (
            "import numpy as np, monge\n"
            "x, y = np.random.default_rng(0).random((2, 600, 3))\n"
            "C = ((x[:, None] - y) ** 2).sum(-1)\n"
            "for cost in (monge.PointCloud(x, y), C, C[:50, :60]):\n"
            f"    t = monge.sinkhorn(cost, eps=0.01, tol={tol})\n"
            "    print(t.f.tobytes().hex(), t.g.tobytes().hex())\n"
        )
        compiled, loaded = (run(code, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
        assert compiled.returncode == 0, compiled.stderr
        assert compiled.stdout == loaded.stdout

    def test_code_of_other_sources_is_not_used(self):
        # Numba looks at the date of one file; the names under which code is kept tell the contents of all.
        from monge.entropic.kernels import jit

        for function in (passes.rows, passes.reduce_columns, exp2._exp2_single):
            assert jit._DIGEST in function.py_func.__qualname__
        sources = {path.name for path in Path(jit.__file__).parent.glob("*.py")}
        assert {"cpu.py", "exp2.py", "jit.py"} <= sources


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

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.parametrize("layer", ["workqueue", "default"])
    def test_survives_fork(self, layer):
        code = (
            "import numpy as np, monge, os, signal\n"
            "C = np.random.default_rng(0).random((600, 600))\n"
            "before = monge.sinkhorn(C, eps=0.05, threads=3).value\n"
            "pid = os.fork()\n"
            "if pid == 0:\n"
            f"    signal.alarm({HANG // 2})\n"
            "    os._exit(0 if monge.sinkhorn(C, eps=0.05, threads=3).value == before else 1)\n"
            "after = monge.sinkhorn(C, eps=0.05, threads=3).value\n"
            "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), after == before)\n"
        )
        result = run(code, NUMBA_THREADING_LAYER=layer)
        assert result.stdout.split() == ["0", "True"], result.stderr


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
