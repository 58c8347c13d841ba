"""Second derivatives of the exact optimum, away from its corners and at them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import DISTANCES, NAMED
from numpy.typing import NDArray

import monge
from monge.exact.hessian import hessian_product
from monge.problem.hessian import Direction

Array = NDArray[np.float64]

GROUNDS = [*NAMED, *((distance, power) for distance in DISTANCES for power in (1.5, 2.5))]
ONE = np.ones(1)


def product(t: Any, a: Array, b: Array, along: Direction, wanted: Direction) -> Direction:
    i, j, mass = t.plan.row, t.plan.col, t.plan.data
    return hessian_product((i, j, mass), (a, b), (t.grad_a, t.grad_b), t._cloud, along, wanted)


@pytest.fixture
def instance() -> Any:
    rng = np.random.default_rng(3)
    n, m, d = 6, 5, 2
    a, b = 0.2 + rng.random(n), 0.2 + rng.random(m)
    more_a, more_b = rng.normal(size=n), rng.normal(size=m)
    more_b += (more_a.sum() - more_b.sum()) / m
    return (
        rng.random((n, d)) + 0.1, rng.random((m, d)) + 0.3, a, b * a.sum() / b.sum(),
        rng.normal(size=(n, d)), rng.normal(size=(m, d)), more_a, more_b,
    )  # fmt: skip


@pytest.mark.parametrize("ground", GROUNDS, ids=str)
def test_differences_of_first_derivatives(ground: Any, instance: Any) -> None:
    x, y, a, b, u, v, more_a, more_b = instance

    def solved(s: float) -> Any:
        return monge.emd(monge.PointCloud(x + s * u, y + s * v, ground), a + s * more_a, b + s * more_b)

    step = 1e-6
    before, after = solved(-step), solved(step)
    found = product(solved(0.0), a, b, Direction(u, v, None, more_a, more_b), Direction(ONE, ONE, None, ONE, ONE))
    for name in ("x", "y", "a", "b"):
        right = (getattr(after, f"grad_{name}") - getattr(before, f"grad_{name}")) / (2.0 * step)
        off = getattr(found, name) - right
        off = off - off.mean() if name in "ab" else off  # derivatives with respect to weights are up to a constant
        assert np.abs(off).max() < 1e-6 * np.abs(right).max()


def test_of_a_matrix(instance: Any) -> None:
    _, _, a, b, _, _, more_a, more_b = instance
    rng = np.random.default_rng(0)
    C, w, step = rng.random((6, 5)), rng.normal(size=(6, 5)), 1e-6

    def solved(s: float) -> Any:
        return monge.emd(C + s * w, a + s * more_a, b + s * more_b)

    found = product(solved(0.0), a, b, Direction(C=w, a=more_a, b=more_b), Direction(C=ONE, a=ONE, b=ONE))
    assert found.C is not None
    change = (solved(step).plan.toarray() - solved(-step).plan.toarray()) / (2.0 * step)
    np.testing.assert_allclose(found.C, change, atol=1e-8)
    found = product(solved(0.0), a, b, Direction(C=w), Direction(C=ONE))
    assert found.C is not None
    assert not found.C.any()


def test_squares_are_a_laplacian(instance: Any) -> None:
    # 2 (diag(row sums) u - P v)
    x, y, a, b, u, v, _, _ = instance
    t = monge.emd(monge.PointCloud(x, y), a, b)
    found = product(t, a, b, Direction(x=u, y=v), Direction(x=ONE, y=ONE))
    np.testing.assert_allclose(found.x, 2.0 * (a[:, None] * u - t.plan @ v), rtol=1e-12)
    np.testing.assert_allclose(found.y, 2.0 * (b[:, None] * v - t.plan.T @ u), rtol=1e-12)


def test_is_symmetric(instance: Any) -> None:
    x, y, a, b, *_ = instance
    t, rng = monge.emd(monge.PointCloud(x, y, "euclidean"), a, b), np.random.default_rng(1)
    one, two = (
        Direction(*(None if w is None else rng.normal(size=w.shape) for w in (x, y, None, a, b))) for _ in range(2)
    )

    def between(u: Direction, v: Direction) -> float:
        found = product(t, a, b, v, Direction(ONE, ONE, None, ONE, ONE))
        return sum(float((p * q).sum()) for p, q in zip(u, found, strict=True) if p is not None and q is not None)

    assert between(one, two) == pytest.approx(between(two, one), rel=1e-10)


def test_uniform_weights_are_at_a_corner() -> None:
    rng = np.random.default_rng(0)
    x, y, w = rng.random((5, 2)), rng.random((5, 2)), np.full(5, 0.2)
    t = monge.emd(monge.PointCloud(x, y))
    found = product(t, w, w, Direction(x=x), Direction(x=ONE, y=ONE))
    np.testing.assert_allclose(found.x, 0.4 * x, rtol=1e-12)
    with pytest.raises(RuntimeError, match="fewer than the 9"):
        product(t, w, w, Direction(x=x), Direction(a=ONE))
    with pytest.raises(RuntimeError, match="Detach the weights"):
        product(t, w, w, Direction(a=np.arange(5.0)), Direction(x=ONE))


def test_a_function(instance: Any) -> None:
    x, y, a, b, *_ = instance
    t = monge.emd(monge.PointCloud(x, y, lambda x, y: abs(x[0] - y[0])), a, b)
    with pytest.raises(RuntimeError, match="second derivatives need those of the ground cost"):
        product(t, a, b, Direction(x=x), Direction(x=ONE))
