"""The multi-class Wasserstein loss of JAX: against closed forms and solvers, under transforms, and bad input."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
import pytest

import monge

jax = pytest.importorskip("jax", reason="needs the extra jax: pip install 'monge[jax]'")
jnp = jax.numpy

from monge.jax import wasserstein_loss  # noqa: E402


@pytest.fixture
def wide() -> Any:
    """JAX with float64, as its users ask for it."""
    with jax.enable_x64(True):
        yield


def problem(seed: int, count: int = 6, K: int = 5) -> tuple[Any, Any, Any]:
    """Predictions and targets (count, K), the first two of them in a single class, and a symmetric cost."""
    rng = np.random.default_rng(seed)
    h, t = rng.dirichlet(np.ones(K), count), rng.dirichlet(np.full(K, 0.5), count)
    t[:2] = np.eye(K)[rng.integers(0, K, 2)]
    places = rng.normal(size=(K, 2))
    return h, t, np.linalg.norm(places[:, None] - places, axis=2)


def solved(h: Any, t: Any, C: Any, eps: float | None) -> list[float]:
    if eps is None:
        return [monge.emd(C, row, to).value for row, to in zip(h, t, strict=True)]
    return [monge.sinkhorn(C, row, to, eps=eps, tol=1e-10).value for row, to in zip(h, t, strict=True)]


@pytest.mark.parametrize("eps", [None, 0.3])
def test_values(eps: float | None, wide: Any) -> None:
    h, t, C = problem(0)
    right = solved(h, t, C, eps)

    def loss(h: Any, t: Any) -> Any:
        return wasserstein_loss(h, t, C, eps=eps, tol=1e-10, reduction="none")

    many = jax.vmap(lambda h, t: wasserstein_loss(h, t, C, eps=eps, tol=1e-10))
    for function in (loss, jax.jit(loss), many, jax.jit(many), jax.jit(lambda h, _: loss(h, t))):
        np.testing.assert_allclose(function(h, t), right, atol=1e-10)
    assert float(wasserstein_loss(h, t, C, eps=eps, tol=1e-10)) == pytest.approx(np.mean(right))
    assert float(wasserstein_loss(h, t, C, eps=eps, tol=1e-10, reduction="sum")) == pytest.approx(np.sum(right))
    folded = wasserstein_loss(h.reshape(2, 3, 5), t.reshape(2, 3, 5), C, eps=eps, tol=1e-10, reduction="none")
    np.testing.assert_allclose(folded, np.reshape(right, (2, 3)), atol=1e-10)


@pytest.mark.parametrize("eps", [None, 0.3])
def test_single_class_is_an_inner_product(eps: float | None, wide: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("monge.jax.wasserstein_loss")
    monkeypatch.setattr(module, "_solved", lambda *_: pytest.fail("solved"))
    h, t, C = problem(1)
    labels, right = t.argmax(-1), (h * C[:, t.argmax(-1)].T).sum(-1)
    one_hot = np.eye(5)[labels]
    for target in (labels, one_hot, one_hot.astype(bool)):
        loss = lambda h: wasserstein_loss(h, target, C, eps=eps, reduction="none")  # noqa: B023, E731
        for function in (loss, jax.jit(loss)):
            np.testing.assert_allclose(function(h), right, rtol=1e-12)
    traced = jax.jit(lambda h, k: wasserstein_loss(h, k, C, eps=eps, reduction="none"))
    np.testing.assert_allclose(traced(h, labels.astype(np.uint8)), right, rtol=1e-12)
    # Its derivative is the column, tangent to the simplex; there is a second one, zero.
    slopes = jax.grad(lambda h: wasserstein_loss(h, labels, C, eps=eps, reduction="sum"))(h)
    np.testing.assert_allclose(slopes, C[labels] - C[labels].mean(-1, keepdims=True), atol=1e-12)
    assert not jax.hessian(lambda h: wasserstein_loss(h, labels, C, eps=eps))(h).any()


def test_ordinal_classes(wide: Any) -> None:
    h, t, _ = problem(2)
    k = np.arange(5.0)
    C = abs(k[:, None] - k)
    for target in (t, t.argmax(-1)):
        for given in (h, h[::-1]):
            closed = jax.jit(lambda h, t: wasserstein_loss(h, t, "ordinal", reduction="none"))(given, target)
            np.testing.assert_allclose(closed, wasserstein_loss(given, target, C, reduction="none"), atol=1e-12)
    slopes = [jax.grad(lambda z: wasserstein_loss(jax.nn.softmax(z), t, cost))(np.log(h)) for cost in ("ordinal", C)]  # noqa: B023
    np.testing.assert_allclose(*slopes, atol=1e-12)


def test_masses_under_penalties(wide: Any) -> None:
    h, t, C = problem(3)
    options: Any = {"eps": 0.3, "marginals": monge.KL(0.7), "tol": 1e-10}
    found = wasserstein_loss(2.0 * h, t, C, reduction="none", **options)
    right = [monge.sinkhorn(C, 2.0 * row, to, **options).value for row, to in zip(h, t, strict=True)]
    np.testing.assert_allclose(found, right, atol=1e-10)
    labels = t.argmax(-1)
    of_classes = jax.jit(lambda k: wasserstein_loss(h, k, C, **options))(labels)
    assert float(of_classes) == pytest.approx(float(wasserstein_loss(h, np.eye(5)[labels], C, **options)), abs=1e-12)


@pytest.mark.parametrize("eps", [None, 0.3])
def test_derivatives_against_differences(eps: float | None, wide: Any) -> None:
    h, t, C = problem(4, count=3)
    rng = np.random.default_rng(0)
    z, u = np.log(h), np.maximum(np.log(np.maximum(t, 1e-9)), -4.0)
    for function, given in (
        (lambda z: wasserstein_loss(jax.nn.softmax(z), t, C, eps=eps, tol=1e-12), (z,)),
        (lambda z, u, C: wasserstein_loss(jax.nn.softmax(z), jax.nn.softmax(u), C, eps=eps, tol=1e-12), (z, u, C)),
    ):
        steps = [rng.normal(size=array.shape) for array in given]
        ahead, behind = (
            float(function(*(v + s * d for v, d in zip(given, steps, strict=True)))) for s in (1e-5, -1e-5)
        )
        for one in (function, jax.jit(function)):
            slopes = jax.grad(one, tuple(range(len(given))))(*given)
            along = sum(float((s * d).sum()) for s, d in zip(slopes, steps, strict=True))
            assert along == pytest.approx((ahead - behind) / 2e-5, rel=1e-6, abs=1e-8)


def test_second_derivatives_of_what_is_solved_are_refused() -> None:
    h, t, C = problem(5)
    with pytest.raises(RuntimeError, match=r"monge\.torch"):
        jax.hessian(lambda h: wasserstein_loss(h, t, C))(h)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("eps", [None, 0.3])
def test_types(dtype: str, eps: float | None) -> None:
    rng = np.random.default_rng(6)
    h = jax.nn.softmax(jnp.asarray(rng.normal(size=(64, 10)), dtype))
    t = jax.nn.softmax(jnp.asarray(rng.normal(size=(64, 10)), dtype))
    C = rng.random((10, 10))
    for target in (t, t.argmax(-1)):
        exact = np.asarray(h, float) / np.asarray(h, float).sum(-1, keepdims=True)
        to = np.asarray(target, float)
        to = to / to.sum(-1, keepdims=True) if target.ndim == 2 else np.eye(10)[np.asarray(target)]
        loss = lambda h: wasserstein_loss(h, target, C, eps=eps)  # noqa: B023, E731
        value, slope = jax.jit(jax.value_and_grad(loss))(h)
        assert value.dtype == slope.dtype == dtype
        near = 10.0 * float(jnp.finfo(dtype).eps) + 1e-5
        assert float(value) == pytest.approx(np.mean(solved(exact, to, C, eps)), rel=near)
        assert float(loss(h)) == float(value)


# --- Bad input --------------------------------------------------------------------------------------------------------

GOOD = np.full((2, 3), 1.0 / 3.0)
COST = np.ones((3, 3))
PENALTY = {"eps": 1.0, "marginals": monge.KL(1.0)}

# What only numbers tell.
VALUES: list[tuple[Any, Any, Any, dict[str, Any], str]] = [
    (GOOD - 0.5, GOOD - 0.5, COST, {}, "softmax"),
    (GOOD * math.nan, GOOD, COST, {}, "negative or NaN"),
    (GOOD * 2.0, GOOD, COST, {}, r"same total; got 2\.0.* and 1\.0.*marginals=monge\.KL"),
    (GOOD * 2.0, GOOD, "ordinal", {}, "same total"),
    (GOOD, np.ones((2, 3)), COST, {"eps": 0.5}, r"target / target\.sum"),
    (GOOD * 0.5, np.array([0, 1]), COST, {}, "same total"),
    (GOOD * 0.0, GOOD * 0.0, COST, {}, "some mass"),
    (GOOD, -GOOD, COST, {}, "target should not hold negative"),
    (GOOD, np.array([0, -1]), COST, {}, "classes from 0 to 2; got -1"),
    (GOOD, np.array([0, 3]), COST, {}, "classes from 0 to 2; got 3"),
    (GOOD, np.array([0, 3]), "ordinal", {}, "classes from 0 to 2; got 3"),
    (GOOD, np.array([0, 3]), COST, PENALTY, "classes from 0 to 2; got 3"),
]


@pytest.mark.parametrize(("h", "t", "cost", "options", "text"), VALUES)
def test_bad_numbers(h: Any, t: Any, cost: Any, options: dict[str, Any], text: str) -> None:
    def loss(h: Any, t: Any) -> Any:
        return wasserstein_loss(h, t, cost, **options)

    for call in (loss, jax.grad(loss)):
        with pytest.raises(ValueError, match=text):
            call(h, t)
    for call in (jax.jit(loss), jax.jit(lambda h, _: loss(h, t))):
        assert np.isnan(call(h, t))
    assert np.isnan(jax.vmap(jax.grad(loss))(h, t)).any()


@pytest.mark.parametrize(
    ("h", "t", "cost", "options", "error", "text"),
    [
        (GOOD, np.array([0.0, 1.0]), COST, {}, ValueError, r"of integers, or \(2, 3\)"),
        (GOOD, np.array([0, 1, 2]), COST, {}, ValueError, r"shape \(2,\), of integers"),
        (GOOD, GOOD, np.ones((2, 3)), {}, ValueError, r"\(K, L\), from each of the K = 3"),
        (GOOD, GOOD, "line", {}, ValueError, '"ordinal"'),
        (GOOD, GOOD, "ordinal", {"eps": 1.0}, ValueError, "Leave them out"),
        (GOOD, GOOD, COST, {"marginals": monge.KL(1.0)}, ValueError, "Pass eps"),
        (GOOD, GOOD, COST, {"marginals": "KL", "eps": 1.0}, TypeError, r"monge\.KL"),
        (GOOD, GOOD, COST, {"reduction": "max"}, ValueError, "'mean', 'sum', 'none'"),
        (GOOD, GOOD, COST, {"eps": 0.0}, ValueError, "eps"),
        (GOOD[:0], GOOD[:0], COST, {}, ValueError, "Leave empty batches out"),
        (np.array([[1, 0, 0]]), GOOD[:1], COST, {}, TypeError, "int32"),
        (GOOD, None, COST, {}, TypeError, "target should"),
        (GOOD, GOOD, None, {}, TypeError, "cost should"),
        (GOOD, GOOD + 1j, COST, {}, TypeError, "complex"),
        (GOOD, np.array([0, 1]), COST > 0, {}, TypeError, "real numbers"),
    ],
)
def test_bad_input(h: Any, t: Any, cost: Any, options: dict[str, Any], error: Any, text: str) -> None:
    for call in (
        wasserstein_loss,
        lambda h, *rest, **options: jax.jit(lambda h: wasserstein_loss(h, *rest, **options))(h),
    ):
        with pytest.raises(error, match=text):
            call(h, t, cost, **options)
