"""Every kernel becomes machine code for the GPUs of today, and that is as lean as it was: without a GPU."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from machine_code import BASELINE, busiest, compiled, compilers, kernels, per_pair

NEW, OLD = (9, 0), (8, 0)
COUNTED = [name for name, kernel in kernels().items() if kernel.counted is not None]
# For the older ones, one of each kind.
ON_OLD = [
    "points, squares in 3, float32", "points, user's in 3, float32", "points, squares in 3, float64",
    "tiled, squares in 64, float32", "finish, squares in 3, float32", "matrix of float32, rows, float32",
    "matrix of float64, columns, float64", "load, points", "begin, points", "step, points", "plan, sums in 3",
    "plan, gradient in 3",
]  # fmt: skip
# What makes numbers of double precision single.
CONVERSIONS = ("F2F.F32.F64", "DSETP")
DOUBLE = re.compile(r"D(ADD|MUL|FMA|SETP|MNMX)\b|.*F64|MUFU\.\w+64H")


@pytest.mark.parametrize(
    ("name", "cc"), [*((name, NEW) for name in kernels()), *((name, OLD) for name in ON_OLD)], ids=str
)
def test_every_kernel_compiles_and_keeps_its_numbers_in_registers(name: str, cc: tuple[int, int]) -> None:
    code = compiled(name, cc)
    if kernels()[name].capped:
        # A block would have the registers of all that it does between passes, in which it is a small part of the time:
        # that twice as many blocks run at a time is worth that some numbers of those are put aside, not many.
        assert code.registers <= 128
        assert code.stack <= 512
    else:
        assert code.spilled == 0
        assert code.stack == 0


@pytest.mark.parametrize("name", COUNTED)
def test_passes_in_single_precision_have_nothing_else_in_their_loops(name: str) -> None:
    found = {instruction for instruction in busiest(name, NEW).names if DOUBLE.match(instruction)}
    if name.startswith(("matrix of float64", "batch, matrix")):  # whose entries are made single
        found = {instruction for instruction in found if not instruction.startswith(CONVERSIONS)}
    assert found == set()
    assert not busiest(name, NEW).count("LDL")  # nothing is put aside there, of capped kernels either
    assert not busiest(name, NEW).count("STL")


@pytest.mark.parametrize("name", COUNTED)
def test_instructions_are_no_more_than_they_were(name: str) -> None:
    """`python -m tests.cuda.machine_code` writes the baseline anew: after a kernel or a compiler has changed."""
    known = json.loads(BASELINE.read_text(encoding="utf-8"))
    made_with = "" if known["compilers"] == compilers() else f"; counted with {known['compilers']}, now {compilers()}"
    assert per_pair(name) == pytest.approx(known["sm_90"][name], rel=0.02), f"instructions per pair{made_with}"


def test_the_baseline_is_of_these_kernels() -> None:
    assert set(json.loads(BASELINE.read_text(encoding="utf-8"))["sm_90"]) == set(COUNTED)


def test_squared_distances_take_nine_instructions_a_pair_at_most() -> None:
    # While the exponentials of a warp are made, eight instructions could begin: few more should be needed.
    assert per_pair("points, squares in 3, float32") <= 9.0


def test_what_numpy_lacks_is_lent_while_the_compiler_is_imported_and_no_longer() -> None:
    code = """
import numpy as np, monge
vars(np).pop("row_stack", None)  # as in NumPy 2.5
assert not hasattr(np, "row_stack")
from monge.entropic.kernels.cuda import device
assert device.cuda is not None and not hasattr(np, "row_stack") and np.vstack is not None
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
