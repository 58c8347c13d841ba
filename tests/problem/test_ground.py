"""Ground costs: every path of the library that computes them, against formulas of the tests' own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import DISTANCES, GROUNDS, NAMED, ground_costs
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

import monge
from monge.entropic.kernels.layout import packed_cost
from monge.exact.dense import dense
from monge.problem import ground
from monge.problem.ground import as_ground

Array = NDArray[Any]
EPS = np.finfo(np.float64).eps


def points(n: int, m: int, d: int, seed: int = 0) -> tuple[Array, Array]:
    """Two clouds off the origin, of which some points are the same, and some have a coordinate in common."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, d)) + 1.5, rng.normal(size=(m, d)) + 1.5
    some = min(n, m) // 8
    y[:some] = x[:some]
    y[some : 2 * some, 0] = x[some : 2 * some, 0]
    return x, y


def relative_power(cost: Any) -> float:
    """By how much more the cost is off than the distance it is a power of, both relative."""
    return 2.0 if cost == "sqeuclidean" else 1.0 if isinstance(cost, str) else float(cost[1])


def test_the_tests_know_all() -> None:
    assert list(ground.DISTANCES) == list(DISTANCES)
    assert list(ground.GROUND_COSTS) == NAMED


def test_the_documentation_names_all() -> None:
    for name in NAMED:
        assert f'"{name}"' in (monge.PointCloud.__doc__ or "")
    for distance in DISTANCES:
        assert f'("{distance}", p)' in (monge.PointCloud.__doc__ or "")


@pytest.mark.parametrize("distance", DISTANCES)
def test_distances_are_those_of_scipy(distance: str) -> None:
    x, y = points(20, 30, 4)
    np.testing.assert_allclose(ground_costs(x, y, (distance, 1.0)), cdist(x, y, distance), rtol=8 * EPS, atol=8 * EPS)


class TestValues:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("d", [1, 2, 3, 7, 30])
    @pytest.mark.parametrize("cost", GROUNDS, ids=str)
    def test_matrices(self, cost: Any, d: int, dtype: Any) -> None:
        # The sizes are no multiples of any vector.
        x, y = (p.astype(dtype) for p in points(37, 61, d))
        right = ground_costs(x.astype(np.float64), y.astype(np.float64), cost)
        limit = (4 * d + 8) * max(1.0, relative_power(cost))
        slack = limit * np.finfo(dtype).eps if cost == "cosine" else 0.0  # a difference of numbers near one
        C = dense(monge.PointCloud(x, y, cost), 1)
        assert C.dtype == dtype
        np.testing.assert_allclose(C, right, rtol=limit * np.finfo(dtype).eps, atol=slack)

    @pytest.mark.parametrize("cost", GROUNDS, ids=str)
    def test_rows_pairs_and_samples_are_of_the_matrix(self, cost: Any) -> None:
        x, y = points(70, 90, 3)
        cloud = monge.PointCloud(x, y, cost)
        C = ground_costs(x, y, cost)
        rows, columns = np.array([0, 3, 69, 3]), np.array([89, 0, 1, 0])
        for found, right in (
            (cloud.block(slice(5, 20)), C[5:20]),
            (cloud.block(rows), C[rows]),
            (cloud.between(rows, columns), C[np.ix_(rows, columns)]),
            (cloud.at(rows, columns), C[rows, columns]),
            (cloud.sample(), C[::2, ::2]),
            (cloud.T.block(rows), C.T[rows]),
        ):
            assert found.dtype == np.float64
            np.testing.assert_allclose(found, right, rtol=1e-13, atol=1e-14)
        assert C.max() <= min(cloud.bound, cloud.largest(0.0)) * (1 + 1e-12)

    @pytest.mark.parametrize("d", [1, 3, 12])
    @pytest.mark.parametrize("single", [True, False])
    @pytest.mark.parametrize("cost", GROUNDS, ids=str)
    def test_the_layout_of_passes(self, cost: Any, single: bool, d: int) -> None:
        from monge.entropic._pairs import cost_rows

        x, y = points(33, 67, d)
        dtype = np.float32 if single else np.float64
        out = np.empty((33, 67), dtype=dtype)
        packed, per_unit = packed_cost(monge.PointCloud(x, y, cost), dtype)
        cost_rows(packed, 0, 33, out)
        right = ground_costs(x, y, cost)
        # Products and differences of coordinates are rounded next to the largest cost, and roots make that larger.
        error = np.abs(out * per_unit - right).max() / right.max()
        assert error < (30 * d * np.finfo(dtype).eps) ** min(1.0, relative_power(cost))

    @pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512"])
    def test_every_instruction_set_computes_the_same_bits(self, isa: str) -> None:
        code = "import test_ground; print(test_ground.bits())"
        path = os.pathsep.join(map(str, Path(__file__).parents[:2]))
        environment = {**os.environ, "MONGE_SIMD": isa, "PYTHONPATH": path}
        command = [sys.executable, "-c", code]
        found = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=True)
        assert found.stdout.strip() == bits()


def bits() -> str:
    """Of matrices of every ground cost, and of pairs."""
    x, y = points(19, 83, 5)
    digest = hashlib.sha256()
    for cost in GROUNDS:
        for dtype in (np.float32, np.float64):
            digest.update(dense(monge.PointCloud(x.astype(dtype), y.astype(dtype), cost), 1).tobytes())
        digest.update(as_ground(cost).slopes(x, y[:19]).tobytes())
    return digest.hexdigest()


class TestMagnitudes:
    @pytest.mark.parametrize("scale", [1e-280, 1e-160, 1e-30, 1e30, 1e160, 1e280])
    @pytest.mark.parametrize("distance", DISTANCES)
    @pytest.mark.parametrize("offset", [0.0, 1e6])
    def test_distances(self, distance: str, scale: float, offset: float) -> None:
        x, y = points(9, 11, 3)
        x, y = (x + offset) * scale, (y + offset) * scale
        cloud = monge.PointCloud(x, y, distance)
        right = ground_costs(x / scale, y / scale, (distance, 1.0)) * scale
        rows, columns = np.arange(9), np.arange(9)
        atol = 4.0 * offset * EPS * scale
        np.testing.assert_allclose(cloud.block(slice(None)), right, rtol=1e-13, atol=atol)
        np.testing.assert_allclose(cloud.at(rows, columns), right[rows, columns], rtol=1e-13, atol=atol)
        np.testing.assert_allclose(dense(cloud, 1), right, rtol=1e-13, atol=atol)
        assert right.max() - atol <= cloud.reach * (1 + 1e-12) <= 4.0 * right.max() + atol

    @pytest.mark.parametrize("scale", [1e-35, 1e-25, 1e25, 1e35])
    @pytest.mark.parametrize("distance", DISTANCES)
    def test_single_precision(self, distance: str, scale: float) -> None:
        x, y = ((p * scale).astype(np.float32) for p in points(9, 11, 3))
        right = ground_costs(x / np.float64(scale), y / np.float64(scale), (distance, 1.0)) * scale
        np.testing.assert_allclose(dense(monge.PointCloud(x, y, distance), 1), right, rtol=1e-5)

    @pytest.mark.parametrize("distance", DISTANCES)
    def test_pairs_of_any_size_in_one_cloud(self, distance: str) -> None:
        # Each pair is as near as it is, whatever others are.
        x, y = np.zeros((5, 2)), np.array([[1e-200, 0.0], [1e-100, 0.0], [1.0, 0.0], [1e100, 0.0], [1e200, 0.0]])
        np.testing.assert_allclose(as_ground(distance).pairs(x, y), y[:, 0], rtol=4 * EPS)
        slopes = as_ground(distance).slopes(x, y)
        np.testing.assert_allclose(slopes, [[-1.0, 0.0]] * 5, rtol=4 * EPS)


class TestSlopes:
    @pytest.mark.parametrize("d", [1, 2, 5])
    @pytest.mark.parametrize("cost", GROUNDS, ids=str)
    def test_finite_differences(self, cost: Any, d: int) -> None:
        x, y = points(40, 40, d, seed=3)
        x, y = x[10:], y[10:]  # points that are nowhere the same
        named, step = as_ground(cost), 1e-6
        slopes = named.slopes(x, y)
        for k in range(d):
            move = step * np.eye(d)[k]
            found = (named.pairs(x + move, y) - named.pairs(x - move, y)) / (2 * step)
            np.testing.assert_allclose(slopes[:, k], found, rtol=2e-5, atol=2e-8 * (1.0 + np.abs(found).max()))

    @pytest.mark.parametrize("cost", GROUNDS, ids=str)
    def test_the_same_point_has_no_slope(self, cost: Any) -> None:
        x, _ = points(6, 6, 3)
        np.testing.assert_allclose(as_ground(cost).slopes(x, x.copy()), np.zeros_like(x), atol=1e-15)

    @pytest.mark.parametrize("distance", DISTANCES)
    def test_is_a_subgradient_where_there_is_no_derivative(self, distance: str) -> None:
        # c(z) >= c(x) + <slope, z - x>, for differences that have zeros and coordinates of the same size.
        x = np.array([[1.0, 1.0], [1.0, -1.0], [0.0, 2.0], [-1.0, -1.0], [0.0, 0.0]])
        named, rng = as_ground(distance), np.random.default_rng(0)
        origin = np.zeros_like(x)
        slopes, values = named.slopes(x, origin), named.pairs(x, origin)
        for _ in range(200):
            z = x + rng.normal(size=x.shape)
            assert (named.pairs(z, origin) >= values + ((z - x) * slopes).sum(axis=1) - 1e-12).all()


class TestUse:
    """That every solver takes every ground cost is with the tests of the solvers. These are the names of distances."""

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("p", [1, 2.5, 40])
    @pytest.mark.parametrize("distance", DISTANCES)
    def test_wasserstein(self, distance: str, p: float, dtype: Any) -> None:
        x, y = (q.astype(dtype) for q in points(12, 12, 2))
        D = ground_costs(x.astype(np.float64), y.astype(np.float64), (distance, 1.0))
        unit = D.max()
        right = unit * monge.emd((D / unit) ** p).value ** (1.0 / p)
        rtol = 1e-12 if dtype == np.float64 else 1e-5
        assert monge.wasserstein(x, y, p=p, ground=distance) == pytest.approx(right, rel=rtol)
        (found,) = monge.pairwise([x], [y], p=p, ground=distance)[0]
        assert found == pytest.approx(right, rel=rtol)

    @pytest.mark.parametrize("distance", DISTANCES)
    def test_is_the_same_on_the_line(self, distance: str) -> None:
        x, y = points(12, 9, 1)
        assert monge.wasserstein(x, y, ground=distance) == monge.wasserstein_1d(x, y, p=2)

    @pytest.mark.parametrize("name", ["sqeuclidean", "cosine", "taxi", None, ("euclidean", 2.0)])
    @pytest.mark.parametrize("d", [1, 2])
    def test_a_ground_that_is_no_distance(self, name: Any, d: int) -> None:
        x, y = points(3, 4, d)
        with pytest.raises(ValueError, match="ground should be the name of a distance, one of 'euclidean'"):
            monge.wasserstein(x, y, ground=name)
        if name is not None:
            with pytest.raises(ValueError, match="ground should be the name of a distance"):
                monge.pairwise([x], [y], ground=name)

    def test_a_ground_beside_a_cost(self) -> None:
        with pytest.raises(ValueError, match="ground belongs to point clouds"):
            monge.pairwise([[1.0, 0.0]], cost=[[0.0, 1.0], [1.0, 0.0]], ground="euclidean")
