"""What a kernel of a barycenter offers, beside plain NumPy: see monge.barycenters.kernels.reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp

import monge
from monge.barycenters.kernels import grid, pairs
from monge.barycenters.kernels.lines import Lines
from monge.barycenters.kernels.reference import ReferenceKernel
from monge.barycenters.kernels.select import kernel_of
from monge.entropic.kernels.threads import Threads
from monge.problem.costs import as_cost

RNG = np.random.default_rng(0)
POINTS = RNG.standard_normal((70, 3)), RNG.standard_normal((45, 3))


def forbidding() -> np.ndarray:
    costs = RNG.random((30, 20))
    costs[RNG.random(costs.shape) < 0.3] = np.inf
    costs[4], costs[:, 7] = np.inf, np.inf
    return costs


COSTS: dict[str, Any] = {
    "line": monge.Grid(110),
    "line of one": monge.Grid(1),
    "line of a root": monge.Grid(90, 0.5),
    "image": monge.Grid((13, 30), spacing=(0.7, 0.3)),
    "wide image": monge.Grid((2, 100), 1.0),
    "row of an image": monge.Grid((1, 40), 1.5),
    "volume": monge.Grid((5, 9, 7), 3.0, spacing=(1.0, 2.0, 0.5)),
    "flat volume": monge.Grid((6, 1, 17)),
    "matrix": 5.0 * RNG.random((40, 60)) - 2.0,
    "matrix in single precision": RNG.random((40, 60)).astype(np.float32),
    "columns": RNG.random((60, 40)).T,
    "forbidden arcs": forbidding(),
    "one place": np.array([[2.0]]),
    "cloud": monge.PointCloud(*POINTS),
    "cloud, cosine": monge.PointCloud(*POINTS, cost="cosine"),
    "cloud, a cost of one's own": monge.PointCloud(*POINTS, cost=lambda x, y: abs(x[0] - y[0]) + (x[1] - y[1]) ** 4),
}
# In units of the largest cost.
EPS = (10.0, 0.02, 1e-3, 1e-6)
KINDS = ("near", "wide", "steep", "holes")


def scaled(cost: Any, eps: float) -> float:
    return eps * max(cost.largest(0.0), 1e-3)


def vectors(kind: str, count: int) -> np.ndarray:
    """Five vectors of (count,) numbers, as potentials over eps are."""
    values = np.random.default_rng(1).standard_normal((5, count))
    if kind == "wide":
        values *= 1e4
    elif kind == "steep":
        values = np.linspace(-3e3, 3e3, count) * values[:, :1]
    elif kind == "holes":
        values = 300.0 * values
        values[values > 0.0] = -np.inf
        values[0], values[1, 1:] = -np.inf, -np.inf
    return values


def assert_equal_logs(found: np.ndarray, wanted: np.ndarray, accuracy: float) -> None:
    assert found.dtype == np.float64
    assert found.flags.c_contiguous
    assert found.flags.writeable
    np.testing.assert_array_equal(np.isneginf(found), np.isneginf(wanted))
    some = np.isfinite(wanted)
    np.testing.assert_allclose(found[some], wanted[some], rtol=accuracy, atol=accuracy)


WAYS = [(name, "as chosen") for name in COSTS] + [
    (name, "by blocks" if isinstance(cost, monge.Grid) else "rows at a time") for name, cost in COSTS.items()
]


@pytest.fixture(params=WAYS, ids=", ".join)
def chosen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A cost, whose kernel works in small chunks, and in one of the ways there are."""
    monkeypatch.setattr(pairs, "_CHUNK", 500)
    monkeypatch.setattr(pairs, "_AGAIN", 128)
    monkeypatch.setattr(grid, "_CHUNK", 600)
    name, way = request.param
    if way != "as chosen":
        monkeypatch.setattr(pairs, "_KEPT", 0)
        monkeypatch.setattr(grid, "_MATRIX", 0)
    return as_cost(COSTS[name])


def both(cost: Any, eps: float, threads: int = 1) -> tuple[Any, ReferenceKernel]:
    return kernel_of(cost, scaled(cost, eps), Threads(threads)), ReferenceKernel(cost, scaled(cost, eps))


class TestKernels:
    @pytest.mark.parametrize("eps", EPS)
    def test_sums(self, chosen: Any, eps: float) -> None:
        kernel, reference = both(chosen, eps)
        for kind in KINDS:
            for ours, theirs in ((kernel, reference), (kernel.T, reference.T)):
                assert ours.shape == theirs.shape
                values = vectors(kind, ours.shape[1])
                given = values.copy()
                wanted = theirs.log_sum(values)
                assert_equal_logs(ours.log_sum(values), wanted, 1e-13)
                assert_equal_logs(ours.log_sum(values, single=True), wanted, ours.accuracy_in_single)
                np.testing.assert_array_equal(values, given)

    def test_transforms(self, chosen: Any) -> None:
        kernel, reference = both(chosen, 1.0)
        for ours, theirs in ((kernel, reference), (kernel.T, reference.T)):
            values = vectors("near", ours.shape[1])
            values[values > 1.0] = -np.inf
            values[0] = -np.inf
            np.testing.assert_allclose(ours.transform(values), theirs.transform(values), rtol=1e-13, atol=1e-13)

    def test_the_transpose_is_the_adjoint(self, chosen: Any) -> None:
        kernel, _ = both(chosen, 0.02)
        x, y = vectors("near", kernel.shape[0]), vectors("near", kernel.shape[1])
        there, back = x + kernel.log_sum(y), y + kernel.T.log_sum(x)
        np.testing.assert_allclose(np.logaddexp.reduce(there, axis=1), np.logaddexp.reduce(back, axis=1), rtol=1e-12)
        assert kernel.T.T.shape == kernel.shape

    def test_bits_do_not_depend_on_threads(self, chosen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("monge.entropic.kernels.threads.PARALLEL_ONCE", 0)
        one, three = (both(chosen, 1e-3, threads)[0] for threads in (1, 3))
        for kind in KINDS:
            values, others = vectors(kind, one.shape[1]), vectors(kind, one.shape[0])
            np.testing.assert_array_equal(one.log_sum(values), three.log_sum(values))
            np.testing.assert_array_equal(one.T.log_sum(others, single=True), three.T.log_sum(others, single=True))


class TestLines:
    def test_blocks_are_as_small_as_they_must_be(self) -> None:
        """And sums are right for each size, with values that are largest far from where they arrive."""
        moves, sizes = np.arange(100.0), set()
        for eps in (100.0, 3.0, 1.0, 0.5, 0.3, 0.1):
            log_kernel, lines = -(moves**2) / eps, Lines(-(moves**2) / eps)
            values = 0.999 * np.abs(moves - np.array([[0.0], [50.0], [99.0]])) ** 2 / eps
            matrix = log_kernel[np.abs(np.arange(100)[:, np.newaxis] - np.arange(100))]
            wanted = np.array([logsumexp(matrix + row, axis=1) for row in values])
            assert_equal_logs(lines.log_sum(values), wanted, 1e-13)
            sizes.add(lines._block)
        assert sizes == {8, 4, 2, 1}

    def test_a_kernel_of_nothing(self) -> None:
        found = Lines(np.array([0.0, -np.inf, -np.inf])).log_sum(np.array([[1.0, 2.0, -np.inf]]))
        np.testing.assert_array_equal(found, [[1.0, 2.0, -np.inf]])


def test_single_precision_is_offered_where_it_pays() -> None:
    side = monge.Grid(50)
    wide, narrow = (kernel_of(side, share * side.bound, Threads(1)) for share in (4e-3, 1e-3))
    assert wide.accuracy_in_single > wide.accuracy
    assert narrow.accuracy_in_single == narrow.accuracy
    values = vectors("near", 50)
    assert not np.array_equal(wide.log_sum(values), wide.log_sum(values, single=True))
    np.testing.assert_array_equal(narrow.log_sum(values), narrow.log_sum(values, single=True))
