"""The multi-class Wasserstein loss of torch: closed forms, gradients along the simplex, transforms, and bad input."""

from __future__ import annotations

import importlib
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import monge

torch = pytest.importorskip("torch", reason="monge.torch needs the extra torch: pip install 'monge[torch]'")

from monge.torch import WassersteinLoss, wasserstein_loss  # noqa: E402

CASES = settings(max_examples=15, deadline=None)


def problem(seed, count=6, K=5, dtype=torch.float64):
    """Predictions and targets (count, K), the first two of them in a single class, and a symmetric cost."""
    rng = np.random.default_rng(seed)
    h, t = rng.dirichlet(np.ones(K), count), rng.dirichlet(np.full(K, 0.5), count)
    t[:2] = np.eye(K)[rng.integers(0, K, 2)]
    places = rng.normal(size=(K, 2))
    C = np.linalg.norm(places[:, None] - places, axis=2)
    return tuple(torch.tensor(each, dtype=dtype) for each in (h, t, C))


# --- Values -----------------------------------------------------------------------------------------------------------


@CASES
@given(st.integers(0, 10**6), st.sampled_from([None, 1e-3, 0.1, 10.0]))
def test_single_class_is_an_inner_product(seed, eps):
    h, _, C = problem(seed)
    labels = torch.tensor(np.random.default_rng(seed).integers(0, 5, len(h)))
    expected = (h * C[:, labels].T).sum(-1)
    one_hot = torch.nn.functional.one_hot(labels, 5)
    torch.testing.assert_close(wasserstein_loss(h, labels, C, eps=eps, reduction="none"), expected)
    torch.testing.assert_close(wasserstein_loss(h, one_hot, C, eps=eps, reduction="none"), expected)
    # And it is what the solvers find.
    for row, k, value in zip(h, labels, expected, strict=True):
        a, b, costs = row.numpy(), np.eye(5)[k], C.numpy()
        solved = monge.emd(costs, a, b) if eps is None else monge.sinkhorn(costs, a, b, eps=eps, tol=1e-12)
        assert solved.value == pytest.approx(float(value), abs=1e-12)


@pytest.mark.parametrize("eps", [None, 0.2])
def test_soft_targets_are_solved(eps):
    h, t, C = problem(1)
    found = wasserstein_loss(h, t, C, eps=eps, tol=1e-10, reduction="none")
    for row, to, value in zip(h.numpy(), t.numpy(), found.tolist(), strict=True):
        solved = (
            monge.emd(C.numpy(), row, to) if eps is None else monge.sinkhorn(C.numpy(), row, to, eps=eps, tol=1e-10)
        )
        assert value == pytest.approx(solved.value, abs=1e-10)


def test_single_classes_are_not_solved(monkeypatch):
    module = importlib.import_module("monge.torch.wasserstein_loss")
    calls = []

    def counted(cost, a, b, **options):
        calls.append(len(a))
        return solver(cost=cost, a=a, b=b, **options)

    solver = module.sinkhorn
    monkeypatch.setattr(module, "sinkhorn", counted)
    h, t, C = problem(2)
    module.wasserstein_loss(h, t, C, eps=0.1)
    module.wasserstein_loss(h[:2], t[:2], C, eps=0.1)
    module.wasserstein_loss(h, t.argmax(-1), C, eps=0.1)
    assert calls == [4]


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0.1, 10.0))
@CASES
def test_two_classes(p, q, c):
    h = torch.tensor([[1.0 - p, p]], dtype=torch.float64, requires_grad=True)
    t = torch.tensor([[1.0 - q, q]], dtype=torch.float64)
    value = wasserstein_loss(h, t, [[0.0, c], [c, 0.0]])
    assert value.item() == pytest.approx(c * abs(p - q), abs=1e-12)
    if abs(p - q) > 1e-6:
        value.backward()
        slope = math.copysign(0.5 * c, p - q)
        np.testing.assert_allclose(h.grad, [[-slope, slope]], atol=1e-12)


@CASES
@given(st.integers(0, 10**6), st.integers(2, 7))
def test_ordinal_classes(seed, K):
    h, t, _ = problem(seed, K=K)
    k = torch.arange(K, dtype=torch.float64)
    C = (k[:, None] - k).abs()
    for target in (t, t.argmax(-1)):
        closed = wasserstein_loss(h, target, "ordinal", reduction="none")
        torch.testing.assert_close(closed, wasserstein_loss(h, target, C, reduction="none"), atol=1e-12, rtol=0.0)
    logits = torch.randn(6, K, dtype=torch.float64, requires_grad=True)
    slopes = [torch.autograd.grad(wasserstein_loss(logits.softmax(-1), t, cost), logits)[0] for cost in ("ordinal", C)]
    torch.testing.assert_close(*slopes, atol=1e-12, rtol=0.0)


@CASES
@given(st.integers(0, 10**6), st.integers(2, 7), st.sampled_from([0.5, 1.0, 2.0]))
def test_two_lines_are_exact_transport_with_its_gradient(seed, K, power):
    # Liu et al. 2020. To one class an inner product, for any cost; in an order the distance of distribution functions.
    h, t, _ = problem(seed, K=K)
    k = torch.arange(K, dtype=torch.float64)
    labels = torch.tensor(np.random.default_rng(seed).integers(0, K, len(h)))
    one_hot = torch.nn.functional.one_hot(labels, K).double()
    for target, cost, line in (
        (one_hot, (k[:, None] - k).abs() ** power, lambda h, t, D: (h * D[:, t.argmax(-1)].T).sum(-1)),
        (t, (k[:, None] - k).abs(), lambda h, t, D: (h - t).cumsum(-1).abs().sum(-1)),
    ):
        h = h.detach().requires_grad_()
        values = line(h, target, cost)
        (slopes,) = torch.autograd.grad(values.sum(), h)
        for value, slope, row, to in zip(values, slopes.numpy(), h.detach().numpy(), target.numpy(), strict=True):
            solved = monge.emd(cost.numpy(), row, to)
            assert value.item() == pytest.approx(solved.value, abs=1e-12)
            difference = (
                slope - solved.grad_a
            )  # up to a constant, which a prediction that stays normalised does not see
            np.testing.assert_allclose(difference - difference.mean(), 0.0, atol=1e-10)


@pytest.mark.parametrize(("a", "b", "C", "rho", "eps"), [(0.7, 1.3, 0.5, 0.8, 0.2), (2.0, 0.4, 3.0, 1.0, 0.05)])
def test_masses_of_single_classes_under_kl(a, b, C, rho, eps):
    # Two Diracs: the plan is a number m, where the derivative of its objective is zero.
    m = (a * b) ** ((rho + eps) / (2.0 * rho + eps)) * math.exp(-C / (2.0 * rho + eps))
    expected = rho * (a + b - 2.0 * m) + eps * (a * b - m)
    h, t = torch.tensor([[a, 0.0]], dtype=torch.float64), torch.tensor([[0.0, b]], dtype=torch.float64)
    options = {"eps": eps, "marginals": monge.KL(rho), "tol": 1e-12}
    assert wasserstein_loss(h, t, [[0.0, C], [C, 0.0]], **options).item() == pytest.approx(expected, abs=1e-10)
    if b == 1.3:  # a class stands for a mass of one
        of_class = wasserstein_loss(h, torch.tensor([1]), [[0.0, C], [C, 0.0]], **options)
        assert of_class.item() == wasserstein_loss(h, t / b, [[0.0, C], [C, 0.0]], **options).item()


def test_multiple_labels():
    masses = torch.tensor([[0.9, 0.8, 0.1], [0.2, 0.1, 0.7]], dtype=torch.float64)
    labels = torch.tensor([[1, 1, 0], [0, 0, 1]])
    C = [[0.0, 1.0, 4.0], [1.0, 0.0, 4.0], [4.0, 4.0, 0.0]]
    options = {"eps": 0.05, "tol": 1e-10, "marginals": monge.KL(1.0)}
    found = wasserstein_loss(masses, labels, C, reduction="none", **options)
    for row, ones, value in zip(masses.numpy(), labels.numpy(), found.tolist(), strict=True):
        assert value == pytest.approx(monge.sinkhorn(C, row, ones, **options).value, abs=1e-12)
    # Labels that do not apply cost more.
    assert (wasserstein_loss(masses, labels.flip(0), C, reduction="none", **options) > 2.0 * found).all()


def test_shapes_and_reductions():
    h, t, C = problem(3)
    each = wasserstein_loss(h, t, C, reduction="none")
    assert each.shape == (6,)
    assert wasserstein_loss(h, t, C).item() == pytest.approx(each.mean().item())
    assert wasserstein_loss(h, t, C, reduction="sum").item() == pytest.approx(each.sum().item())
    torch.testing.assert_close(wasserstein_loss(h.view(2, 3, 5), t.view(2, 3, 5), C, reduction="none"), each.view(2, 3))
    assert wasserstein_loss(h[3], t[3], C, reduction="none").shape == ()
    pixels = wasserstein_loss(h.view(2, 3, 5), torch.zeros(2, 3, dtype=torch.int32), C, reduction="none")
    torch.testing.assert_close(pixels, (h @ C[:, 0]).view(2, 3))


def test_other_classes_in_the_target():
    h, _, _ = problem(4)
    C = torch.rand(5, 3, dtype=torch.float64)
    t = torch.full((6, 3), 1.0 / 3.0, dtype=torch.float64)
    found = wasserstein_loss(h, t, C, reduction="none")
    assert found[0].item() == pytest.approx(monge.emd(C.numpy(), h[0].numpy(), t[0].numpy()).value)
    torch.testing.assert_close(wasserstein_loss(h, torch.full((6,), 2), C, reduction="none"), h @ C[:, 2])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("eps", [None, 0.3])
def test_types(dtype, eps):
    torch.manual_seed(0)
    logits = torch.randn(64, 10).to(dtype)
    h, t = logits.softmax(-1), torch.rand(64, 10).to(dtype).softmax(-1)
    C = torch.rand(10, 10)
    C = C + C.T
    for target in (t, t.argmax(-1)):
        value = wasserstein_loss(h, target, C, eps=eps)
        assert value.dtype is dtype
        exactly = h.double() / h.double().sum(-1, keepdim=True)
        to = target if target.dim() == 1 else target.double() / target.double().sum(-1, keepdim=True)
        wanted = wasserstein_loss(exactly, to, C, eps=eps, tol=1e-9).item()
        assert value.item() == pytest.approx(wanted, rel=10.0 * torch.finfo(dtype).eps + 1e-5)


def test_minimum_with_entropy_is_sharper_than_the_target():
    t = torch.tensor([[0.3, 0.7]], dtype=torch.float64)
    p = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    h = torch.stack([1.0 - p, p], -1)
    C = [[0.0, 1.0], [1.0, 0.0]]
    best = [
        p[wasserstein_loss(h, t.expand(99, 2), C, eps=eps, tol=1e-9, reduction="none").argmin()].item()
        for eps in (None, 0.3, 3.0)
    ]
    assert best[0] == pytest.approx(0.7)
    assert best[0] < best[1] < best[2]


# --- Derivatives ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eps", [None, 0.3])
def test_gradients_of_logits(eps):
    h, t, C = problem(5, count=4)
    logits = h.log().requires_grad_()

    def loss(logits):
        return wasserstein_loss(logits.softmax(-1), t, C, eps=eps, tol=1e-12)

    assert torch.autograd.gradcheck(loss, logits, eps=1e-6, atol=1e-6)


def test_second_derivatives_of_logits():
    h, t, C = problem(6, count=3)
    logits = h[1:].log().requires_grad_()

    def loss(logits):
        return wasserstein_loss(logits.softmax(-1), t[1:], C, eps=0.3, tol=1e-12)

    assert torch.autograd.gradgradcheck(loss, logits, eps=1e-6, atol=1e-5)


def test_gradients_of_costs_and_targets():
    h, t, C = problem(7, count=3)
    C, u = C.requires_grad_(), t.log().clamp_min(-3.0).requires_grad_()

    def loss(C, u):
        return wasserstein_loss(h, u.softmax(-1), C, eps=0.3, tol=1e-12)

    assert torch.autograd.gradcheck(loss, (C, u), eps=1e-6, atol=1e-6)
    (plans,) = torch.autograd.grad(wasserstein_loss(h, t, C, eps=0.3, tol=1e-12, reduction="sum"), C)
    assert plans.sum().item() == pytest.approx(len(h))
    torch.testing.assert_close(plans.sum(1), h.sum(0))


def test_gradients_are_tangent_to_the_simplex():
    h, t, C = problem(8)
    for target, eps in ((t, None), (t, 0.3), (t.argmax(-1), None)):
        h.requires_grad_().grad = None
        wasserstein_loss(h, target, C, eps=eps, reduction="sum", tol=1e-10).backward()
        np.testing.assert_allclose(h.grad.sum(-1), 0.0, atol=1e-12)
        f = C[:, target[0]] if target.dim() == 1 else C[:, target[0].argmax()]
        np.testing.assert_allclose(h.grad[0], (f - f.mean()), atol=1e-12)
    potential = monge.sinkhorn(C.numpy(), h[3].detach().numpy(), t[3].numpy(), eps=0.3, tol=1e-10).f
    h.grad = None
    wasserstein_loss(h, t, C, eps=0.3, tol=1e-10, reduction="sum").backward()
    np.testing.assert_allclose(h.grad[3], potential - potential.mean(), atol=1e-8)


def test_gradients_under_penalties():
    h, t, C = problem(9)
    logits = h.log().requires_grad_()

    def loss(logits):  # masses, which no constraint ties to those of the target
        return wasserstein_loss(logits.exp(), 2.0 * t, C, eps=0.3, marginals=monge.KL(0.7), tol=1e-12)

    assert torch.autograd.gradcheck(loss, logits, eps=1e-6, atol=1e-6)


# --- Transforms -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eps", [None, 0.3])
def test_transforms(eps):
    h, t, C = problem(10)
    logits = h.log()

    def loss(z, target):
        return wasserstein_loss(z.softmax(-1), target, C, eps=eps, tol=1e-10)

    for target in (t, t.argmax(-1)):
        z = logits.clone().requires_grad_()
        values = wasserstein_loss(z.softmax(-1), target, C, eps=eps, tol=1e-10, reduction="none")
        (slopes,) = torch.autograd.grad(values.sum(), z)
        torch.testing.assert_close(torch.func.vmap(loss)(logits, target), values.detach())
        torch.testing.assert_close(torch.func.vmap(torch.func.grad(loss))(logits, target), slopes)
        torch.testing.assert_close(torch.func.grad(loss)(logits, target), slopes / 6.0)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # which PyTorch itself does
def test_compile():
    h, t, C = problem(11)
    module = WassersteinLoss(C, eps=0.3, tol=1e-10)

    def loss(z, target):
        return module(z.softmax(-1), target)

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for target in (t, t.argmax(-1)):
        slopes = []
        for call in (loss, compiled):
            z = h.log().requires_grad_()
            call(z, target).backward()
            slopes.append(z.grad)
        torch.testing.assert_close(*slopes)


# --- The module -------------------------------------------------------------------------------------------------------


def test_module():
    h, t, C = problem(12, dtype=torch.float32)
    loss = WassersteinLoss(C.numpy(), eps=0.2, marginals=monge.KL(1.0), reduction="sum", tol=1e-5)
    expected = wasserstein_loss(h, t, C, eps=0.2, marginals=monge.KL(1.0), reduction="sum", tol=1e-5)
    assert loss(h, t).item() == expected.item()
    assert list(loss.state_dict()) == ["cost"]
    assert repr(loss) == "WassersteinLoss(cost=(5, 5), eps=0.2, marginals=KL(1.0), reduction='sum')"
    assert repr(WassersteinLoss("ordinal")) == "WassersteinLoss(cost='ordinal', eps=None, reduction='mean')"
    assert pickle.loads(pickle.dumps(loss))(h, t).item() == expected.item()
    assert loss.double().cost.dtype is torch.float64
    assert WassersteinLoss([[0, 1], [1, 0]]).cost.dtype is torch.float32


# --- Bad input --------------------------------------------------------------------------------------------------------

GOOD = torch.full((2, 3), 1.0 / 3.0)
COST = torch.ones(3, 3)


@pytest.mark.parametrize(
    ("probabilities", "target", "cost", "options", "error", "text"),
    [
        (torch.randn(2, 3) - 2.0, GOOD, COST, {}, ValueError, r"logits\.softmax\(-1\)"),
        (GOOD * math.nan, GOOD, COST, {}, ValueError, "negative or NaN"),
        (GOOD * 2.0, GOOD, COST, {}, ValueError, r"same total; got 2\.0 and 1\.0.*marginals=monge\.KL"),
        (GOOD, torch.ones(2, 3), COST, {}, ValueError, r"target / target\.sum"),
        (GOOD * 0.5, torch.tensor([0, 1]), COST, {}, ValueError, "same total"),
        (GOOD * 0.0, GOOD * 0.0, COST, {}, ValueError, "some mass"),
        (GOOD, -GOOD, COST, {}, ValueError, "target should not hold negative"),
        (GOOD, torch.tensor([0, -1]), COST, {}, ValueError, "classes from 0 to 2; got -1"),
        (GOOD, torch.tensor([0, 3]), COST, {}, ValueError, "classes from 0 to 2; got 3"),
        (GOOD, torch.tensor([0, 3]), COST, {"eps": 1.0, "marginals": monge.KL(1.0)}, ValueError, "from 0 to 2; got 3"),
        (GOOD, torch.tensor([0.0, 1.0]), COST, {}, ValueError, r"of integers, or \(2, 3\)"),
        (GOOD, torch.tensor([0, 1, 2]), COST, {}, ValueError, r"shape \(2,\), of integers"),
        (GOOD, GOOD, torch.ones(2, 3), {}, ValueError, r"\(K, L\), from each of the K = 3"),
        (GOOD, GOOD, "line", {}, ValueError, '"ordinal"'),
        (GOOD, GOOD, "ordinal", {"eps": 1.0}, ValueError, "Leave them out"),
        (GOOD, GOOD, COST, {"marginals": monge.KL(1.0)}, ValueError, "Pass eps"),
        (GOOD, GOOD, COST, {"marginals": "KL", "eps": 1.0}, TypeError, "monge.KL"),
        (GOOD, GOOD, COST, {"reduction": "max"}, ValueError, "'mean', 'sum', 'none'"),
        (GOOD, GOOD, COST, {"eps": 0.0}, ValueError, "eps"),
        (GOOD, GOOD, COST * math.nan, {}, ValueError, "NaN"),
        (GOOD[:0], GOOD[:0], COST, {}, ValueError, "Leave empty batches out"),
        (torch.tensor([[1, 0, 0]]), GOOD[:1], COST, {}, TypeError, "torch.int64"),
        (GOOD.numpy(), GOOD, COST, {}, TypeError, "ndarray"),
        (GOOD, [0, 1], COST, {}, TypeError, "list"),
        (GOOD, torch.tensor([0, 1]), COST.bool(), {}, TypeError, "real numbers"),
        (GOOD, torch.empty(2, 3, device="meta"), COST, {}, ValueError, r"target\.to\(probabilities\.device\)"),
    ],
)
def test_bad_input(probabilities, target, cost, options, error, text):
    with pytest.raises(error, match=text):
        wasserstein_loss(probabilities, target, cost, **options)


def test_a_negative_class_is_an_error_under_transforms_too():
    with pytest.raises((IndexError, RuntimeError)):
        torch.func.vmap(lambda h, k: wasserstein_loss(h, k, COST))(GOOD, torch.tensor([0, -1]))
