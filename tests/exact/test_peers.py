"""The same problems by other people's solvers: SciPy's HiGHS, POT's network simplex, SciPy's assignment solver.

The values agree to what the peers promise: a simplex with tolerances on feasibility and reduced costs of 1e-7 by
default, which on well scaled vertices leaves rounding only, and two solvers in double precision.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from cases import FAMILIES, sample
from scipy.optimize import linear_sum_assignment, linprog

import monge

# What double precision leaves of a sum of up to a few hundred terms, with room for the peers' own roundings.
AGREE = 1e-10

# Costs or masses here are beyond HiGHS's absolute tolerances of 1e-7.
OUT_OF_SCALE = {
    "costs_1e30", "costs_1e_minus_30", "costs_1e200", "mass_1e12", "mass_1e_minus_12", "mixed_masses", "wide_range",
}  # fmt: skip
SQUARE_UNIFORM = [
    name for name in FAMILIES if (p := sample(name, 8)).a is None and p.b is None and p.cost.shape[0] == p.cost.shape[1]
]


def agree(value, expected, p):
    finite = p.cost[np.isfinite(p.cost)]
    mass = 1.0 if p.a is None else p.a.sum()
    assert value == pytest.approx(expected, rel=AGREE, abs=AGREE * 1e-3 * np.abs(finite).max() * mass)


def linear_program(C, a, b):
    """The optimum by HiGHS, over the allowed arcs only; None if infeasible."""
    n, m = C.shape
    allowed = np.isfinite(C)
    rows, cols = np.nonzero(allowed)
    arcs = np.arange(len(rows))
    ones = np.ones(len(rows))
    A = sp.vstack(
        [sp.csr_array((ones, (rows, arcs)), (n, len(arcs))), sp.csr_array((ones, (cols, arcs)), (m, len(arcs)))]
    )
    result = linprog(C[allowed], A_eq=A, b_eq=np.concatenate([a, b]), method="highs-ds")
    assert result.status in (0, 2)
    return result.fun if result.status == 0 else None


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in OUT_OF_SCALE])
def test_linear_program(name, seed):
    p = sample(name, 24, seed)
    n, m = p.cost.shape
    total = 1.0 if p.a is None else p.a.sum()
    a = np.full(n, total / n) if p.a is None else p.a
    b = np.full(m, total / m) if p.b is None else p.b
    agree(monge.emd(p.cost, p.a, p.b).value, linear_program(p.cost, a, b), p)


@pytest.mark.parametrize("seed", range(20))
def test_linear_program_forbidden(seed):
    # Sparse enough that some seeds have a plan and some have none.
    rng = np.random.default_rng(seed)
    C = np.where(rng.random((10, 12)) < 0.35, rng.random((10, 12)), np.inf)
    a, b = rng.multinomial(60, np.full(10, 0.1)) / 60, rng.multinomial(60, np.full(12, 1 / 12)) / 60
    expected = linear_program(C, a, b)
    if expected is None:
        with pytest.raises(monge.InfeasibleError):
            monge.emd(C, a, b)
    else:
        assert monge.emd(C, a, b).value == pytest.approx(expected, rel=AGREE)


@pytest.mark.parametrize(
    "name",
    [
        "gaussians_plane", "gaussians_plane_weighted", "gaussians_64d_weighted", "clusters", "iid", "iid_weighted",
        "histograms_squared", "histograms_cityblock", "integers_weighted", "truncated", "euclidean", "cubed", "concave",
        "cosine", "low_rank", "negative", "duplicates", "zero_weights", "tall", "wide",
    ],
)  # fmt: skip
def test_pot(name):
    ot = pytest.importorskip("ot")
    p = sample(name, 80 if name in ("tall", "wide") else 350)
    n, m = p.cost.shape
    a = np.full(n, 1 / n) if p.a is None else p.a / p.a.sum()
    b = np.full(m, 1 / m) if p.b is None else p.b / p.b.sum()
    expected, log = ot.emd2(a, b, p.cost, numItermax=10**9, log=True)
    assert log["warning"] is None
    agree(monge.emd(p.cost, a, b).value, expected, p)


@pytest.mark.parametrize("name", SQUARE_UNIFORM)
def test_assignment(name):
    p = sample(name, 400)
    rows, cols = linear_sum_assignment(p.cost)
    assert monge.emd(p.cost).value == pytest.approx(p.cost[rows, cols].mean(), rel=1e-13, abs=1e-300)


def test_assignment_covers_many_families():
    assert len(SQUARE_UNIFORM) >= 12
