"""Barycenters of tensors: their derivatives."""

import numpy as np
import pytest

import monge

torch = pytest.importorskip("torch", reason="needs the extra torch")

import monge.torch  # noqa: E402

GRID = monge.Grid((3, 4))


def test_gradcheck():
    torch.manual_seed(0)
    logits = torch.randn(3, 12, dtype=torch.float64, requires_grad=True)
    mixing = torch.randn(3, dtype=torch.float64, requires_grad=True)

    def found(logits, mixing):
        return monge.torch.barycenter(logits.softmax(-1), GRID, mixing.softmax(0), eps=1.5, tol=1e-12)

    assert torch.autograd.gradcheck(found, (logits, mixing), atol=1e-6, rtol=1e-4)


def test_value_type_and_default_weights():
    histograms = torch.rand(2, 12).softmax(-1)
    found = monge.torch.barycenter(histograms, GRID, eps=1.5)
    assert found.dtype == torch.float32
    wanted = monge.barycenter(histograms.numpy(), GRID, eps=1.5, tol=1e-6).weights
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6)


def test_no_second_derivative():
    w = torch.tensor([0.5, 0.5], dtype=torch.float64, requires_grad=True)
    histograms = torch.rand(2, 12, dtype=torch.float64).softmax(-1)
    value = (monge.torch.barycenter(histograms, GRID, w, eps=1.5) ** 2).sum()
    slope = torch.autograd.grad(value, w, create_graph=True)[0]
    with pytest.raises(RuntimeError, match=r"differentiate twice|once_differentiable"):
        slope.sum().backward()


def test_bad_input():
    with pytest.raises(TypeError, match="should be a tensor"):
        monge.torch.barycenter(np.ones((2, 12)), GRID, eps=1.0)
    with pytest.raises(ValueError, match="dimension"):
        monge.torch.barycenter(torch.ones(12), GRID, eps=1.0)


def test_coordinates_and_dictionaries_of_tensors():
    x = torch.arange(20.0, dtype=torch.float64)
    histograms = torch.softmax(-((x - torch.tensor([[6.0], [13.0]])) ** 2) / 8.0, dim=1)
    line = monge.Grid(20)
    target = monge.barycenter(histograms, line, [0.3, 0.7], eps=1.0, tol=1e-8).weights
    weights = monge.barycentric_coordinates(target, histograms, line, eps=1.0).weights
    torch.testing.assert_close(weights, torch.tensor([0.3, 0.7], dtype=torch.float64), atol=1e-4, rtol=0.0)
    book = monge.dictionary(histograms, line, 1, eps=1.0, tol=0.5)
    assert isinstance(book.atoms, torch.Tensor)
    assert isinstance(book.transform(histograms), torch.Tensor)
