"""What entropic tests share: problems, and the conditions that every answer must satisfy."""

from __future__ import annotations

from typing import Any

import numpy as np

import monge

# Rounding of double precision in sums and exponents: potentials over eps, times this.
EPS = np.finfo(np.float64).eps


def log_sum(values: Any, axis: int) -> Any:
    """log sum exp along an axis; SciPy's takes ten times longer to look at its arguments than to add up so few."""
    most = values.max(axis=axis, keepdims=True)
    return np.log(np.exp(values - most).sum(axis=axis)) + most.squeeze(axis)


def dense(C: Any, a: Any, b: Any, eps: float, tol: float = 1e-12, most: int = 200_000) -> tuple[Any, Any, Any]:
    """(f, g, P) of the balanced problem by plain alternating updates, the slow way."""
    C = np.asarray(C, dtype=float)
    g = np.zeros(C.shape[1])
    with np.errstate(divide="ignore"):
        log_a, log_b = np.log(a)[:, None], np.log(b)
    for _ in range(most):
        f = -eps * log_sum((g - C) / eps + log_b, axis=1)
        s = -eps * log_sum((f[:, None] - C) / eps + log_a, axis=0)
        P = a[:, None] * b * np.exp((f[:, None] + g - C) / eps)
        if np.abs(P.sum(axis=0) - b).sum() <= tol * a.sum():
            return f, g, P
        g = s
    raise AssertionError("the plain iteration did not converge")


def small_values() -> list[float]:
    """Of problems that the core solves, to compare between processes."""
    C = np.random.default_rng(0).random((30, 45))
    return [monge.sinkhorn(C, eps=eps, tol=1e-10).value for eps in (0.1, 0.01, 1e-4)]


def objective(P: Any, C: Any, a: Any, b: Any, eps: float, marginals: Any = (None, None)) -> float:
    """<P, C> + eps KL(P | a x b) + penalties, term by term."""
    P, product = np.asarray(P), np.outer(a, b)
    with np.errstate(divide="ignore", invalid="ignore"):
        price = np.where(P > 0, P * C, 0.0).sum()
        total = price + eps * (np.where(P > 0, P * np.log(P / product), 0.0) - P + product).sum()
        for side, sums, w in zip(marginals, (P.sum(axis=1), P.sum(axis=0)), (a, b), strict=True):
            if isinstance(side, monge.KL):
                total += side.kl * (np.where(sums > 0, sums * np.log(sums / w), 0.0) - sums + w).sum()
            elif isinstance(side, monge.TV):
                total += side.cap * np.abs(sums - w).sum()
    return float(total)


def assert_solved(t: Any, tol: float, C: Any = None) -> None:
    """The answer is finite, its plan that of its potentials, and the marginals of the plan are within tol, measured."""
    assert t.converged
    assert np.isfinite(t.f).all()
    assert np.isfinite(t.g).all()
    assert np.isfinite(t.value)
    assert t.marginal_error <= tol
    assert t.gap >= 0.0
    if C is not None:
        a, b = t.weights
        P = t.plan.toarray()
        assert np.isfinite(P).all()
        with np.errstate(divide="ignore"):
            expected = np.exp(np.log(a)[:, None] + np.log(b) + (t.f[:, None] + t.g - np.asarray(C)) / t.eps)
        size = max(np.abs(t.f).max(), np.abs(t.g).max(), np.abs(np.asarray(C)[np.isfinite(C)]).max(initial=0.0)) / t.eps
        np.testing.assert_allclose(P, expected, rtol=16 * EPS * (size + 1000.0), atol=1e-300)
