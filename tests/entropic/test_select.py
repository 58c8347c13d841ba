"""No cliffs: on both sides of every size at which another solver takes over, about as much work is done."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import monge
from monge.entropic.kernels import available
from monge.entropic.kernels.select import Route, route

# How many times the work of the one side the other may take; and how many passes are so little that they do not count.
CLIFF, LITTLE = 4.0, 75


def points(kind: str, n: int, d: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    if kind == "heavy tails":
        return rng.standard_t(1.5, size=(n, d))
    x = rng.normal(size=(n, d))
    if kind == "outliers":
        x[:3] *= 1e4
    return x


def work(t: monge.Transport) -> float:
    """Passes over all pairs. A step of Newton's method takes as long as m / 16 of them, for m columns."""
    pairs = t.stats["pairs"] / np.prod(t.shape)
    return float(pairs + t.stats["newton_steps"] * t.shape[1] / 16)


def alike(one: float, other: float) -> bool:
    low, high = sorted((one, other))
    return high <= CLIFF * max(low, LITTLE)


def scale(cost: Any) -> float:
    """Of the costs: the mean over some above the least."""
    C = monge.PointCloud(cost.x[::5], cost.y[::5], cost.cost) if isinstance(cost, monge.PointCloud) else cost[::5, ::5]
    if isinstance(C, monge.PointCloud):
        C = ((C.x[:, np.newaxis] - C.y) ** 2).sum(axis=-1)
    return float(C.mean() - C.min())


@pytest.mark.parametrize("share", [1e-2, 1e-3, 1e-5])
@pytest.mark.parametrize("kind", ["normal", "heavy tails", "outliers"])
@pytest.mark.parametrize("d", [5, 64])
def test_points_in_many_dimensions(d: int, kind: str, share: float) -> None:
    # Cut into chunks, kept costs, with and without padding: one solver for all of these.
    spent = []
    for n in (255, 256, 512, 513):
        cost = monge.PointCloud(points(kind, n, d, 0), points(kind, n, d, 1))
        assert route(cost, share) is Route.STORED
        t = monge.sinkhorn(cost, eps=share * scale(cost))
        assert t.converged
        spent.append(work(t))
    assert alike(*spent[:2])
    assert alike(*spent[2:])


@pytest.mark.parametrize("share", [1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("kind", ["normal", "heavy tails", "outliers"])
def test_points_in_few_dimensions(kind: str, share: float) -> None:
    spent = {}
    for n, d in ((1024, 3), (1025, 3), (1025, 4)):
        cost = monge.PointCloud(points(kind, n, d, 0), points(kind, n, d, 1))
        eps = share * scale(cost)
        low = n > 1024 and d == 3 and share < 0.005
        if kind == "normal":
            assert route(cost, eps) is (Route.MULTISCALE if low else Route.STORED)
        t = monge.sinkhorn(cost, eps=eps)
        assert t.converged
        spent[n, d] = work(t)
    # Pairs that are left out make the passes from coarse to fine cheaper, never dearer.
    assert spent[1025, 3] <= CLIFF * max(spent[1024, 3], LITTLE)
    assert spent[1025, 3] <= CLIFF * max(spent[1025, 4], LITTLE)


def test_the_kernel_matrix_of_points_in_few_dimensions_is_stored_where_eps_leaves_few_of_them_out() -> None:
    rng = np.random.default_rng(0)
    for n, least in ((1024, 0.0), (1025, 0.005), (1448, 0.01), (2048, 0.02), (2049, np.inf)):
        cost = monge.PointCloud(rng.random((n, 3)), rng.random((n, 3)))
        size = float(np.mean(cost.sample()))
        for share in (1e-6, 0.004, 0.0085, 0.015, 0.03, 10.0):
            assert route(cost, share * size) is (Route.STORED if share >= least else Route.MULTISCALE), (n, share)
    for n, least in ((1024, 0.0), (1200, 0.0138), (1448, 0.02), (1449, np.inf)):
        cost = monge.PointCloud(rng.random((n, 2)), rng.random((n, 2)))
        size = float(np.mean(cost.sample()))
        for share in (1e-6, 0.013, 0.015, 0.021, 10.0):
            assert route(cost, share * size) is (Route.STORED if share >= least else Route.MULTISCALE), (n, share)
    same = monge.PointCloud(np.ones((1400, 2)), np.ones((1400, 2)))
    assert route(same, 1e-9) is Route.STORED


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_where_the_kernel_matrix_is_not_stored_any_more(dtype: str) -> None:
    # 128 MiB of it.
    x = np.zeros((5793, 5), dtype=dtype)
    for n, way in ((5792, Route.STORED), (5793, Route.PASSES)):
        assert route(monge.PointCloud(x[:n], x[:n]), 1.0) is way
        C = np.lib.stride_tricks.as_strided(np.zeros(1, dtype=dtype), (n, n), (0, 0))
        assert route(monge.CostMatrix(C), 1.0) is way
    assert route(monge.Grid((3, 3)), 1.0) is Route.PASSES


def test_both_sides_of_the_largest_kernel_matrix(in_loop: Any) -> None:
    # What takes over there does about as many passes: compared at a size that is quickly solved.
    cost = monge.PointCloud(points("normal", 900, 6, 0), points("normal", 900, 6, 1))
    options = {"eps": 0.01 * scale(cost)}
    stored = monge.sinkhorn(cost, **options)
    in_loop()
    by_passes = monge.sinkhorn(cost, **options)
    assert "kernels" in stored.stats
    assert "kernels" not in by_passes.stats
    assert max(work(stored), work(by_passes)) <= 2 * min(work(stored), work(by_passes))
    assert stored.value == pytest.approx(by_passes.value, rel=1e-4)


@pytest.mark.parametrize("share", [1e-2, 1e-3, 1e-5])
@pytest.mark.parametrize("marginals", [None, "KL", "TV"])
def test_stored_costs(marginals: str | None, share: float) -> None:
    spent = []
    for n in (512, 513):
        C = np.random.default_rng(0).random((n, n))
        demands = {None: None, "KL": monge.KL(0.5), "TV": monge.TV(2.0)}[marginals]
        t = monge.sinkhorn(C, eps=share * scale(C), marginals=demands)
        assert t.converged
        spent.append(work(t))
    assert alike(*spent)


@pytest.mark.parametrize("share", [1e-2, 1e-3])
def test_tolerances_that_only_newtons_method_reaches(share: float) -> None:
    spent = []
    for n in (700, 701):
        C = np.random.default_rng(0).random((n, n))
        t = monge.sinkhorn(C, eps=share * scale(C), tol=1e-8)
        assert t.converged
        spent.append(work(t))
    assert alike(*spent)


@pytest.mark.parametrize("kind", ["points", "line", "independent", "integers"])
@pytest.mark.parametrize("shapes", [((374, 374), (375, 375)), ((60, 2000), (60, 2001)), ((255, 900), (257, 900))])
def test_exact(kind: str, shapes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    # 140,000 costs or 2060 places are where lists take over from rows; 256 rows where lists are polished.
    priced = []
    for n, m in shapes:
        rng = np.random.default_rng(0)
        if kind == "points":
            C: Any = monge.PointCloud(rng.normal(size=(n, 2)), rng.normal(size=(m, 2)))
        elif kind == "line":
            C = monge.PointCloud(rng.random((n, 1)), rng.random((m, 1)) ** 2, "euclidean")
        else:
            C = rng.random((n, m)) if kind == "independent" else rng.integers(0, 10, (n, m))
        t = monge.emd(C, rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m)))
        assert t.converged
        priced.append(t.stats["arcs_priced"] / (n * m))  # passes over all arcs, as it were
    assert alike(*priced)


@pytest.mark.parametrize("n", [40, 600])
def test_stalled_passes_turn_to_exact_potentials(n: int) -> None:
    """Two clusters that exchange next to nothing: at this eps, passes alone would take thousands."""
    for make in (
        lambda rng: monge.PointCloud(*(np.vstack([rng.random((n, 5)), 30 + rng.random((n, 5))]) for _ in range(2))),
        lambda rng: rng.random((2 * n, 2 * n)) + 1e3 * (np.arange(2 * n)[:, np.newaxis] // n != np.arange(2 * n) // n),
    ):
        cost = make(np.random.default_rng(0))
        t = monge.sinkhorn(cost, eps=0.01)
        assert t.converged
        assert t.iterations < 400


def test_a_grid_of_small_eps() -> None:
    rng = np.random.default_rng(0)
    u, v = rng.dirichlet(np.full(900, 0.1)), rng.dirichlet(np.full(900, 0.1))
    t = monge.sinkhorn(monge.Grid((30, 30)), u, v, eps=0.1)
    assert t.converged
    assert t.iterations < 600


class TestDevices:
    """What is asked for on a device that is not there; `tests/cuda` has those that are."""

    @pytest.fixture
    def as_found(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        """Called, puts something in place of the module that imports the compiler."""
        available._missing.cache_clear()
        yield lambda module: monkeypatch.setitem(sys.modules, "monge.entropic.kernels.cuda.device", module)
        available._missing.cache_clear()

    @pytest.mark.parametrize("cost", [np.eye(3), np.ones((2, 3, 3)), monge.Grid((2, 2))], ids=["one", "batch", "grid"])
    def test_without_the_compiler_the_packages_are_named(self, cost: Any, as_found: Any) -> None:
        as_found(None)
        with pytest.raises(RuntimeError) as error:
            monge.sinkhorn(cost, eps=1.0, device="cuda")
        for words in ("numba-cuda", "pip install 'monge[cuda]'", "numba-cuda[cu13]", "[cu12]", "leave device out"):
            assert words in str(error.value)

    def test_without_a_gpu_the_driver_is_named(self, as_found: Any) -> None:
        as_found(
            SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False, cuda_error=lambda: "no device (100)"))
        )
        with pytest.raises(RuntimeError) as error:
            monge.sinkhorn(np.eye(3), eps=1.0, device="cuda")
        for words in ("NVIDIA GPU", "no device (100)", "nvidia-smi", "monge info", "leave device out"):
            assert words in str(error.value)
        assert "numba-cuda" not in str(error.value)

    def test_with_a_gpu_all_but_grids_go_there(self, as_found: Any) -> None:
        as_found(SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: True)))
        for cost in (monge.CostMatrix(np.eye(3)), monge.PointCloud(np.eye(3), np.eye(3))):
            assert route(cost, 1.0, "cuda") is Route.DEVICE
        for grids in (monge.Grid((2, 2)), [monge.Grid((2, 2))]):
            with pytest.raises(ValueError, match=r"Grid is solved on the CPU.*device='cuda'"):
                monge.sinkhorn(grids, eps=1.0, device="cuda")

    @pytest.mark.parametrize("device", ["gpu", "cuda:0", "CUDA", 0, True])
    def test_others_are_not_known(self, device: Any) -> None:
        with pytest.raises(ValueError, match="device should be None, 'cpu' or 'cuda'; got"):
            monge.sinkhorn(np.eye(3), eps=1.0, device=device)

    def test_none_is_the_cpu(self) -> None:
        cost = monge.PointCloud(points("normal", 50, 3, 0), points("normal", 40, 3, 1))
        one, other = (monge.sinkhorn(cost, eps=0.1, device=device) for device in (None, "cpu"))
        np.testing.assert_array_equal(one.f, other.f)
        assert one.value == other.value
