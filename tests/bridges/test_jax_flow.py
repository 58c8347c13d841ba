"""Flows of JAX's arrays, along what jax.value_and_grad returns."""

from __future__ import annotations

import numpy as np
import pytest

import monge

jax = pytest.importorskip("jax", reason="needs the extra jax: pip install 'monge[jax]'")


def test_a_function_of_jax():
    x0 = jax.numpy.array([[1.0, 2.0], [3.0, 4.0]])
    loss = jax.jit(jax.value_and_grad(lambda x: (x**2).sum(axis=1).mean() / 2.0))
    flow = monge.gradient_flow(x0, loss, step=0.5, n_steps=3)
    assert isinstance(flow.points, jax.Array)
    assert isinstance(flow.trajectory, jax.Array)
    np.testing.assert_array_equal(flow.points, x0 / 8.0)
    np.testing.assert_allclose(flow.values, 7.5 / 4.0 ** np.arange(4))
