"""The proof of an entropic barycenter: the dual value of feasible potentials, and the objective of feasible plans.

Without the total of the kernel K = exp(-C / eps), which both have in them times eps and which may be far larger:

    lower    sum_k w_k (<a_k, f_k>* - eps <exp(f_k / eps), K exp(g_k / eps)>)     with sum_k w_k g_k = 0
    upper    sum_k w_k (eps sum_ij P_ij (log(P_ij / K_ij) - 1) + penalties)       with P_k' 1 = alpha

where <a, f>* is <a, f> or what the penalty makes of it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from monge.barycenters.fixed.problem import Problem
from monge.barycenters.fixed.steps import worth
from monge.entropic.marginals import Marginal

__all__ = ["lower_bound", "own_potentials", "upper_bound"]

Array = NDArray[np.float64]

# Of the symmetric steps: the error they stop at, and their largest number.
_OWN_TOL, _OWN_STEPS = 1e-12, 500
# Rows whose costs are looked at together.
_ROWS = 256
# Of a plan's mass, what is rounding.
_NOTHING = 1e-12


def lower_bound(problem: Problem, kernel: Any, f: Array, g: Array, eps: float) -> float:
    """The dual value of f and of potentials next to g that are feasible, less what the kernel's sums may be off by."""
    some = problem.weights > 0.0
    weights, f, g = problem.weights[some], f[some], g[some]
    if problem.columns.fixed:
        off = weights @ g
        off[~np.isfinite(off)] = 0.0
        g = g - off
    else:
        r = problem.columns.kl
        with np.errstate(over="ignore", divide="ignore"):
            off = r * np.log(weights @ np.exp(g / -r))
        g = g + np.where(np.isfinite(off), off, 0.0)
    masses = _exp(g / eps + kernel.T.log_sum(f / eps)).sum(axis=1) * (1.0 + math.expm1(kernel.accuracy))
    return float(weights @ (worth(problem.histograms[some], f, problem.rows) - eps * masses))


def upper_bound(problem: Problem, kernel: Any, f: Array, g: Array, alpha: Array, eps: float) -> float:
    """The objective of feasible plans, or a bound of it from above.

    Where second marginals must be alpha, columns that get too much are scaled down, and what others lack then is sent
    to them as a product (Altschuler, Weed and Rigollet 2017, Algorithm 2). Its entropy is bounded by convexity, with
    the share of the product as weight, and its cost by the largest one.
    """
    some = problem.weights > 0.0
    weights, a, u, v = problem.weights[some], problem.histograms[some], f[some] / eps, g[some] / eps
    sent, received = _exp(u + kernel.log_sum(v)), _exp(v + kernel.T.log_sum(u))
    slack = 1.0 + math.expm1(kernel.accuracy)
    if not problem.columns.fixed:
        masses = received.sum(axis=1)
        plans = eps * (_inner(sent, u) + _inner(received, v) - masses)
        ends = penalty(sent, a, problem.rows) + penalty(received, alpha, problem.columns)
        return float(weights @ (plans + ends)) + (slack - 1.0) * eps * float(weights @ masses)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(received > alpha, alpha / received, 1.0)
        kept = _exp(u + kernel.log_sum(v + np.log(scale)))
    got = scale * received
    lacking = np.maximum(alpha - got, 0.0)
    missing = lacking.sum(axis=1)
    spread = sent * (missing / sent.sum(axis=1))[:, np.newaxis]
    free = np.maximum(a - kept, 0.0) if problem.rows.fixed else spread
    from_free = free.sum(axis=1)
    total = kept.sum(axis=1)
    missing[missing < _NOTHING * total] = 0.0
    share = missing / (total + missing)
    largest = _largest(problem) if missing.any() else 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        product = (
            missing * (xlogy(free, free).sum(axis=1) / from_free)
            + xlogy(lacking, lacking).sum(axis=1)
            - xlogy(missing, from_free)
            + missing * largest / eps
        )
        product = np.where(missing > 0.0, product - xlogy(missing, share), 0.0)
        logs = np.where(got > 0.0, v + np.log(scale), 0.0)
    plans = _inner(kept, u) + _inner(got, logs) - xlogy(total, 1.0 - share) + product - (total + missing)
    # Fixed marginals are right, and cost nothing.
    ends = penalty(kept + free, a, problem.rows)
    return float(weights @ (eps * plans + ends)) + (slack - 1.0) * eps * float(weights @ total)


def _largest(problem: Problem) -> float:
    """What no cost exceeds."""
    bound, rows = problem.cost.bound, range(0, problem.cost.shape[0], _ROWS)
    if bound < math.inf and not problem.forbidden:
        return bound
    return max(float(problem.cost.block(slice(i, i + _ROWS)).max()) for i in rows)


def penalty(sums: Array, wanted: Array, side: Marginal) -> Array:
    """What marginals (k, n) cost that are not the ones that are wanted, (k,)."""
    if side.fixed:
        return np.zeros(len(sums))
    if side.kl < math.inf:
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.where(sums > 0.0, np.log(sums / wanted), 0.0)
        return np.asarray(side.kl * (sums * logs - sums + wanted).sum(axis=1))
    return np.asarray(side.cap * np.abs(sums - wanted).sum(axis=1))


def own_potentials(kernel: Any, logs: Array) -> Array:
    """log (a / d) for the d with d (K d) = a, of histograms whose logarithms (k, n) are given, by symmetric steps
    (Feydy et al. 2019, "Interpolating between optimal transport and MMD using Sinkhorn divergences", equation 25)."""
    sums = np.zeros_like(logs)
    masses = np.exp(logs)
    totals = masses.sum(axis=1)
    for _ in range(_OWN_STEPS):
        found = kernel.log_sum(logs - sums)  # = sums where d (K d) = a
        error = np.abs(masses * np.expm1(np.clip(found - sums, -700.0, 700.0))).sum(axis=1) / totals
        sums = 0.5 * (sums + found)
        if error.max() <= max(_OWN_TOL, 4.0 * kernel.accuracy):
            break
    return sums


def _exp(values: Array) -> Array:
    with np.errstate(under="ignore", over="ignore"):
        return np.exp(np.where(np.isnan(values), -np.inf, values))


def _inner(masses: Array, logs: Array) -> Array:
    """<masses, logs> of each row, where no mass has no part in it."""
    return np.asarray((masses * np.where(masses > 0.0, logs, 0.0)).sum(axis=1))
