"""How fast the exponential alone is: what passes over pairs are measured against."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from monge.exact import _core

_HERE = Path(__file__).parent
# What makes a compiler use the instruction set that the core has chosen.
_FLAGS = {"avx512": ["-mavx512f", "-mavx512dq"], "avx2": ["-mavx2", "-mfma"]}


def per_second() -> float | None:
    """Exponentials in single precision per second on one core; None without a compiler."""
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "exponential"
        flags = ["-std=c++17", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-w"]
        flags += [*_FLAGS.get(_core.instruction_set(), []), "-I", str(_HERE.parents[2] / "csrc")]
        subprocess.run([compiler, *flags, str(_HERE / "exponential.cpp"), "-o", str(program)], check=True)
        return float(subprocess.run([program], capture_output=True, text=True, check=True).stdout)
