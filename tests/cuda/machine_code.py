"""The machine code of the kernels, made on a machine without a GPU.

A kernel is compiled for what it is launched with: arrays of NumPy stand for those of a device, and what would be
launched is kept instead. NVIDIA's assembler makes machine code of it, and the disassembler lists that.

    python -m tests.cuda.machine_code        # counts instructions anew, into instructions.json
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import json
import math
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

BASELINE = Path(__file__).with_name("instructions.json")
# Packages, and what is wanted of them.
TOOLS = {"nvidia-cuda-nvcc": "ptxas", "nvidia-cuda-nvdisasm": "nvdisasm", "nvidia-nvvm": "libnvvm.so"}
# What the instructions of a kernel depend on, beside its text.
COMPILERS = ("numba-cuda", *TOOLS)


@functools.cache
def tool(package: str) -> Path | None:
    """Where it is; None if its package is not installed."""
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = (Path(str(file.locate())) for file in files if file.name.split(".so")[0] == TOOLS[package].split(".so")[0])
    return next((path for path in found if path.is_file()), None)


def lacking() -> list[str]:
    """Packages that are not installed."""
    return [package for package in TOOLS if tool(package) is None]


# --- What is launched -------------------------------------------------------------------------------------------------


class _Device:
    """Stands for one, of which only this is asked."""

    compute_capability = (9, 0)
    MULTIPROCESSOR_COUNT = 132


class _Placed(np.ndarray):
    """Stands for an array on a device."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {"data": (0, False)}

    def copy_to_device(self, values: Any, stream: Any = 0) -> None:
        """Nothing is there to be computed with."""

    def copy_to_host(self, out: Any = None, stream: Any = 0) -> Any:
        return np.ones(self.shape, self.dtype)  # also says that a loop is done


class _Stream:
    handle = 0

    def synchronize(self) -> None:
        """Nothing runs."""


class Launch(NamedTuple):
    """A kernel and what it is called with."""

    kernel: Any
    arguments: tuple[Any, ...]


@contextlib.contextmanager
def without_device(cc: tuple[int, int] = (9, 0)) -> Iterator[list[Launch]]:
    """In it kernels are not launched, but listed."""
    import numba.cuda.dispatcher

    import monge.entropic.gpu  # noqa: F401 - so that all modules are there
    from monge.entropic.kernels.cuda import device as house
    from monge.entropic.kernels.cuda import driver

    launched: list[Launch] = []
    device = _Device()
    device.compute_capability = cc

    def place(values: Any, stream: Any = 0, **_: Any) -> Any:
        return np.ascontiguousarray(values).view(_Placed)

    def room(shape: Any, dtype: Any = np.float64, **_: Any) -> Any:
        return np.zeros(shape, dtype).view(_Placed)

    def launch(kernel: Any, grid: Any, threads: int, stream: Any, *arguments: Any) -> None:
        launched.append(Launch(kernel, arguments))

    with contextlib.ExitStack() as stack:

        def replace(owner: Any, name: str, value: Any) -> None:
            stack.enter_context(mock.patch.object(owner, name, value))

        replace(numba.cuda.dispatcher, "get_current_device", lambda: device)
        replace(house.cuda, "get_current_device", lambda: device)
        for name, value in (
            ("to_device", place), ("device_array", room), ("pinned_array", room), ("stream", _Stream),
            ("event", _Stream),
        ):  # fmt: skip
            replace(house.cuda, name, value)
        for name, module in list(sys.modules.items()):
            if name.startswith("monge.entropic.kernels.cuda."):
                for function, value in (
                    ("launch", launch),
                    ("recorded", lambda _, send: send),
                    ("_done", lambda _: None),
                ):
                    if hasattr(module, function):
                        replace(module, function, value)
        replace(driver, "driver", mock.MagicMock())
        house.multiprocessors.cache_clear()
        try:
            yield launched
        finally:
            house.multiprocessors.cache_clear()


# --- The kernels ------------------------------------------------------------------------------------------------------


def huber(x: Any, y: Any) -> float:
    """A ground cost that its user wrote."""
    r = math.sqrt((x[0] - y[0]) ** 2 + (x[1] - y[1]) ** 2 + (x[2] - y[2]) ** 2)
    return 0.5 * r * r if r < 0.2 else 0.2 * (r - 0.1)


def huber_slopes(x: Any, y: Any, out: Any) -> None:
    r = max(math.sqrt((x[0] - y[0]) ** 2 + (x[1] - y[1]) ** 2 + (x[2] - y[2]) ** 2), 0.2)
    for k in range(3):
        out[k] = 0.2 * (x[k] - y[k]) / r


def squared(x: Any, y: Any) -> float:
    """The built-in cost, as its user might write it."""
    total = 0.0
    for k in range(len(x)):
        total += (x[k] - y[k]) ** 2
    return total


SINGLE, DOUBLE = np.float32, np.float64
MANY, FEW = 60_000, 700  # points, for which blocks are cut differently


def _ground(cost: Any) -> Any:
    from monge.problem.ground import as_ground
    from monge.problem.user_cost import GroundCost

    return cost if isinstance(cost, GroundCost) else as_ground(cost)


def _points(cost: Any, d: int, real: Any, n: int = MANY, ordered: bool = False) -> list[Launch]:
    """A half step between points, after what bounds tiles if they are in order, and what finishes its sums."""
    from monge.entropic.kernels.cuda.loop import Solver
    from monge.entropic.kernels.cuda.sums import CloudSums

    with without_device() as launched:
        solver = Solver(CloudSums(_ground(cost), n, n, d, ordered))
        solver.half(real, 0)
    return launched


def _matrix(costs: Any, real: Any, side: int) -> list[Launch]:
    from monge.entropic.kernels.cuda.loop import Solver
    from monge.entropic.kernels.cuda.points import on_device
    from monge.entropic.kernels.cuda.sums import MatrixSums

    with without_device() as launched:
        solver = Solver(MatrixSums(on_device(np.zeros((FEW, FEW), costs)), FEW, FEW))
        solver.half(real, side)
    return launched


def _loop(d: int) -> list[Launch]:
    """What puts a problem there, begins, and follows a pass."""
    from monge.entropic.iteration import Schedule
    from monge.entropic.kernels.cuda.loop import Side, Solver
    from monge.entropic.kernels.cuda.sums import CloudSums
    from monge.entropic.marginals import Balanced

    x, none = np.zeros((9, d)), np.zeros(9)
    side = Side(none, none, none)
    with without_device() as launched:
        solver = Solver(CloudSums(_ground("sqeuclidean"), 9, 9, d))
        solver.load(x, x, side, side, 1.0, (Balanced(), Balanced()), Schedule(1.0, 1.0, 1e-3, 9), 1e-8)
        solver.step(SINGLE)
    return launched


def _plan(cost: Any, d: int, use: str) -> list[Launch]:
    import monge
    from monge.entropic.kernels.cuda.plan import CudaPairs
    from monge.entropic.kernels.threads import Threads
    from monge.entropic.marginals import Balanced

    x = np.random.default_rng(0).random((9, d))
    v, many = np.full(9, 1.0 / 9), np.ones((9, 8))
    with without_device() as launched:
        pairs = CudaPairs(monge.PointCloud(x, x, cost), v, v, (Balanced(), Balanced()), Threads(1))
        if use == "sums":
            pairs.sums(v, v, 1.0, None, v)
        elif use == "product":
            pairs.product(v, v, 1.0, many)
        elif use == "mixture":
            pairs.mixture(v, v, 1.0, v, v, v, v)
        elif use == "gradient":
            pairs.gradient(v, v, 1.0)
        else:
            pairs.transforms(v)
    return launched[:1]


def _batch(cost: Any, real: Any) -> list[Launch]:
    from monge.entropic.kernels.cuda.batch import solve_batch
    from monge.entropic.marginals import Balanced

    places, ones = np.zeros((2, 300, 3)), np.ones((2, 300))
    C = np.zeros((2, 300, 300)) if cost is None else None
    points = places if C is None else places[:, :, :0]
    answers = iter([np.zeros, np.ones])  # not done after single precision, and done after double

    def known(self: Any, out: Any = None, stream: Any = 0) -> Any:
        return next(answers, np.ones)(self.shape, self.dtype)

    with without_device() as launched, mock.patch.object(_Placed, "copy_to_host", known):
        solve_batch(
            None if cost is None else _ground(cost), points, points, ones, ones, C, np.ones(2),
            (Balanced(), Balanced()), 1.0, 1e-3, 9, np.zeros(2), False,
        )  # fmt: skip
    return [launched[0 if real is SINGLE else 1]]


class Kernel(NamedTuple):
    """How a kernel is had, and how its instructions are counted: in the innermost loop that has most of the instruction
    `counted`, of which a pair, or for sums over coordinates a pair and a coordinate, takes `each`."""

    launches: Callable[[], list[Launch]]
    which: int = 0
    counted: str | None = None
    each: int = 1
    capped: bool = False  # whether its registers are, so that some may be spilled


def _half(cost: Any, d: int, *rest: Any, counted: str | None = "MUFU.EX2", each: int = 1) -> Kernel:
    return Kernel(functools.partial(_points, cost, d, *rest), 0, counted, each)


def _user(function: Any) -> Any:
    import monge

    return monge.GroundCost(function, huber_slopes if function is huber else None)


@functools.cache
def kernels() -> dict[str, Kernel]:
    """By name. `float32` or `float64` is the precision of the pass."""
    made = {
        "points, squares in 2, float32": _half("sqeuclidean", 2, SINGLE),
        "points, squares in 3, float32": _half("sqeuclidean", 3, SINGLE),
        "points, squares in 3, float32, few": _half("sqeuclidean", 3, SINGLE, FEW),
        "points, squares in 8, float32": _half("sqeuclidean", 8, SINGLE),
        "points, distances in 3, float32": _half("euclidean", 3, SINGLE),
        "points, power 1.7 in 3, float32": _half(("euclidean", 1.7), 3, SINGLE, each=2),
        "points, sums in 3, float32": _half("cityblock", 3, SINGLE),
        "points, maxima in 3, float32": _half("chebyshev", 3, SINGLE),
        "points, user's in 3, float32": _half(_user(huber), 3, SINGLE),
        "points, user's in 20, float32": _half(_user(squared), 20, SINGLE, counted="FFMA"),
        "points, squares in 3, float64": _half("sqeuclidean", 3, DOUBLE, counted=None),
        "points, user's in 3, float64": _half(_user(huber), 3, DOUBLE, counted=None),
        "points in order, bounds of tiles": Kernel(functools.partial(_points, "euclidean", 3, SINGLE, MANY, True), 0),
        "points in order, squares in 3, float32": Kernel(
            functools.partial(_points, "sqeuclidean", 3, SINGLE, MANY, True), 1, "MUFU.EX2"
        ),
        "tiled, squares in 64, float32": _half("sqeuclidean", 64, SINGLE, counted="FFMA"),
        "tiled, distances in 64, float32": _half("euclidean", 64, SINGLE, counted="FFMA"),
        "tiled, squares in 64, float64": _half("sqeuclidean", 64, DOUBLE, counted=None),
        "finish, squares in 3, float32": Kernel(functools.partial(_points, "sqeuclidean", 3, SINGLE), 1),
        "finish, distances in 64, float64": Kernel(functools.partial(_points, "euclidean", 64, DOUBLE), 1),
        "finish, matrix": Kernel(functools.partial(_matrix, SINGLE, SINGLE, 0), 1),
    }
    for costs in (SINGLE, DOUBLE):
        for real in (SINGLE, DOUBLE):
            for side, of in enumerate(("rows", "columns")):
                made[f"matrix of {costs.__name__}, {of}, {real.__name__}"] = Kernel(
                    functools.partial(_matrix, costs, real, side), 0, "MUFU.EX2" if real is SINGLE else None
                )
    for which, does in enumerate(("load", "begin", "step")):
        made[f"{does}, points"] = Kernel(functools.partial(_loop, 3), which)
    for use in ("sums", "product", "mixture", "gradient", "least"):
        made[f"plan, {use} in 3"] = Kernel(functools.partial(_plan, "euclidean", 3, use))
    made["plan, sums in 64"] = Kernel(functools.partial(_plan, "sqeuclidean", 64, "sums"))
    made["plan, gradient, user's in 3"] = Kernel(functools.partial(_plan, _user(huber), 3, "gradient"))
    # Of matrices in double precision nothing is new, and each of these takes long to compile.
    for of, cost, real in (
        ("points", "sqeuclidean", SINGLE),
        ("points", "sqeuclidean", DOUBLE),
        ("matrix", None, SINGLE),
    ):
        counted = "MUFU.EX2" if real is SINGLE else None
        made[f"batch, {of}, {real.__name__}"] = Kernel(functools.partial(_batch, cost, real), 0, counted, capped=True)
    return made


# --- Machine code -----------------------------------------------------------------------------------------------------


class Loop(NamedTuple):
    """How many instructions it has, and how many of each name."""

    size: int
    names: Counter[str]

    def count(self, prefix: str) -> int:
        return sum(number for name, number in self.names.items() if name.startswith(prefix))


class Code(NamedTuple):
    """Of a kernel."""

    registers: int
    stack: int  # bytes
    spilled: int  # bytes, stored and loaded
    loops: list[Loop]  # the innermost ones


@functools.cache
def compiled(name: str, cc: tuple[int, int]) -> Code:
    """A kernel for a compute capability."""
    from numba import cuda, types

    one = kernels()[name]
    kernel, arguments = one.launches()[one.which]
    signature = types.void(*map(_type_of, arguments))
    options = kernel.targetoptions
    with without_device(cc):
        ptx = cuda.compile_ptx(kernel.py_func, signature, fastmath=bool(options.get("fastmath")), cc=cc)[0]
    assembler, disassembler = (tool(package) for package in ("nvidia-cuda-nvcc", "nvidia-cuda-nvdisasm"))
    most = options.get("max_registers")
    with tempfile.TemporaryDirectory() as folder:
        text, binary = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
        text.write_text(ptx, encoding="utf-8")
        said = _run(
            assembler,
            f"-arch=sm_{cc[0]}{cc[1]}",
            "-v",
            *([f"-maxrregcount={most}"] if most else []),
            text,
            "-o",
            binary,
        ).stderr
        listed = _run(disassembler, "-c", binary).stdout
    # Of the kernel and of the functions that it calls.
    stack, stored, loaded, registers = (
        [int(number) for number in re.findall(pattern, said)]
        for pattern in (
            r"(\d+) bytes stack frame", r"(\d+) bytes spill stores", r"(\d+) bytes spill loads", r"Used (\d+) registers"
        )
    )  # fmt: skip
    return Code(max(registers), sum(stack), sum(stored) + sum(loaded), _innermost(listed))


def _run(*command: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True, timeout=120)


def _type_of(value: Any) -> Any:
    from numba import from_dtype, types

    if isinstance(value, np.ndarray):
        return types.Array(from_dtype(value.dtype), value.ndim, "C")
    if isinstance(value, int | np.integer):
        return types.int64
    return types.float64


def _innermost(listing: str) -> list[Loop]:
    """Loops without another loop in them: from a label to a branch back to it."""
    lines: list[str] = []
    labels: dict[str, int] = {}
    for line in listing.splitlines():
        if label := re.match(r"\s*(\.L_x_\d+):", line):
            labels[label[1]] = len(lines)
        elif instruction := re.match(r"\s*/\*[0-9a-f]+\*/\s+(.*?);", line):
            lines.append(instruction[1].strip())
    spans = []
    for at, line in enumerate(lines):
        target = re.search(r"\bBRA\b.*?(\.L_x_\d+)", line)
        if target and labels.get(target[1], at + 1) <= at:
            spans.append((labels[target[1]], at + 1))
    inner = [
        (first, last)
        for first, last in spans
        if not any(first <= begin and end <= last and (begin, end) != (first, last) for begin, end in spans)
    ]
    names = ([re.sub(r"^@!?U?P\w+\s+", "", line).split()[0] for line in lines[first:last]] for first, last in inner)
    return [Loop(len(some), Counter(some)) for some in names]


def busiest(name: str, cc: tuple[int, int]) -> Loop:
    """The innermost loop that has most of what is counted."""
    counted = kernels()[name].counted
    assert counted is not None
    return max(compiled(name, cc).loops, key=lambda loop: loop.count(counted))


def per_pair(name: str) -> float:
    """Instructions per pair, or per pair and coordinate, for sm_90."""
    one = kernels()[name]
    assert one.counted is not None
    loop = busiest(name, (9, 0))
    return loop.size * one.each / loop.count(one.counted)


def compilers() -> dict[str, str]:
    return {package: importlib.metadata.version(package) for package in COMPILERS}


def main() -> None:
    counts = {name: round(per_pair(name), 3) for name, kernel in kernels().items() if kernel.counted is not None}
    BASELINE.write_text(json.dumps({"compilers": compilers(), "sm_90": counts}, indent=2) + "\n", encoding="utf-8")
    print(BASELINE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
