"""The divergence, the discrepancies and the modules: derivatives, known answers, and what all losses share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import monge

torch = pytest.importorskip("torch", reason="monge.torch needs PyTorch: pip install 'monge[torch]'")
from torch.autograd import gradcheck, gradgradcheck  # noqa: E402
from torch.func import grad, jacrev, vmap  # noqa: E402

import monge.torch  # noqa: E402

float64 = torch.float64
FINE = {"tol": 1e-13, "max_iter": 100_000}
MARGINALS = {"balanced": None, "KL": monge.KL(0.7), "TV": monge.TV(0.35)}


def tensors(*shapes: tuple[int, ...], seed: int = 0) -> list[Any]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(shape, generator=generator, dtype=float64).add_(0.1).requires_grad_() for shape in shapes]


class TestDivergence:
    @pytest.mark.parametrize("marginals", MARGINALS)
    @pytest.mark.parametrize("cost", ["sqeuclidean", ("euclidean", 1.5), "cityblock", "cosine"], ids=str)
    def test_points_and_weights(self, cost: Any, marginals: str) -> None:
        x, y, a, b = tensors((4, 2), (3, 2), (4,), (3,))

        def loss(x: Any, y: Any, a: Any, b: Any) -> Any:
            a, b = (a.softmax(-1), b.softmax(-1)) if marginals == "balanced" else (a, 2.0 * b)
            return monge.torch.sinkhorn_divergence(
                x, y, a, b, eps=0.1, cost=cost, marginals=MARGINALS[marginals], **FINE
            )

        assert gradcheck(loss, (x, y, a, b), fast_mode=True)
        assert gradgradcheck(loss, (x, y, a, b), fast_mode=True, atol=1e-6)

    @pytest.mark.parametrize("marginals", MARGINALS)
    def test_costs(self, marginals: str) -> None:
        C, a, b = tensors((4, 4), (2, 4), (4,))

        def loss(C: Any, a: Any, b: Any) -> Any:
            a, b = (a.softmax(-1), b.softmax(-1)) if marginals == "balanced" else (a, 2.0 * b)
            return monge.torch.sinkhorn_divergence(
                a=a, b=b, cost=0.5 * (C + C.T), eps=0.1, marginals=MARGINALS[marginals], **FINE
            )

        assert gradcheck(loss, (C, a, b), fast_mode=True)
        assert gradgradcheck(loss, (C, a, b), fast_mode=True, atol=1e-6)

    def test_a_grid(self) -> None:
        a, b = tensors((2, 6), (6,))
        grid = monge.Grid((2, 3))

        def loss(a: Any, b: Any) -> Any:
            return monge.torch.sinkhorn_divergence(a=a.softmax(-1), b=b.softmax(-1), cost=grid, eps=0.5, **FINE)

        right = monge.sinkhorn_divergence(
            a=a[1].softmax(-1).detach().numpy(), b=b.softmax(-1).detach().numpy(), cost=grid, eps=0.5, **FINE
        )
        assert loss(a, b)[1].item() == pytest.approx(right.value, rel=1e-12)
        assert gradgradcheck(loss, (a, b), fast_mode=True, atol=1e-6)

    @pytest.mark.parametrize("eps", [0.01, 0.3, 30.0])
    def test_a_translate(self, eps: float) -> None:
        # |t|^2, whatever eps is; so the gradient in x is -2 a t, and t's second derivative is 2.
        x, a = (v.detach() for v in tensors((5, 2), (5,)))
        a = a / a.sum()
        t = torch.tensor([0.3, -0.4], dtype=float64, requires_grad=True)
        moved = x.clone().requires_grad_()
        loss = monge.torch.sinkhorn_divergence(moved, x + t, a, a, eps=eps, **FINE)
        assert loss.item() == pytest.approx(0.25, rel=1e-8)
        slope_x, slope_t = torch.autograd.grad(loss, (moved, t), create_graph=True)
        torch.testing.assert_close(slope_x, -2.0 * a[:, None] * t, rtol=1e-6, atol=1e-8)
        rows = torch.stack([torch.autograd.grad(part, t, retain_graph=True)[0] for part in slope_t])
        torch.testing.assert_close(rows, 2.0 * torch.eye(2, dtype=float64), rtol=1e-6, atol=1e-8)

    def test_of_a_measure_and_itself(self) -> None:
        # Zero, and the least value: the gradient vanishes and the second derivative is positive.
        (x,) = tensors((5, 2))
        loss = monge.torch.sinkhorn_divergence(x, x.detach(), eps=0.2, **FINE)
        assert loss.item() == pytest.approx(0.0, abs=1e-12)
        (slope,) = torch.autograd.grad(loss, x, create_graph=True)
        assert slope.abs().max() < 1e-12
        rows = [torch.autograd.grad(part, x, retain_graph=True)[0].ravel() for part in slope.ravel()]
        hessian = torch.stack(rows)
        torch.testing.assert_close(hessian, hessian.T)
        assert torch.linalg.eigvalsh(hessian).min() > 0.0

    def test_a_tiny_eps(self) -> None:
        # Each point's plan with its own cloud is itself: those terms do not matter, also for second derivatives.
        x, y = tensors((4, 2), (4, 2))
        options = {"eps": 1e-5, "tol": 1e-9, "max_iter": 100_000}
        loss = monge.torch.sinkhorn_divergence(x, y, **options)
        (slope,) = torch.autograd.grad(loss, x, create_graph=True)
        (second,) = torch.autograd.grad((slope * y.detach()).sum(), x)
        torch.testing.assert_close(second, 0.5 * y.detach(), rtol=1e-5, atol=1e-7)

    def test_transforms_and_compilers(self) -> None:
        xs, y = (v.detach() for v in tensors((3, 4, 2), (5, 2)))

        def loss(x: Any, y: Any) -> Any:
            return monge.torch.sinkhorn_divergence(x, y, eps=0.2, marginals=monge.KL(1.0), **FINE)

        first = torch.stack([grad(loss)(x, y) for x in xs])
        torch.testing.assert_close(vmap(grad(loss), (0, None))(xs, y), first)
        second = torch.autograd.functional.hessian(lambda x: loss(x, y), xs[0])
        torch.testing.assert_close(jacrev(grad(loss))(xs[0], y), second)

    def test_it_goes_down(self) -> None:
        x, y = tensors((20, 2), (15, 2))
        loss, step = monge.torch.SinkhornDivergence(eps=0.02), torch.optim.SGD([x], lr=5.0)
        values = []
        for _ in range(15):
            step.zero_grad()
            value = loss(x, y.detach() + 1.0)
            value.backward()
            step.step()
            values.append(value.item())
        assert values[-1] < 1e-2 * values[0]

    @pytest.mark.parametrize(
        ("change", "kind", "text"),
        [
            ({"marginals": (monge.KL(1.0), None)}, ValueError, "one penalty"),
            ({"x": None, "y": None, "cost": torch.rand(3, 3)}, ValueError, "symmetric"),
            ({"cost": lambda x, y: x[0] - 2.0 * y[0]}, ValueError, "symmetric"),
            ({"x": None, "y": None, "a": torch.ones(3)}, TypeError, "sinkhorn_divergence needs points"),
        ],
    )
    def test_bad_input(self, change: dict[str, Any], kind: type[Exception], text: str) -> None:
        inputs: dict[str, Any] = {"x": torch.rand(4, 2), "y": torch.rand(5, 2)} | change
        with pytest.raises(kind, match=text):
            monge.torch.sinkhorn_divergence(**inputs, eps=0.2)


LOSSES = {
    "gaussian": lambda x, y, a=None, b=None: monge.torch.mmd(x, y, a, b, bandwidth=[0.3, 1.0]),
    "laplacian": lambda x, y, a=None, b=None: monge.torch.mmd(x, y, a, b, kernel="laplacian", bandwidth=0.5),
    "unbiased": lambda x, y, a=None, b=None: monge.torch.mmd(x, y, a, b, bandwidth=0.5, biased=False),
    "energy": lambda x, y, a=None, b=None: monge.torch.energy_distance(x, y, a, b),
    "projections": lambda x, y, a=None, b=None: monge.torch.energy_distance(x, y, a, b, projections=10, rng=0),
    "sliced": lambda x, y, a=None, b=None: monge.torch.sliced_wasserstein(x, y, a, b, p=1.5, n_projections=8, rng=0),
    "max sliced": lambda x, y, a=None, b=None: monge.torch.max_sliced_wasserstein(x, y + 3.0, a, b, rng=0),
    "minibatch": lambda x, y, a=None, b=None: monge.torch.minibatch(x, y, batch_size=2, n_batches=3, rng=0, n_jobs=1),
    "debiased": lambda x, y, a=None, b=None: monge.torch.minibatch(
        x, y, batch_size=2, epochs=1, cost=("euclidean", 1.5), debiased=True, rng=0, n_jobs=1
    ),
}


class TestFirstOrder:
    @pytest.mark.parametrize("name", LOSSES)
    def test_first_derivatives(self, name: str) -> None:
        x, y, a, b = tensors((2, 4, 3), (3, 3), (4,), (2, 3))
        assert gradcheck(lambda x, y, a, b: LOSSES[name](x, y, a.softmax(-1), b.softmax(-1)), (x, y, a, b))

    def test_values_are_those_of_the_library(self) -> None:
        x, y, a = (v.detach() for v in tensors((4, 2), (3, 2), (4,)))
        b = np.full(3, a.sum().item() / 3)
        arrays = x.numpy(), y.numpy(), a.numpy(), b
        assert monge.torch.mmd(x, y, a).item() == pytest.approx(monge.mmd(*arrays), rel=1e-12)
        assert monge.torch.energy_distance(x, y, a).item() == pytest.approx(monge.energy_distance(*arrays), rel=1e-12)
        for name in ("sliced_wasserstein", "max_sliced_wasserstein"):
            found = getattr(monge.torch, name)(x, y, a, n_projections=7, rng=2)
            assert found.item() == pytest.approx(getattr(monge, name)(*arrays, n_projections=7, rng=2), rel=1e-12)

    def test_minibatches(self) -> None:
        x, y = (v.detach() for v in tensors((6, 2), (7, 2)))
        arrays = x.numpy(), y.numpy()
        for options in ({"n_batches": 3}, {"epochs": 2}, {"n_batches": "all", "eps": 0.5, "marginals": monge.KL(1.0)}):
            found = monge.torch.minibatch(x, y, batch_size=3, rng=2, **options)
            alone = monge.minibatch(*arrays, batch_size=3, rng=2, **options)
            assert found.item() == pytest.approx(alone, rel=1e-12)
            module = monge.torch.Minibatch(batch_size=3, debiased=True, rng=2, **options)
            assert module(x, y).item() == pytest.approx(alone.debiased, rel=1e-9)
        assert "batch_size=3" in repr(module)
        with pytest.raises(ValueError, match="marginals need"):
            monge.torch.minibatch(x, y, batch_size=3, epochs=1, marginals=monge.KL(1.0))
        with pytest.raises(ValueError, match="n_batches should be"):
            monge.torch.minibatch(x, y, batch_size=3, n_batches=-1)
        with pytest.raises(ValueError, match="eps should be positive"):  # the number that stands for none
            monge.torch.minibatch(x, y, batch_size=3, n_batches=1, eps=-0.5)
        with pytest.raises(ValueError, match="batch_size should be at most 6"):
            monge.torch.minibatch(x, y, batch_size=7, n_batches=1)

    @pytest.mark.parametrize("name", LOSSES)
    def test_second_derivatives_are_refused(self, name: str) -> None:
        x, y = tensors((4, 2), (3, 2))
        (slope,) = torch.autograd.grad(LOSSES[name](x, y), x, create_graph=True)
        with pytest.raises(RuntimeError, match="no second derivatives"):
            torch.autograd.grad(slope.sum(), x)

    @pytest.mark.parametrize("name", LOSSES)
    def test_transforms_and_compilers(self, name: str) -> None:
        loss, (xs, y) = LOSSES[name], (v.detach() for v in tensors((3, 4, 2), (5, 2)))
        torch.testing.assert_close(vmap(loss, (0, None))(xs, y), torch.stack([loss(x, y) for x in xs]))
        first = torch.stack([grad(loss)(x, y) for x in xs])
        torch.testing.assert_close(vmap(grad(loss), (0, None))(xs, y), first)
        torch.testing.assert_close(
            grad(lambda y: vmap(loss, (0, None))(xs, y).sum())(y), grad(lambda y: loss(xs, y).sum())(y)
        )
        leaf = xs.clone().requires_grad_()
        torch.testing.assert_close(torch.autograd.grad(loss(leaf, y).sum(), leaf)[0], first)

    def test_derivatives_are_left_out_where_nobody_asks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from monge.distances.mmd import KernelLoss

        def fail(self: Any) -> None:
            raise AssertionError

        monkeypatch.setattr(KernelLoss, "_point_gradients", property(fail))
        x, y = tensors((4, 2), (3, 2))
        monge.torch.mmd(x.detach(), y.detach())
        with torch.no_grad():
            monge.torch.mmd(x, y)
        with pytest.raises(AssertionError):
            monge.torch.mmd(x, y)

    def test_directions_of_a_loss_and_its_gradient_are_the_same(self) -> None:
        # The loss is of degree one in the points, so that <gradient, points> is the loss: for the same directions.
        (x,) = tensors((6, 3))
        y = torch.zeros(1, 3, dtype=float64)
        loss = monge.torch.energy_distance(x, y, projections=5)
        (slope,) = torch.autograd.grad(loss, x)
        assert (slope * x).sum().item() == pytest.approx(loss.item(), rel=1e-10)
        rng = np.random.default_rng(0)
        one, two = (monge.torch.energy_distance(x, y, projections=5, rng=rng).item() for _ in range(2))
        assert one != two

    def test_bad_input(self) -> None:
        x = torch.rand(3, 2)
        with pytest.raises(TypeError, match="two tensors of points"):
            monge.torch.mmd(x, None)
        with pytest.raises(ValueError, match="kernel should be one of"):
            monge.torch.mmd(x, x, kernel="cauchi")
        with pytest.raises(ValueError, match="projections"):
            monge.torch.energy_distance(x, x, projections=-1)
        with pytest.raises((TypeError, ValueError), match="rng"):
            monge.torch.energy_distance(x, x, projections=3, rng=-1)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # which PyTorch itself does
class TestModules:
    @pytest.mark.parametrize(
        ("module", "function"),
        [
            (
                lambda: monge.torch.SinkhornDivergence(eps=0.2, marginals=monge.KL(1.0)),
                lambda x, y, a: monge.torch.sinkhorn_divergence(x, y, a, eps=0.2, marginals=monge.KL(1.0)),
            ),
            (lambda: monge.torch.MMD(bandwidth=0.5), lambda x, y, a: monge.torch.mmd(x, y, a, bandwidth=0.5)),
            (
                lambda: monge.torch.SlicedWasserstein(n_projections=9, rng=1),
                lambda x, y, a: monge.torch.sliced_wasserstein(x, y, a, n_projections=9, rng=1),
            ),
        ],
        ids=["SinkhornDivergence", "MMD", "SlicedWasserstein"],
    )
    def test_they_are_the_functions(self, module: Any, function: Any) -> None:
        x, y, a = (v.detach() for v in tensors((2, 4, 2), (5, 2), (4,)))
        loss, right = module(), function(x, y, a)
        assert torch.equal(loss(x, y, a), right)
        assert not list(loss.parameters())
        assert loss.state_dict() == {}
        compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x, y, a), right)

    def test_they_tell_their_settings(self) -> None:
        assert repr(monge.torch.SinkhornDivergence(eps=0.5)).startswith(
            "SinkhornDivergence(eps=0.5, cost='sqeuclidean'"
        )
