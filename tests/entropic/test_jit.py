"""What is compiled when it is first called: kept on disk, never another's, and whole after warming up."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import numba
import numpy as np
import pytest

import monge
from monge.entropic.kernels import grid_sums

# A guard against hanging, not a measurement.
HANG = 300

# Warms up if nothing is compiled yet, and solves on grids.
GRIDS = """
import json, sys
import numba.core.event as event, numpy as np, monge
from monge.entropic.kernels.grid_sums import _convolve, axis_log_sum
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


def test_without_a_place_to_keep_code(monkeypatch):
    # As in a package that cannot be written to, of a user without a home.
    caching = importlib.import_module("numba.core.caching")
    kept = getattr(caching, "CacheImpl", None) or caching._CacheImpl
    monkeypatch.setattr(kept, "_locator_classes", [])
    spec = importlib.util.spec_from_file_location("compiled_here", grid_sums.__file__)
    again = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(again)
    np.testing.assert_array_equal(again.grid_transform(monge.Grid(2), np.array([1.0, 3.0])), [-2.0, -3.0])
    assert again._convolve.stats.cache_path is None


def test_warming_up_leaves_nothing_to_compile(processes):
    # Neither to the process that did it, nor to the next one: there, all of it comes from disk.
    assert [process["compiled"] for process in processes] == [[], []]


def test_code_is_kept_where_it_is_told(processes):
    assert [process["sum"] for process in processes] == [np.log(4.0)] * 2
    assert [process["loaded"] for process in processes] == [0, 1]


@pytest.mark.parametrize("tol", ["0.001", "1e-09"])
def test_code_that_was_loaded_gives_the_bits_of_code_that_was_compiled(tol, processes):
    compiled, loaded = (process["bits"][tol] for process in processes)
    assert compiled == loaded


def test_code_of_other_sources_is_not_used(tmp_path, monkeypatch):
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
