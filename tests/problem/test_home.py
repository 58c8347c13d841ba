"""Arrays of other libraries on a CPU, in and out: results come back in the caller's library, type and device."""

from __future__ import annotations

import copy
import importlib
import pickle
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

import monge
from monge.problem.home import home_of, home_of_any, on_host

WHY = {
    "torch": "arrays of torch: needs the extra torch",
    "jax": "arrays of JAX: needs the extra jax",
    "array_api_strict": "the array API by the letter: needs the package array-api-strict",
}


class Library(NamedTuple):
    """What a test has to know of one."""

    name: str
    array: Callable[..., Any]  # of an array of NumPy, with dtype=
    types: Any  # has float32 and others for names
    kind: type

    def floating(self, values: Any) -> str:
        return str(values.dtype).rpartition(".")[2]


def library(name: str) -> Library:
    module = pytest.importorskip(name, reason=WHY[name])
    if name == "torch":
        return Library(name, lambda x, dtype=None: module.asarray(np.array(x), dtype=dtype), module, module.Tensor)
    if name == "jax":
        numpy = importlib.import_module("jax.numpy")
        return Library(name, numpy.asarray, numpy, module.Array)
    return Library(name, module.asarray, module, type(module.asarray(0.0)))


@pytest.fixture(params=list(WHY))
def there(request: pytest.FixtureRequest) -> Library:
    return library(request.param)


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason=WHY["torch"])


Data = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


@pytest.fixture
def data() -> Data:
    """Points and weights that float32 holds exactly."""
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(n, 2)).astype(np.float32).astype(float) for n in (9, 7))
    return x, y, 7.0 * np.arange(1.0, 10.0), np.full(7, 45.0)


def same(lib: Library, found: Any, right: Any, floating: str = "float32") -> None:
    """An array of the library that holds what NumPy's result does, rounded to a type."""
    assert isinstance(found, lib.kind)
    assert lib.floating(found) == floating
    stored = np.asarray(right, dtype=floating if floating != "bfloat16" else np.float32)
    if floating == "bfloat16":
        np.testing.assert_allclose(on_host(found), stored, rtol=2**-8)
    else:
        np.testing.assert_array_equal(on_host(found), stored)


def given(lib: Library, data: Data, floating: str = "float32") -> list[Any]:
    return [lib.array(values, dtype=getattr(lib.types, floating)) for values in data]


def test_emd(there: Library, data: Data) -> None:
    x, y, a, b = given(there, data)
    t = monge.emd(monge.PointCloud(x, y), a, b)
    right = monge.emd(monge.PointCloud(*(v.astype(np.float32) for v in data[:2])), *map(np.float32, data[2:]))
    assert isinstance(t, monge.Transport)
    for name in ("f", "g", "grad_x", "grad_y", "grad_a", "grad_b"):
        same(there, getattr(t, name), getattr(right, name))
    assert type(t.value) is float
    assert (t.value, t.gap, t.status, t.shape) == (right.value, right.gap, right.status, right.shape)
    same(there, t.map(y), right.map(data[1]))
    same(there, t.map(y=y), right.map(data[1]))
    same(there, t.plan.toarray(), right.plan.toarray())
    same(there, t.plan @ y, right.plan @ data[1])
    if there.name != "array_api_strict":  # which leaves nothing to the operand on the right
        same(there, a @ t.plan, data[2] @ right.plan)
    same(there, t.plan.T @ x, right.plan.T @ data[0])
    same(there, t.plan.sum(axis=1), right.plan.sum(axis=1))
    same(there, t.plan.data, right.plan.data)
    assert (t.plan.dtype, t.plan.shape) == (x.dtype, right.plan.shape)
    assert isinstance(t.plan.row, there.kind)
    np.testing.assert_array_equal(on_host(t.plan.row), right.plan.row)
    np.testing.assert_array_equal(np.asarray(t.plan), right.plan.toarray())
    np.testing.assert_array_equal(t.on_host.f, right.f)


def test_a_matrix_in_double_precision(torch: Any, data: Data) -> None:
    lib, C = library("torch"), monge.PointCloud(*data[:2]).block(slice(None))
    t = monge.emd(torch.asarray(C.copy()), torch.asarray(data[2]), data[3])
    same(lib, t.f, monge.emd(C, *data[2:]).f, "float64")


def test_sinkhorn(there: Library, data: Data) -> None:
    x, y, a, b = given(there, data)
    t = monge.sinkhorn(monge.PointCloud(x, y), a, b, eps=0.3)
    right = monge.sinkhorn(monge.PointCloud(*(v.astype(np.float32) for v in data[:2])), *data[2:], eps=0.3)
    for name in ("f", "g", "grad_x", "grad_y", "grad_a", "grad_b"):
        same(there, getattr(t, name), getattr(right, name))
    same(there, t.map(y), right.map(data[1]))
    same(there, t.plan[2:4], right.plan[2:4])
    same(there, t.plan @ y, right.plan @ data[1])
    if there.name != "array_api_strict":
        same(there, b @ t.plan.T, data[3] @ right.plan.T)
    same(there, t.rounded().plan @ y, right.rounded().plan @ data[1])
    same(there, monge.round_plan(t.plan, a, b) @ y, monge.round_plan(right.plan, *data[2:]) @ data[1])
    assert (t.value, t.cost, t.gap) == (right.value, right.cost, right.gap)
    again = monge.sinkhorn(monge.PointCloud(x, y), a, b, eps=0.3, init=t)
    assert again.iterations <= 2
    assert monge.sinkhorn(monge.PointCloud(x, y), a, b, eps=0.3, init=(t.f, t.g)).iterations <= 2


def test_the_other_plain_functions(there: Library, data: Data) -> None:
    x, y, a, b = given(there, data)
    singles = [values.astype(np.float32) for values in data]
    on_line = monge.emd_1d(singles[0][:, 0], singles[1][:, 0], *singles[2:])
    same(there, monge.emd_1d(x[:, 0], y[:, 0], a, b).f, on_line.f)
    cloud, right = monge.PointCloud(x, y), monge.PointCloud(*singles[:2])
    same(there, monge.partial(cloud, a, b, mass=20.0).g, monge.partial(right, *singles[2:], mass=20.0).g)
    assert monge.wasserstein(x, y, a, b) == monge.wasserstein(*singles)
    assert monge.wasserstein_1d(x[:, :1], y[:, :1]) == monge.wasserstein_1d(singles[0][:, :1], singles[1][:, :1])
    P = monge.emd(right, *singles[2:]).plan.toarray()
    Q = there.array(P)
    same(there, monge.round_plan(Q, a, b), monge.round_plan(P, *singles[2:]), there.floating(Q))
    same(there, monge.round_plan(P, a, b), monge.round_plan(P, *singles[2:]))
    same(there, monge.pairwise([x, (y, b)]), monge.pairwise([singles[0], (singles[1], singles[3])]))
    rows = np.array([[0.25, 0.75, 0.0], [0.5, 0.25, 0.25]], dtype=np.float32)
    C = np.abs(np.subtract.outer(range(3), range(3)))
    same(there, monge.pairwise(there.array(rows), cost=C), monge.pairwise(rows, cost=C))
    picture = np.full((2, 2, 3), 20, dtype=np.uint8)
    assert isinstance(monge.color_transfer(there.array(picture), there.array(picture)), np.ndarray)


def test_a_loss(there: Library, data: Data) -> None:
    x, y, a, b = given(there, data)
    singles = [values.astype(np.float32) for values in data]
    loss = monge.sinkhorn_divergence(x, y, a, b, eps=0.3)
    right = monge.sinkhorn_divergence(*singles, eps=0.3)
    assert loss == right
    for name in ("grad_x", "grad_y", "grad_a", "grad_b"):
        same(there, getattr(loss, name), getattr(right, name))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(loss)).grad_x, right.grad_x)
    for one in monge.sinkhorn_divergence([x, x], y, [None, a], [None, b], eps=0.3):
        assert isinstance(one.grad_b, there.kind)


def test_losses_of_clouds_and_histograms(there: Library, data: Data) -> None:
    x, y, a, b = given(there, data)
    singles = [values.astype(np.float32) for values in data]
    sliced = (monge.sliced_wasserstein, monge.max_sliced_wasserstein, monge.spherical_sliced_wasserstein)
    for loss in (monge.mmd, monge.energy_distance, *(partial(loss, rng=0) for loss in sliced)):
        same(there, loss(x, y, a, b).grad_x, loss(*singles).grad_x)
        same(there, loss(data[0], data[1], a, b).grad_b, loss(*data[:2], *singles[2:]).grad_b)
        many, right = (loss(points, targets) for points, targets in (
            (there.array(np.stack([singles[0]] * 2)), y), (np.stack([singles[0]] * 2), singles[1]),
        ))  # fmt: skip
        for one, exact in zip(many, right, strict=True):
            same(there, one.grad_y, exact.grad_y)
    plan, right = (monge.sliced_plan(*each, rng=0) for each in ((x, y, a, b), singles))
    same(there, plan.f, right.f)
    same(there, plan.direction, right.direction)
    same(there, monge.js(a, there.array(singles[2][::-1].copy())).grad_a, monge.js(data[2], data[2][::-1]).grad_a)
    spread = np.eye(2, dtype=np.float32)
    loss = monge.bures(x[0, :], there.array(spread), y[0, :], there.array(4.0 * spread))
    right = monge.bures(singles[0][0], spread, singles[1][0], 4.0 * spread)
    same(there, loss.grad_mean_x, right.grad_mean_x)
    same(there, loss.grad_cov_x, right.grad_cov_x)
    same(there, loss.map(x), right.map(data[0]))


def test_batches(there: Library, data: Data) -> None:
    C = monge.PointCloud(*data[:2]).block(slice(None)).astype(np.float32)
    many, a = np.stack([C, 2.0 * C]), np.stack([np.full(9, 1.0 / 9.0)] * 2).astype(np.float32)
    for solve in (monge.emd, lambda *args: monge.sinkhorn(*args, eps=0.3)):
        right = solve(many, a)
        for cost in (there.array(many), [there.array(C), there.array(2.0 * C)]):
            found = solve(cost, there.array(a))
            assert type(found) is list
            for t, one in zip(found, right, strict=True):
                same(there, t.f, one.f)
        assert [type(t) for t in solve(many, [None, there.array(a[0])])] == [type(t) for t in found]


def test_the_widest_floating_type(there: Library, data: Data) -> None:
    if there.name == "jax":
        pytest.skip("JAX has no float64 unless it is told to")
    x, y = given(there, data[:2])
    a, b = given(there, data[2:], "float64")
    assert there.floating(monge.emd(monge.PointCloud(x, y), a, b).f) == "float64"
    assert there.floating(monge.emd(monge.PointCloud(x, y), *data[2:]).f) == "float32"  # NumPy's do not count
    a, b = given(there, data[2:], "int64")
    assert there.floating(monge.emd(monge.PointCloud(x, y), a, b).f) == "float32"


def test_integers_give_the_default_type(there: Library) -> None:
    C = there.array(np.array([[1, 5], [5, 2]]))
    f = monge.emd(C).f
    assert isinstance(f, there.kind)
    assert there.floating(f) == there.floating(there.types.ones(2))
    assert monge.emd(C).value == 1.5


@pytest.mark.parametrize("floating", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["torch", "jax"])
def test_half_precision(name: str, floating: str, data: Data) -> None:
    lib = library(name)
    x, y, a = given(lib, (data[0], data[1], np.arange(1.0, 10.0) / 45.0), floating)
    t = monge.emd(monge.PointCloud(x, y), a, np.full(7, 1.0 / 7.0))  # whose totals differ by the rounding of a half
    right = monge.emd(monge.PointCloud(on_host(x), on_host(y)), t.on_host._weights[0])
    assert on_host(x).dtype in (np.float16, np.float32)
    assert right.f.dtype == np.float64
    same(lib, t.f, right.f, floating)
    same(lib, t.grad_x, right.grad_x, floating)
    rows = lib.array(np.stack([np.full(7, 1.0 / 7.0)] * 2), dtype=getattr(lib.types, floating))
    C = np.abs(np.subtract.outer(range(7), range(7)))
    assert lib.floating(monge.pairwise(rows, [np.full(7, 1.0 / 7.0)], cost=C)) == floating
    assert len(monge.emd([C, C], rows)) == 2


def test_half_precision_overflows_without_a_warning(torch: Any) -> None:
    there = home_of(torch.ones(1, dtype=torch.float16))
    assert there is not None
    assert there(np.array([1e6, -1e6, 1e-12])).tolist() == [np.inf, -np.inf, 0.0]


def test_what_a_tensor_remembers_stays_behind(torch: Any, data: Data) -> None:
    x, y = (torch.asarray(values).requires_grad_() for values in data[:2])
    t = monge.emd(monge.PointCloud(2.0 * x, y))
    assert not t.f.requires_grad
    np.testing.assert_array_equal(t.f, monge.emd(monge.PointCloud(2.0 * data[0], data[1])).f)
    assert monge.wasserstein(x, y) == monge.wasserstein(*data[:2])


def test_results_are_copies(torch: Any, data: Data) -> None:
    t = monge.emd(monge.PointCloud(*map(torch.asarray, data[:2])))
    before = t.on_host.grad_x.copy()
    t.grad_x.zero_()
    np.testing.assert_array_equal(t.on_host.grad_x, before)


def test_devices_of_the_standard(data: Data) -> None:
    xp = pytest.importorskip("array_api_strict", reason=WHY["array_api_strict"])
    device = xp.Device("device1")
    x, y = (xp.asarray(values, device=device) for values in data[:2])
    t = monge.sinkhorn(monge.PointCloud(x, y), eps=0.3)
    assert t.f.device == t.map(y).device == (t.plan @ y).device == device
    with pytest.raises(ValueError, match=r"on one device; got .*device1.* and .*CPU_DEVICE.*Move"):
        monge.emd(monge.PointCloud(x, xp.asarray(data[1])))
    without = xp.Device("no_float64")
    assert monge.emd(xp.asarray([[1, 2]], dtype=xp.int32, device=without)).f.dtype == xp.float32


def test_two_libraries(torch: Any, data: Data) -> None:
    xp = pytest.importorskip("array_api_strict", reason=WHY["array_api_strict"])
    x, y = torch.asarray(data[0]), xp.asarray(data[1])
    for call in (
        lambda: monge.PointCloud(x, y),
        lambda: monge.emd(monge.PointCloud(x, data[1]), b=xp.asarray(data[3])),
        lambda: monge.emd_1d(x[:, 0], y[:, 0]),
        lambda: monge.pairwise([x, y]),
        lambda: monge.sinkhorn([monge.PointCloud(x, x), monge.PointCloud(y, y)], eps=1.0),
        lambda: monge.partial(xp.asarray([[1.0]]), x[0, :1] ** 2, mass=1e-3),
        lambda: monge.round_plan(xp.asarray([[1.0]]), torch.ones(1)),
    ):
        with pytest.raises(TypeError, match=r"array_api_strict and of torch. Convert those of one"):
            call()


def test_what_is_at_home_in_numpy() -> None:
    for values in (
        None, 1.0, np.float32(1.0), "x", [1.0], ([1.0], [2.0]), [], np.ones(2), np.ones(2).view(np.recarray),
        np.ma.masked_array([1.0]), monge.Grid(3), monge.PointCloud([1.0], [2.0]),
        memoryview(b"abc"), [None, np.ones(2)],
    ):  # fmt: skip
        assert home_of(values) is None
        assert home_of_any(values, None) is None
        assert on_host(values) is values
    assert type(monge.emd(monge.PointCloud([1.0], [2.0])).f) is np.ndarray


def test_the_home_of_many(torch: Any) -> None:
    x = torch.ones(2, 1)
    for values in ((None, x), ([x, x],), ([None, x],), ([(x, x)],), (monge.PointCloud([1.0], x),), (home_of(x),)):
        found = home_of_any(*values)
        assert found is not None
        assert found(np.ones(3)).dtype == torch.float32
        assert not found.on_gpu
    assert repr(home_of(x)) == "Home(torch, cpu, float32)"


def test_pickles_are_for_numpy(there: Library, data: Data) -> None:
    x, y, a, b = given(there, data)
    t = monge.emd(monge.PointCloud(x, y), a, b)
    for solved in (t, monge.sinkhorn(monge.PointCloud(x, y), a, b, eps=0.3)):
        back = pickle.loads(pickle.dumps(solved))
        assert type(back) is type(solved.on_host)
        np.testing.assert_array_equal(back.f, solved.on_host.f)
    assert pickle.loads(pickle.dumps(home_of(x))) is None
    assert pickle.loads(pickle.dumps(monge.PointCloud(x, y))).home is None
    assert isinstance(pickle.loads(pickle.dumps(t.plan)).data, np.ndarray)
    for copied in (copy.copy(t), copy.deepcopy(t)):
        assert isinstance(copied.f, there.kind)
    assert copy.deepcopy(monge.PointCloud(x, y)).home is not None


def test_a_traced_function() -> None:
    jax = pytest.importorskip("jax", reason=WHY["jax"])
    for call in (monge.emd, lambda C: monge.sinkhorn(C, eps=1.0), lambda C: monge.emd(monge.PointCloud(C, C))):
        with pytest.raises(TypeError, match=r"use the functions of monge\.jax"):
            jax.jit(call)(np.ones((2, 2)))


def test_a_function_that_torch_transforms(torch: Any) -> None:
    with pytest.raises(TypeError, match=r"use the functions of monge\.torch"):
        torch.func.vmap(lambda C: torch.ones(()) * monge.emd(C).value)(torch.ones(3, 2, 2))


def test_an_array_spread_over_devices() -> None:
    pytest.importorskip("jax", reason=WHY["jax"])
    code = """
import jax, monge, numpy as np
from jax.sharding import NamedSharding, PartitionSpec
mesh = jax.make_mesh((2,), ("i",), axis_types=(jax.sharding.AxisType.Auto,))
x = jax.device_put(np.arange(8.0).reshape(4, 2), NamedSharding(mesh, PartitionSpec("i", None)))
t = monge.emd(monge.PointCloud(x, x + 1.0))
assert isinstance(t.f, jax.Array) and t.f.shape == (4,) and t.value == 2.0, t
"""
    environment = {**__import__("os").environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr


def test_no_library_is_imported_to_find_out() -> None:
    code = """
import sys, numpy as np, monge
monge.emd(monge.PointCloud([[1.0]], np.ones((2, 1)))); monge.sinkhorn([[1.0]], eps=1.0); monge.pairwise([[1.0], [2.0]])
assert not {"torch", "jax", "cupy", "array_api_compat"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_tensors_that_are_none(torch: Any) -> None:
    for cost in (torch.eye(3).to_sparse(), torch.eye(3, dtype=torch.complex64), torch.eye(3, device="meta")):
        with pytest.raises(TypeError, match="cost should be an"):
            monge.emd(cost)
