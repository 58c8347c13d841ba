"""The kernels themselves: half steps, and what happens between passes, in device milliseconds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import monge
from benchmarks.gpu.run import SIMULATED, Run

__all__ = ["half_steps"]

# Points, coordinates and ground cost; None for a stored matrix.
CASES: list[tuple[int, int, Any]] = [
    (10_000, 3, "sqeuclidean"),
    (100_000, 1, "sqeuclidean"),
    (100_000, 2, "sqeuclidean"),
    (100_000, 3, "sqeuclidean"),
    (100_000, 3, "euclidean"),
    (100_000, 3, ("euclidean", 1.7)),
    (100_000, 3, "cityblock"),
    (100_000, 8, "sqeuclidean"),
    (30_000, 64, "sqeuclidean"),
    (30_000, 64, "euclidean"),
    (30_000, 0, None),
]
SMALL: list[tuple[int, int, Any]] = [(9, 3, "sqeuclidean"), (9, 0, None)]
# Launches that are timed together. Rows that are compared with double precision, eps over the mean cost, and what log2
# of a sum may be off by: what single precision makes of costs some two hundred times eps.
SEVERAL, CHECKED, EPS, RIGHT = 8, 32, 0.02, 2e-4


def huber(x: Any, y: Any) -> float:
    """A ground cost that its user wrote."""
    r = math.sqrt((x[0] - y[0]) ** 2 + (x[1] - y[1]) ** 2 + (x[2] - y[2]) ** 2)
    return 0.5 * r * r if r < 0.2 else 0.2 * (r - 0.1)


def squared(x: Any, y: Any) -> float:
    """The built-in cost, as its user would write it."""
    u, v, w = x[0] - y[0], x[1] - y[1], x[2] - y[2]
    return u * u + v * v + w * w


def half_steps(run: Run, out: dict[str, Any]) -> None:
    """Milliseconds, pairs a second, and their share of the exponentials that the card makes."""
    from monge.entropic.kernels.cuda.device import cuda
    from monge.entropic.kernels.cuda.driver import recorded

    def milliseconds(stream: Any, launch: Callable[[], object], repeat: int) -> float:
        if SIMULATED:
            start = time.perf_counter()
            launch()
            return 1e3 * (time.perf_counter() - start)

        def several() -> None:
            for _ in range(SEVERAL):
                launch()

        several()
        replay = recorded(stream, several)  # else short ones would wait for the host
        times = []
        for _ in range(repeat):
            begin, end = cuda.event(), cuda.event()
            begin.record(stream)
            replay()
            end.record(stream)
            end.synchronize()
            times.append(cuda.event_elapsed_time(begin, end) / SEVERAL)
        return float(np.median(times))

    ceiling = run.results.get("ceilings", {}).get("exponentials", {}).get("per_second", math.nan)
    rows = out["cases"] = []
    cases = SMALL if run.smoke or SIMULATED else [*CASES, (100_000, 3, huber), (100_000, 3, squared)]
    for n, d, cost in cases:
        name = "matrix" if cost is None else getattr(cost, "__name__", str(cost))
        if not run.room(out, f"{name}, {n} x {d}", 3.0):
            continue
        try:
            rows.append({"cost": name, "n": n, "d": d, **_measure(n, d, cost, milliseconds, ceiling)})
        except Exception as error:  # the others go on
            rows.append({"cost": name, "n": n, "d": d, "error": f"{type(error).__name__}: {error}"[:500]})


def _measure(n: int, d: int, cost: Any, milliseconds: Any, ceiling: float) -> dict[str, Any]:
    from monge.entropic.iteration import Schedule
    from monge.entropic.kernels.cuda.loop import Side, Solver
    from monge.entropic.kernels.cuda.points import on_device, taken
    from monge.entropic.kernels.cuda.sums import CloudSums, MatrixSums
    from monge.entropic.marginals import Balanced

    rng = np.random.default_rng()
    if cost is None:
        C = rng.random((n, n), dtype=np.float32)
        costs: Any = monge.CostMatrix(C)
        solver, x, y, factor = Solver(MatrixSums(on_device(C), n, n)), np.zeros((n, 0)), np.zeros((n, 0)), 1.0
    else:
        costs = monge.PointCloud(rng.random((n, d)), rng.random((n, d)), cost)
        x, y, factor, _ = taken(costs)
        solver = Solver(CloudSums(costs.ground, n, n, d))
    eps = EPS * float(costs.sample().mean())
    weights, g = np.full(n, 1.0 / n), eps * rng.normal(size=n)
    sides, balanced = (Side(weights, np.zeros(n), np.zeros(n)), Side(weights, g, g)), (Balanced(), Balanced())

    def load(noise: float) -> None:
        solver.load(x, y, *sides, factor, balanced, Schedule(eps, eps, 1e-30, 10**9), noise)

    out: dict[str, Any] = {}
    for real in (np.float32, np.float64):
        load(1e-9 if real is np.float32 else math.inf)
        if real is np.float64 and n > 20_000:
            break
        start = time.perf_counter()
        for _ in range(2):  # the second one has the shift of the first
            solver.half(real, 0)
        solver.stream.synchronize()
        key = real.__name__
        out[key] = {"first_s": time.perf_counter() - start}
        softmin = solver.potentials()[1]
        some = rng.integers(0, n, min(n, CHECKED))
        exponents = (g - costs.block(some)) / eps
        top = exponents.max(axis=1, keepdims=True)
        right = -eps * (top[:, 0] + np.log((np.exp(exponents - top) / n).sum(axis=1)))
        off = float(np.abs(softmin[some] - right).max() / (eps * math.log(2.0)))
        ms = milliseconds(solver.stream, lambda real=real: solver.half(real, 0), 10)
        turned = milliseconds(solver.stream, lambda real=real: solver.half(real, 1), 10)
        out[key] |= {
            "ms": ms, "columns_ms": turned, "pairs_per_second": n * n / ms * 1e3,
            "of_exponentials": n * n / ms * 1e3 / ceiling, "log2_off": off, "right": off < RIGHT,
        }  # fmt: skip
    load(1e-9)
    out["step_ms"] = milliseconds(solver.stream, lambda: solver.step(np.float32), 10)
    return out
