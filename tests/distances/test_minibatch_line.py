"""All pairs of batches of points on the line, in closed form."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import monge
from monge.distances.minibatch.line import ranks


def enumerated(x, y, a, b, m, replace):
    """The mean plan, pair by pair."""
    plan = np.zeros((len(x), len(y)))
    sides = []
    for points, weights in ((x, a), (y, b)):
        n = len(points)
        chance = np.full(n, 1.0 / n) if weights is None else weights / weights.sum()
        batches = list(itertools.product(range(n), repeat=m) if replace else itertools.combinations(range(n), m))
        odds = [chance[list(batch)].prod() for batch in batches] if replace else np.full(len(batches), 1 / len(batches))
        sides.append([(sorted(batch, key=lambda k: points[k]), p) for batch, p in zip(batches, odds, strict=True)])
    for (rows, p), (columns, q) in itertools.product(*sides):
        for i, j in zip(rows, columns, strict=True):
            plan[i, j] += p * q / m
    return plan


@pytest.mark.parametrize(("replace", "weighted"), [(False, False), (True, False), (True, True)])
def test_against_enumeration(replace, weighted):
    rng = np.random.default_rng(0)
    n, other, m = (6, 5, 3) if not replace else (5, 4, 3)
    x, y = rng.normal(size=n), 2.0 * rng.normal(size=other)
    a, b = (rng.random(n), rng.random(other)) if weighted else (None, None)
    if weighted:
        a[1], b = 0.0, b * (a.sum() - a[1]) / b.sum()
    wanted = enumerated(x, y, a, b, m, replace)
    found = monge.minibatch(x, y, a, b, batch_size=m, n_batches="all", replace=replace)
    np.testing.assert_allclose(found.plan.toarray(), wanted, rtol=0, atol=1e-14)
    assert found == pytest.approx(float((wanted * (x[:, None] - y) ** 2).sum()), rel=1e-13)
    # Without the closed form, in the plane.
    plane = monge.minibatch(
        np.outer(x, [0.6, 0.8]), np.outer(y, [0.6, 0.8]), a, b, batch_size=m, n_batches="all", replace=replace
    )
    np.testing.assert_allclose(plane.plan.toarray(), wanted, rtol=0, atol=1e-14)
    assert plane.n_batches == found.n_batches


def test_equal_points():
    x, y = np.array([1.0, 0.0, 1.0, 1.0, 0.0]), np.array([1.0, 2.0, 1.0, 0.0])
    line = monge.minibatch(x, y, batch_size=2, n_batches="all")
    plane = monge.minibatch(np.outer(x, [1, 0]), np.outer(y, [1, 0]), batch_size=2, n_batches="all")
    assert line == pytest.approx(plane, rel=1e-14)


@pytest.mark.parametrize("cost", ["euclidean", ("euclidean", 1.5), "cityblock", "chebyshev"])
def test_convex_costs(cost):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=6), rng.normal(size=5) + 0.5
    line = monge.minibatch(x, y, batch_size=2, n_batches="all", cost=cost)
    plane = monge.minibatch(np.outer(x, [1, 0]), np.outer(y, [1, 0]), batch_size=2, n_batches="all", cost=cost)
    assert line == pytest.approx(plane, rel=1e-13)
    np.testing.assert_allclose(line.grad_x[:, 0], plane.grad_x[:, 0], atol=1e-14)


def test_others_are_enumerated():
    # Roots of distances cross, and a cosine on the line is zero or two.
    x, y = np.array([0.0, 1.0, 2.5]), np.array([1.0, 2.5, 9.0])
    root = monge.minibatch(x, y, batch_size=3, n_batches="all", cost=("euclidean", 0.5))
    assert root == pytest.approx(3.0 / 3.0, rel=1e-14)  # 0 to 9, the others stay
    cosine = monge.minibatch(x + 1.0, -y, batch_size=2, n_batches="all", cost="cosine")
    assert cosine == pytest.approx(2.0, rel=1e-14)


@pytest.mark.parametrize(("n", "m", "replace"), [(2000, 100, False), (2000, 100, True), (5, 5, False), (5, 8, True)])
def test_ranks_are_probabilities(n, m, replace):
    p = ranks(n, m, replace)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(p.sum(axis=0), m / n, rtol=1e-9)
    assert (p >= 0.0).all()


def test_large():
    # Shifts are exact for any size, and the flow's fixed point is x* = n P y.
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    found = monge.minibatch(x, x + 3.0, batch_size=20, n_batches="all")
    assert found.debiased == pytest.approx(9.0, rel=1e-12)
    assert found.standard_error == 0.0
    fixed = 300 * (found.plan @ (x + 3.0))
    loss = monge.minibatch(fixed, x + 3.0, batch_size=20, n_batches="all")
    np.testing.assert_allclose(loss.grad_x, 0.0, atol=1e-13)
    with pytest.raises(TypeError, match="chances"):
        _ = loss.grad_b
