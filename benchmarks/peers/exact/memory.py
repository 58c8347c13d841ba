"""Peak memory of one solve beyond the cost it was given, in a process of its own.

The child reads the cost from a file (`memory SOLVER FOLDER THREADS`), so that the temporaries of
its making do not raise the peak that the solve is measured against.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.problems import Instance


def peak() -> int:
    """The largest resident size so far, in bytes."""
    # Not ru_maxrss where there is a choice: on Linux a child inherits its parent's.
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def peak_beyond_cost(solver: str, instance: Instance, threads: int) -> int:
    """Bytes that a solve of the instance takes beyond the cost."""
    with tempfile.TemporaryDirectory() as folder:
        for key in ("C", "a", "b"):
            value = getattr(instance, key)
            if value is not None:
                np.save(Path(folder) / key, value)
        command = [sys.executable, "-m", "benchmarks.peers.exact.memory", solver, folder, str(threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{solver} on {instance.name} failed:\n{done.stderr}")
    return int(done.stdout)


def main() -> None:
    solver, folder, threads = sys.argv[1:]
    from benchmarks.peers.exact.contestants import contestants

    solve = contestants(int(threads))[solver]
    small = np.random.default_rng(0).random((8, 8))
    solve(Instance("warm-up", small, None, None))  # code pages and thread stacks are not the problem's
    parts = [np.load(path) if (path := Path(folder) / f"{key}.npy").exists() else None for key in "Cab"]
    before = peak()
    solve(Instance("measured", *parts))
    print(peak() - before)


if __name__ == "__main__":
    main()
