"""Answers of the device against double precision on the CPU, for fresh random problems.

Each answer's potentials are taken into NumPy, where the plan is summed anew from a full matrix of costs. Checked are
the marginal error, the value (as what these potentials are worth, and against the answer of the CPU's solver), and what
a result is used for: its cost, products with its plan, its barycentric map, its gradient.
"""

from __future__ import annotations

import math
import time
import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

import monge
from benchmarks.gpu.clouds import host
from benchmarks.gpu.run import Run
from benchmarks.problems import weights

__all__ = ["correctness"]

Array = np.typing.NDArray[np.float64]

# What a measured error may exceed the tolerance by: sums of two programs differ.
SLACK = 1.05
# Relative errors that pass: of sums in single precision over some thousand places, with room.
VALUE_OFF, USE_OFF = 2e-5, 1e-4
# How close to its bound a potential under TV counts as being at it, as in the result itself.
AT_CAP = 1e-12
DELTA = 0.3  # of Huber's cost
MOST_FAILURES = 60  # then there is nothing more to learn

DIMENSIONS: dict[Any, tuple[int, ...]] = {
    "sqeuclidean": (1, 2, 3, 5, 64), "euclidean": (2, 3, 64), ("euclidean", 1.7): (3, 5), "cityblock": (2, 5),
    "cosine": (3, 64), "huber": (2, 3), "matrix": (3,),
}  # fmt: skip
PENALTIES = (None, "KL", "TV")
RELATIVE = (0.05, 0.01, 0.001)
TOLERANCES = (1e-3, 1e-6)
# Places a side; fewer where the CPU, which solves everything again, would take long.
FEWEST, MOST, MOST_HARD = 300, 3000, 700


class Case(NamedTuple):
    ground: Any
    d: int
    penalty: str | None
    relative: float  # eps, of the mean cost
    tol: float
    n: int
    m: int

    def __str__(self) -> str:
        return (
            f"{self.ground} d={self.d} {self.penalty or 'balanced'} eps={self.relative:.1%} tol={self.tol:.0e} "
            f"{self.n} x {self.m}"
        )


def huber(x: Any, y: Any) -> Any:
    """A ground cost as users write them."""
    total = 0.0
    for s, t in zip(x, y):  # noqa: B905 - compiled for the device, which has no `strict`
        total += (s - t) * (s - t)
    r = math.sqrt(total)
    return 0.5 * total if r < DELTA else DELTA * (r - 0.5 * DELTA)


def _cases(rng: np.random.Generator, smoke: bool) -> Any:
    """Every ground cost in every dimension and under every penalty once, in random order; then more, at random."""
    first = [(ground, d, p) for ground, sizes in DIMENSIONS.items() for d in sizes for p in PENALTIES]
    rng.shuffle(first)  # type: ignore[arg-type]
    k = 0
    while True:
        ground, d, penalty = first[k] if k < len(first) else first[rng.integers(len(first))]
        relative, tol = RELATIVE[rng.integers(3)], TOLERANCES[rng.integers(2)]
        hard = relative < 0.01 or tol < 1e-3
        largest = 60 if smoke else MOST_HARD if hard else MOST
        n, m = rng.integers(largest // 2 if smoke else FEWEST, largest, 2)
        yield Case(ground, d, penalty, relative, tol, int(n), int(m))
        k += 1
        if smoke and k == len(first):
            return


def correctness(run: Run, out: dict[str, Any]) -> None:
    """The largest errors over all cases, and those that are too large."""
    rng = np.random.default_rng(run.seed)
    out |= {"cases": 0, "failures": [], "largest": {}}
    rows = out["rows"] = []
    for case in _cases(rng, run.smoke):
        if run.left() <= 0.0 or len(out["failures"]) > MOST_FAILURES:
            break
        out["cases"] += 1
        begin = time.perf_counter()
        try:
            found, wrong = _check(case, rng, run)
        except Exception as error:  # recorded: the next may do
            out["failures"].append(f"{case}: {type(error).__name__}: {error}"[:400])
            continue
        found["case_seconds"] = time.perf_counter() - begin
        rows.append({"case": str(case), **found})
        for name, value in found.items():
            if isinstance(value, float) and "seconds" not in name:
                out["largest"][name] = max(out["largest"].get(name, 0.0), value)
        if wrong:
            out["failures"].append(f"{case}: " + ", ".join(f"{name} {found[name]:.2g}" for name in wrong))


def _points(case: Case, rng: np.random.Generator) -> tuple[Array, Array]:
    x, y = rng.random((case.n, case.d)), 0.7 + 0.25 * rng.normal(size=(case.m, case.d))
    return x, y


def _costs(ground: Any, x: Array, y: Array) -> Array:
    """In double precision."""
    if ground == "huber":
        r = cdist(x, y)
        return np.where(r < DELTA, 0.5 * r**2, DELTA * (r - 0.5 * DELTA))
    if ground == "matrix":
        return cdist(x, y, "sqeuclidean") + 0.1 * np.sin(50.0 * cdist(x, y))  # of no points
    return cdist(x, y) ** ground[1] if isinstance(ground, tuple) else cdist(x, y, ground)


def _gradient(ground: Any, x: Array, y: Array, P: Array) -> Array | None:
    """sum_j P_ij dc(x_i, y_j) / dx."""
    if ground == "cityblock":
        return np.column_stack([(P * np.sign(s[:, None] - t)).sum(axis=1) for s, t in zip(x.T, y.T, strict=True)])
    if ground == "cosine":
        size = np.linalg.norm(x, axis=1, keepdims=True)
        u, v = x / size, y / np.linalg.norm(y, axis=1, keepdims=True)
        return np.asarray(((P * (u @ v.T)).sum(axis=1, keepdims=True) * u - P @ v) / size)
    if ground in ("huber", "matrix"):
        return None
    power = {"sqeuclidean": 2.0, "euclidean": 1.0}[ground] if isinstance(ground, str) else ground[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        W = P * power * np.nan_to_num(cdist(x, y) ** (power - 2.0), posinf=0.0)
    return np.asarray(x * W.sum(axis=1, keepdims=True) - W @ y)


def _missed(sums: Array, wanted: Array, potential: Array, penalty: str | None, rho: float) -> float:
    """How far they are from what the potential calls for."""
    if penalty == "KL":
        return float(np.abs(sums - wanted * np.exp(-potential / rho)).sum())
    off = sums - wanted
    if penalty == "TV":  # at its bound, on that side, any are right
        allowed = (potential >= rho * (1.0 - AT_CAP)) & (off <= 0.0) | (potential <= -rho * (1.0 - AT_CAP)) & (off >= 0)
        off = np.where(allowed, 0.0, off)
    return float(np.abs(off).sum())


def _worth(weight: Array, potential: Array, penalty: str | None, rho: float) -> float:
    if penalty == "KL":
        return float(-rho * (weight * np.expm1(-potential / rho)).sum())
    return float(weight @ (np.minimum(potential, rho) if penalty == "TV" else potential))


def _relative(found: Any, right: Array) -> float:
    off = float(np.abs(host(found) - right).max())
    size = float(np.abs(right).max())
    return off / size if size > 0.0 else off


def _check(case: Case, rng: np.random.Generator, run: Run) -> tuple[dict[str, Any], list[str]]:
    """Errors by name, and the names of those that are too large."""
    x, y = _points(case, rng)
    C = _costs(case.ground, x, y)
    a, b = (weights(rng, size) if rng.random() < 0.7 else np.full(size, 1.0 / size) for size in C.shape)
    eps, rho = case.relative * float(C.mean()), 0.3 * float(C.mean())
    marginals = {None: None, "KL": monge.KL(rho), "TV": monge.TV(rho)}[case.penalty]
    options: dict[str, Any] = {"eps": eps, "tol": case.tol, "marginals": marginals}
    ground = {"huber": huber}.get(case.ground, case.ground) if isinstance(case.ground, str) else case.ground
    cost: Any = C if ground == "matrix" else monge.PointCloud(x, y, cost=ground)

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        start = time.perf_counter()
        t = monge.sinkhorn(cost, a, b, device=run.device, **options)
        seconds = time.perf_counter() - start
    f, g = host(t.f), host(t.g)
    with np.errstate(over="ignore", invalid="ignore"):
        P = a[:, None] * b * np.exp((f[:, None] + g - C) / eps)
    sent, received = P.sum(axis=1), P.sum(axis=0)
    missed = _missed(sent, a, f, case.penalty, rho) + _missed(received, b, g, case.penalty, rho)
    error = missed / float(sent.sum())
    value = _worth(a, f, case.penalty, rho) + _worth(b, g, case.penalty, rho) - eps * (float(P.sum()) - a.sum())
    vector = rng.normal(size=case.m)
    some = sent > np.finfo(np.float64).tiny  # a source that TV leaves without mass has no image: its map is NaN
    found: dict[str, Any] = {
        "error_over_tol": error / case.tol,
        "reported_off_over_tol": abs(float(t.marginal_error) - error) / case.tol,
        "value_off": abs(float(t.value) - value) / abs(value),
        "cost_off": abs(float(t.cost) - float((P * C).sum())) / float((P * np.abs(C)).sum()),
        "map_off": _relative(t.map(y)[some], (P @ y)[some] / sent[some, None]),
        "product_off": _relative(t.plan @ vector, P @ vector),
        "back_product_off": _relative((rng_row := rng.normal(size=case.n)) @ t.plan, rng_row @ P),
        "seconds": seconds,
        "iterations": t.iterations,
        "said": sorted({str(w.message)[:120] for w in said}),
    }
    gradient = _gradient(case.ground, x, y, P)
    if gradient is not None:
        found["gradient_off"] = _relative(t.grad_x, gradient)
    found["value_beside_cpu"] = _beside_cpu(C, a, b, options, f, g, value, missed)
    limits = {"error_over_tol": SLACK, "value_off": VALUE_OFF, "value_beside_cpu": 1.0}
    wrong = [
        name
        for name, number in found.items()
        if name == "error_over_tol" or name.endswith("_off") or name == "value_beside_cpu"
        if number is not None and not number <= limits.get(name, USE_OFF)  # NaN is wrong
    ]
    return found, wrong


def _beside_cpu(
    C: Array, a: Array, b: Array, options: dict[str, Any], f: Array, g: Array, value: float, missed: float
) -> float | None:
    """How far the value is from that of the CPU's solver, over what the marginal errors of both allow.

    The dual is concave and its gradient is what the sums miss, so two values differ by at most the larger of these
    times the distance of the potentials, where moving a constant from one side to the other counts for nothing.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = monge.sinkhorn(C, a, b, **options)
    if not other.converged:
        return None
    shift_f, shift_g = f - other.f, g - other.g
    fixed = options["marginals"] is None
    middle = 0.25 * (shift_f.max() + shift_f.min() - shift_g.max() - shift_g.min()) if fixed else 0.0
    far = max(np.abs(shift_f - middle).max(), np.abs(shift_g + middle).max())
    other_missed = float(other.marginal_error) * float(other.plan.sum())
    allowed = max(missed, other_missed) * float(far) + VALUE_OFF * abs(float(other.value))
    return abs(value - float(other.value)) / allowed
