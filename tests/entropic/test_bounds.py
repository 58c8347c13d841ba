"""Bounds on the optimum, from potentials of any quality: the price of a rounded plan, and what a c-transform proves."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import log_sum

import monge
from monge.entropic.kernels.select import Route, pairs_of
from monge.entropic.kernels.threads import Threads
from monge.entropic.marginals import Balanced
from monge.entropic.rounding import scalings
from monge.exact.dense import dense
from monge.problem.costs import as_cost


def problem(name):
    """A cost, weights, and the way that it is solved."""
    name, way = name if isinstance(name, tuple) else (name, Route.PASSES)
    rng = np.random.default_rng(0)
    points = rng.random((40, 2)), rng.random((30, 2))
    cost = {
        "stored": rng.random((40, 30)),
        "float32": rng.random((40, 30), dtype=np.float32),
        "sqeuclidean": monge.PointCloud(*points),
        "euclidean": monge.PointCloud(*points, "euclidean"),
        "cityblock cubed": monge.PointCloud(*points, ("cityblock", 3)),
        "cosine": monge.PointCloud(*points, "cosine"),
        "grid": monge.Grid((6, 7), spacing=0.2),
        "line": monge.Grid(50, power=1, spacing=0.02),
    }[name]
    cost = as_cost(cost)
    n, m = cost.shape
    a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
    a[3], b[[0, 5]] = 0.0, 0.0
    return way, cost, a / a.sum(), b / b.sum()


def certificate(way, cost, a, b, f, g, eps, rounding):
    """The price of a plan that was rounded, and dual feasible potentials."""
    pairs = pairs_of(way, cost, a, b, (Balanced(), Balanced()), Threads(1))
    return pairs.mixture(f, g, eps, *rounding).price, *pairs.transforms(np.where(b > 0.0, g, -np.inf))


def entropic_potentials(C, a, b, eps, iterations):
    """Potentials of a few Sinkhorn iterations at each of some falling eps; rows are right at the end."""
    g = np.zeros(len(b))
    with np.errstate(divide="ignore"):
        log_a, log_b = np.log(a)[:, None], np.log(b)
    for e in np.geomspace(max(C.mean(), eps), eps, 8):
        for _ in range(iterations):
            f = -e * log_sum((g - C) / e + log_b, axis=1)
            g = -e * log_sum((f[:, None] - C) / e + log_a, axis=0)
    return -eps * log_sum((g - C) / eps + log_b, axis=1), g


POINTS = ["sqeuclidean", "euclidean", "cityblock cubed", "cosine"]
NAMES = ["stored", "float32", *POINTS, "grid", "line", *((name, Route.MULTISCALE) for name in POINTS)]


@pytest.mark.parametrize("iterations", [1, 30])
@pytest.mark.parametrize("relative", [1.0, 0.05, 0.002])
@pytest.mark.parametrize("name", NAMES, ids=str)
def test_bounds_the_optimum_from_both_sides(name, relative, iterations):
    way, cost, a, b = problem(name)
    C = dense(cost, 1).astype(np.float64)
    eps = relative * C.mean()
    f, g = entropic_potentials(C, a, b, eps, iterations)
    P = a[:, None] * b * np.exp((f[:, None] + g - C) / eps)
    rounding = scalings(P, a, b)
    price, dual_f, dual_g = certificate(way, cost, a, b, f, g, eps, rounding)
    assert price == pytest.approx((monge.round_plan(P, a, b) * C).sum(), rel=1e-12)
    slack = C - dual_f[:, None] - dual_g
    assert slack.min() >= -1e-14
    bound, optimum = a @ dual_f + b @ dual_g, monge.emd(cost, a, b).value
    assert bound <= optimum + 1e-14
    assert optimum <= price + 1e-14
    # With rows that are right, <P, C> <= a.f + (P'1).g, and f exceeds its c-transform by at most eps log(1 / min b).
    error = np.abs(P.sum(axis=0) - b).sum()
    mass = b > 0.0
    soft = eps * np.log(1.0 / b[mass].min())
    assert price - bound <= soft + error * (2.0 * C.max() + np.abs(g[mass]).max()) + 1e-13


@pytest.mark.parametrize("name", NAMES, ids=str)
def test_price_where_rows_are_wrong_too(name):
    way, cost, a, b = problem(name)
    C = dense(cost, 1).astype(np.float64)
    eps = 0.1 * C.mean()
    f, g = entropic_potentials(C, a, b, eps, 1)
    f += eps * np.random.default_rng(1).normal(size=len(f))
    P = a[:, None] * b * np.exp((f[:, None] + g - C) / eps)
    price, _, _ = certificate(way, cost, a, b, f, g, eps, scalings(P, a, b))
    assert price == pytest.approx((monge.round_plan(P, a, b) * C).sum(), rel=1e-12)


def test_exact_potentials_and_plan_leave_no_gap():
    way, cost, a, b = problem("sqeuclidean")
    C, t = dense(cost, 1), monge.emd(cost, a, b)
    eps = 1e-6
    with np.errstate(over="ignore"):
        nothing = scalings(np.zeros_like(C), a, b)._replace(x=0.0 * a)
        _, dual_f, dual_g = certificate(way, cost, a, b, t.f, t.g, eps, nothing)
    assert a @ dual_f + b @ dual_g == pytest.approx(t.value, rel=1e-12)


def test_forbidden_arcs_cost_nothing_unless_used():
    C = np.array([[0.0, np.inf], [np.inf, 1.0]])
    half = np.full(2, 0.5)
    f, g = np.array([np.log(2.0), np.log(2.0) + 1.0]), np.zeros(2)
    P = np.diag(half)
    price, _, _ = certificate(Route.PASSES, as_cost(C), half, half, f, g, 1.0, scalings(P, half, half))
    assert price == pytest.approx(0.5)
    # Rounding that sends mass along a forbidden arc is not worth anything, and says so.
    crossed = scalings(np.diag([0.5, 0.0]), np.array([0.4, 0.6]), np.array([0.6, 0.4]))
    assert certificate(Route.PASSES, as_cost(C), half, half, f, g, 1.0, crossed)[0] == np.inf
