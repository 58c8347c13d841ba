"""How long `monge.sinkhorn` takes to a tolerance, from NumPy arrays and from tensors on the device."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

import monge
from benchmarks.gpu.clouds import Cloud, best_of, draw, host, measured, scalars
from benchmarks.gpu.run import Run

__all__ = ["TOLERANCE", "batch", "solve", "time_to_tolerance", "within"]

TOLERANCE = 1e-3
# What the measured error may exceed the tolerance by: the sums of two programs differ.
SLACK = 1.05
# Seconds that the calls of one row may take together, so long as one has been made.
PATIENCE = 12.0


class Row(NamedTuple):
    d: int
    n: int
    relative: float  # eps, of the mean cost
    calls: int


# What people ask for first; at last what may take longest.
ROWS = [
    Row(3, 1000, 0.01, 10), Row(3, 10_000, 0.01, 5), Row(3, 100_000, 0.01, 3), Row(64, 1000, 0.01, 10),
    Row(64, 10_000, 0.01, 3), Row(3, 1000, 0.001, 10), Row(3, 10_000, 0.001, 3), Row(3, 100_000, 0.001, 1),
    Row(64, 30_000, 0.01, 1), Row(3, 1_000_000, 0.01, 1), Row(3, 1_000_000, 0.001, 1),
]  # fmt: skip
SMOKE_ROWS = [Row(3, 60, 0.01, 2), Row(64, 50, 0.01, 2), Row(3, 60, 0.001, 1)]
# Up to here tensors are tried as well: where the device works for seconds, where its input was does not matter.
TENSORS = 100_000
BATCH, BATCH_POINTS = 1024, 256


def solve(cloud: Cloud, run: Run, tensors: bool = False) -> Any:
    """One call, as a user makes it."""
    x, y = cloud.x, cloud.y
    if tensors:
        import torch

        x, y = (torch.as_tensor(points, dtype=torch.float32, device="cuda") for points in (x, y))
    return lambda: monge.sinkhorn(monge.PointCloud(x, y), eps=cloud.eps, tol=TOLERANCE, device=run.device)


def within(error: float, deviation: float = 0.0) -> bool:
    """Whether it is the tolerance, as far as one can tell."""
    return error - 3.0 * deviation <= SLACK * TOLERANCE


def time_to_tolerance(run: Run, out: dict[str, Any]) -> None:
    """Rows of seconds, with the error that was reached."""
    out["tolerance"] = TOLERANCE
    rows = out["rows"] = []
    last: dict[tuple[int, float], tuple[int, float]] = {}  # the largest so far: its size, its seconds
    for row in SMOKE_ROWS if run.smoke else ROWS:
        size, seconds = last.get((row.d, row.relative), (row.n, 0.0))
        # All pairs at worst; it is asked for only if that fits.
        expected = seconds * (row.n / size) ** 2
        name = f"d={row.d} n={row.n} eps {row.relative:.1%}"
        if not run.room(out, name, expected):
            continue
        cloud = draw(row.d, row.n, row.relative, run.seed)
        kinds = ["numpy"] + (["tensors"] if run.gpu and row.n <= TENSORS else [])
        for kind in kinds:
            found = {"name": name, "d": row.d, "n": row.n, "eps": row.relative, "input": kind}
            rows.append(found)
            try:
                _fill(found, cloud, run, row.calls, kind == "tensors")
            except Exception as error:  # recorded: the next may do
                found["failed"] = f"{type(error).__name__}: {error}"[:500]
            else:
                if kind == "numpy":
                    last[row.d, row.relative] = row.n, found["seconds"]
            run.save()


def _fill(found: dict[str, Any], cloud: Cloud, run: Run, calls: int, tensors: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whether it converged is measured
        t = best_of(solve(cloud, run, tensors), calls, run, found, min(PATIENCE, max(0.0, run.left())))
    found |= {"iterations": t.iterations, "converged": bool(t.converged), "stats": scalars(t.stats)}
    error, deviation = measured(cloud, t.f, t.g, run)
    found |= {"error": error, "error_deviation": deviation, "right": within(error, deviation)}


def batch(run: Run, out: dict[str, Any]) -> None:
    """Many small problems in one call."""
    count, n = (4, 40) if run.smoke else (BATCH, BATCH_POINTS)
    clouds = [draw(3, n, 0.01, run.seed + k) for k in range(count)]
    eps = clouds[0].eps

    def call() -> Any:
        costs = [monge.PointCloud(cloud.x, cloud.y) for cloud in clouds]
        return monge.sinkhorn(costs, eps=eps, tol=TOLERANCE, device=run.device)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answers = best_of(call, 5, run, out, PATIENCE)
    # One thread of NumPy is done with a problem in a millisecond.
    errors = [
        measured(cloud._replace(eps=eps), host(t.f), host(t.g), run).error
        for cloud, t in zip(clouds, answers, strict=True)
    ]
    out |= {
        "problems": count,
        "points": n,
        "iterations": [int(np.min(counts := [t.iterations for t in answers])), int(np.max(counts))],
        "stats": scalars(answers[0].stats),
        "error": max(errors),
        "right": within(max(errors)),
    }
