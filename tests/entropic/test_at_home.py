"""Arrays of other libraries on a GPU, in and out. The library here is a stand-in whose arrays say that they are there,
and that NumPy may not read them, as those of torch and CuPy do."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import monge
from monge.problem import home


class There:
    """An array on a GPU, if one believes it."""

    def __init__(self, array: Any) -> None:
        self._array = np.asarray(array)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("an array on a GPU is not converted without being asked")

    def get(self) -> NDArray[Any]:
        return self._array

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def ndim(self) -> int:
        return self._array.ndim


class Library:
    """Of such arrays."""

    @staticmethod
    def asarray(array: Any, device: Any = None) -> There:
        assert device == "somewhere"
        return There(array)


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "_namespace_and_device", lambda values: (Library, "somewhere"))


@pytest.fixture
def points() -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(9, 2)), rng.normal(size=(7, 2)), rng.dirichlet(np.ones(9))


def same(found: Any, right: Any) -> None:
    assert isinstance(found, There)
    np.testing.assert_array_equal(found.get(), right)


def test_results_are_where_the_points_are(points: Any) -> None:
    x, y, a = points
    t = monge.sinkhorn(monge.PointCloud(There(x), There(y)), There(a), eps=0.3, device="cpu")
    right = monge.sinkhorn(monge.PointCloud(x, y), a, eps=0.3)
    same(t.f, right.f)
    same(t.g, right.g)
    same(t.grad_x, right.grad_x)
    same(t.map(There(y)), right.map(y))
    same(t.plan @ There(y), right.plan @ y)
    same(There(a) @ t.plan, a @ right.plan)
    same(t.plan.T @ There(x), right.plan.T @ x)
    same(t.plan.sum(axis=1), right.plan.sum(axis=1))
    same(t.plan[2:4], right.plan[2:4])
    same(t.plan.toarray(), right.plan.toarray())
    same(t.rounded().plan @ There(y), right.rounded().plan @ y)
    np.testing.assert_array_equal(np.asarray(t.plan), right.plan.toarray())
    assert (t.value, t.cost, t.gap, t.status) == (right.value, right.cost, right.gap, right.status)
    assert repr(t) == repr(right)
    assert t.plan.shape == (9, 7)
    np.testing.assert_array_equal(t.on_host.f, right.f)


def test_one_side_there_is_enough(points: Any) -> None:
    x, y, _ = points
    assert isinstance(monge.sinkhorn(monge.PointCloud(x, There(y)), eps=0.3, device="cpu").f, There)


def test_matrices_and_batches(points: Any) -> None:
    x, y, a = points
    C = monge.PointCloud(x, y).block(slice(None))
    same(monge.sinkhorn(There(C), There(a), eps=0.3, device="cpu").f, monge.sinkhorn(C, a, eps=0.3).f)
    many = monge.sinkhorn(There(np.stack([C, 2.0 * C])), eps=0.3, device="cpu")
    for t, right in zip(many, monge.sinkhorn(np.stack([C, 2.0 * C]), eps=0.3), strict=True):
        same(t.f, right.f)


@pytest.mark.filterwarnings("ignore::monge.ConvergenceWarning")
def test_plans_of_squares(points: Any) -> None:
    x, y, a = points
    C = monge.PointCloud(x, y).block(slice(None))
    t = monge.quadratic(monge.PointCloud(There(x), There(y)), There(a), eps=2.0)
    right = monge.quadratic(monge.PointCloud(x, y), a, eps=2.0)
    same(t.grad_y, right.grad_y)
    same(t.plan @ There(y), right.plan @ y)
    same(t.map(There(y)), right.map(y))
    for max_iter in (1, 100):
        t, right = (monge.quadratic(cost, eps=2.0, max_iter=max_iter) for cost in (There(C), C))
        same(t.f, right.f)
        assert (t.value, t.gap, t.marginal_error) == (right.value, right.gap, right.marginal_error)


def test_starts(points: Any) -> None:
    x, y, a = points
    t = monge.sinkhorn(monge.PointCloud(There(x), There(y)), There(a), eps=0.3, device="cpu")
    for init in (t, (t.f, t.g)):
        again = monge.sinkhorn(monge.PointCloud(x, y), a, eps=0.3, init=init)
        assert again.iterations <= 2
    assert monge.emd(monge.PointCloud(x, y), a, init=t).gap < 1e-12


def test_rounded_plans(points: Any) -> None:
    x, y, a = points
    t = monge.sinkhorn(monge.PointCloud(There(x), There(y)), There(a), eps=0.3, device="cpu")
    right = monge.round_plan(monge.sinkhorn(monge.PointCloud(x, y), a, eps=0.3).plan, a)
    same(monge.round_plan(t.plan, There(a)) @ There(y), right @ y)


def test_pickles_are_for_numpy(points: Any) -> None:
    x, y, _ = points
    t = monge.sinkhorn(monge.PointCloud(There(x), There(y)), eps=0.3, device="cpu")
    back = pickle.loads(pickle.dumps(t))
    np.testing.assert_array_equal(back.f, t.on_host.f)
    assert back.cost == t.cost
    assert isinstance(pickle.loads(pickle.dumps(t.plan)).toarray(), np.ndarray)


def test_without_the_package_that_knows_libraries(monkeypatch: pytest.MonkeyPatch, points: Any) -> None:
    monkeypatch.undo()
    monkeypatch.setitem(__import__("sys").modules, "array_api_compat", None)
    with pytest.raises(ImportError, match=r"monge\[cuda\]"):
        monge.PointCloud(There(points[0]), points[1])
