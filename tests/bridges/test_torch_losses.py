"""Losses of tensors: values, derivatives and second derivatives, batches, types, devices, and what is refused."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

import monge

torch = pytest.importorskip("torch", reason="monge.torch needs PyTorch: pip install 'monge[torch]'")
from torch.autograd import gradcheck, gradgradcheck  # noqa: E402

import monge.torch  # noqa: E402

float64 = torch.float64
FINE = {"tol": 1e-13, "max_iter": 100_000}
MARGINALS = {"balanced": None, "KL": monge.KL(0.7), "rows fixed": (None, monge.KL(0.4)), "TV": monge.TV(0.35)}


def tensors(*shapes: tuple[int, ...], seed: int = 0, dtype: Any = float64, grad: bool = True) -> list[Any]:
    generator = torch.Generator().manual_seed(seed)
    made = [torch.rand(shape, generator=generator, dtype=float64).add_(0.1) for shape in shapes]
    return [t.to(dtype).requires_grad_(grad) for t in made]


class TestSinkhorn:
    @pytest.mark.parametrize("marginals", MARGINALS)
    @pytest.mark.parametrize("cost", ["sqeuclidean", "euclidean", ("cityblock", 2.5), "cosine"], ids=str)
    def test_points_and_weights(self, cost: Any, marginals: str) -> None:
        x, y, a, b = tensors((4, 2), (3, 2), (4,), (3,))

        def loss(x: Any, y: Any, a: Any, b: Any) -> Any:
            if marginals == "balanced":  # along directions that keep totals equal
                a, b = a.softmax(-1), b.softmax(-1)
            else:
                b = 2.0 * b
            return monge.torch.sinkhorn(
                x, y, a, b, eps=0.1, cost=cost, marginals=MARGINALS[marginals], **FINE
            )  # fmt: skip

        assert gradcheck(loss, (x, y, a, b), fast_mode=True)
        assert gradgradcheck(loss, (x, y, a, b), fast_mode=True, atol=1e-6)

    @pytest.mark.parametrize("marginals", MARGINALS)
    def test_costs(self, marginals: str) -> None:
        C, a, b = tensors((2, 4, 3), (2, 4), (3,))

        def loss(C: Any, a: Any, b: Any) -> Any:
            a, b = (a.softmax(-1), b.softmax(-1)) if marginals == "balanced" else (a, 2.0 * b)
            return monge.torch.sinkhorn(a=a, b=b, cost=C, eps=0.1, marginals=MARGINALS[marginals], **FINE)

        assert gradcheck(loss, (C, a, b), fast_mode=True)
        assert gradgradcheck(loss, (C, a, b), fast_mode=True, atol=1e-6)

    def test_is_that_of_the_library(self) -> None:
        x, y, a = tensors((5, 2), (4, 2), (5,))
        loss = monge.torch.sinkhorn(x, y, a, eps=0.2, marginals=monge.KL(1.0))
        loss.backward()
        total = a.detach().numpy().sum()
        b = np.full(4, total / 4)
        cloud = monge.PointCloud(x.detach().numpy(), y.detach().numpy())
        t = monge.sinkhorn(cloud, a.detach().numpy(), b, eps=0.2, marginals=monge.KL(1.0))
        assert loss.item() == pytest.approx(t.value, rel=1e-14)
        np.testing.assert_allclose(x.grad, t.grad_x, rtol=1e-12)
        np.testing.assert_allclose(y.grad, t.grad_y, rtol=1e-12)
        # Uniform weights have the total of the others, also as that changes.
        np.testing.assert_allclose(a.grad, t.grad_a + t.grad_b.mean(), rtol=1e-12)

    def test_uniform_weights_follow_the_others(self) -> None:
        x, y, b = tensors((4, 2), (3, 2), (3,))
        assert gradcheck(
            lambda b: monge.torch.sinkhorn(x, y, b=b, eps=0.1, marginals=monge.KL(1.0), **FINE), (b,), fast_mode=True
        )
        assert gradcheck(lambda b: monge.torch.emd(x, y, b=b), (b,), fast_mode=True)

    def test_two_places_keep_a_matrix_symmetric(self) -> None:
        # The second derivative of a shift is that of the cost alone: 2 in total, for squares and total weight one.
        x, y, t = tensors((5, 2), (4, 2), (2,))
        loss = monge.torch.sinkhorn(x.detach() + t, y.detach(), eps=0.3, **FINE)
        (slope,) = torch.autograd.grad(loss, t, create_graph=True)
        rows = [torch.autograd.grad(part, t, retain_graph=True)[0] for part in slope]
        torch.testing.assert_close(torch.stack(rows), 2.0 * torch.eye(2, dtype=float64), rtol=1e-9, atol=1e-9)

    def test_a_grid(self) -> None:
        a, b = tensors((2, 6), (6,))
        grid = monge.Grid((2, 3))
        loss = monge.torch.sinkhorn(a=a.softmax(-1), b=b.softmax(-1), cost=grid, eps=0.5, **FINE)
        C = torch.as_tensor(monge.CostMatrix(np.asarray(grid.block(slice(0, 6)))).C)
        right = monge.torch.sinkhorn(a=a.softmax(-1), b=b.softmax(-1), cost=C, eps=0.5, **FINE)
        torch.testing.assert_close(loss, right)
        torch.testing.assert_close(torch.autograd.grad(loss.sum(), a), torch.autograd.grad(right.sum(), a))
        alone = monge.torch.sinkhorn(a=a, cost=grid, eps=0.5, **FINE)
        torch.testing.assert_close(alone, monge.torch.sinkhorn(a=a, cost=C, eps=0.5, **FINE))

    def test_a_function_has_first_derivatives_alone(self) -> None:
        def cost(x: Any, y: Any) -> float:
            return (x[0] - y[0]) ** 2 + (x[1] - y[1]) ** 2

        def slope(x: Any, y: Any, out: Any) -> None:
            out[0], out[1] = 2.0 * (x[0] - y[0]), 2.0 * (x[1] - y[1])

        x, y = tensors((4, 2), (3, 2))
        for loss in (monge.torch.sinkhorn, monge.torch.emd):
            options = {"eps": 0.2} if loss is monge.torch.sinkhorn else {}
            value = loss(x, y, cost=monge.GroundCost(cost, gradient=slope), **options)
            (first,) = torch.autograd.grad(value, x, create_graph=True)
            torch.testing.assert_close(first, torch.autograd.grad(loss(x, y, **options), x)[0])
            with pytest.raises(RuntimeError, match="second derivatives need those of the ground cost"):
                torch.autograd.grad(first.sum(), x)


class TestEmd:
    @pytest.mark.parametrize("cost", ["sqeuclidean", "euclidean", ("chebyshev", 1.5), "cosine"], ids=str)
    def test_points_and_weights(self, cost: Any) -> None:
        x, y, a, b = tensors((2, 4, 2), (3, 2), (4,), (2, 3))

        def loss(x: Any, y: Any, a: Any, b: Any) -> Any:
            return monge.torch.emd(x, y, a.softmax(-1), b.softmax(-1), cost=cost)

        assert gradcheck(loss, (x, y, a, b), fast_mode=True)
        assert gradgradcheck(loss, (x, y, a, b), fast_mode=True)

    def test_costs(self) -> None:
        C, a, b = tensors((4, 3), (4,), (3,))

        def loss(C: Any, a: Any, b: Any) -> Any:
            return monge.torch.emd(a=a.softmax(-1), b=b.softmax(-1), cost=C)

        assert gradcheck(loss, (C, a, b))
        assert gradgradcheck(loss, (C, a, b))

    def test_uniform_weights(self) -> None:
        x, y = tensors((5, 2), (5, 2))
        loss = monge.torch.emd(x, y)
        t = monge.emd(monge.PointCloud(x.detach().numpy(), y.detach().numpy()))
        assert loss.item() == t.value
        (slope,) = torch.autograd.grad(loss, x, create_graph=True)
        np.testing.assert_allclose(slope.detach(), t.grad_x, rtol=1e-12)
        (second,) = torch.autograd.grad((slope * y.detach()).sum(), x)
        torch.testing.assert_close(second, 0.4 * y.detach())

    def test_second_derivatives_of_uniform_weights_are_refused(self) -> None:
        x, y, a = tensors((4, 2), (4, 2), (4,))
        loss = monge.torch.emd(x, y, (0.0 * a).softmax(-1), torch.full((4,), 0.25, dtype=float64))
        (slope,) = torch.autograd.grad(loss, x, create_graph=True)
        with pytest.raises(RuntimeError, match="Detach the weights"):
            torch.autograd.grad(slope.square().sum(), a)

    def test_euler(self) -> None:
        x, y, a, b = tensors((6, 2), (5, 2), (6,), (5,))
        a, b = (w.detach() / w.detach().sum() for w in (a, b))
        a.requires_grad_(), b.requires_grad_()
        loss = monge.torch.emd(x, y, a, b)
        loss.backward()
        assert (a.grad @ a + b.grad @ b).item() == pytest.approx(loss.item(), rel=1e-12)


class TestBatches:
    def test_leading_dimensions(self) -> None:
        x, y, a = tensors((2, 3, 4, 2), (3, 5, 2), (2, 1, 4))
        loss = monge.torch.sinkhorn(x, y, a.softmax(-1), eps=0.2, **FINE)
        assert loss.shape == (2, 3)
        weights = torch.rand(2, 3, dtype=float64)
        found = torch.autograd.grad((weights * loss).sum(), (x, y, a), create_graph=True)
        alone = [
            monge.torch.sinkhorn(x[i, k], y[k], a[i, 0].softmax(-1), eps=0.2, **FINE)
            for i in range(2)
            for k in range(3)
        ]
        torch.testing.assert_close(loss.ravel(), torch.stack(alone))
        right = torch.autograd.grad((weights.ravel() * torch.stack(alone)).sum(), (x, y, a), create_graph=True)
        torch.testing.assert_close(found, right)
        seconds = [torch.autograd.grad(sum((g**2).sum() for g in first), (x, y, a)) for first in (found, right)]
        torch.testing.assert_close(*seconds)

    def test_of_emd(self) -> None:
        C, a = tensors((3, 4, 5), (3, 4))
        loss = monge.torch.emd(a=a.softmax(-1), cost=C)
        assert loss.shape == (3,)
        alone = [monge.torch.emd(a=a[k].softmax(-1), cost=C[k]) for k in range(3)]
        torch.testing.assert_close(loss, torch.stack(alone))
        torch.testing.assert_close(
            torch.autograd.grad(loss.sum(), (C, a)), torch.autograd.grad(torch.stack(alone).sum(), (C, a))
        )

    def test_layouts_do_not_matter(self) -> None:
        (x,) = tensors((2, 4, 3))
        y = tensors((3, 5, 2), seed=1)[0].detach()
        right = monge.torch.sinkhorn(x, y.permute(2, 1, 0).contiguous(), eps=0.2)
        found = monge.torch.sinkhorn(
            x.detach().transpose(1, 2).contiguous().transpose(1, 2), y.permute(2, 1, 0), eps=0.2
        )
        assert torch.equal(found, right)


class TestTypes:
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
    @pytest.mark.parametrize("loss", ["sinkhorn", "emd"])
    def test_they_come_back(self, loss: str, dtype: Any) -> None:
        options = {"eps": 0.2} if loss == "sinkhorn" else {}
        inputs = tensors((6, 2), (5, 2), (6,), (5,), dtype=dtype)
        x, y, a, b = inputs
        value = getattr(monge.torch, loss)(x, y, a.softmax(-1), b.softmax(-1), **options)
        value.backward()
        assert value.dtype == dtype
        assert all(t.grad.dtype == dtype and t.grad.isfinite().all() for t in inputs)
        x, y, a, b = (t.detach().double().requires_grad_() for t in inputs)
        right = getattr(monge.torch, loss)(x, y, a.softmax(-1), b.softmax(-1), **options)
        right.backward()
        # About as accurate as the type is, through softmax and back.
        tolerance = 20.0 * torch.finfo(dtype).eps
        torch.testing.assert_close(value.double(), right, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(inputs[0].grad.double(), x.grad, rtol=tolerance, atol=tolerance)

    def test_autocast_changes_nothing(self) -> None:
        x, y = tensors((5, 2), (4, 2))
        right = monge.torch.sinkhorn(x, y, eps=0.2)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = monge.torch.sinkhorn(x, y, eps=0.2)
            (slope,) = torch.autograd.grad(found, x)
        assert torch.equal(found, right)
        torch.testing.assert_close(slope, torch.autograd.grad(right, x)[0], rtol=0.0, atol=0.0)

    def test_the_mode_of_gradients_stays(self) -> None:
        x, y = tensors((3, 2), (4, 2))
        for mode in (False, True):
            with torch.set_grad_enabled(mode):
                loss = monge.torch.sinkhorn(x, y, eps=0.2)
                assert torch.is_grad_enabled() is mode
                assert loss.requires_grad is mode
        (slope,) = torch.autograd.grad(loss, x, create_graph=True)
        torch.autograd.grad(slope.sum(), x)
        assert torch.is_grad_enabled()
        with torch.inference_mode():
            assert not monge.torch.emd(x, y).requires_grad

    def test_no_derivative_is_computed_that_nobody_wants(self) -> None:
        x, y = tensors((3, 2), (4, 2))
        loss = monge.torch.emd(x, y.detach())
        loss.backward()
        assert y.grad is None

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device that PyTorch can use")
    def test_on_a_gpu(self) -> None:
        x, y = tensors((5, 2), (4, 2))
        for loss, options in ((monge.torch.sinkhorn, {"eps": 0.2, **FINE}), (monge.torch.emd, {})):
            here = loss(x, y, **options)
            moved = x.detach().cuda().requires_grad_()
            there = loss(moved, y.detach().cuda(), **options)
            assert there.is_cuda
            torch.testing.assert_close(there.cpu(), here)
            slopes = [torch.autograd.grad(v, t, create_graph=True)[0] for v, t in ((here, x), (there, moved))]
            torch.testing.assert_close(slopes[1].cpu(), slopes[0])
            seconds = [torch.autograd.grad((s**2).sum(), t)[0] for s, t in zip(slopes, (x, moved), strict=True)]
            torch.testing.assert_close(seconds[1].cpu(), seconds[0])


class TestErrors:
    @pytest.mark.parametrize(
        ("change", "kind", "text"),
        [
            ({"y": np.zeros((4, 2))}, TypeError, r"torch\.as_tensor"),
            ({"y": torch.zeros(4, 2)}, TypeError, r"y\.to\(x\.dtype\)"),
            ({"x": torch.zeros(4, 2, dtype=torch.int64)}, TypeError, r"x\.float\(\)"),
            ({"x": torch.zeros(4, 2, dtype=float64, device="meta")}, TypeError, r"x\.cpu\(\)"),
            ({"y": torch.zeros(4, 2, dtype=float64, device="meta")}, ValueError, r"y\.to\(x\.device\)"),
            ({"x": torch.zeros(4, dtype=float64)}, ValueError, r"x\[:, None\]"),
            ({"x": torch.zeros(0, 4, 2, dtype=float64)}, ValueError, "Leave empty batches out"),
            ({"x": torch.zeros(0, 2, dtype=float64)}, ValueError, "at least one place"),
            ({"y": torch.zeros(4, 3, dtype=float64)}, ValueError, "same dimension"),
            ({"y": None}, TypeError, "x alone"),
            ({"x": torch.zeros(2, 4, 2, dtype=float64), "y": torch.zeros(3, 4, 2, dtype=float64)}, ValueError, "broad"),
            ({"a": torch.ones(3, dtype=float64)}, ValueError, r"shape \(4,\)"),
            ({"a": torch.ones(4, dtype=float64), "b": torch.ones(5, dtype=float64)}, ValueError, "monge.partial"),
            ({"a": -torch.ones(4, dtype=float64)}, ValueError, "negative"),
            ({"x": torch.full((4, 2), torch.nan, dtype=float64)}, ValueError, "finite coordinates"),
            ({"cost": torch.zeros(4, 5, dtype=float64)}, TypeError, "got both"),
            ({"cost": "manhattan"}, ValueError, "cityblock"),
            ({"x": None, "y": None}, TypeError, "a loss needs tensors"),
            ({"x": None, "y": None, "a": torch.ones(4), "b": torch.ones(4)}, TypeError, r"monge\.Grid"),
        ],
    )
    def test_bad_input(self, change: dict[str, Any], kind: type[Exception], text: str) -> None:
        inputs = {"x": torch.rand(4, 2, dtype=float64), "y": torch.rand(5, 2, dtype=float64)} | change
        for loss, options in ((monge.torch.sinkhorn, {"eps": 0.2}), (monge.torch.emd, {})):
            with pytest.raises(kind, match=text):
                loss(**inputs, **options)

    def test_a_problem_of_a_batch_is_named(self) -> None:
        x, y = torch.rand(3, 4, 2), torch.rand(4, 2)
        x[1, 2, 0] = torch.inf
        with pytest.raises(ValueError, match=r"problem 1: x should hold finite"):
            monge.torch.emd(x, y)

    def test_no_third_derivatives(self) -> None:
        x, y = tensors((3, 2), (4, 2))
        (first,) = torch.autograd.grad(monge.torch.sinkhorn(x, y, eps=0.2), x, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), x, create_graph=True)
        with pytest.raises(RuntimeError, match="no third ones"):
            torch.autograd.grad(second.sum(), x)

    def test_a_gpu_without_its_packages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from monge.torch.kind import KINDS, Measures, Settings

        def missing() -> None:
            raise RuntimeError("device='cuda' needs numba-cuda: pip install 'monge[cuda]'")

        monkeypatch.setattr("monge.entropic.kernels.available.require_cuda", missing)
        problem = Measures(np.zeros((2, 1)), np.ones((2, 1)), None, None, None)
        numbers = (0.1, 1e-3, 100, 0, 0.0, np.inf, np.inf, np.inf, np.inf)
        with pytest.raises(RuntimeError, match=r"monge\[cuda\]"):
            KINDS["sinkhorn"].solve([problem], Settings("sqeuclidean", numbers, "cuda"))


class TestOptions:
    """Are numbers, with respect to which there are no derivatives. A zero in their place would be wrong."""

    CALLS: ClassVar[dict[str, Any]] = {
        "eps": lambda x, y, h: monge.torch.sinkhorn(x, y, eps=h),
        "eps of the divergence": lambda x, y, h: monge.torch.sinkhorn_divergence(x, y, eps=h),
        "rho": lambda x, y, h: monge.torch.sinkhorn(x, y, eps=0.5, marginals=monge.KL(h)),
        "power": lambda x, y, h: monge.torch.emd(x, y, cost=("euclidean", h)),
        "bandwidth": lambda x, y, h: monge.torch.mmd(x, y, bandwidth=h),
        "bandwidths": lambda x, y, h: monge.torch.mmd(x, y, bandwidth=[1.0, h]),
        "p": lambda x, y, h: monge.torch.sliced_wasserstein(x, y, p=1.0 + h),
    }

    @pytest.mark.parametrize("name", CALLS)
    def test_no_derivatives(self, name: str) -> None:
        x, y = tensors((4, 2), (3, 2))
        call, half = self.CALLS[name], torch.tensor(0.5)
        assert call(x, y, half).item() > 0.0
        with pytest.raises(TypeError, match=r"requires a gradient.*\.item\(\)"):
            call(x, y, half.requires_grad_())
        x, y, half = x.detach(), y.detach(), half.detach()
        with pytest.raises(TypeError, match="requires a gradient"):
            torch.func.grad(lambda h: call(x, y, h))(half)
        with pytest.raises(TypeError, match="requires a gradient"):
            torch.func.grad(lambda h: torch.func.grad(lambda x: call(x, y, h))(x).sum())(half)


def test_tensors_of_inference_mode() -> None:
    with torch.inference_mode():
        x, y = torch.rand(4, 2), torch.rand(3, 2)
        inside = monge.torch.emd(x, y)
    outside = monge.torch.emd(x, y)  # nothing is to be kept for derivatives
    assert not outside.requires_grad
    assert outside == inside
    assert monge.torch.sliced_wasserstein(x, y, rng=0) > 0.0
