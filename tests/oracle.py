"""The one oracle: what every answer must satisfy, whatever problem it solves and whichever solver it is from.

Exact: a plan is optimal if and only if it is feasible and some dual feasible potentials have the same value, so the
oracle checks marginals, dual feasibility and the gap between the two, all recomputed here from the caller's own numbers
with exactly rounded sums. It never compares plans, which are not unique.

Entropic: the optimal plan is the one that has the marginals and is a_i b_j exp((f_i + g_j - C_ij) / eps) for some f and
g, so the oracle checks that the plan is that of the potentials, entry by entry, and its measured marginal error. Values
are compared with the objective term by term, and small problems with plain alternating updates.
"""

from __future__ import annotations

from itertools import pairwise
from math import fsum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge import KL, TV, Status, Transport

Array = NDArray[np.float64]

EPS = np.finfo(np.float64).eps

# f_i + g_j <= C_ij is checked in units of the rounding of its own three terms. A potential is the outcome of at most
# four roundings after the pivots (the c-transform, and the two multiples that lift it over forbidden arcs), the check
# of two.
DUAL_ROUNDINGS = 6

# Masses leave the solver as integers divided by a double: one rounding to an integer (1e-15 of the weight at most where
# the weights are taken for decimals, see csrc/exact/masses.hpp), one for the ratio, one for the division; on two sides.
MARGINALS = 2 * (1e-15 + 2 * EPS)
# An integer flow resolves 2**-60 of the total; each place may be off by one unit, and what is left over comes once
# more.
RESOLUTION = 2 * 2.0**-60

# What counts as rounding in a certified gap, relative to the terms it is the difference of. Potentials are sums along
# paths of the tree, of thousands of terms on the largest problems here, each off by 1e-16; a plan that is one
# exchange of neighbours away from the optimum shows as 1e-6 and more.
GAP = 1e-12


def balanced(a: Any, b: Any, n: int, m: int) -> tuple[Array, Array]:
    """The weights in float64, uniform for None, and b rescaled to the total of a."""
    known = a if a is not None else b
    total = 1.0 if known is None else fsum(np.asarray(known, dtype=np.float64))
    a, b = (
        np.full(size, total / size) if w is None else np.asarray(w, dtype=np.float64) for w, size in ((a, n), (b, m))
    )
    return a, b * (total / fsum(b))


def entries(t: Transport) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]]:
    """Rows, columns and masses of the plan."""
    return t.plan.row, t.plan.col, t.plan.data


def exact_marginals(t: Transport) -> tuple[Array, Array]:
    """Row and column sums of the plan, each correctly rounded."""
    rows, cols, mass = entries(t)
    out = []
    for index, size in ((rows, t.shape[0]), (cols, t.shape[1])):
        order = np.argsort(index, kind="stable")
        ends = np.searchsorted(index[order], np.arange(size + 1))
        values = mass[order].tolist()
        out.append(np.array([fsum(values[i:j]) for i, j in pairwise(ends)]))
    return out[0], out[1]


def assert_feasible(t: Transport, C: Any, a: Any = None, b: Any = None) -> None:
    """The plan is a plan: few positive entries, on allowed arcs, with marginals a and b; and its price is right."""
    C = np.asarray(C, dtype=np.float64)
    n, m = C.shape
    assert t.shape == t.plan.shape == (n, m)
    rows, cols, mass = entries(t)
    assert len(mass) <= n + m - 1
    assert len(set(zip(rows.tolist(), cols.tolist(), strict=True))) == len(mass)
    assert (mass > 0).all()
    assert np.isfinite(C[rows, cols]).all()

    target_a, target_b = balanced(a, b, n, m)
    total = fsum(target_a)
    sent, received = exact_marginals(t)
    error = (fsum(np.abs(sent - target_a)) + fsum(np.abs(received - target_b))) / total
    assert error <= MARGINALS + RESOLUTION * (n + m)
    # `marginal_error` is against b as given, whose total may differ by the rounding of its type; it is measured with
    # plain sums of up to n or m terms.
    rescaled = 0.0 if b is None else abs(total - fsum(np.asarray(b, dtype=np.float64))) / total
    assert abs(t.marginal_error - error) <= EPS * (n + m) + rescaled

    # Plain sums over at most n + m terms.
    price, scale = fsum(mass * C[rows, cols]), fsum(mass * np.abs(C[rows, cols]))
    assert t.value == t.cost
    assert abs(t.cost - price) <= EPS * (n + m) * scale


def assert_certified(t: Transport, C: Any, a: Any = None, b: Any = None) -> None:
    """The potentials are dual feasible on all arcs, and `gap` is what they leave between the plan and the dual."""
    C = np.asarray(C, dtype=np.float64)
    n, m = C.shape
    f, g = t.f, t.g
    assert f.shape == (n,)
    assert g.shape == (m,)
    assert np.isfinite(f).all()
    assert np.isfinite(g).all()
    # Some rows at a time: a broadcast of three would triple the memory of large problems. Where an arc is forbidden,
    # both sides are infinite.
    step = max(1, 2**16 // m)
    for some in (slice(i, i + step) for i in range(0, n, step)):
        slack = C[some] - g - f[some, np.newaxis]
        rounding = EPS * (np.abs(f[some, np.newaxis]) + np.abs(g) + np.abs(C[some]))
        assert (slack >= -DUAL_ROUNDINGS * rounding).all()

    a, b = balanced(a, b, n, m)
    rows, cols, mass = entries(t)
    assert t.gap >= 0.0
    gap = fsum(mass * C[rows, cols]) - fsum(np.concatenate([a * f, b * g]))
    # The gap is a difference of large numbers here, and a sum of small ones there. They may differ by the rounding of
    # the products, of the masses and of the potentials.
    reach = max(np.abs(f).max(), np.abs(g).max())
    allowed = (MARGINALS + 4 * EPS) * _scale(t, C, a, b, f, g) + RESOLUTION * (n + m) * fsum(a) * reach
    assert abs(gap - t.gap) <= allowed


def assert_optimal(t: Transport, C: Any, a: Any = None, b: Any = None) -> None:
    """The plan is feasible and certified, and the certificate says that no plan is cheaper."""
    assert_feasible(t, C, a, b)
    assert_certified(t, C, a, b)
    assert t.status is Status.OPTIMAL
    assert t.converged
    C = np.asarray(C, dtype=np.float64)
    a, b = balanced(a, b, *t.shape)
    # Nothing hides behind large potentials: a constant may move from f to g, so it does not count, and without
    # forbidden arcs f_i - f_k <= C_ij - C_kj at the j that is tight for k, likewise g.
    middle = np.median(t.f)
    f, g = t.f - middle, t.g + middle
    if np.isfinite(C).all():
        reach = np.ptp(C) + 4 * EPS * (np.abs(C).max() + np.abs(t.f).max() + np.abs(t.g).max())
        assert np.ptp(f) <= reach
        assert np.ptp(g) <= reach
    assert t.gap <= GAP * _scale(t, C, a, b, f, g)


def _scale(t: Transport, C: Array, a: Array, b: Array, f: Array, g: Array) -> float:
    """<P, |C|> + a.|f| + b.|g|: the size of the terms whose difference is the gap."""
    rows, cols, mass = entries(t)
    return fsum(mass * np.abs(C[rows, cols])) + fsum(a * np.abs(f)) + fsum(b * np.abs(g))


def assert_partial(t: Transport, C: Any, mass: float, a: Any = None, b: Any = None) -> None:
    """The plan moves `mass` within the weights, and the dual of the partial problem says that none is cheaper."""
    C = np.asarray(C, dtype=np.float64)
    n, m = C.shape
    a, b = (np.full(size, 1.0 / size) if w is None else np.asarray(w, float) for w, size in ((a, n), (b, m)))
    assert t.status is Status.OPTIMAL
    assert t.shape == t.plan.shape == (n, m)
    rows, cols, moved = entries(t)
    assert len(moved) <= n + m - 1
    assert len(set(zip(rows.tolist(), cols.tolist(), strict=True))) == len(moved)
    assert (moved > 0).all()
    assert np.isfinite(C[rows, cols]).all()
    sent, received = exact_marginals(t)
    totals = fsum(a), fsum(b)
    over = fsum(np.maximum(sent - a, 0.0)) + fsum(np.maximum(received - b, 0.0)) + abs(fsum(moved) - mass)
    # `mass` may exceed a total by rounding; the roundings are those of the weights, whose sum may be much larger.
    assert over <= (MARGINALS + RESOLUTION * (n + m)) * sum(totals) + max(0.0, mass - min(totals))
    assert abs(t.marginal_error - over / mass) <= EPS * (n + m) * sum(totals) / mass

    finite = np.isfinite(C)
    slack = np.where(finite, C, np.inf) - t.g - t.f[:, np.newaxis]
    size = np.where(finite, np.abs(C), 0.0) + np.abs(t.g) + np.abs(t.f)[:, np.newaxis]
    assert (slack >= -DUAL_ROUNDINGS * EPS * size).all()

    price, scale = fsum(moved * C[rows, cols]), fsum(moved * np.abs(C[rows, cols]))
    assert t.value == t.cost
    assert abs(t.cost - price) <= EPS * (n + m) * scale
    # The dual value, arranged so that a constant that moves from f to g cancels first.
    f, g = t.f - t.f.max(), t.g - t.g.max()
    dual = fsum(np.concatenate([a * f, b * g, [mass * (t.f.max() + t.g.max())]]))
    size = scale + fsum(a * np.abs(f)) + fsum(b * np.abs(g)) + mass * (abs(t.f.max()) + abs(t.g.max()))
    assert t.gap >= 0.0
    assert abs(price - dual - t.gap) <= (2 * MARGINALS + 8 * EPS + RESOLUTION * (n + m)) * size + GAP * size
    assert t.gap <= GAP * size


def log_sum(values: Any, axis: int) -> Any:
    """log sum exp along an axis; SciPy's takes ten times longer to look at its arguments than to add up so few."""
    most = values.max(axis=axis, keepdims=True)
    return np.log(np.exp(values - most).sum(axis=axis)) + most.squeeze(axis)


def plain_sinkhorn(C: Any, a: Any, b: Any, eps: float, tol: float = 1e-12, most: int = 200_000) -> tuple[Any, Any, Any]:
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


def objective(P: Any, C: Any, a: Any, b: Any, eps: float, marginals: Any = (None, None)) -> float:
    """<P, C> + eps KL(P | a x b) + penalties, term by term."""
    P, product = np.asarray(P), np.outer(a, b)
    with np.errstate(divide="ignore", invalid="ignore"):
        price = np.where(P > 0, P * C, 0.0).sum()
        total = price + eps * (np.where(P > 0, P * np.log(P / product), 0.0) - P + product).sum()
        for side, sums, w in zip(marginals, (P.sum(axis=1), P.sum(axis=0)), (a, b), strict=True):
            if isinstance(side, KL):
                total += side.kl * (np.where(sums > 0, sums * np.log(sums / w), 0.0) - sums + w).sum()
            elif isinstance(side, TV):
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
