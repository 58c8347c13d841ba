"""Lower bounds of what plans between structures can reach."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from monge.structures.bounds import first_bound, lower_bound, on_the_line, quantiles, second_bound, third_bound
from monge.structures.clouds import Cloud
from monge.structures.sides import Matrix

BOUNDS = [first_bound, second_bound, third_bound, on_the_line, lower_bound]


def structure(n, kind, rng):
    if kind == "signed":
        C = rng.normal(size=(n, n))
        return C + C.T
    x = rng.normal(size=(n, 2))
    C = ((x[:, np.newaxis] - x) ** 2).sum(axis=-1)
    return np.sqrt(C) if kind == "euclidean" else C


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("kind", ["signed", "euclidean", "squared"])
def test_no_order_gets_below(bound, kind):
    rng = np.random.default_rng(0)
    for _ in range(5):
        C, D, a = structure(5, kind, rng), structure(5, kind, rng), np.full(5, 0.2)
        best = min(((C - D[np.ix_(p, p)]) ** 2).mean() for p in map(list, itertools.permutations(range(5))))
        assert 0.0 <= bound(Matrix(C, a), Matrix(D, a)) <= best * (1.0 + 1e-12)


@pytest.mark.parametrize("bound", BOUNDS)
def test_no_plan_between_weights_gets_below(bound):
    rng = np.random.default_rng(1)
    C, D = structure(6, "euclidean", rng), structure(4, "euclidean", rng)
    a, b = rng.random(6), rng.random(4)
    b *= a.sum() / b.sum()
    low = bound(Matrix(C, a), Matrix(D, b))
    for _ in range(200):
        P = rng.random((6, 4)) ** 8
        for _ in range(200):  # to the weights
            P *= (a / P.sum(axis=1))[:, np.newaxis]
            P *= b / P.sum(axis=0)
        value = np.einsum("ikjl,ij,kl->", (C[:, :, np.newaxis, np.newaxis] - D) ** 2, P, P)
        assert low <= value


@pytest.mark.parametrize("bound", BOUNDS)
def test_copies_give_zero_and_larger_ones_do_not(bound):
    rng = np.random.default_rng(2)
    C, a = structure(7, "euclidean", rng), rng.random(7)
    order = rng.permutation(7)
    copy = Matrix(C[np.ix_(order, order)], a[order])
    assert bound(Matrix(C, a), copy) == pytest.approx(0.0, abs=1e-12)
    assert bound(Matrix(3.0 * C, a), copy) > 0.1


def test_clouds_are_known_by_few_moments():
    rng = np.random.default_rng(3)
    x, a = rng.normal(size=(20, 3)) + 5.0, rng.random(20)
    cloud, C = Cloud(x, a), ((x[:, np.newaxis] - x) ** 2).sum(axis=-1)
    np.testing.assert_allclose(cloud.rows(slice(3, 9)), C[3:9], atol=1e-12)
    for mine, theirs in zip(cloud.moments(), Matrix(C, a).moments(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10)
    assert cloud.squares == pytest.approx(a @ C**2 @ a, rel=1e-12)


def test_quantiles_of_equal_and_of_other_weights_agree():
    rng = np.random.default_rng(4)
    C = rng.normal(size=(10, 10))
    even = quantiles(Matrix(C, np.ones(10)), 7)
    nearly = quantiles(Matrix(C, np.ones(10) + 1e-13 * rng.random(10)), 7)
    np.testing.assert_allclose(even, nearly, atol=1e-10)
    np.testing.assert_allclose(even.sum(axis=1) / 7**0.5, C.mean(axis=1), atol=1e-12)


def test_the_third_is_exact_for_rows_of_as_many_places():
    # Between structures with one place each row is one number.
    one, other = Matrix(np.array([[2.0]]), np.ones(1)), Matrix(np.array([[5.0]]), np.ones(1))
    assert third_bound(one, other) == pytest.approx(9.0)
    # Two places against two: rows (0, d) and (0, e), of which each differs by (d - e)^2 / 2.
    C, D, a = np.array([[0.0, 3.0], [3.0, 0.0]]), np.array([[0.0, 1.0], [1.0, 0.0]]), np.full(2, 0.5)
    assert third_bound(Matrix(C, a), Matrix(D, a)) == pytest.approx(2.0)
