"""The loops over exponentials are vectors: nothing else would tell if a compiler left them scalar, but the time."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess

import pytest

from monge.entropic import _near, _pairs, _stored

pytestmark = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64") or shutil.which("objdump") is None,
    reason="reads x86 machine code by objdump",
)

# A power of two gets its exponent by a shift, of 23 bits in single precision and of 52 in double, or by an instruction
# of its own, which the passes over near points use where there is one.
SINGLE, DOUBLE = r"vpslld\s+\$0x17,.*%{}", r"vpsllq\s+\$0x34,.*%{}"
POWERS = {
    "matrices": (_pairs, [SINGLE.format("ymm"), SINGLE.format("zmm"), DOUBLE.format("ymm"), DOUBLE.format("zmm")]),
    "near points": (_near, [SINGLE.format("ymm"), r"vscalefps\s.*%zmm", DOUBLE.format("ymm"), r"vscalefpd\s.*%zmm"]),
    "small problems": (_stored, [DOUBLE.format("ymm"), DOUBLE.format("zmm")]),
}


@pytest.mark.parametrize("loops", POWERS)
def test_powers_are_vectors(loops):
    # An extension has the loops of all instruction sets.
    module, patterns = POWERS[loops]
    missing = {re.compile(pattern) for pattern in patterns}
    command = ["objdump", "--disassemble", "--no-show-raw-insn", module.__file__]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            missing -= {pattern for pattern in missing if pattern.search(line)}
            if not missing:
                break
        process.kill()
    assert not missing


@pytest.mark.parametrize("module", [_pairs, _near], ids=["all pairs", "near points"])
def test_powers_of_distances_are_vectors(module):
    # The library's power takes one number at a time.
    command = ["objdump", "--dynamic-syms", module.__file__]
    symbols = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.search(r"\blog2\b", symbols)  # of a row's sum: calls would be seen
    assert not re.search(r"\bpowf?\b", symbols)
