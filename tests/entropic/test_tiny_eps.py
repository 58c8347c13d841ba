"""An eps below the rounding of the costs gives numbers, and bounds that hold."""

from __future__ import annotations

import numpy as np
import pytest

import monge

RNG = np.random.default_rng(0)
COSTS = {
    "matrix": RNG.random((30, 30)),
    "large matrix": RNG.random((300, 280)),
    "points": monge.PointCloud(RNG.random((300, 3)), RNG.random((280, 3))),
    "many coordinates": monge.PointCloud(RNG.random((300, 20)), RNG.random((280, 20))),
    "grid": monge.Grid((5, 6)),
    "line": monge.Grid(40, power=1),
}


@pytest.mark.filterwarnings("ignore::monge.ConvergenceWarning")
@pytest.mark.parametrize("marginals", [None, monge.KL(1.0), monge.TV(1.0)], ids=str)
@pytest.mark.parametrize("eps", [1e-16, 1e-30, 1e-200, 1e-300])
@pytest.mark.parametrize("name", COSTS)
def test_numbers_and_bounds(name, eps, marginals):
    cost = COSTS[name]
    n, m = cost.shape
    a, b = np.random.default_rng(1).dirichlet(np.full(n, 0.3)), np.random.default_rng(2).dirichlet(np.full(m, 0.3))
    a[0] = 0.0
    a /= a.sum()
    t = monge.sinkhorn(cost, a, b, eps=eps, marginals=marginals, max_iter=30)
    assert np.isfinite([t.value, t.cost, t.marginal_error, t.gap, t.plan.sum(), *t.f, *t.g]).all()
    assert t.plan.sum() < 2.0
    if marginals is None:
        r = t.rounded()
        optimum = monge.emd(cost, a, b).value
        assert r.cost - r.gap - 1e-9 <= optimum <= r.cost + 1e-9
        assert t.value <= optimum + 1e-9
