"""Losses of tensors under what PyTorch does to functions: torch.func, compilers, checks of operators, long loops."""

from __future__ import annotations

import builtins
import gc
import subprocess
import sys
import weakref
from typing import Any

import pytest

import monge

torch = pytest.importorskip("torch", reason="monge.torch needs PyTorch: pip install 'monge[torch]'")
from torch.func import grad, hessian, jacrev, vmap  # noqa: E402
from torch.library import opcheck  # noqa: E402

import monge.torch  # noqa: E402
from monge.torch import function  # noqa: E402

float64 = torch.float64
FINE = {"tol": 1e-13, "max_iter": 100_000}
INF = float("inf")


@pytest.fixture
def points() -> Any:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(*shape, generator=generator, dtype=float64) for shape in ((3, 4, 2), (5, 2))]


def losses() -> dict[str, Any]:
    return {
        "sinkhorn": lambda x, y: monge.torch.sinkhorn(x, y, eps=0.2, marginals=monge.KL(1.0), **FINE),
        "emd": lambda x, y: monge.torch.emd(x, y, cost="euclidean"),
    }


class TestFunc:
    @pytest.mark.parametrize("name", losses())
    def test_transforms_are_loops(self, name: str, points: Any) -> None:
        (xs, y), loss = points, losses()[name]
        torch.testing.assert_close(vmap(loss, (0, None))(xs, y), torch.stack([loss(x, y) for x in xs]))
        torch.testing.assert_close(vmap(loss, (None, 1))(xs[0], torch.stack([y, y + 1.0], 1)).shape, (2,))
        slopes = []
        for x in xs:
            leaf = x.clone().requires_grad_()
            slopes.append(torch.autograd.grad(loss(leaf, y), leaf)[0])
        torch.testing.assert_close(grad(loss)(xs[0], y), slopes[0])
        torch.testing.assert_close(vmap(grad(loss), (0, None))(xs, y), torch.stack(slopes))
        torch.testing.assert_close(jacrev(loss)(xs, y)[1, 1], slopes[1])

    @pytest.mark.parametrize("name", losses())
    def test_second_derivatives(self, name: str, points: Any) -> None:
        (xs, y), loss = points, losses()[name]
        right = torch.stack([torch.autograd.functional.hessian(lambda x: loss(x, y), x) for x in xs])
        torch.testing.assert_close(jacrev(grad(loss))(xs[0], y), right[0])
        torch.testing.assert_close(jacrev(jacrev(loss))(xs[0], y), right[0])
        torch.testing.assert_close(vmap(jacrev(grad(loss)), (0, None))(xs, y), right)
        step = 1e-5 * torch.rand(4, 2, dtype=float64)
        change = grad(loss)(xs[0] + step, y) - grad(loss)(xs[0] - step, y)
        torch.testing.assert_close((right[0] * step).sum((-2, -1)), 0.5 * change, rtol=1e-5, atol=1e-10)

    def test_vmap_solves_a_batch_in_one_call(self, points: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        (xs, y), calls = points, []
        solve = function._solve
        monkeypatch.setattr(function, "_solve", lambda *args: calls.append(1) or solve(*args))
        nested = vmap(vmap(losses()["sinkhorn"], (None, 0)), (0, None))(xs, torch.stack([y, y]))
        assert nested.shape == (3, 2)
        assert len(calls) == 1

    @pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # of PyTorch's own
    def test_what_is_not_there_says_so(self, points: Any) -> None:
        (xs, y), loss = points, losses()["sinkhorn"]
        with pytest.raises(RuntimeError, match="no third ones"):
            jacrev(jacrev(grad(loss)))(xs[0], y)
        with pytest.raises(NotImplementedError, match="forward mode"):  # PyTorch's words; jacrev(grad(...)) does it
            hessian(loss)(xs[0], y)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # which PyTorch itself does
class TestCompile:
    @pytest.mark.parametrize("name", losses())
    def test_one_graph(self, name: str, points: Any) -> None:
        (xs, y), loss = points, losses()[name]
        compiled = torch.compile(lambda x, y: 2.0 * loss(x.sin(), y).sum(), fullgraph=True, backend="aot_eager")
        found, right = xs.clone().requires_grad_(), xs.clone().requires_grad_()
        value = compiled(found, y)
        value.backward()
        plain = 2.0 * loss(right.sin(), y).sum()
        plain.backward()
        torch.testing.assert_close(value, plain)
        torch.testing.assert_close(found.grad, right.grad)

    def test_settings_may_change(self, points: Any) -> None:
        xs, y = points
        compiled = torch.compile(
            lambda x, eps: monge.torch.sinkhorn(x, y, eps=eps, marginals=monge.KL(1.0)),
            fullgraph=True,
            backend="aot_eager",
        )
        for eps in (0.1, 0.2, 0.4):
            right = monge.torch.sinkhorn(xs, y, eps=eps, marginals=monge.KL(1.0))
            torch.testing.assert_close(compiled(xs, eps), right)

    def test_costs_that_are_objects(self, points: Any) -> None:
        xs, y = points
        ground = monge.GroundCost(lambda x, y: abs(x[0] - y[0]) + 2.0 * abs(x[1] - y[1]))
        compiled = torch.compile(lambda x: monge.torch.emd(x, y, cost=ground), fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(xs), monge.torch.emd(xs, y, cost=ground))

    def test_transforms_are_compiled(self, points: Any) -> None:
        (xs, y), loss = points, losses()["sinkhorn"]
        compiled = torch.compile(lambda x: grad(lambda x: loss(x, y).sum())(x), fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(xs), grad(lambda x: loss(x, y).sum())(xs))


class TestOperators:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("kind", ["sinkhorn", "emd"])
    def test_opcheck(self, kind: str, dtype: Any) -> None:
        numbers = (0.2, 1e-3, 1000, 0, 0.0, INF, INF, INF, INF) if kind == "sinkhorn" else (0, 0.0)
        x, y = torch.rand(3, 4, 2, dtype=dtype), torch.rand(3, 2, 5, dtype=dtype).transpose(1, 2)
        settings = kind, "euclidean", numbers
        problem = x, y, None, None, None
        opcheck(function._solve_op, (*problem, *settings))
        _, state = function._solve_op(*problem, *settings)
        opcheck(function._gradient_op, (*problem, state, *settings, 3))
        opcheck(function._product_op, (*problem, state, x, None, None, None, None, *settings, 3))
        C, a = torch.rand(5, 4, dtype=dtype).T, torch.full((4,), 0.25, dtype=dtype)
        problem = None, None, C, a, torch.full((5,), 0.2, dtype=dtype)
        opcheck(function._solve_op, (*problem, *settings))
        _, state = function._solve_op(*problem, *settings)
        opcheck(function._gradient_op, (*problem, state, *settings, 4))

    def test_traces_hold_operators_not_numbers(self, points: Any) -> None:
        from torch.fx.experimental.proxy_tensor import make_fx

        (xs, y), loss = points, losses()["sinkhorn"]
        graph = make_fx(lambda x: loss(x, y))(xs)
        assert "monge.solve" in graph.code
        torch.testing.assert_close(graph(xs + 1.0), loss(xs + 1.0, y))


class TestLongLoops:
    @pytest.mark.parametrize("name", losses())
    def test_nothing_is_left(self, name: str) -> None:
        loss, x, y = losses()[name], torch.rand(4, 2, requires_grad=True), torch.rand(5, 2)

        def step() -> Any:
            value = loss(x, y)
            (slope,) = torch.autograd.grad(value, x, create_graph=True)
            slope.square().sum().backward()
            with torch.no_grad():
                x.sub_(0.0 * x.grad)
            x.grad = None
            return weakref.ref(value), weakref.ref(value.grad_fn)

        for _ in range(20):
            step()
        gc.collect()
        before, memory = _living(), _resident()
        enabled = gc.isenabled()
        gc.disable()  # nothing may be in a cycle
        try:
            for _ in range(1000):
                refs = step()
                assert refs[0]() is None
                assert refs[1]() is None
        finally:
            if enabled:
                gc.enable()
        assert _living() == before
        assert _resident() - memory < 2**25

    def test_a_graph_that_is_dropped_is_gone(self) -> None:
        x, y = torch.rand(4, 2, requires_grad=True), torch.rand(5, 2)
        value = monge.torch.sinkhorn(x, y, eps=0.2)
        ref = weakref.ref(value.grad_fn)
        assert all(not isinstance(held, torch.Tensor) for held in vars(value.grad_fn).values())
        del value
        assert ref() is None


def _living() -> int:
    return sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects())


def _resident() -> int:
    try:
        with open("/proc/self/statm") as numbers:
            return int(numbers.read().split()[1]) * 4096
    except OSError:
        return 0


def test_without_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name == "torch":
            raise ImportError(name)
        return importing(name, *args)

    for module in [m for m in sys.modules if m.startswith("monge.torch")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'monge\[torch\]'"):
        importing("monge.torch")


def test_only_the_bridge_imports_it() -> None:
    code = "import sys, monge; assert 'torch' not in sys.modules; import monge.torch; assert 'torch' in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_hessians_of_autograd() -> None:
    x = torch.rand(3, 2, dtype=float64)

    def loss(x: Any) -> Any:
        return monge.torch.sinkhorn(x, x.detach() + 1.0, eps=0.5, tol=1e-12)

    right = jacrev(grad(loss))(x)
    torch.testing.assert_close(torch.autograd.functional.hessian(loss, x), right)
    with pytest.raises(RuntimeError, match=r"torch\.func\.jacrev"):
        torch.autograd.functional.hessian(loss, x, vectorize=True)


@pytest.mark.parametrize("name", ["sinkhorn", "emd"])
def test_products_of_autograd(name: str, points: Any) -> None:
    # It takes the derivative of a product with respect to its direction, which is no third derivative.
    x, y, u = points[0][0], points[1], torch.arange(4.0, dtype=float64)
    call = losses()[name]

    def loss(x: Any, u: Any) -> Any:
        return call(u[:, None] + torch.exp(x), y)

    along = torch.sin(9.0 * x), torch.cos(u)
    whole = torch.autograd.functional.hessian(loss, (x, u))
    products = torch.autograd.functional.hvp(loss, (x, u), along)[1]
    for row, product in zip(whole, products, strict=True):
        right = sum(torch.tensordot(part, step, step.dim()) for part, step in zip(row, along, strict=True))
        torch.testing.assert_close(product, right, atol=1e-8, rtol=1e-8)
    # Third ones are still refused, of leaves and of what is computed from them.
    x = x.clone().requires_grad_()
    z = torch.exp(x)
    (first,) = torch.autograd.grad(call(z, y), z, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), z, create_graph=True)
    for inputs in (x, z):
        with pytest.raises(RuntimeError, match="no third ones"):
            torch.autograd.grad(second.sum(), inputs, retain_graph=True)
    with pytest.raises(RuntimeError, match="no third ones"):
        second.sum().backward()
