"""A whole solve of a small problem in one call of compiled code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.entropic import iteration
from monge.entropic.kernels.forms import compiled_cost, cost_scale
from monge.entropic.kernels.jit import jit
from monge.entropic.kernels.loop import inlined
from monge.entropic.kernels.passes import prepare, reduce_columns, rows
from monge.entropic.marginals import Marginal
from monge.problem.costs import CostMatrix, PointCloud

__all__ = ["solve_small"]

Array = NDArray[np.float64]

_LN2 = math.log(2.0)


@jit()
def solve(form, like, per_unit, a, b, log_a, log_b, demands, steps, f, g, s, history, outcome):  # type: ignore[no-untyped-def]
    """A whole solve of a small problem in the precision of `like`, compiled: `iterate` over one chunk of rows."""
    kl_a, cap_a, kl_b, cap_b = demands
    eps_last, eps_first, tol, max_iter, noise = steps
    n = len(a)
    shift, sums, first = np.zeros(n), np.empty((1, len(b))), n - n
    for eps, _ in inlined(
        a, b, kl_a, cap_a, kl_b, cap_b, eps_last, eps_first, tol, max_iter, noise, f, g, s, history, outcome
    ):
        unit = eps * _LN2
        for i in range(n):
            f[i] /= unit
            shift[i] /= unit
        beta, reference, lift = prepare(unit, log_a, log_b, g, shift, f, like)
        damp, factor = 1.0 / (1.0 + eps / kl_a), per_unit / unit
        rows(form, factor, beta, reference, log_a, damp, cap_a / unit, lift, first, n, shift, f, sums[first])
        reduce_columns(form, factor, unit, beta, reference, log_a, log_b, lift, f, g, sums, like, s)
        for i in range(n):
            f[i] *= unit
            shift[i] *= unit


def solve_small(
    cost: CostMatrix | PointCloud, a: Array, b: Array, demands: tuple[Marginal, Marginal], eps: float,
    eps_first: float | None, tol: float, max_iter: int, f: Array, g: Array, s: Array, history: Array, outcome: Array,
) -> None:  # fmt: skip
    """`iterate` for a problem that is over before a thread would start, in one precision throughout."""
    scale, noise = cost_scale(cost)
    single = tol > iteration.noise_floor(noise, eps) * 2.0
    dtype: Any = np.float32 if single else np.float64
    form, per_unit = compiled_cost(cost, dtype)
    with np.errstate(divide="ignore"):
        log_a, log_b = np.log2(a), np.log2(b)
    side, other = demands
    solve(
        form, np.empty(0, dtype=dtype), per_unit, a, b, log_a, log_b, (side.kl, side.cap, other.kl, other.cap),
        (eps, scale if eps_first is None else eps_first, tol, max_iter, noise if single else np.inf), f, g, s, history,
        outcome,
    )  # fmt: skip
