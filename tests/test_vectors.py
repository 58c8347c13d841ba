"""The loops over exponentials are vectors: nothing else would tell if a compiler left them scalar, but the time."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess

import pytest

from monge.entropic import _rows

pytestmark = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64") or shutil.which("objdump") is None,
    reason="reads x86 machine code by objdump",
)

# A power of two gets its exponent by a shift, of 23 bits in single precision and of 52 in double, or by an instruction
# of its own, which the passes over near points use where there is one.
POWERS = {
    "single precision, AVX2": r"vpslld\s+\$0x17,.*%ymm",
    "single precision, AVX-512": r"vpslld\s+\$0x17,.*%zmm",
    "double precision, AVX2": r"vpsllq\s+\$0x34,.*%ymm",
    "double precision, AVX-512": r"vpsllq\s+\$0x34,.*%zmm",
    "single precision, near points, AVX-512": r"vscalefps\s.*%zmm",
    "double precision, near points, AVX-512": r"vscalefpd\s.*%zmm",
}


def test_powers_are_vectors():
    # Every extension has the loops of the whole core, of all instruction sets.
    missing = {name: re.compile(pattern) for name, pattern in POWERS.items()}
    command = ["objdump", "--disassemble", "--no-show-raw-insn", _rows.__file__]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            found = [name for name, pattern in missing.items() if pattern.search(line)]
            for name in found:
                del missing[name]
            if not missing:
                break
        process.kill()
    assert not missing
