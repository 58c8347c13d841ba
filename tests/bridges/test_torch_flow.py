"""Flows of torch's tensors: the loss gets tensors, and may be torch's own."""

from __future__ import annotations

import numpy as np
import pytest

import monge

torch = pytest.importorskip("torch", reason="needs the extra torch: pip install 'monge[torch]'")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_points_are_tensors_all_the_way(dtype):
    generator = torch.Generator().manual_seed(0)
    x0, y = (torch.randn((20, 2), generator=generator, dtype=dtype) for _ in range(2))
    seen = []

    def loss(x):
        seen.append(x)
        return monge.emd(monge.PointCloud(x, y))

    flow = monge.gradient_flow(x0, loss, step=0.25, n_steps=4, record=2)
    assert all(isinstance(x, torch.Tensor) and x.dtype == dtype for x in (*seen, flow.points, flow.trajectory))
    assert flow.trajectory.shape == (3, 20, 2)
    assert flow.last.grad_x.dtype == dtype
    same = monge.gradient_flow(x0.numpy(), lambda x: monge.emd(monge.PointCloud(x, y.numpy())), step=0.25, n_steps=4)
    # Gradients of tensors are rounded to their type.
    np.testing.assert_allclose(flow.points.numpy(), same.points, rtol=1e-5 if dtype == torch.float32 else 1e-14)


def test_a_module_as_critic():
    critic = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))

    def loss(x):
        x = x.requires_grad_()
        value = critic(x).mean()
        return value.item(), torch.autograd.grad(value, x)[0]

    x0 = torch.zeros((5, 2))
    flow = monge.gradient_flow(x0, loss, step=0.5, n_steps=4)
    torch.testing.assert_close(flow.points, -2.0 * critic[0].weight.detach().expand(5, 2))  # all mass, at one slope
    assert not x0.requires_grad
    with pytest.raises(TypeError, match="should be a real number; got a tensor that requires a gradient"):
        monge.gradient_flow(x0, lambda x: (critic(x).mean(), x), step=0.5, n_steps=4)
