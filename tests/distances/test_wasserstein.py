"""Wasserstein distances of points in several dimensions, for powers of any size."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

import monge


def of_a_matching(d, p):
    """W_p of a matching over the distances d (n,), with the largest of them as the unit."""
    return d.max() * np.mean((d / d.max()) ** p) ** (1.0 / p)


def bottleneck(D):
    """The least distance that a matching cannot do without."""
    distances = np.unique(D)
    low, high = 0, len(distances) - 1
    while low < high:
        middle = (low + high) // 2
        whole = (maximum_bipartite_matching(csr_array(distances[middle] >= D)) >= 0).all()
        low, high = (low, middle) if whole else (middle + 1, high)
    return distances[low]


class TestHighPowers:
    """W_p for a p whose powers of distances no float can hold, or tell apart next to that of the largest."""

    powers = pytest.mark.parametrize("p", [4, 16, 17, 60, 200, 1200, 20_000])

    @powers
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_all_matchings(self, p, dtype):
        for seed in range(4):
            rng = np.random.default_rng(seed)
            x, y = rng.random((5, 2)).astype(dtype), rng.random((5, 2)).astype(dtype)
            D = np.linalg.norm(x[:, None].astype(float) - y, axis=2)
            least = min(of_a_matching(D[range(5), k], p) for k in map(list, permutations(range(5))))
            close = 1e-13 if dtype == np.float64 or p > 16 else 1e-6
            assert monge.wasserstein(x, y, p=p) == pytest.approx(least, rel=close, abs=0)
            assert monge.pairwise([x, y], p=p)[0, 1] == pytest.approx(least, rel=close, abs=0)

    @pytest.mark.parametrize("p", [200, 1000])
    def test_large_costs_cost_no_digits(self, p):
        for seed in range(4):  # 3 is one for which all arcs at once were off by 3 %
            rng = np.random.default_rng(seed)
            x, y = rng.random((60, 2)), rng.random((60, 2))
            D = np.linalg.norm(x[:, None] - y, axis=2)
            best = linear_sum_assignment(np.exp(np.minimum(p * np.log(D / bottleneck(D)), 28.0)))
            assert monge.wasserstein(x, y, p=p) <= of_a_matching(D[best], p) * (1.0 + 1e-13)

    @pytest.mark.parametrize("p", [1e6, 1e18, 1e300])
    def test_the_limit_is_the_bottleneck(self, p):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 3))
        D = np.linalg.norm(x[:, None] - y, axis=2)
        low = bottleneck(D) * 40.0 ** (-1.0 / p)
        assert low * (1.0 - 1e-14) <= monge.wasserstein(x, y, p=p) <= bottleneck(D) * (1.0 + 1e-14)

    @powers
    @pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
    def test_what_moves_is_much_nearer_than_what_stays(self, p, scale):
        x, y = np.array([[0.0, 0.0], [1000.0, 0.0]]), np.array([[1.0, 0.0], [1000.0, 0.0]])
        expected = pytest.approx(scale * 0.5 ** (1.0 / p), rel=1e-12, abs=0)
        assert monge.wasserstein(x * scale, y * scale, p=p) == expected
        np.testing.assert_allclose(monge.pairwise([x * scale, y * scale], p=p)[0, 1] / scale, 0.5 ** (1.0 / p))
        if scale == 1.0:
            assert monge.wasserstein(x.astype(np.float32), y.astype(np.float32), p=p) == expected

    @powers
    def test_weights(self, p):
        x, y = np.array([[0.0, 0.0], [9.0, 9.0]]), np.array([[3.0, 4.0], [9.0, 9.0], [7.0, 7.0]])
        a, b = [1.0, 3.0], [1.0, 3.0, 0.0]
        assert monge.wasserstein(x, y, a, b, p=p) == pytest.approx(5.0 * 0.25 ** (1.0 / p), rel=1e-13, abs=0)
        D = monge.pairwise([(x, a), (y, b)], p=p)
        assert D[0, 1] == pytest.approx(5.0 * 0.25 ** (1.0 / p), rel=1e-13, abs=0)

    @powers
    def test_nothing_moves(self, p):
        x = np.random.default_rng(1).random((20, 2))
        assert monge.wasserstein(x, x[::-1], p=p) == 0.0
        np.testing.assert_array_equal(monge.pairwise([x, x[::-1]], p=p), np.zeros((2, 2)))

    def test_memory_is_asked_for(self, monkeypatch):
        x = np.random.default_rng(2).random((100, 2))
        monkeypatch.setattr("monge.problem.arrays.available_memory", lambda: 169_999)
        with pytest.raises(MemoryError, match="distances between 100 and 100 points"):
            monge.wasserstein(x, x, p=50)
