"""Instructions of solves, by callgrind: what counters do not see, the work per pivot, per pass and per call.

Counted twice: in monge's own libraries ("core"), which depend on the compiler, and in all libraries together ("all"),
which depend on Python and NumPy, too. Grids are left out: Numba compiles them for the processor at hand. This file is
also the program that callgrind runs, once with all drives: `python -m benchmarks.guard.instructions LIBRARY`, where the
library is requests.c.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import monge
from benchmarks import entropic_problems, motion, problems
from benchmarks.guard.counters import nearest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# (family, shape, repeats); a fraction of a second each.
EXACT: list[tuple[str, int | tuple[int, int], int]] = [
    ("uniform2d", 400, 1),
    ("weighted2d", 400, 1),
    ("euclidean2d", 400, 1),
    ("iid", 400, 1),
    ("integers", 300, 1),
    ("image", 400, 1),
    ("weighted2d", (50, 2000), 1),
    ("weighted2d", 32, 20),
    ("iid", 8, 50),
]

# For what NumPy calls: its threads wait in loops that count as work.
SINGLE_THREADED = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM")}

# What callgrind calls an extension of monge.
_OURS = re.compile(r"^ob=.*/monge/\w+/_\w+\.[^/]*so$")

Drive = tuple[str, Callable[[], Any], int]  # its name, what is counted, and how often it is run


def drives() -> Iterator[Drive]:
    for family, shape, repeats in EXACT:
        p = problems.make(family, shape)
        yield f"emd {p.name}", lambda p=p: monge.emd(p.C, p.a, p.b, threads=1), repeats
    p = problems.make("weighted2d", 400)
    yield f"partial {p.name}", lambda: monge.partial(p.C, p.a, p.b, mass=0.5, threads=1), 1
    C, weights = nearest(p.C, 20), np.random.default_rng(0).random(400)
    yield "emd of nearest 400", lambda: monge.emd(C, weights, weights), 1
    x, y = np.random.default_rng(0).normal(size=(2, 20_000))
    yield "emd_1d 20000", lambda: monge.emd_1d(x, y), 1
    moving = motion.problems_in_motion("weighted2d", "jitter", 400, seed=0)
    q, answer = next(moving)
    last = monge.emd(q.C, q.a, q.b, threads=1)
    answer(last)
    q, _ = next(moving)
    yield "emd from the last, 400", lambda: monge.emd(q.C, q.a, q.b, init=last, threads=1), 1
    for group, names in entropic_problems.GROUPS.items():
        if group == "grid":
            continue
        for name in names:
            cost, a, b, options = entropic_problems.make(group, name)
            yield (
                f"sinkhorn {group}: {name}",
                lambda c=cost, a=a, b=b, o=options: monge.sinkhorn(c, a, b, threads=1, **o),
                1,
            )


def main() -> None:
    print(f"{compiler()}\nPython {platform.python_version()}, NumPy {np.__version__}")
    requests = ctypes.CDLL(sys.argv[1])
    for name, run, repeats in drives():
        run()  # what happens once is not counted
        requests.start()
        for _ in range(repeats):
            run()
        requests.stop(name.encode())


def missing_tool() -> str | None:
    """The name of a program that counting needs and that is not there."""
    return next((tool for tool in ("valgrind", "cc") if shutil.which(tool) is None), None)


def instructions(python: str = sys.executable) -> dict[str, Any]:
    """{"compiler": ..., "python": ..., "core": {drive: count}, "all": {drive: count}} of the monge of this Python."""
    with tempfile.TemporaryDirectory() as folder:
        library, output = Path(folder) / "requests.so", Path(folder) / "counts"
        _run(["cc", "-O2", "-shared", "-fPIC", "-o", library, HERE / "requests.c"])
        options = ["--instr-atstart=no", "--compress-strings=no", "--compress-pos=no", f"--callgrind-out-file={output}"]
        child = [python, "-m", "benchmarks.guard.instructions", library]
        compiled, python_version = _run(["valgrind", "--tool=callgrind", *options, *child]).splitlines()
        counts = {name: both for path in Path(folder).glob("counts.*") for name, both in _counted(path).items()}
    core, everything = ({name: counts[name][k] for name in sorted(counts)} for k in range(2))
    return {"compiler": compiled, "python": python_version, "core": core, "all": everything}


def _run(command: list[Any]) -> str:
    # valgrind knows no AVX-512, and takes minutes for fused multiply-adds.
    environment = {**os.environ, **SINGLE_THREADED, "MONGE_SIMD": "baseline", "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _counted(path: Path) -> dict[str, tuple[int, int]]:
    """{drive: counts in monge's libraries and in all}, from what callgrind wrote; empty if that is no drive's."""
    name, ours, called, core, everything = None, False, False, 0, 0
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith("desc: Trigger: Client Request: "):
            name = line.split(": ", 3)[3]
        elif line.startswith("ob="):
            ours = _OURS.match(line) is not None
        elif line.startswith("calls="):
            called = True  # the next line is the cost of what is called, which is counted where it is
        elif line[:1].isdigit():
            if not called:
                count = sum(map(int, line.split()[1:]))  # no number stands for none
                core, everything = core + count * ours, everything + count
            called = False
    return {} if name is None else {name: (core, everything)}


def compiler() -> str:
    """What compiled monge's extensions, as the compiler signs them."""
    extension = next(file for file in importlib.metadata.files("monge") or [] if file.suffix == ".so")
    found = re.search(rb"GCC: [^\0]+|clang version [^\0]+", Path(extension.locate()).read_bytes())
    return "unknown" if found is None else found[0].decode()


if __name__ == "__main__":
    main()
