"""The clouds that are timed, and the marginal error of an answer to them, which is measured here, in double precision.

The error is |P 1 - a|_1 + |P' 1 - b|_1 over the mass of P_ij = a_i b_j exp((f_i + g_j - |x_i - y_j|^2) / eps), as in
`benchmarks.peers.entropic`, but on the GPU where there is one; for large clouds it is estimated from some rows and
columns, each of them summed in full.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.gpu.run import Run

__all__ = ["Cloud", "Measured", "best_of", "draw", "host", "measured", "scalars"]

Array = np.typing.NDArray[np.float64]

# Entries of a plan that are there at once, 512 MiB; fewer on a CPU, for its cache.
BLOCK, BLOCK_CPU = 2**26, 2**20
# Pairs up to which all are summed: a second on the GPU, and on the CPU.
ALL_PAIRS, ALL_PAIRS_CPU = 3 * 10**10, 2 * 10**8
# Rows, and columns, of a sample.
SAMPLE = 4096


class Cloud(NamedTuple):
    """Uniform weights on both sides."""

    x: Array  # (n, d)
    y: Array  # (n, d)
    eps: float
    name: str


def draw(d: int, n: int, relative: float, seed: int) -> Cloud:
    """The unit cube against a Gaussian beside its middle; eps relative to the mean cost."""
    rng = np.random.default_rng([seed, d, n])
    x, y = rng.random((n, d)), 0.7 + 0.25 * rng.normal(size=(n, d))
    mean = float(x.var(axis=0).sum() + y.var(axis=0).sum() + ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum())
    return Cloud(x, y, relative * mean, f"d={d} n={n} eps {relative:.1%}")


class Measured(NamedTuple):
    error: float
    deviation: float  # standard deviation of the error, where it is an estimate


def measured(cloud: Cloud, f: Any, g: Any, run: Run) -> Measured:
    """The marginal error of the plan that the potentials stand for."""
    n = len(cloud.x)
    f, g = host(f), host(g)
    middle = cloud.x.mean(axis=0)
    x, y = cloud.x - middle, cloud.y - middle
    # The logarithm of n^2 P_ij is u_i . v_j.
    one = np.ones(n)
    u = np.column_stack([2.0 / cloud.eps * x, (f - (x**2).sum(axis=1)) / cloud.eps, one])
    v = np.column_stack([y, one, (g - (y**2).sum(axis=1)) / cloud.eps])
    if n * n <= (ALL_PAIRS if run.gpu else ALL_PAIRS_CPU):
        rows, columns = _sums(u, v, run.gpu)
        off = np.abs(rows / n - 1.0).sum() + np.abs(columns / n - 1.0).sum()
        return _finite(off / (rows.sum() / n), 0.0)
    rng = np.random.default_rng()
    rows, columns = (
        _sums(one_side[rng.choice(n, SAMPLE, replace=False)], other, run.gpu)[0] / n
        for one_side, other in ((u, v), (v, u))
    )
    parts = [np.abs(sums - 1.0) for sums in (rows, columns)]
    deviation = float(np.hypot(*(part.std() / SAMPLE**0.5 for part in parts)))
    return _finite(sum(float(part.mean()) for part in parts) / float(rows.mean()), deviation)


def _finite(error: float, deviation: float) -> Measured:
    return Measured(float(error), deviation) if np.isfinite(error) else Measured(float("inf"), 0.0)


def _sums(u: Array, v: Array, gpu: bool) -> tuple[Array, Array]:
    """Row and column sums of exp(u v')."""
    if gpu:
        import torch

        on_device = {"dtype": torch.float64, "device": "cuda"}
        left, right = torch.as_tensor(u, **on_device), torch.as_tensor(v, **on_device).T.contiguous()
        rows, columns = torch.empty(len(u), **on_device), torch.zeros(len(v), **on_device)
        exp = torch.exp_
        step = max(1, BLOCK // len(v))
    else:
        left, right = u, np.ascontiguousarray(v.T)
        rows, columns = np.empty(len(u)), np.zeros(len(v))
        step = max(1, BLOCK_CPU // len(v))

        def exp(values: Array) -> Array:
            with np.errstate(over="ignore"):
                return np.exp(values, out=values)

    for i in range(0, len(u), step):
        P = exp(left[i : i + step] @ right)
        rows[i : i + step] = P.sum(1)
        columns += P.sum(0)
    return host(rows), host(columns)


def host(values: Any) -> Array:
    """As NumPy, wherever it was."""
    values = values.detach().cpu().numpy() if hasattr(values, "detach") else values
    return np.asarray(values, dtype=np.float64)


def best_of(call: Callable[[], Any], times: int, run: Run, out: dict[str, Any], patience: float) -> Any:
    """The last answer of so many calls, after one that may compile; fewer if they take longer than the patience. The
    median of their seconds is what counts, unless there is none but the first."""
    first, answer = _seconds(call, run)
    found = []
    while len(found) < times and sum(found) + first < patience:
        seconds, answer = _seconds(call, run)
        found.append(seconds)
    out |= {"first_seconds": first, "calls": len(found), "seconds": float(np.median(found)) if found else first}
    if found:
        out["least_seconds"] = min(found)
    return answer


def _seconds(call: Callable[[], Any], run: Run) -> tuple[float, Any]:
    wait(run)
    start = time.perf_counter()
    answer = call()
    wait(run)
    return time.perf_counter() - start, answer


def wait(run: Run) -> None:
    """Until the device has done all that it was given, by whomever."""
    if run.gpu:
        import torch

        torch.cuda.synchronize()


def scalars(stats: dict[str, Any]) -> dict[str, Any]:
    """Of a result's `stats`, what is a number or a word, and the last of the errors."""
    plain = {name: value for name, value in stats.items() if isinstance(value, bool | int | float | str | np.number)}
    errors = stats.get("errors")
    if errors is not None and len(errors):
        plain["last_error"] = float(errors[-1])
    return {name: value.item() if isinstance(value, np.number) else value for name, value in plain.items()}
